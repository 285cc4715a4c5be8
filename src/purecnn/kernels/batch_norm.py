"""Batch normalization kernels, cut where the shards of a batch must meet.

Batch normalization's arithmetic at NumPy's full speed, cut where the shards of a batch must meet.

`reference.batch_norm_forward` and its backward are the same on a whole batch. Here each shard first tells
sums; those of all are put together in the order of the shards; then each shard goes on. The few sums are
float64, whatever the arrays are.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.overflow import unwarned
from purecnn.backend.types import Array
from purecnn.kernels.geometry import along_batch

#: Axes of (C, H, W, N) and (C, N) by their letters: `einsum` adds up along all but the first.
AXES = "chwnabdefgijklmopqrstuvxyz"
#: Runs shorter than this are quicker in `einsum`: 13 us in place of 33 for runs of 16.
SHORT = 32


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
