"""The oracle on trial: the plain loops against answers worked by hand, and against PyTorch's numbers."""

import json
import math

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.torch_numbers import cases, listed, load

NO_PADDING = ((0, 0), (0, 0))


def close(actual, expected, atol=1e-13):
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=atol)


def image(rows):
    """Rows of numbers as one image of one channel, (1, H, W, 1)."""
    return np.array(rows, dtype=np.float64)[None, :, :, None]


def rows(array):
    """The first channel of the first sample, as nested lists."""
    return array[0, :, :, 0].tolist()


# --------------------------------------------------------------------------------------- worked by hand

SIGNAL = np.array([1.0, 2, 4, 8])[None, :, None]


def test_conv1d_by_hand():
    kernel = np.array([[[1.0, 10]]])
    # 1 + 20, 2 + 40, 4 + 80; with a zero before, every second one: 0 + 10, 2 + 40
    found = loops.conv1d_forward(SIGNAL, kernel, None, 1, (0, 0))
    assert found[0, :, 0].tolist() == [21, 42, 84]
    found = loops.conv1d_forward(SIGNAL, kernel, np.array([0.5]), 2, (1, 0))
    assert found[0, :, 0].tolist() == [10.5, 42.5]
    # holes of one: 1 + 40, 2 + 80
    assert loops.conv1d_forward(SIGNAL, kernel, None, 1, (0, 0), 2)[0, :, 0].tolist() == [41, 82]


def test_conv1d_backward_by_hand():
    g, kernel = np.array([1.0, 0, -1])[None, :, None], np.array([[[1.0, 10]]])
    dx, dkernels, dbiases = loops.conv1d_backward(g, SIGNAL, kernel, 1, (0, 0))
    assert dx[0, :, 0].tolist() == [1, 10, -1, -10]
    assert dkernels.tolist() == [[[1 - 4, 2 - 8]]]
    assert dbiases.tolist() == [0]


def test_pool1d_by_hand():
    x, g = np.array([3.0, 3, 1, 5, 9])[None, :, None], np.array([2.0, 4])[None, :, None]
    largest, dlargest, mean, dmean = (array[0, :, 0].tolist() for array in loops.pool1d(x, g, 2, 2))
    assert (largest, dlargest) == ([3, 5], [2, 0, 0, 4, 0])  # a tie goes to the first, the last is left over
    assert (mean, dmean) == ([3, 3], [1, 1, 2, 2, 0])


X = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
K = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])


def test_conv2d_by_hand():
    # 1*1 + 2*2 + 3*4 + 4*5 = 37    1*2 + 2*3 + 3*5 + 4*6 = 47
    # 1*4 + 2*5 + 3*7 + 4*8 = 67    1*5 + 2*6 + 3*8 + 4*9 = 77
    assert rows(loops.conv2d_forward(X, K, None, (1, 1), NO_PADDING)) == [[37, 47], [67, 77]]
    assert rows(loops.conv2d_forward(X, K, np.array([10.0]), (1, 1), NO_PADDING)) == [[47, 57], [77, 87]]
    per_position = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert rows(loops.conv2d_forward(X, K, per_position, (1, 1), NO_PADDING)) == [[38, 49], [70, 81]]


def test_conv2d_backward_by_hand():
    g = image([[1, 0], [2, -1]])
    dx, dkernels, dbiases, dbiases_per_position = loops.conv2d_backward(g, X, K, (1, 1), NO_PADDING)
    # The kernel laid at each output's place, times its gradient:
    #   1 at (0, 0)    2 at (1, 0)    -1 at (1, 1)     sum
    #   1 2 .          .  .  .        .  .  .          1  2  0
    #   3 4 .          2  4  .        . -1 -2          5  7 -2
    #   . . .          6  8  .        . -3 -4          6  5 -4
    assert rows(dx) == [[1, 2, 0], [5, 7, -2], [6, 5, -4]]
    # 1*1 + 0*2 + 2*4 - 1*5 =  4    1*2 + 0*3 + 2*5 - 1*6 =  6
    # 1*4 + 0*5 + 2*7 - 1*8 = 10    1*5 + 0*6 + 2*8 - 1*9 = 12
    assert dkernels.tolist() == [[[[4, 6], [10, 12]]]]
    assert dbiases.tolist() == [2]  # 1 + 0 + 2 - 1
    assert dbiases_per_position.tolist() == [[[1, 0], [2, -1]]]  # one sample: the gradient itself


