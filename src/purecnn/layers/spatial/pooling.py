"""Pooling: one value made of each window of a map, its largest or its mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.arrays import to_device
from purecnn.backend.checks import flag, pair
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import reference
from purecnn.kernels.geometry import Padding, Pair, bordered, cropped, output_size, same_border
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape
from purecnn.layers.spatial.padding import padding_word, sides


class Pooling(Layer):
    """What both poolings share: a window that steps over each map of ``(C, H, W, N)``.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; the window's own size when left out. Rows and columns at the lower and right
        edge that fill no window are dropped, as in PyTorch and Keras by default.
    padding : int, (int, int), ((int, int), (int, int)) or "same"
        By how much windows reach past the image, less than their own size: on all sides; vertically and
        horizontally; ``((top, bottom), (left, right))``; or "same", for ``ceil(H / stride)`` rows and as many
        columns, the odd one below and at the right, as in Keras.
    """

    sample_axes = 3

    def __init__(
        self,
        pool_size: int | Pair = 2,
        stride: int | Pair | None = None,
        padding: int | Pair | Padding | str = 0,
    ) -> None:
        super().__init__()
        self.pool_size = pair("pool_size", pool_size)
        self.stride = self.pool_size if stride is None else pair("stride", stride)
        self.padding: str | Padding
        if isinstance(padding, str):
            self.padding = padding_word(padding, "an integer, pairs of them")
        else:
            self.padding = sides("padding", padding)
            for window, beyond in zip(self.pool_size, self.padding, strict=True):
                if max(beyond) >= window:
                    raise ValueError(
                        f"padding must be less than the window, {self.pool_size}, on each side, so that each "
                        f"window has a pixel; got {self.padding}"
                    )

    def borders(self, input_shape: Shape) -> Padding:
        """Return by how much windows reach past an image of `input_shape`: (above, below), (left, right)."""
        if isinstance(self.padding, str):
            rows, columns = map(same_border, input_shape[1:], self.pool_size, self.stride)
            return rows, columns
        return self.padding

    @property
    def border(self) -> Padding:
        """By how much windows reach past the images that this layer is bound to."""
        return self.borders(self.input_shape or (0, 1, 1))

    @property
    def is_padded(self) -> bool:
        """Whether windows reach past the images that this layer is bound to."""
        return any(map(any, self.border))

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, OH, OW)``."""
        channels, *image = image_shape(self, input_shape)
        borders = self.borders(input_shape)
        rows, columns = map(output_size, image, self.pool_size, self.stride, borders)
        if rows < 1 or columns < 1:
            around = f" with a padding of {borders}" if any(map(any, borders)) else ""
            raise ShapeError(f"{self} has a window larger than the image, {input_shape[1:]}{around}")
        return channels, rows, columns

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments, without the padding where there is none, as older files."""
        found: dict[str, Any] = {"pool_size": self.pool_size, "stride": self.stride}
        return found if self.padding == ((0, 0), (0, 0)) else {**found, "padding": self.padding}


class MaxPooling(Pooling):
    """Keep the largest value of each window; its gradient goes to the cell that it came from.

    ``y[c, p, q, n] = max over i, j of x[c, p sh + i, q sw + j, n]``. A tie goes to the first cell in row
    order, as in PyTorch: on MNIST 41 % of a first layer's windows tie, on blank paper. Behind a convolution
    that is computed by tiles (`docs/engine.md`), values that tie in exact arithmetic may differ in their last
    bits, and so send the gradient to another cell than PyTorch's.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; the window's own size when left out.
    padding : int, (int, int), ((int, int), (int, int)) or "same"
        By how much windows reach past the image, where there is nothing to be the largest: on all sides;
        vertically and horizontally; ``((top, bottom), (left, right))``; or "same", for ``ceil(H / stride)``
        rows and as many columns. PyTorch allows half a window, the same on opposite sides.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPooling(2).forward(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    def forward(self, input: Array) -> Array:
        """Return the largest value of each window, ``(C, OH, OW, N)``."""
        self.input = self.receive(input)
        if self.is_padded:
            self.input = bordered(self.input, self.border, -math.inf, self.workspace)
        output, self.winners = self.kernel_set.max_pool_forward(
            self.input, self.pool_size, self.stride, self.workspace
        )
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, at the winners' places."""
        g = self.receive_gradient(output_gradient)
        back = self.kernel_set.max_pool_backward(
            g, self.winners, self.input.shape, self.pool_size, self.stride, self.workspace
        )
        return cropped(back, self.border) if self.is_padded else back


class AveragePooling(Pooling):
    """Replace each window by its mean; its gradient is shared out evenly.

    ``y[c, p, q, n] = mean over i, j of x[c, p sh + i, q sw + j, n]``

    As PyTorch's ``AvgPool2d``, whose ``count_include_pad`` is `count_padding`; Keras's ``AveragePooling2D``
    does not count the padding.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; the window's own size when left out.
    padding : int, (int, int), ((int, int), (int, int)) or "same"
        By how much windows reach past the image: on all sides; vertically and horizontally; ``((top,
        bottom), (left, right))``; or "same", for ``ceil(H / stride)`` rows and as many columns.
    count_padding : bool
        Whether what lies past the image counts, as zeros; else the mean is that of the pixels within.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling(2).forward(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def __init__(
        self,
        pool_size: int | Pair = 2,
        stride: int | Pair | None = None,
        padding: int | Pair | Padding | str = 0,
        count_padding: bool = True,
    ) -> None:
        super().__init__(pool_size, stride, padding)
        self.count_padding = flag("count_padding", count_padding)

    def scales(self, dtype: Any) -> Array | None:
        """Return by what the mean of each window is to be multiplied, (OH, OW, 1); None where it is right."""
        if self.count_padding or not self.is_padded:
            return None
        (_, *image), (_, *places) = self.input_shape or (), self.output_shape or ()
        factors = []
        for size, window, step, (before, _), count in zip(
            image, self.pool_size, self.stride, self.border, places, strict=True
        ):
            first = [place * step - before for place in range(count)]
            factors.append([window / (min(start + window, size) - max(start, 0)) for start in first])
        rows, columns = (np.array(side, dtype) for side in factors)
        return to_device(np.multiply.outer(rows, columns)[..., None], self.xp)

    def forward(self, input: Array) -> Array:
        """Return the mean of each window, ``(C, OH, OW, N)``."""
        x = self.receive(input)
        if self.is_padded:
            x = bordered(x, self.border, 0, self.workspace)
        self.padded_shape = x.shape
        y = reference.average_pool_forward(x, self.pool_size, self.stride, self.workspace)
        scales = self.scales(x.dtype)
        if scales is not None:
            y *= scales
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, shared out over each window."""
        g = self.receive_gradient(output_gradient)
        scales = self.scales(g.dtype)
        if scales is not None:
            g = self.xp.multiply(g, scales, out=self.workspace.like("scaled", g))
        back = reference.average_pool_backward(
            g, self.padded_shape, self.pool_size, self.stride, self.workspace
        )
        return cropped(back, self.border) if self.is_padded else back

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments, as `MaxPooling` does."""
        found = super().configuration()
        return found if self.count_padding else {**found, "count_padding": False}
