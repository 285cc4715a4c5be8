"""Inputs of metrics: labels, one-hot rows, probabilities and lone outputs in one form.

Metrics take labels, one-hot rows, probabilities and lone outputs alike: here these become one form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, positive
from purecnn.backend.overflow import without_warnings
from purecnn.backend.types import Array
from purecnn.errors import ShapeError


def as_rows(name: str, values: npt.ArrayLike) -> Array:
    """Return an array of one or two axes, the samples first; a column of integers as labels ``(n,)``."""
    array = as_array(name, values)
    if array.ndim not in (1, 2):
        raise ShapeError(f"{name} must be labels (n,) or rows (n, classes), got shape {array.shape}")
    if array.ndim == 1 and array.dtype.kind == "f" and not (array.min() >= 0 and array.max() <= 1):
        worst = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{name} of shape (n,) must be integer labels or floats from 0 to 1, got {worst:g}")
    if array.dtype.kind in "iub" and array[0].size == 1:
        if array.min() < 0:
            raise ValueError(f"{name} must hold labels of at least 0, got {array.min()}")
        array = array.reshape(-1).astype(np.intp)
    return array


def as_labels(rows: Array) -> tuple[Array, int]:
    """Return the labels ``(n,)`` of what `as_rows` gave, and the number of classes, 0 if it does not say."""
    if rows.ndim == 1 and rows.dtype.kind == "i":
        return rows, 0
    return answers(rows), max(2, rows[0].size)


def as_weights(sample_weight: npt.ArrayLike | None, samples: int) -> Array:
    """Return the samples' weights ``(n,)``; ones, as integers, where there are none."""
    if sample_weight is None:
        return np.ones(samples, np.int64)
    weights = as_array("sample_weight", sample_weight).astype(np.float64)
    if weights.shape != (samples,):
        raise ShapeError(f"sample_weight must have shape ({samples},), got {weights.shape}")
    if weights.min() < 0 or not weights.any():
        given = f"{weights.min():g}" if weights.min() < 0 else "zeros alone"
        raise ValueError(f"sample_weight must hold no negative number and one above 0, got {given}")
    return weights


def as_known(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    classes: int | None,
    sample_weight: npt.ArrayLike | None,
) -> tuple[Array, Array, int, Array]:
    """Return true labels, predicted labels, the number of classes and the weights."""
    (t, k), (p, m) = (as_labels(as_rows(*given)) for given in (("y_true", y_true), ("y_pred", y_pred)))
    if len(t) != len(p):
        raise ValueError(f"y_true and y_pred must have as many samples, got {len(t)} and {len(p)}")
    most = int(max(t.max(), p.max()))
    count = max(k, m) or most + 1
    if classes is not None:
        count = positive("classes", classes)
    elif k and m and k != m:
        raise ShapeError(f"y_true and y_pred must have as many classes, got {k} and {m}")
    if most >= count:
        raise ValueError(f"labels must be from 0 to {count - 1}, got {most}")
    return t, p, count, as_weights(sample_weight, len(t))


def as_scores(y_pred: npt.ArrayLike) -> Array:
    """Return rows ``(n, classes)``; of a lone output p, ``(1 - p, p)``."""
    p = as_rows("y_pred", y_pred)
    if p.dtype.kind != "f":
        if p.ndim == 1:
            raise ShapeError("y_pred must hold a number for each class, (n, classes), got labels (n,)")
        p = p.astype(np.float64)
    if p[0].size == 1:
        p = p.reshape(-1, 1)
        p = np.hstack([1 - p, p])
    return p


@without_warnings
def checked_probabilities(y_pred: npt.ArrayLike) -> Array:
    """Return rows of probabilities in their own dtype."""
    p = as_scores(y_pred)
    sums, near = p.sum(axis=1, dtype=np.float64), float(np.sqrt(np.finfo(p.dtype).eps))
    wrong = (np.abs(sums - 1) > near) | (p.min(axis=1) < 0) | (p.max(axis=1) > 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"y_pred must hold probabilities, from 0 to 1 and each row summing to 1; row {row} has "
            f"{np.array2string(p[row], precision=4, threshold=6)}: is Softmax or Sigmoid the last layer?"
        )
    return p


def true_among(y_true: npt.ArrayLike, p: Array) -> Array:
    """Return the true labels beside the rows `p`, each one of its columns."""
    t, _, _, _ = as_known(y_true, p, p.shape[1], None)
    return t


def tally(labels: Array, count: int = 0, weights: Array | None = None) -> Array:
    """Return how often each label occurs, or the sum of its weights; integers where the weights are.

    NumPy counts by `numpy.intp` alone, which on 32-bit systems holds less than int64.

    Examples
    --------
    >>> tally(np.array([2, 0, 2]), 4)
    array([1, 0, 2, 0])
    """
    kept = weights if weights is not None and weights.dtype.kind == "f" else None
    sums: Array = np.bincount(labels.astype(np.intp, copy=False), kept, count)
    return sums


def listed(names: Sequence[str], has: Array) -> str:
    """Return the names of the labels that a sample has.

    Examples
    --------
    >>> listed(["red", "round", "large"], np.array([True, False, True])), listed(["red"], np.array([False]))
    ('red, large', 'no label')
    """
    return ", ".join(str(name) for name, one in zip(names, has, strict=True) if one) or "no label"


def answers(outputs: Array) -> Array:
    """Return the class that each row of outputs names: the largest, or for a lone output, above 0.5."""
    outputs = outputs.reshape(len(outputs), -1)
    return (outputs[:, 0] > 0.5).astype(np.intp) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
