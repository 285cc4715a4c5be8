"""Convolution by tiles along the rows: what both of Winograd's convolutions share.

A tile of T outputs of a window KW wide has T + KW - 1 = 6 pixels. For these d and a row k of the kernel the
outputs are ``y = A.T ((G k) * (B.T d))``: six products in place of T KW, which is 12 for a window of 3 and 10
for one of 5. Backward the same three serve, transposed: ``dk = G.T ((A g) * (B.T d))`` and ``dd = B ((G k) *
(A g))``. A, B and G are small and constant (`transforms`). Each transform is one matrix product over all
tiles: BLAS reads six arrays and writes six, where additions of whole arrays, 17 of them, took four times as
long.

How the rows of the six values meet is what `winograd`, by overlapping views, and `winograd_square`, by tiles
once more, differ in.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.types import Array
from purecnn.kernels.calls import Call, run
from purecnn.kernels.products import cut_width, in_parts, matmul
from purecnn.kernels.rows import RowConvolution
from purecnn.kernels.transforms import ONE, VALUES, matrices


def together(rows: Array) -> Array:
    """(6, R, ...) -> (6, X), a view, cut into parts small enough for BLAS's quickest path."""
    flat = as_strided(rows, (len(rows), rows[0].size), rows.strides[:1] + rows.strides[-1:])
    return in_parts(flat, lines_width(flat.shape[1]))


def lines_width(line: int) -> int:
    """Return how wide to cut lines that are transformed."""
    return max(1, cut_width(VALUES, VALUES, line))


class Block(NamedTuple):
    """The views of some output rows.

    Attributes
    ----------
    copies : list of (ndarray, ndarray)
        Pixels of all tiles, six for each, and where they are copied from.
    pixels, transformed : ndarray
        (6, X) in parts: these pixels, and what B.T makes of them.
    at_one : ndarray
        (R, M, L): the products at `ONE`.
    products, tiles : ndarray
        (6, X) and (T, X) in parts: the products, and what A.T makes of them; later A's turn.
    outputs : list of (ndarray, ndarray)
        Output columns t of all tiles, and where they lie in `tiles`.
    """

    copies: list[tuple[Array, Array]]
    pixels: Array
    transformed: Array
    at_one: Array
    products: Array
    tiles: Array
    outputs: list[tuple[Array, Array]]


class WayBack(NamedTuple):
    """The views that take a block's gradient to the input rows that need no later ones.

    Attributes
    ----------
    gradient : ndarray
        (6, X) in parts: what A makes of the block's gradient.
    at_one : ndarray
        (R, M, L): of it the value at `ONE`.
    values, pixels : ndarray
        (6, X) in parts: the six values of these input rows' gradient, and what B makes of them.
    beyond : ndarray
        The columns of dx that only overlaps write, behind the last tile's first pixels; zero at first.
    copies, overlaps : list of (ndarray, ndarray)
        Pixels of dx, and what is copied and then added there.
    """

    gradient: Array
    at_one: Array
    values: Array
    pixels: Array
    beyond: Array
    copies: list[tuple[Array, Array]]
    overlaps: list[tuple[Array, Array]]


