"""Focal cross-entropies: what is answered well already counts less.

Where most samples, or most pixels, are easy, their many small losses outweigh the few large ones. `loss`
explains the arguments.
"""

from __future__ import annotations

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.losses.base import columns, mean, number, same, scaled, weigh
from purecnn.losses.classification import checked, inside


def categorical_focal_cross_entropy(
    y_true: Array, y_pred: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> float:
    """Mean over samples of ``-sum over classes of y (1 - p)^gamma log p``.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002, whose `gamma` is 2: a class that is given 0.9 counts a
    hundredth of its cross-entropy. Keras's ``CategoricalFocalCrossentropy`` multiplies by ``alpha`` too, 0.25
    unless told otherwise, which leaves nothing but a smaller step; weights of classes are
    `fit(class_weight=)`. PyTorch has no such loss.

    Parameters
    ----------
    y_true : ndarray
        One-hot columns ``(classes, N)``, or integer labels ``(N,)``; of maps ``(classes, H, W, N)``, or
        labels ``(H, W, N)``.
    y_pred : ndarray
        Probabilities ``(classes, N)`` or ``(classes, H, W, N)``, kept inside (0, 1).
    gamma : float
        At least 0, where it is the cross-entropy. `fit` by name takes 2.
    sample_weight : ndarray, optional
        ``(N,)``; of the pixels of maps also ``(H, W, N)``.

    Raises
    ------
    ValueError
        If a prediction is below 0 or above 1, or `gamma` below 0.

    Examples
    --------
    >>> import numpy as np
    >>> round(categorical_focal_cross_entropy(np.array([1]), np.array([[0.5], [0.5]])), 6)
    0.173287
    """
    xp = module_of(y_pred)
    y, p = same(columns(y_true, y_pred), y_pred)
    p = inside(checked(p))
    terms = weigh(y * (1 - p) ** within("gamma", gamma, 0) * xp.log(p), sample_weight)
    return 0.0 - number(xp.sum(terms) / p[0].size)


def categorical_focal_cross_entropy_prime(
    y_true: Array, y_pred: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> Array:
    """Return ``y (1 - p)^gamma (gamma log p / (1 - p) - 1 / p) / N``."""
    y, p = same(columns(y_true, y_pred), y_pred)
    p = inside(p)
    return scaled(weigh(y * _falling(p, within("gamma", gamma, 0)), sample_weight), 1 / p[0].size, p)


def softmax_focal_cross_entropy_both(
    y_true: Array, logits: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> tuple[float, Array]:
    """Return `categorical_focal_cross_entropy` of ``softmax(logits)`` and its derivative, for any scores.

    With ``a = y (1 - p)^gamma (gamma p log p / (1 - p) - 1)`` it is ``(a - p sum over classes of a) / N``.
    """
    xp = module_of(logits)
    y = columns(y_true, logits)
    log_p = logits - logits.max(axis=0)
    log_p = log_p - xp.log(xp.exp(log_p).sum(axis=0))
    p, rest = xp.exp(log_p), -xp.expm1(log_p)
    share = y * rest**gamma
    loss = 0.0 - number(weigh(share * log_p, sample_weight).sum() / logits[0].size)
    # log p / (1 - p) is -1 where p is 1
    ratio = xp.where(rest > 0, log_p / xp.where(rest > 0, rest, 1), -1)
    inner = share * (gamma * p * ratio - 1)
    slope = weigh(inner - p * inner.sum(axis=0), sample_weight)
    return loss, scaled(slope, 1 / logits[0].size, logits)


def binary_focal_cross_entropy(
    y_true: Array, y_pred: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> float:
    """Mean of ``-y (1 - p)^gamma log p - (1 - y) p^gamma log(1 - p)`` over all elements.

    As `categorical_focal_cross_entropy`, for several labels a sample, or one of two classes; Keras's
    ``BinaryFocalCrossentropy``. torchvision's ``sigmoid_focal_loss`` has an ``alpha`` too, and gives the sum
    or each element unless it is asked for the mean.

    Examples
    --------
    >>> import numpy as np
    >>> round(binary_focal_cross_entropy(np.array([[1.0]]), np.array([[0.5]])), 6)
    0.173287
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    p, gamma = inside(checked(p)), within("gamma", gamma, 0)
    terms = -y * (1 - p) ** gamma * xp.log(p) - (1 - y) * p**gamma * xp.log1p(-p)
    return mean(weigh(terms, sample_weight))


def binary_focal_cross_entropy_prime(
    y_true: Array, y_pred: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> Array:
    """Return the derivative of ``(1 - p)^gamma log p`` times -y, and that at ``1 - p`` times ``1 - y``."""
    y, p = same(y_true, y_pred)
    p, gamma = inside(p), within("gamma", gamma, 0)
    slope = y * _falling(p, gamma) - (1 - y) * _falling(1 - p, gamma)
    return scaled(weigh(slope, sample_weight), 1 / p.size, p)


def sigmoid_focal_cross_entropy_both(
    y_true: Array, logits: Array, gamma: float = 2.0, sample_weight: Array | None = None
) -> tuple[float, Array]:
    """Return `binary_focal_cross_entropy` of ``p = sigmoid(logits)`` and its derivative, for any scores.

    With ``q = 1 - p`` it is ``(y q^gamma (gamma p log p - q) + (1 - y) p^gamma (p - gamma q log q)) / size``.
    """
    xp = module_of(logits)
    y = columns(y_true, logits)
    tail = xp.log1p(xp.exp(-xp.abs(logits)))
    log_p, log_q = xp.minimum(logits, 0) - tail, xp.minimum(-logits, 0) - tail
    p, q = xp.exp(log_p), xp.exp(log_q)
    yes, no = y * q**gamma, (1 - y) * p**gamma
    loss = mean(weigh(-yes * log_p - no * log_q, sample_weight))
    slope = yes * (gamma * p * log_p - q) + no * (p - gamma * q * log_q)
    return loss, scaled(weigh(slope, sample_weight), 1 / logits.size, logits)


def _falling(p: Array, gamma: float) -> Array:
    """Return the derivative of ``-(1 - p)^gamma log p`` by p, for p inside (0, 1)."""
    xp = module_of(p)
    slope: Array = (1 - p) ** gamma * (gamma * xp.log(p) / (1 - p) - 1 / p)
    return slope
