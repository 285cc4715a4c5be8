"""Losses: one number that says how wrong a prediction is, and its derivative.

Classes lie on axis 0, the batch on the last axis; every loss is called ``loss(y_true, y_pred)``, as in the
original program, and its ``_prime`` is the derivative by ``y_pred``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from purecnn.arguments import within
from purecnn.errors import ShapeError
from purecnn.scratch import Array

LossFunction = Callable[[Array, Array], float]
LossPrime = Callable[[Array, Array], Array]


def _scaled(slope: Array, factor: float, like: Array) -> Array:
    """Return `slope` times `factor` in the dtype of the prediction: a float64 target changes nothing."""
    scaled: Array = slope * factor
    return scaled.astype(like.dtype if like.dtype.kind == "f" else np.float64, copy=False)


def _same(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Return both as arrays, the prediction of floats, if they have one shape: they never broadcast."""
    y, p = np.asarray(y_true), np.asarray(y_pred)
    if y.shape != p.shape:
        raise ShapeError(f"y_true must have the shape of y_pred, {p.shape}, got {y.shape}")
    return y, p if p.dtype.kind == "f" else p.astype(np.float64)


def mse(y_true: Array, y_pred: Array) -> float:
    """Mean squared error, ``mean((p - y)^2)`` over all elements.

    Examples
    --------
    >>> mse(np.array([[0.0], [1.0]]), np.array([[0.5], [1.0]]))
    0.125
    """
    y, p = _same(y_true, y_pred)
    difference = p - y
    return float(np.mean(difference * difference))


def mse_prime(y_true: Array, y_pred: Array) -> Array:
    """Return ``2 (p - y) / size``."""
    y, p = _same(y_true, y_pred)
    return _scaled(p - y, 2 / p.size, p)


def mean_absolute_error(y_true: Array, y_pred: Array) -> float:
    """Mean of ``|p - y|`` over all elements.

    Examples
    --------
    >>> mean_absolute_error(np.array([[0.0], [1.0]]), np.array([[0.5], [1.0]]))
    0.25
    """
    y, p = _same(y_true, y_pred)
    return float(np.mean(np.abs(p - y)))


def mean_absolute_error_prime(y_true: Array, y_pred: Array) -> Array:
    """Return ``sign(p - y) / size``, 0 where they are equal."""
    y, p = _same(y_true, y_pred)
    return _scaled(np.sign(p - y), 1 / p.size, p)


def huber(y_true: Array, y_pred: Array, delta: float = 1.0) -> float:
    """Mean of ``d^2 / 2`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``, with ``d = p - y``.

    Huber 1964, https://doi.org/10.1214/aoms/1177703732; as PyTorch's ``HuberLoss``.

    Examples
    --------
    >>> huber(np.array([[0.0], [0.0]]), np.array([[1.0], [3.0]]))
    1.5
    """
    y, p = _same(y_true, y_pred)
    delta, size = within("delta", delta, 0, open_low=True), np.abs(p - y)
    near = np.minimum(size, delta)
    return float(np.mean(near * (size - near / 2)))


def huber_prime(y_true: Array, y_pred: Array, delta: float = 1.0) -> Array:
    """Return ``d / size`` where ``|d| <= delta``, else ``delta sign(d) / size``."""
    y, p = _same(y_true, y_pred)
    delta = within("delta", delta, 0, open_low=True)
    return _scaled(np.clip(p - y, -delta, delta), 1 / p.size, p)


def _inside(p: Array) -> Array:
    """Return probabilities kept off 0 and 1 by the dtype's epsilon, so that logarithms stay finite."""
    margin = np.finfo(p.dtype).eps
    return np.clip(p, margin, 1 - margin)


def _above_zero(p: Array) -> Array:
    """Return probabilities kept above 0 by the dtype's epsilon."""
    above: Array = np.maximum(p, np.finfo(p.dtype).eps)
    return above


def binary_cross_entropy(y_true: Array, y_pred: Array) -> float:
    """Mean of ``-y log p - (1 - y) log(1 - p)`` over all elements; p is kept inside (0, 1).

    Examples
    --------
    >>> round(binary_cross_entropy(np.array([[1.0]]), np.array([[0.5]])), 6)
    0.693147
    """
    y, p = _same(y_true, y_pred)
    p = _inside(p)
    return float(np.mean(-y * np.log(p) - (1 - y) * np.log1p(-p)))


def binary_cross_entropy_prime(y_true: Array, y_pred: Array) -> Array:
    """Return ``((1 - y) / (1 - p) - y / p) / size``."""
    y, p = _same(y_true, y_pred)
    p = _inside(p)
    return _scaled((1 - y) / (1 - p) - y / p, 1 / p.size, p)


