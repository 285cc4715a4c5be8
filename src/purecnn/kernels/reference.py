"""Reference kernels: each forward and backward pass in a few readable lines.

The arithmetic of the layers, short enough to read: pure functions on arrays, the batch on the last axis.

These are the kernels to learn from, the ones that run on any array module, and the oracle of the fast ones.
On a CPU nothing calls the convolutions here, `conv2d_forward` and `conv2d_backward`: layers call those of
`kernels.cpu`, and tests hold both to plain loops. Each pair mirrors itself: `..._forward`, then
`..._backward`, whose first argument is the loss's derivative by the output. Axis letters: C channels in, M
maps out, H height, W width, N batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import (
    Pair,
    Window,
    adaptive_windows,
    along_batch,
    blank_canvas,
    cropped,
    on_canvas,
    output_size,
    pad,
    tap,
)


def relu_forward(x: Array, out: Array, workspace: Workspace) -> Array:
    """x of any shape -> max(x, 0), into `out`, which may be x; of -0 and 0 the second one."""
    found: Array = module_of(x).maximum(0, x, out=out)
    return found


def relu_backward(g: Array, y: Array, out: Array) -> Array:
    """g, y of any shape -> g where y > 0, else 0, into `out`, which may be y."""
    found: Array = module_of(y).multiply(y > 0, g, out=out)
    return found


def leaky_relu_forward(x: Array, slope: float, out: Array) -> Array:
    """x of any shape -> max(x, slope x), into `out`, which is not x."""
    xp = module_of(x)
    found: Array = xp.maximum(x, x * x.dtype.type(slope), out=out)
    return found


def conv2d_forward(
    x: Array, kernels: Array, biases: Array | None, window: Window, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (M, C / groups, KH, KW), biases None, (M,) or (M, OH, OW) -> y (M, OH, OW, N).

    ``y[m, p, q] = biases[m] + sum over c, i, j of kernels[m, c, i, j] x[c, p sh + i dh, q sw + j dw]``, c
    over the channels of the map's group: a matrix product for each group and each cell (i, j) of the window.
    """
    xp, positions = module_of(x), window.positions(x.shape)
    x = pad(x, window.padding)
    y = xp.zeros((len(kernels), *positions, x.shape[3]), dtype=x.dtype)
    for maps, channels in window.cut(len(y), len(x)):
        for i, j, pixels in window.taps(positions):
            y[maps] += xp.tensordot(kernels[maps, :, i, j], x[channels, *pixels], axes=1)
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

    Each cell of the window gave ``y += kernels[:, :, i, j] @ x[tap]``; so backward it takes
    ``dkernels[:, :, i, j] = g @ x[tap].T`` and ``dx[tap] += kernels[:, :, i, j].T @ g``, group by group.
    """
    xp = module_of(x)
    padded = pad(x, window.padding)
    dx = xp.zeros_like(padded)
    for maps, channels in window.cut(len(g), len(x)):
        for i, j, pixels in window.taps(g.shape[1:3]):
            met = padded[channels, *pixels]
            kernels_gradient[maps, :, i, j] = xp.tensordot(g[maps], met, axes=((1, 2, 3), (1, 2, 3)))
            if propagate:
                dx[channels, *pixels] += xp.tensordot(kernels[maps, :, i, j].T, g[maps], axes=1)
    if biases_gradient is not None:
        biases_gradient[...] = g.sum(axis=tuple(range(biases_gradient.ndim, 4)))
    return cropped(dx, window.padding) if propagate else None


def transposed_conv2d_forward(
    x: Array, kernels: Array, biases: Array | None, window: Window, size: Pair, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (C, M / groups, KH, KW), biases (M,) or None -> y (M, OH, OW, N).

    ``y[m, p sh + i dh - top, q sw + j dw - left] += kernels[c, m, i, j] x[c, p, q]``: each pixel adds its
    kernels to the output, which begins with the biases. That is the way back of the convolution from y to x
    that `window` describes; `size` is OH and OW.
    """
    xp, maps = module_of(x), kernels.shape[1] * window.groups
    canvas = blank_canvas(x, maps, window, size)
    for channels, seen in window.cut(len(x), maps):
        for i, j, pixels in window.taps((x.shape[1], x.shape[2])):
            canvas[seen, *pixels] += xp.tensordot(kernels[channels, :, i, j].T, x[channels], axes=1)
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

    Each cell of the window gave ``y[tap] += kernels[:, :, i, j].T @ x``; so backward it takes
    ``dkernels[:, :, i, j] = x @ g[tap].T`` and ``dx += kernels[:, :, i, j] @ g[tap]``, group by group.
    """
    xp, size = module_of(x), (g.shape[1], g.shape[2])
    canvas = blank_canvas(x, len(g), window, size)
    on_canvas(canvas, window, size)[...] = g
    dx = xp.zeros_like(x)
    for channels, seen in window.cut(len(x), len(g)):
        for i, j, pixels in window.taps((x.shape[1], x.shape[2])):
            met = canvas[seen, *pixels]
            kernels_gradient[channels, :, i, j] = xp.tensordot(x[channels], met, axes=((1, 2, 3), (1, 2, 3)))
            if propagate:
                dx[channels] += xp.tensordot(kernels[channels, :, i, j], met, axes=1)
    if biases_gradient is not None:
        biases_gradient[...] = g.sum(axis=(1, 2, 3))
    return dx if propagate else None


def max_pool_forward(x: Array, size: Pair, stride: Pair, workspace: Workspace) -> tuple[Array, Array]:
    """x (C, H, W, N) -> y (C, OH, OW, N) and, of the same shape, which cell of each window won.

    Cells are counted in row order, and a tie goes to the first of them, as in PyTorch.
    """
    xp = module_of(x)
    rows, columns = output_size(x.shape[1], size[0], stride[0]), output_size(x.shape[2], size[1], stride[1])
    y = x[:, *tap(0, 0, stride, rows, columns)].copy()
    winners = xp.zeros(y.shape, dtype=np.int16)
    for cell in range(1, size[0] * size[1]):
        rival = x[:, *tap(*divmod(cell, size[1]), stride, rows, columns)]
        winners = xp.where(rival > y, np.int16(cell), winners)
        y = xp.maximum(y, rival)
    return y, winners


def max_pool_backward(
    g: Array, winners: Array, input_shape: tuple[int, ...], size: Pair, stride: Pair, workspace: Workspace
) -> Array:
    """g (C, OH, OW, N) -> dx (C, H, W, N): each gradient goes to the cell that won its window."""
    xp = module_of(g)
    dx = xp.zeros((*input_shape[:3], g.shape[3]), dtype=g.dtype)
    for cell in range(size[0] * size[1]):
        dx[:, *tap(*divmod(cell, size[1]), stride, *g.shape[1:3])] += g * (winners == cell)
    return dx


def average_pool_forward(x: Array, size: Pair, stride: Pair, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, OH, OW, N): the mean of each window."""
    rows, columns = output_size(x.shape[1], size[0], stride[0]), output_size(x.shape[2], size[1], stride[1])
    y = workspace.array("output", (x.shape[0], rows, columns, x.shape[3]), x.dtype)
    y.fill(0)
    for cell in range(size[0] * size[1]):
        y += x[:, *tap(*divmod(cell, size[1]), stride, rows, columns)]
    y *= 1 / (size[0] * size[1])
    return y


