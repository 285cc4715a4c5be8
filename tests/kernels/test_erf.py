"""The error function, held to `math.erf` over dense grids and at the edges of its numbers."""

import math

import numpy as np
import pytest

from helpers.strict_arrays import strict
from purecnn import GELU
from purecnn.backend import to_device, to_host
from purecnn.kernels import erf as erf_module
from purecnn.kernels.erf import erf

GRID = np.concatenate([np.linspace(-6, 6, 60_001), np.logspace(-45, 38, 5001), -np.logspace(-45, 38, 5001)])


def exact(x):
    return np.array([math.erf(value) for value in x.ravel().tolist()]).reshape(x.shape)


def test_in_float32_it_is_within_3e_7_of_the_exact_one_and_as_near_to_small_ones():
    x = GRID.astype(np.float32)
    found, wanted = erf(x), exact(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=3e-7)
    normal = np.abs(x) > np.finfo(np.float32).tiny
    np.testing.assert_allclose(found[normal], wanted[normal], rtol=3e-7, atol=0)
    np.testing.assert_array_equal(found, -erf(-x))
    assert np.abs(found).max() == 1
    np.testing.assert_array_equal(found[np.abs(x) >= 4], np.sign(x[np.abs(x) >= 4]))


def test_in_float64_it_is_within_1e_13():
    np.testing.assert_allclose(erf(GRID), exact(GRID), rtol=0, atol=1e-13)


def test_in_float16_it_is_the_nearest_half_or_the_one_beside_it():
    x = np.arange(-5, 5, 0.01).astype(np.float16)
    found = erf(x)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, exact(x), rtol=5e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_at_the_edges_of_the_numbers(dtype):
    found = erf(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).max], dtype))
    wanted = np.array([0, 0, 1, -1, np.nan, 1], dtype)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 if dtype == np.float64 else 0)
    assert np.signbit(found[:4]).tolist() == [False, True, False, True]


@pytest.mark.parametrize("size", [0, 1, erf_module.BLOCK - 1, erf_module.BLOCK, 2 * erf_module.BLOCK + 3])
def test_a_value_is_the_same_wherever_it_lies(size):
    x = np.random.default_rng(0).normal(size=size).astype(np.float32) * 2
    assert erf(x).tolist() == erf(x[::-1])[::-1].tolist()
    assert erf(x[1:]).tolist() == erf(x)[1:].tolist()


def test_the_batch_stays_last_in_memory():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    turned = np.moveaxis(x, -1, 0)
    found = erf(turned)
    assert found.strides == turned.strides
    np.testing.assert_array_equal(found, np.moveaxis(erf(x), -1, 0))
    np.testing.assert_array_equal(erf(x[:, ::2, ::-1]), erf(x)[:, ::2, ::-1])
    assert erf(np.broadcast_to(np.float32(1), (2, 3))).shape == (2, 3)
    assert erf(np.array(1, np.float32)).shape == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_on_a_device_it_is_the_same(dtype):
    x = GRID.astype(dtype)
    np.testing.assert_array_equal(to_host(erf(to_device(x, strict))), erf(x))


def test_far_below_0_the_gelu_is_0():
    x = np.array([[-1e6, -100.0, -6.0, 6.0, 100.0]], np.float32)
    assert GELU().forward(x).tolist() == [[0, 0, 0, 6, 100]]
