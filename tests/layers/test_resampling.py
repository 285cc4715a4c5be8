"""Layers that enlarge images: upsampling, depth to space."""

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits, hold_to_the_same_in_any_order
from helpers.torch_numbers import cases, close, part
from purecnn import (
    Convolutional,
    Dense,
    DepthToSpace,
    GlobalAveragePooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    UpSampling,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import resampling

#: Ways to enlarge: the interpolation, and whether the corners are aligned.
HOW = [("nearest",), ("bilinear",), ("bilinear", True)]


@pytest.mark.parametrize("case", cases("upsampling"))
def test_upsampling_is_pytorchs(case):
    data = part("upsampling", case["name"])
    layer = UpSampling(case["size"], case["interpolation"], case["align_corners"])
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1), (1, 4), (5, 2)])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), (3, 5, 2), (1, 1, 4)])
def test_upsampling_is_the_loops(shape, size, how, batch, dtype):
    rng, workspace, tolerance = np.random.default_rng(0), Workspace(), 1e-12 if dtype == np.float64 else 1e-5
    x = rng.standard_normal((*shape, batch)).astype(dtype)
    g = rng.standard_normal((shape[0], shape[1] * size[0], shape[2] * size[1], batch)).astype(dtype)
    for _ in range(2):  # the second time on memory that is not zero
        found = resampling.upsample_forward(x, size, how[0], workspace, *how[1:])
        assert found.dtype == dtype
        close(found, loops.upsample_forward(x, size, *how), tolerance, tolerance)
        back = resampling.upsample_backward(g, size, how[0], workspace, *how[1:])
        assert back.dtype == dtype
        close(back, loops.upsample_backward(g, x, size, *how), tolerance, tolerance)


@pytest.mark.parametrize(
    "layer", [*(UpSampling(2, *way) for way in HOW), DepthToSpace(), DepthToSpace(2, "DCR")]
)
def test_they_take_what_lies_otherwise_in_memory(layer):
    hold_to_the_same_in_any_order(layer, (8, 3, 4))


def test_nearest_repeats_at_every_factor_and_hands_on_what_is_not_finite():
    x = np.array([np.nan, 1, np.inf, -0.0, 2], np.float32).reshape(1, 1, 5, 1)
    for factor in (2, 41, 47):
        found = UpSampling((1, factor)).forward(x)
        assert found.tobytes() == np.repeat(x, factor, axis=2).tobytes()


@pytest.mark.parametrize("case", cases("depth_to_space"))
def test_depth_to_space_is_pytorchs(case):
    data = part("depth_to_space", case["name"])
    layer = DepthToSpace(case["block_size"], case["mode"])
    np.testing.assert_array_equal(layer.forward(data["input"]), data["output"])
    np.testing.assert_array_equal(layer.backward(data["output_gradient"]), data["dinput"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize(
    ("shape", "block"), [((4, 3, 2), 2), ((18, 1, 4), 3), ((3, 2, 2), 1), ((16, 1, 1), 2)]
)
def test_depth_to_space_is_the_loops(shape, block, mode, batch, dtype):
    rng, workspace = np.random.default_rng(0), Workspace()
    for _ in range(2):  # the second time on memory that is not zero
        x = rng.standard_normal((*shape, batch)).astype(dtype)
        found = resampling.depth_to_space_forward(x, block, mode, workspace)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, loops.depth_to_space_forward(x, block, mode))
        g = rng.standard_normal(found.shape).astype(dtype)
        back = resampling.depth_to_space_backward(g, block, mode, workspace)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, loops.depth_to_space_backward(g, x, block, mode))


@pytest.mark.parametrize("layer", [*(UpSampling((3, 2), *how) for how in HOW), DepthToSpace(2)])
def test_they_train_the_same_bits_in_any_number_of_threads(layer):
    def build():
        layers = [Convolutional(kernel_size=3, depth=4), type(layer)(**layer.configuration()), ReLU()]
        return Network([*layers, GlobalAveragePooling(), Dense(output_size=3), Softmax()])

    hold_threads_to_the_same_bits(build, *data(150, size=6))


@pytest.mark.parametrize("kind", [UpSampling, DepthToSpace])
def test_they_want_images(kind):
    with pytest.raises(
        ShapeError, match=rf"{kind.__name__}\(.* wants images of shape .* got samples of \(3,\)"
    ):
        kind().bind((3,))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0,), ValueError, "size must be at least 1, got 0"),
        (((2, -1),), ValueError, r"size must be at least 1, got \(2, -1\)"),
        ((1.5,), TypeError, "size must be an integer or a pair of them"),
        ((2, "bicubic"), ValueError, "interpolation must be one of nearest, bilinear, got 'bicubic'"),
        ((2, None), ValueError, "interpolation must be one of nearest, bilinear, got None"),
        ((2, "bilinear", 1), TypeError, "align_corners must be True or False, got 1"),
        (
            (2, "nearest", True),
            ValueError,
            "align_corners says .* interpolation 'bilinear' is wanted, got 'nearest'",
        ),
    ],
)
def test_upsamplings_that_are_none(arguments, error, words):
    with pytest.raises(error, match=words):
        UpSampling(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0,), ValueError, "block_size must be an integer of at least 1, got 0"),
        (((2, 2),), TypeError, r"block_size must be an integer of at least 1, got \(2, 2\)"),
        ((2, "RCD"), ValueError, "mode must be one of CRD, DCR, got 'RCD'"),
    ],
)
def test_depths_to_space_that_are_none(arguments, error, words):
    with pytest.raises(error, match=words):
        DepthToSpace(*arguments)


def test_channels_that_make_no_blocks():
    with pytest.raises(ShapeError, match=r"channels that 2 x 2 divides, got samples of \(6, 2, 2\)"):
        DepthToSpace(2).bind((6, 2, 2))
