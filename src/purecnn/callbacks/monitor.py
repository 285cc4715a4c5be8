"""Monitoring: what callbacks share that watch one measured value, and know when it improved."""

from __future__ import annotations

import math
from typing import Any

from purecnn.backend.checks import choice, is_integer, is_number, suggestion, within
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History


class Monitor(Callback):
    """Watches one measured value of a fit, and keeps its best.

    Of the package's metrics it knows which value is better; Keras guesses it from the name, and Lightning
    wants to be told.

    Parameters
    ----------
    monitor : str
        What to watch: "loss", the name of a metric that `fit` was asked for, or either on the validation set.
    min_delta : float
        A smaller change is no improvement; at least 0.
    mode : {"min", "max"} or None
        What an improvement is; None where the metric says so.

    Attributes
    ----------
    best : float
        The best value, NaN before the first epoch.
    best_epoch : int
        The epoch that it belongs to, counted from 1 in this fit; 0 before the first.
    """

    def __init__(self, monitor: str, min_delta: float, mode: str | None) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a measured value, got {monitor!r}")
        self.mode = None if mode is None else choice("mode", mode, ("min", "max"))
        self.monitor, self.min_delta = monitor, within("min_delta", min_delta, 0)

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
                f"to watch {self.monitor}, {type(self).__name__} wants mode='min' or mode='max', for it "
                f"can't know which values of it are better; got None"
            )
        self.sign = 1 if better == "max" else -1
        self.best, self.best_epoch = math.nan, 0

    def value(self, history: History) -> float:
        """Return what the last epoch's value is.

        Raises
        ------
        ValueError
            If it is no number.
        """
        value = history.values(self.monitor)[-1]
        if not is_number(value) and not isinstance(value, float):
            raise ValueError(f"to watch {self.monitor}, it must be one number an epoch, got {value!r:.100}")
        return value

    def is_better(self, value: float) -> bool:
        """Return whether a value is an improvement on the best; NaN never is."""
        change = self.sign * (value - self.best)
        return change > self.min_delta or (math.isnan(self.best) and not math.isnan(value))

    def state(self) -> dict[str, Any]:
        """Return the best value and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.best_epoch = self.count(state, "best_epoch", self.fit.epoch)
        if not isinstance(state["best"], int | float):
            raise TypeError(f"best is {state['best']!r:.100}, wanted a number")
        self.best = state["best"]

    def count(self, state: dict[str, Any], name: str, most: int) -> int:
        """Return a number of epochs that a state holds, once it is one."""
        value = state[name]
        if not is_integer(value) or not 0 <= value <= most:
            what = "up to this one" if most == self.fit.epoch else f"from 0 to {most}"
            raise ValueError(f"{name} is {value!r:.100}, wanted a number of epochs {what}")
        return int(value)
