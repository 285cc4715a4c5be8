"""Normalization kernels at NumPy's full speed: of batches, groups and layers.

`reference` has all of them readably. Batch normalization is cut where the shards of a batch must meet: each
shard first tells sums; those of all are put together in the order of the shards; then each shard goes on. The
few sums are float64, whatever the arrays are.

Group and layer normalization are one, on arrays (G, B, S, M) of G groups, each of B bands of S rows: every
column of a group gets mean 0 and variance 1 over its B S rows, then every band a scale and a shift. A group
of channels has a band for each, its pixels are the rows and the samples the columns. Over a whole sample each
number is a band; over the channels alone each channel is one, and all pixels of all samples are columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.overflow import unwarned, without_warnings
from purecnn.backend.types import Array
from purecnn.kernels.geometry import along_batch

#: Axes of (C, H, W, N) and (C, N) by their letters: `einsum` adds up along all but the first.
AXES = "chwnabdefgijklmopqrstuvxyz"
#: Runs shorter than this are quicker in `einsum`: 13 us in place of 33 for runs of 16.
SHORT = 32
#: Runs of memory shorter than this cost NumPy twice as much as long ones, so what meets them is repeated: 65
#: us for 2^18 floats by 64 factors, 42 by these 32 times.
LONG = 2048
#: So many rows are added up in float32, their sums in float64.
ROWS = 256
#: So many values are made at a time of what is needed once: they stay in a core's own cache.
PIECE = 1 << 17


def column(values: Array, like: Array) -> Array:
    """(C,) -> (C, 1, ..., 1), to be added to `like`, in its dtype."""
    return along_batch(values.astype(like.dtype), like.ndim)


def channel_sums(*arrays: Array) -> Array:
    """(C, ..., N), one or two -> (C,) float64: the sum of each channel, or of the two's products."""
    if len(arrays) == 2 and module_of(arrays[0]) is np:
        left, right = runs(*arrays)
        if left.shape[-1] >= SHORT:
            with unwarned():  # an overflow is infinite, as it is in einsum
                products: Array = np.vecdot(left, right)
            total: Array = products.reshape(len(products), -1).sum(axis=1, dtype=np.float64)
            return total
    axes = AXES[: arrays[0].ndim]
    found: Array = module_of(arrays[0]).einsum(f"{','.join([axes] * len(arrays))}->c", *arrays)
    return found.astype(np.float64)


def runs(*arrays: Array) -> list[Array]:
    """(C, ..., N) -> (C, ..., L): views whose last axis is as long as memory lies in order in all of them.

    BLAS multiplies and adds up such runs: 52 us for the squares of 16 maps of 32 x 32 of 64 samples, `einsum`
    208.

    Examples
    --------
    >>> x = np.zeros((8, 16, 4, 2)).transpose(1, 0, 2, 3)
    >>> [view.shape for view in runs(x, x)]
    [(16, 8, 8), (16, 8, 8)]
    """
    shape, axis = arrays[0].shape, arrays[0].ndim - 1
    while axis > 1 and all(x.strides[axis - 1] == shape[axis] * x.strides[axis] for x in arrays):
        axis -= 1
    return [x.reshape(*shape[:axis], -1) for x in arrays]


def moment_sums(x: Array, centred: Array) -> tuple[Array, Array]:
    """x (C, ..., N) -> each channel's mean (C,) and sum of squared deviations (C,); x - mean into `centred`.

    In two passes, since the mean of the squares less the square of the mean would lose every digit where the
    mean is large. `centred` may be x itself.
    """
    mean = channel_sums(x) / x[0].size
    # The mean as it is taken off, rounded: whoever puts shards together must use the same.
    mean = mean.astype(x.dtype).astype(np.float64)
    module_of(x).subtract(x, column(mean, x), out=centred)
    return mean, channel_sums(centred, centred)


