"""What may look on while a network trains: objects that `fit` calls after each step and each epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """What `fit` measured, one value an epoch.

    Attributes
    ----------
    loss : list of float
        Mean training loss, each batch measured before its step.
    validation_loss, validation_accuracy : list of float
        On the validation set after the epoch; empty if there is none.
    seconds : list of float
        Time of the epoch's training, without validation.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def line(self) -> str:
        """Return the last epoch in words.

        Examples
        --------
        >>> History(loss=[0.5], seconds=[2.0]).line()
        'loss 0.5000, 2.0 s'
        """
        words = [f"loss {self.loss[-1]:.4f}"]
        if self.validation_loss:
            words.append(f"validation loss {self.validation_loss[-1]:.4f}")
        if self.validation_accuracy:
            words.append(f"validation accuracy {100 * self.validation_accuracy[-1]:.2f} %")
        return ", ".join([*words, f"{self.seconds[-1]:.1f} s"])


class Callback:
    """Override what is of interest; all do nothing here."""

    def begin(self, epochs: int, steps: int) -> None:
        """`fit` begins: so many epochs of so many steps."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Step number `step` of the epoch is done; both count from 1."""

    def epoch(self, epoch: int, history: History) -> None:
        """An epoch is done, validation included."""


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Return `callbacks` as a list, if all of them are objects that `fit` can call."""
    if not isinstance(callbacks, Iterable) or not all(isinstance(one, Callback) for one in callbacks):
        raise TypeError(f"callbacks must be a list of Callback objects, got {callbacks!r}")
    return list(callbacks)


class PrintEpochs(Callback):
    """Print one line an epoch: what ``fit(verbose=True)`` does."""

    def begin(self, epochs: int, steps: int) -> None:
        """Keep the number of epochs."""
        self.epochs = epochs

    def epoch(self, epoch: int, history: History) -> None:
        """Print the line."""
        print(f"epoch {epoch}/{self.epochs}: {history.line()}", flush=True)
