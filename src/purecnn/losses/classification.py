"""Cross-entropies and the Kullback-Leibler divergence.

Losses of probabilities: how surprised a prediction is by the truth. `loss` explains the arguments.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.types import Array
from purecnn.losses.base import columns, mean, number, same, scaled, weigh


def checked(p: Array) -> Array:
    """Return predictions, if they are probabilities but for rounding: of others a logarithm says nothing.

    Raises
    ------
    ValueError
        If one is below 0 or above 1.
    """
    if p.size:
        low, high, near = number(p.min()), number(p.max()), float(np.sqrt(np.finfo(p.dtype).eps))
        if low < -near or high > 1 + near:
            worst = low if low < -near else high
            raise ValueError(f"a loss of probabilities wants them from 0 to 1, got {worst:g}")
    return p


def inside(p: Array) -> Array:
    """Return probabilities kept off 0 and 1 by the dtype's epsilon, so that logarithms stay finite."""
    xp = module_of(p)
    margin = np.finfo(p.dtype).eps
    return xp.clip(p, margin, 1 - margin)


def _above_zero(p: Array) -> Array:
    """Return probabilities kept above 0 by the dtype's epsilon, and at most 1."""
    xp = module_of(p)
    above: Array = xp.clip(p, np.finfo(p.dtype).eps, 1)
    return above


def binary_cross_entropy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean of ``-y log p - (1 - y) log(1 - p)`` over all elements; p is kept inside (0, 1).

    Examples
    --------
    >>> round(binary_cross_entropy(np.array([[1.0]]), np.array([[0.5]])), 6)
    0.693147
    """
    xp = module_of(y_pred)
    y, p = same(y_true, y_pred)
    p = inside(checked(p))
    return mean(weigh(-y * xp.log(p) - (1 - y) * xp.log1p(-p), sample_weight))


def binary_cross_entropy_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``((1 - y) / (1 - p) - y / p) / size``."""
    y, p = same(y_true, y_pred)
    p = inside(p)
    return scaled(weigh((1 - y) / (1 - p) - y / p, sample_weight), 1 / p.size, p)


