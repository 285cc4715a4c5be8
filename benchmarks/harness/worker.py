"""A benched program as a long-lived process that answers one JSON line for each JSON line it is asked.

Each program has a process of its own, so that thread pools and BLAS settings do not mix, and it sleeps in
`readline` while another is measured. `serve` is the program's side, `Worker` is the runner's.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.harness.memory import peak_memory

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 4096  # as many as the smallest data has, for predictions


class Program(Protocol):
    """What a worker may be asked; a program leaves out what it cannot do."""

    def losses(self, steps: int) -> list[float]:
        """The loss of each of so many optimizer steps."""

    def train(self, steps: int) -> float | None:
        """So many optimizer steps; returns the seconds of one, or None where the caller's clock says them."""

    def predict(self, start: int, count: int) -> np.ndarray:
        """Probabilities (count, classes) of the samples from start on."""

    def describe(self) -> dict[str, Any]:
        """Versions and settings worth recording."""


class StepByStep:
    """What trains a step at a time, each on the next batch."""

    def train_step(self) -> Any:
        """One optimizer step; returns the loss as the program has it."""
        raise NotImplementedError

    def loss_value(self, loss: Any) -> float:
        """That loss as a number."""
        return float(loss)

    def losses(self, steps: int) -> list[float]:
        return [self.loss_value(self.train_step()) for _ in range(steps)]

    def train(self, steps: int) -> float | None:
        for _ in range(steps):
            self.train_step()
        return None


class Batches:
    """The rows of one batch after another, epoch after epoch, the last short batch of each included."""

    def __init__(self, order: Any, size: int) -> None:
        self.order, self.size, self.epoch, self.at = order, size, 0, 0

    def next(self) -> Any:
        rows = self.order[self.epoch][self.at : self.at + self.size]
        self.at += self.size
        if self.at >= len(self.order[self.epoch]):
            self.epoch, self.at = (self.epoch + 1) % len(self.order), 0
        return rows


def answer(program: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked, and time it where time is what is asked for."""
    what = request["do"]
    if what == "losses":
        return {"losses": program.losses(request["steps"])}
    if what == "train":
        start = time.perf_counter()
        own = program.train(request["steps"])
        return {"seconds": own or (time.perf_counter() - start) / request["steps"]}
    if what == "outputs":
        return {"outputs": np.asarray(program.predict(0, request["count"])).tolist()}
    if what == "predict":
        count, repeats = request["count"], request["repeats"]
        start = time.perf_counter()
        for i in range(repeats):
            program.predict(i * count % IMAGES, count)
        return {"seconds": (time.perf_counter() - start) / repeats}
    if what == "memory":
        return {"megabytes": peak_memory()}
    if what == "describe":
        return program.describe()
    raise ValueError(f"asked for {what!r}; a worker knows losses, train, outputs, predict, memory, describe")


def serve(program: Any) -> None:
    """Answer on standard output until standard input ends; other output goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(program, json.loads(line))), file=replies, flush=True)


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the repository's packages on the path, and `extra`."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **(extra or {})}


class Worker:
    """The runner's end of one benched program."""

    def __init__(
        self,
        label: str,
        module: str,
        arguments: Sequence[str],
        extra: dict[str, str],
        python: str = sys.executable,
    ) -> None:
        self.label = label
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in close
        self.process = subprocess.Popen(
            [python, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env=environment(extra),
        )

    def ask(self, what: str, **options: Any) -> dict[str, Any]:
        """Ask and wait for the answer.

        Raises
        ------
        RuntimeError
            If the program ended instead, with what it had to say.
        """
        assert self.process.stdout is not None
        try:
            print(json.dumps({"do": what, **options}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"{self.label} ended while asked for {what!r}: {self.errors.read()[-2000:]}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """End the program by ending its input."""
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()  # closes the input, waits for the end
        self.errors.close()
