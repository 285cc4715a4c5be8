"""Scaling of regression targets: they are learnt with mean 0 and variance 1, whatever their unit.

Else the unit, and not the data, decides whether a learning rate is too small or too large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.types import Array
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.metrics.regression import mean_absolute_error, root_mean_squared_error


@dataclass(frozen=True, eq=False)
class TargetScaling:
    """Mean and standard deviation of the targets, one of each output.

    Parameters
    ----------
    mean, scale : ndarray
        What is taken off the targets, and what they are then divided by.

    Examples
    --------
    >>> scaling = TargetScaling.of(np.array([10.0, 30.0]))
    >>> scaling.apply(np.array([10.0, 30.0]))
    array([-1.,  1.])
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, y: Array, sample_weight: Array | None = None) -> Self:
        """Return the scaling of targets ``(n,)`` or ``(n, outputs)``; what never changes is not divided.

        Raises
        ------
        ValueError
            If their squares are more than float64 holds.
        """
        y = y.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(y, axis=0, weights=sample_weight)
            scale = np.sqrt(np.average(np.square(y - mean), axis=0, weights=sample_weight))
        if not np.isfinite(scale).all():
            largest = float(np.abs(y).max())
            raise ValueError(f"y must hold numbers of at most 1e+150 in size, got {largest:g}")
        return cls(mean, np.where(scale > 10 * np.finfo(y.dtype).eps * np.abs(mean), scale, 1.0))

    def apply(self, y: Array) -> Array:
        """Return targets with mean 0 and variance 1."""
        scaled: Array = (y.astype(np.float64) - self.mean) / self.scale
        return scaled

    def undo(self, y: Array) -> Array:
        """Return what scaled targets are in their own unit."""
        own: Array = y * self.scale + self.mean
        return own

    def measured(self, name: str) -> Callable[[Any, Any], float]:
        """Return a metric of scaled values that measures in their own unit."""
        metric = {
            "mean_absolute_error": mean_absolute_error,
            "root_mean_squared_error": root_mean_squared_error,
        }[name]
        return lambda y_true, y_pred: metric(self.undo(y_true), self.undo(y_pred))

    def fold(self, last: Layer) -> None:
        """Change a last dense layer so that it answers in the unit of the targets.

        Raises
        ------
        TypeError
            If the layer is no dense one, or has no biases.
        """
        if not isinstance(last, Dense):
            raise TypeError(f"scaled targets want Dense as the last layer, got {type(last).__name__}")
        if not last.bias:
            raise TypeError(f"scaled targets want biases in the last layer, to add their mean, got {last}")
        weights, biases = last.parameters["weights"], last.parameters["biases"]
        with np.errstate(over="ignore"):  # `save` refuses a parameter that is infinite
            scale, mean = (
                to_device(np.reshape(values, (-1, 1)).astype(weights.dtype), module_of(weights))
                for values in (self.scale, self.mean)
            )
            weights *= scale
            biases *= scale
            biases += mean
