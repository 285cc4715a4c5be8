"""Convolution by im2col: of many maps of few pixels, by one product of whole matrices (GEMM).

Where the kernels are larger than the images, what counts is how often they are gone over: here once for each
product, and never turned. The columns of a convolution of 1 x 1 are the image as it is.
"""

from __future__ import annotations

import math
import weakref
from abc import ABC, abstractmethod
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.calls import Activation, Call, run
from purecnn.kernels.geometry import Window, along_batch, cropped
from purecnn.kernels.products import cut_maps, matmul, small_kernels
from purecnn.kernels.rows import finish
from purecnn.kernels.winograd import FEWEST

#: Kernels' values for each pixel from where on it pays: 1,024 to 1,024 maps of 2 x 2 x 32 take 3.6 ms both
#: ways in place of 17.1, 512 to 512 of 4 x 4 x 32 3.5 in place of 4.7, 256 to 256 of 8 x 8 x 32 as long.
WORTH = 128
#: In inference it pays for up to `FEW` pixels, and for those of one image from `DEEP` channels on, up to
#: `HELD` values; where `x` must be copied, for `WIDER` times as many maps alone. 128 to 32 maps of 7 x 7 take
#: 4 us in place of 11, 192 to 32 of 8 x 8 5 in place of 14, 24 to 144 of 16 x 16 17 in place of 21.
FEW, DEEP, HELD, WIDER = 256, 24, 1 << 19, 4
#: The same for larger windows in inference, and the values of an output row up to which im2col pays there:
#: 128 maps of 14 x 14 take 0.8 ms for one image in place of 1.3, 256 of them 3.4 in place of 14, 512 of 7 x 7
#: 9 in place of 45; but 128 of 4 x 4 for 16 images 0.9 in place of 0.5.
IM2COL_WORTH, IM2COL_LINE = 20, 40
#: Where BLAS has kernels for small products, and a row is short, it pays for more values of kernels alone:
#: 64 maps of 8 x 8 take 30 us unrolled, 48 by im2col, 128 of 8 x 8 231 and 136.
LARGE, SHORT_LINE = 1 << 17, 16
#: Before a pooling, of fewer samples than tiles want, from how many kernels' values on, and from how many for
#: each pixel: 512 maps of 8 x 8 take 1.8 ms for one image in place of 18, 256 of 16 x 16 1.5 in place of 6.4,
#: 128 of 32 x 32 1.6 in place of 2.0; 32 of 16 x 16 39 us in place of 28.
POOLED_WORTH = 4


def suits_pointwise(x: Array, maps: int, window: Window) -> bool:
    """Return whether whole products pay for a convolution of `x`."""
    return is_pointwise(window) and maps * len(x) >= WORTH * math.prod(x.shape[1:])


def is_pointwise(window: Window) -> bool:
    """Return whether each pixel is looked at by itself."""
    is_plain = window.size == window.stride == (1, 1) and not any(map(any, window.padding))
    return is_plain and window.groups == 1


def suits_few(x: Array, maps: int, window: Window) -> bool:
    """Return whether whole products pay for a convolution of `x` in inference, which may be of few pixels."""
    pixels = math.prod(x.shape[1:])
    lone = x.shape[3] == 1 and len(x) >= DEEP and maps * pixels <= HELD
    few = pixels <= FEW or lone
    return few and is_pointwise(window) and (x.flags.c_contiguous or maps >= WIDER * len(x))


def suits(x: Array, maps: int, window: Window) -> bool:
    """Return whether im2col pays for a convolution of `x` in inference."""
    rows, columns = window.positions(x.shape)
    line = columns * x.shape[3]
    worth = maps * len(x) >= IM2COL_WORTH * rows * line
    if small_kernels() and line <= SHORT_LINE and maps * len(x) * math.prod(window.size) < LARGE:
        return False
    return window.groups == 1 and window.size != (1, 1) and line <= IM2COL_LINE and worth


def suits_pooled(x: Array, maps: int, window: Window) -> bool:
    """Return whether im2col pays for a dense convolution of `x` in inference whose output is pooled."""
    large = maps * len(x) * math.prod(window.size) >= LARGE
    pixels = math.prod(window.positions(x.shape)) * x.shape[3]
    return large and x.shape[3] < FEWEST and maps * len(x) >= POOLED_WORTH * pixels


