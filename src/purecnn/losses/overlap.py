"""The Dice loss: how little what is predicted and what is true overlap.

A cross-entropy asks each pixel; the overlap asks each class, however few pixels it has. `loss` explains the
arguments.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.losses.base import columns, mean, number, same, scaled
from purecnn.losses.classification import checked


def dice(y_true: Array, y_pred: Array, smooth: float = 1.0, sample_weight: Array | None = None) -> float:
    """Mean over samples and classes of ``1 - (2 sum p y + smooth) / (sum p + sum y + smooth)``.

    The sums go over the pixels of one class of one sample: the soft form of the Dice coefficient, for
    probabilities p. `smooth` keeps the quotient from 0 / 0, and has a class that a sample lacks cost the
    less, the less of it is predicted. Of vectors the outputs of a sample are its pixels. With weights of
    pixels the sums are weighted, by the share of the largest weight of their sample, and each sample counts
    as all of its pixels do.

    Milletari, Navab and Ahmadi 2016, https://arxiv.org/abs/1606.04797, who square p and y below; without
    squares as in Drozdzal et al. 2016, https://arxiv.org/abs/1608.04117. PyTorch has no such loss. Keras's
    ``Dice`` takes one sum over all samples and classes, unless it is given other axes, and a `smooth` of
    1e-7.

    Parameters
    ----------
    y_true : ndarray
        Like `y_pred`, from 0 to 1, or labels ``(H, W, N)``.
    y_pred : ndarray
        Probabilities ``(classes, H, W, N)``, or ``(outputs, N)``.
    smooth : float
        At least 0.
    sample_weight : ndarray, optional
        ``(N,)``; of pixels ``(H, W, N)``.

    Raises
    ------
    ValueError
        If a prediction is below 0 or above 1.

    Examples
    --------
    >>> p = np.array([[0.5, 1.0, 0.0, 0.5]]).reshape(1, 2, 2, 1)
    >>> round(dice(np.array([[[0], [1]], [[0], [1]]]), p), 6)
    0.2
    """
    xp = module_of(y_pred)
    y, p, weights, each = _pixels(y_true, y_pred, sample_weight)
    checked(p)
    over, under, is_empty = _sums(y, p, weights, within("smooth", smooth, 0))
    lacking = xp.where(is_empty, 0, 1 - over / under)
    return mean(lacking if each is None else lacking * each)


def dice_prime(
    y_true: Array, y_pred: Array, smooth: float = 1.0, sample_weight: Array | None = None
) -> Array:
    """Return ``(a - 2 y b) / b^2 / (classes N)``, where a and b are the two sides of the fraction."""
    xp = module_of(y_pred)
    y, p, weights, each = _pixels(y_true, y_pred, sample_weight)
    over, under, is_empty = _sums(y, p, weights, within("smooth", smooth, 0))
    share = 1.0 if each is None else each
    inverse = xp.where(is_empty, 0, 1 / under) * share
    outer = inverse * over / under
    slope = outer[:, np.newaxis] - 2 * y * inverse[:, np.newaxis]
    if weights is not None:
        slope = slope * weights
    return scaled(slope, 1 / over.size, p).reshape(y_pred.shape)


def _pixels(
    y_true: Array, y_pred: Array, sample_weight: Array | None
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return y and p as ``(classes, pixels, N)``, and weights of pixels ``(pixels, N)`` and samples ``(N,)``.

    The weights of pixels are at most 1 in each sample; those of samples are 1 in the mean, or all 0.
    """
    xp = module_of(y_pred)
    y, p = same(columns(y_true, y_pred), y_pred)
    batch = p.shape[-1]
    shape = (len(p), -1, batch) if p.ndim > 2 else (1, -1, batch)
    y, flat = y.reshape(shape), p.reshape(shape)
    if sample_weight is None:
        return y, flat, None, None
    given = xp.asarray(sample_weight, dtype=np.float64)
    if given.shape not in ((batch,), p.shape[1:]):
        raise ShapeError(
            f"sample_weight must have one weight a sample, shape {(batch,)}, got {tuple(given.shape)}"
        )
    weights, each = None, given
    if given.ndim > 1:
        given = given.reshape(-1, batch)
        most = given.max(axis=0)
        weights = (given / xp.where(most > 0, most, 1)).astype(flat.dtype)
        each = given.sum(axis=0)
    return y, flat, weights, (each / (number(each.mean()) or 1.0)).astype(flat.dtype)


def _sums(y: Array, p: Array, weights: Array | None, smooth: float) -> tuple[Array, Array, Array]:
    """Return what is above and below the fraction, ``(classes, N)``, and where neither holds anything.

    There 1 is below in place of 0. NaN stays NaN, so that a loss that diverges is seen.
    """
    both, either = y * p, y + p
    if weights is not None:
        both, either = both * weights, either * weights
    over, under = 2 * both.sum(axis=1) + smooth, either.sum(axis=1) + smooth
    is_empty = under <= 0
    return over, module_of(under).where(is_empty, 1, under), is_empty
