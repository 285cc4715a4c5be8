"""CPU kernels: the functions of `reference` at NumPy's full speed, on memory that is laid out once.

A convolution is laid out by `unrolled`, `winograd`, `winograd_square`, `im2col` or `grouped`, one whose
output is pooled at once by `pooled`: this module chooses by the geometry.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels import grouped, im2col, reference, winograd, winograd_square
from purecnn.kernels.calls import Activation, Call, run
from purecnn.kernels.geometry import Pair, Window, output_size, tap
from purecnn.kernels.grouped import DepthwiseConvolution, GroupedConvolution
from purecnn.kernels.im2col import GemmConvolution, Im2colConvolution, PointwiseConvolution
from purecnn.kernels.pooled import PhasedPooling, PooledConvolution, PooledIm2col, largest
from purecnn.kernels.products import matmul
from purecnn.kernels.rows import RowConvolution
from purecnn.kernels.transposed import (
    GroupedTransposedConvolution,
    StridedTransposedConvolution,
    TransposedConvolution,
    TurnedConvolution,
    turned_window,
)
from purecnn.kernels.unrolled import Unrolled
from purecnn.kernels.winograd import Winograd
from purecnn.kernels.winograd_square import WinogradSquare

__all__ = [
    "conv2d_backward",
    "conv2d_calls",
    "conv2d_direct",
    "conv2d_forward",
    "conv2d_max_pool_backward",
    "conv2d_max_pool_forward",
    "dense_backward",
    "dense_forward",
    "global_average_pool_forward",
    "leaky_relu_forward",
    "max_pool",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_phases_backward",
    "max_pool_phases_forward",
    "relu_backward",
    "relu_forward",
    "transposed_conv2d_backward",
    "transposed_conv2d_forward",
]


#: What computes a convolution in inference.
Inference = (
    RowConvolution
    | GroupedConvolution
    | DepthwiseConvolution
    | GemmConvolution
    | PooledConvolution
    | PooledIm2col
)


def lay_out(
    x: Array, maps: int, window: Window, workspace: Workspace, pool: Pair | None = None
) -> RowConvolution | GroupedConvolution | PointwiseConvolution:
    """Return the arrays and views of a convolution, by the algorithm that its geometry asks for.

    With `pool` it is a dense one whose output is pooled later, and lies in the order of that pooling.
    """
    if pool is not None:
        return in_rows(x, maps, window, workspace, pool, whole=True)
    if im2col.suits_pointwise(x, maps, window):
        return PointwiseConvolution(x, maps, workspace)
    return (in_rows if window.is_dense else GroupedConvolution)(x, maps, window, workspace)


def in_rows(
    x: Array, maps: int, window: Window, workspace: Workspace, pool: Pair = (1, 1), whole: bool = False
) -> RowConvolution:
    """Return those of a dense one for the pooling `pool` behind it, its output kept whole or not."""
    kind: type[RowConvolution] = Unrolled
    if winograd_square.suits(x, maps, window, pool):
        kind = WinogradSquare
    elif winograd.suits(x, maps, window, pool):
        kind = Winograd
    return kind(x, maps, window, workspace, pool, whole)


def relu_forward(x: Array, out: Array, workspace: Workspace) -> Array:
    """x of any shape -> max(x, 0), into `out`, which may be x; of -0 and 0 the second one.

    With AVX2 NumPy takes 540 us for the maximum of 2^20 floats (16, 32, 32, 64) and a lone zero, 200 for that
    of them and lines of zeros, which are long runs where an image lies row by row.
    """
    shape = (1, *x.shape[1:]) if x.ndim < 3 else (x.shape[0], 1, *x.shape[2:])
    zeros = workspace.layout("zeros", x, lambda: np.zeros(shape, x.dtype))
    return np.maximum(zeros, x, out=out)


def relu_backward(g: Array, y: Array, out: Array) -> Array:
    """g, y of any shape -> g where y > 0, else 0, into `out`, which may be y: no booleans between."""
    positive = np.greater(y, 0, out=out)
    return np.multiply(positive, g, out=positive)


def leaky_relu_forward(x: Array, slope: float, out: Array) -> Array:
    """x of any shape -> max(x, slope x), into `out`: no array between."""
    np.multiply(x, x.dtype.type(slope), out=out)
    return np.maximum(x, out, out=out)


def global_average_pool_forward(x: Array, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, N): the mean of each map, summed by a product with ones.

    For 96 maps of 16 x 16 and 8 samples 14 us in place of 280; where `x` lies row by row, 33.
    """
    (channels, height, width, batch), rows = x.shape, x.swapaxes(0, 1)
    if not (x.flags.c_contiguous or rows.flags.c_contiguous):
        return reference.global_average_pool_forward(x, workspace)
    y = workspace.array("output", (channels, batch), x.dtype)
    lines = x.reshape(channels, -1, batch) if x.flags.c_contiguous else rows.sum(axis=0)
    ones = workspace.layout("ones", x, lambda: np.ones((1, lines.shape[1]), x.dtype))
    np.matmul(ones, lines, out=y.reshape(channels, 1, batch))
    y *= 1 / (height * width)
    return y


