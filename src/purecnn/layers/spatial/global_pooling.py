"""Global pooling: a vector made of an image, a number for each map, its mean or its largest value."""

from __future__ import annotations

from purecnn.backend.types import Array, Shape
from purecnn.kernels import reference
from purecnn.layers.base import Layer
from purecnn.layers.shapes import image_shape


class GlobalPooling(Layer):
    """What both global poolings share: ``(C, H, W, N)`` becomes ``(C, N)``, whatever the image's size."""

    sample_axes = 3

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C,)``."""
        return image_shape(self, input_shape)[:1]


class GlobalAveragePooling(GlobalPooling):
    """Replace each map of ``(C, H, W, N)`` by its mean: ``(C, N)``, a vector, whatever the image's size.

    ``y[c, n] = mean over p, q of x[c, p, q, n]``; backward each gradient is shared out evenly over its map.
    As Keras's ``GlobalAveragePooling2D``; PyTorch's ``AdaptiveAvgPool2d(1)`` with ``Flatten`` behind it.
    Lin et al. 2014, https://arxiv.org/abs/1312.4400.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling().forward(np.arange(16.0).reshape(2, 2, 4, 1))
    array([[ 3.5],
           [11.5]])
    """

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return the mean of each map, ``(C, N)``."""
        x = self.receive(input)
        return self.kernel_set.global_average_pool_forward(x, self.workspace)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, shared out over each map."""
        g = self.receive_gradient(output_gradient)
        return reference.global_average_pool_backward(g, self.input_shape or (), self.workspace)


class GlobalMaxPooling(GlobalPooling):
    """Replace each map of ``(C, H, W, N)`` by its largest value: ``(C, N)``, whatever the image's size.

    ``y[c, n] = max over p, q of x[c, p, q, n]``; backward each gradient goes to the cell that it came from,
    of equal ones the first in row order. As Keras's ``GlobalMaxPooling2D``; PyTorch's
    ``AdaptiveMaxPool2d(1)`` with ``Flatten`` behind it.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GlobalMaxPooling()
    >>> layer.forward(np.array([[[1.0, 5.0], [5.0, 2.0]]])[..., None])
    array([[5.]])
    >>> layer.backward(np.array([[3.0]]))[0, :, :, 0]
    array([[0., 3.],
           [0., 0.]])
    """

    output_is_free = True

    def forward(self, input: Array) -> Array:
        """Return the largest value of each map, ``(C, N)``."""
        self.input = self.receive(input)
        output, self.rows = reference.adaptive_max_pool_forward(self.input, (1, 1), self.workspace)
        return output[:, 0, 0]

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient, at the place of each map's largest value."""
        g = self.receive_gradient(output_gradient)
        return reference.adaptive_max_pool_backward(g[:, None, None], self.input, self.rows, self.workspace)
