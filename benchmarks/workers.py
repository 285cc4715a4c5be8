"""What each kind of worker costs to start, and how long a step takes with it, turn by turn.

    python -m benchmarks.workers [--rounds 5] [--steps 60]

A start is that of the whole trainer until its workers are ready. The kinds take turns within each round, so
that what else runs on the machine meets all of them; the fastest tenth is what it disturbed least.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict

import numpy as np

from benchmarks.harness.disturbance import Disturbance
from purecnn import Adam, Convolutional, Dense, Dropout, Flatten, MaxPooling, Network, ReLU, Softmax
from purecnn.backend.overflow import unwarned
from purecnn.backend.processes import VARIABLE, WorkerKind, can_fork
from purecnn.datasets import mnist
from purecnn.losses import as_loss
from purecnn.networks import lenet
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings

BATCH = 128


def convnet() -> Network:
    """Return Keras's MNIST convnet."""
    layers = [Convolutional(kernel_size=3, depth=32), ReLU(), MaxPooling(2)]
    layers += [Convolutional(kernel_size=3, depth=64), ReLU(), MaxPooling(2)]
    return Network([*layers, Flatten(), Dropout(0.5), Dense(output_size=10), Softmax()])


NETWORKS = {"LeNet 8-16": lenet, "Keras's convnet": convnet}


def turn(name: str, kind: str, steps: int) -> tuple[float, list[float]]:
    """Return the seconds that a start and each of some steps take."""
    network = NETWORKS[name]()
    x, y = mnist.load_data()[0]
    rows = network.as_rows(x)
    targets = network.targets(y, len(rows))
    settings = FitSettings(
        loss=as_loss("categorical_cross_entropy"), optimizer=Adam(), batch_size=BATCH, threads=workers(kind)
    )
    os.environ[VARIABLE] = kind if kind != "alone" else "threads"
    with unwarned():
        begin = time.perf_counter()
        trainer = HostTrainer(network, rows, targets, settings)
        started = time.perf_counter() - begin
        found = []
        with trainer:
            for step in range(steps):
                batch = np.arange(step * BATCH, (step + 1) * BATCH)
                begin = time.perf_counter()
                trainer.step(batch)
                found.append(time.perf_counter() - begin)
    return started, found[5:]


def workers(kind: str) -> int:
    """Return how many workers a kind has: the caller alone, or two."""
    return 1 if kind == "alone" else 2


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    kinds = ["alone", *WorkerKind] if can_fork() else ["alone", "spawn", "threads"]
    watch = Disturbance([])
    print("| network | workers | start, ms, tenth (median) | step, ms, tenth (median) |\n|---|---|---|---|")
    for name in NETWORKS:
        starts, steps = defaultdict(list), defaultdict(list)
        for _ in range(given.rounds):
            for kind in kinds:
                started, step = turn(name, kind, given.steps)
                starts[kind].append(1e3 * started)
                steps[kind] += [1e3 * seconds for seconds in step]
        for kind in kinds:
            cells = (
                "{:.2f} ({:.2f})".format(*np.quantile(f, [0.1, 0.5])) for f in (starts[kind], steps[kind])
            )
            print(f"| {name} | {kind} | {' | '.join(cells)} |", flush=True)
    print(f"\nOthers took {100 * watch.share():.0f} % of the cores.")


if __name__ == "__main__":
    main()
