"""How a convolution lies in memory on a CPU: the arrays and views that its fast kernels run on.

Images lie row by row, (H, C, W, N), whatever the order of their axes. The input is copied KW times, each
copy shifted by one column; the KH input rows that one output row needs are then neighbours in memory, so
the matrix of an output row is a view, and `numpy.matmul` runs over the stack of these views: KW copies of
the image in place of the KH KW that im2col makes, and products small enough for BLAS to keep in cache. The
output too lies row by row, so that its gradient, written over it, is read back through windows in the same
way. `docs/engine.md` has the measurements.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.kernels import Padding, Pair, output_size
from purecnn.scratch import Array, Scratch

#: OpenBLAS runs a product of up to this many multiply-adds without packing its operands first, at full speed.
SMALL = 1_000_000
#: Narrower than this, a cut product costs more in calls than it saves in packing.
NARROW = 128
#: Values between lines that are a multiple of 4 KiB apart, and else share lines of the cache: a product of
#: 32 maps of 32 x 32 x 64 ran at 86 to 95 GFLOP/s with them and at 71 to 86 without.
GAP = 16


def cut_width(maps: int, depth: int, line: int) -> int:
    """Return how wide to cut the product (maps, depth) @ (depth, line): the one rule of geometry here.

    The widest equal parts that keep a part below `SMALL`; the whole line where they would be too narrow.

    Examples
    --------
    >>> cut_width(16, 200, 512), cut_width(64, 288, 704)
    (256, 704)
    """
    parts = -(-maps * depth * line // SMALL)
    while parts <= line // NARROW:
        if line % parts == 0:
            return line // parts
        parts += 1
    return line


def in_parts(matrices: Array, width: int) -> Array:
    """(..., K, L) -> (..., L / width, K, width): the same matrices, cut into parts of `width` columns."""
    *stack, depth, line = matrices.shape
    *across, down, along = matrices.strides
    shape, strides = (*stack, line // width, depth, width), (*across, width * along, down, along)
    return as_strided(matrices, shape, strides)


def by_rows(name: str, shape: tuple[int, ...], like: Array, scratch: Scratch) -> Array:
    """Return (C, H, W, N) whose memory lies in the order (H, C, W, N), and the dtype of `like`."""
    channels, rows, columns, batch = shape
    return scratch.array(name, (rows, channels, columns, batch), like.dtype).transpose(1, 0, 2, 3)


class WayBack(NamedTuple):
    """The arrays and views of `Convolution.input_gradient`, in the order of their use.

    Attributes
    ----------
    ordering : list of (ndarray, ndarray)
        Copies that put the gradient's columns into their own order.
    unmet : list of ndarray
        Rows of the unrolled gradient that no output row meets: zero.
    products : list of (slice, ndarray, ndarray)
        Which cells of the turned kernels, times which output rows, give which unrolled input rows.
    dx : ndarray
        (C, H, W, N), the sum of `copies`.
    copies : list of (ndarray, ndarray)
        Pixels of dx, and the part of the unrolled gradient that is added to them.
    """

    ordering: list[tuple[Array, Array]]
    unmet: list[Array]
    products: list[tuple[slice, Array, Array]]
    dx: Array
    copies: list[tuple[Array, Array]]


class Convolution:
    """The arrays and views of one convolution of one array `x`, laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    kernels_shape : tuple of int
        (M, C, KH, KW).
    stride, padding
        As in `conv2d_forward`.
    phases : int
        P, the width of a pooling window behind the convolution: output column a P + p is kept at (p, a), so
        that each column of all windows is one run of memory.

    Attributes
    ----------
    windows : ndarray
        (P, OH, KH KW C, L) with L = OW / P N: the matrix of each output row; they overlap in memory.
    output : ndarray
        (P, OH, M, L): first the output, later its gradient.
    images : ndarray
        The output as (M, OH, OW, N), a view; where there is one phase.
    """

    def __init__(
        self,
        x: Array,
        kernels_shape: tuple[int, ...],
        stride: Pair,
        padding: Padding,
        scratch: Scratch,
        phases: int = 1,
    ) -> None:
        maps, channels, height, width = kernels_shape
        _, rows_in, columns_in, batch = x.shape
        self.x, self.stride, self.padding, self.phases, self.scratch = x, stride, padding, phases, scratch
        self.window, self.maps, self.channels, self.batch = (height, width), maps, channels, batch
        self.rows = output_size(rows_in, height, stride[0], padding[0])
        self.columns = output_size(columns_in, width, stride[1], padding[1]) // phases
        self.depth, self.line = width * channels, self.columns * batch
        top, bottom = padding[0]
        self.bordered = padding != ((0, 0), (0, 0))
        # The input, unrolled: (padded H, KW, C, P, OW / P, N), its borders zero and never written.
        full = phases * self.line
        gap = GAP if full % 1024 == 0 else 0
        buffer = scratch.array("unrolled", (rows_in + top + bottom, width, channels, full + gap), x.dtype)
        if self.bordered:
            buffer.fill(0)
        unrolled = buffer[..., :full].reshape(*buffer.shape[:3], phases, self.columns, batch)
        self.is_unrolled = False
        self.copies = [
            (unrolled[top : top + rows_in, j, :, p, cells], x[:, :, pixels].transpose(1, 0, 2, 3))
            for j, p, cells, pixels in self.meetings(phases)
        ]
        item = x.dtype.itemsize
        down = (full + gap) * item
        self.windows = as_strided(
            buffer,
            (phases, self.rows, height * self.depth, self.line),
            (self.line * item, stride[0] * self.depth * down, down, item),
        )
        # The output, for each phase row by row; rows that a stride leaves between them stay zero.
        spread = (self.rows - 1) * stride[0] + 1
        lines = (phases, spread, maps, self.line)
        self.spread = scratch.array("output_rows", lines, x.dtype)
        if stride[0] > 1:
            self.spread.fill(0)
        self.output = self.spread[:, :: stride[0]]
        if phases == 1:
            rows = self.output[0].reshape(self.rows, maps, self.columns, batch)
            self.images: Array = rows.transpose(1, 0, 2, 3)
        self.ones = np.ones(self.line, x.dtype)
        part = cut_width(maps, height * self.depth, self.line)
        self.windows_in_parts = in_parts(self.windows, part)
        self.output_in_parts = in_parts(self.output, part)

    def meetings(self, phases: int) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield (j, p, cells, pixels): pixels that meet column j of the window for outputs (p, cells)."""
        step, columns_in = self.stride[1] * phases, self.x.shape[2]
        cells = self.columns * self.phases // phases
        for j in range(self.window[1]):
            for p in range(phases):
                # Output column a phases + p meets pixel a step + offset, where that is inside the image.
                offset = p * self.stride[1] + j - self.padding[1][0]
                first = max(0, -(offset // step))
                last = min(cells - 1, (columns_in - 1 - offset) // step)
                if first <= last:
                    pixels = slice(first * step + offset, last * step + offset + 1, step)
                    yield j, p, slice(first, last + 1), pixels

    def unroll(self) -> None:
        """Copy the input, shifted by each column of the window."""
        for target, source in self.copies:
            np.copyto(target, source)
        self.is_unrolled = True

    def multiply(self, kernels: Array) -> None:
        """Write the output without its biases: for each output row (M, KH KW C) @ (KH KW C, L)."""
        flat = np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).reshape(self.maps, -1)
        np.matmul(flat, self.windows_in_parts, out=self.output_in_parts)

    def biases_gradient(self, out: Array) -> None:
        """Write the sum of g, which lies in the output's place, for (M,) or (M, OH, OW) biases."""
        if out.ndim == 1:
            # A product with ones takes a third of the time of a sum along the last axis.
            np.sum(self.output @ self.ones, axis=(0, 1), out=out)
        else:
            np.sum(self.images, axis=3, out=out)

    def kernels_gradient(self, out: Array) -> None:
        """Write the sum over output rows of g @ windows.T, where g lies in the output's place."""
        if not self.is_unrolled:  # no forward pass ran on this array, or `input_gradient` came before
            self.unroll()
        shape = (self.phases, self.rows, self.windows.shape[2], self.maps)
        products = self.scratch.array("products", shape, self.x.dtype)
        # The transposed product, windows @ g.T, ran 1.7 times as fast in LeNet's second layer.
        np.matmul(self.windows, self.output.transpose(0, 1, 3, 2), out=products)
        summed = products.sum(axis=(0, 1)).reshape(*self.window, self.channels, self.maps)
        out[...] = summed.transpose(3, 2, 0, 1)

    def input_gradient(self, kernels: Array) -> Array:
        """Return dx (C, H, W, N), where g lies in the output's place.

        Input row r meets output rows r - i, i < KH: neighbours in memory once more. So one product a row
        gives the gradient of the unrolled input, and its KW shifted copies are added up.
        """
        turned = kernels[:, :, ::-1].transpose(3, 1, 2, 0)  # (KW, C, KH from the last, M)
        flat = np.ascontiguousarray(turned).reshape(self.depth, -1)
        way = self.way_back
        for target, source in way.ordering:
            np.copyto(target, source)
        for row in way.unmet:
            row.fill(0)
        for cells, lines, products in way.products:
            np.matmul(flat[:, cells], lines, out=products)
        self.is_unrolled = self.bordered
        way.dx.fill(0)
        for pixels, part in way.copies:
            pixels += part
        return way.dx

    @functools.cached_property
    def way_back(self) -> WayBack:
        """The views that `input_gradient` needs, made at its first call."""
        channels, rows, _, batch = self.x.shape
        height, width = self.window
        phases, spread, maps, line = self.spread.shape
        g, ordering = self.spread[0], []
        if phases > 1:
            # One copy of g with its columns in their own order: the sum of copies then runs 3 times as fast.
            g = self.scratch.array("output_ordered", (spread, maps, phases * line), g.dtype)
            split = g.reshape(spread, maps, self.columns, phases, batch)
            ordering = [
                (split[:, :, :, p], self.spread[p].reshape(spread, maps, self.columns, batch))
                for p in range(phases)
            ]
        # The unrolled input has done its work, and lends its memory unless it has a border to keep.
        name = "unrolled_gradient" if self.bordered else "unrolled"
        unrolled = self.scratch.array(name, (rows, width, channels, phases * self.columns, batch), g.dtype)
        lines, unmet, steps = unrolled.reshape(rows, self.depth, -1), [], []
        for first, last, lowest, highest in self.row_ranges(spread):
            if lowest > highest:  # the stride left these rows over
                unmet.append(lines[first : last + 1])
                continue
            # Input rows first to last each meet output rows from row - highest to row - lowest.
            met = (highest - lowest + 1) * maps
            above = first + self.padding[0][0] - highest
            windows = as_strided(g[above:], (last - first + 1, met, g.shape[2]), g.strides)
            part = cut_width(self.depth, met, g.shape[2])
            cells = slice((height - 1 - highest) * maps, (height - lowest) * maps)
            steps.append((cells, in_parts(windows, part), in_parts(lines[first : last + 1], part)))
        dx = by_rows("input_gradient", self.x.shape, self.x, self.scratch)
        copies = [
            (dx[:, :, pixels], unrolled[:, j, :, cells].transpose(1, 0, 2, 3))
            for j, _, cells, pixels in self.meetings(phases=1)
        ]
        return WayBack(ordering, unmet, steps, dx, copies)

    def row_ranges(self, rows: int) -> list[tuple[int, int, int, int]]:
        """Return (first, last, lowest, highest): input rows that meet output rows through the same i."""
        ranges: list[tuple[int, int, int, int]] = []
        for row in range(self.x.shape[1]):
            padded = row + self.padding[0][0]
            lowest, highest = max(0, padded - rows + 1), min(self.window[0] - 1, padded)
            if ranges and ranges[-1][2:] == (lowest, highest):
                ranges[-1] = (ranges[-1][0], row, lowest, highest)
            else:
                ranges.append((row, row, lowest, highest))
        return ranges


class PooledConvolution(Convolution):
    """A convolution whose output is pooled at once: each cell of all pooling windows lies in long runs.

    Parameters
    ----------
    x, kernels_shape, stride, padding, scratch
        As in `Convolution`.
    pool : (int, int)
        Pooling window, which steps by its own size.
    """

    def __init__(
        self,
        x: Array,
        kernels_shape: tuple[int, ...],
        stride: Pair,
        padding: Padding,
        scratch: Scratch,
        pool: Pair,
    ) -> None:
        super().__init__(x, kernels_shape, stride, padding, scratch, phases=pool[1])
        high = self.rows // pool[0]
        self.cells = [
            self.output[p, i : high * pool[0] : pool[0]] for i in range(pool[0]) for p in range(pool[1])
        ]
        self.leftover = self.output[:, high * pool[0] :]
        self.best = scratch.array("output", (high, self.maps, self.line), x.dtype)
        self.winners = scratch.array("winners", (len(self.cells), *self.best.shape), np.bool_)
        self.pooled = self.best.reshape(high, self.maps, self.columns, self.batch).transpose(1, 0, 2, 3)

    def pool(self, training: bool) -> None:
        """Write the largest cell of each window; in training keep which one beat all before it."""
        best = self.cells[0]
        for rival, won in zip(self.cells[1:], self.winners[1:], strict=True):
            if training:
                np.greater(rival, best, out=won)
            best = np.maximum(best, rival, out=self.best)
        if best is not self.best:
            np.copyto(self.best, best)

    def as_rows(self, g: Array) -> Array:
        """(M, PH, PW, N) -> (PH, M, L): a view where `g` lies row by row in memory, else a copy."""
        return g.transpose(1, 0, 2, 3).reshape(self.best.shape)

    def unpool(self, g: Array) -> None:
        """Put each gradient (PH, M, L) into the output's place at the cell that won its window, else zero."""
        taken = self.winners[0]
        taken.fill(False)
        for cell, won in zip(self.cells[:0:-1], self.winners[:0:-1], strict=True):
            np.greater(won, taken, out=won)  # won, and no later cell beat it
            np.logical_or(taken, won, out=taken)
            np.copyto(cell, won)  # cast, then multiply: 14 us where floats times booleans take 23
            np.multiply(cell, g, out=cell)
        np.logical_not(taken, out=taken)
        np.copyto(self.cells[0], taken)
        np.multiply(self.cells[0], g, out=self.cells[0])
        self.leftover.fill(0)
