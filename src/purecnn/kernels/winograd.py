"""Winograd convolution along the rows.

Winograd's convolution along the rows: some outputs of a row at once take fewer products than one by one.

A tile of T outputs of a window KW wide has T + KW - 1 = 6 pixels. Read the kernel's row and the outputs as
polynomials: their product is fixed by six of its values, here at 0, 1, -1, 2, -2 and infinity. So for the
six pixels d and a row k of the kernel the outputs are ``y = A.T ((G k) * (B.T d))``: six products in place of
T KW, which is 12 for a window of 3 and 10 for one of 5. A, B and G are small and constant. Backward the same
three serve, transposed: ``dk = G.T ((A g) * (B.T d))`` and ``dd = B ((G k) * (A g))``.

Lavin and Gray 2015, https://arxiv.org/abs/1509.09308, have it along both axes; here the height goes through
overlapping views as in `unrolled`, so the transforms are half as much work and the rounding error is smaller.
Each transform is one matrix product over all tiles: BLAS reads six arrays and writes six, where additions of
whole arrays, 17 of them, took four times as long.
"""

from __future__ import annotations

import functools
import math
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.calls import Call
from purecnn.kernels.geometry import Pair, Window
from purecnn.kernels.rows import RowConvolution, cut_width, in_parts

#: Where the polynomials are evaluated, beside infinity.
POINTS = (0, 1, -1, 2, -2)
#: How many values fix a product, and so how many pixels a tile has.
VALUES = len(POINTS) + 1
#: Multiply-adds saved for each value that is transformed, from where on it pays: at 27 both passes took as
#: long as unrolled or longer (8 to 24 maps, 3x3), at 32 they were 1.1 times as fast (8 maps, 4x4), at 72
#: 1.45 times (32 maps, 3x3).
WORTH = 30
#: Fewer samples make runs too short. With 8, in 16 shards in place of 2, a step of the CIFAR-10-sized network
#: takes 1.4 times as long as with 64, and unrolled 1.8 times.
FEWEST = 8
#: More values than this are written and added up a sixth at a time: 1,130 us in place of 1,410 for 10 rows of
#: 96 x 64 products of 16 samples.
CACHED = 1 << 16


def suits(x: Array, maps: int, window: Window, pool: Pair = (1, 1)) -> bool:
    """Return whether tiles pay for a dense convolution of `x`: the rule between `unrolled` and this."""
    channels, (height, width) = len(x), window.size
    tile = VALUES + 1 - width
    if window.stride != (1, 1) or tile < 2 or tile % pool[1] or x.shape[3] < FEWEST:
        return False
    saved = maps * channels * height * (width - VALUES / tile)
    return saved >= WORTH * (maps + channels)


def evaluation(coefficients: int) -> Array:
    """Return the matrix (6, coefficients) that evaluates a polynomial at `POINTS` and at infinity."""
    at_infinity = np.eye(1, coefficients, coefficients - 1)
    return np.vstack([np.vander(np.array(POINTS, float), coefficients, increasing=True), at_infinity])


def matrices(width: int, dtype: npt.DTypeLike) -> tuple[Array, Array, Array]:
    """Return A (6, T), B (6, 6) and G (6, KW).

    Two polynomials are multiplied by evaluating both (A and G), multiplying value by value, and undoing the
    evaluation (B). A correlation is the transpose of such a product. Constants are moved from B to G so that
    B's are whole numbers.

    Examples
    --------
    >>> a, b, g = matrices(3, np.float64)
    >>> d, k = np.array([3, 1, 4, 1, 5, 9]), np.array([2, 7, 1])
    >>> (a.T @ ((g @ k) * (b.T @ d))).round(9), np.correlate(d, k)
    (array([17., 31., 20., 46.]), array([17, 31, 20, 46]))
    """
    shares = np.array([*(np.prod([p - q for q in POINTS if q != p]) for p in POINTS), 1.0])
    a, g = evaluation(VALUES + 1 - width), evaluation(width) / shares[:, None]
    b = np.round(np.linalg.inv(evaluation(VALUES)) * shares)
    return a.astype(dtype), b.astype(dtype), g.astype(dtype)


def together(rows: Array) -> Array:
    """(6, R, ...) -> (6, X), a view, cut into parts small enough for BLAS's quickest path."""
    flat = as_strided(rows, (len(rows), rows[0].size), rows.strides[:1] + rows.strides[-1:])
    return in_parts(flat, max(1, cut_width(VALUES, VALUES, flat.shape[1])))