def conv2d_forward(
    x: Array,
    kernels: Array,
    biases: Array | None,
    window: Window,
    workspace: Workspace,
    pool: Pair | None = None,
) -> Array:
    """x (C, H, W, N), kernels (M, C / groups, KH, KW), biases None, (M,) or (M, OH, OW) -> y (M, OH, OW, N).

    For a max pooling that does not come at once `pool` is its window, of P columns, which must divide OH and
    OW, and `window` dense: then y is (M, P, OH, OW / P, N), with column a P + p at (p, a), so that each
    column of all pooling windows is one run of memory.
    """
    work = workspace.layout("convolution", x, lambda: lay_out(x, len(kernels), window, workspace, pool))
    return work.forward(kernels, biases)


def conv2d_direct(
    x: Array, kernels: Array, biases: Array | None, window: Window, workspace: Workspace
) -> Array:
    """x, kernels, biases -> y as `conv2d_forward`, by products and sums alone: whole numbers stay whole."""

    def build() -> RowConvolution | GroupedConvolution | PointwiseConvolution:
        if im2col.suits_pointwise(x, len(kernels), window):
            return PointwiseConvolution(x, len(kernels), workspace)
        return (Unrolled if window.is_dense else GroupedConvolution)(x, len(kernels), window, workspace)

    return workspace.layout("direct", x, build).forward(kernels, biases)


def conv2d_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array | None,
    window: Window,
    workspace: Workspace,
    propagate: bool = True,
    pool: Pair | None = None,
) -> Array | None:
    """g like y, x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients."""
    work = workspace.layout("convolution", x, lambda: lay_out(x, len(kernels), window, workspace, pool))
    return work.backward(g, kernels, kernels_gradient, biases_gradient, propagate)


def lay_out_pooled(
    x: Array, maps: int, window: Window, pool: Pair, workspace: Workspace
) -> PooledConvolution:
    """Return the arrays and views of a dense convolution whose output is pooled at once."""
    return PooledConvolution(in_rows(x, maps, window, workspace, pool), pool)


def conv2d_max_pool_forward(
    x: Array,
    kernels: Array,
    biases: Array | None,
    window: Window,
    pool: Pair,
    workspace: Workspace,
    training: bool = True,
) -> Array:
    """x (C, H, W, N), kernels (M, C, KH, KW), biases (M,) or None -> y (M, PH, PW, N); `window` is dense."""
    work = workspace.layout(
        "convolution", x, lambda: lay_out_pooled(x, len(kernels), window, pool, workspace)
    )
    return work.forward(kernels, biases, training)