def test_conv2d_with_padding_by_hand():
    # A row of zeros above and a column of zeros to the right:
    #   0 0 0 0
    #   1 2 3 0       3*1 + 4*2 = 11    3*2 + 4*3 = 18    3*3 =  9
    #   4 5 6 0       37, as above      47                1*3 + 3*6 = 21
    #   7 8 9 0       67                77                1*6 + 3*9 = 33
    padding = ((1, 0), (0, 1))
    whole = [[11, 18, 9], [37, 47, 21], [67, 77, 33]]
    assert rows(loops.conv2d_forward(X, K, None, (1, 1), padding)) == whole
    # A stride of 2 keeps the first and the last of each row and column.
    assert rows(loops.conv2d_forward(X, K, None, (2, 2), padding)) == [[11, 9], [67, 33]]


def test_conv2d_backward_with_padding_and_stride_by_hand():
    g = image([[1, 2], [3, 4]])
    dx, dkernels, dbiases, _ = loops.conv2d_backward(g, X, K, (2, 2), ((1, 0), (0, 1)))
    # The four windows do not overlap. Those above keep only the kernel's lower row, those on the right only
    # its left column:
    #   3*1  4*1 | 3*2
    #   ---------+----
    #   1*3  2*3 | 1*4
    #   3*3  4*3 | 3*4
    assert rows(dx) == [[3, 4, 6], [3, 6, 4], [9, 12, 12]]
    # Kernel cell (0, 0) saw 0, 0, 4, 6:  3*4 + 4*6             = 36
    # Kernel cell (0, 1) saw 0, 0, 5, 0:  3*5                   = 15
    # Kernel cell (1, 0) saw 1, 3, 7, 9:  1*1 + 2*3 + 3*7 + 4*9 = 64
    # Kernel cell (1, 1) saw 2, 0, 8, 0:  1*2 + 3*8             = 26
    assert dkernels.tolist() == [[[[36, 15], [64, 26]]]]
    assert dbiases.tolist() == [10]


def test_conv2d_sums_over_channels_and_keeps_samples_apart_by_hand():
    x = np.array([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])  # two channels of one pixel, two samples
    kernels = np.array([[[[10.0]], [[1.0]]], [[[0.0]], [[-1.0]]]])  # two outputs
    y = loops.conv2d_forward(x, kernels, None, (1, 1), NO_PADDING)
    # output 0: 10*1 + 1*3 = 13, 10*2 + 1*4 = 24; output 1: -3, -4
    assert y.tolist() == [[[[13, 24]]], [[[-3, -4]]]]
    g = np.array([[[[1.0, 2.0]]], [[[5.0, 0.0]]]])
    dx, dkernels, dbiases, per_position = loops.conv2d_backward(g, x, kernels, (1, 1), NO_PADDING)
    # channel 0: 1*10 + 5*0 = 10, 2*10 = 20; channel 1: 1*1 - 5*1 = -4, 2*1 = 2
    assert dx.tolist() == [[[[10, 20]]], [[[-4, 2]]]]
    # summed over samples: 1*1 + 2*2 = 5, 1*3 + 2*4 = 11; 5*1 + 0*2 = 5, 5*3 + 0*4 = 15
    assert dkernels.tolist() == [[[[5]], [[11]]], [[[5]], [[15]]]]
    assert dbiases.tolist() == [3, 5]
    assert per_position.tolist() == [[[3]], [[5]]]