def average_pool_backward(
    g: Array, input_shape: tuple[int, ...], size: Pair, stride: Pair, workspace: Workspace
) -> Array:
    """g (C, OH, OW, N) -> dx (C, H, W, N): each gradient is shared out evenly over its window."""
    xp = module_of(g)
    share = xp.multiply(g, 1 / (size[0] * size[1]), out=workspace.array("share", g.shape, g.dtype))
    dx = workspace.array("input_gradient", (*input_shape[:3], g.shape[3]), g.dtype)
    dx.fill(0)
    for cell in range(size[0] * size[1]):
        dx[:, *tap(*divmod(cell, size[1]), stride, *g.shape[1:3])] += share
    return dx


def adaptive_pool(
    x: Array, size: Pair, reduction: Callable[..., Array], workspace: Workspace
) -> tuple[Array, Array]:
    """x (C, H, W, N) -> the windows reduced, (C, OH, OW, N), and their rows before, (C, H, OW, N)."""
    channels, height, width, samples = x.shape
    rows = workspace.array("rows", (channels, height, size[1], samples), x.dtype)
    for place, window in enumerate(adaptive_windows(width, size[1])):
        rows[:, :, place] = reduction(x[:, :, window], axis=2)
    y = workspace.array("output", (channels, *size, samples), x.dtype)
    for place, window in enumerate(adaptive_windows(height, size[0])):
        y[:, place] = reduction(rows[:, window], axis=1)
    return y, rows


