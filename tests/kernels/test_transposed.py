"""Transposed convolutions: all kernels against plain loops, the loops against PyTorch and answers by hand."""

import functools

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.torch_numbers import cases, close, part
from purecnn import TransposedConvolutional
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, device, reference
from purecnn.kernels.geometry import Window
from purecnn.kernels.grouped import GroupedConvolution
from purecnn.kernels.transposed import (
    GroupedTransposedConvolution,
    StridedTransposedConvolution,
    TurnedConvolution,
)
from purecnn.kernels.winograd import Winograd

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
modules = pytest.mark.parametrize("module", [reference, cpu, device])

GEOMETRIES = {  # image (C, H, W), maps, output (OH, OW), kernel, stride, padding, dilation, groups
    "plain": ((2, 3, 4), 3, (5, 6), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "lopsided": ((2, 4, 3), 2, (4, 5), (3, 4), (1, 1), ((0, 2), (1, 0)), (1, 1), 1),
    "wide padding": ((2, 5, 4), 2, (3, 1), (2, 2), (1, 1), ((2, 1), (0, 4)), (1, 1), 1),
    "doubling": ((3, 3, 2), 2, (6, 4), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    "apart": ((2, 3, 2), 3, (6, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "output padding": ((2, 3, 2), 2, (6, 5), (3, 3), (2, 2), ((1, 1), (1, 0)), (1, 1), 1),
    "gaps": ((2, 3, 3), 2, (9, 8), (1, 2), (3, 3), ((0, 0), (0, 0)), (1, 1), 1),
    "one stride alone": ((2, 3, 3), 2, (4, 9), (3, 4), (1, 3), ((1, 0), (1, 0)), (1, 1), 1),
    "wide padding and stride": ((1, 4, 4), 2, (3, 6), (3, 1), (2, 3), ((4, 2), (2, 2)), (1, 1), 1),
    "groups": ((4, 3, 2), 6, (5, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
    "groups and stride": ((4, 3, 2), 2, (6, 5), (3, 2), (2, 3), ((1, 0), (0, 0)), (1, 1), 2),
    "depthwise": ((3, 3, 2), 3, (6, 4), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 3),
    "holes": ((2, 3, 2), 2, (6, 5), (3, 2), (1, 1), ((1, 0), (0, 0)), (2, 3), 1),
    "holes and stride": ((2, 3, 2), 2, (8, 7), (2, 3), (2, 3), ((0, 1), (1, 0)), (3, 2), 1),
    "all at once": ((4, 3, 2), 4, (7, 4), (2, 3), (3, 1), ((1, 1), (2, 0)), (2, 2), 2),
    "one of all": ((1, 1, 1), 1, (1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
}


@functools.cache
def answers(name, batch):
    """Return arguments and the loops' answers for one geometry."""
    shape, maps, size, kernel, *geometry = GEOMETRIES[name]
    rng = np.random.default_rng([3, batch])

    def draw(*sizes):
        return rng.standard_normal(sizes).astype(np.float32).astype(np.float64)

    x, kernels = draw(*shape, batch), draw(shape[0], maps // geometry[3], *kernel)
    biases, g = draw(maps), draw(maps, *size, batch)
    y = loops.transposed_conv2d_forward(x, kernels, biases, size, *geometry)
    return x, kernels, biases, g, y, *loops.transposed_conv2d_backward(g, x, kernels, *geometry)


def held(module, name, batch, dtype, workspace, kept=None, change=lambda a: a):
    """Hold a module's two passes to the loops."""
    *arguments, y, dx, dkernels, dbiases = answers(name, batch)
    x, kernels, biases, g = (change(a.astype(dtype)) for a in arguments)
    if kept is not None:
        kept[...] = x
        x = kept
    size, window = GEOMETRIES[name][2], Window(*GEOMETRIES[name][3:])
    into = np.full_like(kernels, np.nan), np.full_like(biases, np.nan)
    rtol, atol = TOLERANCE[dtype], TOLERANCE[dtype]
    bare = module.transposed_conv2d_forward(x, kernels, None, window, size, workspace)
    close(bare, y - arguments[2].reshape(-1, 1, 1, 1), rtol, atol)
    output = module.transposed_conv2d_forward(x, kernels, biases, window, size, workspace)
    assert output.dtype == dtype
    close(output, y, rtol, atol)
    found = module.transposed_conv2d_backward(g, x, kernels, *into, window, workspace)
    assert found.dtype == dtype
    close(found, dx, rtol, atol)
    close(into[0], dkernels, rtol, 10 * atol)
    close(into[1], dbiases, rtol, 10 * atol)
    into[0].fill(np.nan)
    without = module.transposed_conv2d_backward(g, x, kernels, into[0], None, window, workspace, False)
    assert without is None
    close(into[0], dkernels, rtol, 10 * atol)


@dtypes
@modules
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_all_kernels_are_the_loops(name, batch, module, dtype):
    workspace = Workspace()
    for _ in range(2):
        held(module, name, batch, dtype, workspace)


def rows_first(array):
    """Return an equal array whose memory lies row by row and with gaps, as a convolution's output does."""
    if array.ndim != 4:
        return array
    channels, rows, columns, batch = array.shape
    view = np.zeros((rows, channels + 1, columns, batch), array.dtype)[:, :channels].transpose(1, 0, 2, 3)
    view[...] = array
    return view


@pytest.mark.parametrize("name", GEOMETRIES)
def test_memory_that_lies_otherwise(name):
    held(cpu, name, 2, np.float64, Workspace(), change=rows_first)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_memory_used_again_by_batches_of_changing_size(name):
    workspace, kept = Workspace(), {}
    for batch in (17, 2, 17, 17, 1, 2):
        x = kept.setdefault(batch, np.empty((*GEOMETRIES[name][0], batch)))
        held(cpu, name, batch, np.float64, workspace, x)


def test_many_rows_are_worked_on_block_by_block(monkeypatch):
    monkeypatch.setattr("purecnn.kernels.rows.BLOCK", 1)
    for name in ("plain", "doubling", "output padding", "gaps", "wide padding and stride"):
        held(cpu, name, 17, np.float64, Workspace())


def test_the_geometry_alone_decides_how_one_is_laid_out():
    x = np.zeros((16, 12, 12, 64), np.float32)

    def work(size, groups=1, **options):
        kernels, window = np.zeros((16, 16 // groups, 3, 3)), Window((3, 3), groups=groups, **options)
        return cpu.lay_out_transposed(x, kernels, window, size, Workspace())

    found = work((14, 14))
    assert (type(found), type(found.convolution)) == (TurnedConvolution, Winograd)
    found = work((14, 14), groups=2)
    assert (type(found), type(found.convolution)) == (TurnedConvolution, GroupedConvolution)
    assert type(work((25, 25), stride=(2, 2))) is StridedTransposedConvolution
    assert type(work((8, 8), padding=((3, 3), (3, 3)))) is StridedTransposedConvolution
    assert type(work((25, 25), groups=2, stride=(2, 2))) is GroupedTransposedConvolution


@pytest.mark.parametrize("case", cases("transposed"))
def test_loops_and_layer_are_pytorchs(case):
    data = part("transposed", case["name"])
    stride, padding, dilation = (tuple(case[name]) for name in ("stride", "padding", "dilation"))
    geometry = stride, tuple((p, p) for p in padding), dilation, case["groups"]
    found = loops.transposed_conv2d_forward(
        data["input"], data["kernels"], data["biases"], data["output"].shape[1:3], *geometry
    )
    close(found, data["output"])
    back = loops.transposed_conv2d_backward(
        data["output_gradient"], data["input"], data["kernels"], *geometry
    )
    for mine, name in zip(back, ("dinput", "dkernels", "dbiases"), strict=True):
        close(mine, data[name])
    layer = TransposedConvolutional(
        data["input"].shape[:3],
        data["kernels"].shape[2:],
        len(data["biases"]),
        stride=stride,
        padding=padding,
        output_padding=tuple(case["output_padding"]),
        dilation=dilation,
        groups=case["groups"],
        rng=0,
        dtype=np.float64,
    )
    layer.parameters["kernels"][...] = data["kernels"]
    layer.parameters["biases"][...] = data["biases"]
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])
    close(layer.gradients["kernels"], data["dkernels"])
    close(layer.gradients["biases"], data["dbiases"])


def test_loops_by_hand():
    x = np.array([[1.0, 2], [3, 4]])[None, :, :, None]
    kernels = np.array([[[[1.0, 10], [100, 1000]]]])
    y = loops.transposed_conv2d_forward(x, kernels, np.array([0.5]), (3, 3), (1, 1), ((0, 0), (0, 0)))
    assert (y[0, :, :, 0] - 0.5).tolist() == [
        [1, 2 + 10, 20],
        [3 + 100, 4 + 30 + 200 + 1000, 40 + 2000],
        [300, 400 + 3000, 4000],
    ]
    apart = (2, 2), ((0, 0), (1, 0))
    y = loops.transposed_conv2d_forward(x, kernels, None, (4, 3), *apart)
    assert y[0, :, :, 0].tolist() == [[10, 2, 20], [1000, 200, 2000], [30, 4, 40], [3000, 400, 4000]]
    g = np.arange(12.0).reshape(1, 4, 3, 1)
    dx, dkernels, dbiases = loops.transposed_conv2d_backward(g, x, kernels, *apart)
    assert dx[0, :, :, 0].tolist() == [[3000, 1 + 20 + 400 + 5000], [60 + 9000, 7 + 80 + 1000 + 11000]]
    assert dkernels.tolist() == [
        [[[2 * 1 + 4 * 7, 2 * 2 + 3 * 6 + 4 * 8], [2 * 4 + 4 * 10, 3 + 10 + 27 + 44]]]
    ]
    assert dbiases.tolist() == [66]
