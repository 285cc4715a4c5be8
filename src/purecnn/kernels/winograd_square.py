"""Winograd convolution along both axes.

Winograd's convolution along both axes: 4 x 4 outputs under a window of 3 x 3 take 36 products, where tiles
along the rows alone take 72 and the direct convolution 144.

Lavin and Gray 2015, https://arxiv.org/abs/1509.09308: ``Y = A.T ((G K G.T) * (B.T D B)) A``. The transform
along the columns is that of `tiles`. Its rows are lines of memory, C L long, so the six rows of a tile are a
view of it, which overlaps the next tile's: the transform down the rows is a product with B.T too, and nothing
is gathered. One of the six column values is worked on at a time, so that what one product wrote is in the
cache for the next.
"""

from __future__ import annotations

import functools
import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.types import Array
from purecnn.kernels import winograd
from purecnn.kernels.calls import Call
from purecnn.kernels.geometry import Pair, Window
from purecnn.kernels.products import cut_width, in_parts, matmul, small_kernels, sums_in_parts
from purecnn.kernels.tiles import TiledConvolution, lines_width
from purecnn.kernels.transforms import VALUES, matrices

#: Multiply-adds saved for each value that is transformed, from where on it pays beside tiles along the rows.
#: Both passes were 0.9 times as fast at 12 (32 maps of 7 x 7), 1.03 and 1.06 times at 16 (of 16 x 16 and 32 x
#: 32), 1.16 at 21 (32 to 64 maps of 16 x 16), 1.3 at 32 (64 maps), 1.5 at 43 (64 to 128).
WORTH = 16
#: The same where BLAS copies operands, so that short products cost more: 0.95 at 24, 1.04 at 21, 1.1 to 1.2
#: at 32.
WORTH_COPIED = 30


