"""Progress bar of a training.

Training takes a while, so whoever waits is shown how far it is, how fast, and whether it learns.
"""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.cli.terminal import Terminal


class ProgressBar(Callback):
    """A bar that shows epoch, step, loss and images a second, and leaves one line an epoch behind.

    Where the output is no terminal only the lines are printed. Use it in a ``with`` statement.

    Parameters
    ----------
    samples : int
        In the training set.
    step_size : int
        Samples a step.
    """

    def __init__(self, samples: int, step_size: int) -> None:
        self.samples, self.step_size = samples, step_size
        self.console = Terminal()
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            refresh_per_second=4,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin(self, epochs: int, steps: int) -> None:
        """Draw the bar: empty, or as far as the run that is resumed."""
        self.epochs, self.loss, self.start = epochs, math.nan, time.perf_counter()
        before, epoch = self.fit.epoch * steps + self.fit.step, min(self.fit.epoch + 1, epochs)
        self.before = self.fit.epoch * self.samples + min(self.fit.step * self.step_size, self.samples)
        self.task = self.bar.add_task(
            "", total=epochs * steps, completed=before, epoch=f"{epoch}/{epochs}", state=""
        )

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Move on by one step; the loss shown is a running mean."""
        self.loss = loss if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * loss
        done = (epoch - 1) * self.samples + min(step * self.step_size, self.samples)
        speed = (done - self.before) / (time.perf_counter() - self.start)
        state = f"loss {self.loss:.4f}  {speed:,.0f} images/s"
        self.bar.update(self.task, advance=1, epoch=f"{epoch}/{self.epochs}", state=state)

    def epoch(self, epoch: int, history: History) -> None:
        """Print the epoch's line."""
        self.console.print(f"epoch {epoch}/{self.epochs}: {history.line()}")
