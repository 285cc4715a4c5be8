"""Regression losses: mean squared and absolute error, Huber, log-cosh; and hinge.

Losses of values: how far predictions are from what they should be. `loss` explains the arguments.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.losses.base import mean, same, scaled, weigh


def mse(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean squared error, ``mean((p - y)^2)`` over all elements.

    Examples
    --------
    >>> mse(np.array([[0.0], [1.0]]), np.array([[0.5], [1.0]]))
    0.125
    >>> mse(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]), sample_weight=np.array([1.0, 3.0]))
    0.25
    """
    y, p = same(y_true, y_pred)
    difference = p - y
    return mean(weigh(difference * difference, sample_weight))


def mse_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``2 (p - y) / size``."""
    y, p = same(y_true, y_pred)
    return scaled(weigh(p - y, sample_weight), 2 / p.size, p)


def mean_absolute_error(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean of ``|p - y|`` over all elements.

    Examples
    --------
    >>> mean_absolute_error(np.array([[0.0], [1.0]]), np.array([[0.5], [1.0]]))
    0.25
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    return mean(weigh(xp.abs(p - y), sample_weight))


def mean_absolute_error_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``sign(p - y) / size``, 0 where they are equal."""
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    return scaled(weigh(xp.sign(p - y), sample_weight), 1 / p.size, p)


def huber(y_true: Array, y_pred: Array, delta: float = 1.0, sample_weight: Array | None = None) -> float:
    """Mean of ``d^2 / 2`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``, with ``d = p - y``.

    Huber 1964, https://doi.org/10.1214/aoms/1177703732; as PyTorch's ``HuberLoss``.

    Examples
    --------
    >>> huber(np.array([[0.0], [0.0]]), np.array([[1.0], [3.0]]))
    1.5
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    delta, size = within("delta", delta, 0, open_low=True), xp.abs(p - y)
    near = xp.minimum(size, delta)
    return mean(weigh(near * (size - near / 2), sample_weight))


def huber_prime(
    y_true: Array, y_pred: Array, delta: float = 1.0, sample_weight: Array | None = None
) -> Array:
    """Return ``d / size`` where ``|d| <= delta``, else ``delta sign(d) / size``."""
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    delta = within("delta", delta, 0, open_low=True)
    return scaled(weigh(xp.clip(p - y, -delta, delta), sample_weight), 1 / p.size, p)


def log_cosh(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean of ``log cosh d`` with ``d = p - y``: ``d^2 / 2`` near 0, ``|d| - log 2`` far off.

    As Keras's ``LogCosh``.

    Examples
    --------
    >>> round(log_cosh(np.array([[0.0]]), np.array([[1.0]])), 6)
    0.433781
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    size = xp.abs(p - y)
    # Near 0 the three summands cancel each other: what is left of them may be rounded to below 0.
    terms = xp.maximum(size + xp.log1p(xp.exp(-2 * size)) - np.log(2), 0)
    return mean(weigh(terms, sample_weight))


def log_cosh_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``tanh(d) / size``."""
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    return scaled(weigh(xp.tanh(p - y), sample_weight), 1 / p.size, p)


def hinge(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean of ``max(0, 1 - s p)`` over all elements, with s = 1 where ``y > 0``, else -1.

    So classes may be written 0 and 1 or -1 and 1, as in Keras's ``Hinge``; one-hot columns make each class a
    question of its own. The scores p want no activation. Cortes and Vapnik 1995,
    https://doi.org/10.1007/BF00994018.

    Examples
    --------
    >>> hinge(np.array([[1.0, 0.0]]), np.array([[0.5, -3.0]]))
    0.25
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    return mean(weigh(xp.maximum(0, 1 - xp.where(y > 0, p, -p)), sample_weight))


def hinge_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``-s / size`` where ``s p < 1``, else 0."""
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    side = xp.where(y > 0, 1.0, -1.0)
    return scaled(weigh(xp.where(side * p < 1, -side, 0.0), sample_weight), 1 / p.size, p)
