"""Matrix products: cut into parts that BLAS multiplies fastest, or taken without a BLAS.

OpenBLAS has kernels for small products on processors with AVX-512: they read their operands where these lie,
while a larger product first copies both into an order of its own. On other processors every product is
copied, and each cut costs more copies: there none is made (with AVX2, 32 maps' gradient ran at 91 GFLOP/s
whole, at 79 cut).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend import blas
from purecnn.backend.types import Array

#: OpenBLAS's names, in small letters, for the processors that have kernels for small products.
SMALL_KERNELS = ("skylakex", "cooperlake", "sapphirerapids")
#: Those kernels take a product of up to this many multiply-adds.
SMALL = 1_000_000
#: Narrower than this, a cut product costs more in calls than it saves: 64 maps of 8 x 8 from 64 samples ran
#: at 92 GFLOP/s whole, at 105 to 114 in parts of 64 columns, at 108 in parts of 32.
NARROW = 64
#: With both operands' rows in runs, they take a product of up to so many sums; and a part has at most `SIDE`
#: maps.
SUMS, SIDE = 1200, 64
#: Up to how many columns a product is cut by maps, into parts of so many of these at least: 512 maps of 4,608
#: sums took 740 us for 4 columns, read from memory, and 429 cut; 320 of 960 109 and 64; 128 of 1,152 for 64
#: columns 117 and 85.
FEW_COLUMNS, FEWEST_MAPS = 64, 8
#: Without a BLAS, from how many values of the right matrix on `numpy.einsum` is faster, and from how many
#: terms of a sum, where these lie in runs: `in_loops`.
WIDE, LONG_SUMS = 12_000, 128


def in_loops(left: Array, right: Array, out: Array | None = None) -> Array:
    """(..., M, K), (..., K, L) -> (..., M, L), as `numpy.matmul`, where NumPy has no BLAS.

    There `numpy.matmul` goes down a column of `right` for each sum, and `numpy.einsum` along a row, or along
    K where both operands have it in runs. It takes longer to begin, and runs of two matrices at a time alone
    quickly.
    """
    line, depth = right.shape[-1], right.shape[-2]
    in_runs = left.strides[-1] == right.strides[-2] == right.itemsize
    if depth < LONG_SUMS if in_runs else depth * line < WIDE:
        return np.matmul(left, right, out=out)
    if out is None:
        stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        out = np.empty((*stack, left.shape[-2], line), np.result_type(left, right))
    return one_by_one(left, right, out)


def one_by_one(left: Array, right: Array, out: Array) -> Array:
    """Take the product of each two matrices of the stacks that `out` has a place for."""
    if out.ndim == 2:
        return np.einsum("mk,kl->ml", left, right, out=out)
    lefts, rights = each(left, out), each(right, out)
    for one, other, place in zip(lefts, rights, out, strict=True):
        one_by_one(one, other, place)
    return out


def each(stack: Array, out: Array) -> Iterable[Array]:
    """Return the entries of a stack along the first axis of `out`, which a lone one has for all of it."""
    if stack.ndim < out.ndim:
        return itertools.repeat(stack, len(out))
    return itertools.repeat(stack[0], len(out)) if len(stack) == 1 else stack


#: What the kernels multiply by; chosen once, so that it costs nothing.
matmul: Callable[..., Array] = in_loops if blas.ABSENT else np.matmul


@functools.cache
def small_kernels() -> bool:
    """Return whether this BLAS has kernels for small products."""
    said = blas.configuration().lower()  # in capitals where it was built for one processor
    return any(name in said for name in SMALL_KERNELS)


def cut_width(maps: int, depth: int, line: int) -> int:
    """Return how wide to cut the product (maps, depth) @ (depth, line).

    The widest equal parts that keep a part below `SMALL`; the whole line where they would be too narrow.
    """
    return equal_parts(maps * depth, line) if small_kernels() else line


def equal_parts(depth: int, line: int) -> int:
    """Return the width of the widest equal parts of a line, each of at most `SMALL` times `depth`.

    Examples
    --------
    >>> equal_parts(16 * 200, 512), equal_parts(64 * 288, 704), equal_parts(64 * 288, 101)
    (256, 704, 101)
    """
    parts = max(1, -(-depth * line // SMALL))
    while parts <= line // NARROW:
        if line % parts == 0:
            return line // parts
        parts += 1
    return line


def cut_maps(kernels: Array, columns: Array, out: Array) -> tuple[Array, Array, Array]:
    """(M, K), (K, P), (M, P) -> the same, cut into products of some maps each where there are few columns."""
    (maps, depth), line = kernels.shape, columns.shape[1]
    if not small_kernels() or line > FEW_COLUMNS or maps * depth * line <= SMALL:
        return kernels, columns, out
    rows = largest_divisor(maps, max(1, SMALL // (depth * line)))
    if rows < FEWEST_MAPS:
        return kernels, columns, out
    return kernels.reshape(-1, rows, depth), columns, out.reshape(-1, rows, line)


def in_parts(matrices: Array, width: int) -> Array:
    """(..., K, L) -> (..., L / width, K, width): the same matrices, cut into parts of `width` columns."""
    *stack, depth, line = matrices.shape
    *across, down, along = matrices.strides
    shape, strides = (*stack, line // width, depth, width), (*across, width * along, down, along)
    return as_strided(matrices, shape, strides)


def largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of `number` that is not above `most`.

    Examples
    --------
    >>> largest_divisor(96, 37), largest_divisor(7, 6)
    (32, 1)
    """
    return next(size for size in range(min(number, most), 0, -1) if number % size == 0)


def sums_in_parts(left: Array, right: Array, products: Array) -> tuple[Array, Array, Array]:
    """(..., D, L), (..., L, M), (..., D, M) -> the same, cut into products of few rows and maps each.

    For ``left @ right`` where both operands have L in runs. Of one core's 104 GFLOP/s, the 96 x 32 sums of 32
    maps reached 76 at once and 104 by 32 x 32; the 192 x 64 of 64 maps 86, and 95 by 16 x 64.
    """
    (depth, line), maps = left.shape[-2:], right.shape[-1]
    side = largest_divisor(maps, SIDE)
    rows = largest_divisor(depth, max(1, min(SUMS // side, SMALL // (side * line))))
    if not small_kernels() or rows < min(8, depth) or side < min(16, maps) or (rows, side) == (depth, maps):
        return left, right, products
    *across, down, along = left.strides
    shape, strides = (*left.shape[:-2], depth // rows, 1, rows, line), (*across, down * rows, 0, down, along)
    *stack, along, down = right.strides
    cut = as_strided(
        right,
        (*right.shape[:-2], 1, maps // side, line, side),
        (*stack, 0, down * side, along, down),
    )
    *stack, down, along = products.strides
    out = as_strided(
        products,
        (*products.shape[:-2], depth // rows, maps // side, rows, side),
        (*stack, down * rows, along * side, down, along),
    )
    return as_strided(left, shape, strides), cut, out