def adaptive_average_pool_forward(x: Array, size: Pair, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, OH, OW, N): the mean of each of OH x OW windows, first within rows."""
    return adaptive_pool(x, size, module_of(x).mean, workspace)[0]


def adaptive_average_pool_backward(g: Array, input_shape: tuple[int, ...], workspace: Workspace) -> Array:
    """g (C, OH, OW, N) -> dx (C, H, W, N): each gradient is shared out evenly over its window."""
    (channels, height, width), (_, *size, samples) = input_shape[:3], g.shape
    drows = workspace.array("row_gradients", (channels, height, size[1], samples), g.dtype)
    drows.fill(0)
    for place, window in enumerate(adaptive_windows(height, size[0])):
        drows[:, window] += (g[:, place] / (window.stop - window.start))[:, None]
    dx = workspace.array("input_gradient", (channels, height, width, samples), g.dtype)
    dx.fill(0)
    for place, window in enumerate(adaptive_windows(width, size[1])):
        dx[:, :, window] += (drows[:, :, place] / (window.stop - window.start))[:, :, None]
    return dx


def adaptive_max_pool_forward(x: Array, size: Pair, workspace: Workspace) -> tuple[Array, Array]:
    """x (C, H, W, N) -> y (C, OH, OW, N), the largest of each window, and those of its rows (C, H, OW, N)."""
    return adaptive_pool(x, size, module_of(x).max, workspace)


def give_largest(g: Array, x: Array, largest: Array, dx: Array, axis: int) -> None:
    """g, largest without an axis of x (..., L, ...) -> added to dx where the first of the largest lies."""
    xp, none = module_of(x), x.dtype.type(0)
    largest, left = xp.expand_dims(largest, axis), xp.expand_dims(g, axis)
    for number in range(x.shape[axis]):
        line = (*(slice(None),) * axis, slice(number, number + 1))
        won = x[line] == largest
        dx[line] += xp.where(won, left, none)
        left = xp.where(won, none, left)  # what is given is given once


def adaptive_max_pool_backward(g: Array, x: Array, rows: Array, workspace: Workspace) -> Array:
    """g (C, OH, OW, N), x and its rows' largest -> dx (C, H, W, N): each gradient goes to the cell that won.

    Of equal ones that is the first row's, and of these the first: the first cell of the window in row order.
    """
    drows = workspace.array("row_gradients", rows.shape, g.dtype)
    drows.fill(0)
    for place, window in enumerate(adaptive_windows(x.shape[1], g.shape[1])):
        met = rows[:, window]
        give_largest(g[:, place], met, met.max(axis=1), drows[:, window], 1)
    dx = workspace.array("input_gradient", x.shape, g.dtype)
    dx.fill(0)
    for place, window in enumerate(adaptive_windows(x.shape[2], g.shape[2])):
        give_largest(drows[:, :, place], x[:, :, window], rows[:, :, place], dx[:, :, window], 2)
    return dx


def dense_forward(x: Array, weights: Array, biases: Array | None, workspace: Workspace) -> Array:
    """x (I, N), weights (O, I), biases (O, 1) or None -> y (O, N) = weights @ x + biases."""
    return weights @ x + biases if biases is not None else weights @ x


def dense_backward(
    g: Array,
    x: Array,
    weights: Array,
    weights_gradient: Array,
    biases_gradient: Array | None,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (O, N), x (I, N) -> dx (I, N) = weights.T @ g or None; writes dW = g @ x.T and db = sum of g."""
    weights_gradient[...] = g @ x.T
    if biases_gradient is not None:
        biases_gradient[...] = g.sum(axis=1, keepdims=True)
    return weights.T @ g if propagate else None