def test_max_pool_by_hand():
    x = image([[5, 5, 1], [5, 5, 2], [2, 2, 2]])
    assert rows(loops.max_pool_forward(x, (2, 2), (1, 1))) == [[5, 5], [5, 5]]
    # Every window's first maximum in row order is its upper left cell.
    dx = loops.max_pool_backward(image([[1, 2], [3, 4]]), x, (2, 2), (1, 1))
    assert rows(dx) == [[1, 2, 0], [3, 4, 0], [0, 0, 0]]
    # At a stride of 2 one window fits; the last row and the last column are dropped.
    assert rows(loops.max_pool_forward(x, (2, 2), (2, 2))) == [[5]]
    assert rows(loops.max_pool_backward(image([[7]]), x, (2, 2), (2, 2))) == [[7, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_max_pool_tie_goes_to_the_first_in_row_order():
    # By rows (0, 1) comes before (1, 0); by columns it would be the other way round.
    dx = loops.max_pool_backward(image([[3]]), image([[1, 7], [7, 1]]), (2, 2), (2, 2))
    assert rows(dx) == [[0, 3], [0, 0]]


def test_max_pool_windows_that_share_a_maximum_add_up():
    # All four windows hold the 9 in the middle: 1 + 2 + 3 + 4.
    dx = loops.max_pool_backward(
        image([[1, 2], [3, 4]]), image([[1, 2, 3], [4, 9, 5], [6, 7, 8]]), (2, 2), (1, 1)
    )
    assert rows(dx) == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


def test_max_pool_of_negative_numbers():
    assert rows(loops.max_pool_forward(image([[-3, -1], [-2, -4]]), (2, 2), (2, 2))) == [[-1]]


def test_average_pool_by_hand():
    # (1 + 2 + 4 + 5) / 4 = 3, and so on
    assert rows(loops.average_pool_forward(X, (2, 2), (1, 1))) == [[3, 4], [6, 7]]
    # Each window gives a quarter of its gradient, 1, 2, 3, 4, to each of its cells.
    dx = loops.average_pool_backward(image([[4, 8], [12, 16]]), X, (2, 2), (1, 1))
    assert rows(dx) == [[1, 1 + 2, 2], [1 + 3, 1 + 2 + 3 + 4, 2 + 4], [3, 3 + 4, 4]]


def test_adaptive_pools_by_hand():
    # Of three columns two windows are made, 0 and 1, 1 and 2; of one row two, both of them that row.
    x = image([[2, 4, 4]])
    assert rows(loops.adaptive_average_pool_forward(x, (2, 2))) == [[3, 4], [3, 4]]
    assert rows(loops.adaptive_max_pool_forward(x, (2, 2))) == [[4, 4], [4, 4]]
    g = image([[1, 2], [10, 20]])
    assert rows(loops.adaptive_average_pool_backward(g, x)) == [[5.5, 16.5, 11]]
    # Both windows' first largest is the middle one.
    assert rows(loops.adaptive_max_pool_backward(g, x)) == [[0, 33, 0]]
    # Of a tie over rows and columns the first row wins, though its column is the later one.
    tie = image([[1, 7], [7, 7]])
    assert rows(loops.adaptive_max_pool_backward(image([[5]]), tie)) == [[0, 5], [0, 0]]


def test_channel_shuffle_by_hand():
    # Two groups, 0 1 2 and 3 4 5: their first ones, their second ones, their third ones.
    x = np.arange(6.0).reshape(6, 1)
    assert loops.channel_shuffle_forward(x, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert loops.channel_shuffle_backward(x, 2).ravel().tolist() == [0, 2, 4, 1, 3, 5]
    assert loops.channel_shuffle_forward(x, 3).ravel().tolist() == [0, 2, 4, 1, 3, 5]


def test_borders_of_pixels_by_hand():
    x, sides = image([[1, 2, 3]]), ((0, 0), (2, 1))
    assert rows(loops.border_pad_forward(x, sides, "reflect")) == [[3, 2, 1, 2, 3, 2]]
    assert rows(loops.border_pad_forward(x, sides, "edge")) == [[1, 1, 1, 2, 3, 3]]
    g = image([[1, 2, 4, 8, 16, 32]])
    assert rows(loops.border_pad_backward(g, x, sides, "reflect")) == [[4, 2 + 8 + 32, 1 + 16]]
    assert rows(loops.border_pad_backward(g, x, sides, "edge")) == [[1 + 2 + 4, 8, 16 + 32]]
    corner = image([[1, 2], [3, 4]])
    assert rows(loops.border_pad_forward(corner, ((1, 0), (1, 0)), "reflect"))[0] == [4, 3, 4]
    assert rows(loops.border_pad_forward(corner, ((1, 0), (1, 0)), "edge"))[0] == [1, 1, 2]


def test_upsample_by_hand():
    x = image([[0, 4]])
    assert rows(loops.upsample_forward(x, (2, 2), "nearest")) == [[0, 0, 4, 4], [0, 0, 4, 4]]
    dx = loops.upsample_backward(image([[1, 2, 3, 4], [10, 20, 30, 40]]), x, (2, 2), "nearest")
    assert rows(dx) == [[33, 77]]
    # Centres at 1/2 and 3/2 of the input; the four columns made of them lie at 1/4, 3/4, 5/4, 7/4.
    assert rows(loops.upsample_forward(x, (1, 2), "bilinear")) == [[0, 1, 3, 4]]
    # Pixel 0 has all of the first, 3/4 of the second, 1/4 of the third: 4 + 6 + 3; pixel 1 the rest.
    assert rows(loops.upsample_backward(image([[4, 8, 12, 16]]), x, (1, 2), "bilinear")) == [[13, 27]]
    # Three times as many: at 1/6, 3/6, 5/6 of a pixel; the middle one is the pixel itself.
    column = loops.upsample_forward(image([[0], [6]]), (3, 1), "bilinear")
    close(column[0, :, 0, 0], [0, 0, 2, 4, 6, 6])
    # The corners aligned: two pixels become four, which lie at 0, 1/3, 2/3 and 1 of the way.
    wide = loops.upsample_forward(image([[0, 6]]), (1, 2), "bilinear", True)
    close(wide[0, 0, :, 0], [0, 2, 4, 6])
    # Pixel 0 has all of the first, 2/3 of the second, 1/3 of the third: 3 + 4 + 3; pixel 1 the rest.
    close(
        loops.upsample_backward(image([[3, 6, 9, 12]]), wide[:, :, :2], (1, 2), "bilinear", True)[0, 0, :, 0],
        [10, 20],
    )


def test_depth_to_space_by_hand():
    # Eight channels of one pixel, 0 to 7, are two maps of 2 x 2: a map's channels lie together, or apart.
    x = np.arange(8.0).reshape(8, 1, 1, 1)
    assert loops.depth_to_space_forward(x, 2, "CRD")[..., 0].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert loops.depth_to_space_forward(x, 2, "DCR")[..., 0].tolist() == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]
    g = np.array([[[0.0, 1], [2, 3]], [[4, 5], [6, 7]]])[..., None]
    assert loops.depth_to_space_backward(g, x, 2, "CRD").ravel().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert loops.depth_to_space_backward(g, x, 2, "DCR").ravel().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_dense_by_hand():
    x, weights = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [0.0, -1.0], [5.0, 0.0]])
    # 1*1 + 2*3 + 10 = 17, 1*2 + 2*4 + 10 = 20; -3, -4; 5*1 - 1 = 4, 5*2 - 1 = 9
    y = loops.dense_forward(x, weights, np.array([10.0, 0.0, -1.0]))
    assert y.tolist() == [[17, 20], [-3, -4], [4, 9]]
    g = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    dx, dweights, dbiases = loops.dense_backward(g, x, weights)
    # weights transposed times g: 1*1 + 5*2 = 11, 5*(-1) = -5; 2*1 = 2, -1*1 = -1
    assert dx.tolist() == [[11, -5], [2, -1]]
    # g times x transposed: [1, 3]; [2, 4]; [2*1 - 2, 2*3 - 4]
    assert dweights.tolist() == [[1, 3], [2, 4], [0, 2]]
    assert dbiases.tolist() == [1, 1, 1]


