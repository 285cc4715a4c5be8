"""Steps of the engine where signals become images of one row, and where they are signals again.

Layers of signals are layers of images to the engine. What stands between two of them and takes arrays of any
shape is given the images; all other layers are given signals.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from purecnn.backend.types import Array, Shape
from purecnn.layers.activations.basic import HardSigmoid, Identity, Sigmoid, Softsign, Tanh
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer
from purecnn.layers.dropout import Dropout, SpatialDropout, StochasticDepth
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.reshape import Flatten
from purecnn.layers.signals.base import SignalLayer, with_row, without_row

#: Layers whose passes take (C, L, N) and (C, 1, L, N) alike.
ANY_AXES: set[type[Layer]] = {
    *(HardSigmoid, Identity, Sigmoid, Softsign, Tanh, GELU, HardSwish, Mish, SiLU),
    *(ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6, Softplus),
    *(BatchNormalization, Dropout, Flatten, GaussianNoise, SpatialDropout, StochasticDepth),
}


class Turning(Layer):
    """A step that gives views of what it is given: of the same arrays the same views.

    Kernels lay their memory out for the very array that they are given.
    """

    seen: Any = None
    view: Any = None
    seen_back: Any = None
    view_back: Any = None

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.bind(shape)

    @abstractmethod
    def turned(self, x: Array) -> Array:
        """Return the view of an input."""

    @abstractmethod
    def turned_back(self, g: Array) -> Array:
        """Return the view of an output's gradient."""

    def forward(self, input: Array) -> Array:
        """Return the view."""
        if input is not self.seen:
            self.seen, self.view = input, self.turned(input)
        view: Array = self.view
        return view

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the view of the gradient."""
        if output_gradient is not self.seen_back:
            self.seen_back, self.view_back = output_gradient, self.turned_back(output_gradient)
        view: Array = self.view_back
        return view


class ToImages(Turning):
    """From here on signals ``(C, L, N)`` are images of one row, ``(C, 1, L, N)``."""

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape with a row."""
        channels, length = input_shape
        return channels, 1, length

    def turned(self, x: Array) -> Array:
        """Return images."""
        return with_row(x)

    def turned_back(self, g: Array) -> Array:
        """Return signals."""
        return without_row(g)


class ToSignals(Turning):
    """From here on images of one row, ``(C, 1, L, N)``, are signals ``(C, L, N)``."""

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape without the row."""
        return input_shape[0], input_shape[2]

    def turned(self, x: Array) -> Array:
        """Return signals."""
        return without_row(x)

    def turned_back(self, g: Array) -> Array:
        """Return images."""
        return with_row(g)


def with_turns(layers: Sequence[Layer], steps: Sequence[Layer]) -> list[Layer]:
    """Return the steps of `layers`, with those that turn signals into images and back where any are needed.

    Examples
    --------
    >>> from purecnn import Convolutional1D, MaxPooling1D, ReLU, Softmax
    >>> layers = [Convolutional1D((1, 9), 3, 2), ReLU(), MaxPooling1D(2), Softmax()]
    >>> shape = (1, 9)
    >>> for layer in layers:
    ...     shape = layer.bind(shape)
    >>> [type(step).__name__ for step in with_turns(layers, [s for layer in layers for s in layer.steps()])]
    ['ToImages', 'Convolutional', 'ReLU', 'MaxPooling', 'ToSignals', 'Softmax']
    """
    parts = (part for layer in layers for part in (layer, *layer.parts()))
    if not any(isinstance(part, SignalLayer) for part in parts):
        return list(steps)
    found: list[Layer] = []
    turn(found, layers[0].input_shape, ToImages)
    for step in steps:
        before, after = step.input_shape, step.output_shape
        if type(step) in ANY_AXES or before is None:  # a fork, or where branches meet
            found.append(step)
            continue
        turn(found, before, ToSignals)
        found.append(step)
        turn(found, after, ToImages)
    turn(found, layers[-1].output_shape, ToSignals)
    return found


def turn(found: list[Layer], shape: Shape | None, kind: type[Turning]) -> None:
    """Put a step of that kind behind those found, where `shape` is a signal's; two undo each other."""
    if shape is None or len(shape) != 2:
        return
    if kind is ToSignals and found and type(found[-1]) is ToImages:
        found.pop()
        return
    found.append(kind(shape) if kind is ToImages else kind((shape[0], 1, shape[1])))
