"""Both sets of kernels against plain loops, over a table of geometries, dtypes and batch sizes."""

import functools
import gc
import math
import weakref

import numpy as np
import pytest

from helpers import plain_loops as loops
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, reference, tiles, transforms, unrolled, winograd, winograd_square
from purecnn.kernels import rows as rows_module
from purecnn.kernels.geometry import Window

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}
BATCHES = (1, 2, 17)

CONVOLUTIONS = {  # image (C, H, W), maps, size, stride, padding ((top, bottom), (left, right))
    "plain": ((2, 6, 5), 3, (3, 3), (1, 1), ((0, 0), (0, 0))),
    "padded": ((2, 4, 5), 3, (3, 3), (1, 1), ((1, 1), (1, 1))),
    "one side padded": ((1, 4, 5), 2, (2, 4), (1, 1), ((0, 1), (1, 2))),
    "stride does not tile": ((2, 8, 7), 2, (3, 2), (2, 3), ((0, 0), (0, 0))),
    "stride, padded": ((2, 7, 6), 2, (2, 3), (3, 2), ((1, 2), (2, 1))),
    "stride skips pixels": ((1, 7, 8), 2, (1, 2), (3, 4), ((0, 0), (0, 0))),
    "1x1": ((3, 4, 3), 4, (1, 1), (1, 1), ((0, 0), (0, 0))),
    "1x1, stride, padded": ((2, 4, 3), 2, (1, 1), (2, 2), ((1, 1), (1, 1))),
    "as large as the image": ((2, 4, 5), 3, (4, 5), (1, 1), ((0, 0), (0, 0))),
    "larger than the image": ((1, 2, 3), 2, (4, 5), (1, 1), ((1, 2), (1, 1))),
    "padding wider than the window": ((1, 3, 4), 2, (2, 2), (1, 1), ((3, 2), (4, 3))),
    "padding wider than the window, stride": ((1, 3, 4), 2, (2, 2), (2, 3), ((3, 3), (4, 4))),
    "many rows": ((2, 13, 7), 3, (3, 3), (1, 1), ((1, 1), (1, 1))),
    "many rows, 5x4": ((1, 12, 9), 2, (5, 4), (1, 1), ((2, 2), (2, 1))),
    "many rows, 2x2": ((1, 11, 6), 2, (2, 2), (1, 1), ((0, 1), (0, 0))),
    "one row": ((2, 1, 9), 2, (1, 3), (1, 2), ((0, 0), (1, 1))),
    "one column": ((1, 9, 1), 1, (4, 1), (2, 1), ((2, 2), (0, 0))),
    "one of all": ((1, 1, 1), 1, (1, 1), (1, 1), ((0, 0), (0, 0))),
}

POOLINGS = {  # image (C, H, W), window, stride
    "two": ((2, 4, 6), (2, 2), (2, 2)),
    "does not tile": ((2, 5, 7), (2, 2), (2, 2)),
    "overlapping": ((2, 6, 5), (3, 3), (1, 1)),
    "overlapping along one axis": ((1, 6, 7), (3, 2), (1, 2)),
    "overlapping, stride two": ((1, 7, 8), (3, 3), (2, 2)),
    "stride skips pixels": ((2, 7, 8), (2, 2), (3, 4)),
    "non-square": ((1, 6, 7), (2, 3), (2, 3)),
    "as large as the image": ((3, 4, 5), (4, 5), (4, 5)),
    "one by one": ((2, 3, 3), (1, 1), (1, 1)),
    "one by one, stride": ((1, 5, 4), (1, 1), (2, 3)),
    "one of all": ((1, 1, 1), (1, 1), (1, 1)),
}

DENSES = {"plain": (7, 4), "one output": (5, 1), "one input": (1, 4), "one of all": (1, 1)}


def window_of(name):
    """Return the window of one geometry."""
    return Window(*CONVOLUTIONS[name][2:])


def close(found, expected, dtype):
    """Hold an array to the loops' one, in the dtype of the kernels."""
    assert found.dtype == dtype
    assert found.shape == expected.shape
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(expected).max())
    )


