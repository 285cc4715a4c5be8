"""The depthwise separable convolution: beside its two convolutions, by hand, in the engine and elsewhere."""

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
    SeparableConvolutional,
    ShapeError,
    Softmax,
    summary,
    trace,
)
from purecnn.interop.torch import load_state_dict, torch_code
from purecnn.interop.torch.weights import state_dict
from purecnn.training.fusion import fuse


def build():
    """Return a network whose separable convolutions are pooled, normalized and strided."""
    layers = [
        *(SeparableConvolutional(kernel_size=3, depth=4, depth_multiplier=2), MaxPooling(2), ReLU()),
        *(SeparableConvolutional(kernel_size=3, depth=6, padding="same", bias=False), BatchNormalization()),
        *(ReLU(), SeparableConvolutional(kernel_size=2, depth=5, stride=2), Flatten()),
        *(Dense(output_size=3), Softmax()),
    ]
    return Network(layers, dtype=np.float64, seed=3)


def test_the_engine_is_the_layers_own_passes():
    hold_to_own_passes(build)


def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch):
    hold_to_the_same_bits(monkeypatch, build)


def test_copies_and_files_train_alike(tmp_path):
    hold_to_copies_and_files(build, tmp_path)


def test_by_hand():
    layer = SeparableConvolutional((2, 1, 2), (1, 2), 2, rng=0, dtype=np.float64)
    layer.parameters["depthwise.kernels"][...] = np.array([[1.0, 10], [2, 3]]).reshape(2, 1, 1, 2)
    layer.parameters["pointwise.kernels"][...] = np.array([[1.0, 100], [-1, 0]]).reshape(2, 2, 1, 1)
    layer.parameters["pointwise.biases"][...] = 0.5, 0
    x = np.array([[5.0, 6], [7, 8]]).reshape(2, 1, 2, 1)
    # the channels by themselves give 5 + 60 and 14 + 24
    assert layer.forward(x).ravel().tolist() == [65 + 3800 + 0.5, -65]
    dx = layer.backward(np.array([1.0, 2]).reshape(2, 1, 1, 1))
    # of the two maps between, the derivatives are 1 - 2 and 100
    assert dx.ravel().tolist() == [-1, -10, 200, 300]
    assert layer.gradients["depthwise.kernels"].ravel().tolist() == [-5, -6, 700, 800]
    assert layer.gradients["pointwise.kernels"].ravel().tolist() == [65, 38, 130, 76]
    assert layer.gradients["pointwise.biases"].tolist() == [1, 2]


def test_the_engine_sees_both_convolutions_and_takes_in_what_stands_behind():
    layer = SeparableConvolutional((2, 6, 6), 3, 4)
    kinds = [type(step).__name__ for step in fuse([layer, MaxPooling(2)])]
    assert kinds == ["DepthwiseConvolutional", "PooledConvolutional"]


def test_a_summary_shows_both():
    text = str(summary([SeparableConvolutional(kernel_size=3, depth=8)], input_shape=(3, 9, 9)))
    assert "DepthwiseConvolutional" in text
    assert "59" in text


def test_a_cell_is_that_of_the_convolution_of_1_x_1():
    network = Network([SeparableConvolutional(kernel_size=3, depth=4)], input_shape=(2, 5, 5))
    found = trace(network, np.random.default_rng(0).normal(size=(1, 2, 5, 5)))[0]
    cell = found.cell(3, 1, 2)
    assert (cell.layer, cell.window.shape) == ("Convolutional", (2, 1, 1))
    assert cell.total == pytest.approx(found.output[0, 3, 1, 2], rel=1e-5)


def test_pytorch_has_two_convolutions_for_it():
    network = Network(
        [ReLU(), SeparableConvolutional(kernel_size=3, depth=4, depth_multiplier=2)], input_shape=(3, 6, 6)
    )
    code = torch_code(network)
    assert "nn.Conv2d(3, 6, kernel_size=(3, 3), groups=3, bias=False)" in code
    assert "nn.Conv2d(6, 4, kernel_size=(1, 1))" in code
    state = state_dict(network)
    assert list(state) == ["1.weight", "2.weight", "2.bias"]
    state = {name: 2 * array for name, array in state.items()}
    load_state_dict(network, state)
    np.testing.assert_array_equal(network[1].parameters["depthwise.kernels"], state["1.weight"])
    with pytest.raises(ShapeError, match=r"layer 1 \(DepthwiseConvolutional\) wants weight \(6, 1, 3, 3\)"):
        load_state_dict(network, {**state, "1.weight": np.zeros((6, 1, 2, 2))})


def test_it_is_the_two_layers_one_after_the_other():
    one = SeparableConvolutional((3, 7, 6), (2, 3), 4, stride=2, padding=1, dilation=(2, 1), rng=0)
    first = DepthwiseConvolutional((3, 7, 6), (2, 3), stride=2, padding=1, dilation=(2, 1), bias=False, rng=1)
    second = Convolutional(first.output_shape, 1, 4, rng=2)
    first.parameters["kernels"][...] = one.parameters["depthwise.kernels"]
    second.parameters["kernels"][...] = one.parameters["pointwise.kernels"]
    x = np.random.default_rng(0).normal(size=(3, 7, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(one.forward(x), second.forward(first.forward(x)))


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: SeparableConvolutional(32, 3), TypeError, r"SeparableConvolutional\(32, 3\) does not say"),
        (lambda: SeparableConvolutional(kernel_size=3), TypeError, "got kernel_size=3, depth=None"),
        (
            lambda: SeparableConvolutional(kernel_size=3, depth=2, depth_multiplier=0),
            ValueError,
            "depth_multiplier must be .*, got 0",
        ),
        (lambda: SeparableConvolutional(kernel_size=3, depth=0), ValueError, "depth must be .*, got 0"),
        (lambda: SeparableConvolutional(kernel_size=3, depth=1, bias=2), TypeError, "bias must be True or"),
        (
            lambda: SeparableConvolutional(kernel_size=3, depth=2).bind((1, 2, 2)),
            ShapeError,
            r"layer 0 of a SeparableConvolutional: .*has a window of \(3, 3\), larger than the image",
        ),
    ],
)
def test_bad_arguments_are_one_sentence(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