def conv2d_calls(
    x: Array,
    kernels: Array,
    biases: Array | None,
    window: Window,
    workspace: Workspace,
    pool: Pair | None = None,
    addend: Array | None = None,
    activation: Activation | None = None,
) -> tuple[list[Call], Array]:
    """Return the calls that compute a convolution's output for these very arrays, and that output.

    For inference: ``y + addend``, pooled before, with `activation` applied after; nothing is kept for a
    backward pass.
    Arguments are those of `conv2d_forward`, or with `pool` those of `conv2d_max_pool_forward`; `addend` is of
    y's shape.
    """
    maps = len(kernels)

    def build() -> Inference:
        if pool is not None and im2col.suits_pooled(x, maps, window):
            return PooledIm2col(x, maps, window, pool, workspace)
        if pool is not None:
            return lay_out_pooled(x, maps, window, pool, workspace)
        if im2col.suits(x, maps, window):
            return Im2colConvolution(x, maps, window, workspace)
        if im2col.suits_few(x, maps, window):
            return PointwiseConvolution(x, maps, workspace)
        if grouped.suits_channels(x, maps, window):
            return DepthwiseConvolution(x, window, workspace)
        return lay_out(x, maps, window, workspace)

    return workspace.layout("convolution", x, build).inference(kernels, biases, addend, activation)


def conv2d_max_pool_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array | None,
    window: Window,
    pool: Pair,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, PH, PW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients.

    `conv2d_max_pool_forward` must have run in training on `x` with this workspace: it left the winners there.
    """
    work = workspace.layout(
        "convolution", x, lambda: lay_out_pooled(x, len(kernels), window, pool, workspace)
    )
    return work.backward(g, kernels, kernels_gradient, biases_gradient, propagate)


def transposed_conv2d_forward(
    x: Array, kernels: Array, biases: Array | None, window: Window, size: Pair, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (C, M / groups, KH, KW), biases (M,) or None -> y (M, OH, OW, N).

    `window` is that of the convolution from y to x, and `size` is OH and OW.
    """
    return lay_out_transposed(x, kernels, window, size, workspace).forward(kernels, biases)


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
    """g (M, OH, OW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients."""
    work = lay_out_transposed(x, kernels, window, (g.shape[1], g.shape[2]), workspace)
    return work.backward(g, kernels, kernels_gradient, biases_gradient, workspace, propagate)


def lay_out_transposed(
    x: Array, kernels: Array, window: Window, size: Pair, workspace: Workspace
) -> TransposedConvolution:
    """Return the arrays and views of a transposed convolution, by what its geometry asks for."""
    maps = kernels.shape[1] * window.groups

    def build() -> TransposedConvolution:
        around = turned_window(window, x.shape[1:3], size)
        if around is not None:
            return TurnedConvolution(lay_out(x, maps, around, workspace), window.groups)
        kind = StridedTransposedConvolution if window.is_dense else GroupedTransposedConvolution
        return kind(x, maps, window, size, workspace)

    return workspace.layout("transposed", x, build)


def max_pool_phases_forward(
    x: Array, height: int, workspace: Workspace, overwrites: bool, training: bool
) -> Array:
    """x (M, P, OH, A, N) -> y (M, OH / height, A, N), the largest cell of each window of P columns.

    `x` is overwritten if that is allowed, else copied first; in training the winners stay in the workspace.
    """
    return workspace.layout("pooling", x, lambda: PhasedPooling(x, height, workspace, overwrites)).forward(
        training
    )


def max_pool_phases_backward(
    g: Array, x: Array, height: int, workspace: Workspace, overwrites: bool
) -> Array:
    """g (M, OH / height, A, N) -> dx (M, P, OH, A, N), in the place of `x` or of its copy."""
    return workspace.layout("pooling", x, lambda: PhasedPooling(x, height, workspace, overwrites)).backward(g)


