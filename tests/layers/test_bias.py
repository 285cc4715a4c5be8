"""Layers without biases: what those with zeros in their place compute, and no array for them."""

import numpy as np
import pytest

from helpers.own_passes import hold_to_copies_and_files, hold_to_own_passes, hold_to_the_same_bits
from purecnn import (
    BatchNormalization,
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
)
from purecnn.interop.keras.layers import translate
from purecnn.interop.torch import load_state_dict, torch_code
from purecnn.kernels import cpu, device, reference
from purecnn.metrics.target_scaling import TargetScaling

SHAPES = {
    "convolution": (lambda **options: Convolutional(kernel_size=3, depth=4, **options), (2, 6, 5)),
    "tiles": (lambda **options: Convolutional(kernel_size=3, depth=8, padding=1, **options), (8, 9, 8)),
    "groups": (lambda **options: Convolutional(kernel_size=2, depth=4, groups=2, **options), (2, 4, 5)),
    "depthwise": (
        lambda **options: DepthwiseConvolutional(kernel_size=2, depth_multiplier=2, **options),
        (3, 4, 5),
    ),
    "dense": (lambda **options: Dense(output_size=3, **options), (7,)),
}


@pytest.mark.parametrize("kernel_set", [cpu, device, reference])
@pytest.mark.parametrize("samples", [1, 3, 64])
@pytest.mark.parametrize("name", SHAPES)
def test_no_biases_are_zeros(name, samples, kernel_set):
    make, shape = SHAPES[name]
    without, zeros = make(bias=False), make()
    rng = np.random.default_rng(0)
    for layer in (without, zeros):
        layer.execution.kernel_set = kernel_set
        layer.bind(shape)
        layer.draw(np.random.default_rng(1), np.float64, "he")
    assert without.parameters.keys() == without.gradients.keys() == zeros.parameters.keys() - {"biases"}
    x = rng.normal(size=(*shape, samples))
    y = without.forward(x)
    np.testing.assert_array_equal(y, zeros.forward(x))
    g = rng.normal(size=y.shape)
    np.testing.assert_array_equal(without.backward(g), zeros.backward(g))
    for gradient, wanted in zip(without.gradients.values(), zeros.gradients.values(), strict=False):
        np.testing.assert_array_equal(gradient, wanted)


def bare():
    """Return a network of layers without biases that are fused, normalized, pooled, lone and last."""
    layers = [
        *(Convolutional(kernel_size=3, depth=4, bias=False), MaxPooling(2), ReLU()),
        *(Convolutional(kernel_size=3, depth=6, padding=1, bias=False), BatchNormalization(), MaxPooling(2)),
        *(DepthwiseConvolutional(kernel_size=1, bias=False), ReLU(), Flatten()),
        *(Dense(output_size=8, bias=False), ReLU(), Dense(output_size=3, bias=False), Softmax()),
    ]
    return Network(layers, seed=3, dtype=np.float64)


def test_the_engine_computes_what_the_layers_do():
    hold_to_own_passes(bare)


def test_any_company_of_workers_trains_the_same_bits(monkeypatch):
    hold_to_the_same_bits(monkeypatch, bare)


def test_copies_and_files_train_alike(tmp_path):
    hold_to_copies_and_files(bare, tmp_path)


def test_a_summary_counts_no_biases():
    network = Network([Convolutional(kernel_size=3, depth=5, bias=False)], input_shape=(2, 6, 6))
    assert network.parameters.size == 5 * 2 * 9
    assert "bias=False" in repr(network[0])


def test_pytorch_has_no_bias_where_there_is_none():
    layers = [Convolutional(kernel_size=1, depth=2, bias=False), Flatten(), Dense(output_size=1, bias=False)]
    network = Network(layers, input_shape=(1, 2, 1))
    code = torch_code(network)
    assert "nn.Conv2d(1, 2, kernel_size=(1, 1), bias=False)" in code
    assert "nn.Linear(4, 1, bias=False)" in code
    state = {"0.weight": np.full((2, 1, 1, 1), 2.0), "2.weight": np.ones((1, 4))}
    load_state_dict(network, state)
    assert network.predict(np.array([[[[1.0], [10.0]]]])) == [[44]]
    with pytest.raises(ValueError, match=r"wants weight \(1, 4\); the state dict has weight .* and bias"):
        load_state_dict(network, {**state, "2.bias": np.ones(1)})


@pytest.mark.parametrize(
    ("kind", "config", "shape"),
    [
        ("Conv2D", {"filters": 2, "kernel_size": 1}, (2, 3, 3)),
        ("DepthwiseConv2D", {"kernel_size": 1}, (2, 3, 3)),
        ("SeparableConv2D", {"filters": 2, "kernel_size": 1}, (2, 3, 3)),
        ("Dense", {"units": 2}, (3,)),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_keras_says_use_bias(kind, config, shape, bias):
    *_, last = translate(kind, {**config, "use_bias": bias}, shape).layers
    assert last.bias is bias


def test_bad_arguments_are_one_sentence():
    with pytest.raises(ValueError, match="per_position_bias=True wants bias=True, got bias=False"):
        Convolutional(kernel_size=1, depth=1, bias=False, per_position_bias=True)
    for make in (lambda **o: Convolutional(kernel_size=1, depth=1, **o), lambda **o: Dense(1, **o)):
        with pytest.raises(TypeError, match="bias must be True or False, got 0"):
            make(bias=0)
    with pytest.raises(TypeError, match=r"scaled targets want biases in the last layer.*got Dense\("):
        TargetScaling(np.zeros(1), np.ones(1)).fold(Dense(2, 1, bias=False, rng=0))
    with pytest.raises(TypeError, match=r"Dense takes no argument use_bias.*\bbias\b"):
        Dense(1, use_bias=False)