def global_average_pool_forward(x: Array, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, N): the mean of each map."""
    xp = module_of(x)
    y = workspace.array("output", (x.shape[0], x.shape[3]), x.dtype)
    xp.sum(x, axis=(1, 2), out=y)
    y *= 1 / (x.shape[1] * x.shape[2])
    return y


def global_average_pool_backward(g: Array, input_shape: tuple[int, ...], workspace: Workspace) -> Array:
    """g (C, N) -> dx (C, H, W, N): each gradient is shared out evenly over its map."""
    dx = workspace.array("input_gradient", (*input_shape[:3], g.shape[1]), g.dtype)
    dx[...] = (g * (1 / (input_shape[1] * input_shape[2])))[:, None, None]
    return dx


def batch_norm_forward(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """x (C, ..., N), gamma (C,), beta (C,) -> y (C, ..., N), and each channel's mean (C,) and variance (C,).

    ``y = gamma xhat + beta`` with ``xhat = (x - mean) / sqrt(variance + epsilon)``: statistics over all but
    the first axis.
    """
    xp = module_of(x)
    others = tuple(range(1, x.ndim))
    mean, variance = x.mean(axis=others), x.var(axis=others)
    xhat = (x - along_batch(mean, x.ndim)) / xp.sqrt(along_batch(variance, x.ndim) + epsilon)
    return along_batch(gamma, x.ndim) * xhat + along_batch(beta, x.ndim), mean, variance


def batch_norm_backward(
    g: Array, x: Array, gamma: Array, gamma_gradient: Array, beta_gradient: Array, epsilon: float
) -> Array:
    """g (C, ..., N), x, gamma -> dx (C, ..., N); writes the two parameter gradients.

    ``dgamma = sum of g xhat``, ``dbeta = sum of g``, and, since mean and variance move with x,
    ``dx = gamma / sqrt(variance + epsilon) (g - mean of g - xhat mean of (g xhat))``.
    """
    xp = module_of(x)
    others, values = tuple(range(1, x.ndim)), x[0].size
    mean, variance = x.mean(axis=others), x.var(axis=others)
    deviation = xp.sqrt(along_batch(variance, x.ndim) + epsilon)
    xhat = (x - along_batch(mean, x.ndim)) / deviation
    gamma_gradient[...] = (g * xhat).sum(axis=others)
    beta_gradient[...] = g.sum(axis=others)
    rest = (
        g - along_batch(beta_gradient / values, x.ndim) - xhat * along_batch(gamma_gradient / values, x.ndim)
    )
    return along_batch(gamma, x.ndim) / deviation * rest


def standardized(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Array]:
    """x of any shape -> ``(x - mean) / deviation`` over `axes`, and that ``sqrt(variance + epsilon)``."""
    deviation: Array = module_of(x).sqrt(x.var(axis=axes, keepdims=True) + epsilon)
    return (x - x.mean(axis=axes, keepdims=True)) / deviation, deviation


def group_norm_forward(x: Array, gamma: Array, beta: Array, groups: int, epsilon: float) -> Array:
    """x (C, ..., N), gamma (C,), beta (C,) -> y (C, ..., N) = ``gamma xhat + beta``.

    ``xhat = (x - mean) / sqrt(variance + epsilon)``: statistics of a sample over the channels of a group.
    """
    parts = x.reshape(groups, len(x) // groups, *x.shape[1:])
    xhat, _ = standardized(parts, tuple(range(1, x.ndim)), epsilon)
    return along_batch(gamma, x.ndim) * xhat.reshape(x.shape) + along_batch(beta, x.ndim)


def group_norm_backward(
    g: Array, x: Array, gamma: Array, gamma_gradient: Array, beta_gradient: Array, groups: int, epsilon: float
) -> Array:
    """g (C, ..., N), x, gamma -> dx (C, ..., N); writes the two parameter gradients.

    ``dgamma = sum of g xhat``, ``dbeta = sum of g``, and, since mean and variance move with x,
    ``dx = (gamma g - mean of gamma g - xhat mean of (gamma g xhat)) / sqrt(variance + epsilon)``.
    """
    parts = (groups, len(x) // groups, *x.shape[1:])
    within = others = tuple(range(1, x.ndim))
    xhat, deviation = standardized(x.reshape(parts), within, epsilon)
    gamma_gradient[...] = (g * xhat.reshape(x.shape)).sum(axis=others)
    beta_gradient[...] = g.sum(axis=others)
    slope = (along_batch(gamma, x.ndim) * g).reshape(parts)
    rest = slope - slope.mean(axis=within, keepdims=True)
    rest -= xhat * (slope * xhat).mean(axis=within, keepdims=True)
    return (rest / deviation).reshape(x.shape)


def layer_norm_forward(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """x (C, ..., N), gamma, beta (C,) or (C, ...) -> y (C, ..., N) = ``gamma xhat + beta``.

    ``xhat = (x - mean) / sqrt(variance + epsilon)``: statistics over the axes that gamma has, the first ones.
    """
    xhat, _ = standardized(x, tuple(range(gamma.ndim)), epsilon)
    return along_batch(gamma, x.ndim) * xhat + along_batch(beta, x.ndim)


def layer_norm_backward(
    g: Array, x: Array, gamma: Array, gamma_gradient: Array, beta_gradient: Array, epsilon: float
) -> Array:
    """g (C, ..., N), x, gamma (C,) or (C, ...) -> dx (C, ..., N); writes the two parameter gradients.

    As `group_norm_backward`, with sums over the axes that gamma lacks and means over those that it has.
    """
    within, others = tuple(range(gamma.ndim)), tuple(range(gamma.ndim, x.ndim))
    xhat, deviation = standardized(x, within, epsilon)
    gamma_gradient[...], beta_gradient[...] = (g * xhat).sum(axis=others), g.sum(axis=others)
    slope = along_batch(gamma, x.ndim) * g
    rest = slope - slope.mean(axis=within, keepdims=True)
    return (rest - xhat * (slope * xhat).mean(axis=within, keepdims=True)) / deviation