def dense_forward(x: Array, weights: Array, biases: Array | None, workspace: Workspace) -> Array:
    """x (I, N), weights (O, I), biases (O, 1) or None -> y (O, N)."""
    y = workspace.array("output", (weights.shape[0], x.shape[1]), x.dtype)
    matmul(weights, x, out=y)
    return y if biases is None else np.add(y, biases, out=y)


def dense_backward(
    g: Array,
    x: Array,
    weights: Array,
    weights_gradient: Array,
    biases_gradient: Array | None,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (O, N), x (I, N) -> dx (I, N) or None; writes dW and db."""
    if g.shape[1] == 1:
        # A column times a row: 30 us as a product of each pair, 400 by BLAS (100 x 3380).
        np.multiply(g, x.T, out=weights_gradient)
        if biases_gradient is not None:
            np.copyto(biases_gradient, g)
    else:
        matmul(g, x.T, out=weights_gradient)
        if biases_gradient is not None:
            np.add.reduce(g, axis=1, keepdims=True, out=biases_gradient)
    if not propagate:
        return None
    return matmul(weights.T, g, out=workspace.array("input_gradient", x.shape, x.dtype))


def max_pool_forward(x: Array, size: Pair, stride: Pair, workspace: Workspace) -> tuple[Array, Array]:
    """x (C, H, W, N) -> y (C, OH, OW, N) and the winners (window - 1, C, OH, OW, N), for `max_pool_backward`.

    Cell k of the window wins over all before it if it is strictly larger: ``winners[k - 1]`` says so.
    """
    rows, columns = output_size(x.shape[1], size[0], stride[0]), output_size(x.shape[2], size[1], stride[1])
    cells = size[0] * size[1]
    y = workspace.array("output", (x.shape[0], rows, columns, x.shape[3]), x.dtype)
    winners = workspace.array("winners", (max(cells - 1, 1), *y.shape), np.bool_)
    np.copyto(y, x[:, *tap(0, 0, stride, rows, columns)])
    for cell in range(1, cells):
        rival = x[:, *tap(*divmod(cell, size[1]), stride, rows, columns)]
        np.greater(rival, y, out=winners[cell - 1])
        np.maximum(y, rival, out=y)
    return y, winners


def max_pool(x: Array, size: Pair, stride: Pair, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, OH, OW, N), as `max_pool_forward`, for inference: nobody asks who won."""
    rows, columns = output_size(x.shape[1], size[0], stride[0]), output_size(x.shape[2], size[1], stride[1])
    y = workspace.array("output", (x.shape[0], rows, columns, x.shape[3]), x.dtype)
    # Down first, in long runs, then along: 236 us in place of 457 for 3 x 3 of 64 maps of 31 x 31, 8 samples.
    down = workspace.array("down", (x.shape[0], rows, *x.shape[2:]), x.dtype)
    run(largest([x[:, tap(row, 0, stride, rows, 1)[0]] for row in range(size[0])], down))
    cells = [down[:, :, tap(0, column, stride, 1, columns)[1]] for column in range(size[1])]
    run(largest(cells, y))
    return y


def max_pool_backward(
    g: Array, winners: Array, input_shape: tuple[int, ...], size: Pair, stride: Pair, workspace: Workspace
) -> Array:
    """g (C, OH, OW, N) -> dx (C, H, W, N): from the last cell back, each takes g where it won."""
    dx = workspace.array("input_gradient", (*input_shape[:3], g.shape[3]), g.dtype)
    left = workspace.array("left", g.shape, g.dtype)
    part = workspace.array("part", g.shape, g.dtype)
    np.copyto(left, g)
    dx.fill(0)
    for cell in range(size[0] * size[1] - 1, -1, -1):
        pixels = dx[:, *tap(*divmod(cell, size[1]), stride, *g.shape[1:3])]
        if cell:
            np.multiply(left, winners[cell - 1], out=part)
            left -= part
        pixels += part if cell else left
    return dx
