"""Let a reader's own branches choose the hostile files: a fuzzer that is guided by coverage.

    make fuzz FORMAT=npz [SECONDS=60]

Needs atheris, which has an environment of its own. What it tries begins with the format's good files and
with the files of `campaigns.fuzz.campaign`; what is asked of the reader is the same. A file that breaks it
is kept in ``build/fuzz``, and `python -m campaigns.fuzz --format NAME --file FILE` reads it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["purecnn"]):
    from campaigns.fuzz.fence import remove
    from campaigns.fuzz.table import FORMATS, case, good
    from campaigns.fuzz.trial import attempt

#: Where the files that are worth keeping lie.
HOME = Path(__file__).resolve().parents[2] / "build" / "fuzz"


def main() -> None:
    """Fuzz one format's reader until a problem is found, or the time is over."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--format", required=True, choices=list(FORMATS))
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    name, corpus = asked.format, HOME / asked.format
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(good(name)):
        (corpus / f"good-{number}").write_bytes(seed)
    folder = HOME / f"{name}-inside"
    if folder.exists():
        remove(folder)
    folder.mkdir()

    def read(data: bytes) -> None:
        outcome = attempt(name, data, folder)
        if outcome.problems:
            raise AssertionError(f"{outcome}")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        """Change a file blindly, as the fuzzer does; one in ten is a file whose structure is right."""
        if Random(seed).random() < 0.1:
            return case(name, seed)[:most]
        return atheris.Mutate(data, most)

    most = 4 * max(map(len, good(name)))
    options = [
        f"-max_total_time={asked.seconds}",
        f"-max_len={most}",
        f"-artifact_prefix={HOME}{os.sep}{name}-",
    ]
    options += ["-rss_limit_mb=8000", "-timeout=60"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
