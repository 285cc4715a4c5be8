"""Layers of images without parameters: global pooling, dropout of whole maps."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits
from helpers.torch_numbers import cases, close, part
from purecnn import (
    Convolutional,
    Dense,
    GlobalAveragePooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    SpatialDropout,
    ZeroPadding,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, reference


@pytest.mark.parametrize("case", cases("shaping"))
def test_padding_and_means_are_pytorchs(case):
    data = part("shaping", case["name"])
    layer = ZeroPadding(tuple(map(tuple, case["padding"])))
    np.testing.assert_array_equal(layer.forward(data["input"]), data["padded"])
    np.testing.assert_array_equal(layer.backward(data["padded_gradient"]), data["padded_dinput"])
    layer = GlobalAveragePooling()
    close(layer.forward(data["input"]), data["mean"])
    close(layer.backward(data["mean_gradient"]), data["mean_dinput"])


@pytest.mark.parametrize("kernels", [reference, cpu])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 1, 0)])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (3, 5, 2)])
def test_global_average_pooling_is_the_loops(shape, order, batch, dtype, kernels):
    rng, workspace, tolerance = np.random.default_rng(0), Workspace(), 1e-12 if dtype == np.float64 else 1e-5
    x = rng.standard_normal((*shape, batch)).astype(dtype)
    x = x.transpose(order).copy().transpose(np.argsort(order))  # another order in memory
    g = rng.standard_normal((shape[0], batch)).astype(dtype)
    found = kernels.global_average_pool_forward(x, workspace)
    assert found.dtype == dtype
    close(found, loops.global_average_pool_forward(x), tolerance, tolerance)
    back = reference.global_average_pool_backward(g, x.shape, workspace)
    close(back, loops.global_average_pool_backward(g, x), tolerance, tolerance)


def test_loops_by_hand():
    x = np.array([[1.0, 2], [3, 6]])[None, :, :, None]
    assert loops.global_average_pool_forward(x).tolist() == [[3]]
    assert loops.global_average_pool_backward(np.array([[8.0]]), x)[0, :, :, 0].tolist() == [[2, 2], [2, 2]]


def test_spatial_dropout_hides_whole_maps_at_its_rate():
    layer, x = SpatialDropout(0.25), np.ones((50, 3, 4, 60), np.float32)
    np.testing.assert_array_equal(layer.forward(x), x)
    layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
    y = layer.forward(x)
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(np.mean(y == 0) - 0.25) < 0.03
    np.testing.assert_array_equal(layer.backward(x), y)


def test_spatial_dropout_trains_the_same_bits_in_any_number_of_threads():
    def build():
        layers = [Convolutional(kernel_size=3, depth=4), SpatialDropout(0.3), ZeroPadding(1), ReLU()]
        return Network([*layers, GlobalAveragePooling(), Dense(output_size=3), Softmax()])

    hold_threads_to_the_same_bits(build, *data(150, size=6))


@pytest.mark.parametrize("kind", [GlobalAveragePooling, SpatialDropout])
def test_they_want_images(kind):
    with pytest.raises(
        ShapeError, match=rf"{kind.__name__}\(.* wants images of shape .* got samples of \(3,\)"
    ):
        kind().bind((3,))
