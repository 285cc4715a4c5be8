"""Pooling: one value made of each window of a map, its largest or its mean."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import pair
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import reference
from purecnn.kernels.geometry import output_size
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


class Pooling(Layer):
    """What both poolings share: a window that steps over each map of ``(C, H, W, N)``.

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; the window's own size when left out. Rows and columns at the lower and right
        edge that fill no window are dropped, as in PyTorch and Keras by default.
    """

    sample_axes = 3

    def __init__(
        self, pool_size: int | tuple[int, int] = 2, stride: int | tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.pool_size = pair("pool_size", pool_size)
        self.stride = self.pool_size if stride is None else pair("stride", stride)

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, OH, OW)``."""
        channels, *image = image_shape(self, input_shape)
        rows, columns = (
            output_size(*sizes) for sizes in zip(image, self.pool_size, self.stride, strict=True)
        )
        if rows < 1 or columns < 1:
            raise ShapeError(f"{self} has a window larger than the image, {input_shape[1:]}")
        return channels, rows, columns

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"pool_size": self.pool_size, "stride": self.stride}


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
        output, self.winners = self.kernel_set.max_pool_forward(
            self.input, self.pool_size, self.stride, self.workspace
        )
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, at the winners' places."""
        g = self.receive_gradient(output_gradient)
        return self.kernel_set.max_pool_backward(
            g, self.winners, self.input.shape, self.pool_size, self.stride, self.workspace
        )


class AveragePooling(Pooling):
    """Replace each window by its mean; its gradient is shared out evenly.

    ``y[c, p, q, n] = mean over i, j of x[c, p sh + i, q sw + j, n]``

    Parameters
    ----------
    pool_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; the window's own size when left out.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling(2).forward(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def forward(self, input: Array) -> Array:
        """Return the mean of each window, ``(C, OH, OW, N)``."""
        self.input = self.receive(input)
        return reference.average_pool_forward(self.input, self.pool_size, self.stride, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, shared out over each window."""
        g = self.receive_gradient(output_gradient)
        return reference.average_pool_backward(
            g, self.input.shape, self.pool_size, self.stride, self.workspace
        )
