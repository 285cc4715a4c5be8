"""Optimizers: how a gradient becomes a step. Each works on the network's one flat vector.

All parameters of a network are views of one array and all gradients views of another, so that a step is a
dozen NumPy calls for the whole network, not for each layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from purecnn.arguments import within
from purecnn.scratch import Array

#: Values updated at a time: few enough that all of an update's arrays stay in a core's cache.
BLOCK = 1 << 14


class Optimizer(ABC):
    """What every optimizer is: arrays of state like the parameters, a count of steps, an update by blocks.

    Parameters
    ----------
    learning_rate : float
        Size of a step, above 0; may be set anew between steps.
    """

    #: Names of the state's arrays, which a checkpoint carries.
    states: tuple[str, ...] = ()

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = within("learning_rate", learning_rate, 0, open_low=True)
        self.steps = 0
        self.state: dict[str, Array] = {}

    @property
    def descends(self) -> bool:
        """Whether a step is ``p -= rate g`` and no more, so that the loss's derivative may carry the rate."""
        return False

    def begin(self, parameters: Array, zeros: Callable[..., Array] = np.zeros) -> None:
        """Make the state for these parameters by `zeros`, with the values of an earlier `fit`, if any."""
        for name in self.states:
            held = self.state.get(name)
            self.state[name] = zeros(parameters.shape, parameters.dtype)
            if held is not None and held.shape == parameters.shape and held.dtype == parameters.dtype:
                self.state[name][...] = held
            else:
                self.steps = 0

    def advance(self) -> None:
        """Count one step: called once before the updates of its blocks."""
        self.steps += 1

    def update(self, parameters: Array, gradient: Array, start: int, stop: int, carried: float = 1.0) -> None:
        """Change ``parameters[start:stop]``, block by block; `gradient` may be overwritten.

        `carried` is the factor that the gradient has been multiplied by already.
        """
        for first in range(start, stop, BLOCK):
            block = slice(first, min(first + BLOCK, stop))
            self.change(
                parameters[block], gradient[block], *(self.state[name][block] for name in self.states)
            )

    @abstractmethod
    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """Change one block of parameters and state; `gradient` may be overwritten."""

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"learning_rate": self.learning_rate}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.configuration().items())})"


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= rate g``; with momentum ``v = momentum v + g``, ``p -= rate v``.

    As in PyTorch; Keras multiplies the gradient by the rate before it enters v.

    Parameters
    ----------
    learning_rate : float
        Size of a step.
    momentum : float
        At least 0 and below 1.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = SGD(learning_rate=0.1)
    >>> optimizer.begin(p)
    >>> optimizer.update(p, np.array([2.0]), 0, 1)
    >>> p
    array([0.8])
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0) -> None:
        super().__init__(learning_rate)
        self.momentum = within("momentum", momentum, 0, 1)
        self.states = ("velocity",) if self.momentum else ()

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """``v = momentum v + g``, ``p -= rate v``."""
        (velocity,) = state
        velocity *= parameters.dtype.type(self.momentum)
        velocity += gradient
        np.multiply(velocity, parameters.dtype.type(self.learning_rate), out=gradient)
        parameters -= gradient

    @property
    def descends(self) -> bool:
        """Without momentum."""
        return not self.momentum

    def update(self, parameters: Array, gradient: Array, start: int, stop: int, carried: float = 1.0) -> None:
        """``p -= rate g``, or block by block with momentum."""
        if self.momentum:
            super().update(parameters, gradient, start, stop)
            return
        stretch = gradient[start:stop]
        if carried != self.learning_rate:
            stretch *= parameters.dtype.type(self.learning_rate / carried)
        parameters[start:stop] -= stretch

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"learning_rate": self.learning_rate, "momentum": self.momentum}


class Adam(Optimizer):
    """Adaptive moments: steps scaled by running means of the gradient and of its square.

    ``m = beta1 m + (1 - beta1) g``, ``v = beta2 v + (1 - beta2) g^2``,
    ``p -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)``.
    Kingma and Ba 2015, https://arxiv.org/abs/1412.6980; epsilon as in PyTorch (Keras's is 1e-7).

    Parameters
    ----------
    learning_rate : float
        Size of a step.
    beta1, beta2 : float
        Memory of the two means, at least 0 and below 1.
    epsilon : float
        Keeps the division finite.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = Adam(learning_rate=0.1)
    >>> optimizer.begin(p)
    >>> optimizer.advance()
    >>> optimizer.update(p, np.array([2.0]), 0, 1)
    >>> p.round(6)
    array([0.9])
    """

    states = ("mean", "square")

    def __init__(
        self, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.beta1 = within("beta1", beta1, 0, 1)
        self.beta2 = within("beta2", beta2, 0, 1)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """Move both means, then the parameters."""
        kind = parameters.dtype.type
        mean, square = state
        part = gradient * kind(1 - self.beta1)
        mean *= kind(self.beta1)
        mean += part
        gradient *= gradient
        gradient *= kind(1 - self.beta2)
        square *= kind(self.beta2)
        square += gradient
        np.sqrt(square, out=part)
        # sqrt(v / c) + epsilon, times sqrt(c), is sqrt(v) + epsilon sqrt(c): one pass less over the block.
        root = np.sqrt(1 - self.beta2**self.steps)
        part += kind(self.epsilon * root)
        np.divide(mean, part, out=part)
        part *= kind(self.learning_rate * root / (1 - self.beta1**self.steps))
        parameters -= part

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon": self.epsilon,
        }


#: Every optimizer by its name.
OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}


def as_optimizer(optimizer: str | Optimizer, learning_rate: float | None = None) -> Optimizer:
    """Return an optimizer by its name, at `learning_rate` or its default, or the one given.

    Examples
    --------
    >>> as_optimizer("sgd", 0.1)
    SGD(learning_rate=0.1, momentum=0.0)
    """
    if isinstance(optimizer, Optimizer):
        if learning_rate is not None:
            raise ValueError(f"learning_rate belongs to {optimizer!r}: give it there, not beside it")
        return optimizer
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    made = OPTIMIZERS[optimizer]
    return made() if learning_rate is None else made(learning_rate)