def test_losses_by_hand():
    y, p = np.array([[1.0], [0.0]]), np.array([[0.5], [0.25]])
    close(loops.mse(y, p), (0.25 + 0.0625) / 2)
    close(loops.mean_absolute_error(y, p), 0.375)
    close(loops.binary_cross_entropy(y, p), -(math.log(0.5) + math.log(0.75)) / 2)
    close(loops.categorical_cross_entropy(y, p), math.log(2))
    close(loops.softmax_cross_entropy(y, np.zeros((2, 1))), math.log(2))
    close(loops.huber(np.zeros(2), np.array([0.5, -3.0])), (0.125 + 2.5) / 2)
    close(loops.hinge(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.25, 2.0])), (0.5 + 1.25 + 0) / 3)
    close(loops.log_cosh(np.zeros(1), np.array([math.log(2)])), math.log((2 + 0.5) / 2))
    close(loops.kl_divergence(y, p), math.log(2))
    close(loops.categorical_focal_cross_entropy(y, p), math.log(2) / 4)
    close(loops.binary_focal_cross_entropy(y, p), (math.log(2) / 4 - math.log(0.75) / 16) / 2)
    close(loops.binary_focal_cross_entropy(y, p, gamma=1), (math.log(2) / 2 - math.log(0.75) / 4) / 2)


