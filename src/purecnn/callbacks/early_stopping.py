"""Early stopping: end a training once its numbers on other data no longer improve."""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.checks import positive
from purecnn.backend.types import Array
from purecnn.callbacks.history import History
from purecnn.callbacks.monitor import Monitor


class EarlyStopping(Monitor):
    """End a fit once a measured value has not improved for some epochs.

    Of the package's metrics it knows which value is better; Keras guesses it from the name, and Lightning
    wants to be told.

    Parameters
    ----------
    monitor : str
        What to watch: "loss", the name of a metric that `fit` was asked for, or either on the validation set,
        such as "validation_loss", "validation_accuracy" of classes or "validation_r2" of values.
    patience : int
        Epochs without an improvement after which training ends, at least 1.
    min_delta : float
        A smaller change is no improvement; at least 0.
    mode : {"min", "max"}, optional
        What an improvement is; wanted for a metric of one's own, whose direction nobody else knows.
    restore_best : bool
        Whether the network gets the parameters and buffers of its best epoch back in the end. The
        optimizer's state and the counts of epochs and updates stay those of the last.

    Attributes
    ----------
    best : float
        The best value, NaN before the first epoch.
    best_epoch : int
        The epoch that it belongs to, counted from 1 in this fit; 0 before the first.
    waited : int
        Epochs since then.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument, and when `fit` begins, for a name that it will not measure, or one without a
        direction.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> stopping = EarlyStopping("loss", patience=2, min_delta=10.0)
    >>> x = [[0.0], [1.0]]
    >>> history = Network([Dense(1, 1)]).fit(x, x, loss="mse", epochs=9, callbacks=[stopping])
    >>> len(history.loss), stopping.best_epoch
    (3, 1)
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.patience = positive("patience", patience)
        self.restore_best = restore_best

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit, and see that this one measures what is watched."""
        super().begin(epochs, steps)
        self.waited = 0
        self.kept: dict[str, Array] = {}

    def epoch(self, epoch: int, history: History) -> None:
        """Keep the parameters if this is the best epoch so far; ask for the end if it was too long ago."""
        value = self.value(history)
        if self.is_better(value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            if self.restore_best:
                self.kept = {name: array.copy() for name, array in self.arrays().items()}
        else:
            self.waited += 1
        self.decide()

    def decide(self) -> None:
        """Ask for the end, if patience is at an end."""
        if self.waited >= self.patience:
            self.fit.stop(f"{self.monitor} has not improved for {self.waited} epochs")

    def end(self, history: History) -> None:
        """Give the network its best epoch back, unless an error ends the fit."""
        if self.fit.error is None:
            for name, array in self.arrays().items() if self.kept else ():
                array[...] = to_device(self.kept[name], module_of(array))

    def arrays(self) -> dict[str, Array]:
        """Return the network's own arrays: its parameters, and each layer's buffers."""
        network = self.fit.network
        return {"parameters": network.parameters} | {
            f"buffers.{place}.{name}": buffer
            for place, layer in enumerate(network)
            for name, buffer in layer.buffers.items()
        }

    def state(self) -> dict[str, Any]:
        """Return the best value and the arrays that belong to it."""
        return super().state() | {"waited": self.waited, "kept": self.kept}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back, and ask for the end where it had been asked for."""
        super().restore(state)
        self.waited = self.count(state, "waited", self.fit.epoch)
        wanted = {name: (array.shape, array.dtype) for name, array in self.arrays().items()}
        if self.best_epoch and self.restore_best:
            if {name: (array.shape, array.dtype) for name, array in state["kept"].items()} != wanted:
                raise ValueError("the best epoch's arrays are not those of this network")
            if not all(np.isfinite(array).all() for array in state["kept"].values()):
                raise ValueError("the best epoch's arrays hold numbers that are not finite")
            self.kept = state["kept"]
        self.decide()
