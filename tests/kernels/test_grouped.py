"""Convolutions in groups and with holes: both kernels against plain loops, the loops against PyTorch."""

import functools

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import data, hold_threads_to_the_same_bits
from helpers.torch_numbers import cases, close, part
from purecnn import (
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
)
from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, grouped, reference
from purecnn.kernels.geometry import Window
from purecnn.kernels.grouped import DepthwiseConvolution, GroupedConvolution, suits_channels
from purecnn.kernels.im2col import PointwiseConvolution
from purecnn.kernels.rows import rectified
from purecnn.kernels.unrolled import Unrolled
from purecnn.kernels.winograd import Winograd
from purecnn.training.fusion import PooledConvolutional, fuse

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
modules = pytest.mark.parametrize("module", [reference, cpu])

GEOMETRIES = {  # image (C, H, W), maps, size, stride, padding, dilation, groups
    "two groups": ((4, 5, 6), 6, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    "depthwise": ((3, 5, 5), 3, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 3),
    "depthwise, doubled": ((3, 4, 5), 6, (2, 3), (1, 1), ((0, 1), (2, 0)), (1, 1), 3),
    "depthwise, stride": ((2, 7, 6), 2, (3, 3), (2, 2), ((0, 1), (1, 1)), (1, 1), 2),
    "stride skips pixels": ((2, 7, 8), 2, (2, 2), (3, 4), ((0, 0), (0, 0)), (1, 1), 2),
    "holes": ((2, 7, 6), 3, (3, 2), (1, 1), ((0, 0), (0, 0)), (2, 3), 1),
    "holes, padded": ((1, 5, 6), 2, (3, 3), (1, 1), ((2, 2), (3, 3)), (2, 3), 1),
    "holes wider than the image": ((1, 3, 3), 2, (3, 3), (1, 1), ((5, 5), (4, 6)), (5, 5), 1),
    "holes and stride": ((2, 9, 9), 2, (2, 2), (3, 2), ((1, 0), (0, 2)), (2, 2), 1),
    "holes a multiple of the stride": ((1, 12, 10), 2, (2, 2), (2, 2), ((0, 0), (0, 0)), (4, 4), 1),
    "stride a multiple of the holes": ((1, 12, 10), 2, (2, 2), (4, 4), ((0, 0), (1, 1)), (2, 2), 1),
    "all at once": ((6, 9, 8), 4, (2, 3), (2, 1), ((1, 2), (3, 0)), (3, 2), 2),
    "padding wider than the window": ((2, 3, 3), 2, (2, 1), (1, 1), ((3, 1), (2, 4)), (1, 1), 2),
    "stride cuts rows off": ((2, 6, 6), 2, (1, 1), (4, 4), ((0, 0), (0, 0)), (1, 1), 2),
    "pointwise": ((72, 1, 2), 64, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one of all": ((1, 1, 1), 1, (1, 1), (1, 1), ((0, 0), (0, 0)), (2, 2), 1),
}


def roomy(array):
    """Return an equal array whose memory lies row by row and with gaps, as a convolution's output does."""
    if array.ndim != 4:
        return array
    channels, rows, columns, batch = array.shape
    room = np.zeros((rows, channels + 1, columns, batch), array.dtype)
    view = room[:, :channels].transpose(1, 0, 2, 3)
    view[...] = array
    return view


@functools.cache
def answers(name, batch, per_position=False):
    """Return arguments and the loops' answers."""
    shape, maps, size, *geometry = GEOMETRIES[name]
    rng = np.random.default_rng([len(name), batch])
    x = rng.standard_normal((*shape, batch))
    weights = rng.standard_normal((maps, shape[0] // geometry[-1], *size))
    biases = rng.standard_normal(maps)
    y = loops.conv2d_forward(x, weights, biases, *geometry)
    if per_position:
        biases = rng.standard_normal(y.shape[:3])
        y = loops.conv2d_forward(x, weights, biases, *geometry)
    g = rng.standard_normal(y.shape)
    dx, dweights, shared, per_position_biases = loops.conv2d_backward(g, x, weights, *geometry)
    return x, weights, biases, g, y, dx, dweights, per_position_biases if per_position else shared


def held(module, name, batch, dtype, workspace, held_x=None, per_position=False, change=lambda a: a):
    """Hold a module's two passes to the loops."""
    *arguments, y, dx, dweights, dbiases = answers(name, batch, per_position)
    x, weights, biases, g = (change(a.astype(dtype)) for a in arguments)
    if held_x is not None:
        held_x[...] = x
        x = held_x
    window = Window(*GEOMETRIES[name][2:])
    into = np.full_like(weights, np.nan), np.full_like(biases, np.nan)
    rtol, atol = TOLERANCE[dtype], TOLERANCE[dtype]
    output = module.conv2d_forward(x, weights, biases, window, workspace)
    assert output.dtype == dtype
    close(output, y, rtol, atol)
    close(module.conv2d_backward(g, x, weights, *into, window, workspace), dx, rtol, atol)
    close(into[0], dweights, rtol, 10 * atol)
    close(into[1], dbiases, rtol, 10 * atol)
    assert module.conv2d_backward(g, x, weights, *into, window, workspace, False) is None


@dtypes
@modules
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_both_kernels_are_the_loops(name, batch, module, dtype):
    held(module, name, batch, dtype, Workspace())


def test_the_geometry_alone_decides_how_a_convolution_is_laid_out():
    x = np.zeros((8, 12, 12, 64), np.float32)

    def kind(**options):
        return type(cpu.lay_out(x, 16, Window((5, 5), **options), Workspace()))

    assert kind() is Winograd
    assert kind(stride=(2, 1)) is Unrolled
    assert kind(groups=8) is kind(dilation=(1, 2)) is GroupedConvolution
    wide = np.zeros((256, 2, 2, 32), np.float32)
    assert type(cpu.lay_out(wide, 256, Window((1, 1)), Workspace())) is PointwiseConvolution
    for other in (
        Window((1, 1), (2, 2)),
        Window((1, 1), padding=((0, 1), (0, 0))),
        Window((2, 1)),
        Window((1, 1), groups=2),
    ):
        assert type(cpu.lay_out(wide, 256, other, Workspace())) is not PointwiseConvolution
    assert type(cpu.lay_out(wide, 32, Window((1, 1)), Workspace())) is Unrolled


def test_the_calls_of_inference_of_a_pointwise_convolution():
    rng = np.random.default_rng(0)
    x, kernels, biases = (rng.standard_normal(shape) for shape in ((72, 1, 2, 3), (64, 72, 1, 1), (64,)))
    addend = rng.standard_normal((64, 1, 2, 3))
    calls, y = cpu.conv2d_calls(
        roomy(x), kernels, biases, Window((1, 1)), Workspace(), None, addend, rectified
    )
    for call in calls:
        call()
    wanted = np.einsum("mc,chwn->mhwn", kernels[..., 0, 0], x) + biases[:, None, None, None] + addend
    np.testing.assert_allclose(y, np.maximum(wanted, 0), rtol=1e-12, atol=1e-12)


@modules
@pytest.mark.parametrize("name", ["two groups", "all at once", "pointwise"])
def test_one_bias_for_each_position(name, module):
    held(module, name, 2, np.float64, Workspace(), per_position=True)


@pytest.mark.parametrize(
    "name", ["two groups", "depthwise, stride", "holes, padded", "all at once", "pointwise"]
)
def test_memory_that_lies_otherwise(name):
    held(cpu, name, 2, np.float64, Workspace(), change=roomy)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_memory_used_again_by_batches_of_changing_size(name):
    workspace, kept = Workspace(), {}
    for batch in (17, 2, 17, 17, 1, 2):
        x = kept.setdefault(batch, np.empty((*GEOMETRIES[name][0], batch)))
        held(cpu, name, batch, np.float64, workspace, x)


@pytest.mark.parametrize("case", cases("grouped"))
def test_it_is_pytorchs(case):
    data = part("grouped", case["name"])
    geometry = tuple(case["stride"]), tuple((p, p) for p in case["padding"]), tuple(case["dilation"])
    found = loops.conv2d_forward(data["input"], data["kernels"], data["biases"], *geometry, case["groups"])
    close(found, data["output"])
    back = loops.conv2d_backward(
        data["output_gradient"], data["input"], data["kernels"], *geometry, case["groups"]
    )
    for mine, name in zip(back[:3], ("dinput", "dkernels", "dbiases"), strict=True):
        close(mine, data[name])
    layer = Convolutional(
        data["input"].shape[:3],
        data["kernels"].shape[2:],
        len(data["kernels"]),
        stride=tuple(case["stride"]),
        padding=tuple(case["padding"]),
        dilation=tuple(case["dilation"]),
        groups=case["groups"],
        rng=0,
        dtype=np.float64,
    )
    layer.parameters["kernels"][...] = data["kernels"]
    layer.parameters["biases"][...] = data["biases"]
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])
    close(layer.gradients["kernels"], data["dkernels"])
    close(layer.gradients["biases"], data["dbiases"])


def test_loops_by_hand():
    x = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, :, :, None]
    corners = np.array([[[[1.0, 10], [100, 1000]]]])
    y = loops.conv2d_forward(x, corners, np.array([0.5]), (1, 1), ((0, 0), (0, 0)), (2, 2), 1)
    assert y.tolist() == [[[[1 + 30 + 700 + 9000 + 0.5]]]]
    x = np.array([2.0, 3, 5, 7]).reshape(4, 1, 1, 1)
    pairs = np.array([[1.0, 10], [100, 1000]]).reshape(2, 2, 1, 1)
    plain = (1, 1), ((0, 0), (0, 0)), (1, 1), 2
    y = loops.conv2d_forward(x, pairs, np.zeros(2), *plain)
    assert y.ravel().tolist() == [2 + 30, 500 + 7000]
    dx, dkernels, dbiases, _ = loops.conv2d_backward(np.array([1.0, 2]).reshape(y.shape), x, pairs, *plain)
    assert dx.ravel().tolist() == [1, 10, 200, 2000]
    assert dkernels.reshape(2, 2).tolist() == [[2, 3], [10, 14]]
    assert dbiases.tolist() == [1, 2]


def test_depthwise_is_a_group_for_each_channel():
    x = np.random.default_rng(0).standard_normal((3, 6, 7, 4))
    both = [
        DepthwiseConvolutional((3, 6, 7), 3, depth_multiplier=2, padding="same", rng=1, dtype=np.float64),
        Convolutional((3, 6, 7), 3, 6, padding="same", groups=3, rng=1, dtype=np.float64),
    ]
    assert both[0].parameters["kernels"].shape == (6, 1, 3, 3)
    np.testing.assert_array_equal(both[0].forward(x), both[1].forward(x))
    one = DepthwiseConvolutional((1, 6, 7), 3, rng=1, dtype=np.float64)
    same = Convolutional((1, 6, 7), 3, 1, rng=1, dtype=np.float64)
    close(one.forward(x[:1]), same.forward(x[:1]))


def test_only_a_dense_convolution_takes_its_pooling_in():
    def steps(**options):
        layers = [Convolutional(kernel_size=3, depth=4, **options), ReLU(), MaxPooling(2)]
        Network([*layers, Flatten()], input_shape=(2, 8, 8))
        return [type(step) for step in fuse(layers)]

    assert steps()[0] is PooledConvolutional
    assert steps(groups=2) == steps(dilation=2) == [Convolutional, MaxPooling, ReLU]


def test_the_same_bits_at_any_number_of_threads():
    def build():
        return Network(
            [
                Convolutional(kernel_size=3, depth=4, dilation=2, padding="same"),
                ReLU(),
                DepthwiseConvolutional(kernel_size=3, stride=2),
                ReLU(),
                Convolutional(kernel_size=2, depth=6, groups=2),
                Flatten(),
                Dense(output_size=3),
                Softmax(),
            ]
        )

    hold_threads_to_the_same_bits(build, *data(100, size=9))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Convolutional(kernel_size=3, depth=4, groups=3),
            ValueError,
            "groups must divide depth, 4, got 3",
        ),
        (
            lambda: Convolutional(kernel_size=3, depth=4, groups=0),
            ValueError,
            "groups must be .* at least 1, got 0",
        ),
        (
            lambda: Convolutional(kernel_size=3, depth=4, dilation=0),
            ValueError,
            "dilation must be at least 1, got 0",
        ),
        (
            lambda: Convolutional(kernel_size=3, depth=4, dilation=1.5),
            TypeError,
            "dilation must be an integer or a",
        ),
        (
            lambda: Convolutional((3, 8, 8), 3, 4, groups=2),
            ShapeError,
            "wants channels in 2 groups, got 3 channels",
        ),
        (
            lambda: Convolutional((1, 4, 9), 3, 4, dilation=2),
            ShapeError,
            r"a window of \(5, 5\), larger .*\(4, 9\)",
        ),
        (lambda: DepthwiseConvolutional((1, 4, 9)), TypeError, "needs kernel_size; got none"),
        (
            lambda: DepthwiseConvolutional(kernel_size=2, depth_multiplier=0),
            ValueError,
            "depth_multiplier must be an integer of at least 1, got 0",
        ),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_refused_shape_leaves_the_layer_as_it_was():
    layer = DepthwiseConvolutional(kernel_size=3)
    layer.bind((3, 5, 5))
    layer.draw(np.random.default_rng(0), np.float32, "he")
    for shape in ((4, 5, 5), (4, 2, 2), (7,)):
        with pytest.raises(ShapeError):
            layer.bind(shape)
        assert (layer.groups, layer.depth, layer.output_shape) == (3, 3, (3, 3, 3))
        layer.forward(np.zeros((3, 5, 5, 2)))


