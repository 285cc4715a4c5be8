"""The benchmark of architectures: a training step of each network of the literature beside PyTorch's.

    python -m benchmarks.architectures [--only NAME] [--rounds N] [--steps N] [--threads N] [--write]

Batches of 64 colour images of 32 x 32, Adam, each program in a process of its own, in turns. PyTorch's is
the faster of both memory layouts, with glibc's malloc told to keep its memory. The tests' fixtures hold the
networks to PyTorch's. With --write the table goes into docs/guides/architectures.md and the figures into
benchmarks/results.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.comparisons import KEEP_MEMORY, OURS, TORCH, TORCH_LAST, Comparison, Variant, Work
from benchmarks.harness.measure import compare, turns
from benchmarks.harness.rows import Row, duration, heading, keep, number, put_between
from purecnn.networks import ARCHITECTURES

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "architectures.md"
BATCH = 64
SLOWEST, MEDIAN = 0.9, 1.2  # no network slower than the first, and their median at least the second


def work(name: str, steps: int, threads: int) -> Work:
    """A training step of one network beside both layouts of PyTorch."""
    given = ("--threads", str(threads), "--batch", str(BATCH))
    torch = "benchmarks.peers.torch_architecture"
    variants = (
        Variant(OURS, "benchmarks.peers.purecnn_architecture", given),
        Variant(TORCH, torch, (*given, "--layout", "contiguous"), KEEP_MEMORY, ("torch",)),
        Variant(TORCH_LAST, torch, (*given, "--layout", "channels_last"), KEEP_MEMORY, ("torch",)),
    )
    return Work(name, name, "train", steps, variants, (Comparison(name, name, (TORCH, TORCH_LAST), SLOWEST),))


def measured(name: str, rounds: int, steps: int, threads: int) -> Row:
    """The row of one network."""
    asked = work(name, steps, threads)
    done = turns(asked, asked.variants, Path(name), rounds)
    row = compare(asked, asked.comparisons[0], done.seconds)
    row.programs, row.others = done.about, done.shares
    return row


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with the parameters and multiply-adds of each network."""
    lines = [
        "| network | parameters | multiply-adds | step of 64 images | PyTorch | times as fast |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = ARCHITECTURES[row.name]((3, 32, 32), 10, 0).summary()
        cells = [row.name, f"{found.parameters:,}", f"{found.multiply_adds:,}"]
        cells += [duration(row.measured[OURS]), row.peer, number(row.figures, "x")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=list(ARCHITECTURES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.only or ARCHITECTURES:
        rows.append(measured(name, given.rounds, given.steps, given.threads))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    ratios = [row.figure for row in rows if row.figure is not None]
    said = (
        f"slowest {min(ratios):.2f}x (bar {SLOWEST}), median {statistics.median(ratios):.2f}x (bar {MEDIAN})"
    )
    print(said)
    if given.write:
        about: dict[str, Any] = {**machine.describe(), "command": " ".join(sys.argv[1:])}
        text = f"{heading(about, 'benchmarks.architectures')}: {said}.\n\n{table(rows)}"
        put_between("<!-- architectures: begin -->", "<!-- architectures: end -->", text, PAGE)
        keep(about, {**about, "rows": [row.as_json() for row in rows]}, "architectures")


if __name__ == "__main__":
    main()