@functools.cache
def convolution(name, per_position, batch, seed=0):
    """Return arguments and the loops' answers for one geometry."""
    shape, maps, window, stride, padding = CONVOLUTIONS[name]
    rng = np.random.default_rng([seed, batch])

    def draw(*sizes):
        return rng.standard_normal(sizes).astype(np.float32).astype(np.float64)

    x, weights = draw(*shape, batch), draw(maps, shape[0], *window)
    rows, columns = loops.conv2d_forward(x[..., :1], weights, None, stride, padding).shape[1:3]
    biases = draw(maps, rows, columns) if per_position else draw(maps)
    g = draw(maps, rows, columns, batch)
    y = loops.conv2d_forward(x, weights, biases, stride, padding)
    dx, dweights, shared, per_position_biases = loops.conv2d_backward(g, x, weights, stride, padding)
    return x, weights, biases, g, y, dx, dweights, per_position_biases if per_position else shared


def run_convolution(module, name, per_position, batch, dtype, workspace, seed=0):
    """Run both passes and hold all they give to the loops."""
    window = window_of(name)
    *arguments, y, dx, dweights, dbiases = convolution(name, per_position, batch, seed)
    x, weights, biases, g = (a.astype(dtype) for a in arguments)
    x.flags.writeable = g.flags.writeable = False
    close(module.conv2d_forward(x, weights, biases, window, workspace), y, dtype)
    into = np.full(weights.shape, np.nan, dtype), np.full(biases.shape, np.nan, dtype)
    close(module.conv2d_backward(g, x, weights, *into, window, workspace), dx, dtype)
    close(into[0], dweights, dtype)
    close(into[1], dbiases, dtype)


@functools.cache
def pooling(name, batch, seed=0):
    """Return image and gradient for one geometry: few different values, so that most windows tie."""
    shape, size, stride = POOLINGS[name]
    rng = np.random.default_rng([seed, batch])
    x = rng.integers(-1, 2, (*shape, batch)).astype(np.float64)
    y = loops.max_pool_forward(x, size, stride)
    g = rng.integers(-50, 50, y.shape).astype(np.float64)
    return x, g, y, loops.max_pool_backward(g, x, size, stride)


def run_pooling(module, name, batch, dtype, workspace, seed=0):
    """Run both passes of max pooling and hold them to the loops."""
    _, size, stride = POOLINGS[name]
    x, g, y, dx = pooling(name, batch, seed)
    x, g = x.astype(dtype), g.astype(dtype)
    x.flags.writeable = g.flags.writeable = False
    found, winners = module.max_pool_forward(x, size, stride, workspace)
    close(found, y, dtype)
    if module is cpu:
        close(cpu.max_pool(x, size, stride, Workspace()), y, dtype)
    close(module.max_pool_backward(g, winners, x.shape, size, stride, workspace), dx, dtype)


both = pytest.mark.parametrize("module", [reference, cpu], ids=["kernels", "kernels_cpu"])
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