class Block(NamedTuple):
    """The views of some output rows.

    Attributes
    ----------
    copies : list of (ndarray, ndarray)
        Pixels of all tiles, six for each, and where they are copied from.
    pixels, transformed : ndarray
        (6, X) in parts: these pixels, and what B.T makes of them.
    windows : ndarray
        (6, R, KH C, L): the matrix of each output row, a window over the transformed rows.
    parts : (ndarray, ndarray)
        These and their products, cut as `cut_width` says.
    products, tiles : ndarray
        (6, X) and (T, X) in parts: the products, and what A.T makes of them; later A's turn.
    outputs : list of (ndarray, ndarray)
        Output columns t of all tiles, and where they lie in `tiles`.
    """

    copies: list[tuple[Array, Array]]
    pixels: Array
    transformed: Array
    windows: Array
    parts: tuple[Array, Array]
    products: Array
    tiles: Array
    outputs: list[tuple[Array, Array]]


class WayBack(NamedTuple):
    """The views that take a block's gradient to the input rows that need no later ones.

    Attributes
    ----------
    gradient : ndarray
        (6, X) in parts: what A makes of the block's gradient.
    windows : ndarray
        (6, R, L, M): the same, turned, for the kernels' gradient.
    unmet : list of ndarray
        Rows that no output row meets: zero.
    products : list of (slice, ndarray, ndarray)
        Which cells of the turned kernels, times which rows of the transformed gradient, give which products.
    values, pixels : ndarray
        (6, X) in parts: these products, and what B makes of them.
    dx : ndarray
        (R, C, W, N): these input rows, of which `beyond` the first pixels of the last tile.
    copies, overlaps : list of (ndarray, ndarray)
        Pixels of dx, and what is copied and then added there.
    """

    gradient: Array
    turned: Array
    unmet: list[Array]
    products: list[tuple[slice, Array, Array]]
    values: Array
    pixels: Array
    beyond: Array
    copies: list[tuple[Array, Array]]
    overlaps: list[tuple[Array, Array]]


