"""Direct convolution by unrolled rows.

The direct convolution: the input is copied KW times, each copy shifted by one column.

Column j of the window then meets the pixels of copy j at the output's own places, and the matrix of an output
row is a view over KH neighbouring rows of all copies: KW copies of the image in place of the KH KW that
im2col makes, and products small enough for BLAS to keep in cache.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.types import Array
from purecnn.kernels.calls import Call
from purecnn.kernels.products import cut_width, in_parts, matmul, sums_in_parts
from purecnn.kernels.rows import RowConvolution, in_runs

#: Values between lines a multiple of 4 KiB apart, which would share lines of the cache: a product of
#: 32 maps of 32 x 32 x 64 ran at 86 to 95 GFLOP/s with them and at 71 to 86 without.
GAP = 16


class Block(NamedTuple):
    """The views of some output rows.

    Attributes
    ----------
    copies : list of (ndarray, ndarray)
        Rows of the unrolled input that no block before needed, and the pixels that they are copied from.
    windows : ndarray
        (P, R, KH KW C, L): the matrix of each output row, a window over the unrolled input.
    parts : (ndarray, ndarray)
        These matrices and the output, cut as `cut_width` says.
    """

    copies: list[tuple[Array, Array]]
    windows: Array
    parts: tuple[Array, Array]


class WayBack(NamedTuple):
    """The views that take the gradient of some output rows to the input rows that need no later ones.

    Attributes
    ----------
    ordering : list of (ndarray, ndarray)
        Copies that put the gradient's columns into their own order.
    unmet : list of ndarray
        Rows of the unrolled input's gradient that no output row meets: zero.
    products : list of (slice, ndarray, ndarray)
        Which cells of the turned kernels, times which output rows, give which of its rows.
    dx : ndarray
        (C, R, W, N): these input rows, the sum of `copies`.
    copies : list of (ndarray, ndarray)
        Pixels of dx, and the part of the unrolled input's gradient that is added to them.
    """

    ordering: list[tuple[Array, Array]]
    unmet: list[Array]
    products: list[tuple[slice, Array, Array]]
    dx: Array
    copies: list[tuple[Array, Array]]


class Unrolled(RowConvolution):
    """A convolution by rows unrolled by the window's width: any window, stride and padding."""

    def begin(self) -> None:
        """Find how many rows an input row becomes."""
        self.depth: int = self.size[1] * self.channels

    def lay_out(self) -> None:
        """Take memory for the unrolled input, and make the views of each block."""
        x, width = self.x, self.size[1]
        # The input, unrolled: (padded H, KW, C, P, OW / P, N), its borders zero and never written.
        full = self.phases * self.line
        gap = GAP if full % 1024 == 0 else 0
        shape = (x.shape[1] + sum(self.padding[0]), width, self.channels, full + gap)
        self.unrolled = self.workspace.array("unrolled", shape, x.dtype)
        if self.padding != ((0, 0), (0, 0)):
            self.unrolled.fill(0)
        self.blocks = [self.block(number) for number in range(len(self.row_blocks))]

    @functools.cached_property
    def products(self) -> Array:
        """Memory of `kernels_product`, which inference does without."""
        shape = (self.phases, self.most, self.size[0] * self.depth, self.maps)
        return self.workspace.array("products", shape, self.x.dtype)

    @functools.cached_property
    def sums(self) -> list[tuple[Array, Array, Array]]:
        """The windows of each block, its gradient turned, and their products, cut as `sums_in_parts` says."""
        return [
            sums_in_parts(block.windows, output.transpose(0, 1, 3, 2), self.products[:, : output.shape[1]])
            for block, output in zip(self.blocks, self.outputs, strict=True)
        ]

    def row_values(self) -> int:
        """Return an output row's values and those of its unrolled input."""
        values: int = self.phases * self.line * (self.maps + self.stride[0] * self.depth)
        return values

    def block(self, number: int) -> Block:
        """Return the views of one block of output rows."""
        batch, item, (step, _) = self.batch, self.x.dtype.itemsize, self.stride
        (first, last), (begin, end) = self.row_blocks[number], self.fresh_rows(number)
        top, full = self.padding[0][0], self.phases * self.line
        split = self.unrolled[top + begin : top + end, ..., :full]
        split = split.reshape(*split.shape[:3], self.phases, self.columns, batch)
        source = self.x[:, begin:end]
        if self.padding[1] == (0, 0):
            # Nothing is cut off at the sides: all columns of the window are one view, copied by one call.
            channel, line, pixel, sample = source.strides
            move = self.stride[1] * pixel
            strides = (line, pixel, channel, move, self.phases * move, sample)
            copies = [(split, as_strided(source, split.shape, strides))]
        else:
            copies = [
                (split[:, j, :, p, cells], source[:, :, pixels].transpose(1, 0, 2, 3))
                for j, p, cells, pixels in self.meetings(self.phases)
            ]
        across, _, down, _ = self.unrolled.strides
        depth = self.size[0] * self.depth
        windows = as_strided(
            self.unrolled[first * step :],
            (self.phases, last - first, depth, self.line),
            (self.line * item, step * across, down, item),
        )
        part = cut_width(self.maps, depth, self.line)
        return Block(copies, windows, (in_parts(windows, part), in_parts(self.outputs[number], part)))

    def meetings(self, phases: int) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield (j, p, cells, pixels): pixels that meet column j of the window for outputs (p, cells)."""
        step, columns_in = self.stride[1] * phases, self.x.shape[2]
        cells = self.columns * self.phases // phases
        for j in range(self.size[1]):
            for p in range(phases):
                # Output column a phases + p meets pixel a step + offset, where that is inside the image.
                offset = p * self.stride[1] + j - self.padding[1][0]
                first = max(0, -(offset // step))
                last = min(cells - 1, (columns_in - 1 - offset) // step)
                if first <= last:
                    pixels = slice(first * step + offset, last * step + offset + 1, step)
                    yield j, p, slice(first, last + 1), pixels

    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> (M, KH KW C), the order of the unrolled input."""
        return np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).reshape(self.maps, -1)

    def prepare_calls(self, number: int) -> list[Call]:
        """Return the copies of the input rows, shifted by each column of the window."""
        return [partial(np.copyto, target, source) for target, source in self.blocks[number].copies]

    def multiply(self, flat: Array, number: int, biases: Array | None) -> None:
        """Write the output of a block: for each row (M, KH KW C) @ (KH KW C, L), and the biases."""
        self.prepare(number)
        windows, output = self.blocks[number].parts
        matmul(flat, windows, out=output)
        if biases is not None:
            np.add(self.outputs[number], biases[:, None], out=self.outputs[number])

    def calls(self, flat: Array, number: int, biases: Array | None) -> list[Call]:
        """Return the calls of `multiply`, and that which adds the biases."""
        block, output = self.blocks[number], self.outputs[number]
        found = self.prepare_calls(number)
        found.append(partial(matmul, flat, block.parts[0], out=block.parts[1]))
        if biases is not None:
            split = output.reshape(-1, self.maps, self.columns, self.batch)
            column = in_runs(biases[None, :, None, None], split)
            found.append(partial(np.add, split, column, out=split))
        return found

    def kernels_product(self, number: int) -> Array:
        """Return a block's part of g @ windows.T, as (KH KW C, M)."""
        # The transposed product, windows @ g.T, ran 1.7 times as fast in LeNet's second layer.
        windows, turned, products = self.sums[number]
        matmul(windows, turned, out=products)
        rows = self.outputs[number].shape[1]
        total: Array = self.products[:, :rows].sum(axis=(0, 1))
        return total

    def kernels_sum(self, total: Array) -> Array:
        """(KH KW C, M) -> (M, C, KH, KW)."""
        return total.reshape(*self.size, self.channels, self.maps).transpose(3, 2, 0, 1)

    def flat_backward(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> (KW C, KH M), the window's rows from the last, every s-th of them together."""
        step, height = self.stride[0], self.size[0]
        if step == 1:
            turned = kernels[:, :, ::-1].transpose(3, 1, 2, 0)
        else:
            order = [i for phase in range(step) for i in reversed(range(phase, height, step))]
            turned = kernels[:, :, order].transpose(3, 1, 2, 0)
        return np.ascontiguousarray(turned).reshape(self.depth, -1)

    def input_gradient(self, flat: Array, number: int) -> None:
        """Write rows of dx.

        Input row r meets output rows r - i, i < KH, with a stride every s-th of these: neighbours in memory
        once more. So one product a row gives the gradient of the unrolled input, and its KW shifted copies
        are added up.
        """
        way = self.ways_back[number]
        for target, source in way.ordering:
            np.copyto(target, source)
        for row in way.unmet:
            row.fill(0)
        for cells, lines, products in way.products:
            matmul(flat[:, cells], lines, out=products)
        self.begin_gradient(way.dx)
        for pixels, part in way.copies:
            pixels += part

    def begin_gradient(self, dx: Array) -> None:
        """Write what rows of dx begin with, before the copies are added."""
        dx.fill(0)

    @functools.cached_property
    def ways_back(self) -> list[WayBack]:
        """The views of `input_gradient` for each block, made at its first call."""
        return [self.way_back(number) for number in range(len(self.row_blocks))]

    def way_back(self, number: int) -> WayBack:
        """Return the views of `input_gradient` for one block."""
        (height, width), step, maps, g = self.size, self.stride[0], self.maps, self.whole
        begin, end = self.finished_rows(number)
        ordering, unmet, steps = [], [], []
        if self.shared:
            # One copy with the columns in their own order: the sum of copies then runs 3 times as fast.
            first, last = self.row_blocks[number]
            split = g[first:last].reshape(last - first, maps, self.columns, self.phases, self.batch)
            output = self.outputs[number].reshape(self.phases, *split.shape[:3], self.batch)
            ordering = [(split, output.transpose(1, 2, 3, 0, 4))]
        shape = (end - begin, width, self.channels, g.shape[2] // self.batch, self.batch)
        unrolled = self.workspace.array("unrolled_gradient", shape, g.dtype)
        lines = unrolled.reshape(end - begin, self.depth, g.shape[2])
        for rows, lowest, highest in self.row_ranges(begin, end):
            products = lines[rows.start - begin : rows.stop - begin : step]
            if lowest > highest:  # the stride left these rows over
                unmet.append(products)
                continue
            # Each of these input rows meets output rows that are neighbours: of the window those of a phase.
            met = (highest - lowest + 1) * maps
            place, phase = divmod(rows.start + self.padding[0][0], step)
            windows = as_strided(g[place - highest :], (len(rows), met, g.shape[2]), g.strides)
            part = cut_width(self.depth, met, g.shape[2])
            behind = sum(len(range(other, height, step)) for other in range(phase + 1))
            cells = slice((behind - 1 - highest) * maps, (behind - lowest) * maps)
            steps.append((cells, in_parts(windows, part), in_parts(products, part)))
        dx = self.dx[:, begin:end]
        copies = [
            (dx[:, :, pixels], unrolled[:, j, :, cells].transpose(1, 0, 2, 3))
            for j, _, cells, pixels in self.meetings(phases=1)
        ]
        return WayBack(ordering, unmet, steps, dx, copies)
