"""Adaptive pooling: as many windows as are wanted, whatever the size of the image."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import pair
from purecnn.backend.types import Array, Shape
from purecnn.kernels import reference
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


class AdaptivePooling(Layer):
    """What both adaptive poolings share: ``OH x OW`` windows over each map of ``(C, H, W, N)``.

    Window ``p`` reaches from row ``floor(p H / OH)`` to below ``ceil((p + 1) H / OH)``, and so along the
    columns: neighbours differ by a row at most, and overlap where OH does not divide H. An output larger than
    the image repeats and mixes its rows.

    Parameters
    ----------
    output_size : int or (int, int)
        Height and width of the output: ``OH, OW``.
    """

    sample_axes = 3

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.output_size = pair("output_size", output_size)

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, OH, OW)``."""
        return image_shape(self, input_shape)[0], *self.output_size

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"output_size": self.output_size}


class AdaptiveAveragePooling(AdaptivePooling):
    """Replace each of ``OH x OW`` windows of an image by its mean; its gradient is shared out evenly.

    ``y[c, p, q, n] = mean over i, j of x[c, i, j, n]``, i from ``floor(p H / OH)`` to below
    ``ceil((p + 1) H / OH)``, j likewise: the windows are as even as can be, overlap where OH does not divide
    H, and repeat rows where it is larger. As PyTorch's ``nn.AdaptiveAvgPool2d``, which also takes None for
    the image's own size, https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html, and
    Keras's ``AdaptiveAveragePooling2D``.

    Parameters
    ----------
    output_size : int or (int, int)
        Height and width of the output: ``OH, OW``.

    Examples
    --------
    >>> import numpy as np
    >>> AdaptiveAveragePooling((1, 2)).forward(np.arange(6.0).reshape(1, 2, 3, 1))[0, :, :, 0]
    array([[2., 3.]])
    """

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return the mean of each window, ``(C, OH, OW, N)``."""
        x = self.receive(input)
        return reference.adaptive_average_pool_forward(x, self.output_size, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, shared out over each window."""
        g = self.receive_gradient(output_gradient)
        return reference.adaptive_average_pool_backward(g, self.input_shape or (), self.workspace)


class AdaptiveMaxPooling(AdaptivePooling):
    """Keep the largest value of each of ``OH x OW`` windows of an image; its gradient goes to its cell.

    ``y[c, p, q, n] = max over i, j of x[c, i, j, n]``, i from ``floor(p H / OH)`` to below
    ``ceil((p + 1) H / OH)``, j likewise: the windows are as even as can be, overlap where OH does not divide
    H, and repeat rows where it is larger. A tie goes to the window's first cell in row order. As PyTorch's
    ``nn.AdaptiveMaxPool2d``, which also takes None for the image's own size,
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html, and Keras's
    ``AdaptiveMaxPooling2D``.

    Parameters
    ----------
    output_size : int or (int, int)
        Height and width of the output: ``OH, OW``.

    Examples
    --------
    >>> import numpy as np
    >>> AdaptiveMaxPooling((1, 2)).forward(np.arange(6.0).reshape(1, 2, 3, 1))[0, :, :, 0]
    array([[4., 5.]])
    """

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return the largest value of each window, ``(C, OH, OW, N)``."""
        self.input = self.receive(input)
        output, self.rows = reference.adaptive_max_pool_forward(self.input, self.output_size, self.workspace)
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, at the places of the largest values."""
        g = self.receive_gradient(output_gradient)
        return reference.adaptive_max_pool_backward(g, self.input, self.rows, self.workspace)
