"""Poolings of a whole map, and of as many windows as are wanted."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits, hold_to_the_same_in_any_order
from helpers.torch_numbers import cases, close, part
from purecnn import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    Convolutional,
    Dense,
    Flatten,
    GlobalMaxPooling,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import reference

KINDS = {"average": AdaptiveAveragePooling, "max": AdaptiveMaxPooling}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", cases("adaptive_pooling"))
def test_adaptive_pooling_is_pytorchs(case, kind):
    data, layer = part("adaptive_pooling", case["name"]), KINDS[kind](case["size"])
    close(layer.forward(data["input"]), data[f"{kind}_output"])
    close(layer.backward(data["output_gradient"]), data[f"{kind}_dinput"])


def test_global_max_pooling_is_pytorchs():
    data, layer = part("adaptive_pooling", "global"), GlobalMaxPooling()
    np.testing.assert_array_equal(layer.forward(data["input"]), data["max_output"][:, 0, 0])
    np.testing.assert_array_equal(layer.backward(data["output_gradient"][:, 0, 0]), data["max_dinput"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 4, 6), (2, 3)), ((1, 5, 4), (3, 3)), ((2, 3, 2), (3, 2)), ((1, 1, 2), (2, 3)), ((2, 3, 5), (1, 1))],
)
def test_adaptive_pooling_is_the_loops(shape, size, batch, dtype):
    rng, workspace, tolerance = np.random.default_rng(0), Workspace(), 1e-12 if dtype == np.float64 else 1e-5
    for _ in range(2):  # the second time on memory that is not zero
        x = rng.integers(-2, 3, (*shape, batch)).astype(dtype)
        g = rng.standard_normal((shape[0], *size, batch)).astype(dtype)
        found = reference.adaptive_average_pool_forward(x, size, workspace)
        assert found.dtype == dtype
        close(found, loops.adaptive_average_pool_forward(x, size), tolerance, tolerance)
        back = reference.adaptive_average_pool_backward(g, x.shape, workspace)
        assert back.dtype == dtype
        close(back, loops.adaptive_average_pool_backward(g, x), tolerance, tolerance)
        found, rows = reference.adaptive_max_pool_forward(x, size, workspace)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, loops.adaptive_max_pool_forward(x, size))
        back = reference.adaptive_max_pool_backward(g, x, rows, workspace)
        assert back.dtype == dtype
        close(back, loops.adaptive_max_pool_backward(g, x), tolerance, tolerance)


def test_windows_that_tile_are_those_of_max_pooling():
    rng = np.random.default_rng(0)
    x, g = rng.integers(0, 3, (2, 6, 9, 4)).astype(np.float64), rng.standard_normal((2, 2, 3, 4))
    adaptive, plain = AdaptiveMaxPooling((2, 3)), MaxPooling(3)
    np.testing.assert_array_equal(adaptive.forward(x), plain.forward(x))
    np.testing.assert_array_equal(adaptive.backward(g), plain.backward(g))


@pytest.mark.parametrize(
    "layer", [AdaptiveAveragePooling((2, 3)), AdaptiveMaxPooling((2, 3)), GlobalMaxPooling()]
)
def test_they_take_what_lies_otherwise_in_memory(layer):
    hold_to_the_same_in_any_order(layer, (2, 3, 7))


@pytest.mark.parametrize(
    "layer", [AdaptiveAveragePooling((3, 2)), AdaptiveMaxPooling((3, 2)), GlobalMaxPooling()]
)
def test_they_train_the_same_bits_in_any_number_of_threads(layer):
    def build():
        layers = [Convolutional(kernel_size=3, depth=4), ReLU(), type(layer)(**layer.configuration())]
        return Network([*layers, Flatten(), Dense(output_size=3), Softmax()])

    hold_threads_to_the_same_bits(build, *data(150, size=6))


@pytest.mark.parametrize("layer", [GlobalMaxPooling(), AdaptiveAveragePooling(2), AdaptiveMaxPooling(2)])
def test_they_want_images(layer):
    with pytest.raises(ShapeError, match=r"Pooling\(.* wants images of shape .* got samples of \(3,\)"):
        layer.bind((3,))


@pytest.mark.parametrize("kind", KINDS.values())
@pytest.mark.parametrize(
    ("size", "error", "words"),
    [
        (0, ValueError, "output_size must be at least 1, got 0"),
        ((2, -1), ValueError, r"output_size must be at least 1, got \(2, -1\)"),
        ((None, 2), TypeError, r"output_size must be an integer or a pair of them .*, got \(None, 2\)"),
    ],
)
def test_sizes_that_are_none(kind, size, error, words):
    with pytest.raises(error, match=words):
        kind(size)
