"""At which batch size accuracy suffers: the time that more ranks save is bought with larger batches.

    python -m benchmarks.batch_sizes [--seeds 2] [--epochs 3]

LeNet on 50,000 images of MNIST's training set, measured on the other 10,000; the test set is not touched.
Each batch size takes the best of several learning rates, from the recipe's own up, since a larger batch wants
a larger one (Goyal et al. 2017, https://arxiv.org/abs/1706.02677). Writes its table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.rows import heading, keep, put_between
from benchmarks.ranks import PAGE
from purecnn import Adam, LearningRate, stratified_split
from purecnn.datasets import mnist
from purecnn.networks import NETWORKS
from purecnn.optimizers.schedules import OneCycle

SIZES = (128, 512, 2048, 8192)
RATES = (0.01, 0.02, 0.04)


def accuracy(size: int, rate: float, seed: int, epochs: int) -> float:
    """Return the percentage of held out images that are named rightly."""
    (x, y), _ = mnist.load_data()
    kept, held = stratified_split(y, 1 / 6, 0)
    network, optimizer = NETWORKS["lenet"]((1, 28, 28), 10, seed), Adam(rate)
    network.fit(
        x[kept],
        y[kept],
        epochs=epochs,
        batch_size=size,
        optimizer=optimizer,
        callbacks=[LearningRate(optimizer, OneCycle(rate))],
    )
    return 100 * float(network.evaluate(x[held], y[held])["accuracy"])


def main() -> None:
    """Train all, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    about = {**machine.describe(), "command": " ".join(sys.argv[1:])}
    found: list[dict[str, Any]] = []
    for size in SIZES:
        for rate in RATES:
            reached = [accuracy(size, rate, seed, given.epochs) for seed in range(given.seeds)]
            found.append({"size": size, "rate": rate, "accuracy": reached})
            print(size, rate, [round(one, 2) for one in reached], flush=True)
    lines = [
        f"{heading(about, 'benchmarks.batch_sizes')} {given.epochs} epochs, {given.seeds} seeds.",
        "",
        "| batch | steps | best of the rates | accuracy on 10,000 held out images, % (mean, range) |",
        "| --- | --- | --- | --- |",
    ]
    for size in SIZES:
        best = max(
            (one for one in found if one["size"] == size), key=lambda one: statistics.mean(one["accuracy"])
        )
        reached, steps = best["accuracy"], given.epochs * -(-50_000 // size)
        lines.append(
            f"| {size:,} | {steps:,} | {best['rate']:g} | {statistics.mean(reached):.2f} "
            f"({min(reached):.2f} to {max(reached):.2f}) |"
        )
    print("\n".join(lines))
    put_between("<!-- batches: begin -->", "<!-- batches: end -->", "\n".join(lines), PAGE)
    keep(about, {**about, "found": found}, "batch-sizes")


if __name__ == "__main__":
    main()