def categorical_cross_entropy(y_true: Array, y_pred: Array) -> float:
    """Mean over samples of ``-sum over classes of y log p``.

    Parameters
    ----------
    y_true : ndarray
        One-hot columns ``(classes, N)``, or integer labels ``(N,)``.
    y_pred : ndarray
        Probabilities ``(classes, N)``, kept above 0 so that the loss stays finite.

    Examples
    --------
    >>> round(categorical_cross_entropy(np.array([1]), np.array([[0.5], [0.5]])), 6)
    0.693147
    """
    y, p = _same(columns(y_true, y_pred), y_pred)
    return float(-np.sum(y * np.log(_above_zero(p))) / p.shape[1])


def categorical_cross_entropy_prime(y_true: Array, y_pred: Array) -> Array:
    """Return ``-y / p / N``."""
    y, p = _same(columns(y_true, y_pred), y_pred)
    p = _inside(p)
    return _scaled(y / p, -1 / p.shape[1], p)


def softmax_cross_entropy_both(y_true: Array, logits: Array) -> tuple[float, Array]:
    """Return `softmax_cross_entropy` and its derivative, which share most of their work."""
    samples = logits.shape[1]
    p = logits - np.maximum.reduce(logits, axis=0)
    if y_true.ndim == 1:
        mass, picked = 1.0, p[y_true, np.arange(samples)].sum()
    else:
        mass, picked = y_true.sum(axis=0), (y_true * p).sum()
    np.exp(p, out=p)
    total = np.add.reduce(p, axis=0)
    loss = float(((np.log(total) * mass).sum() - picked) / samples)
    p *= mass / total
    if y_true.ndim == 1:
        p[y_true, np.arange(samples)] -= 1
    else:
        p -= y_true
    p *= logits.dtype.type(1 / samples)
    return loss, p


def softmax_cross_entropy(y_true: Array, logits: Array) -> float:
    """Categorical cross-entropy of ``softmax(logits)``, finite for any scores.

    Mean over samples of ``log sum exp(z) - sum over classes of y z``; labels as in
    `categorical_cross_entropy`. PyTorch's ``cross_entropy`` is this function.

    Examples
    --------
    >>> softmax_cross_entropy(np.array([0]), np.array([[1000.0], [0.0]]))
    0.0
    """
    return softmax_cross_entropy_both(*_same(columns(y_true, logits), logits))[0]


def softmax_cross_entropy_prime(y_true: Array, logits: Array) -> Array:
    """Return ``(softmax(z) sum over classes of y - y) / N``."""
    return softmax_cross_entropy_both(*_same(columns(y_true, logits), logits))[1]


def sigmoid_binary_cross_entropy_both(y_true: Array, logits: Array) -> tuple[float, Array]:
    """Return `sigmoid_binary_cross_entropy` and its derivative, which share most of their work."""
    y_true = columns(y_true, logits)
    small = np.exp(-np.abs(logits))
    high = np.maximum(logits, 0)
    loss = float((high - y_true * logits + np.log1p(small)).sum() / logits.size)
    sigmoid = np.exp(logits - high) / (1 + small)  # 1 or exp(-|z|), over 1 + exp(-|z|)
    return loss, ((sigmoid - y_true) * logits.dtype.type(1 / logits.size)).astype(logits.dtype, copy=False)


def sigmoid_binary_cross_entropy(y_true: Array, logits: Array) -> float:
    """Binary cross-entropy of ``sigmoid(logits)``: mean of ``max(z, 0) - y z + log(1 + exp(-|z|))``.

    Examples
    --------
    >>> sigmoid_binary_cross_entropy(np.array([[1.0]]), np.array([[1000.0]]))
    0.0
    """
    return sigmoid_binary_cross_entropy_both(y_true, logits)[0]


def sigmoid_binary_cross_entropy_prime(y_true: Array, logits: Array) -> Array:
    """Return ``(sigmoid(z) - y) / size``."""
    return sigmoid_binary_cross_entropy_both(y_true, logits)[1]


def columns(y: Array, like: Array) -> Array:
    """Return labels ``(N,)`` as one-hot columns ``(classes, N)`` beside `like`; columns in its shape.

    Raises
    ------
    ShapeError
        If there are not as many as in `like`.
    ValueError
        If a label is none of the classes.
    """
    y, like = np.asarray(y), np.asarray(like)
    if y.shape == like.shape and y.dtype == like.dtype and y.dtype.kind == "f":
        return y
    kind = like.dtype if like.dtype.kind == "f" else np.dtype(np.float64)
    if y.ndim == 1 and y.dtype.kind in "iu" and like.ndim == 2 and y.shape == like.shape[1:]:
        if y.size and (y.min() < 0 or y.max() >= len(like)):
            worst = y.min() if y.min() < 0 else y.max()
            raise ValueError(f"labels must be from 0 to {len(like) - 1}, got {worst}")
        hot = np.zeros(like.shape, kind)
        hot[y, np.arange(like.shape[1])] = 1
        return hot
    if y.size != like.size or y.shape[-1:] != like.shape[-1:]:
        raise ShapeError(
            f"y_true must be columns like the prediction, {like.shape}, or integer labels {like.shape[-1:]}, "
            f"got {y.dtype} of shape {y.shape}"
        )
    return y.reshape(like.shape).astype(kind, copy=False)


