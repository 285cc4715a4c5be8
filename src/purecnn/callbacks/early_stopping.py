"""Early stopping: end a training once its numbers on other data no longer improve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.checks import choice, is_integer, is_number, positive, suggestion, within
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History


class EarlyStopping(Callback):
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
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a measured value, got {monitor!r}")
        mode = None if mode is None else choice("mode", mode, ("min", "max"))
        self.monitor, self.patience = monitor, positive("patience", patience)
        self.min_delta = within("min_delta", min_delta, 0)
        self.mode = mode
        self.restore_best = restore_best

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit, and see that this one measures what is watched."""
        modes = self.fit.modes()
        if self.monitor not in modes:
            has_validation = self.fit.validation_data is not None
            lacking = self.monitor.startswith("validation_") and not has_validation
            known = [*modes, *(f"validation_{name}" for name in modes if not has_validation)]
            raise ValueError(
                f"to watch {self.monitor}, fit wants "
                + (
                    "validation_data, got none"
                    if lacking
                    else f"it among its metrics, which are {', '.join(modes)}"
                    + suggestion(self.monitor, known)
                )
            )
        better = self.mode or modes[self.monitor]
        if better is None:
            raise ValueError(
                f"to watch {self.monitor}, EarlyStopping wants mode='min' or mode='max', for it can't "
                f"know which values of it are better; got None"
            )
        self.sign = 1 if better == "max" else -1
        self.best, self.best_epoch, self.waited = math.nan, 0, 0
        self.kept: dict[str, Array] = {}

    def epoch(self, epoch: int, history: History) -> None:
        """Keep the parameters if this is the best epoch so far; ask for the end if it was too long ago."""
        value = history.values(self.monitor)[-1]
        if not is_number(value) and not isinstance(value, float):
            raise ValueError(f"to watch {self.monitor}, it must be one number an epoch, got {value!r:.100}")
        change = self.sign * (value - self.best)
        if change > self.min_delta or (math.isnan(self.best) and not math.isnan(value)):
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
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "kept": self.kept,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back, and ask for the end where it had been asked for."""
        for name in ("best_epoch", "waited"):
            if not is_integer(state[name]) or not 0 <= state[name] <= self.fit.epoch:
                raise ValueError(f"{name} is {state[name]!r:.100}, wanted a number of epochs up to this one")
        if not isinstance(state["best"], int | float):
            raise TypeError(f"best is {state['best']!r:.100}, wanted a number")
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
        wanted = {name: (array.shape, array.dtype) for name, array in self.arrays().items()}
        if self.best_epoch and self.restore_best:
            if {name: (array.shape, array.dtype) for name, array in state["kept"].items()} != wanted:
                raise ValueError("the best epoch's arrays are not those of this network")
            if not all(np.isfinite(array).all() for array in state["kept"].values()):
                raise ValueError("the best epoch's arrays hold numbers that are not finite")
            self.kept = state["kept"]
        self.decide()