class GemmConvolution(ABC):
    """A convolution of one array, all outputs by one product.

    Attributes
    ----------
    images : ndarray
        The output, (M, OH, OW, N).
    """

    images: Array

    @abstractmethod
    def calls(self, kernels: Array) -> list[Call]:
        """Return the calls that compute the output, without biases."""

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (M, OH, OW, N)."""
        return [*self.calls(kernels), *finish(self.images, biases, addend, activation)], self.images


class PointwiseConvolution(GemmConvolution):
    """A convolution of 1 x 1 of one array `x`, its arrays laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M.
    workspace : Workspace
        Where memory comes from.
    """

    def __init__(self, x: Array, maps: int, workspace: Workspace) -> None:
        self.x, self.maps = x, maps
        self.workspace: Workspace = weakref.proxy(workspace)  # as in `rows`
        self.plain = self.in_order("pointwise", x)
        self.images = workspace.array("pointwise_output", (maps, *x.shape[1:]), x.dtype)

    def in_order(self, name: str, array: Array) -> Array:
        """Return an array, or memory for a copy of it, channel by channel."""
        if array.flags.c_contiguous:
            return array
        return self.workspace.array(name, array.shape, array.dtype)

    def calls(self, kernels: Array) -> list[Call]:
        """Return the calls that compute the output, without biases."""
        found: list[Call] = [] if self.plain is self.x else [partial(np.copyto, self.plain, self.x)]
        *matrices, out = cut_maps(kernels.reshape(self.maps, -1), matrix(self.plain), matrix(self.images))
        return [*found, partial(matmul, *matrices, out=out)]

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return y (M, H, W, N) for biases (M,) or (M, H, W), or none."""
        run(self.calls(kernels))
        if biases is not None:
            self.images += along_batch(biases, 4)
        return self.images

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        propagate: bool,
    ) -> Array | None:
        """Write both gradients and return dx: ``dK = g x.T``, ``dx = K.T g``."""
        plain = self.in_order("pointwise_gradient", g)
        if plain is not g:
            np.copyto(plain, g)
        matmul(matrix(plain), matrix(self.plain).T, out=kernels_gradient.reshape(self.maps, -1))
        if biases_gradient is not None:
            np.sum(plain, axis=tuple(range(biases_gradient.ndim, 4)), out=biases_gradient)
        if not propagate:
            return None
        dx = self.workspace.array("input_gradient", self.x.shape, self.x.dtype)
        matmul(kernels.reshape(self.maps, -1).T, matrix(plain), out=matrix(dx))
        return dx


class Im2colConvolution(GemmConvolution):
    """A convolution of one array `x` in inference, of which each window is copied into a column of its own.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M.
    window : Window
        Of one group.
    workspace : Workspace
        Where memory comes from.
    """

    def __init__(self, x: Array, maps: int, window: Window, workspace: Workspace) -> None:
        self.x, self.maps, source = x, maps, x
        self.padded: Array | None = None
        if any(map(any, window.padding)):
            sizes = (size + sum(around) for size, around in zip(x.shape[1:3], window.padding, strict=True))
            source = workspace.array("im2col_padded", (len(x), *sizes, x.shape[3]), x.dtype)
            source.fill(0)
            self.padded = cropped(source, window.padding)
        channel, row, column, sample = source.strides
        apart, step = window.dilation, window.stride
        shape = (len(x), *window.size, *window.positions(x.shape), x.shape[3])
        cells = row * apart[0], column * apart[1]
        strides = (channel, *cells, row * step[0], column * step[1], sample)
        self.windows = as_strided(source, shape, strides)
        self.columns = workspace.array("im2col", shape, x.dtype)
        self.images = workspace.array("im2col_output", (maps, *shape[3:]), x.dtype)

    def calls(self, kernels: Array) -> list[Call]:
        """Return the calls that compute the output, without biases."""
        found: list[Call] = [] if self.padded is None else [partial(np.copyto, self.padded, self.x)]
        columns = self.columns.reshape(-1, math.prod(self.columns.shape[3:]))
        *matrices, out = cut_maps(kernels.reshape(self.maps, -1), columns, matrix(self.images))
        return [*found, partial(np.copyto, self.columns, self.windows), partial(matmul, *matrices, out=out)]


def matrix(images: Array) -> Array:
    """(C, H, W, N) -> (C, H W N), a view."""
    return images.reshape(len(images), -1)