@both
@dtypes
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("per_position", [False, True], ids=["shared", "per position"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(module, dtype, name, per_position, batch):
    run_convolution(module, name, per_position, batch, dtype, Workspace())


@both
@dtypes
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling_sends_ties_to_the_first(module, dtype, name, batch):
    run_pooling(module, name, batch, dtype, Workspace())


@dtypes
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", POOLINGS)
def test_average_pooling(dtype, name, batch):
    _, size, stride = POOLINGS[name]
    x, g, *_ = pooling(name, batch)
    workspace = Workspace()
    found = reference.average_pool_forward(x.astype(dtype), size, stride, workspace)
    close(found, loops.average_pool_forward(x, size, stride), dtype)
    back = reference.average_pool_backward(g.astype(dtype), x.shape, size, stride, workspace)
    close(back, loops.average_pool_backward(g, x, size, stride), dtype)


@dtypes
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", DENSES)
def test_dense(dtype, name, batch):
    inputs, outputs = DENSES[name]
    rng = np.random.default_rng(batch)
    x, weights = rng.standard_normal((inputs, batch)), rng.standard_normal((outputs, inputs))
    biases, g = rng.standard_normal((outputs, 1)), rng.standard_normal((outputs, batch))
    workspace, into = (
        Workspace(),
        (np.full(weights.shape, np.nan, dtype), np.full(biases.shape, np.nan, dtype)),
    )
    found = reference.dense_forward(x.astype(dtype), weights.astype(dtype), biases.astype(dtype), workspace)
    close(found, loops.dense_forward(x, weights, biases[:, 0]), dtype)
    dx, dweights, dbiases = loops.dense_backward(g, x, weights)
    arguments = g.astype(dtype), x.astype(dtype), weights.astype(dtype), *into, workspace
    close(reference.dense_backward(*arguments), dx, dtype)
    close(into[0], dweights, dtype)
    close(into[1], dbiases[:, None], dtype)
    assert reference.dense_backward(*arguments, propagate=False) is None


@both
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_leaves_nothing_stale_in_its_scratch(module, name):
    workspace = Workspace()
    for seed, batch in enumerate((17, 17, 2, 17, 1, 2)):
        run_convolution(module, name, False, batch, np.float64, workspace, seed)


@both
@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling_leaves_nothing_stale_in_its_scratch(module, name):
    workspace = Workspace()
    for seed, batch in enumerate((17, 17, 2, 17, 1, 2)):
        run_pooling(module, name, batch, np.float64, workspace, seed)


@both
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_sees_new_values_in_the_same_array(module, name):
    """The engine's buffers are the same objects at every step."""
    window = window_of(name)
    workspace, held = Workspace(), {2: None, 17: None}
    for seed, batch in enumerate((17, 2, 17, 17, 2)):
        x, weights, biases, g, y, dx, dweights, _ = convolution(name, False, batch, seed)
        if held[batch] is None:
            held[batch] = x.copy()
        held[batch][...] = x
        close(module.conv2d_forward(held[batch], weights, biases, window, workspace), y, np.float64)
        into = np.zeros_like(weights), np.zeros_like(biases)
        back = module.conv2d_backward(g, held[batch], weights, *into, window, workspace)
        close(back, dx, np.float64)
        close(into[0], dweights, np.float64)


@both
def test_the_first_layer_owes_no_input_gradient(module):
    window = window_of("padded")
    x, weights, biases, g, _, _, dweights, _ = convolution("padded", False, 2)
    into = np.zeros_like(weights), np.zeros_like(biases)
    arguments = g, x, weights, *into, window, Workspace()
    assert module.conv2d_backward(*arguments, propagate=False) is None
    close(into[0], dweights, np.float64)


@both
def test_backward_alone_needs_no_forward_before_it(module):
    window = window_of("stride, padded")
    x, weights, biases, g, _, dx, dweights, _ = convolution("stride, padded", False, 2)
    into = np.zeros_like(weights), np.zeros_like(biases)
    close(module.conv2d_backward(g, x, weights, *into, window, Workspace()), dx, np.float64)
    close(into[0], dweights, np.float64)


@both
def test_gradients_and_images_may_be_views(module):
    """A caller's array need not be contiguous."""
    window = window_of("padded")
    x, weights, biases, g, y, dx, dweights, _ = convolution("padded", False, 2)

    def strewn(a):
        return np.moveaxis(np.repeat(np.moveaxis(a, -1, 0), 2, axis=0)[::2], 0, -1)

    workspace, into = Workspace(), (np.zeros_like(weights), np.zeros_like(biases))
    x, g = strewn(x), strewn(g)
    close(module.conv2d_forward(x, weights, biases, window, workspace), y, np.float64)
    close(module.conv2d_backward(g, x, weights, *into, window, workspace), dx, np.float64)
    close(into[0], dweights, np.float64)


POOLED = {  # image (C, H, W), maps, size, stride, padding, pool
    "two": ((2, 6, 8), 3, (3, 3), (1, 1), ((0, 0), (0, 0)), (2, 2)),
    "padded": ((2, 6, 6), 3, (3, 3), (1, 1), ((1, 1), (1, 1)), (2, 2)),
    "does not tile": ((1, 7, 9), 2, (3, 3), (1, 1), ((0, 0), (0, 0)), (2, 2)),
    "many rows": ((2, 13, 9), 2, (3, 3), (1, 1), ((1, 1), (0, 0)), (2, 2)),
    "many rows left over": ((1, 13, 9), 2, (3, 3), (1, 1), ((0, 0), (0, 0)), (4, 2)),
    "does not tile, padded": ((2, 5, 5), 2, (2, 3), (1, 1), ((1, 0), (1, 1)), (2, 3)),
    "stride": ((1, 9, 9), 2, (3, 2), (2, 1), ((1, 1), (0, 0)), (2, 2)),
    "stride across": ((1, 8, 11), 2, (2, 2), (1, 2), ((0, 0), (1, 2)), (3, 2)),
    "pool of one": ((2, 4, 4), 2, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "pool of all": ((1, 5, 5), 2, (2, 2), (1, 1), ((0, 0), (0, 0)), (4, 4)),
}


@functools.cache
def pooled_convolution(name, batch, seed, ties=True):
    """Return arguments and the loops' answers for a convolution with max pooling behind it."""
    shape, maps, window, stride, padding, pool = POOLED[name]
    rng = np.random.default_rng([seed, batch])
    # Small integers: sums are exact, and many windows tie.
    x = rng.integers(-1, 2, (*shape, batch)).astype(np.float64)
    weights = rng.integers(-1, 2, (maps, shape[0], *window)).astype(np.float64)
    if not ties:
        x += rng.random(x.shape).astype(np.float32)
        weights += rng.random(weights.shape).astype(np.float32)
    biases = rng.integers(-3, 4, maps).astype(np.float64)
    convolved = loops.conv2d_forward(x, weights, biases, stride, padding)
    y = loops.max_pool_forward(convolved, pool, pool)
    g = rng.integers(-9, 10, y.shape).astype(np.float64)
    spread = loops.max_pool_backward(g, convolved, pool, pool)
    return x, weights, biases, g, y, *loops.conv2d_backward(spread, x, weights, stride, padding)[:3]


def run_pooled_convolution(dtype, name, ties):
    """Run both passes on batches of several sizes and hold all they give to the loops."""
    _, _, size, stride, padding, pool = POOLED[name]
    workspace, held = Workspace(), {}
    for seed, batch in enumerate((17, 2, 17, 17, 2, 1)):
        *arguments, y, dx, dweights, dbiases = pooled_convolution(name, batch, seed, ties)
        x, weights, biases, g = (a.astype(dtype) for a in arguments)
        x = held.setdefault(batch, x)
        x[...] = arguments[0]
        geometry = Window(size, stride, padding), pool, workspace
        close(cpu.conv2d_max_pool_forward(x, weights, biases, *geometry, True), y, dtype)
        into = np.full(weights.shape, np.nan, dtype), np.full(biases.shape, np.nan, dtype)
        close(cpu.conv2d_max_pool_backward(g, x, weights, *into, *geometry), dx, dtype)
        close(into[0], dweights, dtype)
        close(into[1], dbiases, dtype)
        close(cpu.conv2d_max_pool_forward(x, weights, biases, *geometry, False), y, dtype)


@dtypes
@pytest.mark.parametrize("name", POOLED)
def test_pooled_convolution(dtype, name):
    run_pooled_convolution(dtype, name, ties=True)


@pytest.fixture(params=["along the rows", "along both axes"])
def tiled(request, monkeypatch):
    """Let the engine take tiles of one kind wherever the geometry allows them; return what it laid out."""
    laid_out = []
    monkeypatch.setattr(winograd, "WORTH", 0)
    monkeypatch.setattr(winograd, "FEWEST", 1)
    worth = math.inf if request.param == "along the rows" else -math.inf
    monkeypatch.setattr(winograd_square, "WORTH", worth)
    monkeypatch.setattr(winograd_square, "WORTH_COPIED", worth)
    plain = tiles.TiledConvolution.__init__
    monkeypatch.setattr(
        tiles.TiledConvolution,
        "__init__",
        lambda self, *rest: (laid_out.append(type(self)), plain(self, *rest))[1],
    )
    return laid_out, {"along the rows": winograd.Winograd, "along both axes": winograd_square.WinogradSquare}[
        request.param
    ]


def taken(kind, size, stride, pool=(1, 1)):
    """Return which kind of tiles a geometry takes, where one kind is asked for wherever it can be."""
    height, width = size
    if stride != (1, 1) or width > 5 or (7 - width) % pool[1]:
        return None
    square = kind is winograd_square.WinogradSquare and 2 <= height <= 5 and (7 - height) % pool[0] == 0
    return kind if square else winograd.Winograd


@dtypes
@pytest.mark.parametrize("block", [1, 1 << 18], ids=["row by row", "whole"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("per_position", [False, True], ids=["shared", "per position"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_by_tiles(tiled, monkeypatch, dtype, name, per_position, batch, block):
    laid_out, kind = tiled
    monkeypatch.setattr(rows_module, "BLOCK", block)
    run_convolution(cpu, name, per_position, batch, dtype, Workspace())
    _, _, size, stride, _ = CONVOLUTIONS[name]
    expected = taken(kind, size, stride)
    assert set(laid_out) == ({expected} if expected else set())


@dtypes
@pytest.mark.parametrize("block", [1, 1 << 18], ids=["row by row", "whole"])
@pytest.mark.parametrize("name", POOLED)
def test_pooled_convolution_by_tiles(tiled, monkeypatch, dtype, name, block):
    laid_out, kind = tiled
    monkeypatch.setattr(rows_module, "BLOCK", block)
    run_pooled_convolution(dtype, name, ties=False)
    _, _, size, stride, _, pool = POOLED[name]
    expected = taken(kind, size, stride, pool)
    assert set(laid_out) == ({expected} if expected else set())


@pytest.mark.parametrize("width", [2, 3, 4, 5])
def test_tiles_give_the_correlation(width):
    a, b, g = transforms.matrices(width, np.float64)
    rng = np.random.default_rng(width)
    d, k = rng.standard_normal(6), rng.standard_normal(width)
    by_hand = [sum(d[i + j] * k[j] for j in range(width)) for i in range(7 - width)]
    np.testing.assert_allclose(a.T @ ((g @ k) * (b.T @ d)), by_hand, atol=1e-12)


KINDS = {
    "direct": unrolled.Unrolled,
    "along the rows": winograd.Winograd,
    "along both axes": winograd_square.WinogradSquare,
}


def sums(kind, x, weights, dtype):
    """Return a convolution of both without biases, padded to the same size, by one kind of kernels."""
    size = weights.shape[2:]
    border = tuple(((cells - 1) // 2, cells // 2) for cells in size)
    window, workspace = Window(size, padding=border), Workspace()
    work = KINDS[kind](x.astype(dtype), len(weights), window, workspace)
    return work.forward(weights.astype(dtype), np.zeros(len(weights), dtype)).astype(np.float64)


def test_tiles_round_little_more_than_the_direct_sum():
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((12, 64, 12, 16)), 0).transpose(1, 0, 2, 3)
    weights = rng.standard_normal((64, 64, 3, 3)) / 24
    exact = sums("direct", x, weights, np.float64)
    errors = {kind: abs(sums(kind, x, weights, np.float32) - exact) / exact.std() for kind in KINDS}
    norms = {kind: np.sqrt(np.mean(error**2)) for kind, error in errors.items()}
    # When this was written 2.1e-7, 5.7e-7 and 9.7e-7; at most 1.8e-6, 5.4e-6 and 1.1e-5.
    assert norms["direct"] < 4e-7
    assert norms["along the rows"] < 1e-6
    assert norms["along both axes"] < 1.2e-6
    assert max(error.max() for error in errors.values()) < 2e-5


#: The promise value by value: roundings of a tile's largest pixel times the sum of the kernel's sizes.
PROMISED = {"direct": 2, "along the rows": 12, "along both axes": 48}


@pytest.mark.parametrize("active", [1, 16])
@pytest.mark.parametrize("width", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_small_beside_the_largest_pixel_of_its_tile(kind, width, active):
    """Worst where one channel alone holds anything, for there no errors of others cancel it."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(3):
        x, weights = rng.standard_normal((16, 16, 16, 8)), rng.standard_normal((16, 16, width, width))
        x[rng.random(x.shape) < 1e-3] *= 1e6  # single values of a million times the others
        weights[:, active:] = 0
        x = x.transpose(1, 0, 2, 3).copy().transpose(1, 0, 2, 3)
        error = abs(sums(kind, x, weights, np.float32) - sums("direct", x, weights, np.float64))
        # the largest pixel of any tile that an output may lie in, over all channels
        wide = np.pad(abs(x).max(axis=0), ((6, 6), (6, 6), (0, 0)))
        near = np.lib.stride_tricks.sliding_window_view(wide, (13, 13), (0, 1)).max(axis=(-1, -2))
        near = near[: error.shape[1], : error.shape[2]]
        unit = near * abs(weights).sum(axis=(1, 2, 3))[:, None, None, None] * np.finfo(np.float32).eps
        worst = max(worst, (error / unit).max())
    assert worst <= PROMISED[kind], worst


def test_tiles_are_taken_where_they_save_work():
    x = np.zeros((8, 12, 12, 64), np.float32)
    five = Window((5, 5))
    assert winograd.suits(x, 16, five, (2, 2))
    assert not winograd.suits(x, 24, Window((3, 3)), (2, 2))  # saves less than the transforms take
    assert not winograd.suits(x, 16, Window((5, 5), (2, 1)))  # a stride
    assert not winograd.suits(x, 16, five, (3, 3))  # tiles of 2 and windows of 3 columns
    assert not winograd.suits(x[..., :7], 16, five, (2, 2))  # short runs
    assert not winograd.suits(x, 16, Window((6, 6)))  # a window as wide as a tile


@pytest.mark.parametrize("small", [True, False])
def test_tiles_along_both_axes_are_taken_by_wide_layers(monkeypatch, small):
    monkeypatch.setattr(winograd_square, "small_kernels", lambda: small)
    same = Window((3, 3), padding=((1, 1), (1, 1)))

    def suits(channels, maps, size, window=same, pool=(1, 1)):
        return winograd_square.suits(np.zeros((channels, size, size, 64), np.float32), maps, window, pool)

    assert suits(64, 64, 16)
    assert suits(64, 128, 8)
    assert suits(64, 64, 16, pool=(2, 2))
    assert suits(32, 32, 32) is suits(32, 64, 16) is small
    assert not suits(16, 16, 32)  # too few maps for the transforms
    assert not suits(32, 32, 14)  # a quarter of the last tiles is cut off
    assert not suits(64, 64, 18, pool=(3, 3))  # tiles of 4 rows and windows of 3
    assert not suits(64, 64, 16, Window((1, 3)))  # nothing to save down the rows


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_second_backward_pass_gives_the_same(name):
    window = window_of(name)
    x, weights, biases, g, _, dx, dweights, _ = convolution(name, False, 2)
    workspace, into = Workspace(), (np.empty_like(weights), np.empty_like(biases))
    cpu.conv2d_forward(x, weights, biases, window, workspace)
    for _ in range(2):
        found = cpu.conv2d_backward(g, x, weights, *into, window, workspace)
        close(found, dx, np.float64)
        close(into[0], dweights, np.float64)


@pytest.mark.parametrize("window", [Window((5, 5)), Window((5, 5), (2, 2)), Window((5, 5), groups=2)])
def test_working_memory_goes_with_the_last_reference(window):
    rng, workspace = np.random.default_rng(0), Workspace()
    x, weights, biases = rng.random((8, 9, 9, 16)), rng.random((8, 8 // window.groups, 5, 5)), np.zeros(8)
    y, into = cpu.conv2d_forward(x, weights, biases, window, workspace), (weights.copy(), biases.copy())
    cpu.conv2d_backward(y, x, weights, *into, window, workspace)
    alive = weakref.ref(workspace)
    gc.disable()
    try:
        del workspace
        assert alive() is None
    finally:
        gc.enable()
