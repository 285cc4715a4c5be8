"""Convolutions of few pixels in inference, by im2col: against plain loops, and which they are."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, im2col
from purecnn.kernels.geometry import Window

GEOMETRIES = {  # size, stride, padding, dilation
    "padded": ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "bare": ((2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "one side": ((3, 2), (2, 1), ((0, 2), (1, 0)), (1, 1)),
    "holes": ((2, 3), (1, 2), ((1, 0), (2, 2)), (2, 2)),
    "a row": ((1, 3), (1, 1), ((0, 0), (1, 1)), (1, 1)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [False, True], ids=["channels in turn", "rows in turn"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_calls_of_inference_are_the_loops(name, rows, dtype):
    size, stride, padding, dilation = GEOMETRIES[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 4, 5, 2)).astype(dtype)
    if rows:
        x = x.transpose(1, 0, 2, 3).copy().transpose(1, 0, 2, 3)
    kernels = rng.standard_normal((32, 40, *size)).astype(dtype)
    window = Window(size, stride, padding, dilation)
    assert im2col.suits(x, 32, window)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for biases in (None, rng.standard_normal(32), rng.standard_normal((32, *window.positions(x.shape)))):
        given = None if biases is None else biases.astype(dtype)
        wanted = loops.conv2d_forward(x, kernels, given, stride, padding, dilation)
        addend = rng.standard_normal(wanted.shape).astype(dtype)
        calls, y = cpu.conv2d_calls(x, kernels, given, window, Workspace(), None, addend, True)
        for _ in range(2):  # and again: what is padded stays so
            x[...] = x[:, ::-1].copy()
            for call in calls:
                call()
            assert y.dtype == dtype
            again = loops.conv2d_forward(x, kernels, given, stride, padding, dilation)
            np.testing.assert_allclose(
                y, np.maximum(again + addend, 0), rtol=0, atol=tolerance * abs(wanted).max()
            )


def test_it_is_for_many_maps_of_few_pixels():
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    few, wide, many = (
        np.zeros(shape, np.float32) for shape in ((64, 7, 7, 1), (64, 28, 28, 2), (64, 4, 4, 16))
    )
    assert im2col.suits(few, 64, window)
    assert not im2col.suits(few, 8, window)
    assert not im2col.suits(wide, 64, window)
    assert not im2col.suits(many, 64, window)
    assert not im2col.suits(few, 64, Window((3, 3), groups=2))
    assert not im2col.suits(few, 64, Window((1, 1)))
