"""The base of optimizers: state, and an update of one flat vector block by block.

What every optimizer is: state, a count of steps, an update of one flat vector block by block.

All parameters of a network are views of one array and all gradients views of another, so that a step is a
dozen NumPy calls for the whole network, not for each layer.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self, TypedDict

import numpy as np

from purecnn.backend.arrays import module_of, to_device, to_host
from purecnn.backend.checks import flag, is_number, within
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.messages.signatures import explain_constructor, explained

#: Values updated at a time: few enough that all of an update's arrays stay in a core's cache.
BLOCK = 1 << 14


class Options(TypedDict, total=False):
    """What every optimizer takes besides its own arguments."""

    weight_decay: float
    decay_biases: bool
    clip_norm: float | None


class Optimizer(ABC):
    """How a gradient becomes a step: clipped, then with the weights' decay, then by the rule of the class.

    Parameters
    ----------
    learning_rate : float
        Size of a step, above 0; may be set anew between steps.
    weight_decay : float
        At least 0. ``g += weight_decay p`` before all else, as in PyTorch: the slope of
        ``weight_decay / 2 * sum p^2``. In `AdamW` it shrinks the parameters themselves.
    decay_biases : bool
        Whether all parameters decay, as in PyTorch, or the `weights` and `kernels` of layers alone: no
        biases, and none of what scales, shifts or bends.
    clip_norm : float, optional
        Above 0. The gradient of the whole batch is multiplied by ``min(1, clip_norm / (norm + 1e-6))``, its
        norm over all parameters, as by PyTorch's ``clip_grad_norm_``; Keras calls it ``global_clipnorm``.
        What `fit` adds for its `l1` and `l2` is part of that gradient, the decay is not.

    Attributes
    ----------
    steps : int
        How many were taken.
    state : dict of str to ndarray
        What the rule remembers, each array like the parameters.
    """

    #: Names of the state's arrays, which a checkpoint carries.
    states: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        explain_constructor(cls)

    @explained
    def __init__(
        self,
        learning_rate: float,
        *,
        weight_decay: float = 0.0,
        decay_biases: bool = True,
        clip_norm: float | None = None,
    ) -> None:
        self.learning_rate = within("learning_rate", learning_rate, 0, open_low=True)
        self.weight_decay = within("weight_decay", weight_decay, 0)
        self.decay_biases = flag("decay_biases", decay_biases)
        self.clip_norm = None if clip_norm is None else within("clip_norm", clip_norm, 0, open_low=True)
        self.clipping = 1.0
        self.steps = 0
        self.state: dict[str, Array] = {}
        self.decaying: Array | None = None
        self.owner: weakref.ref[object] | None = None

    def begin(
        self, parameters: Array, zeros: Callable[..., Array] = np.zeros, weights: Array | None = None
    ) -> None:
        """Make the state for these parameters by `zeros`, with the values of an earlier `fit`, if any.

        `weights`, wanted where ``decay_biases=False``, holds 1 where a parameter is a weight, else 0.
        """
        if not self.decay_biases and weights is None:
            raise ValueError(f"{self} must be told which parameters are weights, got none")
        self.decaying = None if self.decay_biases else weights
        for name in self.states:
            held = self.state.get(name)
            self.state[name] = zeros(parameters.shape, parameters.dtype)
            if held is not None and held.shape == parameters.shape and held.dtype == parameters.dtype:
                self.state[name][...] = to_device(held, module_of(parameters))
            else:
                self.steps = 0

    def step(self, parameters: Array, gradient: Array) -> None:
        """Take one step: change `parameters` by the loss's derivative by them, for a loop of one's own.

        As PyTorch's ``optimizer.step()``, which knows both from before, and Keras's ``apply_gradients``.
        `fit` calls `begin`, `clip`, `advance` and `update` itself, a stretch of the vector for each worker.

        Parameters
        ----------
        parameters : ndarray
            Changed in place; contiguous, of floats, such as `Network.parameters` or one layer's array. What
            the optimizer remembers belongs to them: an optimizer for each array that has steps of its own.
        gradient : ndarray
            Of the same shape; left as it is.

        Raises
        ------
        TypeError, ValueError
            For arrays that are no such pair, or are not those of the steps before.

        Examples
        --------
        >>> from purecnn import Adam
        >>> p = np.array([1.0, 1.0])
        >>> Adam(0.1).step(p, np.array([5.0, -0.5]))
        >>> p.round(6)
        array([0.9, 1.1])
        """
        for name, array in (("parameters", parameters), ("gradient", gradient)):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                raise TypeError(f"{name} must be an array of floats, got {array!r:.100}")
        if parameters.shape != gradient.shape:
            raise ShapeError(
                f"gradient must have the shape of parameters, {parameters.shape}, got {gradient.shape}"
            )
        if not parameters.flags.c_contiguous or not parameters.flags.writeable:
            raise ValueError("parameters must be a contiguous array that can be written to")
        flat, slope = parameters.reshape(-1), gradient.astype(parameters.dtype).reshape(-1)
        held = {array.size for array in self.state.values()}
        if held - {flat.size}:
            raise ValueError(
                f"this {type(self).__name__} has taken steps of {held.pop()} parameters, got {flat.size}: "
                f"make an optimizer for each array"
            )
        if self.state.keys() != set(self.states) or not (self.states or self.steps):
            self.begin(flat)
        if self.clip_norm is not None:
            self.clip(math.sqrt(np.add.reduce(np.square(slope, dtype=np.float64))))
        self.advance()
        self.update(flat, slope, 0, flat.size)

    def serve(self, network: object) -> None:
        """Be the optimizer of a network: what is remembered of another one's steps would move this one's.

        Raises
        ------
        ValueError
            If it has the state of another network.
        """
        if self.owner is not None and self.owner() is not network and self.states and self.steps:
            raise ValueError(
                f"{type(self).__name__} has a state from {self.steps} steps of another network: wanted an "
                f"optimizer of its own for each network"
            )
        self.owner = weakref.ref(network)

    def clip(self, norm: float) -> None:
        """Take the norm of the next update's whole gradient."""
        self.clipping = 1.0 if self.clip_norm is None else min(1.0, self.clip_norm / (norm + 1e-6))

    def advance(self) -> None:
        """Count one step: called once before the updates of its blocks."""
        self.steps += 1

    def update(self, parameters: Array, gradient: Array, start: int, stop: int) -> None:
        """Change ``parameters[start:stop]``, block by block; `gradient` may be overwritten."""
        for block in blocks(parameters, start, stop):
            p, g = parameters[block], gradient[block]
            if self.clipping != 1:
                g *= p.dtype.type(self.clipping)
            if self.weight_decay:
                self.decay(p, g, None if self.decaying is None else self.decaying[block])
            self.change(p, g, *(self.state[name][block] for name in self.states))

    def at_factor(self, factor: float) -> Self:
        """Return an optimizer with this one's state and settings at a multiple of its learning rate.

        For one update of parameters whose layers have a `learning_rate_factor`: what PyTorch's parameter
        groups do.
        """
        if factor == 1:
            return self
        other = object.__new__(type(self))
        vars(other).update(vars(self), learning_rate=self.learning_rate * factor)
        return other

    def decay(self, parameters: Array, gradient: Array, weights: Array | None) -> None:
        """``g += weight_decay p``, where `weights` is 1 or left out."""
        part = parameters * parameters.dtype.type(self.weight_decay)
        if weights is not None:
            part *= weights
        gradient += part

    @abstractmethod
    def change(self, parameters: Array, gradient: Array, *state: Any) -> None:
        """Change one block of parameters, and of each array in `states`; `gradient` may be overwritten."""

    def __getstate__(self) -> dict[str, Any]:
        # Copies lie on the host.
        state = {name: to_host(array) for name, array in self.state.items()}
        return {**vars(self), "state": state, "decaying": to_host(self.decaying), "owner": None}

    def numbers(self) -> list[str]:
        """Return the names of the numbers that an update depends on besides its step's."""
        others = ("steps", "clip_norm")
        return [name for name, value in vars(self).items() if is_number(value) and name not in others]

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "decay_biases": self.decay_biases,
            "clip_norm": self.clip_norm,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.configuration().items())})"


def blocks(array: Array, start: int, stop: int) -> Iterator[slice]:
    """Yield what is updated at a time of a stretch: `BLOCK` values on the host, all of it on a device.

    Examples
    --------
    >>> list(blocks(np.zeros(BLOCK + 1), 0, BLOCK + 1))
    [slice(0, 16384, None), slice(16384, 16385, None)]
    """
    length = BLOCK if module_of(array) is np else max(1, stop - start)
    for first in range(start, stop, length):
        yield slice(first, min(first + length, stop))


def write_squares(gradient: Array, start: int, stop: int, squares: Array) -> None:
    """Write the sum of squares of each block of ``gradient[start:stop]``, which begins at a block's edge.

    Blocks are cut at fixed places and summed in float64, so whoever writes which gives the same bits.

    Examples
    --------
    >>> found = np.zeros(2)
    >>> write_squares(np.full(BLOCK + 1, 2.0), 0, BLOCK + 1, found)
    >>> found.tolist()
    [65536.0, 4.0]
    """
    for first in range(start, stop, BLOCK):
        block = gradient[first : min(first + BLOCK, stop)].astype(np.float64)
        squares[first // BLOCK] = np.add.reduce(np.square(block, out=block))
