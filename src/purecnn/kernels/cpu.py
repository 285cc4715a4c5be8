"""CPU kernels: the functions of `reference` at NumPy's full speed.

The kernels at NumPy's full speed: the same functions as in `kernels`, on memory that is laid out once.

A convolution's arrays and views are those of `unrolled` or `winograd`, a pooling's those of `pooled`; this
module is what is done with them, pass by pass.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import Padding, Pair, along_batch, output_size, tap
from purecnn.kernels.grouped import grouped_conv2d_backward, grouped_conv2d_forward
from purecnn.kernels.pooled import PooledConvolution
from purecnn.kernels.rows import RowConvolution
from purecnn.kernels.unrolled import Unrolled
from purecnn.kernels.winograd import Winograd, suits

__all__ = [
    "conv2d_backward",
    "conv2d_forward",
    "conv2d_max_pool_backward",
    "conv2d_max_pool_forward",
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

#: Values of working memory that stay in a core's cache beside what is read and written.
CACHED = 1 << 15


def lay_out(
    x: Array, kernels: Array, stride: Pair, padding: Padding, workspace: Workspace, pool: Pair = (1, 1)
) -> RowConvolution:
    """Return the arrays and views of a convolution, by the algorithm that its geometry asks for."""
    kind = Winograd if suits(x, kernels.shape, stride, pool) else Unrolled
    return kind(x, kernels.shape, stride, padding, workspace, pool)


def relu_backward(g: Array, y: Array, out: Array) -> Array:
    """g, y of any shape -> g where y > 0, else 0, into `out`, which may be y: no booleans between."""
    positive = np.greater(y, 0, out=out)
    return np.multiply(positive, g, out=positive)


def leaky_relu_forward(x: Array, slope: float, out: Array) -> Array:
    """x of any shape -> max(x, slope x), into `out`: no array between."""
    np.multiply(x, x.dtype.type(slope), out=out)
    return np.maximum(x, out, out=out)


def conv2d_forward(
    x: Array, kernels: Array, biases: Array, stride: Pair, padding: Padding, workspace: Workspace
) -> Array:
    """x (C, H, W, N), kernels (M, C, KH, KW), biases (M,) or (M, OH, OW) -> y (M, OH, OW, N)."""
    work = workspace.layout("convolution", x, lambda: lay_out(x, kernels, stride, padding, workspace))
    flat, shared = work.flat(kernels), biases.ndim == 1
    for number, output in enumerate(work.outputs):
        work.multiply(flat, number)
        if shared:
            np.add(output, biases[:, None], out=output)
    if not shared:
        work.images += along_batch(biases, 4)
    return work.images


def conv2d_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array,
    stride: Pair,
    padding: Padding,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients."""
    work = workspace.layout("convolution", x, lambda: lay_out(x, kernels, stride, padding, workspace))
    if g is not work.images:  # where an activation worked in place, g is there already
        np.copyto(work.images, g)
    work.biases_gradient(biases_gradient)
    return work.backward(kernels, kernels_gradient, propagate, lambda _: None)


def conv2d_max_pool_forward(
    x: Array,
    kernels: Array,
    biases: Array,
    stride: Pair,
    padding: Padding,
    pool: Pair,
    workspace: Workspace,
    training: bool = True,
) -> Array:
    """x (C, H, W, N), kernels (M, C, KH, KW), biases (M,) -> y (M, PH, PW, N), pooled.

    The largest of a window's sums is the same before and after a bias that all of them share.
    """
    work = workspace.layout(
        "convolution",
        x,
        lambda: PooledConvolution(lay_out(x, kernels, stride, padding, workspace, pool), pool),
    )
    flat = work.convolution.flat(kernels)
    for number in range(len(work.best)):
        work.convolution.multiply(flat, number)
        best = work.pool(number, training)
        np.add(best, biases[:, None], out=best)
    return work.pooled


def conv2d_max_pool_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array,
    stride: Pair,
    padding: Padding,
    pool: Pair,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, PH, PW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients.

    `conv2d_max_pool_forward` must have run in training on `x` with this workspace: it left the winners there.
    """
    work = workspace.layout(
        "convolution",
        x,
        lambda: PooledConvolution(lay_out(x, kernels, stride, padding, workspace, pool), pool),
    )
    rows = work.as_rows(g)
    np.sum(rows @ work.convolution.ones, axis=0, out=biases_gradient)

    def place(number: int) -> None:
        work.unpool(number, rows[work.places[number]])

    return work.convolution.backward(kernels, kernels_gradient, propagate, place)


def dense_forward(x: Array, weights: Array, biases: Array, workspace: Workspace) -> Array:
    """x (I, N), weights (O, I), biases (O, 1) -> y (O, N)."""
    y = workspace.array("output", (weights.shape[0], x.shape[1]), x.dtype)
    np.matmul(weights, x, out=y)
    np.add(y, biases, out=y)
    return y


def dense_backward(
    g: Array,
    x: Array,
    weights: Array,
    weights_gradient: Array,
    biases_gradient: Array,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (O, N), x (I, N) -> dx (I, N) or None; writes dW and db."""
    if g.shape[1] == 1:
        # A column times a row: 30 us as a product of each pair, 400 by BLAS (100 x 3380).
        np.multiply(g, x.T, out=weights_gradient)
        np.copyto(biases_gradient, g)
    else:
        np.matmul(g, x.T, out=weights_gradient)
        np.add.reduce(g, axis=1, keepdims=True, out=biases_gradient)
    if not propagate:
        return None
    return np.matmul(weights.T, g, out=workspace.array("input_gradient", x.shape, x.dtype))


def dense_descend(
    g: Array, x: Array, weights: Array, biases: Array, workspace: Workspace, propagate: bool = True
) -> Array | None:
    """g (O, 1), x (I, 1) -> dx (I, 1) or None, before the step W -= g @ x.T, b -= g is taken in place.

    Some rows at a time, whose products stay in the cache: 85 us in place of 150 (100 x 3380).
    """
    dx = workspace.array("input_gradient", x.shape, x.dtype)
    if propagate:
        np.matmul(weights.T, g, out=dx)
    rows = max(1, CACHED // len(x))
    product = workspace.array("product", (min(rows, len(g)), len(x)), x.dtype)
    for first in range(0, len(g), rows):
        part = weights[first : first + rows]
        np.subtract(part, np.multiply(g[first : first + rows], x.T, out=product[: len(part)]), out=part)
    biases -= g
    return dx if propagate else None


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