def test_optimizers_by_hand():
    p, state = {"p": np.array([1.0])}, {}
    for expected in (0.8, 0.5, 0.15):  # v = 2, then 0.5*2 + 2 = 3, then 0.5*3 + 2 = 3.5; p falls by v / 10
        loops.sgd(p, {"p": np.array([2.0])}, state, learning_rate=0.1, momentum=0.5)
        close(p["p"], [expected])
    p, state = {"p": np.array([1.0])}, {}
    for expected in (
        0.9,
        0.8,
    ):  # a constant gradient: the corrected moments are g and g squared, a step is the rate
        loops.adam(p, {"p": np.array([2.0])}, state, learning_rate=0.1, epsilon=0.0)
        close(p["p"], [expected])
    p, state = {"p": np.array([1.0])}, {}
    for expected in (0.7, 0.35):  # v = 2, 3 and g + momentum v = 3, 3.5
        loops.sgd(p, {"p": np.array([2.0])}, state, learning_rate=0.1, momentum=0.5, nesterov=True)
        close(p["p"], [expected])
    p, state = {"p": np.array([1.0])}, {}
    for expected in (0.9, 0.9 - 0.1 / math.sqrt(2)):  # s = 4, then 8
        loops.adagrad(p, {"p": np.array([2.0])}, state, learning_rate=0.1, epsilon=0.0)
        close(p["p"], [expected])
    p = {"p": np.array([1.0])}
    loops.rmsprop(p, {"p": np.array([2.0])}, {}, learning_rate=0.1, alpha=0.75, epsilon=0.0)
    close(p["p"], [0.8])  # s = 1
    p = {"p": np.array([1.0])}
    loops.adamw(p, {"p": np.array([2.0])}, {}, learning_rate=0.1, weight_decay=1.0, epsilon=0.0)
    close(p["p"], [0.8])  # 0.9, less the rate
    p = {"p": np.array([1.0]), "q": np.array([1.0])}
    loops.sgd(p, {"p": np.array([3.0]), "q": np.array([4.0])}, {}, learning_rate=1, clip_norm=1 + 2e-7)
    close([p["p"][0], p["q"][0]], [1 - 0.6, 1 - 0.8])  # the norm is 5, and 5 + 1e-6 is taken for it


# ------------------------------------------------------------------------------------ PyTorch's numbers


