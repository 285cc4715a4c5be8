"""Channels of groups brought together."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits, hold_to_the_same_in_any_order
from helpers.torch_numbers import cases, part
from purecnn import (
    ChannelShuffle,
    Convolutional,
    Dense,
    GlobalAveragePooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import resampling


@pytest.mark.parametrize("case", cases("channel_shuffle"))
def test_channel_shuffle_is_pytorchs(case):
    data, layer = part("channel_shuffle", case["name"]), ChannelShuffle(case["groups"])
    np.testing.assert_array_equal(layer.forward(data["input"]), data["output"])
    np.testing.assert_array_equal(layer.backward(data["output_gradient"]), data["dinput"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize(
    ("shape", "groups"),
    [((6, 3, 2), 2), ((6, 1, 4), 3), ((4, 2, 1), 4), ((3, 1, 1), 1), ((8,), 2), ((6, 5), 3)],
)
def test_channel_shuffle_is_the_loops(shape, groups, batch, dtype):
    rng, workspace = np.random.default_rng(0), Workspace()
    for _ in range(2):  # the second time on memory that is not zero
        x = rng.standard_normal((*shape, batch)).astype(dtype)
        found = resampling.channel_shuffle_forward(x, groups, workspace)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, loops.channel_shuffle_forward(x, groups))
        back = resampling.channel_shuffle_backward(x, groups, workspace)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, loops.channel_shuffle_backward(x, groups))


def test_it_takes_what_lies_otherwise_in_memory():
    hold_to_the_same_in_any_order(ChannelShuffle(2), (6, 3, 4))


def test_the_shuffle_of_the_other_number_takes_it_back():
    x = np.random.default_rng(0).standard_normal((12, 2, 3, 2))
    np.testing.assert_array_equal(ChannelShuffle(4).forward(ChannelShuffle(3).forward(x)), x)


def test_it_trains_the_same_bits_in_any_number_of_threads():
    def build():
        layers = [Convolutional(kernel_size=3, depth=6), ChannelShuffle(3), ReLU()]
        layers += [Convolutional(kernel_size=1, depth=4, groups=2), GlobalAveragePooling()]
        return Network([*layers, Dense(output_size=3), Softmax()])

    hold_threads_to_the_same_bits(build, *data(150, size=6))


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        (0, ValueError, "groups must be an integer of at least 1, got 0"),
        (1.5, TypeError, "groups must be an integer of at least 1, got 1.5"),
    ],
)
def test_groups_that_are_none(groups, error, words):
    with pytest.raises(error, match=words):
        ChannelShuffle(groups)


def test_channels_that_groups_do_not_divide():
    with pytest.raises(ShapeError, match=r"channels that 4 divides, got samples of \(6, 2, 2\)"):
        ChannelShuffle(4).bind((6, 2, 2))
