"""What tiles round, and whether that costs accuracy: the direct convolution, tiles along the rows, and along
both axes.

    python -m benchmarks.tiles [--seeds N] [--images N]

Errors are those of 64 maps of 12 x 12 against float64, in the outputs' standard deviation. Then the
CIFAR-10-sized network is trained on MNIST from the same seeds by each kind, wherever its geometry allows it,
and asked for the 10,000 test images once a seed; settings were not chosen by them.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.networks import CIFAR
from benchmarks.peers.purecnn_program import layers_of
from purecnn import Adam, Network, Softmax
from purecnn.backend.memory import Workspace
from purecnn.datasets import mnist
from purecnn.kernels import winograd, winograd_square
from purecnn.kernels.cpu import lay_out
from purecnn.kernels.geometry import Window

#: Each kind with what is worth it along the rows, and along both axes.
KINDS = {
    "direct": (math.inf, math.inf),
    "tiles along the rows": (-math.inf, math.inf),
    "tiles along both axes": (-math.inf, -math.inf),
}


@contextmanager
def only(kind: str) -> Iterator[None]:
    """Let convolutions be computed by one kind inside the block."""
    held = winograd.WORTH, winograd_square.WORTH, winograd_square.WORTH_COPIED
    rows, both = KINDS[kind]
    winograd.WORTH, winograd_square.WORTH, winograd_square.WORTH_COPIED = rows, both, both  # type: ignore[assignment]
    try:
        yield
    finally:
        winograd.WORTH, winograd_square.WORTH, winograd_square.WORTH_COPIED = held


def sums(kind: str, dtype: type) -> np.ndarray:
    """Return a convolution of what a rectified layer gives, 64 to 64 maps."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((12, 64, 12, 16)), 0).transpose(1, 0, 2, 3).astype(dtype)
    kernels = (rng.standard_normal((64, 64, 3, 3)) / 24).astype(dtype)
    workspace = Workspace()
    with only(kind):
        work = lay_out(x, 64, Window((3, 3), padding=((1, 1), (1, 1))), workspace)
        return work.forward(kernels, np.zeros(64, dtype)).astype(np.float64)


def accuracy(kind: str, seed: int, images: int) -> float:
    """Return the share of the test images that a network trained so gets right."""
    (x, y), (x_test, y_test) = mnist.load_data()
    with only(kind):
        network = Network([*layers_of(CIFAR), Softmax()], seed=seed)
        network.fit(x[:images], y[:images], epochs=2, batch_size=128, optimizer=Adam(1e-3))
        return network.evaluate(x_test, y_test)["accuracy"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=20_000)
    given = parser.parse_args()
    for name, value, most in (("seeds", given.seeds, 100), ("images", given.images, 60_000)):
        if not 1 <= value <= most:
            parser.error(f"--{name} must be from 1 to {most:,}, got {value}")
    os.environ["PURECNN_WORKERS"] = "threads"  # other processes would not see which kind is asked for
    exact = sums("direct", np.float64)
    about = machine.describe()
    command = f"python -m benchmarks.tiles --seeds {given.seeds} --images {given.images}"
    print(f"{about['date']}, commit {about['commit']}; {about['processor']}; `{command}`\n")
    seeds = " | ".join(f"seed {seed}" for seed in range(given.seeds))
    print(f"| kind | root mean square error | largest error | accuracy, % | {seeds} |")
    print("| --- " * (4 + given.seeds) + "|")
    for kind in KINDS:
        errors = abs(sums(kind, np.float32) - exact) / exact.std()
        found = [100 * accuracy(kind, seed, given.images) for seed in range(given.seeds)]
        each = " | ".join(f"{value:.2f}" for value in found)
        root = math.sqrt((errors**2).mean())
        print(f"| {kind} | {root:.2g} | {errors.max():.2g} | {np.mean(found):.2f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