@pytest.mark.parametrize("case", cases("convolution"))
def test_convolution(case):
    file, name = load("convolution"), case["name"]
    x, kernels, g = file[f"{name}/input"], file[f"{name}/kernels"], file[f"{name}/output_gradient"]
    place = case["stride"], case["pads"]
    close(loops.conv2d_forward(x, kernels, file[f"{name}/biases"], *place), file[f"{name}/output"])
    position_output = loops.conv2d_forward(x, kernels, file[f"{name}/position_biases"], *place)
    close(position_output, file[f"{name}/position_output"])
    results = loops.conv2d_backward(g, x, kernels, *place)
    for result, key in zip(results, ("dinput", "dkernels", "dbiases", "dposition_biases"), strict=True):
        close(result, file[f"{name}/{key}"])


@pytest.mark.parametrize("case", cases("pooling"))
def test_pooling(case):
    file, name = load("pooling"), case["name"]
    x, g, window = file[f"{name}/input"], file[f"{name}/output_gradient"], (case["size"], case["stride"])
    close(loops.max_pool_forward(x, *window), file[f"{name}/max_output"])
    close(loops.max_pool_backward(g, x, *window), file[f"{name}/max_dinput"])
    close(loops.average_pool_forward(x, *window), file[f"{name}/average_output"])
    close(loops.average_pool_backward(g, x, *window), file[f"{name}/average_dinput"])


@pytest.mark.parametrize("case", cases("channel_shuffle"))
def test_channel_shuffle(case):
    file, name, groups = load("channel_shuffle"), case["name"], case["groups"]
    close(loops.channel_shuffle_forward(file[f"{name}/input"], groups), file[f"{name}/output"])
    close(loops.channel_shuffle_backward(file[f"{name}/output_gradient"], groups), file[f"{name}/dinput"])


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("case", cases("borders"))
def test_borders_of_pixels(case, mode):
    file, name, padding = load("borders"), case["name"], case["padding"]
    x, g = file[f"{name}/input"], file[f"{name}/output_gradient"]
    close(loops.border_pad_forward(x, padding, mode), file[f"{name}/{mode}_output"])
    close(loops.border_pad_backward(g, x, padding, mode), file[f"{name}/{mode}_dinput"])


@pytest.mark.parametrize("case", cases("adaptive_pooling"))
def test_adaptive_pooling(case):
    file, name, size = load("adaptive_pooling"), case["name"], case["size"]
    x, g = file[f"{name}/input"], file[f"{name}/output_gradient"]
    close(loops.adaptive_average_pool_forward(x, size), file[f"{name}/average_output"])
    close(loops.adaptive_average_pool_backward(g, x), file[f"{name}/average_dinput"])
    close(loops.adaptive_max_pool_forward(x, size), file[f"{name}/max_output"])
    close(loops.adaptive_max_pool_backward(g, x), file[f"{name}/max_dinput"])


@pytest.mark.parametrize("case", cases("upsampling"))
def test_upsampling(case):
    file, name = load("upsampling"), case["name"]
    how = case["size"], case["interpolation"], case["align_corners"]
    close(loops.upsample_forward(file[f"{name}/input"], *how), file[f"{name}/output"])
    back = loops.upsample_backward(file[f"{name}/output_gradient"], file[f"{name}/input"], *how)
    close(back, file[f"{name}/dinput"])


@pytest.mark.parametrize("case", cases("depth_to_space"))
def test_depth_to_space(case):
    file, name, how = load("depth_to_space"), case["name"], (case["block_size"], case["mode"])
    close(loops.depth_to_space_forward(file[f"{name}/input"], *how), file[f"{name}/output"])
    back = loops.depth_to_space_backward(file[f"{name}/output_gradient"], file[f"{name}/input"], *how)
    close(back, file[f"{name}/dinput"])


@pytest.mark.parametrize("name", cases("dense"))
def test_dense(name):
    file = load("dense")
    x, weights, biases = (file[f"{name}/{key}"] for key in ("input", "weights", "biases"))
    close(loops.dense_forward(x, weights, biases), file[f"{name}/output"])
    results = loops.dense_backward(file[f"{name}/output_gradient"], x, weights)
    for result, key in zip(results, ("dinput", "dweights", "dbiases"), strict=True):
        close(result, file[f"{name}/{key}"])


