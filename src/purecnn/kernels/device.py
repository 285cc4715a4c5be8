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
from purecnn.kernels.geometry import Pair, Window, along_batch, blank_canvas, cropped, on_canvas, pad
from purecnn.kernels.reference import (
    dense_backward,
    dense_forward,
    global_average_pool_forward,
    leaky_relu_forward,
    max_pool_backward,
    max_pool_forward,
    relu_backward,
    relu_forward,
)

__all__ = [
    "conv2d_backward",
    "conv2d_forward",
    "dense_backward",
    "dense_forward",
    "global_average_pool_forward",
    "leaky_relu_forward",
    "max_pool_backward",
    "max_pool_forward",
    "relu_backward",
    "relu_forward",
    "transposed_conv2d_backward",
    "transposed_conv2d_forward",
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


def unroll(x: Array, window: Window, positions: Pair, into: Array) -> Array:
    """x (C, H, W, N), padded -> (C KH KW, OH OW N), by way of `into` (C, KH, KW, OH, OW, N)."""
    for i, j, pixels in window.taps(positions):
        into[:, i, j] = x[:, *pixels]
    return into.reshape(len(x) * window.size[0] * window.size[1], -1)


def conv2d_forward(
    x: Array, kernels: Array, biases: Array | None, window: Window, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (M, C / groups, KH, KW), biases -> y (M, OH, OW, N): one call for all."""
    positions, maps = window.positions(x.shape), len(kernels)
    if not unrolls(len(x), window.size, math.prod(positions) * x.shape[3], x.dtype.itemsize):
        return reference.conv2d_forward(x, kernels, biases, window, workspace)
    into = workspace.array("unrolled", (len(x), *window.size, *positions, x.shape[3]), x.dtype)
    cells = unroll(pad(x, window.padding), window, positions, into)
    flat = kernels.reshape(window.groups, maps // window.groups, -1)
    y = module_of(x).matmul(flat, cells.reshape(window.groups, flat.shape[2], -1))
    y = y.reshape(maps, *positions, x.shape[3])
    if biases is not None:
        y += along_batch(biases, 4)
    return y


def conv2d_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array | None,
    window: Window,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients.

    ``dkernels = g @ unrolled.T``; ``kernels.T @ g`` is the unrolled input's gradient, whose cells are added
    where they came from. What the forward pass unrolled is still there.
    """
    positions, maps = g.shape[1:3], len(kernels)
    if not unrolls(len(x), window.size, math.prod(positions) * x.shape[3], x.dtype.itemsize):
        return reference.conv2d_backward(
            g, x, kernels, kernels_gradient, biases_gradient, window, workspace, propagate
        )
    xp = module_of(x)
    unrolled = workspace.array("unrolled", (len(x), *window.size, *positions, x.shape[3]), x.dtype)
    flat = kernels.reshape(window.groups, maps // window.groups, -1)
    cells = unrolled.reshape(window.groups, flat.shape[2], -1)
    lines = g.reshape(window.groups, maps // window.groups, -1)
    kernels_gradient[...] = xp.matmul(lines, cells.transpose(0, 2, 1)).reshape(kernels.shape)
    if biases_gradient is not None:
        biases_gradient[...] = g.sum(axis=tuple(range(biases_gradient.ndim, 4)))
    if not propagate:
        return None
    # Into the same memory: nobody needs the unrolled input any more.
    xp.matmul(flat.transpose(0, 2, 1), lines, out=cells)
    (top, bottom), (left, right) = window.padding
    dx: Array = xp.zeros(
        (len(x), top + x.shape[1] + bottom, left + x.shape[2] + right, x.shape[3]), dtype=x.dtype
    )
    for i, j, pixels in window.taps(positions):
        dx[:, *pixels] += unrolled[:, i, j]
    return cropped(dx, window.padding)


def transposed_conv2d_forward(
    x: Array, kernels: Array, biases: Array | None, window: Window, size: Pair, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (C, M / groups, KH, KW), biases (M,) or None -> y (M, OH, OW, N).

    ``kernels.T @ x`` is what all pixels add, in one product; its cells are added where they belong.
    """
    maps, positions = kernels.shape[1] * window.groups, (x.shape[1], x.shape[2])
    if not unrolls(maps, window.size, math.prod(positions) * x.shape[3], x.dtype.itemsize):
        return reference.transposed_conv2d_forward(x, kernels, biases, window, size, workspace)
    xp = module_of(x)
    flat = kernels.reshape(window.groups, len(x) // window.groups, -1)
    lines = x.reshape(window.groups, len(x) // window.groups, -1)
    cells = xp.matmul(flat.transpose(0, 2, 1), lines)
    cells = cells.reshape(maps, *window.size, *positions, x.shape[3])
    canvas = blank_canvas(x, maps, window, size)
    for i, j, pixels in window.taps(positions):
        canvas[:, *pixels] += cells[:, i, j]
    y = on_canvas(canvas, window, size)
    return y if biases is None else y + along_batch(biases, 4)


def transposed_conv2d_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array | None,
    window: Window,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients.

    ``kernels @ unrolled`` and ``x @ unrolled.T``, where g is unrolled as a convolution's input.
    """
    size, positions = (g.shape[1], g.shape[2]), (x.shape[1], x.shape[2])
    if not unrolls(len(g), window.size, math.prod(positions) * x.shape[3], x.dtype.itemsize):
        return reference.transposed_conv2d_backward(
            g, x, kernels, kernels_gradient, biases_gradient, window, workspace, propagate
        )
    xp, each = module_of(x), len(x) // window.groups
    canvas = blank_canvas(x, len(g), window, size)
    on_canvas(canvas, window, size)[...] = g
    into = workspace.array("unrolled", (len(g), *window.size, *positions, x.shape[3]), x.dtype)
    cells = unroll(canvas, window, positions, into)
    flat = kernels.reshape(window.groups, each, -1)
    cells = cells.reshape(window.groups, flat.shape[2], -1)
    lines = x.reshape(window.groups, each, -1)
    kernels_gradient[...] = xp.matmul(lines, cells.transpose(0, 2, 1)).reshape(kernels.shape)
    if biases_gradient is not None:
        biases_gradient[...] = g.sum(axis=(1, 2, 3))
    return xp.matmul(flat, cells).reshape(x.shape) if propagate else None
