"""How a convolution lies in memory on a CPU: the arrays and views that its fast kernels run on.

Images lie row by row, (H, C, W, N), whatever the order of their axes. The input is copied KW times, each
copy shifted by one column; the KH input rows that one output row needs are then neighbours in memory, so
the matrix of an output row is a view, and `numpy.matmul` runs over the stack of these views: KW copies of
the image in place of the KH KW that im2col makes, and products small enough for BLAS to keep in cache. The
output too lies row by row, so that its gradient, written over it, is read back through windows in the same
way. All passes run over some rows at a time, few enough to stay in the cache. `docs/engine.md` has the
measurements.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.kernels import Padding, Pair, output_size
from purecnn.scratch import Array, Scratch

#: OpenBLAS runs a product of up to this many multiply-adds without packing its operands first, at full speed.
SMALL = 1_000_000
#: Narrower than this, a cut product costs more in calls than it saves in packing.
NARROW = 128
#: Values between lines a multiple of 4 KiB apart, which would share lines of the cache: a product of
#: 32 maps of 32 x 32 x 64 ran at 86 to 95 GFLOP/s with them and at 71 to 86 without.
GAP = 16
#: Values of output and unrolled input that one block of rows may have: a MiB of float32 stays in a core's
#: cache from one pass over it to the next.
BLOCK = 1 << 18


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


class Block(NamedTuple):
    """The views of some output rows.

    Attributes
    ----------
    copies : list of (ndarray, ndarray)
        Rows of the unrolled input that no block before needed, and the pixels that they are copied from.
    windows : ndarray
        (P, R, KH KW C, L): the matrix of each output row, a window over the unrolled input.
    output : ndarray
        (P, R, M, L): the output of these rows, and later its gradient.
    parts : (ndarray, ndarray)
        Both, cut as `cut_width` says.
    """

    copies: list[tuple[Array, Array]]
    windows: Array
    output: Array
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
    pool : (int, int)
        With a pooling behind the convolution, its window. Its height divides the rows of a block; its width P
        splits the columns: output column a P + p is kept at (p, a), so that each column of all windows is one
        run of memory.

    Attributes
    ----------
    output : ndarray
        (P, OH, M, L) with L = OW / P N: first the output, later its gradient. With a pooling, of one block.
    images : ndarray
        The output as (M, OH, OW, N), a view; without a pooling.
    blocks : list of Block
        Its rows, some at a time.
    """

    def __init__(
        self,
        x: Array,
        kernels_shape: tuple[int, ...],
        stride: Pair,
        padding: Padding,
        scratch: Scratch,
        pool: Pair = (1, 1),
    ) -> None:
        maps, channels, height, width = kernels_shape
        _, rows_in, columns_in, batch = x.shape
        self.x, self.stride, self.padding, self.scratch = x, stride, padding, scratch
        self.window, self.maps, self.phases = (height, width), maps, pool[1]
        # Rows and columns that fill no pooling window are not computed.
        self.rows = output_size(rows_in, height, stride[0], padding[0]) // pool[0] * pool[0]
        self.columns = output_size(columns_in, width, stride[1], padding[1]) // pool[1]
        self.depth, self.line = width * channels, self.columns * batch
        # The input, unrolled: (padded H, KW, C, P, OW / P, N), its borders zero and never written.
        full = self.phases * self.line
        gap = GAP if full % 1024 == 0 else 0
        shape = (rows_in + sum(padding[0]), width, channels, full + gap)
        self.unrolled = scratch.array("unrolled", shape, x.dtype)
        if padding != ((0, 0), (0, 0)):
            self.unrolled.fill(0)
        self.is_unrolled = False
        self.row_blocks = self.cut_rows(pool[0])
        most = max(last - first for first, last in self.row_blocks)
        # A pooled output is spent at once: one block's memory serves them all, and stays in the cache.
        self.shared = pool != (1, 1)
        if self.shared:
            self.output = scratch.array("output_rows", (pool[1], most, maps, self.line), x.dtype)
        else:
            self.output = self.spread[None, :: stride[0]]
            rows = self.output[0].reshape(self.rows, maps, self.columns, batch)
            self.images: Array = rows.transpose(1, 0, 2, 3)
        self.ones = np.ones(self.line, x.dtype)
        self.blocks = [self.block(first, last) for first, last in self.row_blocks]
        self.products = scratch.array("products", (pool[1], most, height * self.depth, maps), x.dtype)

    @functools.cached_property
    def spread(self) -> Array:
        """The whole gradient row by row, (OH, M, OW N), zeros where a stride leaves rows between."""
        shape = ((self.rows - 1) * self.stride[0] + 1, self.maps, self.phases * self.line)
        spread = self.scratch.array("spread", shape, self.x.dtype)
        if self.stride[0] > 1:
            spread.fill(0)
        return spread

    def cut_rows(self, multiple: int) -> list[Pair]:
        """Return where each block of output rows begins and ends: by their size alone, whole windows each."""
        row = self.phases * self.line * (self.maps + self.stride[0] * self.depth)
        rows = max(1, BLOCK // row // multiple) * multiple
        edges = [*range(0, self.rows, rows), self.rows]
        return list(itertools.pairwise(edges))

    def block(self, first: int, last: int) -> Block:
        """Return the views of output rows `first` to before `last`."""
        batch, item, (step, _) = self.x.shape[3], self.x.dtype.itemsize, self.stride
        height, top, rows_in = self.window[0], self.padding[0][0], self.x.shape[1]
        # Input rows, padding off, that the blocks before have not copied yet.
        begin = 0 if first == 0 else min(rows_in, max(0, (first - 1) * step + height - top))
        end = rows_in if last == self.rows else min(rows_in, max(0, (last - 1) * step + height - top))
        full = self.phases * self.line
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
        windows = as_strided(
            self.unrolled[first * step :],
            (self.phases, last - first, height * self.depth, self.line),
            (self.line * item, step * across, down, item),
        )
        output = self.output[:, : last - first] if self.shared else self.output[:, first:last]
        part = cut_width(self.maps, height * self.depth, self.line)
        return Block(copies, windows, output, (in_parts(windows, part), in_parts(output, part)))

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

    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> (M, KH KW C), the order of the unrolled input."""
        return np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)).reshape(self.maps, -1)

    def unroll(self, block: Block) -> None:
        """Copy the input rows that this block needs first, shifted by each column of the window."""
        for target, source in block.copies:
            np.copyto(target, source)
        self.is_unrolled = True

    def multiply(self, flat: Array, block: Block) -> None:
        """Write the output of a block without its biases: for each row (M, KH KW C) @ (KH KW C, L)."""
        self.unroll(block)
        windows, output = block.parts
        np.matmul(flat, windows, out=output)

    def kernels_gradient(self, block: Block) -> Array:
        """Return the block's part of g @ windows.T, as (KH KW C, M), where g lies in the output's place."""
        products = self.products[:, : block.output.shape[1]]
        # The transposed product, windows @ g.T, ran 1.7 times as fast in LeNet's second layer.
        np.matmul(block.windows, block.output.transpose(0, 1, 3, 2), out=products)
        total: Array = products.sum(axis=(0, 1))
        return total

    def biases_gradient(self, out: Array) -> None:
        """Write the sum of g, which lies in the output's place, for (M,) or (M, OH, OW) biases."""
        if out.ndim == 1:
            # A product with ones takes a third of the time of a sum along the last axis.
            np.sum(self.output @ self.ones, axis=(0, 1), out=out)
        else:
            np.sum(self.images, axis=3, out=out)

    def backward(
        self, kernels: Array, kernels_gradient: Array, propagate: bool, place: Callable[[int], None]
    ) -> Array | None:
        """Write the kernels' gradient and return dx; `place` puts a block's gradient where it belongs."""
        if not self.is_unrolled:  # no forward pass ran on this array
            for block in self.blocks:
                self.unroll(block)
        turned = kernels[:, :, ::-1].transpose(3, 1, 2, 0)  # (KW, C, KH from the last, M)
        flat = np.ascontiguousarray(turned).reshape(self.depth, -1) if propagate else turned
        total: Array | None = None
        for number, block in enumerate(self.blocks):
            place(number)
            part = self.kernels_gradient(block)
            total = part if total is None else np.add(total, part, out=total)
            if propagate:
                self.input_gradient(flat, self.ways_back[number])
        if total is not None:
            maps, channels, height, width = kernels.shape
            kernels_gradient[...] = total.reshape(height, width, channels, maps).transpose(3, 2, 0, 1)
        return self.dx if propagate else None

    def input_gradient(self, flat: Array, way: WayBack) -> None:
        """Write the rows of dx that need no rows of g after those that are in their place now.

        Input row r meets output rows r - i, i < KH: neighbours in memory once more. So one product a row
        gives the gradient of the unrolled input, and its KW shifted copies are added up.
        """
        for target, source in way.ordering:
            np.copyto(target, source)
        for row in way.unmet:
            row.fill(0)
        for cells, lines, products in way.products:
            np.matmul(flat[:, cells], lines, out=products)
        way.dx.fill(0)
        for pixels, part in way.copies:
            pixels += part

    @functools.cached_property
    def dx(self) -> Array:
        """The input's gradient, (C, H, W, N), row by row in memory."""
        return by_rows("input_gradient", self.x.shape, self.x, self.scratch)

    @functools.cached_property
    def ways_back(self) -> list[WayBack]:
        """The views of `input_gradient` for each block, made at its first call."""
        top = self.padding[0][0]
        # Input rows from `begin` to before `end` are complete once the block's last output row is.
        ends = [(last - 1) * self.stride[0] + 1 - top for _, last in self.row_blocks[:-1]]
        edges = [0, *(min(max(end, 0), self.x.shape[1]) for end in ends), self.x.shape[1]]
        return [self.way_back(number, *rows) for number, rows in enumerate(itertools.pairwise(edges))]

    def way_back(self, number: int, begin: int, end: int) -> WayBack:
        """Return the views that take the gradient of block `number` to input rows `begin` to before `end`."""
        (height, width), maps, batch, g = self.window, self.maps, self.x.shape[3], self.spread
        ordering, unmet, steps = [], [], []
        if self.shared:
            # One copy with the columns in their own order: the sum of copies then runs 3 times as fast.
            first, last = self.row_blocks[number]
            rows = g[first * self.stride[0] : (last - 1) * self.stride[0] + 1 : self.stride[0]]
            split = rows.reshape(last - first, maps, self.columns, self.phases, batch)
            output = self.blocks[number].output.reshape(self.phases, *split.shape[:3], batch)
            ordering = [(split, output.transpose(1, 2, 3, 0, 4))]
        shape = (end - begin, width, self.x.shape[0], g.shape[2] // batch, batch)
        unrolled = self.scratch.array("unrolled_gradient", shape, g.dtype)
        lines = unrolled.reshape(end - begin, self.depth, g.shape[2])
        for first, last, lowest, highest in self.row_ranges(begin, end):
            products = lines[first - begin : last + 1 - begin]
            if lowest > highest:  # the stride left these rows over
                unmet.append(products)
                continue
            # Input rows first to last each meet output rows from row - highest to row - lowest.
            met = (highest - lowest + 1) * maps
            above = g[first + self.padding[0][0] - highest :]
            windows = as_strided(above, (last - first + 1, met, g.shape[2]), g.strides)
            part = cut_width(self.depth, met, g.shape[2])
            cells = slice((height - 1 - highest) * maps, (height - lowest) * maps)
            steps.append((cells, in_parts(windows, part), in_parts(products, part)))
        dx = self.dx[:, begin:end]
        copies = [
            (dx[:, :, pixels], unrolled[:, j, :, cells].transpose(1, 0, 2, 3))
            for j, _, cells, pixels in self.meetings(phases=1)
        ]
        return WayBack(ordering, unmet, steps, dx, copies)

    def row_ranges(self, begin: int, end: int) -> list[tuple[int, int, int, int]]:
        """Return (first, last, lowest, highest): input rows that meet output rows through the same i."""
        ranges: list[tuple[int, int, int, int]] = []
        spread, top = len(self.spread), self.padding[0][0]
        for row in range(begin, end):
            lowest, highest = max(0, row + top - spread + 1), min(self.window[0] - 1, row + top)
            if ranges and ranges[-1][2:] == (lowest, highest):
                ranges[-1] = (ranges[-1][0], row, lowest, highest)
            else:
                ranges.append((row, row, lowest, highest))
        return ranges


class Windows(NamedTuple):
    """The views of some rows of pooling windows.

    Attributes
    ----------
    cells : list of ndarray
        (R, M, L) each: the same cell of all windows, in row order.
    best : ndarray
        (R, M, L): the largest of each window.
    winners : ndarray
        (cells, R, M, L): whether a cell beat all before it.
    """

    cells: list[Array]
    best: Array
    winners: Array


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
        super().__init__(x, kernels_shape, stride, padding, scratch, pool)
        high = self.rows // pool[0]
        best = scratch.array("output", (high, self.maps, self.line), x.dtype)
        winners = scratch.array("winners", (pool[0] * pool[1], *best.shape), np.bool_)
        self.best = best
        self.pooled = best.reshape(high, self.maps, self.columns, x.shape[3]).transpose(1, 0, 2, 3)
        self.pools = []
        for (first, last), block in zip(self.row_blocks, self.blocks, strict=True):
            begin, end = first // pool[0], last // pool[0]
            cells = [block.output[p, i :: pool[0]] for i in range(pool[0]) for p in range(pool[1])]
            self.pools.append(Windows(cells, best[begin:end], winners[:, begin:end]))

    def pool(self, windows: Windows, training: bool) -> None:
        """Write the largest cell of each window; in training keep which one beat all before it."""
        best = windows.cells[0]
        for rival, won in zip(windows.cells[1:], windows.winners[1:], strict=True):
            if training:
                np.greater(rival, best, out=won)
            best = np.maximum(best, rival, out=windows.best)
        if best is not windows.best:
            np.copyto(windows.best, best)

    def as_rows(self, g: Array) -> Array:
        """(M, PH, PW, N) -> (PH, M, L): a view where `g` lies row by row in memory, else a copy."""
        return g.transpose(1, 0, 2, 3).reshape(self.best.shape)

    def unpool(self, windows: Windows, g: Array) -> None:
        """Put each gradient (R, M, L) into the output's place at the cell that won its window, else zero."""
        taken = windows.winners[0]
        taken.fill(False)
        for cell, won in zip(windows.cells[:0:-1], windows.winners[:0:-1], strict=True):
            np.greater(won, taken, out=won)  # won, and no later cell beat it
            np.logical_or(taken, won, out=taken)
            np.copyto(cell, won)  # cast, then multiply: 14 us where floats times booleans take 23
            np.multiply(cell, g, out=cell)
        np.logical_not(taken, out=taken)
        np.copyto(windows.cells[0], taken)
        np.multiply(windows.cells[0], g, out=windows.cells[0])
