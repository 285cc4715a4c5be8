"""Stochastic gradient descent, with or without momentum."""

from __future__ import annotations

from typing import Any, Unpack

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import flag, within
from purecnn.backend.types import Array
from purecnn.optimizers.base import Optimizer, Options


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= rate g``; with momentum ``v = momentum v + g``, ``p -= rate v``.

    Nesterov's form looks a step ahead: ``p -= rate (g + momentum v)`` with the new v; Sutskever et al. 2013,
    https://proceedings.mlr.press/v28/sutskever13.html. As in PyTorch, without its dampening; Keras multiplies
    the gradient by the rate before it enters v.

    Parameters
    ----------
    learning_rate : float
        Size of a step.
    momentum : float
        At least 0 and below 1.
    nesterov : bool
        Whether to take Nesterov's form; wants momentum.
    **options
        `weight_decay`, `decay_biases` and `clip_norm`: see `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([1.0])
    >>> optimizer = SGD(learning_rate=0.1)
    >>> optimizer.step(p, np.array([2.0]))
    >>> p
    array([0.8])
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = within("momentum", momentum, 0, 1)
        self.nesterov = flag("nesterov", nesterov)
        if nesterov and not momentum:
            raise ValueError(f"nesterov wants a momentum above 0, got {momentum!r}")
        self.states = ("velocity",) if self.momentum else ()

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """``v = momentum v + g``, ``p -= rate v``, or ``p -= rate (g + momentum v)``."""
        kind = parameters.dtype.type
        step = gradient
        for velocity in state:
            velocity *= kind(self.momentum)
            velocity += gradient
            if self.nesterov:
                gradient += velocity * kind(self.momentum)
            else:
                step = velocity
        module_of(step).multiply(step, kind(self.learning_rate), out=gradient)
        parameters -= gradient

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"learning_rate": self.learning_rate, "momentum": self.momentum, "nesterov": self.nesterov}
        return own | super().configuration()
