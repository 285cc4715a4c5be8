"""Padding and cropping: a border put around images, or taken off them.

Zeros, as a layer of its own, for where a convolution's own padding can't be lopsided; or the image's own
pixels, which no convolution puts around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from purecnn.backend.checks import pair
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import resampling
from purecnn.kernels.geometry import Padding, Pair, cropped
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


def sides(name: str, value: int | Pair | Padding) -> Padding:
    """Return ``((top, bottom), (left, right))``, given so, as (vertical, horizontal), or as one integer.

    Examples
    --------
    >>> sides("padding", 2), sides("padding", (1, 2)), sides("padding", ((1, 2), (3, 4)))
    (((2, 2), (2, 2)), ((1, 1), (2, 2)), ((1, 2), (3, 4)))
    """
    found: Any = value
    if isinstance(value, Sequence) and any(isinstance(side, Sequence) for side in value):
        if len(value) != 2 or not all(isinstance(side, Sequence) for side in value):
            raise TypeError(
                f"{name} must be an integer, a pair of them (vertical, horizontal) or two pairs "
                f"((top, bottom), (left, right)), got {value!r}"
            )
    else:
        vertical, horizontal = pair(name, value, least=0)  # type: ignore[arg-type]
        found = (vertical, vertical), (horizontal, horizontal)
    return pair(name, found[0], least=0), pair(name, found[1], least=0)


#: What other libraries' words for a padding mean here.
MEANT = {"valid": ": that is a padding of 0"}


def padding_word(given: str, wanted: str, meant: Mapping[str, str] = MEANT) -> str:
    """Return "same", the one padding that is a word, or refuse another: `wanted` are those that are none.

    Examples
    --------
    >>> padding_word("SAME", "an integer")
    'same'
    """
    word = given.lower()
    if word != "same":
        raise ValueError(f'padding must be {wanted} or "same", got {given!r}{meant.get(word, "")}')
    return word


class ImagePadding(Layer):
    """What all paddings share: ``(C, H, W, N)`` becomes ``(C, top + H + bottom, left + W + right, N)``.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        On all sides; above and below, left and right; or ``((top, bottom), (left, right))``.
    """

    sample_axes = 3

    def __init__(self, padding: int | Pair | Padding = 1) -> None:
        super().__init__()
        self.padding = sides("padding", padding)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape with its border."""
        channels, height, width = image_shape(self, input_shape)
        return channels, height + sum(self.padding[0]), width + sum(self.padding[1])

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"padding": self.padding}


class ZeroPadding(ImagePadding):
    """Put zeros around images: ``(C, H, W, N)`` to ``(C, top + H + bottom, left + W + right, N)``.

    Backward the gradient of the pixels within, ``dx = g[:, top : top + H, left : left + W]``.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        On all sides; above and below, left and right; or ``((top, bottom), (left, right))``, as Keras's
        ``ZeroPadding2D``. PyTorch's ``ZeroPad2d`` has them as ``(left, right, top, bottom)``.
    channels : int or (int, int)
        How many maps of zeros come in front of the image's and behind them, as in the shortcuts without
        parameters of He et al. 2016, https://arxiv.org/abs/1512.03385. PyTorch's ``ZeroPad3d`` has them last,
        Keras has no layer for it.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding(((1, 0), (0, 2))).forward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 0., 0.]])
    """

    output_is_free = True

    def __init__(self, padding: int | Pair | Padding = 1, *, channels: int | Pair = 0) -> None:
        super().__init__(padding)
        self.channels = pair("channels", channels, least=0)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape with its border."""
        channels, *image = super().infer(input_shape)
        return channels + sum(self.channels), *image

    def inner(self, padded: Array) -> Array:
        """Return the view of an array that the image itself lies in."""
        front, behind = self.channels
        return cropped(padded[front : len(padded) - behind], self.padding)

    def forward(self, input: Array) -> Array:
        """Return x with zeros around it."""
        x = self.receive(input)
        output = self.workspace.array("output", (*(self.output_shape or ()), x.shape[-1]), x.dtype)
        # The border too each time: an activation may have worked in its place.
        output.fill(0)
        self.xp.copyto(self.inner(output), x)
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient of the pixels within."""
        return self.inner(self.receive_gradient(output_gradient))

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"padding": self.padding, "channels": self.channels}


class PixelPadding(ImagePadding):
    """What reflection and replication share: the border is made of the image's own pixels."""

    #: How a pixel of the border is found, as `geometry.border_places` names it.
    mode = ""

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return x with its border."""
        return resampling.border_pad_forward(self.receive(input), self.padding, self.mode, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return each pixel's gradient, with those of the border that it made."""
        g = self.receive_gradient(output_gradient)
        return resampling.border_pad_backward(g, self.padding, self.mode, self.workspace)


