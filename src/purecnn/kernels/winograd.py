"""Winograd convolution along the rows.

Winograd's convolution along the rows: four outputs of a row under a window of 3 take six products for each
row of the window, where one by one they take 12.

The height goes through overlapping views as in `unrolled`. Lavin and Gray 2015,
https://arxiv.org/abs/1509.09308, have tiles along both axes, as `winograd_square`; along one, the transforms
are half as much work.
"""

from __future__ import annotations

import functools
import math
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend import blas
from purecnn.backend.types import Array
from purecnn.kernels.calls import Call
from purecnn.kernels.geometry import Pair, Window
from purecnn.kernels.products import cut_width, in_parts, matmul, sums_in_parts
from purecnn.kernels.tiles import TiledConvolution
from purecnn.kernels.transforms import VALUES

#: Multiply-adds saved for each value that is transformed, from where on it pays: at 27 both passes took as
#: long as unrolled or longer (8 to 24 maps, 3x3), at 32 they were 1.1 times as fast (8 maps, 4x4), at 72
#: 1.45 times (32 maps, 3x3). Where NumPy has no BLAS, they are as fast at 12, and at 15 1.3 times as fast
#: (6 to 8 maps, 3x3).
WORTH = 15 if blas.ABSENT else 30
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


class Winograd(TiledConvolution):
    """A convolution by tiles along the rows, for what `suits`."""

    def flat(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> G k, (6, 1, 1, M, KH C)."""
        by_column = kernels.transpose(3, 0, 2, 1).reshape(self.size[1], -1)
        return (self.g @ by_column).reshape(VALUES, 1, 1, self.maps, -1)

    def flat_backward(self, kernels: Array) -> Array:
        """(M, C, KH, KW) -> G k turned, (6, 1, 1, C, KH M), the rows of the window from the last."""
        split = self.flat(kernels).reshape(VALUES, self.maps, self.size[0], self.channels)
        turned = np.ascontiguousarray(split[:, :, ::-1].transpose(0, 3, 2, 1))
        return turned.reshape(VALUES, 1, 1, self.channels, -1)

    @functools.cached_property
    def windows(self) -> list[Array]:
        """Each block's matrices (6, R, KH C, L) of output rows: windows over the transformed rows."""
        depth, line = self.size[0] * self.channels, self.transformed.shape[3]
        return [
            as_strided(
                self.transformed[:, first:], (VALUES, last - first, depth, line), self.transformed.strides
            )
            for first, last in self.row_blocks
        ]

    def multiply_calls(self, flat: Array, number: int) -> list[Call]:
        """Return the call that takes for each value and row (M, KH C) @ (KH C, L)."""
        windows, products = self.parts[number]
        return [partial(matmul, flat, windows, out=products)]

    @functools.cached_property
    def parts(self) -> list[tuple[Array, Array]]:
        """The windows and products of each block, cut as `cut_width` says."""
        part = cut_width(self.maps, self.size[0] * self.channels, self.transformed.shape[3])
        return [
            (in_parts(windows, part), in_parts(self.products[:, : windows.shape[1]], part))
            for windows in self.windows
        ]

    def multiply_back(self, number: int) -> Array:
        """Return a block's part of windows @ (A g).T, as (6, KH C, M)."""
        products = self.kernels_products[:, : self.windows[number].shape[1]]
        total: Array = self.kernels_totals[min(number, 1)]
        values = range(0, VALUES, len(products))
        for value, (windows, turned, parts) in zip(values, self.sums[number], strict=True):
            matmul(windows, turned, out=parts)
            np.add.reduce(products, axis=1, out=total[value : value + len(products)])
        return total

    @functools.cached_property
    def sums(self) -> list[list[tuple[Array, Array, Array]]]:
        """For each block, some values at a time: windows, A g turned, and their products, in parts."""
        several, found = len(self.kernels_products), []
        for (first, last), windows in zip(self.row_blocks, self.windows, strict=True):
            turned = self.gradient[:, first:last].transpose(0, 1, 3, 2)
            products = self.kernels_products[:, : last - first]
            some = [slice(value, value + several) for value in range(0, VALUES, several)]
            found.append([sums_in_parts(windows[these], turned[these], products) for these in some])
        return found

    @functools.cached_property
    def kernels_products(self) -> Array:
        """Working memory of `multiply_back`, for all values or, to stay in the cache, for one at a time."""
        shape = (self.most, self.size[0] * self.channels, self.maps)
        together = VALUES if VALUES * math.prod(shape) <= CACHED else 1
        return self.workspace.array("kernels_products", (together, *shape), self.x.dtype)

    def part_shape(self) -> tuple[int, ...]:
        """Return (KH C, M)."""
        return self.size[0] * self.channels, self.maps

    def kernels_sum(self, total: Array) -> Array:
        """(6, KH C, M) -> G.T of it, as (M, C, KH, KW)."""
        found = self.g.T @ total.reshape(VALUES, -1)
        return found.reshape(self.size[1], self.size[0], self.channels, self.maps).transpose(3, 2, 1, 0)

    def values_of(self, number: int) -> Array:
        """Return memory for a block's input rows."""
        begin, end = self.finished_rows(number)
        return self.memory("values", self.tallest, self.channels)[:, : end - begin]

    def values_back(self, flat: Array, number: int) -> None:
        """Take one product for each value and row; zero where no output row meets one."""
        unmet, steps = self.steps_back[number]
        for row in unmet:
            row.fill(0)
        for cells, lines, products in steps:
            matmul(flat[..., cells], lines, out=products)

    @functools.cached_property
    def steps_back(self) -> list[tuple[list[Array], list[tuple[slice, Array, Array]]]]:
        """For each block its rows that no output row meets, and the products for the others.

        Those are which cells of the turned kernels, times which rows of A g, give which rows.
        """
        return [self.step_back(number) for number in range(len(self.row_blocks))]

    def step_back(self, number: int) -> tuple[list[Array], list[tuple[slice, Array, Array]]]:
        """Return those of one block."""
        (begin, end), values, maps = self.finished_rows(number), self.values_of(number), self.maps
        height, line = self.size[0], self.gradient.shape[3]
        unmet, steps = [], []
        for rows, lowest, highest in self.row_ranges(begin, end):
            products = values[:, rows.start - begin : rows.stop - begin]
            if lowest > highest:
                unmet.append(products)
                continue
            # Each of these input rows meets output rows from row - highest to row - lowest.
            met = (highest - lowest + 1) * maps
            above = self.gradient[:, rows.start + self.padding[0][0] - highest :]
            lines = as_strided(above, (VALUES, len(rows), met, line), self.gradient.strides)
            part = cut_width(self.channels, met, line)
            cells = slice((height - 1 - highest) * maps, (height - lowest) * maps)
            steps.append((cells, in_parts(lines, part), in_parts(products, part)))
        return unmet, steps
