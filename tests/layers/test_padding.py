"""Borders put around images, of zeros or of their own pixels, and taken off them."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits
from helpers.torch_numbers import cases, part
from purecnn import (
    Convolutional,
    Cropping,
    Dense,
    GlobalAveragePooling,
    Network,
    ReflectionPadding,
    ReLU,
    ReplicationPadding,
    ShapeError,
    Softmax,
    ZeroPadding,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import resampling

PADDINGS = [ZeroPadding, ReflectionPadding, ReplicationPadding]


@pytest.mark.parametrize("kind", [ReflectionPadding, ReplicationPadding])
@pytest.mark.parametrize("case", cases("borders"))
def test_borders_of_pixels_are_pytorchs(case, kind):
    data, layer = part("borders", case["name"]), kind(case["padding"])
    np.testing.assert_array_equal(layer.forward(data["input"]), data[f"{kind.mode}_output"])
    back = layer.backward(data["output_gradient"])
    np.testing.assert_allclose(back, data[f"{kind.mode}_dinput"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", cases("borders"))
def test_cropping_is_pytorchs(case):
    data, layer = part("borders", case["name"]), Cropping(case["padding"])
    np.testing.assert_array_equal(layer.forward(data["output_gradient"]), data["cropped"])
    np.testing.assert_array_equal(layer.backward(data["input"]), data["cropped_dinput"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize(
    ("shape", "padding"),
    [((2, 3, 4), ((1, 2), (3, 0))), ((1, 2, 2), ((1, 1), (1, 1))), ((3, 1, 3), ((0, 0), (2, 2)))],
)
def test_borders_of_pixels_are_the_loops(shape, padding, mode, batch, dtype):
    rng, workspace = np.random.default_rng(0), Workspace()
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for _ in range(2):  # the second time on memory that is not zero
        x = rng.standard_normal((*shape, batch)).astype(dtype)
        found = resampling.border_pad_forward(x, padding, mode, workspace)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, loops.border_pad_forward(x, padding, mode))
        g = rng.standard_normal(found.shape).astype(dtype)
        given = g.copy()
        back = resampling.border_pad_backward(g, padding, mode, workspace)
        assert back.dtype == dtype
        wanted = loops.border_pad_backward(g, x, padding, mode)
        np.testing.assert_allclose(back, wanted, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(g, given)


def test_a_cropping_by_hand():
    layer = Cropping(((1, 0), (0, 1)))
    x = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, :, :, None]
    assert layer.forward(x)[0, :, :, 0].tolist() == [[4, 5], [7, 8]]
    back = layer.backward(np.array([[1.0, 2], [3, 4]])[None, :, :, None])
    assert back[0, :, :, 0].tolist() == [[0, 0, 0], [1, 2, 0], [3, 4, 0]]


def test_a_cropping_takes_off_what_a_padding_put_around():
    rng, border = np.random.default_rng(0), ((2, 0), (1, 3))
    x = rng.standard_normal((2, 5, 4, 3))
    for kind in PADDINGS:
        np.testing.assert_array_equal(Cropping(border).forward(kind(border).forward(x)), x)


def test_what_is_cropped_stays_as_it_was_where_an_activation_follows():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 6, 6)).astype(np.uint8), rng.integers(0, 3, 50)
    layers = [
        Convolutional(kernel_size=1, depth=3),
        Cropping(((0, 1), (2, 0))),
        ReLU(),
        ReplicationPadding(1),
    ]
    network = Network(
        [*layers, ReLU(), GlobalAveragePooling(), Dense(output_size=3), Softmax()], dtype=np.float64
    )
    network.fit(x, y, epochs=3, batch_size=20, optimizer="sgd")  # batches of 20, 20 and 10
    values = np.moveaxis(x[:, None] / 255, 0, -1)
    for layer in network:
        values = layer.forward(values)
    np.testing.assert_allclose(network.predict(x), values.T, rtol=1e-9)


def test_zeros_stay_zeros_where_an_activation_works_in_place():
    network = Network(
        [
            Convolutional(kernel_size=1, depth=2),
            ZeroPadding(((2, 1), (0, 3))),
            ReLU(),
            Convolutional(kernel_size=2, depth=2),
            GlobalAveragePooling(),
            Dense(output_size=3),
            Softmax(),
        ],
        dtype=np.float64,
    )
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 5, 5)).astype(np.uint8), rng.integers(0, 3, 50)
    network.fit(x, y, epochs=3, batch_size=20, optimizer="sgd")  # batches of 20, 20 and 10
    values = np.moveaxis(x[:, None] / 255, 0, -1)
    for layer in network:
        values = layer.forward(values)
    np.testing.assert_allclose(network.predict(x), values.T, rtol=1e-9)


def test_channels_are_cropped_and_their_gradients_are_zeros():
    layer = Cropping(((0, 1), (0, 0)), channels=(1, 2))
    x = np.arange(4 * 2 * 1 * 3.0).reshape(4, 2, 1, 3)
    np.testing.assert_array_equal(layer.forward(x), x[1:2, :1])
    g = np.ones((1, 1, 1, 3))
    wanted = np.zeros_like(x)
    wanted[1:2, :1] = g
    np.testing.assert_array_equal(layer.backward(g), wanted)


@pytest.mark.parametrize("layer", [ReflectionPadding(2), ReplicationPadding(2), Cropping(1)])
def test_they_train_the_same_bits_in_any_number_of_threads(layer):
    def build():
        layers = [Convolutional(kernel_size=3, depth=4), type(layer)(**layer.configuration()), ReLU()]
        last = [
            Convolutional(kernel_size=2, depth=4),
            GlobalAveragePooling(),
            Dense(output_size=3),
            Softmax(),
        ]
        return Network([*layers, *last])

    hold_threads_to_the_same_bits(build, *data(150, size=6))


@pytest.mark.parametrize("kind", [*PADDINGS, Cropping])
def test_they_want_images(kind):
    with pytest.raises(
        ShapeError, match=rf"{kind.__name__}\(.* wants images of shape .* got samples of \(3,\)"
    ):
        kind().bind((3,))


def test_images_that_are_too_small():
    with pytest.raises(ShapeError, match=r"images larger than each side of its padding, got \(3, 2\)"):
        ReflectionPadding((1, 2)).bind((1, 3, 2))
    assert ReplicationPadding((1, 2)).bind((1, 3, 2)) == (1, 5, 6)
    with pytest.raises(ShapeError, match=r"images larger than what it takes off, got \(3, 5\)"):
        Cropping(((1, 2), (0, 0))).bind((1, 3, 5))
    with pytest.raises(ShapeError, match="wants more channels than it takes off, got 3"):
        Cropping(0, channels=(1, 2)).bind((3, 3, 5))


@pytest.mark.parametrize(
    ("padding", "error", "words"),
    [
        (-1, ValueError, "padding must be at least 0, got -1"),
        (((1, 0), (0, -2)), ValueError, r"padding must be at least 0, got \(0, -2\)"),
        (1.5, TypeError, "padding must be an integer or a pair of them"),
        (((1, 2), 3), TypeError, r"two pairs \(\(top, bottom\), \(left, right\)\), got \(\(1, 2\), 3\)"),
        (((1, 2), (3, 4), (5, 6)), TypeError, "two pairs"),
        ((1, 2, 3), TypeError, "padding must be an integer or a pair of them"),
        (((1, 2), (3, 4, 5)), TypeError, "padding must be an integer or a pair of them"),
    ],
)
def test_paddings_that_are_none(padding, error, words):
    for kind in PADDINGS:
        with pytest.raises(error, match=words):
            kind(padding)
    with pytest.raises(error, match=words.replace("padding", "cropping")):
        Cropping(padding)


def test_paddings_as_keras_writes_them():
    assert ZeroPadding(2).padding == ((2, 2), (2, 2))
    assert ZeroPadding((1, 2)).padding == ((1, 1), (2, 2))
    assert ZeroPadding([[1, 2], [3, 4]]).padding == ((1, 2), (3, 4))


def test_maps_of_zeros_by_hand():
    layer = ZeroPadding(0, channels=(1, 2))
    y = layer.forward(np.array([[[[5.0]]], [[[7.0]]]]))
    assert y.ravel().tolist() == [0, 5, 7, 0, 0]
    assert layer.backward(np.arange(1.0, 6).reshape(y.shape)).ravel().tolist() == [2, 3]
    assert ZeroPadding(channels=1).channels == (1, 1)
    assert repr(layer) == "ZeroPadding(padding=((0, 0), (0, 0)), channels=(1, 2))"
    with pytest.raises(ValueError, match=r"channels must be at least 0, got \(0, -1\)"):
        ZeroPadding(0, channels=(0, -1))
