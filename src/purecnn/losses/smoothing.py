"""Label smoothing."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.losses.base import Loss, LossFunction, columns
from purecnn.losses.registry import as_loss
from purecnn.messages.signatures import explained


@explained
def label_smoothing(loss: str | Loss | LossFunction, amount: float) -> Loss:
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
    >>> loss = label_smoothing("softmax_cross_entropy", 0.1)
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
