"""The registry of losses by name, and label smoothing.

Losses: one number that says how wrong a prediction is, and its derivative. Here every loss by its name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import Any

from purecnn.backend.checks import choice, within
from purecnn.backend.types import Array
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.losses.base import Loss, LossFunction, LossPrime, columns
from purecnn.losses.classification import (
    binary_cross_entropy,
    binary_cross_entropy_prime,
    categorical_cross_entropy,
    categorical_cross_entropy_prime,
    kl_divergence,
    kl_divergence_prime,
    sigmoid_binary_cross_entropy,
    sigmoid_binary_cross_entropy_both,
    sigmoid_binary_cross_entropy_prime,
    softmax_cross_entropy,
    softmax_cross_entropy_both,
    softmax_cross_entropy_prime,
    softmax_kl_divergence_both,
)
from purecnn.losses.regression import (
    hinge,
    hinge_prime,
    huber,
    huber_prime,
    log_cosh,
    log_cosh_prime,
    mean_absolute_error,
    mean_absolute_error_prime,
    mse,
    mse_prime,
)
from purecnn.messages.signatures import explained

#: Every loss by its name.
LOSSES = {
    "mse": Loss(mse, mse_prime, weighted=True),
    "mean_absolute_error": Loss(mean_absolute_error, mean_absolute_error_prime, weighted=True),
    "huber": Loss(huber, huber_prime, weighted=True),
    "log_cosh": Loss(log_cosh, log_cosh_prime, weighted=True),
    "hinge": Loss(hinge, hinge_prime, weighted=True, predictions="scores"),
    "binary_cross_entropy": Loss(
        binary_cross_entropy,
        binary_cross_entropy_prime,
        Sigmoid,
        sigmoid_binary_cross_entropy_both,
        "shares",
        weighted=True,
        predictions="probabilities",
    ),
    "categorical_cross_entropy": Loss(
        categorical_cross_entropy,
        categorical_cross_entropy_prime,
        Softmax,
        softmax_cross_entropy_both,
        "classes",
        weighted=True,
        predictions="probabilities",
    ),
    "kl_divergence": Loss(
        kl_divergence,
        kl_divergence_prime,
        Softmax,
        softmax_kl_divergence_both,
        "classes",
        weighted=True,
        predictions="probabilities",
    ),
    "softmax_cross_entropy": Loss(
        softmax_cross_entropy,
        softmax_cross_entropy_prime,
        Softmax,
        targets="classes",
        weighted=True,
        predictions="scores",
    ),
    "sigmoid_binary_cross_entropy": Loss(
        sigmoid_binary_cross_entropy,
        sigmoid_binary_cross_entropy_prime,
        Sigmoid,
        targets="shares",
        weighted=True,
        predictions="scores",
    ),
}


def as_loss(loss: str | Loss | LossFunction, prime: LossPrime | None = None) -> Loss:
    """Return a loss by its name or by its two functions; a known pair brings its joint form along.

    Examples
    --------
    >>> as_loss("mse").function is mse
    True
    >>> as_loss("mes")
    Traceback (most recent call last):
    ValueError: loss must be one of mse, mean_absolute_error, huber, log_cosh, hinge, binary_cross_entropy, \
categorical_cross_entropy, kl_divergence, softmax_cross_entropy, sigmoid_binary_cross_entropy, got 'mes'
    """
    if isinstance(loss, Loss | str) and prime is not None:
        raise ValueError(
            f"loss_prime belongs to a loss of one's own; {loss!r:.60} has its derivative already"
        )
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        return LOSSES[choice("loss", loss, LOSSES)]
    for known in LOSSES.values():
        if known.function is loss and prime in (None, known.prime):
            return known
    if not callable(loss):
        raise TypeError(f"loss must be one of {', '.join(LOSSES)} or a function, got {loss!r}")
    if prime is None:
        raise ValueError(f"{loss!r} is no loss of this package: give its derivative too, as loss_prime")
    return Loss(loss, prime)


@explained
def smoothed(loss: str | Loss | LossFunction, amount: float) -> Loss:
    """Return a cross-entropy whose targets are mixed with a uniform distribution over the K classes.

    ``y' = (1 - amount) y + amount / K``, so that no answer is wanted with all certainty. Szegedy et al. 2016,
    https://arxiv.org/abs/1512.00567; as PyTorch's ``CrossEntropyLoss(label_smoothing=amount)``. A binary
    cross-entropy has two classes at each output, as in Keras. `fit` measures the validation set by the same
    loss; `evaluate` does as it is told.

    Parameters
    ----------
    loss : str, Loss or callable
        A cross-entropy of this package.
    amount : float
        At least 0 and below 1.

    Raises
    ------
    ValueError
        If the loss takes other targets than classes, or the amount is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> loss = smoothed("softmax_cross_entropy", 0.1)
    >>> round(loss.function(np.array([0]), np.array([[2.0], [0.0]])), 6)
    0.226928
    """
    given, amount = as_loss(loss), within("amount", amount, 0, 1)
    if given.targets not in ("classes", "shares"):
        raise ValueError(f"label smoothing wants a cross-entropy, got {loss!r}")

    def soften(y_true: Array, y_pred: Array) -> Array:
        y = columns(y_true, y_pred)
        classes = len(y) if given.targets == "classes" else 2
        softened: Array = y * y.dtype.type(1 - amount) + y.dtype.type(amount / classes)
        return softened

    @wraps(given.function)
    def function(y_true: Array, y_pred: Array, **weights: Array) -> float:
        return given.function(soften(y_true, y_pred), y_pred, **weights)

    @wraps(given.prime)
    def prime(y_true: Array, y_pred: Array, **weights: Array) -> Array:
        return given.prime(soften(y_true, y_pred), y_pred, **weights)

    both = given.joint
    if both is None:
        return replace(given, function=function, prime=prime, smoothing=amount)

    def joint(y_true: Array, z: Array, **weights: Array) -> tuple[float, Array]:
        return both(soften(y_true, z), z, **weights)

    return replace(given, function=function, prime=prime, joint=joint, smoothing=amount)


def to_measure(loss: Any) -> Any:
    """Return a loss to measure with alone: a function of one's own needs no derivative then."""
    if not callable(loss):
        return loss
    return next((known for known in LOSSES.values() if known.function is loss), Loss(loss, loss))