@pytest.mark.parametrize("case", cases("activations"))
def test_activation(case):
    file, name = load("activations"), case["name"]
    function, prime = (getattr(loops, case["function"] + suffix) for suffix in ("", "_prime"))
    close(loops.each(function, file["input"], **case["options"]), file[f"{name}/output"])
    close(loops.each(prime, file["input"], **case["options"]), file[f"{name}/derivative"])


def test_softmax():
    file = load("activations")
    x, g = file["softmax/input"], file["softmax/output_gradient"]
    close(loops.softmax_forward(x), file["softmax/output"])
    close(loops.softmax_backward(g, x), file["softmax/dinput"])
    close(loops.log_softmax_forward(x), file["log_softmax/output"])
    close(loops.log_softmax_backward(g, x), file["log_softmax/dinput"])
    # Two equal scores: half each, and of a gradient of 1 and 0 half is taken off both.
    equal = np.zeros((2, 1))
    close(loops.log_softmax_forward(equal), np.full((2, 1), -math.log(2)))
    close(loops.log_softmax_backward(np.array([[1.0], [0.0]]), equal), np.array([[0.5], [-0.5]]))


@pytest.mark.parametrize("case", cases("losses"))
def test_loss(case):
    file, name = load("losses"), case["name"]
    y_true, y_pred = file[f"{name}/y_true"], file[f"{name}/y_pred"]
    loss, prime = (getattr(loops, case["function"] + suffix) for suffix in ("", "_prime"))
    close(loss(y_true, y_pred, **case["options"]), file[f"{name}/loss"])
    close(prime(y_true, y_pred, **case["options"]), file[f"{name}/gradient"])
    if f"{name}/labels" in file:
        np.testing.assert_array_equal(y_true.argmax(axis=0), file[f"{name}/labels"])


OPTIMIZERS = listed("optimizers")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name):
    file, setting = load("optimizers"), OPTIMIZERS[name]
    parameters, state = {"p": file["parameters"].copy()}, {}
    for gradient, expected in zip(file["gradients"], file[f"{name}/parameters"], strict=True):
        getattr(loops, setting["function"])(parameters, {"p": gradient}, state, **setting["options"])
        close(parameters["p"], expected)


def named(file, prefix):
    """The arrays of the file whose keys begin with the prefix, without it; copies, in the file's order."""
    return {key.removeprefix(prefix): array.copy() for key, array in file.items() if key.startswith(prefix)}


def small_network(p, x, y_true):
    """x (2, 12, 12, N), y_true (3, N) -> logits, loss, gradients by name, input gradient."""
    one, two, edge = (1, 1), (2, 2), ((1, 1), (1, 1))
    a = loops.conv2d_forward(x, p["convolution1.kernels"], p["convolution1.biases"], one, edge)
    b = loops.each(loops.relu, a)
    c = loops.max_pool_forward(b, two, two)
    d = loops.conv2d_forward(c, p["convolution2.kernels"], p["convolution2.biases"], one, NO_PADDING)
    e = loops.each(loops.tanh, d)
    f = loops.average_pool_forward(e, two, two)
    flat = f.reshape(-1, x.shape[-1])
    logits = loops.dense_forward(flat, p["dense.weights"], p["dense.biases"])
    gradients = {}
    g = loops.softmax_cross_entropy_prime(y_true, logits)
    g, gradients["dense.weights"], gradients["dense.biases"] = loops.dense_backward(
        g, flat, p["dense.weights"]
    )
    g = loops.average_pool_backward(g.reshape(f.shape), e, two, two) * loops.each(loops.tanh_prime, d)
    g, gradients["convolution2.kernels"], gradients["convolution2.biases"], _ = loops.conv2d_backward(
        g, c, p["convolution2.kernels"], one, NO_PADDING
    )
    g = loops.max_pool_backward(g, b, two, two) * loops.each(loops.relu_prime, a)
    g, gradients["convolution1.kernels"], gradients["convolution1.biases"], _ = loops.conv2d_backward(
        g, x, p["convolution1.kernels"], one, edge
    )
    return logits, loops.softmax_cross_entropy(y_true, logits), gradients, g


