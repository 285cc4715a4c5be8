"""Adaptive optimizers: each parameter's step is scaled by the size of the gradients that it has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import flag, within
from purecnn.backend.types import Array
from purecnn.optimizers.base import Optimizer, Options


class Adagrad(Optimizer):
    """Steps scaled by the root of all squares seen: ``s += g^2``, ``p -= rate g / (sqrt(s) + epsilon)``.

    Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html. As in PyTorch, whose ``lr_decay`` is a
    schedule's work here; Keras starts s at 0.1 and has an epsilon of 1e-7.

    Parameters
    ----------
    learning_rate : float
        Size of a step.
    initial_accumulator_value : float
        Where s starts, at least 0.
    epsilon : float
        Keeps the division finite.
    **options
        `weight_decay`, `decay_biases` and `clip_norm`: see `Optimizer`.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = Adagrad(learning_rate=0.1)
    >>> optimizer.step(p, np.array([2.0]))
    >>> p.round(6)
    array([0.9])
    """

    states = ("square",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = within("initial_accumulator_value", initial_accumulator_value, 0)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)

    def begin(
        self, parameters: Array, zeros: Callable[..., Array] = np.zeros, weights: Array | None = None
    ) -> None:
        """Make the state, which starts at `initial_accumulator_value`."""
        super().begin(parameters, zeros, weights)
        if not self.steps:
            self.state["square"].fill(self.initial_accumulator_value)

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """``s += g^2``, then the parameters."""
        xp, kind = module_of(parameters), parameters.dtype.type
        (square,) = state
        part = gradient * gradient
        square += part
        xp.sqrt(square, out=part)
        part += kind(self.epsilon)
        gradient *= kind(self.learning_rate)
        gradient /= part
        parameters -= gradient

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {
            "learning_rate": self.learning_rate,
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
        return own | super().configuration()


class RMSprop(Optimizer):
    """Steps scaled by a running mean of squares: ``s = alpha s + (1 - alpha) g^2``, then as below.

    ``p -= rate g / (sqrt(s) + epsilon)``; with momentum ``v = momentum v + g / (sqrt(s) + epsilon)``,
    ``p -= rate v``; centered, s is lessened by the square of the gradient's own running mean: the variance.
    Hinton 2012, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; centered in
    Graves 2013, https://arxiv.org/abs/1308.0850. As in PyTorch; Keras calls alpha ``rho``, 0.9, adds its
    epsilon of 1e-7 under the root and multiplies by the rate before momentum.

    Parameters
    ----------
    learning_rate : float
        Size of a step.
    alpha : float
        Memory of the means, at least 0 and below 1.
    epsilon : float
        Keeps the division finite.
    momentum : float
        At least 0 and below 1.
    centered : bool
        Whether to scale by the variance, which rounding can't take below 0 here.
    **options
        `weight_decay`, `decay_biases` and `clip_norm`: see `Optimizer`.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = RMSprop(learning_rate=0.1)
    >>> optimizer.step(p, np.array([2.0]))
    >>> p.round(6)
    array([0.])
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        alpha: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.alpha = within("alpha", alpha, 0, 1)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)
        self.momentum = within("momentum", momentum, 0, 1)
        self.centered = flag("centered", centered)
        self.states = ("square", *["mean"] * self.centered, *["velocity"] * bool(self.momentum))

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """Move the means, then the velocity, then the parameters."""
        xp, kind = module_of(parameters), parameters.dtype.type
        held = dict(zip(self.states, state, strict=True))
        square, velocity = held["square"], held.get("velocity")
        part = gradient * gradient
        part *= kind(1 - self.alpha)
        square *= kind(self.alpha)
        square += part
        if self.centered:
            mean = held["mean"]
            mean *= kind(self.alpha)
            mean += gradient * kind(1 - self.alpha)
            xp.subtract(square, xp.multiply(mean, mean, out=part), out=part)
            xp.clip(part, 0, None, out=part)
            xp.sqrt(part, out=part)
        else:
            xp.sqrt(square, out=part)
        part += kind(self.epsilon)
        xp.divide(gradient, part, out=part)
        if velocity is not None:
            velocity *= kind(self.momentum)
            velocity += part
            part[...] = velocity
        part *= kind(self.learning_rate)
        parameters -= part

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {
            "learning_rate": self.learning_rate,
            "alpha": self.alpha,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "centered": self.centered,
        }
        return own | super().configuration()


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
    **options
        `weight_decay`, `decay_biases` and `clip_norm`: see `Optimizer`.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = Adam(learning_rate=0.1)
    >>> optimizer.step(p, np.array([2.0]))
    >>> p.round(6)
    array([0.9])
    """

    states = ("mean", "square")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta1 = within("beta1", beta1, 0, 1)
        self.beta2 = within("beta2", beta2, 0, 1)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        """Move both means, then the parameters."""
        xp, kind = module_of(parameters), parameters.dtype.type
        mean, square = state
        part = gradient * kind(1 - self.beta1)
        mean *= kind(self.beta1)
        mean += part
        gradient *= gradient
        gradient *= kind(1 - self.beta2)
        square *= kind(self.beta2)
        square += gradient
        xp.sqrt(square, out=part)
        # sqrt(v / c) + epsilon, times sqrt(c), is sqrt(v) + epsilon sqrt(c): one pass less over the block.
        root = np.sqrt(1 - self.beta2**self.steps)
        part += kind(self.epsilon * root)
        xp.divide(mean, part, out=part)
        part *= kind(self.learning_rate * root / (1 - self.beta1**self.steps))
        parameters -= part

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {
            "learning_rate": self.learning_rate,
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon": self.epsilon,
        }
        return own | super().configuration()


class AdamW(Adam):
    """Adam whose decay shrinks the parameters themselves: ``p -= rate weight_decay p``, then Adam's step.

    So the decay is not scaled by the gradients' size. Loshchilov and Hutter 2019,
    https://arxiv.org/abs/1711.05101; as in PyTorch (Keras's decay is 0.004).

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon : float
        As in `Adam`.
    **options
        `weight_decay`, 0.01 where left out, `decay_biases` and `clip_norm`: see `Optimizer`.

    Examples
    --------
    >>> p = np.array([1.0])
    >>> optimizer = AdamW(learning_rate=0.1, weight_decay=0.5)
    >>> optimizer.step(p, np.array([2.0]))
    >>> p.round(6)
    array([0.85])
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **options: Unpack[Options],
    ) -> None:
        options.setdefault("weight_decay", 0.01)
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)

    def decay(self, parameters: Array, gradient: Array, weights: Array | None) -> None:
        """``p -= rate weight_decay p``, where `weights` is 1 or left out."""
        part = parameters * parameters.dtype.type(self.learning_rate * self.weight_decay)
        if weights is not None:
            part *= weights
        parameters -= part
