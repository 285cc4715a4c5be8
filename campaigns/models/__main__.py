"""Real ONNX files: how many open, are right beside onnxruntime, and become networks that can be trained.

Command: python -m campaigns.models, with --torch PYTHON and --keras PYTHON for exports made on the spot; it
wants onnx and onnxruntime. Files are kept in --folder, outcomes written to --output.
"""

from __future__ import annotations

import argparse
import datetime
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime

from campaigns.models import report
from campaigns.models.sources import Source, exports, light, of_packages
from purecnn.backend import environment

ROOT = Path(__file__).parents[2]
#: Seconds that one model may take, with everything: of the processor, and of the clock.
LIMIT, PATIENCE = 300, 1800


def sources(arguments: argparse.Namespace) -> Iterator[Source]:
    """Yield the models that are asked for."""
    kinds = arguments.kind or list(report.TITLES)
    if "package" in kinds:
        yield from of_packages(arguments.folder)
    if "light" in kinds:
        yield from light()
    for kind in ("torch", "keras"):
        if kind in kinds:
            yield from exports(kind, getattr(arguments, kind), arguments.folder)


def tried(source: Source) -> dict[str, Any]:
    """Return the outcome of one model, tried in a process of its own."""
    outcome = {"kind": source.kind, "name": source.name}
    if not source.path.exists():
        return outcome | {"answered": "the file can't be had"}
    command = [sys.executable, "-m", "campaigns.models.trial", str(LIMIT), source.path, *source.shapes]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False
        )
    except subprocess.TimeoutExpired:
        return outcome | {"answered": f"more than {PATIENCE} s"}
    late = f"exit status {done.returncode}" if done.returncode else ""
    if done.returncode == -signal.SIGXCPU:
        late = f"more than {LIMIT} s of the processor"
    elif done.returncode == -signal.SIGKILL:
        late = "killed, as for memory"
    try:
        outcome |= json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip() or late).splitlines()[-1]
        return outcome | {"answered": late if done.returncode < 0 else last[:200]}
    if late:
        outcome["trains" if "network" in outcome else "network"] = late
    return outcome


def found_before(files: list[Path], commit: str) -> list[dict[str, Any]]:
    """Return what earlier runs found and wrote with ``--json``, which must be of the same commit.

    Raises
    ------
    ValueError
        If one is of another.
    """
    found = []
    for file in files:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["commit"] != commit:
            raise ValueError(f"{file} is of commit {told['commit']}, wanted one of {commit}")
        found += told["outcomes"]
    return found


def written(outcomes: list[dict[str, Any]], arguments: argparse.Namespace, commit: str) -> str:
    """Return the outcome as a page."""
    here = environment.machine()
    kinds = [kind for kind in report.TITLES if any(one["kind"] == kind for one in outcomes)]
    words = [word for kind in kinds for word in ("--kind", kind)] if len(kinds) < len(report.TITLES) else []
    told = " ".join(["python -m campaigns.models", *words])
    return (
        f"# Real ONNX files, {datetime.date.today():%Y-%m-%d}\n\n"
        f"Command `{told}` at commit `{commit}`, on {here['processor']}, {here['cores']} cores, "
        f"Python {here['python']}, NumPy {here['numpy']}, onnxruntime {onnxruntime.__version__}. "
        "An answer is right where it is off by at most 1e-3 of the largest value of that output, or of 0.01 "
        "(1e-2 in half precision, and where numbers become bytes on the way), and where whole numbers and "
        "texts are the same. A gradient is right where the slope of the answers along it, by differences in "
        "float64, is off by at most 0.1 %. A graph of several outputs is to become a network of the first.\n"
        "\n"
        f"{report.counts(outcomes)}\n\n"
        f"Operators not known, and how many files want each: {report.missing(outcomes)}.\n\n"
        f"{report.lines(outcomes)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", action="append", choices=list(report.TITLES), help="these alone")
    parser.add_argument("--only", default="", help="models alone whose name holds this")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "models", help="where files are kept")
    parser.add_argument("--torch", default="", help="a Python that has torch, torchvision and onnxscript")
    parser.add_argument("--keras", default="", help="a Python that has keras, tensorflow and tf2onnx")
    parser.add_argument("--output", type=Path, help="a folder for the outcome; it is printed if left out")
    parser.add_argument("--json", type=Path, help="a file for all that was found of each model")
    parser.add_argument(
        "--with", action="append", default=[], type=Path, dest="before", help="such a file, to be told of too"
    )
    arguments = parser.parse_args()
    commit = environment.commit() or "unknown"
    outcomes = found_before(arguments.before, commit)
    for source in sources(arguments):
        if arguments.only in source.name:
            outcomes.append(tried(source))
            print(f"{source.kind} {source.name}: {report.reason(outcomes[-1]) or 'right'}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"commit": commit, "outcomes": outcomes}, indent=1))
    page = written(outcomes, arguments, commit)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        path = arguments.output / f"{datetime.date.today():%Y-%m-%d}-{commit[:7]}-models.md"
        path.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
