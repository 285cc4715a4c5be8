"""Dropout: hide random values in training, so that no unit leans on a single other one."""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.arrays import to_device
from purecnn.backend.checks import within
from purecnn.backend.random import words
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.noise import TrainingNoise


class Dropout(TrainingNoise):
    """In training set each value to zero with probability `rate` and scale the rest by 1 / (1 - rate).

    ``y = x * mask / (1 - rate)``; backward ``dx = g * mask / (1 - rate)``. Outside training ``y = x``.

    Parameters
    ----------
    rate : float
        Probability of a zero, at least 0 and below 1, as in PyTorch and Keras; it is rounded to a multiple
        of 2**-16, since a mask is drawn from 16 random bits a value.

    Notes
    -----
    Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html. The mask is drawn from the
    network's seed, the step, the shard and the layer's position, so it is the same at any number of threads.

    Examples
    --------
    >>> Dropout(0.5).forward(np.ones((2, 1)))
    array([[1.],
           [1.]])
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = within("rate", rate, 0, 1)

    def forward(self, input: Array) -> Array:
        """Return `input`, in training with some values hidden and the rest scaled."""
        self.input = self.receive(input)
        self.hides = self.training and self.rate > 0
        if not self.hides:
            return self.input
        # Cast in the input's own order in memory, then scale: NumPy is slow at booleans times floats.
        self.mask = self.lay_out(self.input)
        shape, dtype = self.mask.shape, self.input.dtype
        hidden = min(round(self.rate * 65536), 65535)  # of the 65536 values that 16 bits can take
        # Drawn on the host, whatever computes: so every device hides the same values.
        kept = np.greater_equal(
            words(self.drawn(), shape), hidden, out=self.workspace.host.array("kept", shape, bool)
        )
        self.xp.copyto(self.mask, to_device(kept, self.xp))
        self.mask *= dtype.type(65536 / (65536 - hidden))
        output = self.workspace.like("output", self.input)
        self.xp.multiply(self.input, self.mask, out=output)
        return output

    def lay_out(self, x: Array) -> Array:
        """Return where the mask for x goes: a value for each of x's."""
        return self.workspace.like("mask", x)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the gradient under the same mask."""
        g = self.receive_gradient(output_gradient)
        if not self.hides:
            return g
        return self.xp.multiply(g, self.mask, out=self.workspace.like("input_gradient", self.input))

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"rate": self.rate}


class SpatialDropout(Dropout):
    """In training set whole maps of ``(C, H, W, N)`` to zero with probability `rate`, and scale the rest.

    Neighbouring pixels of a map say nearly the same, so `Dropout` hides little of it. Of signals
    ``(C, L, N)`` it hides whole channels. As Keras's ``SpatialDropout2D`` and ``SpatialDropout1D``, PyTorch's
    ``Dropout2d`` and ``Dropout1d``.

    Parameters
    ----------
    rate : float
        Probability of a zero map, as in `Dropout`.

    Notes
    -----
    Tompson et al. 2015, https://arxiv.org/abs/1411.4280. The mask is drawn as `Dropout`'s.

    Examples
    --------
    >>> layer = SpatialDropout(0.5)
    >>> layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
    >>> layer.forward(np.ones((4, 2, 2, 1))).reshape(4, 4)
    array([[0., 0., 0., 0.],
           [0., 0., 0., 0.],
           [2., 2., 2., 2.],
           [0., 0., 0., 0.]])
    """

    sample_axes = 3

    def infer(self, input_shape: Shape) -> Shape:
        """Return the image's shape, or the signal's."""
        if len(input_shape) not in (2, 3):
            raise ShapeError(
                f"{self} wants images of shape (channels, height, width), or signals of shape "
                f"(channels, length), got samples of {input_shape}"
            )
        return input_shape

    def lay_out(self, x: Array) -> Array:
        """Return where the mask for x goes: a value for each map of each image."""
        return self.workspace.array("mask", (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1]), x.dtype)


class StochasticDepth(Dropout):
    """In training set whole samples to zero with probability `rate`, and scale the rest by 1 / (1 - rate).

    At the end of a residual's layers, ``Residual([*layers, StochasticDepth(0.2)])``, it leaves these out for
    some samples of each batch, which then pass by the shortcut alone: training goes through shorter networks,
    and the answers are those of all of them together. Of torchvision's two modes this is "row", a draw for
    each sample; PyTorch and Keras have no such layer.

    Parameters
    ----------
    rate : float
        Probability of a zero sample, as in `Dropout`. Networks let it grow with depth, from 0 to 0.2 or 0.5.

    Notes
    -----
    Huang et al. 2016, https://arxiv.org/abs/1603.09382, who scale by 1 - rate outside training in its place.
    The mask is drawn as `Dropout`'s.

    Examples
    --------
    >>> layer = StochasticDepth(0.5)
    >>> layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
    >>> layer.forward(np.ones((2, 4)))
    array([[0., 0., 2., 0.],
           [0., 0., 2., 0.]])
    """

    def lay_out(self, x: Array) -> Array:
        """Return where the mask for x goes: a value for each sample."""
        return self.workspace.array("mask", (*[1] * (x.ndim - 1), x.shape[-1]), x.dtype)
