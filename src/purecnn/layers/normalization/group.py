"""Group and layer normalization: give each sample, or a part of it, mean 0 and variance 1 by itself."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from purecnn.backend.checks import choice, positive, within
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels import normalization
from purecnn.layers.normalization.affine import Affine

#: Over what a layer normalization goes.
OVER = ("channels", "sample")


class SampleNormalization(Affine):
    """What normalizations share whose statistics are a sample's own: no shard waits for another."""

    output_is_free = True
    overwrites = True
    epsilon: float

    @abstractmethod
    def laid_out(self) -> Shape:
        """Return ``(G, B, S, M)`` of a batch, M for each sample: see `kernels.normalization`."""

    def forward(self, input: Array) -> Array:
        """Return ``gamma xhat + beta``."""
        x = self.receive(input)
        samples = x.shape[-1]
        *shape, columns = self.laid_out()
        self.shape = (*shape, columns * samples)
        ordered = self.in_order("centred", x)
        own = ordered is not x or self.in_place
        centred = ordered if own else self.workspace.array("centred", x.shape, x.dtype)
        self.centred = centred.reshape(self.shape)
        y, self.mean, self.inverse = normalization.group_norm_forward(
            ordered.reshape(self.shape),
            *self.factors(self.parameters),
            self.epsilon,
            self.centred,
            self.workspace,
        )
        return y.reshape(x.shape)

    def in_order(self, name: str, x: Array) -> Array:
        """Return x, or a copy that lies in order: behind a convolution the rows of an image are apart."""
        if x.flags.c_contiguous:
            return x
        copied = self.workspace.array(name, x.shape, x.dtype)
        self.xp.copyto(copied, x)
        return copied

    def factors(self, held: dict[str, Array]) -> tuple[Array | None, Array | None]:
        """Return gamma and beta, or their gradients, as flat views; None where there are none."""
        return (held["gamma"].reshape(-1), held["beta"].reshape(-1)) if self.affine else (None, None)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``inverse (gamma g - mean of gamma g - xhat mean of (gamma g xhat))``."""
        g = self.receive_gradient(output_gradient)
        out = None
        if self.propagate:  # by itself a second backward pass still needs what is kept
            kept = self.execution.run_by_engine
            out = self.centred if kept else self.workspace.array("input_gradient", self.shape, g.dtype)
        dx = normalization.group_norm_backward(
            self.in_order("output_gradient", g).reshape(self.shape),
            self.centred,
            self.factors(self.parameters)[0],
            self.inverse,
            *self.factors(self.gradients),
            out,
            self.workspace,
        )
        return None if dx is None else dx.reshape(g.shape)

    def scale_and_shift(self, place: tuple[int, ...], sample: int) -> tuple[float, float]:
        """Return what the last `forward` multiplied one value by and added: ``y = scale x + shift``."""
        _, bands, size, _ = self.shape
        shape = self.input_shape or ()
        number = sum(at * math.prod(shape[axis + 1 :]) for axis, at in enumerate(place))
        samples = self.centred.size // math.prod(shape)
        row, column = divmod(number * samples + sample, self.shape[3])
        group, band = row // (bands * size), row // size
        gamma, beta = self.factors(self.parameters)
        scale = float(self.inverse[group, column]) * (1 if gamma is None else float(gamma[band]))
        return scale, (0.0 if beta is None else float(beta[band])) - float(self.mean[group, column]) * scale


class GroupNormalization(SampleNormalization):
    """Give every group of channels of every sample mean 0 and variance 1, then scale and shift each channel.

    ``y = gamma xhat + beta`` with ``xhat = (x - mean) / sqrt(variance + epsilon)``: of images ``(C, H, W,
    N)`` the statistics go over the C / groups neighbouring channels of a group and all their pixels, sample
    by sample. So an answer does not depend on the batch, in training as outside. `groups` = C is instance
    normalization, 1 is over the whole sample.

    Parameters
    ----------
    groups : int
        Into how many groups the channels are cut, at least 1; it must divide their number.
    epsilon : float
        Added to the variance, above 0.
    affine : bool
        Whether there are `gamma` ``(C,)``, first `initial_gamma`, and `beta` ``(C,)``, first 0.
    initial_gamma : float
        Where gamma begins: 0 in the last normalization of a residual's layers, as in `BatchNormalization`.

    Raises
    ------
    ShapeError
        Of `infer`, where the groups do not divide the channels.

    Notes
    -----
    Backward, means over a group: ``dgamma = sum of g xhat``, ``dbeta = sum of g``, ``dx = (gamma g - mean of
    gamma g - xhat mean of (gamma g xhat)) / sqrt(variance + epsilon)``. Wu and He 2018,
    https://arxiv.org/abs/1803.08494; instance normalization: Ulyanov et al. 2016,
    https://arxiv.org/abs/1607.08022. As PyTorch's ``GroupNorm``; its ``InstanceNorm2d`` is
    ``GroupNormalization(C, affine=False)`` unless told otherwise, and keeps running statistics on demand,
    which this does not. Keras's default is 32 groups and an epsilon of 1e-3.

    Examples
    --------
    >>> import numpy as np
    >>> GroupNormalization(2).forward(np.array([[1.0], [3.0], [0.0], [8.0]])).round(4)
    array([[-1.],
           [ 1.],
           [-1.],
           [ 1.]])
    """

    def __init__(
        self, groups: int, *, epsilon: float = 1e-5, affine: bool = True, initial_gamma: float = 1.0
    ) -> None:
        super().__init__()
        self.groups = positive("groups", groups)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)
        self.set_affine(affine, initial_gamma)

    def infer(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        if not input_shape or input_shape[0] % self.groups:
            raise ShapeError(f"{self} wants channels that its groups divide, got samples of {input_shape}")
        return input_shape

    def laid_out(self) -> Shape:
        """Return ``(groups, C / groups, pixels, 1)``."""
        channels, *pixels = self.input_shape or (0,)
        return self.groups, channels // self.groups, math.prod(pixels), 1

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "groups": self.groups,
            "epsilon": self.epsilon,
            "affine": self.affine,
            "initial_gamma": self.initial_gamma,
        }


class LayerNormalization(SampleNormalization):
    """Give every sample, or the channels at every pixel of it, mean 0 and variance 1, then scale and shift.

    ``y = gamma xhat + beta`` with ``xhat = (x - mean) / sqrt(variance + epsilon)``, of vectors over all
    features; of images as `over` says. An answer does not depend on the batch, in training as outside.

    Parameters
    ----------
    over : {"channels", "sample"}
        "channels": each pixel has statistics of its own, over the channels there, and each channel a gamma
        and a beta ``(C,)``: Keras's ``LayerNormalization()``, and what ConvNeXt calls LayerNorm. "sample":
        statistics over all of a sample, and a gamma and a beta for each of its values, ``(C, H, W)``:
        PyTorch's ``LayerNorm((C, H, W))``. Of vectors both are the same.
    epsilon : float
        Added to the variance, above 0.
    affine : bool
        Whether there are `gamma`, first `initial_gamma`, and `beta`, first 0.
    initial_gamma : float
        Where gamma begins: 0 in the last normalization of a residual's layers, as in `BatchNormalization`.

    Notes
    -----
    Backward, means over what is normalized together: ``dgamma = sum of g xhat``, ``dbeta = sum of g``, ``dx =
    (gamma g - mean of gamma g - xhat mean of (gamma g xhat)) / sqrt(variance + epsilon)``. Ba et al. 2016,
    https://arxiv.org/abs/1607.06450. PyTorch normalizes over the last axes, of the shape that it is given, so
    over the channels alone it wants them last; Keras's epsilon is 1e-3. With one gamma for each channel, a
    sample is normalized by ``GroupNormalization(1)``.

    Examples
    --------
    >>> import numpy as np
    >>> LayerNormalization().forward(np.array([[1.0, 5.0], [3.0, 5.0]])).round(4)
    array([[-1.,  0.],
           [ 1.,  0.]])
    """

    def __init__(
        self,
        over: str = "channels",
        *,
        epsilon: float = 1e-5,
        affine: bool = True,
        initial_gamma: float = 1.0,
    ) -> None:
        super().__init__()
        self.over = choice("over", over, OVER)
        self.epsilon = within("epsilon", epsilon, 0, open_low=True)
        self.set_affine(affine, initial_gamma)

    @property
    def affine_shape(self) -> Shape:
        """The shape of `gamma` and of `beta`."""
        return (self.input_shape or (0,)) if self.over == "sample" else super().affine_shape

    def infer(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        if not input_shape:
            raise ShapeError(f"{self} wants samples of at least one axis, got samples of {input_shape}")
        return input_shape

    def laid_out(self) -> Shape:
        """Return ``(1, values, 1, 1)``, over the channels ``(1, C, 1, pixels)``."""
        channels, *pixels = self.input_shape or (0,)
        if self.over == "sample":
            return 1, channels * math.prod(pixels), 1, 1
        return 1, channels, 1, math.prod(pixels)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "over": self.over,
            "epsilon": self.epsilon,
            "affine": self.affine,
            "initial_gamma": self.initial_gamma,
        }
