"""Layer fusion: which layers run as one.

Which layers run as one: the engine's list of steps for a network's list of layers.

Fusing is invisible: it changes neither parameters nor, but for rounding, results. Layers that nothing here
knows run as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels import cpu
from purecnn.kernels.geometry import Window
from purecnn.layers.base import Layer
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.signals.steps import with_turns
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import MaxPooling


class FusedConvolutional(Layer):
    """A convolution that knows of the max pooling behind it.

    Parameters
    ----------
    convolution : Convolutional
        With one bias a map, or none: a bias that differs inside a window does not commute with its maximum.
    pool : MaxPooling
        Whose window steps by its own size.
    """

    def __init__(self, convolution: Convolutional, pool: MaxPooling) -> None:
        super().__init__()
        self.convolution, self.pool = convolution, pool
        self.input_shape, self.output_shape = convolution.input_shape, convolution.output_shape
        self.parameters, self.gradients = convolution.parameters, convolution.gradients

    def replica(self, xp: Any = np) -> Self:
        """Return a worker's twin."""
        twin = super().replica(xp)
        twin.parameters = self.parameters
        return twin

    @property
    def trainable(self) -> bool:  # type: ignore[override]
        """Whether training changes the convolution's parameters."""
        return self.convolution.trainable

    def given(self, input: Array) -> tuple[Array, Array, Array | None, Window]:
        """Keep the input; return it with what the kernels want on the way forward."""
        self.input = input
        return input, self.parameters["kernels"], self.parameters.get("biases"), self.convolution.window

    def given_back(self, g: Array) -> tuple[Array, Array, Array, Array, Array | None, Window]:
        """Return the gradient with what they want on the way back."""
        gradients = self.gradients["kernels"], self.gradients.get("biases")
        return g, self.input, self.parameters["kernels"], *gradients, self.convolution.window


class PooledConvolutional(FusedConvolutional):
    """A convolution and the max pooling behind it, in one step.

    An activation between them may run after this step instead, on the pooled values alone: the largest of
    some values stays the largest under every non-decreasing function.
    """

    output_is_free = True

    def __init__(self, convolution: Convolutional, pool: MaxPooling) -> None:
        super().__init__(convolution, pool)
        self.output_shape = pool.output_shape

    def forward(self, input: Array) -> Array:
        """Return the pooled maps, shape ``(depth, PH, PW, N)``."""
        size = self.pool.pool_size
        return cpu.conv2d_max_pool_forward(*self.given(input), size, self.workspace, self.training)

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of `kernels` and `biases`; return that of the images."""
        given, size = self.given_back(output_gradient), self.pool.pool_size
        return cpu.conv2d_max_pool_backward(*given, size, self.workspace, self.propagate)


class PhasedConvolutional(FusedConvolutional):
    """A convolution whose output a batch normalization sees before it is pooled, laid out for that pooling.

    Column a P + p of the images, P the pooling window's width, lies at (p, a): ``(M, P, H, W / P, N)``.
    """

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return the maps, shape ``(depth, P, H, W / P, N)``."""
        return cpu.conv2d_forward(*self.given(input), self.workspace, self.pool.pool_size)

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradients of `kernels` and `biases`; return that of the images."""
        given = self.given_back(output_gradient)
        return cpu.conv2d_backward(*given, self.workspace, self.propagate, self.pool.pool_size)


class PhasedMaxPooling(Layer):
    """The max pooling behind a `PhasedConvolutional` and its batch normalization."""

    output_is_free = True
    overwrites = True

    def __init__(self, pool: MaxPooling) -> None:
        super().__init__()
        self.pool = pool
        self.input_shape, self.output_shape = pool.input_shape, pool.output_shape

    def forward(self, input: Array) -> Array:
        """Return the pooled maps, shape ``(depth, PH, PW, N)``."""
        self.input = input
        return cpu.max_pool_phases_forward(
            input, self.pool.pool_size[0], self.workspace, self.in_place, self.training
        )

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, at the winners' places."""
        return cpu.max_pool_phases_backward(
            output_gradient, self.input, self.pool.pool_size[0], self.workspace, self.in_place
        )


def fuse(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers to run for `layers`, in order, some of them standing for several."""
    steps: list[Layer] = []
    for layer in pool_first(unfused(layers)):
        if steps and fits(steps[-1], layer):
            steps[-1] = PooledConvolutional(steps[-1], layer)  # type: ignore[arg-type]
        elif len(steps) > 1 and type(steps[-1]) is BatchNormalization and divides(steps[-2], layer):
            steps[-2] = PhasedConvolutional(steps[-2], layer)  # type: ignore[arg-type]
            steps.append(PhasedMaxPooling(layer))  # type: ignore[arg-type]
        else:
            steps.append(layer)
    return steps


def pool_first(layers: Sequence[Layer]) -> list[Layer]:
    """Return `layers` with each max pooling moved before the non-decreasing activations that lead to it.

    These then see a quarter of the values: 1.2 ms in place of 4.6 in a step of a VGG with batch
    normalization.

    Examples
    --------
    >>> from purecnn import Flatten, MaxPooling, ReLU
    >>> pool_first([ReLU(), MaxPooling(2), Flatten()])
    [MaxPooling(pool_size=(2, 2), stride=(2, 2)), ReLU(), Flatten()]
    """
    ordered: list[Layer] = []
    for layer in layers:
        place = len(ordered)
        while type(layer) is MaxPooling and place and ordered[place - 1].non_decreasing:
            place -= 1
        ordered.insert(place, layer)
    return ordered


def unfused(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers to run where each shall run by itself: the fused kernels are the host's alone."""
    return with_turns(layers, [step for layer in layers for step in layer.steps()])


def fits(layer: Layer, follower: Layer) -> bool:
    """Return whether `layer` is a convolution that the pooling `follower` may be taken into."""
    return (
        type(layer) is Convolutional
        and layer.window.is_dense
        and not layer.per_position_bias
        and type(follower) is MaxPooling
        and follower.stride == follower.pool_size
        and not follower.is_padded
    )


def divides(layer: Layer, follower: Layer) -> bool:
    """Return whether `layer` is a convolution that `follower` may be taken into, and leaves no pixel out."""
    if not fits(layer, follower) or not isinstance(follower, MaxPooling):
        return False
    _, *size = layer.output_shape or ()
    return follower.pool_size != (1, 1) and not any(map(operator.mod, size, follower.pool_size))
