"""Evaluation on several sets after each epoch: learning curves.

A curve of what is learnt and one of what holds on other data tell together whether to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.losses.base import Loss
from purecnn.metrics.target_scaling import TargetScaling

#: What is measured in the unit of the answers, and how these are called beside the same of scaled ones.
UNITS, UNIT = ("mean_absolute_error", "root_mean_squared_error"), "unscaled "


class Evaluations(Callback):
    """Loss and metrics of the task on several sets after each epoch, on at most so many samples of each.

    Unlike ``fit(metrics=...)`` it need not pass over a whole training set; what it finds is part of a
    checkpoint.

    Parameters
    ----------
    sets : dict
        Name to samples and answers, as `Network.evaluate` takes them.
    loss : str, Loss or callable, optional
        As `Network.evaluate` takes it.
    unit : TargetScaling, optional
        What the answers were scaled by: errors are then measured as if they had not been.
    samples : int
        Of each set at most, evenly spread.
    threads : int, optional
        Number of worker threads.

    Attributes
    ----------
    found : dict
        Name to what `Network.evaluate` measures, such as ``{"loss": [...], "accuracy": [...]}``, one value an
        epoch.
    samples : dict
        Name to how many samples are looked at.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> watch = Evaluations({"training": ([[0.0], [1.0]], [[0.0], [1.0]])}, loss="mse")
    >>> history = Network([Dense(1, 1)]).fit([[0.0], [1.0]], [[0.0], [1.0]], loss="mse", callbacks=[watch])
    >>> len(watch.found["training"]["loss"]), watch.samples
    (1, {'training': 2})
    """

    def __init__(
        self,
        sets: Mapping[str, tuple[Any, Any]],
        *,
        loss: str | Loss | None = None,
        samples: int = 5000,
        unit: TargetScaling | None = None,
        threads: int | None = None,
    ) -> None:
        self.sets = {name: spread(np.asarray(x), np.asarray(y), samples) for name, (x, y) in sets.items()}
        self.samples = {name: len(x) for name, (x, _) in self.sets.items()}
        self.loss, self.threads = loss, threads
        self.metrics = {} if unit is None else {UNIT + name: unit.measured(name) for name in UNITS}
        self.found: dict[str, dict[str, list[float]]] = {}

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit."""
        self.found = {name: {} for name in self.sets}

    def epoch(self, epoch: int, history: History) -> None:
        """Measure each set."""
        for name, (x, y) in self.sets.items():
            measured: dict[str, Any] = self.fit.network.evaluate(
                x, y, loss=self.loss, metrics=self.metrics, threads=self.threads
            )
            measured |= {kind: measured.pop(UNIT + kind) for kind in UNITS if self.metrics}
            for kind, value in measured.items():
                self.found[name].setdefault(kind, []).append(value)

    def state(self) -> dict[str, Any]:
        """Return what was found."""
        return {"found": self.found}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.found = {
            name: {str(kind): list(map(float, values)) for kind, values in state["found"][name].items()}
            for name in self.sets
        }
        for lists in self.found.values():
            for kind, values in lists.items():
                if len(values) != self.fit.epoch:
                    raise ValueError(f"{kind!s:.100} has {len(values)} values, wanted {self.fit.epoch}")


def spread(x: Array, y: Array, most: int) -> tuple[Array, Array]:
    """Return at most so many samples and answers, evenly spread."""
    if len(x) <= most:
        return x, y
    rows = np.arange(most) * len(x) // most
    return x[rows], y[rows]
