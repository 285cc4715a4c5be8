"""Regression metrics.

Metrics of regression: how far predicted values are from the true ones, as scikit-learn computes it.

They are apart from those of classes, for an accuracy of values means nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.metrics.inputs import as_weights


def as_values(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Return both as rows ``(n, outputs)`` of float64, and the weights ``(n,)``."""
    pair = []
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        array = as_array(name, values)
        if array.ndim not in (1, 2):
            raise ShapeError(f"{name} must be values (n,) or (n, outputs), got shape {array.shape}")
        pair.append(array.reshape(len(array), -1).astype(np.float64))
    t, p = pair
    if t.shape != p.shape:
        raise ShapeError(f"y_true and y_pred must have one shape, got {t.shape} and {p.shape}")
    return t, p, as_weights(sample_weight, len(t)).astype(np.float64)


def mean_absolute_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean of ``|y_true - y_pred|``, in the unit of the values.

    Parameters
    ----------
    y_true, y_pred : array_like
        Values ``(n,)`` or ``(n, outputs)``; of several outputs it is the mean.
    sample_weight : array_like, optional
        How much each sample counts, ``(n,)``, at least 0.

    Examples
    --------
    >>> mean_absolute_error([1.0, 2.0, 3.0], [1.0, 2.5, 1.0])
    0.8333333333333334
    """
    t, p, weights = as_values(y_true, y_pred, sample_weight)
    return float(np.average(np.abs(t - p), axis=0, weights=weights).mean())


def mean_squared_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean of ``(y_true - y_pred)^2``.

    The parameters are those of `mean_absolute_error`.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    t, p, weights = as_values(y_true, y_pred, sample_weight)
    return float(np.average((t - p) ** 2, axis=0, weights=weights).mean())


def root_mean_squared_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Root of the mean squared error, in the unit of the values; of several outputs the mean of their roots.

    The parameters are those of `mean_absolute_error`.

    Examples
    --------
    >>> root_mean_squared_error([1.0, 2.0], [4.0, 5.0])
    3.0
    """
    t, p, weights = as_values(y_true, y_pred, sample_weight)
    return float(np.sqrt(np.average((t - p) ** 2, axis=0, weights=weights)).mean())


def r2(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None) -> float:
    """Coefficient of determination: ``1 - sum (y_true - y_pred)^2 / sum (y_true - mean of y_true)^2``.

    1 is perfect, 0 no better than the mean. An output whose true values are all alike counts 1 where each is
    met, else 0; so does a lone sample, for which scikit-learn has no number. Of several outputs it is the
    mean.

    The parameters are those of `mean_absolute_error`.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """
    t, p, weights = as_values(y_true, y_pred, sample_weight)
    rest = weights @ (t - p) ** 2
    spread = weights @ (t - np.average(t, axis=0, weights=weights)) ** 2
    known = spread != 0
    each = np.where(rest == 0, 1.0, 0.0)
    each[known] = 1 - rest[known] / spread[known]
    return float(each.mean())
