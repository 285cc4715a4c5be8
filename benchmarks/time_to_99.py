"""Time to 99 %: ``purecnn train --recipe fast`` and the PyTorch program, whole processes in turns.

    python -m benchmarks.time_to_99 [--seeds 10]

The recipe was chosen on a split of the training set; the test set is touched once a seed, by the programs
themselves. Writes benchmarks/results/DATE-COMMIT-time-to-99.json and the table in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.comparisons import KEEP_MEMORY
from benchmarks.harness.rows import heading, keep, put_between
from benchmarks.harness.setup import write_idx
from benchmarks.harness.worker import ROOT

BAR, REACH = 0.7, 0.4


def timed(*arguments: str, **environment: str) -> tuple[str, float]:
    """Run a Python program; return what it printed and its seconds from start to end."""
    begin = time.perf_counter()
    found = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return found.stdout, time.perf_counter() - begin


def measure(seeds: int, folder: Path) -> list[dict[str, float]]:
    """Run both programs once a seed, the first of them in turn."""
    rows = []
    for seed in range(-1, seeds):  # one round to warm the disk's cache
        row: dict[str, float] = {"seed": seed}

        def ours(seed: int = seed, row: dict[str, float] = row) -> None:
            output = str(folder / "run")
            said, row["seconds"] = timed(
                "-m",
                "purecnn",
                "train",
                "--recipe",
                "fast",
                "--no-report",
                "--seed",
                str(max(seed, 0)),
                "--output",
                output,
            )
            row["accuracy"] = float(re.search(r"test accuracy ([\d.]+) %", said)[1])  # type: ignore[index]

        def torch(seed: int = seed, row: dict[str, float] = row) -> None:
            said, row["torch seconds"] = timed(
                "benchmarks/peers/torch_99.py", str(folder), "--seed", str(max(seed, 0)), **dict(KEEP_MEMORY)
            )
            row["torch accuracy"] = 100 * json.loads(said)["accuracy"]

        for program in (ours, torch) if seed % 2 else (torch, ours):
            program()
            time.sleep(0.3)
        if seed >= 0:
            rows.append(row)
            print(row, flush=True)
    return rows


def table(rows: list[dict[str, float]]) -> str:
    """Return the rows and what they come to, as a table in Markdown."""
    names = ("seed", "accuracy", "seconds", "torch accuracy", "torch seconds")
    lines = [
        "| seed | purecnn, % | seconds | PyTorch, % | seconds |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row['seed']:.0f} | {row['accuracy']:.2f} | {row['seconds']:.2f} "
            f"| {row['torch accuracy']:.2f} | {row['torch seconds']:.2f} |"
            for row in rows
        ),
    ]
    columns = {name: [row[name] for row in rows] for name in names[1:]}
    means = {name: statistics.mean(column) for name, column in columns.items()}
    medians = {name: statistics.median(column) for name, column in columns.items()}
    ratio = medians["seconds"] / medians["torch seconds"]
    met = means["accuracy"] >= 99.0 and ratio <= BAR
    lines += [
        f"| mean accuracy, median time | {means['accuracy']:.2f} | {medians['seconds']:.2f} "
        f"| {means['torch accuracy']:.2f} | {medians['torch seconds']:.2f} |",
        "",
        f"Ratio of the median times: {ratio:.2f} (bar {BAR}, reach for {REACH}, "
        f"the mean accuracy at least 99.0 %): {'met' if met else 'not met'}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    about = {**machine.describe(), "command": " ".join(sys.argv[1:])}
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(given.seeds, write_idx(Path(folder, "mnist")))
    text = table(rows)
    print(text)
    put_between(
        "<!-- time to 99: begin -->",
        "<!-- time to 99: end -->",
        f"{heading(about, 'benchmarks.time_to_99')}\n\n{text}",
    )
    keep(about, {**about, "rows": rows}, "time-to-99")


if __name__ == "__main__":
    main()
