"""Targets of training: labels, one-hot rows or values, as the loss wants them, and their strata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.losses.tasks import form_of
from purecnn.metrics.inputs import answers


@dataclass
class Targets:
    """What a network shall answer: integer labels ``(n,)``, or values sample first ``(n, outputs)``.

    Parameters
    ----------
    values : ndarray
        One of the two; labels as `numpy.intp`, floats ``(n,)`` as values ``(n, 1)``.
    weights : ndarray, optional
        How much each sample counts, ``(n,)`` float64; all alike if left out.
    """

    values: Array
    weights: Array | None = None

    def __post_init__(self) -> None:
        if self.values.ndim == 1 and self.values.dtype.kind == "f":
            self.values = self.values[:, np.newaxis]  # values of one output: as integers they would be others
        if self.are_labels:  # which are indices, on a device too, and not of every kind of integer
            self.values = self.values.astype(np.intp, copy=False)

    @classmethod
    def check(cls, y: Any, samples: int, outputs: int) -> Targets:
        """Return the targets of `samples` samples, first axis, for a network with `outputs` outputs.

        With one output they are ``(n,)`` or ``(n, 1)``; with more, integer labels ``(n,)``, also in a
        column ``(n, 1)``, or values ``(n, outputs)``. The values of a sample may have any shape: a column, or
        an image.

        Raises
        ------
        ValueError
            If their number differs from that of the samples, or a label lies outside the outputs.
        ShapeError
            If they are neither labels nor `outputs` values a sample.
        """
        array = as_array("y", y)
        if array.ndim == 0 or len(array) != samples:
            raise ValueError(
                f"x and y must have as many samples, got {samples} in x and y of shape {array.shape}"
            )
        if array.shape[1:] == (1,) and array.dtype.kind in "iu" and outputs > 1:
            array = array[:, 0]  # labels in a column, as Keras has them
        if array.ndim == 1 and array.dtype.kind in "iu" and outputs > 1:
            low, high = int(array.min()), int(array.max())
            if low < 0 or high >= outputs:
                raise ValueError(
                    f"labels must be from 0 to {outputs - 1}, one less than the network's {outputs} outputs; "
                    f"got {low if low < 0 else high}"
                )
            return cls(array)
        if array.size != samples * outputs:
            raise ShapeError(
                f"y must be integer labels of shape ({samples},) or values of shape ({samples}, {outputs}), "
                f"got {array.dtype} of shape {array.shape}"
            )
        return cls(array.reshape(samples, outputs))

    @property
    def are_labels(self) -> bool:
        """Whether they are integer labels."""
        return self.values.ndim == 1

    def batch(self, rows: Any, dtype: npt.DTypeLike) -> Array:
        """Return the targets of `rows`: labels ``(N,)`` or columns ``(outputs, N)``."""
        taken: Array = self.values[rows]
        return taken if self.are_labels else taken.T.astype(dtype)

    def weight(self, rows: Any) -> float:
        """Return how much the samples `rows` count in all: their number, where all count alike."""
        return float(len(rows) if self.weights is None else np.add.reduce(self.weights[rows]))

    def weighting(self, rows: Any) -> dict[str, Array]:
        """Return what a loss gets besides its two arguments: nothing where all samples count alike."""
        return {} if self.weights is None else {"sample_weight": self.weights[rows]}

    def classes(self) -> Array:
        """Return the class of each sample: its label, or its largest value, or whether it is above 0.5."""
        if self.are_labels:
            return self.values
        return answers(self.values)


def strata(targets: Targets) -> Array:
    """Return the class of each target: labels, or columns of zeros and ones; one class if they are values."""
    if form_of(targets.values) in ("shares", "values"):
        return np.zeros(len(targets.values), np.intp)
    return targets.classes()
