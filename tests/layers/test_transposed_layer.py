"""The transposed convolution in networks, in Keras's words, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.own_passes import hold_to_copies_and_files, hold_to_own_passes, hold_to_the_same_bits
from purecnn import (
    BatchNormalization,
    Convolutional,
    Dense,
    Flatten,
    Layer,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    Tanh,
    TransposedConvolutional,
)
from purecnn.interop.torch import torch_code


def up(depth, kernel_size=4, **options):
    """Return a transposed convolution that doubles an image."""
    return TransposedConvolutional(
        kernel_size=kernel_size, depth=depth, **{"stride": 2, "padding": "same", **options}
    )


def build():
    """Return a network that narrows images and widens them again, in each of the ways of the kernels."""
    layers = [
        *(Convolutional(kernel_size=3, depth=8, stride=2, padding=1), BatchNormalization(), ReLU()),
        *(up(8), ReLU(), up(4, 3, stride=1, padding=1, bias=False), BatchNormalization(), Tanh()),
        *(up(4, (3, 2), groups=2), Tanh(), up(3, 2, stride=1, dilation=3, padding=0)),
        *(Convolutional(kernel_size=4, depth=2, stride=4), Flatten(), Dense(output_size=3), Softmax()),
    ]
    return Network(layers, dtype=np.float64, seed=3)


def test_the_engine_is_the_layers_own_passes():
    hold_to_own_passes(build)


def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch):
    hold_to_the_same_bits(monkeypatch, build)


def test_copies_and_files_train_alike(tmp_path):
    hold_to_copies_and_files(build, tmp_path)


def test_it_is_what_a_convolution_does_on_its_way_back():
    rng = np.random.default_rng(0)
    there = Convolutional((2, 9, 8), (3, 4), 3, stride=2, padding=1, bias=False, rng=1, dtype=np.float64)
    back = TransposedConvolutional(
        there.output_shape, (3, 4), 2, stride=2, padding=1, bias=False, rng=2, dtype=np.float64
    )
    back.parameters["kernels"][...] = there.parameters["kernels"]
    there.forward(rng.normal(size=(2, 9, 8, 2)))
    g = rng.normal(size=(*there.output_shape, 2))
    np.testing.assert_allclose(back.forward(g), there.backward(g), rtol=0, atol=1e-12)


def test_same_padding_makes_an_image_larger_by_the_stride():
    for kernel_size in range(1, 6):
        for stride in range(1, 5):
            layer = TransposedConvolutional(
                kernel_size=kernel_size, depth=1, stride=(stride, 1), padding="same"
            )
            assert layer.bind((1, 3, 4)) == (1, 3 * stride, 4)


def test_kernels_begin_as_those_of_a_convolution():
    layer = TransposedConvolutional((64, 4, 4), 3, 32, groups=2, initialization="he", rng=0)
    assert layer.parameters["kernels"].shape == (64, 16, 3, 3)
    assert layer.parameters["kernels"].var() == pytest.approx(2 / (32 * 9), rel=0.05)
    assert not layer.parameters["biases"].any()


def test_what_pytorch_can_not_cut_off_is_cut_off_behind():
    layers = [up(2, 3), TransposedConvolutional(kernel_size=3, depth=1, padding=((2, 0), (1, 1)))]
    code = torch_code(Network(layers, input_shape=(3, 4, 4)))
    assert "nn.ConvTranspose2d(3, 2, kernel_size=(3, 3), stride=(2, 2))" in code
    assert "nn.ZeroPad2d((0, -1, 0, -1))" in code
    assert "nn.ConvTranspose2d(2, 1, kernel_size=(3, 3), padding=(0, 1))" in code
    assert "nn.ZeroPad2d((0, 0, -2, 0))" in code


KERAS = Path(__file__).parents[1] / "fixtures" / "keras_layers.npz"
with np.load(KERAS) as _file:
    CASES = [json.loads(str(_file[name])) for name in _file.files if name.endswith("/layer")]


@pytest.mark.parametrize("k", range(len(CASES)))
def test_it_gives_kerass_numbers(k):
    from purecnn.interop.keras.layers import translate
    from purecnn.interop.keras.layouts import parts

    with np.load(KERAS) as file:
        given = {name.partition("/")[2]: file[name] for name in file.files if name.startswith(f"{k}/")}
    x = np.moveaxis(given["input"], -1, 1)
    found = translate(CASES[k]["class_name"], CASES[k]["config"], x.shape[1:])
    network = Network(found.layers, input_shape=x.shape[1:], dtype=np.float64)
    variables = dict(zip(found.variables, (given[str(i)] for i in range(9) if str(i) in given), strict=True))
    for place, part in enumerate(parts(list(network))):  # one, or both of a separable convolution
        own = {name: variables[theirs] for name, theirs in found.of(place).items()}
        for name, array in part.take(own, np.dtype(np.float64)).items():
            part.layer.parameters[name][...] = array
    answers = network.predict(x)
    np.testing.assert_allclose(np.moveaxis(answers, 1, -1), given["output"], rtol=0, atol=1e-12)


def refused(**options) -> Layer:
    return TransposedConvolutional(**{"kernel_size": 3, "depth": 4, **options})


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: TransposedConvolutional(32, 3), TypeError, r"TransposedConvolutional\(32, 3\) does not say"),
        (
            lambda: refused(depth=None),
            TypeError,
            "needs kernel_size and depth; got kernel_size=3, depth=None",
        ),
        (lambda: refused(padding="valid"), ValueError, "got 'valid': that is a padding of 0"),
        (
            lambda: refused(padding="full"),
            ValueError,
            "an integer, a pair of them, two pairs or .*got 'full'",
        ),
        (lambda: refused(padding=((1, 0), 2)), TypeError, r"two pairs .*got \(\(1, 0\), 2\)"),
        (lambda: refused(padding=-1), ValueError, "padding must be .*at least 0, got -1"),
        (
            lambda: refused(padding="same", stride=2, output_padding=1),
            ValueError,
            r'output_padding must be 0 where padding is "same", .*got \(1, 1\)',
        ),
        (
            lambda: refused(stride=2, output_padding=(1, 2)),
            ValueError,
            r"output_padding must be smaller than the stride, \(2, 2\), or the dilation, .*got \(1, 2\)",
        ),
        (lambda: refused(groups=3), ValueError, "groups must divide depth, 4, got 3"),
        (lambda: refused(bias=None), TypeError, "bias must be True or False, got None"),
        (lambda: refused(groups=2).bind((3, 4, 4)), ShapeError, "channels in 2 groups, got 3 channels"),
        (lambda: refused().bind((3, 4)), ShapeError, "wants images of shape"),
        (
            lambda: refused(padding=3).bind((1, 4, 2)),
            ShapeError,
            r"leaves 0 rows and -2 columns of an image of \(4, 2\), wanted at least 1: a smaller padding",
        ),
        (
            lambda: refused(input_shape=(1, 4, 4)).bind((2, 4, 4)),
            ShapeError,
            r"wants images of shape \(1, 4, 4\), got \(2, 4, 4\)",
        ),
    ],
)
def test_bad_arguments_are_one_sentence(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