def add_moments(counts: Array, means: Array, squares: Array) -> tuple[Array, Array]:
    """counts (S,), means (S, C), squares (S, C) -> mean (C,) and sum of squared deviations (C,) of them all.

    Shard by shard, in their order: Chan, Golub and LeVeque 1983,
    https://doi.org/10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> add_moments(np.array([2.0, 1.0]), np.array([[2.0], [8.0]]), np.array([[2.0], [0.0]]))
    (array([4.]), array([26.]))
    """
    total, mean, square = counts[0], means[0], squares[0]
    for count, other, spread in zip(counts[1:], means[1:], squares[1:], strict=True):
        both, apart = total + count, other - mean
        mean = mean + apart * (count / both)
        square = square + spread + apart**2 * (total * count / both)
        total = both
    return mean, square


def scale_forward(x: Array, scale: Array, shift: Array, out: Array) -> Array:
    """x (C, ..., N), scale (C,), shift (C,) -> scale x + shift, into `out`."""
    module_of(x).multiply(x, column(scale, x), out=out)
    out += column(shift, x)
    return out


def scale_backward(g: Array, centred: Array, scale: Array, slope: Array, shift: Array, out: Array) -> Array:
    """g, centred (C, ..., N) -> scale (g + slope centred) + shift, into `out`, which may be `centred`.

    The input gradient of a batch normalization: see `BatchNormalization`.
    """
    module_of(g).multiply(centred, column(slope, g), out=out)
    out += g
    out *= column(scale, g)
    out += column(shift, g)
    return out


def divisor(count: int, least: int, most: int) -> int:
    """Return the least divisor of `count` from `least` to `most`, 1 if there is none.

    Examples
    --------
    >>> divisor(48, 5, 20), divisor(47, 5, 20)
    (6, 1)
    """
    return next((part for part in range(least, min(count, most) + 1) if count % part == 0), 1)


