"""The registry of optimizers by name.

Every optimizer by its name.
"""

from __future__ import annotations

from purecnn.backend.checks import choice
from purecnn.optimizers.adaptive import Adagrad, Adam, AdamW, RMSprop
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.sgd import SGD

#: Every optimizer by its name.
OPTIMIZERS: dict[str, type[SGD] | type[RMSprop] | type[Adagrad] | type[Adam]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}


def as_optimizer(optimizer: str | Optimizer, learning_rate: float | None = None) -> Optimizer:
    """Return an optimizer by its name, at `learning_rate` or its default, or the one given.

    Examples
    --------
    >>> as_optimizer("sgd", 0.1).learning_rate
    0.1
    """
    if isinstance(optimizer, Optimizer):
        if learning_rate is not None:
            raise ValueError(f"learning_rate belongs to {optimizer!r}: give it there, not beside it")
        return optimizer
    made = OPTIMIZERS[choice("optimizer", optimizer, OPTIMIZERS, also=" or an object such as Adam()")]
    return made() if learning_rate is None else made(learning_rate)