def categorical_cross_entropy(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean over samples of ``-sum over classes of y log p``.

    Parameters
    ----------
    y_true : ndarray
        One-hot columns ``(classes, N)``, or integer labels ``(N,)``; of maps ``(classes, H, W, N)``, or
        labels ``(H, W, N)``.
    y_pred : ndarray
        Probabilities ``(classes, N)`` or ``(classes, H, W, N)``, kept above 0 so that the loss stays finite.
    sample_weight : ndarray, optional
        ``(N,)``; of the pixels of maps also ``(H, W, N)``.

    Raises
    ------
    ValueError
        If a prediction is below 0 or above 1.

    Examples
    --------
    >>> round(categorical_cross_entropy(np.array([1]), np.array([[0.5], [0.5]])), 6)
    0.693147
    """
    xp = module_of(y_pred)
    y, p = same(columns(y_true, y_pred), y_pred)
    surprise = weigh(y * xp.log(_above_zero(checked(p))), sample_weight)
    return 0.0 - number(xp.sum(surprise) / p[0].size)


def categorical_cross_entropy_prime(
    y_true: Array, y_pred: Array, sample_weight: Array | None = None
) -> Array:
    """Return ``-y / p / N``."""
    y, p = same(columns(y_true, y_pred), y_pred)
    p = inside(p)
    return scaled(weigh(y / p, sample_weight), -1 / p[0].size, p)


def softmax_cross_entropy_both(
    y_true: Array, logits: Array, sample_weight: Array | None = None
) -> tuple[float, Array]:
    """Return `softmax_cross_entropy` and its derivative, which share most of their work."""
    xp = module_of(logits)
    samples, are_labels = logits[0].size, y_true.ndim < logits.ndim
    flat = p = logits - logits.max(axis=0)
    labels = y_true
    if logits.ndim > 2:
        p = xp.ascontiguousarray(p)
        flat, labels = p.reshape(len(p), samples), y_true.reshape(-1)
    if are_labels:
        place = labels, xp.arange(samples)
        mass, picked = 1.0, flat[place].reshape(y_true.shape)
    else:
        mass, picked = y_true.sum(axis=0), (y_true * p).sum(axis=0)
    xp.exp(p, out=p)
    total = p.sum(axis=0)
    loss = number(weigh(xp.log(total) * mass - picked, sample_weight).sum() / samples)
    p *= mass / total
    if are_labels:
        flat[place] -= 1
    else:
        p -= y_true
    p *= logits.dtype.type(1 / samples)
    return loss, weigh(p, sample_weight).astype(logits.dtype, copy=False)


def softmax_cross_entropy(y_true: Array, logits: Array, sample_weight: Array | None = None) -> float:
    """Categorical cross-entropy of ``softmax(logits)``, finite for any scores.

    Mean over samples of ``log sum exp(z) - sum over classes of y z``; labels as in
    `categorical_cross_entropy`. PyTorch's ``cross_entropy`` is this function.

    Examples
    --------
    >>> softmax_cross_entropy(np.array([0]), np.array([[1000.0], [0.0]]))
    0.0
    """
    return softmax_cross_entropy_both(*same(columns(y_true, logits), logits), sample_weight)[0]


def softmax_cross_entropy_prime(y_true: Array, logits: Array, sample_weight: Array | None = None) -> Array:
    """Return ``(softmax(z) sum over classes of y - y) / N``."""
    return softmax_cross_entropy_both(*same(columns(y_true, logits), logits), sample_weight)[1]


def sigmoid_binary_cross_entropy_both(
    y_true: Array, logits: Array, sample_weight: Array | None = None
) -> tuple[float, Array]:
    """Return `sigmoid_binary_cross_entropy` and its derivative, which share most of their work."""
    xp = module_of(logits)
    y_true = columns(y_true, logits)
    small = xp.exp(-xp.abs(logits))
    high = xp.maximum(logits, 0)
    loss = number(weigh(high - y_true * logits + xp.log1p(small), sample_weight).sum() / logits.size)
    sigmoid = xp.exp(logits - high) / (1 + small)  # 1 or exp(-|z|), over 1 + exp(-|z|)
    slope = weigh((sigmoid - y_true) * logits.dtype.type(1 / logits.size), sample_weight)
    return loss, slope.astype(logits.dtype, copy=False)


def sigmoid_binary_cross_entropy(y_true: Array, logits: Array, sample_weight: Array | None = None) -> float:
    """Binary cross-entropy of ``sigmoid(logits)``: mean of ``max(z, 0) - y z + log(1 + exp(-|z|))``.

    Examples
    --------
    >>> sigmoid_binary_cross_entropy(np.array([[1.0]]), np.array([[1000.0]]))
    0.0
    """
    return sigmoid_binary_cross_entropy_both(y_true, logits, sample_weight)[0]


def sigmoid_binary_cross_entropy_prime(
    y_true: Array, logits: Array, sample_weight: Array | None = None
) -> Array:
    """Return ``(sigmoid(z) - y) / size``."""
    return sigmoid_binary_cross_entropy_both(y_true, logits, sample_weight)[1]


def _information(y: Array, sample_weight: Array | None) -> float:
    """Return the mean over samples of ``sum over classes of y log y``, where ``0 log 0 = 0``."""
    xp = module_of(y)
    return mean(weigh(xp.sum(y * xp.log(xp.where(y > 0, y, 1)), axis=0), sample_weight))


def _divergence(surprise: float, information: float, y: Array) -> float:
    """Return the sum of two numbers that may cancel each other: 0 where rounding alone makes it negative."""
    found = surprise + information
    return 0.0 if -32 * float(np.finfo(y.dtype).eps) * surprise < found < 0 else found


def kl_divergence(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Mean over samples of ``sum over classes of y log(y / p)``: what p lacks of the distribution y.

    Kullback and Leibler 1951, https://doi.org/10.1214/aoms/1177729694. It is the categorical cross-entropy
    less what no prediction can save, and has the same derivative. PyTorch's ``KLDivLoss`` takes log p, and is
    this with ``reduction="batchmean"``; Keras's ``KLDivergence`` is this function.

    Examples
    --------
    >>> round(kl_divergence(np.array([[0.5], [0.5]]), np.array([[0.25], [0.75]])), 6)
    0.143841
    """
    y = columns(y_true, y_pred)
    return _divergence(categorical_cross_entropy(y, y_pred, sample_weight), _information(y, sample_weight), y)


def kl_divergence_prime(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> Array:
    """Return ``-y / p / N``."""
    return categorical_cross_entropy_prime(y_true, y_pred, sample_weight)


def softmax_kl_divergence_both(
    y_true: Array, logits: Array, sample_weight: Array | None = None
) -> tuple[float, Array]:
    """Return `kl_divergence` of ``softmax(logits)`` and its derivative."""
    y = columns(y_true, logits)
    loss, slope = softmax_cross_entropy_both(y, logits, sample_weight)
    return _divergence(loss, _information(y, sample_weight), y), slope
