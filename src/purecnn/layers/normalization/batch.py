"""Batch normalization: give every channel mean 0 and variance 1, then a trained scale and shift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import is_number, within
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import normalization
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import BatchwiseLayer, Zeros
from purecnn.layers.normalization.affine import Affine


class Statistics:
    """What the shards of a batch tell each other of each channel, in float64.

    Attributes
    ----------
    counts : ndarray
        (shards,): how many values a channel has.
    moments : ndarray
        (shards, 2, C): the mean and the sum of squared deviations.
    batch : ndarray
        (2, C): mean and variance of the whole batch.
    sums : ndarray
        (shards, 2, C): the sums of g and of g xhat.
    means : ndarray
        (2, C): the means of g and of g xhat over the whole batch.
    """

    def __init__(self, layer: Layer, channels: int, shards: int, zeros: Zeros) -> None:
        self.layer = layer
        # With no other shard to tell, the count stays on the host, also where the arrays lie on a device.
        self.counts = zeros(shards, np.float64) if shards > 1 else np.zeros(1)
        self.moments, self.sums = (zeros((shards, 2, channels), np.float64) for _ in range(2))
        self.batch, self.means = (zeros((2, channels), np.float64) for _ in range(2))
        self.total = 0.0

    def meet(self, shards: int) -> None:
        """Put the moments of the first so many shards together.

        Raises
        ------
        ValueError
            If the batch has one value a channel, which has no variance.
        """
        counts, told = self.counts[:shards], self.moments[:shards]
        self.total = float(counts.sum())
        if self.total < 2:
            raise ValueError(too_few(self.layer, self.total))
        mean, squares = normalization.add_moments(counts, told[:, 0], told[:, 1])
        self.batch[0], self.batch[1] = mean, squares / self.total

    def told(self) -> list[Array]:
        """Return the shards' counts and moments."""
        return [self.counts, self.moments]

    def told_back(self) -> list[Array]:
        """Return the shards' sums."""
        return [self.sums]

    def meet_back(self, shards: int) -> None:
        """Add the sums of the first so many shards up, in their order."""
        total = self.sums[0].copy()
        for told in self.sums[1:shards]:
            total += told
        self.means[:] = total / self.total


def too_few(layer: Layer, values: float) -> str:
    """Return why a batch of one value a channel can't be trained on."""
    return (
        f"{layer} wants more than one value a channel in each batch of training, for their variance; "
        f"got {values:g}: choose a batch_size that leaves no batch of one sample, or drop_last=True"
    )