@dtypes
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "geometry",
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
        ((2, 3), (2, 1), ((0, 2), (1, 0)), (1, 2)),
        ((3, 2), (1, 2), ((0, 0), (3, 3)), (2, 1)),
    ],
)
def test_runs_along_the_channels_are_the_loops(geometry, batch, dtype):
    rng = np.random.default_rng(0)
    x, kernels = rng.standard_normal((5, 6, 7, batch)), rng.standard_normal((5, 1, *geometry[0]))
    window = Window(*geometry, groups=5)
    plain, turned = (
        loops.conv2d_forward(given, kernels, None, *geometry[1:], groups=5) for given in (x, x[:, ::-1])
    )
    x, kernels = roomy(x.astype(dtype)), kernels.astype(dtype)
    addend = rng.standard_normal(plain.shape).astype(dtype)
    for shape in (None, (5,), plain.shape[:3]):
        biases = None if shape is None else rng.standard_normal(shape).astype(dtype)
        added = 0 if biases is None else biases.reshape(*shape, *[1] * (4 - len(shape)))
        layout = DepthwiseConvolution(x, window, Workspace())
        calls, y = layout.inference(kernels, biases, addend, rectified)
        for wanted in (turned, plain):  # the second time, what is padded has stayed so
            x[...] = x[:, ::-1].copy()
            for call in calls:
                call()
            assert y.dtype == dtype
            close(y, np.maximum(wanted + added + addend, 0), TOLERANCE[dtype], TOLERANCE[dtype])


