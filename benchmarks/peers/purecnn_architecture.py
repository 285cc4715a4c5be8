"""purecnn's side of the benchmark of architectures: a network by name, trained by `Network.fit`."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import purecnn
from benchmarks.harness.setup import patterns
from benchmarks.harness.worker import serve
from purecnn.networks import ARCHITECTURES


class Architecture:
    """A network of that name; a step is the second epoch's time by its steps, as the history has it."""

    def __init__(self, name: str, threads: int, batch: int) -> None:
        self.network, self.threads, self.batch = ARCHITECTURES[name]((3, 32, 32), 10, 0), threads, batch

    def train(self, steps: int) -> float:
        """Train one epoch that warms up, and one of so many steps."""
        x, y = patterns((3, 32, 32), steps * self.batch)
        history = self.network.fit(
            x, y, epochs=2, batch_size=self.batch, learning_rate=1e-3, threads=self.threads
        )
        return history.seconds[1] / steps

    def describe(self) -> dict[str, Any]:
        return {"purecnn": purecnn.__version__, "numpy": np.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(ARCHITECTURES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    serve(Architecture(given.name, given.threads, given.batch))


if __name__ == "__main__":
    main()