def in_lines(x: Array) -> Array:
    """x (G, R, M) -> (G, R / k, k M), a view: so many rows beside each other that a line is `LONG`."""
    groups, rows, columns = x.shape
    count = divisor(rows, -(-LONG // columns), -(-16 * LONG // columns))
    return x.reshape(groups, rows // count, count * columns)


def beside(values: Array, lines: Array) -> Array:
    """values (G, M), lines (G, L, k M) -> (G, 1, k M) in their dtype, the values k times: for `in_lines`."""
    groups, columns = values.shape
    xp, count = module_of(lines), lines.shape[2] // columns
    wide: Array = xp.empty((groups, count, columns), dtype=lines.dtype)
    wide[...] = values[:, None]
    return wide.reshape(groups, 1, count * columns)


def column_sums(x: Array) -> Array:
    """x (G, R, M) -> (G, M) float64: the sum of each column."""
    groups, rows, columns = x.shape
    xp, count = module_of(x), divisor(rows, min(rows, ROWS // 4), ROWS)
    parts = xp.matmul(xp.ones(count, dtype=x.dtype), x.reshape(groups, rows // count, count, columns))
    total: Array = parts.sum(axis=1, dtype=np.float64)
    return total


def product_sums(x: Array, y: Array) -> Array:
    """x, y (G, R, M) -> (G, M) float64: the sum of each column of x y."""
    groups, _, columns = x.shape
    xp = module_of(x)
    sums = xp.einsum("grl,grl->gl", in_lines(x), in_lines(y)).astype(np.float64)
    total: Array = sums.reshape(groups, -1, columns).sum(axis=1)
    return total


def spread(values: Array, x: Array, workspace: Workspace) -> Iterator[tuple[Array, slice]]:
    """values (T,), x (T, L) -> what meets rows of x: one value each, as a column, or, where L is short, wide.

    NumPy is slow at columns that meet short rows: 200 us for 2^20 floats in rows of 64, 150 if a row of the
    same values is written out for each before.
    """
    column = values.astype(x.dtype).reshape(-1, 1)
    if x.shape[1] >= LONG:
        yield column, slice(None)
        return
    step = max(1, PIECE // x.shape[1])
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        wide = workspace.array("wide", x[part].shape, x.dtype)
        wide[...] = column[part]
        yield wide, part


def scaled(x: Array, gamma: Array | None, inverse: Array, out: Array, workspace: Workspace) -> None:
    """x (G, B, S, M), gamma (G B,), inverse (G, M) -> ``gamma inverse x``, into `out`."""
    groups, bands, size, columns = x.shape
    xp = module_of(x)
    if gamma is not None and size > 1:
        by_band = (groups * bands, size, columns)
        lines = in_lines(out.reshape(by_band))
        factors = gamma.reshape(groups, bands, 1) * inverse[:, None]
        factors = beside(factors.reshape(groups * bands, columns), lines)
        xp.multiply(in_lines(x.reshape(by_band)), factors, out=lines)
        return
    whole = (groups, bands * size, columns)
    lines = in_lines(out.reshape(whole))
    xp.multiply(in_lines(x.reshape(whole)), beside(inverse, lines), out=lines)
    if gamma is not None:
        flat = out.reshape(groups * bands, size * columns)
        for factor, part in spread(gamma, flat, workspace):
            flat[part] *= factor


@without_warnings
def group_norm_forward(
    x: Array, gamma: Array | None, beta: Array | None, epsilon: float, centred: Array, workspace: Workspace
) -> tuple[Array, Array, Array]:
    """x (G, B, S, M), gamma, beta (G B,) -> y like x, mean (G, M), 1 / deviation (G, M); writes `centred`.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``. The arrays lie in order; `centred`, which is
    ``x - mean``, may be x.
    """
    groups, bands, size, columns = x.shape
    xp, whole = module_of(x), (groups, bands * size, columns)
    mean = column_sums(x.reshape(whole)) / whole[1]
    lines = in_lines(centred.reshape(whole))
    xp.subtract(in_lines(x.reshape(whole)), beside(mean, lines), out=lines)
    squares = product_sums(centred.reshape(whole), centred.reshape(whole))
    inverse = 1 / xp.sqrt(squares / whole[1] + epsilon)
    y = workspace.array("output", x.shape, x.dtype)
    scaled(centred, gamma, inverse, y, workspace)
    if beta is not None:
        flat = y.reshape(groups * bands, size * columns)
        for shift, part in spread(beta, flat, workspace):
            flat[part] += shift
    return y, mean, inverse


@without_warnings
def group_norm_backward(
    g: Array,
    centred: Array,
    gamma: Array | None,
    inverse: Array,
    gamma_gradient: Array | None,
    beta_gradient: Array | None,
    out: Array | None,
    workspace: Workspace,
) -> Array | None:
    """g, centred (G, B, S, M), gamma (G B,), inverse (G, M) -> dx into `out`, perhaps `centred`, or None.

    ``dgamma = sum of g xhat`` and ``dbeta = sum of g`` over a band are written where there is a place for
    them; ``dx = inverse (gamma g - mean of gamma g - xhat mean of (gamma g xhat))``, means over the rows of a
    column.
    """
    groups, bands, size, columns = g.shape
    xp, by_band = module_of(g), (groups * bands, size, columns)
    work = workspace.array("work", g.shape, g.dtype)
    if size > 1:
        sums = column_sums(g.reshape(by_band)).reshape(groups, bands, columns)
        products = product_sums(g.reshape(by_band), centred.reshape(by_band)).reshape(sums.shape)
    else:
        xp.multiply(g, centred, out=work)
        sums, products = (array.reshape(groups, bands, columns) for array in (g, work))
    narrow = inverse.astype(sums.dtype)
    if gamma_gradient is not None and beta_gradient is not None:
        gamma_gradient[...] = xp.matmul(products, narrow[:, :, None]).reshape(-1)
        beta_gradient[...] = xp.matmul(sums, xp.ones(columns, dtype=sums.dtype)).reshape(-1)
    if out is None:
        return None
    weights = xp.ones(groups * bands, dtype=sums.dtype) if gamma is None else gamma.astype(sums.dtype)
    weights = weights.reshape(groups, 1, bands)
    mean, slope = (xp.matmul(weights, each)[:, 0] / (bands * size) for each in (sums, products))
    scaled(g, gamma, inverse, work, workspace)
    whole = (groups, bands * size, columns)
    lines = in_lines(out.reshape(whole))
    xp.multiply(in_lines(centred.reshape(whole)), beside(-slope * inverse**3, lines), out=lines)
    lines -= beside(mean * inverse, lines)
    out += work
    return out
