"""Pooling of one dimension: one value made of each window of a signal, its largest or its mean."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from purecnn.backend.checks import flag, pair, positive
from purecnn.backend.types import Shape
from purecnn.kernels.geometry import Padding, Pair
from purecnn.layers.base import Layer
from purecnn.layers.shapes import signal_shape
from purecnn.layers.signals.base import SignalLayer, too_short
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import padding_word
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling, Pooling


class Pooling1D(SignalLayer):
    """What both poolings share: a window that steps along each channel of ``(C, L, N)``.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out. Values at the end that fill no window are
        dropped, as in PyTorch and Keras by default.
    padding : int, (int, int) or "same"
        By how much windows reach past the signal, less than their own length: on both sides; before and
        behind; or "same", for ``ceil(L / stride)`` values, the odd one behind, as in Keras.
    """

    image_layer: Pooling

    def __init__(self, pool_size: int = 2, stride: int | None = None, padding: int | Pair | str = 0) -> None:
        super().__init__()
        self.pool_size = positive("pool_size", pool_size)
        self.stride = self.pool_size if stride is None else positive("stride", stride)
        self.padding: str | Pair
        if isinstance(padding, str):
            self.padding = padding_word(padding, "an integer, a pair")
        else:
            self.padding = pair("padding", padding, least=0)
            if max(self.padding) >= self.pool_size:
                raise ValueError(
                    f"padding must be less than the window, {self.pool_size}, so that each window has a "
                    f"value of the signal; got {self.padding}"
                )
        self.hold_image_layer()

    @abstractmethod
    def make_image_layer(self) -> Pooling:
        """Return the pooling of images."""

    def along_rows(self) -> tuple[Pair, Pair, str | Padding]:
        """Return the geometry as a pooling of images of one row has it: window, stride, padding."""
        padding = self.padding if isinstance(self.padding, str) else ((0, 0), self.padding)
        return (1, self.pool_size), (1, self.stride), padding

    @property
    def border(self) -> Pair:
        """By how much windows reach past the signal that this layer is bound to: before and behind."""
        return self.image_layer.border[1]

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(C, OL)``."""
        _, length = signal_shape(self, input_shape)
        if not isinstance(self.padding, str) and length + sum(self.padding) < self.pool_size:
            around = f" with a padding of {self.padding}" if any(self.padding) else ""
            raise too_short(self, self.pool_size, input_shape, around)
        return super().infer(input_shape)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments, without the padding where there is none."""
        found: dict[str, Any] = {"pool_size": self.pool_size, "stride": self.stride}
        return found if self.padding == (0, 0) else {**found, "padding": self.padding}


class MaxPooling1D(Pooling1D):
    """Keep the largest value of each window of ``(C, L, N)``; its gradient goes to where it came from.

    ``y[c, p, n] = max over j of x[c, p s + j, n]``, of what lies within the signal. A tie goes to the first,
    as in PyTorch: a `MaxPooling` whose images have one row. PyTorch's ``MaxPool1d``, Keras's
    ``MaxPooling1D``.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out.
    padding : int, (int, int) or "same"
        By how much windows reach past the signal, less than their own length: on both sides; before and
        behind; or "same", for ``ceil(L / stride)`` values, the odd one behind, as in Keras.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPooling1D(2).forward(np.array([1.0, 4.0, 3.0, 2.0, 9.0]).reshape(1, 5, 1))[0, :, 0]
    array([4., 3.])
    """

    def make_image_layer(self) -> MaxPooling:
        """Return the pooling of images."""
        return MaxPooling(*self.along_rows())


class AveragePooling1D(Pooling1D):
    """Replace each window of ``(C, L, N)`` by its mean; its gradient is shared out evenly.

    ``y[c, p, n] = mean over j of x[c, p s + j, n]``: an `AveragePooling` whose images have one row. PyTorch's
    ``AvgPool1d``, whose ``count_include_pad`` is `count_padding`; Keras's ``AveragePooling1D`` does not count
    the padding.

    Parameters
    ----------
    pool_size : int
        Length of the window.
    stride : int, optional
        Step of the window; the window's own length when left out.
    padding : int, (int, int) or "same"
        As `MaxPooling1D`'s.
    count_padding : bool
        Whether what lies past the signal counts, as zeros; else the mean is that of the values within.

    Examples
    --------
    >>> import numpy as np
    >>> AveragePooling1D(2).forward(np.array([1.0, 4.0, 3.0, 2.0, 9.0]).reshape(1, 5, 1))[0, :, 0]
    array([2.5, 2.5])
    """

    def __init__(
        self,
        pool_size: int = 2,
        stride: int | None = None,
        padding: int | Pair | str = 0,
        count_padding: bool = True,
    ) -> None:
        self.count_padding = flag("count_padding", count_padding)
        super().__init__(pool_size, stride, padding)

    def make_image_layer(self) -> AveragePooling:
        """Return the pooling of images."""
        return AveragePooling(*self.along_rows(), self.count_padding)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        found = super().configuration()
        return found if self.count_padding else {**found, "count_padding": False}


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
