"""Layers of signals: PyTorch's numbers, the loops', images' bits, samples as users have them, refusals."""

import copy
import pickle

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.own_passes import hold_threads_to_the_same_bits
from helpers.torch_numbers import cases, close, part
from purecnn import (
    AveragePooling,
    AveragePooling1D,
    BatchNormalization,
    Branches,
    Convolutional,
    Convolutional1D,
    Dense,
    DepthwiseConvolutional,
    DepthwiseConvolutional1D,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    GlobalMaxPooling,
    GlobalMaxPooling1D,
    Layer,
    MaxPooling,
    MaxPooling1D,
    Network,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    ShapeError,
    Softmax,
    SpatialDropout,
    Tanh,
    ZeroPadding,
    ZeroPadding1D,
    load,
    save,
    torch_code,
    trace,
)
from purecnn.inspection.timing import time_layers
from purecnn.layers.signals.steps import ANY_AXES, ToImages, ToSignals


def held(layer, x, g, parameters):
    """Return a layer's output, input gradient and parameters' gradients."""
    layer.bind(x.shape[:-1])
    layer.parameters.update(parameters)
    return layer.forward(x), layer.backward(g), layer.gradients


@pytest.mark.parametrize("case", cases("signals"))
def test_signals_are_pytorchs(case):
    data = part("signals", case["name"])
    kernels = data["kernels"]
    geometry = {name: case[name] for name in ("stride", "padding", "dilation", "groups")}
    layer = Convolutional1D(kernel_size=kernels.shape[2], depth=len(kernels), **geometry)
    parameters = {"kernels": kernels, "biases": data["biases"]}
    output, back, gradients = held(layer, data["input"], data["output_gradient"], parameters)
    close(output, data["output"])
    close(back, data["dinput"])
    close(gradients["kernels"], data["dkernels"])
    close(gradients["biases"], data["dbiases"])
    for kind, name in ((MaxPooling1D, "max"), (AveragePooling1D, "average")):
        pool = kind(*case["pool"])
        close(pool.forward(data["input"]), data[name])
        close(pool.backward(data["pool_gradient"]), data[f"d{name}"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize(
    ("shape", "depth", "size", "stride", "padding", "dilation", "groups"),
    [
        ((2, 9), 3, 3, 1, 0, 1, 1),
        ((3, 8), 2, 5, 1, 4, 1, 1),
        ((4, 11), 6, 2, 3, 1, 2, 2),
        ((3, 5), 3, 5, 1, 0, 1, 3),
        ((1, 2), 2, 1, 2, 0, 1, 1),
        ((8, 14), 8, 3, 1, 1, 1, 1),  # by tiles, from 8 samples on
    ],
)
def test_signals_are_the_loops(shape, depth, size, stride, padding, dilation, groups, batch, dtype):
    rng, tolerance = np.random.default_rng(0), 1e-11 if dtype == np.float64 else 2e-4
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = Convolutional1D(kernel_size=size, depth=depth, **geometry)
    kernels = rng.standard_normal((depth, shape[0] // groups, size)).astype(dtype)
    biases = rng.standard_normal(depth).astype(dtype)
    for _ in range(2):  # the second time on memory that is not zero
        x = rng.standard_normal((*shape, batch)).astype(dtype)
        places = stride, (padding, padding), dilation, groups
        wanted = loops.conv1d_forward(x, kernels, biases, *places)
        g = rng.standard_normal(wanted.shape).astype(dtype)
        output, back, gradients = held(layer, x, g, {"kernels": kernels, "biases": biases})
        assert output.dtype == back.dtype == gradients["kernels"].dtype == dtype
        dx, dkernels, dbiases = loops.conv1d_backward(g, x, kernels, *places)
        for found, expected in ((output, wanted), (back, dx), (gradients["kernels"], dkernels)):
            close(found, expected, tolerance, tolerance)
        close(gradients["biases"], dbiases, tolerance, tolerance)


@pytest.mark.parametrize("padding", [1, (2, 0), "same"])
@pytest.mark.parametrize("counts", [True, False])
def test_padded_poolings_are_those_of_padded_signals(padding, counts):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 8, 3))
    before, behind = (
        (0, 1) if padding == "same" else (1, 1) if padding == 1 else padding
    )  # ceil(8 / 2) of them
    for kind, fill in ((MaxPooling1D, -np.inf), (AveragePooling1D, 0.0)):
        options = {} if kind is MaxPooling1D else {"count_padding": counts}
        layer = kind(3, 2, padding, **options)
        whole = np.pad(x, ((0, 0), (before, behind), (0, 0)), constant_values=fill)
        g = rng.standard_normal((2, (8 + before + behind - 3) // 2 + 1, 3))
        found = loops.pool1d(whole, g, 3, 2)
        y, dx = found[:2] if kind is MaxPooling1D else found[2:]
        if kind is AveragePooling1D and not counts:
            ones = np.pad(np.ones((2, 8, 3)), ((0, 0), (before, behind), (0, 0)))
            share = loops.pool1d(ones, g, 3, 2)[2]
            y, dx = y / share, loops.pool1d(whole, g / share, 3, 2)[3]
        close(layer.forward(x), y)
        close(layer.backward(g), dx[:, before : before + 8])


def signal_layers():
    inner = [Convolutional1D(kernel_size=3, depth=8, padding=1), BatchNormalization(), ReLU()]
    return [
        Convolutional1D(kernel_size=5, depth=8, padding=2),
        BatchNormalization(),
        ReLU(),
        MaxPooling1D(2),
        Convolutional1D(kernel_size=3, depth=8),
        ReLU(),
        MaxPooling1D(2),
        Residual([*inner, Convolutional1D(kernel_size=3, depth=8, padding=1)]),
        PReLU(per_channel=True),
        DepthwiseConvolutional1D(kernel_size=3, padding="same", dilation=2),
        ZeroPadding1D((1, 2)),
        AveragePooling1D(2, 1),
        SpatialDropout(0.2),
        Branches([], [GlobalMaxPooling1D(), Dense(output_size=8), Tanh()], merge="multiply"),
        GlobalAveragePooling1D(),
        Dense(output_size=3),
        Softmax(),
    ]


def image_layers():
    def one(size, **others):
        return Convolutional(kernel_size=(1, size), depth=8, **others)

    return [
        one(5, padding=(0, 2)),
        BatchNormalization(),
        ReLU(),
        MaxPooling((1, 2)),
        one(3),
        ReLU(),
        MaxPooling((1, 2)),
        Residual([one(3, padding=(0, 1)), BatchNormalization(), ReLU(), one(3, padding=(0, 1))]),
        PReLU(per_channel=True),
        DepthwiseConvolutional(kernel_size=(1, 3), padding="same", dilation=(1, 2)),
        ZeroPadding(((0, 0), (1, 2))),
        AveragePooling((1, 2), 1),
        SpatialDropout(0.2),
        Branches([], [GlobalMaxPooling(), Dense(output_size=8), Tanh()], merge="multiply"),
        GlobalAveragePooling(),
        Dense(output_size=3),
        Softmax(),
    ]


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    return rng.standard_normal((150, 2, 40)).astype(np.float32), rng.integers(0, 3, 150)


@pytest.mark.parametrize("batch_size", [64, 1])
def test_signals_have_the_bits_of_images_of_one_row(signals, batch_size):
    x, y = signals if batch_size > 1 else (signals[0][:20], signals[1][:20])
    layers, others = signal_layers(), image_layers()
    if batch_size == 1:  # the plans of lone samples know no barrier
        layers, others = ([f for f in one if type(f) is not BatchNormalization] for one in (layers, others))
        layers[layers.index(next(f for f in layers if isinstance(f, Residual)))] = ReLU()
        others[others.index(next(f for f in others if isinstance(f, Residual)))] = ReLU()
    network, other = Network(layers), Network(others)
    network.fit(x, y, epochs=2, batch_size=batch_size)
    other.fit(x[:, :, None], y, epochs=2, batch_size=batch_size)
    np.testing.assert_array_equal(network.parameters, other.parameters)
    np.testing.assert_array_equal(network.predict(x), other.predict(x[:, :, None]))
    assert network.evaluate(x, y) == other.evaluate(x[:, :, None], y)


def test_they_train_the_same_bits_in_any_number_of_threads(signals):
    hold_threads_to_the_same_bits(lambda: Network(signal_layers()), *signals)


def test_the_engine_runs_images_from_the_first_layer_to_the_last(signals):
    network = Network(signal_layers(), input_shape=(2, 40))
    kinds = [type(step).__name__ for step in network.steps()]
    assert kinds[:6] == [
        "ToImages",
        "PhasedConvolutional",
        "BatchNormalization",
        "PhasedMaxPooling",
        "ReLU",
        "PooledConvolutional",
    ]
    assert kinds.count("ToImages") + kinds.count("ToSignals") == 1
    kinds = [type(step).__name__ for step in network.inference_steps()]
    assert kinds[:6] == [
        "ToImages",
        *["FusedConvolution"] * 2,
        "Fork",
        "FusedConvolution",
        "JoiningConvolution",
    ]
    images = Network(image_layers(), input_shape=(2, 1, 40))
    assert len(images.steps()) + 1 == len(network.steps())
    assert time_layers(network, signals[0][:8])[1].forward > 0


def test_layers_that_know_of_no_images_are_given_signals(signals):
    class Reversed(Layer):
        def forward(self, input):
            return self.receive(input)[:, ::-1]

        def backward(self, output_gradient):
            assert output_gradient.shape[:2] == (4, 38)
            return self.receive_gradient(output_gradient)[:, ::-1]

    def layers(between):
        tail = [Softmax(), Reshape((4, 38), (8, 19)), Convolutional1D(kernel_size=2, depth=2), Softmax()]
        return [Convolutional1D(kernel_size=3, depth=4), Residual([between, Tanh()]), *tail]

    network = Network(layers(Reversed()), input_shape=(2, 40))
    kinds = [type(step).__name__ for step in network.steps()]
    assert " ".join(kinds) == (
        "ToImages Convolutional Fork ToSignals Reversed ToImages Tanh Cross Sum ToSignals Softmax Reshape "
        "ToImages Convolutional ToSignals Softmax"
    )
    x, y = signals[0], signals[0][:, :, :18].reshape(150, 36)
    network.fit(x, y, loss="mse", epochs=2, batch_size=50)
    assert network.predict(x).shape == (150, 2, 18)
    found = trace(network, x[:3])
    np.testing.assert_allclose(found[-1].output, network.predict(x[:3]), atol=1e-6)


@pytest.mark.parametrize("kind", sorted(ANY_AXES, key=lambda kind: kind.__name__))
def test_what_takes_any_axes_does_the_same_on_images_of_one_row(kind):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((3, 5, 2)), rng.standard_normal((3, 5, 2))
    found = []
    for row in (False, True):
        layer = kind(**{PReLU: {"per_channel": True}, GaussianNoise: {"stddev": 0.3}}.get(kind, {}))
        layer.bind((3, 5))
        layer.begin()
        layer.draw(np.random.default_rng(0), np.float64, "he")
        layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
        layer = layer.replica()
        layer.training, layer.random = True, np.random.Generator(np.random.Philox(0))
        if kind is BatchNormalization:
            layer.is_alone = True
        output = layer.forward(x[:, None].copy() if row else x.copy())
        slope = g[:, None].copy() if row else g.copy()
        back = layer.backward(slope.reshape(output.shape))
        found.append([output.reshape(15, 2), back.reshape(15, 2), *layer.gradients.values()])
    for plain, image in zip(*found, strict=True):
        np.testing.assert_array_equal(plain, image)


def test_views_are_made_once_for_the_same_array():
    for step, x in ((ToImages((2, 3)), np.ones((2, 3, 4))), (ToSignals((2, 1, 3)), np.ones((2, 1, 3, 4)))):
        view = step.forward(x)
        assert view is step.forward(x)
        assert view.base is x
        assert step.backward(view) is step.backward(view)
        assert step.backward(view).shape == x.shape


def test_frozen_layers_stay_and_copies_are_their_own(signals):
    network = Network(signal_layers(), input_shape=(2, 40))
    network[0].trainable = False
    before = network[0].parameters["kernels"].copy()
    twin, file = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    assert not any(one[0].trainable for one in (twin, file))
    assert twin[4].trainable
    network.fit(*signals, epochs=1, batch_size=50)
    np.testing.assert_array_equal(network[0].parameters["kernels"], before)
    assert not np.array_equal(network[4].parameters["kernels"], twin[4].parameters["kernels"])
    twin[0].trainable = True
    twin.fit(*signals, epochs=1, batch_size=50)
    assert not np.array_equal(twin[0].parameters["kernels"], before)
    np.testing.assert_array_equal(network[0].parameters["kernels"], before)
    file.fit(*signals, epochs=1, batch_size=50)
    np.testing.assert_array_equal(file.parameters, network.parameters)


def test_parameters_put_in_by_hand_are_used(signals):
    network = Network(signal_layers(), input_shape=(2, 40))
    network.predict(signals[0][:3])
    network[0].parameters["kernels"] = np.full((8, 2, 5), 0.5)
    network[0].parameters["biases"][...] = 1
    expected = signals[0][:3].transpose(1, 2, 0)
    expected = loops.conv1d_forward(expected, np.full((8, 2, 5), 0.5), np.ones(8), 1, (2, 2))
    close(trace(network, signals[0][:3])[0].output.transpose(1, 2, 0), expected, 1e-5, 1e-5)
    after = Network(copy.deepcopy(network[1:]), input_shape=(8, 40))
    found = after.predict(expected.transpose(2, 0, 1).astype(np.float32))
    np.testing.assert_allclose(network.predict(signals[0][:3]), found, atol=1e-5)


def test_a_file_keeps_them(signals, tmp_path):
    network = Network(signal_layers())
    network.fit(*signals, epochs=1)
    save(network, tmp_path / "signals.npz")
    again = load(tmp_path / "signals.npz")
    assert again.input_shape == (2, 40)
    np.testing.assert_array_equal(again.predict(signals[0]), network.predict(signals[0]))
    assert str(list(again)) == str(list(network))


@pytest.mark.parametrize("shape", [{"channels": 3, "length": 1}, (3, 9)])
def test_shapes_by_name(shape, tmp_path):
    network = Network([Convolutional1D(shape, 1, 4), Flatten(), Dense(output_size=2)])
    length = 1 if isinstance(shape, dict) else 9
    assert network.input_shape == (3, length)
    save(network, tmp_path / "named.npz")
    assert load(tmp_path / "named.npz").input_shape == (3, length)
    assert network.predict(np.zeros((5, 3, length))).shape == (5, 2)


def test_samples_as_users_have_them():
    def network(**options):
        return Network([Convolutional1D(kernel_size=3, depth=4), Flatten(), Dense(output_size=2)], **options)

    x = np.random.default_rng(0).standard_normal((6, 20))
    one = network()
    found = one.predict(x)  # (n, length) is one channel
    assert one.input_shape == (1, 20)
    np.testing.assert_array_equal(one.predict(x[:, None]), found)
    assert network(input_shape=(5, 20)).predict(np.zeros((2, 5, 20))).shape == (2, 2)
    assert network(input_shape=(5, 20)).predict(np.zeros((2, 100))).shape == (2, 2)  # flat


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: Convolutional1D(32, 3),
            TypeError,
            r"depth=32\), and leave input_shape, \(channels, length\)",
        ),
        (
            lambda: DepthwiseConvolutional1D(3),
            TypeError,
            r"Convolutional1D\(kernel_size=3\), and leave input",
        ),
        (lambda: Convolutional1D(kernel_size=3), TypeError, "needs kernel_size and depth; .* depth=None"),
        (lambda: DepthwiseConvolutional1D(), TypeError, "needs kernel_size; got none"),
        (
            lambda: Convolutional1D(kernel_size=(3,), depth=2),
            TypeError,
            r"kernel_size must be an integer of at least 1, got \(3,\)",
        ),
        (lambda: Convolutional1D(kernel_size=3, depth=2, stride=0), ValueError, "stride must be .* got 0"),
        (
            lambda: Convolutional1D(kernel_size=3, depth=2, padding=-1),
            ValueError,
            "padding must be .* got -1",
        ),
        (
            lambda: Convolutional1D(kernel_size=3, depth=2, padding="causal"),
            ValueError,
            "got 'causal': that is a ZeroPadding1D",
        ),
        (
            lambda: Convolutional1D(kernel_size=3, depth=3, groups=2),
            ValueError,
            "must divide depth, 3, got 2",
        ),
        (lambda: Convolutional1D((3, 9), 3, 2, groups=2), ShapeError, "channels in 2 groups, got 3 channels"),
        (lambda: Convolutional1D((2, 9), 3, 2).bind((3, 9)), ShapeError, r"of shape \(2, 9\), got \(3, 9\)"),
        (
            lambda: Convolutional1D((100, 3), 5, 2),
            ShapeError,
            r"window of 5, larger than the signal of length 3; channels come first, \(channels, length\)",
        ),
        (
            lambda: Convolutional1D((1, 3), 9, 2, dilation=2, padding=1),
            ShapeError,
            "a window of 17, larger than the signal of length 3 with a border of 1$",
        ),
        (
            lambda: Convolutional1D((1, 28, 28), 3, 2),
            ShapeError,
            r"wants signals of shape \(channels, length\), got samples of \(1, 28, 28\); Convolutional takes",
        ),
        (
            lambda: MaxPooling1D(4).bind((2, 3)),
            ShapeError,
            "window of 4, larger than the signal of length 3$",
        ),
        (lambda: MaxPooling1D(0), ValueError, "pool_size must be an integer of at least 1, got 0"),
        (lambda: MaxPooling1D(2, padding=(0, 2)), ValueError, r"less than the window, 2, .*; got \(0, 2\)"),
        (lambda: MaxPooling1D(2, padding="valid"), ValueError, "got 'valid': that is a padding of 0"),
        (lambda: MaxPooling1D(5, padding=1).bind((2, 2)), ShapeError, r"with a padding of \(1, 1\)$"),
        (lambda: AveragePooling1D(2, count_padding=1), TypeError, "count_padding must be True or False"),
        (
            lambda: torch_code(Network([AveragePooling1D(2, 1, "same", False)], input_shape=(1, 5))),
            TypeError,
            r"does not count and is uneven, .* got \(0, 1\) at a window of 2",
        ),
        (lambda: AveragePooling1D(2, 1.5), TypeError, "stride must be an integer of at least 1, got 1.5"),
        (lambda: GlobalMaxPooling1D().bind((3,)), ShapeError, r"channels, length\), got samples of \(3,\)$"),
        (lambda: ZeroPadding1D((1, -1)), ValueError, r"padding must be at least 0, got \(1, -1\)"),
        (lambda: SpatialDropout().bind((3,)), ShapeError, r"or signals .*, got samples of \(3,\)"),
        (
            lambda: told(np.zeros((5, 100, 3))),
            ShapeError,
            r"x.transpose\(0, 2, 1\) moves them, and input_shape={",
        ),
        (lambda: told(np.zeros((5, 1, 8, 8))), ShapeError, r"\(n, length\) or \(n, channels, length\), got"),
        (
            lambda: Network([MaxPooling1D()], input_shape=(3, 9)).predict(np.zeros((5, 9, 3))),
            ShapeError,
            r"got \(5, 9, 3\): its channels are last, x.transpose\(0, 2, 1\) moves them",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def told(x):
    Network([Convolutional1D(kernel_size=3, depth=4), Flatten(), Dense(output_size=2)]).predict(x)


def test_a_refused_shape_leaves_the_layer_as_it_was():
    layer = Convolutional1D((2, 9), 3, 4, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 9, 3))
    before = layer.forward(x)
    for shape, words in (((3, 9), "got"), ((2, 1), "got")):
        with pytest.raises(ShapeError, match=words):
            layer.bind(shape)
    np.testing.assert_array_equal(layer.forward(x), before)
    layer = DepthwiseConvolutional1D((2, 9), 3, rng=0)
    with pytest.raises(ShapeError, match="got"):
        layer.bind((3, 9))
    assert layer.forward(x).shape == (2, 7, 3)
