"""Upsampling and depth to space: layers that enlarge maps.

Pixels repeated or interpolated, or put together of several channels.
"""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import choice, flag, pair, positive
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import resampling
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


class UpSampling(Layer):
    """Enlarge images: ``(C, H, W, N)`` to ``(C, H fh, W fw, N)``, by repeating pixels or by interpolation.

    "nearest" is ``y[c, p, q, n] = x[c, p // fh, q // fw, n]``. "bilinear" lays row ``p`` at ``s = i + t`` of
    the image, i whole and t from 0 to below 1: it is ``(1 - t) x[c, i] + t x[c, i + 1]``, where rows beyond
    the edge are the edge's; then the columns likewise. With the pixels' centres at halves, as if they were
    squares, ``s = (p + 1/2) / fh - 1/2``; with `align_corners` the corners' centres stay the corners',
    ``s = p (H - 1) / (H fh - 1)``. Backward is the transpose: each pixel gets the gradients of what was made
    of it, each times its share.

    Keras's ``UpSampling2D`` has the centres at halves, the channels last, and more interpolations. PyTorch's
    ``nn.Upsample``, https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html, has both by the
    same argument and the same default; ``nn.UpsamplingBilinear2d`` aligns the corners. It also takes factors
    with a fraction; its "nearest" divides in float32, and so takes a neighbour's pixel at some factors, 41
    the least of them: its "nearest-exact" is what "nearest" is here.

    Parameters
    ----------
    size : int or (int, int)
        How many times as high and as wide: ``fh, fw``.
    interpolation : str
        "nearest" or "bilinear".
    align_corners : bool
        Whether "bilinear" has the corners' centres where they were, in place of the centres at halves.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0, 4.0]]).reshape(1, 1, 2, 1)
    >>> UpSampling(2).forward(x)[0, :, :, 0]
    array([[0., 0., 4., 4.],
           [0., 0., 4., 4.]])
    >>> UpSampling((1, 2), "bilinear").forward(x)[0, :, :, 0]
    array([[0., 1., 3., 4.]])
    >>> UpSampling((1, 2), "bilinear", align_corners=True).forward(x)[0, :, :, 0].round(3)
    array([[0.   , 1.333, 2.667, 4.   ]])
    """

    sample_axes = 3
    output_is_free = True

    def __init__(
        self,
        size: int | tuple[int, int] = 2,
        interpolation: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.size = pair("size", size)
        self.interpolation = choice("interpolation", interpolation, ("nearest", "bilinear"))
        self.align_corners = flag("align_corners", align_corners)
        if align_corners and self.interpolation == "nearest":
            raise ValueError(
                "align_corners says where the pixels lie that are interpolated: interpolation 'bilinear' is "
                "wanted, got 'nearest'"
            )

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, H fh, W fw)``."""
        channels, height, width = image_shape(self, input_shape)
        return channels, height * self.size[0], width * self.size[1]

    def forward(self, input: Array) -> Array:
        """Return the enlarged images, ``(C, H fh, W fw, N)``."""
        x = self.receive(input)
        return resampling.upsample_forward(
            x, self.size, self.interpolation, self.workspace, self.align_corners
        )

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, given back to the pixels."""
        g = self.receive_gradient(output_gradient)
        return resampling.upsample_backward(
            g, self.size, self.interpolation, self.workspace, self.align_corners
        )

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "size": self.size,
            "interpolation": self.interpolation,
            "align_corners": self.align_corners,
        }

    def multiply_adds(self) -> int:
        """Return two for each value that is interpolated, along one axis and then the other."""
        if self.interpolation == "nearest" or not self.output_shape:
            return 0
        channels, height, width = self.output_shape
        return 2 * channels * height * (width // self.size[1] + width)


class DepthToSpace(Layer):
    """Make blocks of pixels of channels: ``(C b b, H, W, N)`` to ``(C, H b, W b, N)``, every value moved.

    ``y[c, p b + i, q b + j, n] = x[k, p, q, n]``, i and j from 0 to below b, where "CRD" (column, row, depth)
    has the channels of a map together, ``k = c b b + i b + j``, and "DCR" (depth, column, row) those of a
    pixel, ``k = (i b + j) C + c``. Backward each gradient goes back to where its value came from. Behind a
    convolution it is the sub-pixel convolution of Shi et al. 2016, https://arxiv.org/abs/1609.05158.

    PyTorch's ``nn.PixelShuffle`` is "CRD"; ONNX's ``DepthToSpace`` has both, "DCR" if not said otherwise, and
    TensorFlow's ``depth_to_space`` is "DCR". Keras has no layer for it.

    Parameters
    ----------
    block_size : int
        b, the height and width of a block.
    mode : str
        "CRD" or "DCR": in which order the channels are counted.

    Examples
    --------
    >>> import numpy as np
    >>> DepthToSpace(2).forward(np.arange(8.0).reshape(4, 1, 2, 1))[0, :, :, 0]
    array([[0., 2., 1., 3.],
           [4., 6., 5., 7.]])
    """

    sample_axes = 3
    output_is_free = True

    def __init__(self, block_size: int = 2, mode: str = "CRD") -> None:
        super().__init__()
        self.block_size = positive("block_size", block_size)
        self.mode = choice("mode", mode, ("CRD", "DCR"))

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, H b, W b)``."""
        channels, height, width = image_shape(self, input_shape)
        if channels % self.block_size**2:
            raise ShapeError(
                f"{self} wants a number of channels that {self.block_size} x {self.block_size} divides, "
                f"got samples of {input_shape}"
            )
        return channels // self.block_size**2, height * self.block_size, width * self.block_size

    def forward(self, input: Array) -> Array:
        """Return the images of larger size, ``(C, H b, W b, N)``."""
        x = self.receive(input)
        return resampling.depth_to_space_forward(x, self.block_size, self.mode, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, as channels again."""
        g = self.receive_gradient(output_gradient)
        return resampling.depth_to_space_backward(g, self.block_size, self.mode, self.workspace)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"block_size": self.block_size, "mode": self.mode}
