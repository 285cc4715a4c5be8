"""The base of losses: a function, its derivative, sample weights in both.

What every loss is: a function of targets and predictions, its derivative, samples' weights in both.

Classes lie on axis 0, the batch on the last axis. Every loss is called ``loss(y_true, y_pred)``, as in the
original program, and its ``_prime`` is the derivative by ``y_pred``. Both take the samples' weights, ``(N,)``
and at least 0 each, as `sample_weight`: then the mean over the samples is ``sum(w l) / sum(w)``, and 0 where
all weights are. Where predictions are maps ``(classes, H, W, N)``, each pixel is a sample of its own: labels
are ``(H, W, N)``, and so may weights be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of, to_host
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.messages.signatures import explained_class

LossFunction = Callable[..., float]
LossPrime = Callable[..., Array]


@explained_class
@dataclass(frozen=True)
class Loss:
    """A loss, its derivative, and the stable form that joins it with the activation it belongs to.

    Parameters
    ----------
    function, prime : callable
        ``(y_true, y_pred)`` to a number and to an array like ``y_pred``.
    activation : type of Layer, optional
        What turns scores into probabilities: the class of the last layer for a loss of probabilities, a part
        of the function for a loss of scores.
    joint : callable, optional
        ``(y_true, z)`` to the loss and its derivative by z, the input of a last layer of exactly that class;
        labels as they are.
    targets : {"values", "classes", "shares"}
        What `y_true` is: any numbers, a distribution over classes or labels, or numbers from 0 to 1.
    weighted : bool
        Whether each of the functions takes the samples' weights ``(N,)`` as `sample_weight` and returns the
        weighted mean, or its derivative; `fit` refuses weights where they do not.
    smoothing : float
        How much of each target was spread over all classes (`losses.label_smoothing`).
    predictions : {"values", "probabilities", "scores"}
        What `y_pred` is: any numbers, numbers from 0 to 1, or scores on both sides of 0.

    Raises
    ------
    TypeError
        If `activation` is no class of layers.

    Examples
    --------
    >>> from purecnn.losses import LOSSES
    >>> LOSSES["softmax_cross_entropy"].probabilities(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """

    function: LossFunction
    prime: LossPrime
    activation: type[Layer] | None = None
    joint: Callable[..., tuple[float, Array]] | None = None
    targets: str = "values"
    weighted: bool = False
    smoothing: float = 0.0
    predictions: str = "values"

    def __post_init__(self) -> None:
        kind = self.activation
        if kind is not None and not (isinstance(kind, type) and issubclass(kind, Layer)):
            raise TypeError(f"activation must be a class of layers, such as Softmax, got {kind!r}")

    def joins(self, layer: Layer) -> bool:
        """Return whether `joint` stands for this loss and a last layer: one of the very class alone."""
        return self.joint is not None and type(layer) is self.activation

    def probabilities(self, outputs: Array) -> Array:
        """Return a network's outputs, the samples first, as probabilities where the loss takes scores.

        Those of the hinge, which divides at 0, come out on a scale that divides at 0.5 as probabilities do.
        """
        if self.predictions != "scores":
            return outputs
        if self.activation is None:
            halved: Array = outputs * outputs.dtype.type(0.5) + outputs.dtype.type(0.5)
            return halved
        found: Array = np.moveaxis(self.activation().forward(np.moveaxis(outputs, 0, -1)), -1, 0)
        return found


def unwrapped(loss: Loss) -> LossFunction:
    """Return a loss's function, of one that `losses.label_smoothing` made the function that it smooths."""
    found: LossFunction = inspect.unwrap(loss.function)
    return found


def as_arrays(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Return both as arrays: themselves at once, where the engine hands in NumPy's."""
    if type(y_true) is np.ndarray and type(y_pred) is np.ndarray:
        return y_true, y_pred
    return module_of(y_true).asarray(y_true), module_of(y_pred).asarray(y_pred)


def columns(y: Array, like: Array) -> Array:
    """Return labels ``(N,)`` as one-hot columns ``(classes, N)`` beside `like`; columns in its shape.

    Of maps, labels ``(H, W, N)`` become ``(classes, H, W, N)``; those of a lone channel, 0 or 1, are its
    values.

    Raises
    ------
    ShapeError
        If there are not as many as in `like`.
    ValueError
        If a label is none of the classes.
    """
    xp = module_of(y)
    y, like = as_arrays(y, like)
    if y.shape == like.shape and y.dtype == like.dtype and y.dtype.kind == "f":
        return y
    kind = like.dtype if like.dtype.kind == "f" else np.dtype(np.float64)
    if y.dtype.kind in "iu" and like.ndim in (2, 4) and y.shape == like.shape[1:]:
        classes = 2 if len(like) == 1 and y.ndim > 1 else len(like)
        if y.size:
            least, most = to_host(y.min()), to_host(y.max())
            if least < 0 or most >= classes:
                worst = least if least < 0 else most
                raise ValueError(f"labels must be from 0 to {classes - 1}, got {worst}")
        if classes > len(like):
            return y.reshape(like.shape).astype(kind)
        hot: Array = xp.zeros((len(like), y.size), dtype=kind)
        hot[y.reshape(-1), xp.arange(y.size)] = 1
        return hot.reshape(like.shape)
    if y.size != like.size or y.shape[-1:] != like.shape[-1:]:
        raise ShapeError(
            f"y_true must be columns like the prediction, {like.shape}, or integer labels {like.shape[-1:]}, "
            f"got {y.dtype} of shape {y.shape}"
        )
    return y.reshape(like.shape).astype(kind, copy=False)


def number(value: Array) -> float:
    """Return a loss, computed wherever, as a number: here the host waits for a device."""
    return float(to_host(value))


def mean(terms: Array) -> float:
    """Return the mean of all terms as a number.

    That of a lone one is itself, and NumPy takes 3 us to say so; a negative zero becomes a zero, as in a sum.

    Examples
    --------
    >>> mean(np.array([[1.0, 2.0]])), mean(np.array([[-0.0]]))
    (1.5, 0.0)
    """
    if type(terms) is np.ndarray and terms.size == 1:
        return float(terms.item()) + 0.0
    return number(terms.mean())


def same(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Return both as arrays, the prediction of floats, if they have one shape: they never broadcast."""
    y, p = as_arrays(y_true, y_pred)
    if y.shape != p.shape:
        raise ShapeError(f"y_true must have the shape of y_pred, {p.shape}, got {y.shape}")
    if not p.size:
        raise ValueError(f"y_pred must hold at least one value, got shape {p.shape}")
    return y, p if p.dtype.kind == "f" else p.astype(np.float64)


def scaled(slope: Array, factor: float, like: Array) -> Array:
    """Return `slope` times `factor` in the dtype of the prediction: a float64 target changes nothing."""
    found: Array = slope * factor
    if found.dtype == like.dtype:
        return found
    return found.astype(like.dtype if like.dtype.kind == "f" else np.float64, copy=False)


def weigh(terms: Array, sample_weight: Array | None) -> Array:
    """Return the samples' terms, the batch last, times their weights over the mean of those.

    Examples
    --------
    >>> weigh(np.array([1.0, 5.0]), np.array([3.0, 1.0])).mean()
    np.float64(2.0)
    >>> weigh(np.array([1.0, 5.0]), np.zeros(2))
    array([0., 0.])
    """
    if sample_weight is None:
        return terms
    weights = module_of(sample_weight).asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 3 and weights.shape == terms.shape[-3:]:  # of pixels: as many as the terms
        found: Array = terms * (weights / (number(weights.mean()) or 1.0)).astype(terms.dtype)
        return found
    if weights.shape != terms.shape[-1:]:
        raise ShapeError(
            f"sample_weight must have one weight a sample, shape {terms.shape[-1:]}, got {weights.shape}"
        )
    found = terms * (weights / (number(weights.mean()) or 1.0))
    return found
