"""Pooling of one dimension: one value made of each window of a signal, its largest or its mean."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import positive
from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.shapes import signal_shape
from purecnn.layers.signals.base import SignalLayer, too_short
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling


class Pooling1D(SignalLayer):
    """What both poolings share: a window that steps along each channel of ``(C, L, N)``.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out. Values at the end that fill no window are
        dropped, as in PyTorch and Keras by default.
    """

    def __init__(self, pool_size: int = 2, stride: int | None = None) -> None:
        super().__init__()
        self.pool_size = positive("pool_size", pool_size)
        self.stride = self.pool_size if stride is None else positive("stride", stride)
        self.hold_image_layer()

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, OL)``."""
        if signal_shape(self, input_shape)[1] < self.pool_size:
            raise too_short(self, self.pool_size, input_shape)
        return super().infer(input_shape)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"pool_size": self.pool_size, "stride": self.stride}


class MaxPooling1D(Pooling1D):
    """Keep the largest value of each window of ``(C, L, N)``; its gradient goes to where it came from.

    ``y[c, p, n] = max over j of x[c, p s + j, n]``. A tie goes to the first, as in PyTorch: a `MaxPooling`
    whose images have one row. PyTorch's ``MaxPool1d``, Keras's ``MaxPooling1D``, both without padding.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPooling1D(2).forward(np.array([1.0, 4.0, 3.0, 2.0, 9.0]).reshape(1, 5, 1))[0, :, 0]
    array([4., 3.])
    """

    def make_image_layer(self) -> Layer:
        """Return the pooling of images."""
        return MaxPooling((1, self.pool_size), (1, self.stride))


class AveragePooling1D(Pooling1D):
    """Replace each window of ``(C, L, N)`` by its mean; its gradient is shared out evenly.

    ``y[c, p, n] = mean over j of x[c, p s + j, n]``: an `AveragePooling` whose images have one row. PyTorch's
    ``AvgPool1d``, Keras's ``AveragePooling1D``, both without padding.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling1D(2).forward(np.array([1.0, 4.0, 3.0, 2.0, 9.0]).reshape(1, 5, 1))[0, :, 0]
    array([2.5, 2.5])
    """

    def make_image_layer(self) -> Layer:
        """Return the pooling of images."""
        return AveragePooling((1, self.pool_size), (1, self.stride))


class GlobalPooling1D(SignalLayer):
    """What both global poolings share: ``(C, L, N)`` becomes ``(C, N)``, whatever the signal's length."""

    output_is_free = True

    def __init__(self) -> None:
        super().__init__()
        self.hold_image_layer()


class GlobalAveragePooling1D(GlobalPooling1D):
    """Replace each channel of ``(C, L, N)`` by its mean: ``(C, N)``, a vector, whatever the signal's length.

    ``y[c, n] = mean over p of x[c, p, n]``; backward each gradient is shared out evenly. As Keras's
    ``GlobalAveragePooling1D``; PyTorch's ``AdaptiveAvgPool1d(1)`` with ``Flatten`` behind it.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling1D().forward(np.arange(8.0).reshape(2, 4, 1))
    array([[1.5],
           [5.5]])
    """

    def make_image_layer(self) -> Layer:
        """Return the pooling of images."""
        return GlobalAveragePooling()


class GlobalMaxPooling1D(GlobalPooling1D):
    """Replace each channel of ``(C, L, N)`` by its largest value: ``(C, N)``, whatever the signal's length.

    ``y[c, n] = max over p of x[c, p, n]``; backward each gradient goes to where it came from, of equal values
    the first. As Keras's ``GlobalMaxPooling1D``; PyTorch's ``AdaptiveMaxPool1d(1)`` with ``Flatten`` behind
    it.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPooling1D().forward(np.arange(8.0).reshape(2, 4, 1))
    array([[3.],
           [7.]])
    """

    def make_image_layer(self) -> Layer:
        """Return the pooling of images."""
        return GlobalMaxPooling()