def test_runs_are_along_the_channels_where_these_are_more_than_the_pixels():
    window = Window((3, 3), padding=((1, 1), (1, 1)), groups=64)
    image, wide, several, few = (
        np.zeros(shape, np.float32) for shape in ((64, 7, 7, 1), (64, 9, 9, 1), (64, 7, 7, 2), (64, 4, 4, 1))
    )
    workspace = Workspace()
    cpu.conv2d_calls(image, np.zeros((64, 1, 3, 3), np.float32), None, window, workspace)
    assert isinstance(workspace.layout("convolution", image, lambda: None), DepthwiseConvolution)
    assert suits_channels(few, 64, window)
    assert not suits_channels(few, 128, window)
    assert not suits_channels(np.zeros((64, 1, 1, 5), np.float32), 64, window)
    assert not suits_channels(few, 64, window._replace(groups=32))
    assert not suits_channels(wide, 64, window)
    assert not suits_channels(several, 64, window)


@pytest.mark.parametrize("block", [1, 700, 1 << 18])
@pytest.mark.parametrize("name", [name for name, (*_, groups) in GEOMETRIES.items() if groups > 1])
def test_some_groups_at_a_time_are_the_loops(name, block, monkeypatch):
    monkeypatch.setattr(grouped, "BLOCK", block)
    x, weights, biases, _, y, *_ = answers(name, 2)
    x, window = roomy(x), Window(*GEOMETRIES[name][2:])
    addend = np.random.default_rng(0).standard_normal(y.shape)
    workspace = Workspace()
    layout = GroupedConvolution(x, len(weights), window, workspace)
    calls, found = layout.inference(weights, biases, addend, rectified)
    for _ in range(2):
        for call in calls:
            call()
        close(found, np.maximum(y + addend, 0), 1e-10, 1e-10)
