"""Upsampling and depth to space: layers that enlarge maps.

Pixels repeated or interpolated, or put together of several channels.
"""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import choice, pair
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import resampling
from purecnn.layers.base import Layer


class UpSampling(Layer):
    """Enlarge images: ``(C, H, W, N)`` to ``(C, H fh, W fw, N)``, by repeating pixels or by interpolation.

    "nearest" is ``y[c, p, q, n] = x[c, p // fh, q // fw, n]``. "bilinear" has the pixels' centres at halves:
    row ``p`` lies at ``s = i + t = (p + 1/2) / fh - 1/2``, i whole and t from 0 to below 1, and is
    ``(1 - t) x[c, i] + t x[c, i + 1]``, where rows beyond the edge are the edge's; then the columns likewise.
    Backward is the transpose: each pixel gets the gradients of what was made of it, each times its share.

    As Keras's ``UpSampling2D``, which has the channels last, and more interpolations. As PyTorch's
    ``nn.Upsample(align_corners=False)``, https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html,
    which also takes factors with a fraction; its "nearest" divides in float32, and so takes a neighbour's
    pixel at some factors, 41 the least of them: its "nearest-exact" is what "nearest" is here.

    Parameters
    ----------
    size : int or (int, int)
        How many times as high and as wide: ``fh, fw``.
    interpolation : str
        "nearest" or "bilinear".

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0, 4.0]]).reshape(1, 1, 2, 1)
    >>> UpSampling(2).forward(x)[0, :, :, 0]
    array([[0., 0., 4., 4.],
           [0., 0., 4., 4.]])
    >>> UpSampling((1, 2), "bilinear").forward(x)[0, :, :, 0]
    array([[0., 1., 3., 4.]])
    """

    sample_axes = 3
    output_is_free = True

    def __init__(self, size: int | tuple[int, int] = 2, interpolation: str = "nearest") -> None:
        super().__init__()
        self.size = pair("size", size)
        self.interpolation = choice("interpolation", interpolation, ("nearest", "bilinear"))

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, H fh, W fw)``."""
        if len(input_shape) != 3:
            raise ShapeError(
                f"{self} wants images of shape (channels, height, width), got samples of {input_shape}"
            )
        channels, height, width = input_shape
        return channels, height * self.size[0], width * self.size[1]

    def forward(self, input: Array) -> Array:
        """Return the enlarged images, ``(C, H fh, W fw, N)``."""
        x = self.receive(input)
        return resampling.upsample_forward(x, self.size, self.interpolation, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, given back to the pixels."""
        g = self.receive_gradient(output_gradient)
        return resampling.upsample_backward(g, self.size, self.interpolation, self.workspace)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"size": self.size, "interpolation": self.interpolation}

    def multiply_adds(self) -> int:
        """Return two for each value that is interpolated, along one axis and then the other."""
        if self.interpolation == "nearest" or not self.output_shape:
            return 0
        channels, height, width = self.output_shape
        return 2 * channels * height * (width // self.size[1] + width)
