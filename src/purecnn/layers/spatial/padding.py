"""Zero padding.

Zeros around an image, as a layer of its own: where a convolution's own padding can't be lopsided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from purecnn.backend.checks import pair
from purecnn.backend.types import Array, Shape
from purecnn.kernels.geometry import Padding, Pair
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


class ZeroPadding(Layer):
    """Put zeros around images: ``(C, H, W, N)`` to ``(C, top + H + bottom, left + W + right, N)``.

    Backward the gradient of the pixels within, ``dx = g[:, top : top + H, left : left + W]``.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        On all sides; above and below, left and right; or ``((top, bottom), (left, right))``, as Keras's
        ``ZeroPadding2D``. PyTorch's ``ZeroPad2d`` has them as ``(left, right, top, bottom)``.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding(((1, 0), (0, 2))).forward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 0., 0.]])
    """

    sample_axes = 3
    output_is_free = True

    def __init__(self, padding: int | Pair | Padding = 1) -> None:
        super().__init__()
        sides: Any = padding
        if isinstance(padding, Sequence) and any(isinstance(side, Sequence) for side in padding):
            if len(padding) != 2 or not all(isinstance(side, Sequence) for side in padding):
                raise TypeError(
                    "padding must be an integer, a pair of them (vertical, horizontal) or two pairs "
                    f"((top, bottom), (left, right)), got {padding!r}"
                )
        else:
            vertical, horizontal = pair("padding", padding, least=0)  # type: ignore[arg-type]
            sides = (vertical, vertical), (horizontal, horizontal)
        self.padding = pair("padding", sides[0], least=0), pair("padding", sides[1], least=0)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape with its border."""
        channels, height, width = image_shape(self, input_shape)
        return channels, height + sum(self.padding[0]), width + sum(self.padding[1])

    def within(self, padded: Array) -> Array:
        """Return the part of an array that the image itself lies in."""
        (top, bottom), (left, right) = self.padding
        return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]

    def forward(self, input: Array) -> Array:
        """Return x with zeros around it."""
        x = self.receive(input)
        output = self.workspace.array("output", (*(self.output_shape or ()), x.shape[-1]), x.dtype)
        # The border too each time: an activation may have worked in its place.
        output.fill(0)
        self.xp.copyto(self.within(output), x)
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient of the pixels within."""
        return self.within(self.receive_gradient(output_gradient))

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"padding": self.padding}
