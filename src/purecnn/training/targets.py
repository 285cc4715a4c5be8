"""Targets of training: labels, one-hot rows or values, as the loss wants them, and their strata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, check_range
from purecnn.backend.types import Array, Shape
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
    def check(cls, y: Any, samples: int, output_shape: Shape, dtype: npt.DTypeLike = np.float64) -> Targets:
        """Return the targets of `samples` samples, first axis, for a network with outputs of a shape.

        With one output they are ``(n,)`` or ``(n, 1)``; with more, integer labels ``(n,)``, also in a
        column ``(n, 1)``, or values ``(n, outputs)``. The values of a sample may have the outputs' shape or
        lie in a row; of outputs in a row they may have any shape, an image's say.

        Raises
        ------
        ValueError
            If their number differs from that of the samples, a label lies outside the outputs, or a value
            outside the range of `dtype`, the network's.
        ShapeError
            If they are neither labels nor a value for each output.
        """
        outputs = math.prod(output_shape)
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
        check_axes(array.shape, output_shape)
        check_range("y", array, dtype)
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


def check_axes(shape: Shape, output_shape: Shape) -> None:
    """Refuse targets of as many values as the outputs whose axes are others: a reshape would mix them.

    Raises
    ------
    ShapeError
        If both are maps, and of different shapes.

    Examples
    --------
    >>> check_axes((9, 2, 4, 5), (2, 4, 5)), check_axes((9, 40), (2, 4, 5)), check_axes((9, 4, 10), (40,))
    (None, None, None)
    >>> check_axes((9, 4, 5, 2), (2, 4, 5))
    Traceback (most recent call last):
    purecnn.errors.ShapeError: y must have shape (n, 2, 4, 5) or (n, 40), the samples first, got \
(9, 4, 5, 2): \
its channels are last, y.transpose(0, 3, 1, 2) moves them
    """
    given, wanted = (tuple(size for size in sizes if size > 1) for sizes in (shape[1:], output_shape))
    if given == wanted or min(len(given), len(wanted)) < 2:
        return
    last = len(output_shape) == 3 and shape[1:] == (*output_shape[1:], output_shape[0])
    raise ShapeError(
        f"y must have shape (n, {', '.join(map(str, output_shape))}) or (n, {math.prod(output_shape)}), the "
        f"samples first, got {shape}"
        + (": its channels are last, y.transpose(0, 3, 1, 2) moves them" if last else "")
    )


def strata(targets: Targets) -> Array:
    """Return the class of each target: labels, or columns of zeros and ones; one class if they are values."""
    if form_of(targets.values) in ("shares", "values"):
        return np.zeros(len(targets.values), np.intp)
    return targets.classes()
