"""The depthwise separable convolution: each channel by itself, then a convolution of 1 x 1 over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite
from purecnn.layers.shapes import plain
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional, given_sizes


class SeparableConvolutional(Composite):
    """Map images ``(C, H, W, N)`` to ``(depth, OH, OW, N)`` by a depthwise convolution and one of 1 x 1.

    ``y = pointwise(depthwise(x))``, with nothing in between: `Convolutional`'s map for kernels that are
    products, of a window for each channel and of a number for each map and channel. Of ``KH KW + depth``
    multiplications a channel where that has ``KH KW depth``.

    Parameters
    ----------
    input_shape : tuple of int, optional
        ``(C, H, W)`` of one image; taken from the network when left out.
    kernel_size : int or (int, int)
        Height and width of the depthwise window.
    depth : int
        How many feature maps come out.
    depth_multiplier : int
        How many maps each channel gives on the way.
    stride, padding, dilation
        Of the depthwise convolution, as `Convolutional`'s.
    bias : bool
        Whether the outputs have biases; the depthwise convolution has none.
    initialization, rng, dtype
        As `Convolutional`'s, for both kernels.

    Notes
    -----
    Chollet 2016, https://arxiv.org/abs/1610.02357. Howard et al. 2017, https://arxiv.org/abs/1704.04861, have
    a normalization and an activation in between: a `DepthwiseConvolutional` and a `Convolutional` do that.

    The arrays are ``depthwise.kernels`` ``(C depth_multiplier, 1, KH, KW)``, ``pointwise.kernels``
    ``(depth, C depth_multiplier, 1, 1)`` and ``pointwise.biases`` ``(depth,)``. It is Keras's
    ``SeparableConv2D``, whose kernels have their axes in another order; PyTorch has two ``Conv2d`` for it.

    Examples
    --------
    >>> layer = SeparableConvolutional((3, 28, 28), 3, 8, padding="same", rng=0)
    >>> layer.forward(np.zeros((3, 28, 28, 2))).shape
    (8, 28, 28, 2)
    >>> sum(array.size for array in layer.parameters.values())  # a plain one has 3 * 9 * 8 + 8
    59
    """

    output_is_free = True

    def __init__(
        self,
        input_shape: Sequence[int] | Mapping[str, int] | None = None,
        kernel_size: int | tuple[int, int] | None = None,
        depth: int | None = None,
        *,
        depth_multiplier: int = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        kernel_size, depth = given_sizes("SeparableConvolutional", input_shape, kernel_size, depth)
        depthwise = DepthwiseConvolutional(
            input_shape,  # type: ignore[arg-type]
            kernel_size,
            depth_multiplier=depth_multiplier,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
            initialization=initialization,
        )
        pointwise = Convolutional(kernel_size=1, depth=depth, bias=bias, initialization=initialization)
        super().__init__({"": [depthwise, pointwise]}, "add")
        self.draw_now(rng, dtype)

    @property
    def depthwise(self) -> DepthwiseConvolutional:
        """The convolution of each channel by itself."""
        return self.branches[""][0]  # type: ignore[return-value]

    @property
    def pointwise(self) -> Convolutional:
        """The convolution of 1 x 1."""
        return self.branches[""][1]  # type: ignore[return-value]

    @property
    def bias(self) -> bool:
        """Whether the outputs have biases."""
        return self.pointwise.bias

    def inside(self) -> dict[str, Layer]:
        """Return both convolutions by name."""
        return dict(zip(("depthwise", "pointwise"), self.branches.get("", ()), strict=False))

    def combined(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        """Return the shape in which the one branch ends."""
        return shapes[0]

    def sequence(self) -> list[Layer]:
        """Return both convolutions: where nothing parts, nothing is put together."""
        return list(self.branches[""])

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        first, second = self.depthwise, self.pointwise
        return {
            "input_shape": first.declared_shape and plain(first.declared_shape),
            "kernel_size": first.kernel_size,
            "depth": second.depth,
            "depth_multiplier": first.depth_multiplier,
            "stride": first.stride,
            "padding": first.padding,
            "dilation": first.dilation,
            "bias": second.bias,
            "initialization": first.initialization,
        }