class Winograd(RowConvolution):
    """A convolution by tiles along the rows, for what `suits`."""

    def __init__(
        self, x: Array, maps: int, window: Window, workspace: Workspace, pool: Pair = (1, 1)
    ) -> None:
        self.tile = VALUES + 1 - window.size[1]
        super().__init__(x, maps, window, workspace, pool)
        self.a, self.b, self.g = matrices(self.size[1], x.dtype)
        (top, bottom), rows_in = self.padding[0], x.shape[1]
        # The transformed input: (6, padded H, C, L), its borders zero and never written.
        self.transformed = self.memory("transformed", rows_in + top + bottom, self.channels)
        self.transformed[:, :top].fill(0)
        self.transformed[:, top + rows_in :].fill(0)
        numbers = range(len(self.row_blocks))
        fresh = (end - begin for begin, end in map(self.fresh_rows, numbers))
        finished = (end - begin for begin, end in map(self.finished_rows, numbers))
        self.tallest = max(*fresh, *finished)
        # Pixels outside the image stay zero, and so do outputs of a last tile that is cut off.
        self.pixels = self.memory("pixels", self.tallest, self.channels)
        self.pixels.fill(0)
        self.products = self.memory("tile_products", self.most, self.maps)
        self.tiles = self.memory("tiles", self.most, self.maps, self.tile)
        self.blocks = [self.block(number) for number in numbers]

    @property
    def across(self) -> int:
        """How many tiles a row has."""
        columns: int = self.columns * self.phases
        return -(-columns // self.tile)

    def memory(self, name: str, rows: int, maps: int, values: int = VALUES) -> Array:
        """Return working memory (values, rows, maps, L), a row of it one value of all tiles."""
        return self.workspace.array(name, (values, rows, maps, self.across * self.batch), self.x.dtype)

    def row_values(self) -> int:
        """Return an output row's products and the transformed values of an input row."""
        return VALUES * self.across * self.batch * (self.maps + self.channels)

    def by_tile(self, rows: Array) -> Array:
        """(..., L) -> (..., A, N), a view."""
        return rows.reshape(*rows.shape[:-1], self.across, self.batch)

    def meetings(self) -> list[tuple[int, slice, slice]]:
        """Return (j, tiles, pixels): the tiles whose pixel j is inside the image, and where it lies there."""
        found = []
        for j in range(VALUES):
            offset = j - self.padding[1][0]
            first = max(0, -(offset // self.tile))
            last = min(self.across - 1, (self.x.shape[2] - 1 - offset) // self.tile)
            if first <= last:
                pixels = slice(first * self.tile + offset, last * self.tile + offset + 1, self.tile)
                found.append((j, slice(first, last + 1), pixels))
        return found

    def block(self, number: int) -> Block:
        """Return the views of one block of output rows."""
        (first, last), (begin, end) = self.row_blocks[number], self.fresh_rows(number)
        pixels = self.pixels[:, : end - begin]
        source, target = self.x[:, begin:end].transpose(1, 0, 2, 3), self.by_tile(pixels)
        copies = [(target[j, :, :, tiles], source[:, :, places]) for j, tiles, places in self.meetings()]
        if self.padding[1] == (0, 0) and self.across * self.tile + self.size[1] - 1 <= source.shape[2]:
            # No tile is cut off: all pixels are one view, copied by one call.
            down, channel, pixel, sample = source.strides
            strides = (pixel, down, channel, self.tile * pixel, sample)
            copies = [(target, as_strided(source, target.shape, strides))]
        transformed = self.transformed[:, self.padding[0][0] + begin : self.padding[0][0] + end]
        depth, line = self.size[0] * self.channels, self.transformed.shape[3]
        windows = as_strided(
            self.transformed[:, first:], (VALUES, last - first, depth, line), self.transformed.strides
        )
        products, tiles = self.products[:, : last - first], self.tiles[:, : last - first]
        part = cut_width(self.maps, depth, line)
        output, share = self.outputs[number], self.tile // self.phases
        split = output.reshape(*output.shape[:3], self.columns, self.batch)
        if self.columns == self.across * share:
            split = output.reshape(*output.shape[:3], self.across, share, self.batch)
            by_column = self.by_tile(tiles.reshape(share, self.phases, *tiles.shape[1:]))
            outputs = [(split.transpose(4, 0, 1, 2, 3, 5), by_column)]
        else:
            places = [split[t % self.phases, :, :, t // self.phases :: share] for t in range(self.tile)]
            columns = self.by_tile(tiles)
            outputs = [(place, columns[t, :, :, : place.shape[2]]) for t, place in enumerate(places)]
        return Block(
            copies,
            together(pixels),
            together(transformed),
            windows,
            (in_parts(windows, part), in_parts(products, part)),
            together(products),
            together(tiles),
            outputs,
        )

    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> G k, (6, 1, 1, M, KH C)."""
        by_column = kernels.transpose(3, 0, 2, 1).reshape(self.size[1], -1)
        return (self.g @ by_column).reshape(VALUES, 1, 1, self.maps, -1)

    def prepare(self, number: int) -> None:
        """Gather the pixels of all tiles, and transform them."""
        block = self.blocks[number]
        for target, source in block.copies:
            np.copyto(target, source)
        np.matmul(self.b.T, block.pixels, out=block.transformed)
        self.is_ready = True

    def multiply(self, flat: Array, number: int) -> None:
        """Write the output of a block: for each value and row (M, KH C) @ (KH C, L), and A.T of them."""
        self.prepare(number)
        block = self.blocks[number]
        windows, products = block.parts
        np.matmul(flat, windows, out=products)
        np.matmul(self.a.T, block.products, out=block.tiles)
        for target, source in block.outputs:
            np.copyto(target, source)

    def calls(self, flat: Array, number: int, biases: Array | None) -> list[Call]:
        """Return the calls of `multiply`; the biases are added in the place of the last copy."""
        block = self.blocks[number]
        found: list[Call] = [partial(np.copyto, target, source) for target, source in block.copies]
        found.append(partial(np.matmul, self.b.T, block.pixels, out=block.transformed))
        found.append(partial(np.matmul, flat, block.parts[0], out=block.parts[1]))
        found.append(partial(np.matmul, self.a.T, block.products, out=block.tiles))
        for target, source in block.outputs:
            if biases is None:
                found.append(partial(np.copyto, target, source))
            else:
                found.append(partial(np.add, source, biases[:, None, None], out=target))
        return found

    def kernels_product(self, number: int) -> Array:
        """Return a block's part of (A g) @ windows.T, as (6, KH C, M); leaves A g for `input_gradient`."""
        block, way = self.blocks[number], self.ways_back[number]
        if self.columns * self.phases < self.across * self.tile:
            self.tiles.fill(0)  # what is cut off the last tile
        for source, target in block.outputs:
            np.copyto(target, source)
        np.matmul(self.a, block.tiles, out=way.gradient)
        products = self.kernels_products[:, : way.turned.shape[1]]
        total: Array = self.kernels_totals[min(number, 1)]
        for value in range(0, VALUES, len(products)):
            some = slice(value, value + len(products))
            np.matmul(block.windows[some], way.turned[some], out=products)
            np.add.reduce(products, axis=1, out=total[some])
        return total

    def kernels_sum(self, total: Array) -> Array:
        """(6, KH C, M) -> G.T of it, as (M, C, KH, KW)."""
        found = self.g.T @ total.reshape(VALUES, -1)
        return found.reshape(self.size[1], self.size[0], self.channels, self.maps).transpose(3, 2, 1, 0)

    def flat_backward(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> G k turned, (6, 1, 1, C, KH M), the rows of the window from the last."""
        split = self.flat(kernels).reshape(VALUES, self.maps, self.size[0], self.channels)
        turned = np.ascontiguousarray(split[:, :, ::-1].transpose(0, 3, 2, 1))
        return turned.reshape(VALUES, 1, 1, self.channels, -1)

    def input_gradient(self, flat: Array, number: int) -> None:
        """Write rows of dx: one product for each value and row, B of them, and the tiles' pixels added up."""
        way = self.ways_back[number]
        for row in way.unmet:
            row.fill(0)
        for cells, lines, products in way.products:
            np.matmul(flat[..., cells], lines, out=products)
        np.matmul(self.b, way.values, out=way.pixels)
        way.beyond.fill(0)
        for target, source in way.copies:
            np.copyto(target, source)
        for target, source in way.overlaps:
            target += source

    @functools.cached_property
    def kernels_products(self) -> Array:
        """Working memory of `kernels_product`, for all values or, to stay in the cache, for one at a time."""
        shape = (self.most, self.size[0] * self.channels, self.maps)
        together = VALUES if VALUES * math.prod(shape) <= CACHED else 1
        return self.workspace.array("kernels_products", (together, *shape), self.x.dtype)

    @functools.cached_property
    def kernels_totals(self) -> Array:
        """The first block's part of the kernels' gradient, and that of the block at hand."""
        shape = (min(2, len(self.row_blocks)), VALUES, self.size[0] * self.channels, self.maps)
        return self.workspace.array("kernels_totals", shape, self.x.dtype)

    @functools.cached_property
    def ways_back(self) -> list[WayBack]:
        """The views of the backward pass for each block, made at its first call."""
        gradient = self.memory("tiles_gradient", self.rows, self.maps)
        values = self.memory("values", self.tallest, self.channels)
        return [self.way_back(number, gradient, values) for number in range(len(self.row_blocks))]

    def way_back(self, number: int, gradient: Array, values: Array) -> WayBack:
        """Return the views of the backward pass for one block."""
        (first, last), (begin, end) = self.row_blocks[number], self.finished_rows(number)
        height, maps, line = self.size[0], self.maps, gradient.shape[3]
        own, values, pixels = (
            gradient[:, first:last],
            values[:, : end - begin],
            self.memory("pixels_gradient", self.tallest, self.channels)[:, : end - begin],
        )
        unmet, steps = [], []
        for top, bottom, lowest, highest in self.row_ranges(begin, end):
            products = values[:, top - begin : bottom + 1 - begin]
            if lowest > highest:
                unmet.append(products)
                continue
            # Input rows top to bottom each meet output rows from row - highest to row - lowest.
            met = (highest - lowest + 1) * maps
            above = gradient[:, top + self.padding[0][0] - highest :]
            lines = as_strided(above, (VALUES, bottom - top + 1, met, line), gradient.strides)
            part = cut_width(self.channels, met, line)
            cells = slice((height - 1 - highest) * maps, (height - lowest) * maps)
            steps.append((cells, in_parts(lines, part), in_parts(products, part)))
        dx, split = self.dx[:, begin:end].transpose(1, 0, 2, 3), self.by_tile(pixels)
        meetings = [(j, dx[:, :, places], split[j, :, :, tiles]) for j, tiles, places in self.meetings()]
        return WayBack(
            together(own),
            own.transpose(0, 1, 3, 2),
            unmet,
            steps,
            together(values),
            together(pixels),
            dx[:, :, max(0, self.across * self.tile - self.padding[1][0]) :],
            [(target, source) for j, target, source in meetings if j < self.tile],
            [(target, source) for j, target, source in meetings if j >= self.tile],
        )