class BatchNormalization(Affine, BatchwiseLayer):
    """Give every channel of a batch mean 0 and variance 1, then scale and shift it.

    ``y = gamma xhat + beta`` with ``xhat = (x - mean) / sqrt(variance + epsilon)``: of images
    ``(C, H, W, N)`` each map, of vectors ``(features, N)`` each feature has a mean and a variance, a gamma
    and a beta. In training the statistics are those of the whole batch, across its shards, and move the
    running ones, once a batch; outside training the running ones are used.

    Parameters
    ----------
    epsilon : float
        Added to the variance, above 0.
    momentum : float
        How far the running statistics move towards the batch's, from 0 to 1, with PyTorch's meaning:
        ``running = (1 - momentum) running + momentum batch``. Keras's ``momentum`` is what stays: its
        default, 0.99, is 0.01 here.
    affine : bool
        Whether there are `gamma` ``(C,)``, first `initial_gamma`, and `beta` ``(C,)``, first 0.
    initial_gamma : float
        Where gamma begins. With 0 in the last normalization of a residual's layers, the residual begins as
        its shortcut alone (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).

    Raises
    ------
    ValueError
        In training, for a batch that has one value a channel: a lone vector, or a lone image of one pixel.

    Notes
    -----
    Backward: ``dgamma = sum of g xhat``, ``dbeta = sum of g``,
    ``dx = gamma / sqrt(variance + epsilon) (g - mean of g - xhat mean of (g xhat))``, sums and means over the
    whole batch. Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167. As in PyTorch a batch is normalized
    by its biased variance, and the unbiased one goes into `buffers`, ``running_mean`` and
    ``running_variance``; Keras keeps the biased one, and its epsilon is 1e-3. The running statistics are
    float64 whatever the parameters are.

    Examples
    --------
    >>> layer = BatchNormalization()
    >>> layer.training = True
    >>> layer.forward(np.array([[1.0, 3.0]])).round(4)
    array([[-1.,  1.]])
    >>> layer.buffers["running_mean"], layer.buffers["running_variance"]
    (array([0.2]), array([1.1]))
    """

    output_is_free = True
    overwrites = True

    def __init__(
        self, *, epsilon: float = 1e-5, momentum: float = 0.1, affine: bool = True, initial_gamma: float = 1.0
    ) -> None:
        super().__init__()
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)
        if not is_number(momentum) or not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be a number from 0 to 1, got {momentum!r}")
        self.momentum = float(momentum)
        self.set_affine(affine, initial_gamma)

    @property
    def channels(self) -> int:
        """How many channels, or features, a sample has."""
        return self.input_shape[0] if self.input_shape else 0

    def buffer_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the running statistics."""
        return {"running_mean": (self.channels,), "running_variance": (self.channels,)}

    def begin(self) -> None:
        """Begin with a running mean of 0 and a running variance of 1, where there are none yet."""
        for (name, shape), value in zip(self.buffer_shapes().items(), (0.0, 1.0), strict=True):
            if name not in self.buffers:
                self.buffers[name] = np.full(shape, value)
            if module_of(self.buffers[name]) is not np:
                return  # they lie on a device, so they were checked before they were sent
            self.buffers[name] = np.asarray(self.buffers[name], np.float64)
            if self.buffers[name].shape != shape:
                raise ShapeError(f"{name} of {self} must have shape {shape}, got {self.buffers[name].shape}")
        least = self.buffers["running_variance"].min(initial=0)
        if least < 0:
            raise ValueError(f"running_variance of {self} must be at least 0, got {least:g}")

    def check_batch(self, samples: int) -> None:
        """Refuse a batch of training that has one value a channel."""
        values = samples * math.prod((self.input_shape or ())[1:])
        if values < 2:
            raise ValueError(too_few(self, values))

    def place(self, shards: int, zeros: Zeros) -> Statistics:
        """Return a place to meet for the replicas of so many shards."""
        return Statistics(self, self.channels, shards, zeros)

    def measure(self, input: Array) -> None:
        """Tell each channel's mean and squared deviations in this shard; keep ``input - mean``."""
        # What was before may leave its place: the deviations are all that the backward pass needs.
        self.centred = input if self.in_place else self.workspace.like("centred", input)
        self.mean, squares = normalization.moment_sums(input, self.centred)
        self.exchange.counts[self.shard] = input[0].size
        told = self.exchange.moments[self.shard]
        told[0], told[1] = self.mean, squares

    def forward(self, input: Array) -> Array:
        """Return ``gamma xhat + beta``."""
        x = self.receive(input)
        self.normalizes = self.training
        gamma, beta = self.parameters.get("gamma", 1.0), self.parameters.get("beta", 0.0)
        if not self.normalizes:
            self.input, (self.mean, variance) = x, self.running()
            self.inverse = 1 / self.xp.sqrt(variance + self.epsilon)
            self.scale = gamma * self.inverse
            shift = beta - self.mean * self.scale
            return normalization.scale_forward(x, self.scale, shift, self.workspace.like("output", x))
        if self.is_alone:
            self.exchange = self.place(1, np.zeros)
            self.measure(x)
            self.exchange.meet(1)
            self.remember(self.exchange)
        mean, variance = self.exchange.batch
        self.inverse = 1 / self.xp.sqrt(variance + self.epsilon)
        self.scale = gamma * self.inverse
        self.offset = self.mean - mean
        shift = beta + self.offset * self.scale
        return normalization.scale_forward(
            self.centred, self.scale, shift, self.workspace.like("output", self.centred)
        )

    def scale_and_shift(self) -> tuple[Array, Array]:
        """Return what the last `forward` multiplied each channel by and added: ``y = scale x + shift``."""
        mean = self.exchange.batch[0] if self.normalizes else self.mean
        return self.scale, self.parameters.get("beta", 0.0) - mean * self.scale

    def measure_back(self, output_gradient: Array) -> None:
        """Write dgamma = sum of g xhat and dbeta = sum of g, of this shard, and tell both."""
        total = normalization.channel_sums(output_gradient)
        product = normalization.channel_sums(output_gradient, self.centred)
        product = self.inverse * (product + self.offset * total)
        told = self.exchange.sums[self.shard]
        told[0], told[1] = total, product
        self.write(product, total)

    def write(self, gamma: Array, beta: Array) -> None:
        """Write the parameters' gradients, where there are parameters."""
        if self.affine:
            self.gradients["gamma"][...], self.gradients["beta"][...] = gamma, beta

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``gamma / sqrt(variance + epsilon) (g - mean of g - xhat mean of (g xhat))``."""
        g = self.receive_gradient(output_gradient)
        if not self.normalizes:
            return self.backward_frozen(g)
        if self.is_alone:
            self.measure_back(g)
            self.exchange.meet_back(1)
        if not self.propagate:
            return None
        mean, product = self.exchange.means
        slope = -self.inverse * product  # xhat is inverse (centred + offset)
        shift = self.scale * (slope * self.offset - mean)
        out = self.centred
        if not self.execution.run_by_engine:  # a second backward pass still needs it
            out = self.workspace.like("input_gradient", self.centred)
        return normalization.scale_backward(g, self.centred, self.scale, slope, shift, out)

    def backward_frozen(self, g: Array) -> Array | None:
        """Return ``gamma / sqrt(running variance + epsilon) g``: the statistics stand still."""
        centred = self.xp.subtract(
            self.input, normalization.column(self.mean, g), out=self.workspace.like("centred", self.input)
        )
        self.write(self.inverse * normalization.channel_sums(g, centred), normalization.channel_sums(g))
        if not self.propagate:
            return None
        return self.xp.multiply(
            g, normalization.column(self.scale, g), out=self.workspace.like("input_gradient", g)
        )

    def remember(self, exchange: Statistics) -> None:
        """Move the running statistics towards the batch's, the variance being the unbiased one."""
        self.average(exchange, self.momentum)

    def average(self, exchange: Statistics, share: float) -> None:
        """Move them by a share of the way."""
        running, (mean, variance) = self.running(), exchange.batch
        unbiased = variance * (exchange.total / (exchange.total - 1))
        for kept, found in zip(running, (mean, unbiased), strict=True):
            kept += share * (found - kept)

    def running(self) -> tuple[Array, Array]:
        """Return the running mean and variance."""
        self.begin()
        return self.buffers["running_mean"], self.buffers["running_variance"]

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "affine": self.affine,
            "initial_gamma": self.initial_gamma,
        }
