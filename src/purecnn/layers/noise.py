"""Noise: random numbers added in training, so that no answer hangs on the last digits of its input."""

from __future__ import annotations

from typing import Any

from purecnn.backend.arrays import to_device
from purecnn.backend.checks import within
from purecnn.backend.random import Drawn, normals
from purecnn.backend.types import Array
from purecnn.layers.base import Layer


class TrainingNoise(Layer):
    """A layer that draws random numbers in training, and hands on what it gets outside of it."""

    draws = True

    def drawn(self) -> Drawn:
        """Return where the draws of this step come from.

        Raises
        ------
        ValueError
            If the layer is in training and was given nothing to draw from.
        """
        if self.random is None:
            raise ValueError(f"{self} in training needs a generator: set its `random`")
        return self.random


class GaussianNoise(TrainingNoise):
    """In training add a normal random number to each value: ``y = x + stddev n``, with n of N(0, 1).

    Backward ``dx = g``. Outside training ``y = x``.

    Parameters
    ----------
    stddev : float
        Standard deviation of what is added, at least 0, in the scale of the layer's input, as Keras's;
        PyTorch has no such layer.

    Notes
    -----
    Bishop 1995, https://doi.org/10.1162/neco.1995.7.1.108: in the mean it is a penalty on the derivatives of
    the answer by the input. The numbers are drawn in float32 from the network's seed, the step, the shard and
    the layer's position, so they are the same at any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GaussianNoise(0.1)
    >>> layer.forward(np.ones((2, 1))).tolist()
    [[1.0], [1.0]]
    >>> layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
    >>> layer.forward(np.ones((2, 1))).round(3).tolist()
    [[0.975], [0.997]]
    """

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = within("stddev", stddev, 0)

    def forward(self, input: Array) -> Array:
        """Return `input`, in training with noise."""
        x = self.receive(input)
        if not self.training or not self.stddev:
            return x
        # Drawn on the host, whatever computes: so every device adds the same numbers.
        noise = to_device(normals(self.drawn(), x.shape), self.xp)
        output = self.workspace.like("output", x)
        self.xp.copyto(output, noise)
        output *= x.dtype.type(self.stddev)
        output += x
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g."""
        return self.receive_gradient(output_gradient)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"stddev": self.stddev}