class ReflectionPadding(PixelPadding):
    """Put mirrored pixels around images: ``(C, H, W, N)`` to ``(C, top + H + bottom, left + W + right, N)``.

    The outermost row is the mirror and not repeated: row ``p`` of the border is row ``|p - top|`` of the
    image above, and ``2 (H - 1) - (p - top)`` below it; then the columns likewise. Backward each pixel gets
    the gradients of all its copies. As PyTorch's ``ReflectionPad2d``, which has the sides as
    ``(left, right, top, bottom)``, and ONNX's ``Pad`` by "reflect". Keras has no layer for it.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        On all sides; above and below, left and right; or ``((top, bottom), (left, right))``. Each less than
        the image's height or width.

    Examples
    --------
    >>> import numpy as np
    >>> ReflectionPadding(((0, 0), (2, 1))).forward(np.arange(3.0).reshape(1, 1, 3, 1))[0, :, :, 0]
    array([[2., 1., 0., 1., 2., 1.]])
    """

    mode = "reflect"

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape with its border."""
        found = super().infer(input_shape)
        if any(max(border) >= size for border, size in zip(self.padding, input_shape[1:], strict=True)):
            raise ShapeError(
                f"{self} wants images larger than each side of its padding, got {input_shape[1:]}"
            )
        return found


class ReplicationPadding(PixelPadding):
    """Put the outermost pixels around images, as often as needed: as `ZeroPadding`, with them for zeros.

    ``y[c, p, q, n] = x[c, i, j, n]``, where ``i = min(max(p - top, 0), H - 1)``, and j likewise. Backward
    each pixel gets the gradients of all its copies. As PyTorch's ``ReplicationPad2d``, which has the sides
    as ``(left, right, top, bottom)``, and ONNX's ``Pad`` by "edge". Keras has no layer for it.

    Parameters
    ----------
    padding : int, (int, int) or ((int, int), (int, int))
        On all sides; above and below, left and right; or ``((top, bottom), (left, right))``.

    Examples
    --------
    >>> import numpy as np
    >>> ReplicationPadding(((0, 0), (2, 1))).forward(np.arange(3.0).reshape(1, 1, 3, 1))[0, :, :, 0]
    array([[0., 0., 0., 1., 2., 2.]])
    """

    mode = "edge"


class Cropping(Layer):
    """Take lines off images: ``(C, H, W, N)`` to ``(C, H - top - bottom, W - left - right, N)``; or maps.

    ``y = x[front : C - behind, top : H - bottom, left : W - right]``; backward what was taken off has the
    gradient 0. As Keras's ``Cropping2D``; PyTorch has no layer for it, but its ``ZeroPad2d`` with sides below
    0 does it.

    Parameters
    ----------
    cropping : int, (int, int) or ((int, int), (int, int))
        Off all sides; above and below, left and right; or ``((top, bottom), (left, right))``.
    channels : int or (int, int)
        How many maps are taken off, in front and behind: what is left is one of the parts that a split cuts
        images into. Neither Keras nor PyTorch has a layer for it.

    Examples
    --------
    >>> import numpy as np
    >>> Cropping(((1, 0), (0, 2))).forward(np.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0]
    array([[4., 5.]])
    """

    sample_axes = 3

    def __init__(self, cropping: int | Pair | Padding = 1, *, channels: int | Pair = 0) -> None:
        super().__init__()
        self.cropping = sides("cropping", cropping)
        self.channels = pair("channels", channels, least=0)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the shape without its border."""
        channels, *image = image_shape(self, input_shape)
        height, width = (size - sum(side) for size, side in zip(image, self.cropping, strict=True))
        if min(height, width) < 1:
            raise ShapeError(f"{self} wants images larger than what it takes off, got {input_shape[1:]}")
        if channels <= sum(self.channels):
            raise ShapeError(f"{self} wants more channels than it takes off, got {channels}")
        return channels - sum(self.channels), height, width

    def within(self, images: Array) -> Array:
        """Return the view of images that is left of them."""
        front, behind = self.channels
        return cropped(images[front : len(images) - behind], self.cropping)

    def forward(self, input: Array) -> Array:
        """Return the part of x within, a view."""
        return self.within(self.receive(input))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient with zeros around it."""
        g = self.receive_gradient(output_gradient)
        dx = self.workspace.array("input_gradient", (*(self.input_shape or ()), g.shape[-1]), g.dtype)
        dx.fill(0)
        self.xp.copyto(self.within(dx), g)
        return dx

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"cropping": self.cropping, "channels": self.channels}