def test_network_gradients_and_first_steps():
    file = load("network")
    y_true = np.eye(3)[:, file["labels"]]
    initial = named(file, "parameters/")
    logits, loss, gradients, input_gradient = small_network(initial, file["input"], y_true)
    close(logits, file["logits"])
    close(loss, file["loss"])
    close(input_gradient, file["input_gradient"])
    assert gradients.keys() == initial.keys()
    for name in gradients:
        close(gradients[name], file[f"gradients/{name}"])
    for optimizer, setting in json.loads(str(file["settings"])).items():
        parameters = named(file, "parameters/")
        getattr(loops, setting["function"])(parameters, gradients, {}, **setting["options"])
        for name in parameters:
            close(parameters[name], file[f"{optimizer}/1/{name}"])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_network_ten_steps(optimizer):
    file = load("network")
    setting = json.loads(str(file["settings"]))[optimizer]
    y_true = np.eye(3)[:, file["labels"]]
    parameters, state = named(file, "parameters/"), {}
    for step in range(10):
        _, loss, gradients, _ = small_network(parameters, file["input"], y_true)
        close(loss, file[f"{optimizer}/losses"][step])
        getattr(loops, setting["function"])(parameters, gradients, state, **setting["options"])
    for name in parameters:
        close(parameters[name], file[f"{optimizer}/10/{name}"])


def test_original_network_sample_by_sample():
    file = load("original")
    p = named(file, "parameters/")
    sigmoid, slope = loops.sigmoid, loops.sigmoid_prime
    for n in range(5):
        x, y_true = file["input"][..., n : n + 1], file["targets"][:, n : n + 1]
        a = loops.conv2d_forward(x, p["convolution.kernels"], p["convolution.biases"], (1, 1), NO_PADDING)
        flat = loops.each(sigmoid, a).reshape(-1, 1)
        b = loops.dense_forward(flat, p["dense1.weights"], p["dense1.biases"])
        hidden = loops.each(sigmoid, b)
        c = loops.dense_forward(hidden, p["dense2.weights"], p["dense2.biases"])
        output = loops.each(sigmoid, c)
        close(loops.binary_cross_entropy(y_true, output), file["losses"][n])
        if n == 0:
            close(output, file["outputs"][:, :1])
        g = loops.binary_cross_entropy_prime(y_true, output) * loops.each(slope, c)
        g, *second = loops.dense_backward(g, hidden, p["dense2.weights"])
        g, *first = loops.dense_backward(g * loops.each(slope, b), flat, p["dense1.weights"])
        g = g.reshape(a.shape) * loops.each(slope, a)
        _, kernels, _, biases = loops.conv2d_backward(g, x, p["convolution.kernels"], (1, 1), NO_PADDING)
        loops.sgd(p, dict(zip(p, (kernels, biases, *first, *second), strict=True)), {}, file["learning_rate"])
        if n in (0, 4):
            for name in p:
                close(p[name], file[f"after_{n + 1}/{name}"])


@pytest.mark.parametrize("case", cases("signals"))
def test_signals_are_pytorchs(case):
    data = {
        k.removeprefix(f"{case['name']}/"): a
        for k, a in load("signals").items()
        if k.startswith(f"{case['name']}/")
    }
    x, g, kernels = data["input"], data["output_gradient"], data["kernels"]
    geometry = case["stride"], (case["padding"],) * 2, case["dilation"], case["groups"]
    close(loops.conv1d_forward(x, kernels, data["biases"], *geometry), data["output"])
    dx, dkernels, dbiases = loops.conv1d_backward(g, x, kernels, *geometry)
    close(dx, data["dinput"])
    close(dkernels, data["dkernels"])
    close(dbiases, data["dbiases"])
    pooled = loops.pool1d(x, data["pool_gradient"], *case["pool"])
    for found, name in zip(pooled, ("max", "dmax", "average", "daverage"), strict=True):
        close(found, data[name])