def suits(x: Array, maps: int, window: Window, pool: Pair = (1, 1)) -> bool:
    """Return whether tiles along both axes pay for what tiles along the rows do: the rule between the two."""
    height = window.size[0]
    down = VALUES + 1 - height
    if height < 2 or down < 2 or down % pool[0] or not winograd.suits(x, maps, window, pool):
        return False
    rows = window.positions(x.shape)[0] // pool[0] * pool[0]
    channels, products = len(x), VALUES * -(-rows // down)
    saved = maps * channels * (height * rows - products)
    return saved >= (WORTH if small_kernels() else WORTH_COPIED) * products * (maps + channels)


class BlockRows(NamedTuple):
    """The views of a block of tile rows, each for all six column values.

    Attributes
    ----------
    rows : ndarray
        (6, T, 6, C L) in parts: the six rows of each tile, a view over the transformed input that overlaps.
    products : ndarray
        (6, T, down, M L) in parts: the rows of `products`.
    """

    rows: Array
    products: Array


class Scratch(NamedTuple):
    """Scratch memory between the transforms down the rows, for one column value of a block.

    Attributes
    ----------
    input, output : ndarray
        (T, 6, C, L) and (T, 6, M, L) in parts: as products take them.
    input_lines, output_lines : ndarray
        The same as (T, 6, C L) and (T, 6, M L) in parts: as transforms take them.
    whole : (ndarray, ndarray)
        Both uncut.
    back : (ndarray, ndarray)
        Output and input in parts, as the products of the way back take them.
    """

    input: Array
    output: Array
    input_lines: Array
    output_lines: Array
    whole: tuple[Array, Array]
    back: tuple[Array, Array]


class WinogradSquare(TiledConvolution):
    """A convolution by tiles along both axes, for what `suits`."""

    def begin(self) -> None:
        """Find the sizes of a tile and its transforms along both axes."""
        super().begin()
        self.down = VALUES + 1 - self.size[0]
        self.a_down, self.b_down, self.g_down = matrices(self.size[0], self.x.dtype)
        #: How many rows of a tile are the next one's too.
        self.overlap = self.size[0] - 1

    def cut_rows(self, multiple: int) -> list[Pair]:
        """Return where each block of output rows begins and ends: whole tiles and pooling windows."""
        return super().cut_rows(math.lcm(multiple, self.down))

    def rows_met(self) -> int:
        """Return how many rows the transformed input has: those of a last tile that is cut off too."""
        return max(super().rows_met(), self.whole_rows(self.rows) + self.overlap)

    def tile_rows(self, number: int) -> int:
        """Return how many tiles a block has, one above the other."""
        first, last = self.row_blocks[number]
        return self.whole_rows(last - first) // self.down

    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> G K G.T, (6, 1, 6, 1, M, C), the column values first."""
        split = kernels.transpose(3, 2, 0, 1).reshape(*self.size[::-1], -1)
        values: Array = self.g_down @ np.tensordot(self.g, split, 1)
        return values.reshape(VALUES, 1, VALUES, 1, self.maps, self.channels)

    def flat_backward(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> the same turned, (6, 1, 6, 1, C, M)."""
        return self.flat(kernels).swapaxes(-1, -2)

    def kernels_sum(self, total: Array) -> Array:
        """(6, 6, C, M) -> G.T of it along both axes, as (M, C, KH, KW)."""
        down = self.g_down.T @ total.reshape(VALUES, VALUES, -1)
        found = np.tensordot(self.g.T, down, 1)
        return found.reshape(self.size[1], self.size[0], self.channels, self.maps).transpose(3, 2, 1, 0)

    @functools.cached_property
    def rows_of_tiles(self) -> list[BlockRows]:
        """The views of each block."""
        return [
            BlockRows(
                self.tile_lines(self.transformed[:, first:], number, VALUES),
                self.tile_lines(self.products, number, self.down),
            )
            for number, (first, _) in enumerate(self.row_blocks)
        ]

    def tile_lines(self, rows: Array, number: int, each: int) -> Array:
        """(6, R, maps, L) -> (6, T, each, maps L) in parts: so many rows of each tile of a block."""
        value, down, _, along = rows.strides
        line = rows.shape[2] * rows.shape[3]
        shape = (VALUES, self.tile_rows(number), each, line)
        return in_parts(as_strided(rows, shape, (value, self.down * down, down, along)), lines_width(line))

    @functools.cached_property
    def scratch(self) -> list[Scratch]:
        """The memory of each block, of which all use the same."""
        return [self.scratch_for(self.tile_rows(number)) for number in range(len(self.row_blocks))]

    def scratch_for(self, tiles: int) -> Scratch:
        """Return the memory of a block of so many tile rows."""
        most, line = self.whole_rows(self.most) // self.down, self.transformed.shape[3]

        def memory(name: str, maps: int) -> tuple[Array, Array]:
            held = self.workspace.array(name, (most, VALUES, maps, line), self.x.dtype)[:tiles]
            lines = held.reshape(tiles, VALUES, maps * line)
            return held, in_parts(lines, lines_width(maps * line))

        input, input_lines = memory("square_input", self.channels)
        output, output_lines = memory("square_output", self.maps)
        forward = cut_width(self.maps, self.channels, line)
        backward = cut_width(self.channels, self.maps, line)
        return Scratch(
            in_parts(input, forward),
            in_parts(output, forward),
            input_lines,
            output_lines,
            (input, output),
            (in_parts(output, backward), in_parts(input, backward)),
        )

    def multiply_calls(self, flat: Array, number: int) -> list[Call]:
        """Return the calls that take (M, C) @ (C, L) for each value of each tile."""
        block, scratch, found = self.rows_of_tiles[number], self.scratch[number], list[Call]()
        for rows, products, kernels in zip(block.rows, block.products, flat, strict=True):
            found.append(partial(matmul, self.b_down.T, rows, out=scratch.input_lines))
            found.append(partial(matmul, kernels, scratch.input, out=scratch.output))
            found.append(partial(matmul, self.a_down.T, scratch.output_lines, out=products))
        return found

    @functools.cached_property
    def gradients(self) -> list[Array]:
        """The rows of A g that each block gives its tiles, as `tile_lines` has them."""
        return [
            self.tile_lines(self.gradient[:, first:], number, self.down)
            for number, (first, _) in enumerate(self.row_blocks)
        ]

    def multiply_back(self, number: int) -> Array:
        """Return a block's part of (B.T D B) @ (A g A.T).T, as (6, 6, C, M)."""
        scratch, (sums, totals) = self.scratch[number], self.sums[number]
        left, right, products = sums
        total: Array = self.kernels_totals[min(number, 1)]
        for value, rows, gradient in zip(
            range(VALUES), self.rows_of_tiles[number].rows, self.gradients[number], strict=True
        ):
            matmul(self.b_down.T, rows, out=scratch.input_lines)
            matmul(self.a_down, gradient, out=scratch.output_lines)
            matmul(left, right, out=products)
            np.add.reduce(totals, axis=0, out=total[value])
        return total

    @functools.cached_property
    def sums(self) -> list[tuple[tuple[Array, Array, Array], Array]]:
        """For each block input, output turned, and their products, in parts; and those (T, 6, C, M) uncut."""
        most, found = self.whole_rows(self.most) // self.down, []
        held = self.workspace.array("square_totals", (most, VALUES, self.channels, self.maps), self.x.dtype)
        for scratch in self.scratch:
            input, output = scratch.whole
            totals = held[: len(input)]
            found.append((sums_in_parts(input, output.swapaxes(-1, -2), totals), totals))
        return found

    def part_shape(self) -> tuple[int, ...]:
        """Return (6, C, M)."""
        return VALUES, self.channels, self.maps

    @functools.cached_property
    def values(self) -> Array:
        """The six column values of the rows that a block's tiles meet, zero beyond, (6, R, C, L)."""
        (first, _), rows_in = self.row_blocks[-1], self.x.shape[1] + self.padding[0][0]
        rows = max(self.whole_rows(self.most) + self.overlap, rows_in - first)
        return self.memory("values", rows, self.channels)

    @functools.cached_property
    def carried(self) -> Array:
        """What a block adds to the first rows of the next, (6, overlap, C, L)."""
        return self.memory("carried", self.overlap, self.channels)

    @functools.cached_property
    def tiles_back(self) -> Array:
        """The rows of each tile's gradient for one column value, before they are added up: (T, 6, C L)."""
        most, line = self.whole_rows(self.most) // self.down, self.transformed[0, 0].size
        return self.workspace.array("tiles_back", (most, VALUES, line), self.x.dtype)

    def values_of(self, number: int) -> Array:
        """Return where the input rows lie that a block finishes."""
        (begin, end), first = self.finished_rows(number), self.row_blocks[number][0]
        at = begin + self.padding[0][0] - first
        return self.values[:, at : at + end - begin]

    def values_back(self, flat: Array, number: int) -> None:
        """Take (C, M) @ (M, L) for each value of each tile, and add up the rows where tiles meet."""
        scratch, tiles = self.scratch[number], self.tile_rows(number)
        output, input = scratch.back
        back, rows = self.tiles_back[:tiles], tiles * self.down
        lines = in_parts(back, lines_width(back.shape[2]))
        for gradient, kernels, met, carried in zip(
            self.gradients[number], flat, self.values, self.carried, strict=True
        ):
            matmul(self.a_down, gradient, out=scratch.output_lines)
            matmul(kernels, output, out=input)
            matmul(self.b_down, scratch.input_lines, out=lines)
            whole = met.reshape(len(met), -1)
            np.copyto(whole[:rows].reshape(tiles, self.down, -1), back[:, : self.down])
            whole[rows:] = 0
            for row in range(self.down, VALUES):
                whole[row : row + rows : self.down] += back[:, row]
            if number:
                met[: self.overlap] += carried
            np.copyto(carried, met[rows : rows + self.overlap])
