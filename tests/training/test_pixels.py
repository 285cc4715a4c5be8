"""Pixels from 0 to 255 that nothing scales are told of once, with what to do; no table of numbers is."""

import warnings

import numpy as np
import pytest

from purecnn import (
    BatchNormalization,
    Convolutional,
    Dense,
    Flatten,
    GlobalAveragePooling,
    Layer,
    Network,
    Preprocessing,
    ReLU,
    Softmax,
    UpSampling,
)
from purecnn.datasets import Subset, mnist
from purecnn.errors import PreprocessingWarning
from purecnn.training.pixels import scale_is_free

IMAGES, LABELS = (array[:40] for array in mnist.load_data()[0])


def layers(*first):
    return [*first, Flatten(), Dense(output_size=10), Softmax()]


def told(x, network=None, **options):
    """Return what a first fit and a second one warn of."""
    network = network or Network(layers())
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(2):
            network.fit(x, LABELS, **options)
    return [(warning.category, str(warning.message), warning.filename) for warning in found]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint16, np.int32])
@pytest.mark.parametrize("shape", [(40, 28, 28), (40, 1, 28, 28), (40, 784)])
def test_pixels_as_numbers_are_told_of_once(dtype, shape):
    ((category, words, file),) = told(IMAGES.astype(dtype).reshape(shape))
    assert category is PreprocessingWarning
    assert words == (
        f"x holds pixels from 0 to {IMAGES.max()} as {np.dtype(dtype)}, which are taken as they are and "
        f"train badly: give them as uint8, which the network scales itself, or divide them by 255, or give "
        f"the network Preprocessing(scale=1 / 255)"
    )
    assert file == __file__


def test_other_depths_and_sets_outside_of_memory():
    for factor, largest in ((257, 65535), (16, 4095)):
        ((_, words, _),) = told(IMAGES.astype(np.uint16) * factor)
        assert f"divide them by {largest}, or" in words
        assert "uint8" not in words
    dark = np.minimum(IMAGES, 90).astype(np.float32)
    assert "from 0 to 90 as float32" in told(dark)[0][1]
    assert told(Subset(IMAGES.astype(np.float32), np.arange(40), LABELS))
    assert told(IMAGES.astype(np.float32), Network(layers(Convolutional(kernel_size=3, depth=2), ReLU())))


@pytest.mark.parametrize("shape", [(40, 28, 28), (40, 784)])
def test_integers_on_both_sides_of_zero_are_pixels_too(shape):
    wrapped = IMAGES.astype(np.int8).reshape(shape)
    ((category, words, file),) = told(wrapped)
    assert (category, file) == (PreprocessingWarning, __file__)
    assert words == (
        "x holds pixels from -128 to 127 as int8, which are taken as they are and train badly: give them as "
        "uint8, which the network scales itself, or divide them by 128, or give the network "
        "Preprocessing(scale=1 / 128)"
    )
    wide = (IMAGES.astype(np.int32) * 257 - 32768).astype(np.int16).reshape(shape)
    ((_, words, _),) = told(wide)
    assert "from -32768 to 32767 as int16" in words
    assert "badly: divide them by 32768, or" in words
    assert not told((IMAGES // 16).astype(np.int8).reshape(shape) - 8)


class Halved(Layer):
    """A scale of one's own."""

    def forward(self, input):
        return self.receive(input) / 255

    def backward(self, output_gradient):
        return output_gradient / 255


@pytest.mark.parametrize("shape", [(40, 28, 28), (40, 784)])
def test_bytes_too_small_for_pixels_are_told_of_once(shape):
    binary = (IMAGES > 127).astype(np.uint8).reshape(shape)
    ((category, words, file),) = told(binary)
    assert (category, file) == (PreprocessingWarning, __file__)
    assert words == (
        "x holds uint8 from 0 to 1, which the network divides by 255 as pixels, and so train badly: give "
        'them as floats, or give it Preprocessing(kind="bytes"), which takes them as they are'
    )
    network = Network(layers(), preprocessing=Preprocessing(kind="bytes"))
    assert not told(binary, network)
    assert network.preprocessing.scale == 1
    assert not told(binary.astype(np.float32))
    assert not told(np.zeros_like(binary))
    assert not told(np.minimum(IMAGES, 17))


def test_the_ways_out_are_silent():
    pixels = IMAGES.astype(np.float32)
    assert not told(IMAGES)
    assert not told(pixels / 255)
    assert not told(pixels / 127.5 - 1)
    for given in (Preprocessing(scale=1 / 255), Preprocessing(shift=-128.0), Preprocessing(kind="numbers")):
        assert not told(pixels, Network(layers(), preprocessing=given))
    assert not told(pixels, Network(layers(BatchNormalization())))
    assert not told(
        pixels, Network(layers(Convolutional(kernel_size=3, depth=2), BatchNormalization(), ReLU()))
    )
    assert not told(pixels, Network(layers(Halved())), threads=1)


def test_tables_of_numbers_are_silent():
    rng = np.random.default_rng(0)
    for table in (
        rng.integers(0, 256, (40, 30)),  # no picture has 30 values
        rng.integers(0, 200, (40, 64)),
        rng.random((40, 64)) * 255,
        rng.normal(0, 300, (40, 8, 8)),
        np.abs(rng.normal(0, 3, (40, 8, 8))),
    ):
        assert not told(table)
    network = Network(layers(), input_shape=(1, 28, 28))
    network.predict(IMAGES.astype(np.float32))  # only asked, not trained


def test_what_keeps_the_scale_does_not_hide_the_normalization_behind_it():
    for layer in (UpSampling(2), GlobalAveragePooling()):
        assert scale_is_free([Convolutional(kernel_size=3, depth=2), layer, BatchNormalization(), ReLU()])
        assert not scale_is_free([Convolutional(kernel_size=3, depth=2), layer, ReLU(), BatchNormalization()])
