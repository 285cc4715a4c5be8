"""Reshape, flatten and channel shuffle.

Layers that change no value: axes are named anew, from images to vectors and back, or channels moved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.checks import positive
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import resampling
from purecnn.layers.base import Layer
from purecnn.layers.shapes import ShapeLike, check_channels, plain, sample_shape


def renamed(x: Array, shape: tuple[int, ...], workspace: Workspace) -> Array:
    """Return `x` under another shape: of the same array, where that is a view, always the same one.

    So what lies behind is laid out once: an EfficientNet-B0's answer to one image took 1.3 times as long.
    """
    if not x.flags.c_contiguous:
        return x.reshape(shape)
    return workspace.layout("renamed", x, lambda: x.reshape(shape))


class Reshape(Layer):
    """Give each sample another shape, its values in the same row-major order.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; a column ``(n, 1)`` means ``(n,)``.
    output_shape : tuple of int
        Shape of one sample afterwards, of as many values; an image's channels come first.

    Raises
    ------
    ShapeError
        If the numbers of values differ, or the channels seem to be last: name the axes where they are not,
        ``{"channels": 64, "height": 28, "width": 1}``.

    Notes
    -----
    Backward: the gradient, reshaped back. The order within a sample is PyTorch's and Keras's
    channels-first one, since the batch stays the last axis.

    Examples
    --------
    >>> Reshape((5, 26, 26), (5 * 26 * 26, 1)).forward(np.zeros((5, 26, 26, 7))).shape
    (3380, 7)
    """

    def __init__(self, input_shape: ShapeLike, output_shape: ShapeLike) -> None:
        super().__init__()
        self.declared_shape = sample_shape(input_shape)
        self.target_shape = sample_shape(output_shape)
        check_channels("output_shape", self.target_shape)
        if np.prod(self.declared_shape) != np.prod(self.target_shape):
            raise ShapeError(
                f"Reshape must keep the number of values: {self.declared_shape} has "
                f"{np.prod(self.declared_shape)}, {self.target_shape} has {np.prod(self.target_shape)}"
            )
        self.bind(self.declared_shape)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the target shape."""
        if input_shape != self.declared_shape:
            raise ShapeError(f"{self} wants samples of shape {self.declared_shape}, got {input_shape}")
        return self.target_shape

    def forward(self, input: Array) -> Array:
        """Return `input` as ``(*output_shape, N)``."""
        self.input = self.receive(input)
        return renamed(self.input, (*(self.output_shape or ()), self.input.shape[-1]), self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient in the input's shape."""
        return self.receive_gradient(output_gradient).reshape(self.input.shape)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"input_shape": self.declared_shape, "output_shape": plain(self.target_shape)}


class Flatten(Layer):
    """Turn each sample into a vector: ``(C, H, W, N)`` to ``(C H W, N)``.

    Examples
    --------
    >>> Flatten().forward(np.zeros((5, 26, 26, 7))).shape
    (3380, 7)
    """

    sample_axes = 0

    def infer(self, input_shape: Shape) -> Shape:
        """Return the number of values in one sample."""
        return (int(np.prod(input_shape)),)

    def forward(self, input: Array) -> Array:
        """Return `input` as ``(values, N)``."""
        self.input = self.receive(input)
        return renamed(self.input, (-1, self.input.shape[-1]), self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient in the input's shape."""
        return self.receive_gradient(output_gradient).reshape(self.input.shape)


class ChannelShuffle(Layer):
    """Move channels, so that those of each group come apart: ``(C, ..., N)`` to the same shape.

    ``y[k groups + j] = x[j (C / groups) + k]``: the first channel of each group, then the second of each, and
    so on, so that a convolution by groups behind it sees channels of all groups. Backward each gradient goes
    back. ShuffleNet's, Zhang et al. 2018, https://arxiv.org/abs/1707.01083; as PyTorch's
    ``nn.ChannelShuffle``. Keras has no layer for it.

    Parameters
    ----------
    groups : int
        How many groups the channels come in; it divides their number.

    Examples
    --------
    >>> ChannelShuffle(2).forward(np.arange(6.0).reshape(6, 1))[:, 0]
    array([0., 3., 1., 4., 2., 5.])
    """

    output_is_free = True

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = positive("groups", groups)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape as it is."""
        if not input_shape or input_shape[0] % self.groups:
            raise ShapeError(
                f"{self} wants a number of channels that {self.groups} divides, got samples of {input_shape}"
            )
        return input_shape

    def forward(self, input: Array) -> Array:
        """Return the input, its channels in the other order."""
        return resampling.channel_shuffle_forward(self.receive(input), self.groups, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, its channels in the order of the input."""
        g = self.receive_gradient(output_gradient)
        return resampling.channel_shuffle_backward(g, self.groups, self.workspace)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"groups": self.groups}
