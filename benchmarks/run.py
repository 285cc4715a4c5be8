"""The runner of the benchmark.

    python -m benchmarks.run [--quick] [--only NAME] [--rounds N] [--avx2]

A full run writes benchmarks/results/DATE-COMMIT.json and the table in benchmarks/README.md; --only, --quick
and --avx2 print their rows alone. --quick measures ours without the peers, in about a minute; beside the
original algorithm too, which wants NumPy alone, and SciPy for its convolutions.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import machine, setup
from benchmarks.harness.comparisons import ORIGINAL, WORKS, Work, avx2_only
from benchmarks.harness.environments import peers_versions
from benchmarks.harness.measure import side_by_side
from benchmarks.harness.rows import Row, heading, keep, put_between, table
from benchmarks.harness.worker import ROOT
from benchmarks.processes import import_row, memory_row, share_row

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
QUICK_WORKS = {
    "lenet-128",
    "lenet-32",
    "lenet-5",
    "keras",
    "torch-example",
    "cifar",
    "vgg",
    "resnet-20",
    "original",
    "xor",
    "inference",
    "latency",
}


class Places:
    """The folders that programs read their networks from, written when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train, _ = setup.mnist()
        self.made: dict[str, Path] = {}

    def __call__(self, name: str) -> Path:
        if name not in self.made:
            self.made[name] = setup.write(name, self.folder, self.train)
        return self.made[name]


def beside_the_original(work: Work) -> Work:
    """The work without the peers of a full run: ours and, where it can run, the original algorithm."""
    compared = tuple(one for one in work.comparisons if one.peers == (ORIGINAL,))
    needs_scipy = work.name == "original"
    if not compared or (needs_scipy and importlib.util.find_spec("scipy") is None):
        return replace(work, variants=work.variants[:1])
    return replace(work, variants=work.variants[:2], comparisons=compared)


def jobs(given: argparse.Namespace, places: Places) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """Name and measurement of everything that was asked for."""
    rounds, peers, few = given.rounds, not given.quick, max(1, given.rounds // 2)

    def beside(work: Work) -> list[Row]:
        at_hand = work if peers else beside_the_original(work)
        return side_by_side(at_hand, places(work.network), rounds, len(at_hand.variants) > 1)

    for work in WORKS:
        if peers or work.name in QUICK_WORKS:
            yield work.name, partial(beside, work)
    yield "share", lambda: [share_row(places("lenet"), few)]
    yield "import", lambda: [import_row(5 if given.quick else 3 * rounds)]
    yield "memory", lambda: [memory_row(places("lenet"), peers)]


def measure(given: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """Every row that was asked for, each printed as it comes, and the names of those that failed."""
    rows: list[Row] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        known = []
        for name, job in jobs(given, Places(Path(folder))):
            known.append(name)
            if given.only and name not in given.only:
                continue
            try:
                found = job()
            except RuntimeError as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed.append(name)
                continue
            for row in found:
                print("; ".join(cell for cell in row.cells() if cell), flush=True)
            if found[0].same:
                print(f"    {found[0].same}", flush=True)
            rows += found
    unknown = [name for name in given.only if name not in known]
    if unknown:
        raise SystemExit(f"no work named {', '.join(unknown)}; there are {', '.join(known)}")
    return rows, failed


def write(rows: list[Row], about: dict[str, Any]) -> Path:
    """Write the results file and put the table between the markers of the readme."""
    path = keep(about, {**about, "rows": [row.as_json() for row in rows]})
    put_between(BEGIN, END, f"{heading(about, 'benchmarks.run')}\n\n{table(rows)}")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ours alone, in about a minute")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this work; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="turns of every program (default 7; 3 with --quick)")
    parser.add_argument("--avx2", action="store_true", help="force AVX2 on every program of every row")
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 7)
    about = machine.describe()
    if not given.quick:
        others = {name: version for name, version in peers_versions().items() if name != "numpy"}
        about["versions"] |= others
    about["command"] = " ".join(sys.argv[1:])
    if given.avx2:
        os.environ.update(avx2_only())  # for the programs to be started
    rows, failed = measure(given)
    print()
    print(table(rows))
    if failed:
        raise SystemExit(f"\nnothing written: {', '.join(failed)} failed")
    if not (given.quick or given.only or given.avx2):
        print(f"\nwritten to {write(rows, about).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