class TiledConvolution(RowConvolution):
    """A convolution by tiles along the rows.

    Attributes
    ----------
    tile, down : int
        How many outputs a tile has along a row, and how many rows go together.
    """

    down = 1

    def begin(self) -> None:
        """Find the size of a tile and its transforms."""
        self.tile = VALUES + 1 - self.size[1]
        self.a, self.b, self.g = matrices(self.size[1], self.x.dtype)

    def lay_out(self) -> None:
        """Take memory for pixels, values, products and outputs, and make the views of each block."""
        (top, _), rows_in = self.padding[0], self.x.shape[1]
        # The transformed input: (6, padded H, C, L), its borders zero and never written.
        self.transformed = self.memory("transformed", self.rows_met(), self.channels)
        self.transformed[:, :top].fill(0)
        self.transformed[:, top + rows_in :].fill(0)
        numbers = range(len(self.row_blocks))
        fresh = (end - begin for begin, end in map(self.fresh_rows, numbers))
        finished = (end - begin for begin, end in map(self.finished_rows, numbers))
        self.tallest = max(*fresh, *finished)
        # Pixels outside the image stay zero, and so do outputs of a last tile that is cut off.
        self.pixels = self.memory("pixels", self.tallest, self.channels)
        self.pixels.fill(0)
        self.products = self.memory("tile_products", self.whole_rows(self.most), self.maps)
        self.tiles = self.memory("tiles", self.most, self.maps, self.tile)
        self.blocks = [self.block(number) for number in numbers]

    # What the kinds differ in -----------------------------------------------------------------------------

    @abstractmethod
    def multiply_calls(self, flat: Array, number: int) -> list[Call]:
        """Return the calls that write a block's `products` from the transformed input."""

    @abstractmethod
    def multiply_back(self, number: int) -> Array:
        """Return a block's part of the kernels' gradient, before `kernels_sum`, from A g."""

    @abstractmethod
    def part_shape(self) -> tuple[int, ...]:
        """Return the shape of such a part for one of the six values."""

    @abstractmethod
    def values_back(self, flat: Array, number: int) -> None:
        """Write the six values of the gradient of the input rows that a block finishes, from A g."""

    @abstractmethod
    def values_of(self, number: int) -> Array:
        """Return where `values_back` writes them: (6, R, C, L)."""

    def whole_rows(self, rows: int) -> int:
        """Return so many output rows with those that fill the last tile."""
        return -(-rows // self.down) * self.down

    def rows_met(self) -> int:
        """Return how many rows the transformed input has, borders included."""
        height: int = self.x.shape[1]
        return height + sum(self.padding[0])

    # What they share --------------------------------------------------------------------------------------

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
        products, tiles = self.products[:, : last - first], self.tiles[:, : last - first]
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
            products[ONE],
            together(products),
            together(tiles),
            outputs,
        )

    def prepare_calls(self, number: int) -> list[Call]:
        """Return the calls that gather the pixels of all tiles, and transform them."""
        block = self.blocks[number]
        found: list[Call] = [partial(np.copyto, target, source) for target, source in block.copies]
        return [*found, partial(matmul, self.b.T, block.pixels, out=block.transformed)]

    def multiply(self, flat: Array, number: int, biases: Array | None) -> None:
        """Write the output of a block: the products of its values, the biases, and A.T of them."""
        run(self.calls(flat, number, biases))
        self.is_ready = True

    def calls(self, flat: Array, number: int, biases: Array | None) -> list[Call]:
        """Return the calls of `multiply`.

        The biases are added to the value at `ONE`, which all outputs of a tile have in them once: a quarter
        of the numbers, in long runs. 15 us in place of 45 for 16 maps of 8 x 32 outputs.
        """
        block = self.blocks[number]
        found = [*self.prepare_calls(number), *self.multiply_calls(flat, number)]
        if biases is not None:
            found.append(partial(np.add, block.at_one, biases[:, None], out=block.at_one))
        found.append(partial(matmul, self.a.T, block.products, out=block.tiles))
        found += [partial(np.copyto, target, source) for target, source in block.outputs]
        return found

    def kernels_product(self, number: int) -> Array:
        """Return a block's part of the kernels' gradient; leaves A g for what comes next."""
        block, way = self.blocks[number], self.ways_back[number]
        if self.columns * self.phases < self.across * self.tile:
            self.tiles.fill(0)  # what is cut off the last tile
        for source, target in block.outputs:
            np.copyto(target, source)
        matmul(self.a, block.tiles, out=way.gradient)
        return self.multiply_back(number)

    def biases_sum(self, number: int) -> Array:
        """Return the sum of a block's gradient for each map, (M,): A g has each tile's at `ONE`."""
        lines = self.ways_back[number].at_one
        total: Array = np.add.reduce(lines @ self.ones[: lines.shape[2]], axis=0)
        return total

    def input_gradient(self, flat: Array, number: int) -> None:
        """Write rows of dx: B of their six values, and the tiles' pixels added up."""
        way = self.ways_back[number]
        self.values_back(flat, number)
        matmul(self.b, way.values, out=way.pixels)
        way.beyond.fill(0)
        for target, source in way.copies:
            np.copyto(target, source)
        for target, source in way.overlaps:
            target += source

    @functools.cached_property
    def kernels_totals(self) -> Array:
        """The first block's part of the kernels' gradient, and that of the block at hand."""
        shape = (min(2, len(self.row_blocks)), VALUES, *self.part_shape())
        return self.workspace.array("kernels_totals", shape, self.x.dtype)

    @functools.cached_property
    def gradient(self) -> Array:
        """A g of all output rows, (6, R, M, L); rows of a last tile that is cut off are zero."""
        gradient = self.memory("tiles_gradient", self.whole_rows(self.rows), self.maps)
        gradient[:, self.rows :].fill(0)
        return gradient

    @functools.cached_property
    def ways_back(self) -> list[WayBack]:
        """The views of the backward pass for each block, made at its first call."""
        return [self.way_back(number) for number in range(len(self.row_blocks))]

    def way_back(self, number: int) -> WayBack:
        """Return the views of the backward pass for one block."""
        (first, last), (begin, end) = self.row_blocks[number], self.finished_rows(number)
        own = self.gradient[:, first:last]
        pixels = self.memory("pixels_gradient", self.tallest, self.channels)[:, : end - begin]
        dx, split = self.dx[:, begin:end].transpose(1, 0, 2, 3), self.by_tile(pixels)
        meetings = [(j, dx[:, :, places], split[j, :, :, tiles]) for j, tiles, places in self.meetings()]
        return WayBack(
            together(own),
            own[ONE],
            together(self.values_of(number)),
            together(pixels),
            dx[:, :, max(0, self.across * self.tile - self.padding[1][0]) :],
            [(target, source) for j, target, source in meetings if j < self.tile],
            [(target, source) for j, target, source in meetings if j >= self.tile],
        )
