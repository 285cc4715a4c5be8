"""Zero padding of one dimension: zeros before and behind a signal."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import pair
from purecnn.layers.base import Layer
from purecnn.layers.signals.base import SignalLayer
from purecnn.layers.spatial.padding import ZeroPadding


class ZeroPadding1D(SignalLayer):
    """Put zeros around signals: ``(C, L, N)`` to ``(C, before + L + behind, N)``.

    Backward the gradient of the values within, ``dx = g[:, before : before + L]``. Before a convolution,
    ``((kernel_size - 1) dilation, 0)`` lets no value look at later ones: Keras's "causal" padding.

    Parameters
    ----------
    padding : int or (int, int)
        On both sides; or before and behind, as Keras's ``ZeroPadding1D`` and PyTorch's ``ZeroPad1d``.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding1D((2, 1)).forward(np.ones((1, 2, 1)))[0, :, 0]
    array([0., 0., 1., 1., 0.])
    """

    output_is_free = True

    def __init__(self, padding: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.padding = pair("padding", padding, least=0)
        self.hold_image_layer()

    def make_image_layer(self) -> Layer:
        """Return the padding of images."""
        return ZeroPadding(((0, 0), self.padding))

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"padding": self.padding}
