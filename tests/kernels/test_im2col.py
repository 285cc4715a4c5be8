"""Convolutions of few pixels in inference, by im2col: against plain loops, and which they are."""

import functools

import numpy as np
import pytest

from helpers import plain_loops as loops
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, im2col
from purecnn.kernels.geometry import Window
from purecnn.kernels.pooled import PooledIm2col
from purecnn.kernels.rows import rectified

GEOMETRIES = {  # size, stride, padding, dilation
    "padded": ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "bare": ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "one side": ((3, 2), (2, 1), ((0, 2), (1, 0)), (1, 1)),
    "holes": ((2, 3), (1, 2), ((1, 0), (2, 2)), (2, 2)),
    "a row": ((1, 3), (1, 1), ((0, 0), (1, 1)), (1, 1)),
}


@functools.cache
def looped(name):
    """Return numbers that float32 has too, and what plain loops make of them and of them upside down."""
    size, stride, padding, dilation = GEOMETRIES[name]
    rng = np.random.default_rng(0)
    x, kernels = (
        rng.standard_normal(shape).astype(np.float32).astype(float)
        for shape in ((40, 4, 5, 2), (32, 40, *size))
    )
    found = [
        loops.conv2d_forward(given, kernels, None, stride, padding, dilation) for given in (x, x[:, ::-1])
    ]
    return x, kernels, found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [False, True], ids=["channels in turn", "rows in turn"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_calls_of_inference_are_the_loops(name, rows, dtype):
    x, kernels, (plain, turned) = looped(name)
    x, kernels = x.astype(dtype), kernels.astype(dtype)
    if rows:
        x = x.transpose(1, 0, 2, 3).copy().transpose(1, 0, 2, 3)
    window = Window(*GEOMETRIES[name])
    rng = np.random.default_rng(1)
    tolerance = (1e-12 if dtype == np.float64 else 1e-5) * abs(plain).max()
    for shape in (None, (32,), (32, *window.positions(x.shape))):
        biases = None if shape is None else rng.standard_normal(shape).astype(dtype)
        added = 0 if biases is None else biases.reshape(*shape, *[1] * (4 - len(shape)))
        addend = rng.standard_normal(plain.shape).astype(dtype)
        layout = im2col.Im2colConvolution(x, 32, window, Workspace())
        calls, y = layout.inference(kernels, biases, addend, rectified)
        for wanted in (turned, plain):  # the second time, what is padded has stayed so
            x[...] = x[:, ::-1].copy()
            for call in calls:
                call()
            assert y.dtype == dtype
            np.testing.assert_allclose(y, np.maximum(wanted + added + addend, 0), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("pool", [(2, 2), (1, 3), (3, 1), (2, 3), (1, 1)])
@pytest.mark.parametrize("name", ["padded", "holes"])
def test_pooled_calls_are_the_loops(name, pool, dtype):
    x, kernels, (plain, turned) = looped(name)
    x, kernels = x.astype(dtype), kernels.astype(dtype)
    biases = np.random.default_rng(1).standard_normal(32).astype(dtype)
    layout = PooledIm2col(x, 32, Window(*GEOMETRIES[name]), pool, Workspace())
    calls, y = layout.inference(kernels, biases, None, rectified)
    for wanted in (turned, plain):
        x[...] = x[:, ::-1].copy()
        for call in calls:
            call()
        pooled = np.maximum(loops.max_pool_forward(wanted, pool, pool) + biases[:, None, None, None], 0)
        tolerance = (1e-12 if dtype == np.float64 else 1e-5) * abs(plain).max()
        np.testing.assert_allclose(y, pooled, rtol=0, atol=tolerance)
        assert y.dtype == dtype


def test_it_is_for_many_maps_of_few_pixels(monkeypatch):
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    few, wide, many, short = (
        np.zeros(shape, np.float32)
        for shape in ((128, 7, 7, 1), (64, 28, 28, 2), (128, 4, 4, 16), (64, 7, 7, 1))
    )
    for small in (False, True):
        monkeypatch.setattr(im2col, "small_kernels", lambda small=small: small)
        assert im2col.suits(few, 128, window)
        assert im2col.suits(short, 64, window) is not small
        assert not im2col.suits(few, 4, window)
        assert not im2col.suits(wide, 64, window)
        assert not im2col.suits(many, 128, window)
        assert not im2col.suits(few, 128, Window((3, 3), groups=2))
        assert not im2col.suits(few, 128, Window((1, 1)))


def test_before_a_pooling_it_is_for_many_maps_of_few_samples():
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    shapes = (128, 8, 8, 1), (128, 80, 80, 1), (128, 8, 8, 8)
    few, wide, many = (np.zeros(shape, np.float32) for shape in shapes)
    workspace = Workspace()
    cpu.conv2d_calls(few, np.zeros((128, 128, 3, 3), np.float32), None, window, workspace, (2, 2))
    laid_out = workspace.layout("convolution", few, lambda: None)
    assert isinstance(laid_out, PooledIm2col)
    assert im2col.suits_pooled(few, 128, window)
    assert not im2col.suits_pooled(few, 64, window)
    assert not im2col.suits_pooled(wide, 128, window)
    assert not im2col.suits_pooled(many, 128, window)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [(2, 3), (17, 19)])
def test_what_lies_in_one_run_is_finished_as_the_loops_have_it(size, dtype):
    rng = np.random.default_rng(0)
    x, kernels = rng.standard_normal((5, *size, 1)), rng.standard_normal((4, 5, 1, 1))
    plain = loops.conv2d_forward(x, kernels, None, (1, 1), ((0, 0), (0, 0)))
    x, kernels = x.astype(dtype), kernels.astype(dtype)
    for shape in (None, (4,), (4, *size)):
        biases = None if shape is None else rng.standard_normal(shape).astype(dtype)
        added = 0 if biases is None else biases.reshape(*shape, *[1] * (4 - len(shape)))
        room = np.zeros((size[0], 4, size[1], 1), dtype)  # row by row, as another convolution's output
        for addend in (None, rng.standard_normal(plain.shape).astype(dtype), room.transpose(1, 0, 2, 3)):
            workspace = Workspace()
            layout = im2col.PointwiseConvolution(x, 4, workspace)
            calls, y = layout.inference(kernels, biases, addend, rectified)
            room[...] = rng.standard_normal(room.shape)
            for call in calls:
                call()
            wanted = np.maximum(plain + added + (0 if addend is None else addend), 0)
            np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-12 if dtype == np.float64 else 1e-5)


def test_few_pixels_are_one_product():
    few, lone, shallow, wide, several = (
        np.zeros(shape, np.float32)
        for shape in ((8, 4, 4, 16), (24, 32, 32, 1), (23, 32, 32, 1), (24, 128, 128, 1), (24, 12, 12, 2))
    )
    window = Window((1, 1))
    assert im2col.suits_few(few, 8, window)
    assert im2col.suits_few(lone, 8, window)
    for x in (shallow, wide, several):
        assert not im2col.suits_few(x, 40, window)
    assert not im2col.suits_few(few, 8, Window((1, 1), (2, 2)))
    by_rows = few.swapaxes(0, 1).copy().swapaxes(0, 1)
    assert im2col.suits_few(by_rows, 32, window)
    assert not im2col.suits_few(by_rows, 31, window)
    workspace = Workspace()
    cpu.conv2d_calls(few, np.zeros((8, 8, 1, 1), np.float32), None, window, workspace)
    assert isinstance(workspace.layout("convolution", few, lambda: None), im2col.PointwiseConvolution)
