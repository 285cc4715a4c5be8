"""Transposed convolution on a CPU, by the passes of the convolution that it turns round.

What is the way back of a convolution is the way there of the transposed one, and the other way round: so the
arrays, views and products are those of `unrolled` and `grouped`. Without a stride it is a convolution itself,
its kernels turned, and tiles pay as they do there. Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import Pair, Window, along_batch
from purecnn.kernels.grouped import GroupedConvolution, GroupedProducts, spread_out, turned
from purecnn.kernels.im2col import PointwiseConvolution
from purecnn.kernels.pooled import by_rows
from purecnn.kernels.products import matmul
from purecnn.kernels.rows import RowConvolution
from purecnn.kernels.unrolled import Unrolled


class TransposedConvolution(ABC):
    """A transposed convolution of one array `x`, its arrays and views laid out once."""

    @abstractmethod
    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return y (M, OH, OW, N) for kernels (C, M / groups, KH, KW) and biases (M,) or none."""

    @abstractmethod
    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        workspace: Workspace,
        propagate: bool,
    ) -> Array | None:
        """Write both gradients and return dx."""


def turned_window(window: Window, image: Pair, size: Pair) -> Window | None:
    """Return that of the convolution from x to y which turned kernels make of one from y to x.

    None where it has a stride, or leaves out more than it reaches. `image` is that of x, `size` that of y.

    Examples
    --------
    >>> turned_window(Window((3, 2)), (4, 4), (6, 5)).padding
    ((2, 2), (1, 1))
    """
    if window.stride != (1, 1):
        return None
    (height, width), ((top, _), (left, _)) = window.reach, window.padding
    above, before = height - 1 - top, width - 1 - left
    below, behind = size[0] - image[0] + height - 1 - above, size[1] - image[1] + width - 1 - before
    if min(above, below, before, behind) < 0:
        return None
    return window._replace(padding=((above, below), (before, behind)))


class TurnedConvolution(TransposedConvolution):
    """One without a stride, by a convolution with turned kernels.

    Parameters
    ----------
    convolution : RowConvolution, GroupedConvolution or PointwiseConvolution
        Of x, laid out for its `turned_window`.
    groups : int
        Into how many the channels are cut.
    """

    def __init__(
        self, convolution: RowConvolution | GroupedConvolution | PointwiseConvolution, groups: int
    ) -> None:
        self.convolution, self.groups = convolution, groups

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Run the convolution."""
        return self.convolution.forward(turned(kernels, self.groups), biases)

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        workspace: Workspace,
        propagate: bool,
    ) -> Array | None:
        """Run it back, and turn the kernels' gradient."""
        around = turned(kernels, self.groups)
        found = workspace.array("turned_gradient", around.shape, around.dtype)
        dx = self.convolution.backward(g, around, found, biases_gradient, propagate)
        kernels_gradient[...] = turned(found, self.groups)
        return dx


class Spreading(Unrolled):
    """The way back of a convolution by itself: what is given as its output's gradient gives its input's.

    Attributes
    ----------
    biases : ndarray or None
        (C, 1, 1, 1): what that begins with, in place of zeros.
    """

    biases: Array | None = None

    def lay_out(self) -> None:
        """Take no memory for the way there."""

    def begin_gradient(self, dx: Array) -> None:
        """Write the biases."""
        np.copyto(dx, 0 if self.biases is None else self.biases)


class StridedTransposedConvolution(TransposedConvolution):
    """A dense one with a stride: there by the way back of the convolution from y to x, back by that itself.

    Neither multiplies a zero of those that a stride leaves between.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M.
    window : Window
        That of the convolution from y to x.
    size : (int, int)
        OH and OW.
    workspace : Workspace
        Where memory comes from.
    """

    def __init__(self, x: Array, maps: int, window: Window, size: Pair, workspace: Workspace) -> None:
        self.x, self.window = x, window
        like = np.broadcast_to(np.zeros((), x.dtype), (maps, *size, x.shape[3]))  # takes no memory
        self.spreading = Spreading(like, len(x), window, workspace)

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return the input gradient of x, which begins with the biases."""
        rows = self.spreading
        np.copyto(rows.images, self.x)
        rows.biases = None if biases is None else along_batch(biases, 4)
        flat = rows.flat_backward(kernels)
        for number in range(len(rows.row_blocks)):
            rows.input_gradient(flat, number)
        return rows.dx

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        workspace: Workspace,
        propagate: bool,
    ) -> Array | None:
        """Lay g out as a convolution does its input; return that convolution's output."""
        rows: Unrolled = workspace.layout(
            "transposed_back", g, lambda: Unrolled(g, len(self.x), self.window, workspace)
        )
        np.copyto(rows.images, self.x)
        flat = rows.flat(kernels)
        total: Array | None = None
        for number, block in enumerate(rows.blocks):
            rows.prepare(number)
            part = rows.kernels_product(number)
            total = part if total is None else np.add(total, part, out=total)
            if propagate:  # into the place of x, which this block is done with
                windows, output = block.parts
                matmul(flat, windows, out=output)
        if total is not None:
            kernels_gradient[...] = rows.kernels_sum(total)
        if biases_gradient is not None:
            lines = by_rows(g)
            np.sum(lines @ np.ones(lines.shape[2], g.dtype), axis=0, out=biases_gradient)
        return rows.images if propagate else None


class GroupedTransposedConvolution(TransposedConvolution):
    """The same in groups or with holes: x is spread out by the stride, with zeros between.

    Parameters
    ----------
    x, maps, window, size, workspace
        As `StridedTransposedConvolution`'s; M over all groups.
    """

    def __init__(self, x: Array, maps: int, window: Window, size: Pair, workspace: Workspace) -> None:
        self.x, self.window = x, window
        self.spread = spread_out(x, window.stride, workspace)
        (height, width), ((top, _), (left, _)) = window.reach, window.padding
        corner = (height - 1 - top, width - 1 - left)
        plain = window._replace(stride=(1, 1))
        self.products = GroupedProducts(self.spread, maps, plain, size, corner, workspace, "")

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return the products of what is spread out and the turned kernels."""
        self.spread[:, :: self.window.stride[0], :: self.window.stride[1]] = self.x
        y = self.products.run(turned(kernels, self.window.groups))
        if biases is not None:
            y += along_batch(biases, 4)
        return y

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        workspace: Workspace,
        propagate: bool,
    ) -> Array | None:
        """Return the convolution of g."""
        (top, _), (left, _), shape = *self.window.padding, self.x.shape
        products = workspace.layout(
            "transposed_back",
            g,
            lambda: GroupedProducts(g, len(self.x), self.window, shape[1:3], (top, left), workspace, "_back"),
        )
        dx = products.run(kernels)
        products.kernels_gradient(self.x, kernels_gradient)
        if biases_gradient is not None:
            np.sum(g, axis=(1, 2, 3), out=biases_gradient)
        return dx if propagate else None
