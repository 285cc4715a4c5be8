"""Device kernels: few large products in place of many small ones.

The kernels as devices want them: few large products in place of many small ones, on any array module.

A device gains nothing from overlapping views, blocks that fit a cache or an output that is pooled at once,
which is what `kernels.cpu` is made of. What costs there is each call, and memory traffic. So a convolution
unrolls its window, where there is room (`unrolls`), and all else is `kernels` as it stands.
"""

from __future__ import annotations

import math

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels import reference
from purecnn.kernels.geometry import Padding, Pair, along_batch, output_size, pad, tap
from purecnn.kernels.reference import (
    dense_backward,
    dense_forward,
    leaky_relu_forward,
    max_pool_backward,
    max_pool_forward,
    relu_backward,
)

__all__ = [
    "conv2d_backward",
    "conv2d_forward",
    "dense_backward",
    "dense_descend",
    "dense_forward",
    "grouped_conv2d_backward",
    "grouped_conv2d_forward",
    "leaky_relu_forward",
    "max_pool_backward",
    "max_pool_forward",
    "relu_backward",
]

#: Bytes that an unrolled input may take: 64 maps of 32 x 32 with a window of 3 x 3 at a batch of 455.
ROOM = 1 << 30


def unrolls(channels: int, window: tuple[int, ...], positions: int, itemsize: int) -> bool:
    """Return whether a convolution copies its window's pixels, to be one product: the rule for devices.

    That is one product of ``C KH KW`` terms in place of ``KH KW`` of C terms each. Without a window there is
    nothing to copy, and beyond `ROOM` no memory to be had.

    Parameters
    ----------
    channels : int
        C, of a group.
    window : (int, int)
        KH and KW.
    positions : int
        Output positions times the batch, ``OH OW N``.
    itemsize : int
        Bytes of a value.

    Examples
    --------
    >>> unrolls(8, (5, 5), 8 * 8 * 128, 4), unrolls(512, (3, 3), 64 * 64 * 1024, 4), unrolls(8, (1, 1), 64, 4)
    (True, False, False)
    """
    cells = math.prod(window)
    return cells > 1 and channels * cells * positions * itemsize <= ROOM


def unroll(
    x: Array, window: Pair, stride: Pair, dilation: Pair, rows: int, columns: int, into: Array
) -> Array:
    """x (C, H, W, N), padded -> (C KH KW, OH OW N), by way of `into` (C, KH, KW, OH, OW, N)."""
    for i in range(window[0]):
        for j in range(window[1]):
            into[:, i, j] = x[:, *tap(i * dilation[0], j * dilation[1], stride, rows, columns)]
    return into.reshape(len(x) * window[0] * window[1], -1)


def conv2d_forward(
    x: Array, weights: Array, biases: Array, stride: Pair, padding: Padding, workspace: Workspace
) -> Array:
    """x (C, H, W, N), weights (M, C, KH, KW), biases (M,) or (M, OH, OW) -> y (M, OH, OW, N)."""
    return grouped_conv2d_forward(x, weights, biases, stride, padding, (1, 1), 1, workspace)


def conv2d_backward(
    g: Array,
    x: Array,
    weights: Array,
    weights_gradient: Array,
    biases_gradient: Array,
    stride: Pair,
    padding: Padding,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, weights -> dx (C, H, W, N) or None; writes the two parameter gradients."""
    return grouped_conv2d_backward(
        g,
        x,
        weights,
        weights_gradient,
        biases_gradient,
        stride,
        padding,
        (1, 1),
        1,
        workspace,
        propagate,
    )


def grouped_conv2d_forward(
    x: Array,
    weights: Array,
    biases: Array,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
) -> Array:
    """x (C, H, W, N), weights (M, C / groups, KH, KW), biases -> y (M, OH, OW, N): one call for all."""
    maps, channels, height, width = weights.shape
    padded = pad(x, padding)
    rows = output_size(padded.shape[1], (height - 1) * dilation[0] + 1, stride[0])
    columns = output_size(padded.shape[2], (width - 1) * dilation[1] + 1, stride[1])
    if not unrolls(len(x), (height, width), rows * columns * x.shape[3], x.dtype.itemsize):
        return reference.grouped_conv2d_forward(
            x, weights, biases, stride, padding, dilation, groups, workspace
        )
    into = workspace.array("unrolled", (len(x), height, width, rows, columns, x.shape[3]), x.dtype)
    cells = unroll(padded, (height, width), stride, dilation, rows, columns, into)
    flat = weights.reshape(groups, maps // groups, -1)
    y = module_of(x).matmul(flat, cells.reshape(groups, channels * height * width, -1))
    y = y.reshape(maps, rows, columns, x.shape[3])
    y += along_batch(biases, 4)
    return y


def grouped_conv2d_backward(
    g: Array,
    x: Array,
    weights: Array,
    weights_gradient: Array,
    biases_gradient: Array,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, weights -> dx (C, H, W, N) or None; writes the two parameter gradients.

    ``dweights = g @ unrolled.T``; ``weights.T @ g`` is the unrolled input's gradient, whose cells are added
    where they came from. What the forward pass unrolled is still there.
    """
    (maps, channels, height, width), (rows, columns) = weights.shape, g.shape[1:3]
    shape = (len(x), height, width, rows, columns, x.shape[3])
    if not unrolls(len(x), (height, width), rows * columns * x.shape[3], x.dtype.itemsize):
        return reference.grouped_conv2d_backward(
            g,
            x,
            weights,
            weights_gradient,
            biases_gradient,
            stride,
            padding,
            dilation,
            groups,
            workspace,
            propagate,
        )
    xp = module_of(x)
    cells = workspace.array("unrolled", shape, x.dtype).reshape(groups, channels * height * width, -1)
    flat = g.reshape(groups, maps // groups, -1)
    weights_gradient[...] = xp.matmul(flat, cells.transpose(0, 2, 1)).reshape(weights.shape)
    biases_gradient[...] = g.sum(axis=tuple(range(biases_gradient.ndim, 4)))
    if not propagate:
        return None
    # Into the same memory: nobody needs the unrolled input any more.
    turned = weights.reshape(groups, maps // groups, -1).transpose(0, 2, 1)
    xp.matmul(turned, flat, out=cells)
    (top, bottom), (left, right) = padding
    dx: Array = xp.zeros(
        (len(x), top + x.shape[1] + bottom, left + x.shape[2] + right, x.shape[3]), dtype=x.dtype
    )
    spread = cells.reshape(shape)
    for i in range(height):
        for j in range(width):
            dx[:, *tap(i * dilation[0], j * dilation[1], stride, rows, columns)] += spread[:, i, j]
    return dx[:, top : top + x.shape[1], left : left + x.shape[2]]


def dense_descend(
    g: Array, x: Array, weights: Array, biases: Array, workspace: Workspace, propagate: bool = True
) -> Array | None:
    """g (O, 1), x (I, 1) -> dx (I, 1) or None, before the step W -= g @ x.T, b -= g is taken in place."""
    dx: Array | None = weights.T @ g if propagate else None
    weights -= g @ x.T
    biases -= g
    return dx
