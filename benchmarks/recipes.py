"""What the recipes reach: ``purecnn train --recipe NAME``, once a seed, each a whole process.

    python -m benchmarks.recipes [NAME ...] [--seeds 5] [--data FOLDER]

Recipes were chosen on a split of the training set; here each is trained on all of it, and the test set
decides nothing: what counts is the network that the last epoch left. FOLDER holds the files of the recipe's
data set, where they are not in the cache. Writes benchmarks/results/DATE-COMMIT-recipes-NAMES.json and the
recipes' lines of the table in docs/guides/command-line.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.rows import heading, keep
from benchmarks.harness.worker import ROOT
from benchmarks.time_to_99 import timed
from purecnn.networks import NETWORKS
from purecnn.runs import RECIPES

DOCUMENT = ROOT / "docs" / "guides" / "command-line.md"
BEGIN, END = "<!-- recipes: begin -->", "<!-- recipes: end -->"
HEADINGS = "| recipe | data | parameters | test accuracy, % (mean, range) | time of a run | command |"


def measure(name: str, seeds: int, data: str | None) -> dict[str, Any]:
    """Train a recipe once a seed; return what each run reached and how long its process took."""
    found: dict[str, Any] = {"recipe": name, "accuracy": [], "seconds": [], "loss": []}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            given = ["--no-report", *(["--data", data] if data else [])]
            command = ["-m", "purecnn", "train", "--recipe", name, "--seed", str(seed), "--output", folder]
            _, seconds = timed(*command, *given)
            result = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))["result"]
        found["accuracy"].append(100 * result["test_accuracy"])
        found["loss"].append(result["test_loss"])
        found["seconds"].append(seconds)
        print(f"{name}, seed {seed}: {found['accuracy'][-1]:.2f} % in {seconds:.1f} s", flush=True)
        time.sleep(0.3)
    return found


def line(found: dict[str, Any]) -> str:
    """Return a recipe's line of the table."""
    recipe, accuracy = RECIPES[found["recipe"]], found["accuracy"]
    parameters = NETWORKS[recipe.network]((1, 28, 28), 10, 0).parameters.size
    seconds = statistics.median(found["seconds"])
    shown = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"
    return (
        f"| `{found['recipe']}` | {recipe.data} | {parameters:,} | {statistics.mean(accuracy):.2f} "
        f"({min(accuracy):.2f} to {max(accuracy):.2f}) | {shown} "
        f"| `purecnn train --recipe {found['recipe']}` |"
    )


def written(lines: dict[str, str]) -> None:
    """Put lines into the readme's table, in the recipes' order, beside those that are there."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    held = {row.split("`")[1]: row for row in table.splitlines() if row.startswith("| `")} | lines
    rows = [
        HEADINGS,
        "|" + " --- |" * (HEADINGS.count("|") - 1),
        *(held[name] for name in RECIPES if name in held),
    ]
    DOCUMENT.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; all if left out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", help="where the recipe's data set lies")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in RECIPES]
    if unknown:
        raise SystemExit(f"no recipe named {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    about = {
        **machine.describe(),
        "command": " ".join("FOLDER" if w == given.data else w for w in sys.argv[1:]),
    }
    found = [measure(name, given.seeds, given.data) for name in given.names or RECIPES]
    lines = {one["recipe"]: line(one) for one in found}
    print(heading(about, "benchmarks.recipes"), "", *lines.values(), sep="\n")
    written(lines)
    names = "-".join(one["recipe"] for one in found)
    keep(about, {**about, "recipes": found}, f"recipes-{names}")


if __name__ == "__main__":
    main()
