"""The convolutional layer of one dimension: small kernels slide along a signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, positive
from purecnn.backend.types import Shape
from purecnn.layers.initializers import check_scheme
from purecnn.layers.shapes import plain, sample_shape, signal_shape
from purecnn.layers.signals.base import SignalLayer, too_short
from purecnn.layers.spatial.convolution import (
    Convolution,
    Convolutional,
    Depthwise,
    DepthwiseConvolutional,
    ambiguous_sizes,
    given_sizes,
)
from purecnn.layers.spatial.padding import MEANT, padding_word


class Convolutional1D(Convolution, SignalLayer):
    """Map signals ``(C, L, N)`` to feature maps ``(depth, OL, N)`` by cross-correlation.

    ``y[m, p] = biases[m] + sum over c, j of kernels[m, c, j] x[c, p s + j d]``, c over the channels of the
    map's group: a `Convolutional` whose images have one row, and computed by it.

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, L)`` of one signal; taken from the network when left out.
    kernel_size : int
        Length of the window.
    depth : int
        How many kernels, and so how many feature maps.
    stride : int
        Step of the window.
    padding : int or "same"
        Zeros before and behind the signal. "same": as many as give ``ceil(L / stride)`` values, the odd one
        behind, as in Keras (PyTorch allows "same" with a stride of one alone). Keras's "causal" is a
        ``ZeroPadding1D(((kernel_size - 1) dilation, 0))`` before this layer.
    dilation : int
        How far the cells of the window lie apart: 1 is a window without holes.
    groups : int
        Cut channels and maps into so many groups; a map looks at the channels of its own group alone. One for
        each channel: `DepthwiseConvolutional1D`.
    bias : bool
        Whether `biases` are added.
    initialization : str
        How `kernels` ``(depth, C / groups, K)`` and `biases` ``(depth,)`` are first drawn, as in
        `Convolutional`.
    rng : numpy.random.Generator or int, optional
        Draw the parameters now, from this (`input_shape` must be given); otherwise the network does.
    dtype : dtype
        Of parameters drawn now: float32 or float64.

    Raises
    ------
    ShapeError
        For samples that are no signals, or are shorter than the window.

    Notes
    -----
    Backward, for each cell j of the window and the values that it met: ``dkernels[:, :, j] = g @ values.T``,
    ``dvalues += kernels[:, :, j].T @ g``, ``dbiases = sum of g``. Waibel et al. 1989,
    https://doi.org/10.1109/29.21701. PyTorch's ``Conv1d``, whose kernels have the same shape; Keras's
    ``Conv1D`` has its channels last, and kernels ``(K, C / groups, depth)``.

    Examples
    --------
    >>> layer = Convolutional1D((2, 100), 5, 8, rng=0)
    >>> layer.forward(np.zeros((2, 100, 3))).shape
    (8, 96, 3)
    """

    output_is_free = True

    def __init__(
        self,
        input_shape: Sequence[int] | Mapping[str, int] | None = None,
        kernel_size: int | None = None,
        depth: int | None = None,
        *,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        size, maps = given_sizes(type(self).__name__, input_shape, kernel_size, depth)
        self.declared_shape = None if input_shape is None else sample_shape(input_shape)
        self.kernel_size = positive("kernel_size", size)
        self.depth = positive("depth", maps)
        self.stride = positive("stride", stride)
        self.padding: str | int
        if isinstance(padding, str):
            causal = ": that is a ZeroPadding1D(((kernel_size - 1) * dilation, 0)) before the layer"
            self.padding = padding_word(padding, "an integer", {**MEANT, "causal": causal})
        else:
            self.padding = positive("padding", padding, least=0)
        self.dilation = positive("dilation", dilation)
        self.set_groups(groups)
        self.bias = flag("bias", bias)
        self.initialization = check_scheme(initialization)
        self.hold_image_layer()
        if self.declared_shape is not None:
            self.bind(self.declared_shape)
        self.draw_now(rng, dtype)

    def along_rows(self) -> dict[str, Any]:
        """Return the geometry as a convolution of images of one row has it."""
        padding = self.padding if isinstance(self.padding, str) else (0, self.padding)
        return {
            "kernel_size": (1, self.kernel_size),
            "stride": (1, self.stride),
            "padding": padding,
            "dilation": (1, self.dilation),
            "bias": self.bias,
            "initialization": self.initialization,
        }

    image_layer: Convolutional

    def make_image_layer(self) -> Convolutional:
        """Return the convolution of images."""
        return Convolutional(depth=self.depth, groups=self.groups, **self.along_rows())

    @property
    def reach(self) -> int:
        """Length that the window covers, holes included."""
        return (self.kernel_size - 1) * self.dilation + 1

    @property
    def border(self) -> tuple[int, int]:
        """The zeros (before, behind) the signal that this layer is bound to."""
        before_and_behind: tuple[int, int] = self.image_layer.border[1]
        return before_and_behind

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(depth, OL)``."""
        _, length = signal_shape(self, input_shape)
        self.check_input("signals", input_shape)
        border = 0 if isinstance(self.padding, str) else self.padding
        if self.padding != "same" and length + 2 * border < self.reach:
            raise too_short(self, self.reach, input_shape, f" with a border of {border}" if border else "")
        return super().infer(input_shape)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `kernels` and, where there are any, `biases`."""
        channels = self.input_shape[0] if self.input_shape else 0
        shapes: dict[str, Shape] = {"kernels": (self.depth, channels // self.groups, self.kernel_size)}
        return {**shapes, "biases": (self.depth,)} if self.bias else shapes

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "input_shape": self.declared_shape and plain(self.declared_shape),
            "kernel_size": self.kernel_size,
            "depth": self.depth,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self.bias,
            "initialization": self.initialization,
        }


class DepthwiseConvolutional1D(Depthwise, Convolutional1D):
    """Map each channel of ``(C, L, N)`` by itself: a convolution of as many groups as there are channels.

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, L)`` of one signal; taken from the network when left out.
    kernel_size : int
        Length of the window.
    depth_multiplier : int
        How many maps each channel gives; they are neighbours, as in Keras and PyTorch.
    stride, padding, dilation, bias, initialization, rng, dtype
        As in `Convolutional1D`; `kernels` is ``(C depth_multiplier, 1, K)``.

    Examples
    --------
    >>> layer = DepthwiseConvolutional1D((3, 50), 5, padding="same", rng=0)
    >>> layer.forward(np.zeros((3, 50, 2))).shape
    (3, 50, 2)
    """

    def __init__(
        self,
        input_shape: Sequence[int] | Mapping[str, int] | None = None,
        kernel_size: int | None = None,
        *,
        depth_multiplier: int = 1,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if isinstance(input_shape, int):
            raise TypeError(ambiguous_sizes("DepthwiseConvolutional1D", input_shape, kernel_size))
        if kernel_size is None:
            raise TypeError("DepthwiseConvolutional1D needs kernel_size; got none")
        self.depth_multiplier = positive("depth_multiplier", depth_multiplier)
        super().__init__(
            input_shape,
            kernel_size,
            depth=self.depth_multiplier,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
            initialization=initialization,
            rng=rng,
            dtype=dtype,
        )

    def make_image_layer(self) -> Convolutional:
        """Return the convolution of images."""
        return DepthwiseConvolutional(depth_multiplier=self.depth_multiplier, **self.along_rows())
