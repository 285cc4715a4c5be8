"""Reducing the learning rate on a plateau: smaller steps once larger ones no longer help."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import positive, within
from purecnn.callbacks.history import History
from purecnn.callbacks.learning_rate import LearningRate
from purecnn.callbacks.monitor import Monitor


class ReduceOnPlateau(Monitor):
    """Multiply the optimizer's learning rate by a factor once a measured value has not improved for a while.

    ``rate = max(min_rate, factor rate)`` after `patience` epochs without an improvement, and again after as
    many more. The rate stays where it is when `fit` ends.

    Parameters
    ----------
    monitor : str
        What to watch: "loss", the name of a metric that `fit` was asked for, or either on the validation set,
        such as "validation_loss" or "validation_accuracy".
    factor : float
        Above 0 and below 1.
    patience : int
        Epochs without an improvement after which the rate falls, at least 1.
    cooldown : int
        Epochs after a fall that do not count, at least 0: the smaller steps need time to show.
    min_rate : float
        The rate does not fall below it; at least 0.
    min_delta : float
        A smaller change is no improvement; at least 0.
    mode : {"min", "max"}, optional
        What an improvement is; wanted for a metric of one's own, whose direction nobody else knows.

    Attributes
    ----------
    best : float
        The best value, NaN before the first epoch.
    best_epoch : int
        The epoch that it belongs to, counted from 1 in this fit; 0 before the first.
    waited : int
        Epochs without an improvement since the best one or the last fall.
    cooling : int
        Epochs that are left of the cooldown.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument, and when `fit` begins, for a name that it will not measure, or beside a
        `LearningRate`, which sets the rate before each step.

    Notes
    -----
    The defaults of factor, patience and `min_delta` are those of Keras's ``ReduceLROnPlateau``. PyTorch's
    waits one epoch longer than its ``patience`` says, and measures its ``threshold`` as a share of the best
    value unless ``threshold_mode="abs"``. As in Keras, the epoch in which a cooldown ends counts again.

    Examples
    --------
    >>> from purecnn import SGD, Dense, Network
    >>> optimizer = SGD(0.1)
    >>> plateau = ReduceOnPlateau("loss", factor=0.5, patience=2, min_delta=10.0)
    >>> _ = Network([Dense(1, 1)]).fit(
    ...     [[0.0]], [[0.0]], loss="mse", epochs=5, optimizer=optimizer, callbacks=[plateau]
    ... )
    >>> optimizer.learning_rate
    0.025
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        cooldown: int = 0,
        min_rate: float = 0.0,
        min_delta: float = 1e-4,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.factor = within("factor", factor, 0, 1, open_low=True)
        self.patience, self.cooldown = positive("patience", patience), positive("cooldown", cooldown, least=0)
        self.min_rate = within("min_rate", min_rate, 0)

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit, and see that this one measures what is watched, and has no schedule."""
        if any(isinstance(one, LearningRate) for one in self.fit.callbacks):
            raise ValueError(
                "ReduceOnPlateau and LearningRate both set the learning rate: wanted one of them, got both"
            )
        super().begin(epochs, steps)
        self.waited = self.cooling = 0

    def epoch(self, epoch: int, history: History) -> None:
        """Let the rate fall, if the last improvement was too long ago."""
        value = self.value(history)
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.is_better(value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
        elif not self.cooling:
            self.waited += 1
            if self.waited >= self.patience:
                optimizer = self.fit.optimizer
                # A rate that began below the bound stays: it must not rise.
                optimizer.learning_rate = min(
                    optimizer.learning_rate, max(self.min_rate, self.factor * optimizer.learning_rate)
                )
                self.waited, self.cooling = 0, self.cooldown

    def state(self) -> dict[str, Any]:
        """Return the best value, and how long it is waited; the rate is the optimizer's."""
        return super().state() | {"waited": self.waited, "cooling": self.cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        super().restore(state)
        self.waited = self.count(state, "waited", self.fit.epoch)
        self.cooling = self.count(state, "cooling", self.cooldown)
