"""Row layout of the fast convolutions.

What the fast convolutions share: images lie row by row, (H, C, W, N), some rows are worked on at a time.

The KH input rows that one output row needs are neighbours in memory, so the matrix of an output row is a view
over them, and `numpy.matmul` runs over the stack of these views. How an input row becomes rows of such a
matrix is what `unrolled` and `tiles` differ in. The output too lies row by row, so that its gradient,
written over it, is read back in the same way. `docs/engine.md` has the measurements.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.calls import Activation, Call, run
from purecnn.kernels.geometry import Pair, Window, along_batch

#: Values of a line from where on one line's operand serves all maps.
RUN = 4096
#: Values of a map that lie in one run from where on each map's bias is added by itself.
LONG = 256
#: Values of output and of the matrices' rows that a block of rows may have: 2 MiB of float32, about a core's
#: second-level cache, so that what one pass wrote is still there for the next. Half of it trains as fast, but
#: makes more calls, and two threads of one interpreter wait for its lock between them.
BLOCK = 1 << 19


def in_runs(values: Array, like: Array, lone: bool = True) -> Array:
    """(1, M, 1, 1) or (1, 1, 1, 1) -> the same in runs as long as those of `like` (R, M, OW, N), or `RUN`.

    NumPy takes 213 us for the maximum of 262,144 floats and a lone zero, 45 for that of them and a line of
    zeros (32 columns of 256 samples); and 104 us to add a bias to each line of 512 floats, 43 to add those of
    all maps at once. To lines of 8,192 it adds `lone` numbers as fast.
    """
    _, maps, columns, batch = like.shape
    if columns * batch < RUN:
        shape = (1, maps, columns, batch)
    elif not lone:
        shape = (1, values.shape[1], columns, batch)
    else:
        return values
    return np.ascontiguousarray(np.broadcast_to(values, shape))


def finish(
    y: Array,
    biases: Array | None,
    addend: Array | None,
    activation: Activation | None,
    rows: slice = slice(None),
) -> list[Call]:
    """Return the calls that add biases (M,) or (M, OH, OW) and `addend` to rows of y, then the activation.

    They run while the rows are still in the cache.
    """
    out, calls = y[:, rows].transpose(1, 0, 2, 3), list[Call]()
    whole = y.flags.c_contiguous and rows == slice(None)
    # Map by map in memory, all rows of an image are one run: 6 us in place of 16 for 192 maps of 8 x 8.
    lines = y.reshape(len(y), 1, -1, y.shape[3]).transpose(1, 0, 2, 3) if whole else out
    if biases is not None and biases.ndim == 1:
        column = biases[None, :, None, None]
        if not whole or lines.shape[2] * lines.shape[3] < LONG:
            column = in_runs(column, lines)
        calls.append(partial(np.add, lines, column, out=lines))
    elif biases is not None:
        each = along_batch(biases, 4)[:, rows].transpose(1, 0, 2, 3)
        calls.append(partial(np.add, out, each, out=out))
    if addend is not None:
        calls.append(partial(np.add, out, addend[:, rows].transpose(1, 0, 2, 3), out=out))
    return calls if activation is None else [*calls, *activation(lines)]


def rectified(out: Array) -> list[Call]:
    """Return the call that rectifies an output (R, M, OW, N) in its place."""
    zeros = in_runs(np.zeros((1, 1, 1, 1), out.dtype), out, lone=False)
    return [partial(np.maximum, zeros, out, out=out)]  # of -0 and 0 the second one, as `ReLU` has it


class RowConvolution(ABC):
    """One convolution of one array `x`, its arrays and views laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M.
    window : Window
        A dense one.
    workspace : Workspace
        Where memory comes from.
    pool : (int, int)
        With a pooling behind the convolution, its window. Its height divides the rows of a block; its width P
        splits the columns: output column a P + p is kept at (p, a), so that each column of all windows is one
        run of memory.
    whole : bool
        With a pooling, whether the output shall be kept whole, for what comes between the two.

    Attributes
    ----------
    row_blocks : list of (int, int)
        Where each block of output rows begins and ends.
    outputs : list of ndarray
        (P, R, M, L) each, L = OW / P N: the output of a block, and later its gradient. Behind a pooling all
        blocks share one memory, which stays in the cache, if it is not kept whole.
    images : ndarray
        The whole output as (M, OH, OW, N), a view; with a pooling, where it is kept, (M, P, OH, OW / P, N).
    """

    def __init__(
        self,
        x: Array,
        maps: int,
        window: Window,
        workspace: Workspace,
        pool: Pair = (1, 1),
        whole: bool = False,
    ) -> None:
        self.x, self.maps, self.channels = x, maps, len(x)
        # The workspace holds what is laid out: held back, it would live until the collector comes by.
        self.workspace: Workspace = weakref.proxy(workspace)
        self.size, self.stride, self.padding = window.size, window.stride, window.padding
        self.batch: int
        self.batch, self.phases = x.shape[3], pool[1]
        self.begin()
        # Rows and columns that fill no pooling window are not computed.
        rows, columns = window.positions(x.shape)
        self.rows, self.columns = rows // pool[0] * pool[0], columns // pool[1]
        self.line = self.columns * self.batch
        self.row_blocks = self.cut_rows(pool[0])
        self.most = max(last - first for first, last in self.row_blocks)
        self.ones = np.ones(self.line, x.dtype)
        self.is_ready = False
        self.shared = pool != (1, 1)
        if not self.shared:
            self.outputs = [self.whole[None, first:last] for first, last in self.row_blocks]
            split = (*self.whole.shape[:2], self.columns, self.batch)
            self.images: Array = self.whole.reshape(split).transpose(1, 0, 2, 3)
        elif whole:
            kept = workspace.array("output_rows", (pool[1], self.rows, self.maps, self.line), x.dtype)
            self.outputs = [kept[:, first:last] for first, last in self.row_blocks]
            lines = kept.reshape(*kept.shape[:3], self.columns, self.batch)
            self.images = lines.transpose(2, 0, 1, 3, 4)
        else:
            shared = workspace.array("output_rows", (pool[1], self.most, self.maps, self.line), x.dtype)
            self.outputs = [shared[:, : last - first] for first, last in self.row_blocks]

        self.lay_out()

    # What the kinds differ in -----------------------------------------------------------------------------

    @abstractmethod
    def begin(self) -> None:
        """Decide what cutting the rows into blocks must know."""

    @abstractmethod
    def lay_out(self) -> None:
        """Take memory and make the views of each block."""

    @abstractmethod
    def row_values(self) -> int:
        """Return how many values an output row and the input rows that only it needs take, laid out."""

    @abstractmethod
    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> the matrices that `multiply` wants."""

    @abstractmethod
    def prepare_calls(self, number: int) -> list[Call]:
        """Return the calls that lay out the input rows which block `number` needs first."""

    @abstractmethod
    def multiply(self, flat: Array, number: int, biases: Array | None) -> None:
        """Write the output of a block, with biases (M,) where there are any."""

    @abstractmethod
    def calls(self, flat: Array, number: int, biases: Array | None) -> list[Call]:
        """Return the calls that do what `multiply` does, and add biases (M,) where there are any."""

    @abstractmethod
    def flat_backward(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> the matrices that `input_gradient` wants."""

    @abstractmethod
    def kernels_product(self, number: int) -> Array:
        """Return a block's part of the kernels' gradient, where its g lies in the output's place."""

    def biases_sum(self, number: int) -> Array:
        """Return the sum of a block's gradient for each map, (M,), after `kernels_product` has read it."""
        # A product with ones takes a third of the time of a sum along the last axis.
        total: Array = np.add.reduce(self.outputs[number] @ self.ones, axis=(0, 1))
        return total

    @abstractmethod
    def kernels_sum(self, total: Array) -> Array:
        """Return the kernels' gradient (M, C, KH, KW) for the sum of the blocks' parts."""

    @abstractmethod
    def input_gradient(self, flat: Array, number: int) -> None:
        """Write the rows of dx that need no rows of g after those of block `number`."""

    # What they share --------------------------------------------------------------------------------------

    def prepare(self, number: int) -> None:
        """Lay out the input rows that block `number` needs first."""
        run(self.prepare_calls(number))
        self.is_ready = True

    def cut_rows(self, multiple: int) -> list[Pair]:
        """Return where each block of output rows begins and ends: by their size alone, whole windows each."""
        rows = max(1, BLOCK // self.row_values() // multiple) * multiple
        edges = [*range(0, self.rows, rows), self.rows]
        return list(itertools.pairwise(edges))

    def fresh_rows(self, number: int) -> Pair:
        """Return from which to before which input row, borders off, a block is the first to need."""
        (first, last), height = self.row_blocks[number], self.size[0]
        rows_in: int = self.x.shape[1]

        def reach(row: int) -> int:  # past the last input row that output row `row` meets
            return min(rows_in, max(0, row * self.stride[0] + height - self.padding[0][0]))

        return 0 if first == 0 else reach(first - 1), rows_in if last == self.rows else reach(last - 1)

    def finished_rows(self, number: int) -> Pair:
        """Return from which to before which input row no output row after the block's meets."""
        edges = [0]
        for _, last in self.row_blocks[: number + 1]:
            end = (last - 1) * self.stride[0] + 1 - self.padding[0][0]
            edges.append(self.x.shape[1] if last == self.rows else min(max(end, 0), self.x.shape[1]))
        return edges[-2], edges[-1]

    def row_ranges(self, begin: int, end: int) -> list[tuple[range, int, int]]:
        """Return (rows, lowest, highest): input rows, a stride apart, that meet outputs through the same i.

        Input row r meets output row ``(r + top) // stride - k`` through row ``i = (r + top) % stride + k
        stride`` of the window, for k from `lowest` to `highest`; none where lowest > highest.
        """
        ranges: list[tuple[range, int, int]] = []
        step, top = self.stride[0], self.padding[0][0]
        for phase in range(step):
            most = (self.size[0] - 1 - phase) // step
            kept: tuple[int, int] | None = None
            for row in range(begin + (phase - begin - top) % step, end, step):
                met = (row + top) // step
                found = max(0, met - self.rows + 1), min(most, met)
                if found == kept:
                    ranges[-1] = (range(ranges[-1][0].start, row + 1, step), *found)
                else:
                    ranges.append((range(row, row + 1, step), *found))
                kept = found
        return ranges

    @functools.cached_property
    def whole(self) -> Array:
        """The whole output or gradient row by row, (OH, M, OW N)."""
        shape = (self.rows, self.maps, self.phases * self.line)
        return self.workspace.array("whole", shape, self.x.dtype)

    @functools.cached_property
    def dx(self) -> Array:
        """The input's gradient, (C, H, W, N), row by row in memory."""
        channels, rows, columns, batch = self.x.shape
        shape = (rows, channels, columns, batch)
        return self.workspace.array("input_gradient", shape, self.x.dtype).transpose(1, 0, 2, 3)

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return y (M, OH, OW, N) for biases (M,) or (M, OH, OW), or none."""
        flat, shared = self.flat(kernels), biases is not None and biases.ndim == 1
        for number in range(len(self.outputs)):
            self.multiply(flat, number, biases if shared else None)
        if biases is not None and not shared:
            self.images += along_batch(biases, 4)
        return self.images

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (M, OH, OW, N)."""
        flat, calls = self.flat(kernels), list[Call]()
        shared = biases is not None and biases.ndim == 1
        for number, (first, last) in enumerate(self.row_blocks):
            calls += self.calls(flat, number, biases if shared else None)
            block = slice(first, last)
            calls += finish(self.images, None if shared else biases, addend, activation, block)
        return calls, self.images

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        propagate: bool,
    ) -> Array | None:
        """Write both gradients and return dx."""
        if g is not self.images:  # where an activation worked in place, g is there already
            np.copyto(self.images, g)
        if biases_gradient is None or biases_gradient.ndim == 1:
            return self.blocks_backward(kernels, kernels_gradient, biases_gradient, propagate)
        if self.batch == 1:
            np.copyto(biases_gradient, self.images[..., 0])  # a sum of one takes four times as long
        else:
            np.sum(self.images, axis=3, out=biases_gradient)
        return self.blocks_backward(kernels, kernels_gradient, None, propagate)

    def blocks_backward(
        self,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        propagate: bool,
        place: Callable[[int], None] | None = None,
    ) -> Array | None:
        """Write the kernels' gradient, and the biases' where it is given, and return dx.

        `place` puts a block's gradient where it belongs, if it is not there.
        """
        numbers = range(len(self.row_blocks))
        if not self.is_ready:  # no forward pass ran on this array
            for number in numbers:
                self.prepare(number)
        flat = self.flat_backward(kernels) if propagate else kernels
        total: Array | None = None
        if biases_gradient is not None:
            biases_gradient.fill(0)
        for number in numbers:
            if place is not None:
                place(number)
            part = self.kernels_product(number)
            total = part if total is None else np.add(total, part, out=total)
            if biases_gradient is not None:
                biases_gradient += self.biases_sum(number)
            if propagate:
                self.input_gradient(flat, number)
        if total is not None:
            kernels_gradient[...] = self.kernels_sum(total)
        return self.dx if propagate else None
