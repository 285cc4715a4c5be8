"""The callback that sets the learning rate by a schedule."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import is_integer
from purecnn.callbacks.base import Callback
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.schedules import Schedule


class LearningRate(Callback):
    """Set an optimizer's learning rate before each step of one `fit`.

    After the last step the rate stays at what that step had, so that training may go on.

    Parameters
    ----------
    optimizer : Optimizer
        The one that `fit` gets too.
    schedule : callable
        From the progress to the rate.

    Examples
    --------
    >>> import numpy as np
    >>> from purecnn import Adam, Dense, Network
    >>> from purecnn.optimizers.schedules import Cosine
    >>> optimizer = Adam()
    >>> _ = Network([Dense(1, 1)]).fit(
    ...     np.ones((4, 1)),
    ...     np.ones((4, 1)),
    ...     loss="mse",
    ...     optimizer=optimizer,
    ...     batch_size=1,
    ...     callbacks=[LearningRate(optimizer, Cosine(0.1))],
    ... )
    >>> round(optimizer.learning_rate, 6)
    0.014645
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.optimizer, self.schedule = optimizer, schedule

    def begin(self, epochs: int, steps: int) -> None:
        """Set the first rate."""
        if "fit" in vars(self) and self.fit.optimizer is not self.optimizer:
            raise ValueError(
                f"LearningRate wants the optimizer that fit gets too, {self.fit.optimizer!r}, got another, "
                f"{self.optimizer!r}, whose rate would change nothing"
            )
        self.total, self.done = epochs * steps, 0
        self.optimizer.learning_rate = self.schedule(0.0)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Set the next step's rate."""
        self.done += 1
        if self.done < self.total:
            self.optimizer.learning_rate = self.schedule(self.done / self.total)

    def state(self) -> dict[str, Any]:
        """Return how many steps are done."""
        return {"done": self.done}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there; after the last step the optimizer has its rate already."""
        done = state["done"]
        if not is_integer(done) or not 0 <= done <= self.total:
            raise ValueError(f"done is {done!r:.100}, wanted a number of steps up to {self.total}")
        self.done = done
        if self.done < self.total:
            self.optimizer.learning_rate = self.schedule(self.done / self.total)