def check_targets(loss: Loss, y: Array, last: str, output_shape: tuple[int, ...]) -> None:
    """Refuse targets and outputs from which a loss would learn nothing, or nonsense.

    Parameters
    ----------
    loss : Loss
        What is to be lowered.
    y : ndarray
        Labels ``(n,)`` or values, the samples first.
    last : str
        Class of the network's last layer.
    output_shape : tuple of int
        Of one sample.

    Raises
    ------
    ValueError
        If a binary cross-entropy gets a target outside 0 to 1, or a Softmax has a single output.
    ShapeError
        If a cross-entropy over classes gets outputs that are no vectors.
    """
    if last == "Softmax" and output_shape == (1,):
        raise ValueError(
            "a Softmax over 1 output is always 1 and learns nothing: "
            "wanted one output a class, or Sigmoid in its place"
        )
    over_classes = (categorical_cross_entropy, softmax_cross_entropy)
    if loss.function in over_classes and len(output_shape) != 1:
        raise ShapeError(
            f"a cross-entropy over classes wants a vector of outputs a sample, got {output_shape}: "
            f"put Flatten() before the last layers"
        )
    if loss.function in (binary_cross_entropy, sigmoid_binary_cross_entropy) and y.ndim > 1:
        least, most = y.min(), y.max()
        if least < 0 or most > 1:
            raise ValueError(
                f"targets of a binary cross-entropy must be from 0 to 1, got {least if least < 0 else most}"
            )


@dataclass(frozen=True)
class Loss:
    """A loss, its derivative, and the stable form that joins it with the activation it belongs to.

    Parameters
    ----------
    function, prime : callable
        ``(y_true, y_pred)`` to a number and to an array like ``y_pred``.
    activation : str
        Name of the last layer with which it can be joined, "" if none.
    joint : callable, optional
        ``(y_true, z)`` to the loss and its derivative by z, the input of that layer; labels as they are.
    """

    function: LossFunction
    prime: LossPrime
    activation: str = ""
    joint: Callable[[Array, Array], tuple[float, Array]] | None = None


#: Every loss by its name.
LOSSES = {
    "mse": Loss(mse, mse_prime),
    "mean_absolute_error": Loss(mean_absolute_error, mean_absolute_error_prime),
    "huber": Loss(huber, huber_prime),
    "binary_cross_entropy": Loss(
        binary_cross_entropy, binary_cross_entropy_prime, "Sigmoid", sigmoid_binary_cross_entropy_both
    ),
    "categorical_cross_entropy": Loss(
        categorical_cross_entropy, categorical_cross_entropy_prime, "Softmax", softmax_cross_entropy_both
    ),
    "softmax_cross_entropy": Loss(softmax_cross_entropy, softmax_cross_entropy_prime),
    "sigmoid_binary_cross_entropy": Loss(sigmoid_binary_cross_entropy, sigmoid_binary_cross_entropy_prime),
}


def suitable_loss(activation: str, labels: bool) -> str:
    """Return the name of the loss that suits a network's last layer and the kind of its targets.

    Examples
    --------
    >>> suitable_loss("Softmax", labels=True), suitable_loss("Tanh", labels=False)
    ('categorical_cross_entropy', 'mse')
    """
    for name, loss in LOSSES.items():
        if loss.activation == activation:
            return name
    return "softmax_cross_entropy" if labels else "mse"


def as_loss(loss: str | Loss | LossFunction, prime: LossPrime | None = None) -> Loss:
    """Return a loss by its name or by its two functions; a known pair brings its joint form along.

    Examples
    --------
    >>> as_loss("mse").function is mse
    True
    >>> as_loss("mes")
    Traceback (most recent call last):
    ValueError: loss must be one of mse, mean_absolute_error, huber, binary_cross_entropy, \
categorical_cross_entropy, softmax_cross_entropy, sigmoid_binary_cross_entropy, got 'mes'
    """
    if isinstance(loss, Loss | str) and prime is not None:
        raise ValueError(
            f"loss_prime belongs to a loss of one's own; {loss!r:.60} has its derivative already"
        )
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        return LOSSES[loss]
    for known in LOSSES.values():
        if known.function is loss and prime in (None, known.prime):
            return known
    if not callable(loss):
        raise TypeError(f"loss must be one of {', '.join(LOSSES)} or a function, got {loss!r}")
    if prime is None:
        raise ValueError(f"{loss!r} is no loss of this package: give its derivative too, as loss_prime")
    return Loss(loss, prime)
