"""The registry of losses by name, and label smoothing.

Losses: one number that says how wrong a prediction is, and its derivative. Here every loss by its name.
"""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import choice
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.losses.base import Loss, LossFunction, LossPrime
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
from purecnn.losses.focal import (
    binary_focal_cross_entropy,
    binary_focal_cross_entropy_prime,
    categorical_focal_cross_entropy,
    categorical_focal_cross_entropy_prime,
    sigmoid_focal_cross_entropy_both,
    softmax_focal_cross_entropy_both,
)
from purecnn.losses.overlap import dice, dice_prime
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
    "binary_focal_cross_entropy": Loss(
        binary_focal_cross_entropy,
        binary_focal_cross_entropy_prime,
        Sigmoid,
        sigmoid_focal_cross_entropy_both,
        "shares",
        weighted=True,
        predictions="probabilities",
    ),
    "categorical_focal_cross_entropy": Loss(
        categorical_focal_cross_entropy,
        categorical_focal_cross_entropy_prime,
        Softmax,
        softmax_focal_cross_entropy_both,
        "classes",
        weighted=True,
        predictions="probabilities",
    ),
    "dice": Loss(dice, dice_prime, targets="shares", weighted=True, predictions="probabilities"),
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
categorical_cross_entropy, binary_focal_cross_entropy, categorical_focal_cross_entropy, dice, kl_divergence, \
softmax_cross_entropy, sigmoid_binary_cross_entropy, got 'mes'
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


def to_measure(loss: Any) -> Any:
    """Return a loss to measure with alone: a function of one's own needs no derivative then."""
    if not callable(loss):
        return loss
    return next((known for known in LOSSES.values() if known.function is loss), Loss(loss, loss))
