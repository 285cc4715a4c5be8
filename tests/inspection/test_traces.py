"""Traces: every layer's own numbers, derivatives as differences have them, cells made anew."""

import copy
import itertools

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.every_layer import EVERY, made
from helpers.torch_numbers import close
from purecnn import (
    SGD,
    Activation,
    AveragePooling,
    BatchNormalization,
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    Layer,
    LogSoftmax,
    MaxPooling,
    Network,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    ShapeError,
    Sigmoid,
    Softmax,
    SpatialDropout,
    Tanh,
    UpSampling,
    ZeroPadding,
    trace,
)
from purecnn.losses import mse, mse_prime
from purecnn.training.fusion import PooledConvolutional


class Twice(Layer):
    """Two layers, one behind the other, and their input added: made of others, as a skip connection is."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def inside(self):
        return {"first": self.first, "second": self.second}

    def forward(self, input):
        x = self.receive(input)
        return self.second.forward(self.first.forward(x)) + x

    def backward(self, output_gradient):
        g = self.receive_gradient(output_gradient)
        return self.first.backward(self.second.backward(g)) + g


def network(dtype=np.float64, dropout=0.3, **options):
    """Return a network with a layer of every kind, for (2, 9, 8) images, its biases no zeros."""
    net = Network(
        [
            Convolutional(kernel_size=(3, 2), depth=3, stride=(2, 1), padding=1),
            Tanh(),
            MaxPooling(2, 1),
            Convolutional(kernel_size=2, depth=4, padding="same", per_position_bias=True),
            ReLU(),
            Twice(Sigmoid(), Tanh()),
            AveragePooling((2, 3), (1, 2)),
            Dropout(dropout),
            Reshape((4, 3, 3), (6, 6)),
            Activation(np.sin, np.cos),
            Flatten(),
            Dense(output_size=5),
            Softmax(),
        ],
        input_shape=(2, 9, 8),
        dtype=dtype,
        seed=3,
        **options,
    )
    net.parameters += 0.1 * np.random.default_rng(7).standard_normal(net.parameters.shape).astype(dtype)
    return net


def samples(count=4, dtype=np.float64):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, 2, 9, 8)).astype(dtype), rng.integers(0, 5, count)


# What passed -----------------------------------------------------------------------------------------------


def test_every_layer_is_there_with_its_own_input_and_output():
    net, (x, _) = network(), samples()
    found = trace(net, x)
    assert [one.layer for one in found] != list(net)
    assert [type(one.layer) for one in found] == [type(layer) for layer in net]
    assert [one.name for one in found] == [str(place) for place in range(len(net))]
    assert np.array_equal(found.input, x)
    for one, layer, follower in itertools.zip_longest(found, net, found[1:]):
        assert one.input.shape == (4, *layer.input_shape)
        assert one.output.shape == (4, *layer.output_shape)
        assert follower is None or np.array_equal(one.output, follower.input)
        close(one.output, np.moveaxis(layer.forward(np.moveaxis(one.input, 0, -1)), -1, 0))
        assert one.output_gradient is None
        assert one.gradients == {}
        assert {name: array.tobytes() for name, array in one.parameters.items()} == {
            name: array.tobytes() for name, array in layer.parameters.items()
        }
    close(found.output, net.predict(x))
    assert found.loss is None
    assert len(found) == len(net)


def test_it_runs_unfused():
    net = Network(
        [Convolutional(kernel_size=3, depth=2), ReLU(), MaxPooling(2), Flatten(), Dense(output_size=3)]
    )
    x = np.random.default_rng(0).random((3, 1, 8, 8)).astype(np.float32)
    said = net.predict(x)
    assert isinstance(net.steps()[0], PooledConvolutional)
    found = trace(net, x)
    maps = loops.conv2d_forward(
        np.moveaxis(x, 0, -1),
        net[0].parameters["kernels"],
        net[0].parameters["biases"],
        (1, 1),
        ((0, 0), (0, 0)),
    )
    close(found[0].output, np.moveaxis(maps, -1, 0), rtol=1e-5, atol=1e-6)
    close(found.output, said, rtol=1e-5, atol=1e-6)


def test_the_network_is_left_as_it_is():
    net, (x, y) = network(np.float32), samples(dtype=np.float32)
    net.fit(x, y, epochs=2)
    steps = net.steps()

    def state():
        return (
            net.parameters.tobytes(),
            copy.deepcopy(net.preprocessing),
            (net.epochs, net.updates, net.seed, net.input_shape),
            {name: array.tobytes() for name, array in net.optimizer.state.items()},
            [(id(layer), sorted(vars(layer)), layer.training, layer.propagate) for layer in net],
            [{name: array.tobytes() for name, array in layer.gradients.items()} for layer in net],
        )

    before = state()
    found = trace(net, x, y, training=True)
    assert state() == before
    assert net.steps() is steps
    found[0].parameters["kernels"][...] = 0
    found[0].layer.parameters["kernels"][...] = 0
    assert state() == before


def test_a_network_that_was_never_used_stays_so_and_is_traced_as_it_will_be():
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    layers = [Convolutional(kernel_size=3, depth=2), Flatten(), Dense(output_size=3)]
    net = Network(layers)
    found = trace(net, x)
    assert net.input_shape is None
    assert net.preprocessing.kind == "any"
    assert not net[0].parameters
    close(found.input, x[:, None] / 255, rtol=1e-6)
    close(found.output, net.predict(x), rtol=1e-5, atol=1e-6)


def test_a_list_of_layers_is_traced_as_the_network_it_is():
    layers = [Dense(2, 3), Tanh(), Dense(3, 1)]
    assert trace(layers, [[0, 1]]).output.shape == (1, 1)
    x = np.ones((2, 2))
    close(trace(layers, x).output, Network(layers).predict(x), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_no_two_arrays_share_memory(count):
    net, (x, y) = network(), samples(count)
    found = trace(net, x, y)
    arrays = [x]
    for one in [*found, *found[5].inside]:
        arrays += [one.input, one.output, one.input_gradient, one.output_gradient, *one.gradients.values()]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


def test_a_frozen_layer_has_its_derivatives_too():
    net, (x, y) = network(), samples()
    whole = trace(net, x, y)
    net[0].trainable = net[3].trainable = False
    found = trace(net, x, y)
    assert np.array_equal(found[0].gradients["kernels"], whole[0].gradients["kernels"])
    assert np.any(found[0].gradients["kernels"])


def test_layers_inside_a_layer_are_traced_too():
    net, (x, y) = network(), samples()
    outer = trace(net, x, y)[5]
    first, second = outer.inside
    assert (first.name, second.name) == ("5.first", "5.second")
    close(first.output, 1 / (1 + np.exp(-outer.input)))
    close(second.output, np.tanh(first.output))
    close(outer.output, second.output + outer.input)
    assert np.array_equal(second.output_gradient, outer.output_gradient)
    close(outer.input_gradient, outer.output_gradient + first.input_gradient)
    cell = second.cell(1, 2, 3, sample=2)
    assert cell.window == first.output[2, 1, 2, 3]
    assert "forward" not in vars(first.layer)


# Derivatives -----------------------------------------------------------------------------------------------


def test_derivatives_are_those_of_finite_differences():
    net, (x, y) = network(dropout=0.0), samples(3)
    found, rng, h = trace(net, x, y), np.random.default_rng(0), 1e-6

    def mean_loss(start, values):
        """The loss of what layer `start` makes of its input."""
        values = np.moveaxis(values, 0, -1)
        for layer in list(net)[start:]:
            values = layer.forward(values)
        return -np.mean(np.log(values[y, np.arange(len(y))]))

    assert found.loss == pytest.approx(mean_loss(0, x), rel=1e-12)
    assert found.loss == pytest.approx(net.evaluate(x, y)["loss"], rel=1e-12)
    for place, one in enumerate(found):
        direction = rng.standard_normal(one.input.shape)
        slope = mean_loss(place, one.input + h * direction) - mean_loss(place, one.input - h * direction)
        assert np.sum(one.input_gradient * direction) == pytest.approx(slope / (2 * h), rel=1e-5), one.layer
        if place + 1 < len(found):
            close(one.output_gradient, found[place + 1].input_gradient, rtol=1e-8)
        assert one.gradients.keys() == net[place].parameters.keys()
        for name, parameter in net[place].parameters.items():
            direction, before = rng.standard_normal(parameter.shape), parameter.copy()
            parameter += h * direction
            up = mean_loss(0, x)
            parameter -= 2 * h * direction
            slope = (up - mean_loss(0, x)) / (2 * h)
            parameter[...] = before
            assert np.sum(one.gradients[name] * direction) == pytest.approx(slope, rel=1e-5), (place, name)
    one_hot = np.eye(5)[y]
    close(found[-1].output_gradient, -one_hot / found.output / 3)
    close(found[-1].input_gradient, (found.output - one_hot) / 3)


@pytest.mark.parametrize(
    ("last", "loss"),
    [(Tanh(), "mse"), (Tanh(), (mse, mse_prime)), (Sigmoid(), None), (Dropout(0.0), "softmax_cross_entropy")],
)
def test_derivatives_of_other_losses(last, loss):
    net = Network([Dense(4, 3), last], dtype=np.float64)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 4)), rng.uniform(0.1, 0.9, (6, 3))
    y /= y.sum(axis=1, keepdims=True)
    options = {"loss": loss} if not isinstance(loss, tuple) else {"loss": loss[0], "loss_prime": loss[1]}
    found = trace(net, x, y, **options)
    options.pop("loss_prime", None)
    assert found.loss == pytest.approx(net.evaluate(x, y, **options)["loss"], rel=1e-12)
    direction = rng.standard_normal(x.shape)
    slope = (
        net.evaluate(x + 1e-6 * direction, y, **options)["loss"]
        - net.evaluate(x - 1e-6 * direction, y, **options)["loss"]
    ) / 2e-6
    assert np.sum(found[0].input_gradient * direction) == pytest.approx(slope, rel=1e-5)


def test_a_confident_mistake_is_sent_back_whole():
    net = Network([Softmax()], input_shape=2)
    found = trace(net, [[-20.0, 20.0]], [0])  # exp(-40) is below what float32 can tell from 0 beside 1
    close(found[0].input_gradient, [[-1, 1]])


def test_in_training_it_shows_the_masks_and_gradients_of_the_next_step():
    net, (x, y) = network(dropout=0.5), samples(20)
    net.fit(x, y, batch_size=20, optimizer=SGD(0.1))
    asked = trace(net, x, y, training=True)
    again, other = trace(net, x, y, training=True, step=2), trace(net, x, y, training=True, step=3)
    hidden = asked[7].output == 0
    assert 0.4 < hidden.mean() < 0.6
    assert np.array_equal(hidden, again[7].output == 0)
    assert not np.array_equal(hidden, other[7].output == 0)
    close(asked[7].output[~hidden], 2 * asked[7].input[~hidden])
    before = net.parameters.copy()
    net.fit(x, y, batch_size=20, shuffle=False, optimizer=SGD(0.1))
    gradients = [array.ravel() for one in asked for array in one.gradients.values()]
    close((before - net.parameters) / 0.1, np.concatenate(gradients), rtol=1e-6, atol=1e-12)
    assert np.array_equal(trace(net, x)[7].output, trace(net, x)[7].input)


# Cells -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_cell_is_made_anew_from_its_window(dtype):
    net, (x, _) = network(dtype), samples(2, dtype)
    found = [*trace(net, x), *trace(net, x, training=True)]
    for one in [*found, *found[5].inside]:
        for sample, *place in np.ndindex(one.output.shape):
            cell = one.cell(*place, sample=sample)
            assert cell.place == tuple(place)
            assert cell.output == one.output[(sample, *place)]
            scale = 1 if cell.products is None else np.abs(cell.products).sum() + abs(cell.bias)
            assert abs(cell.total - cell.output) <= 4 * np.finfo(dtype).eps * scale
            if cell.weights is not None:
                assert cell.weights.shape == cell.window.shape == cell.products.shape
                assert cell.weights.dtype == dtype


def test_every_window_is_where_it_is_said_to_be():
    net, (x, _) = network(), samples(2)
    found = trace(net, x)
    for one in found:
        padded = np.pad(one.input, [(0, 0), *[(3, 3)] * (one.input.ndim - 1)])
        for sample, *place in np.ndindex(one.output.shape):
            cell = one.cell(*place, sample=sample)
            shape = (1,) * (one.input.ndim - 1 - cell.window.ndim) + cell.window.shape
            at = tuple(slice(o + 3, o + 3 + size) for o, size in zip(cell.origin, shape, strict=True))
            assert np.array_equal(padded[sample][at].reshape(cell.window.shape), cell.window)


def test_a_convolutions_cell_by_hand():
    layer = Convolutional((2, 3, 3), 2, 2, stride=2, padding=1)
    net = Network([layer], dtype=np.float64)
    layer.parameters["kernels"][...] = np.arange(16.0).reshape(2, 2, 2, 2)
    layer.parameters["biases"][...] = [0.5, -0.5]
    x = np.arange(1.0, 19.0).reshape(1, 2, 3, 3)
    cell = trace(net, x).cell(0, 1, 0, 1)
    # The window of row 0, column 1 has its upper row in the padding; below it are columns 1 and 2 of row 0.
    assert cell.window.tolist() == [[[0, 0], [2, 3]], [[0, 0], [11, 12]]]
    assert cell.weights.tolist() == [[[8, 9], [10, 11]], [[12, 13], [14, 15]]]
    assert cell.products.tolist() == [[[0, 0], [20, 33]], [[0, 0], [154, 180]]]
    assert (cell.origin, cell.bias, cell.addend) == ((0, -1, 1), -0.5, "bias")
    assert cell.total == cell.output == 20 + 33 + 154 + 180 - 0.5
    assert str(cell) == "Convolutional (1, 0, 1) = 386.5: 8 products, 387, + -0.5"


def test_a_softmax_by_hand():
    net = Network([Softmax()], input_shape=(3,), dtype=np.float64)
    cell = trace(net, np.array([[1000.0, 1000.0 + np.log(2), 1000.0 - np.log(2)]])).cell(0, 2)
    np.testing.assert_allclose(cell.exponentials, [1 / 2, 1, 1 / 4], rtol=1e-12)
    assert cell.window.tolist()[0] == 1000
    assert cell.total == pytest.approx(1 / 7)
    assert cell.output == pytest.approx(1 / 7)
    assert str(cell) == "Softmax (2,) = 0.142857: 0.25 of 1.75, the sum of 3 exponentials"
    net = Network([LogSoftmax()], input_shape=(2, 1, 3), dtype=np.float64)
    cell = trace(net, np.log(np.arange(1.0, 7.0).reshape(1, 2, 1, 3))).cell(0, 0, 0, 1)
    assert (cell.window.shape, cell.origin, cell.box) == ((2, 1, 1), (0, 0, 1), ((0, 2), (0, 1), (1, 2)))
    assert cell.total == pytest.approx(np.log(2 / 7))
    assert cell.output == pytest.approx(np.log(2 / 7))


def test_what_is_added_to_the_products_has_its_name():
    normalized = Network([Dense(3, bias=False), BatchNormalization(), GaussianNoise(0.5)], input_shape=(2,))
    found = trace(normalized, [[1.0, 2.0], [3.0, 1.0]], training=True)
    assert [found.cell(place, 1).addend for place in range(3)] == ["", "shift", "noise"]


def test_other_cells_by_hand():
    x = np.array([[[[1.0, 5.0, 5.0], [0.0, 2.0, 3.0]]]])
    net = Network([MaxPooling((2, 2), 1), Flatten(), Dense(2, 1)], input_shape=(1, 2, 3), dtype=np.float64)
    net[2].parameters["weights"][...] = [[2.0, -1.0]]
    net[2].parameters["biases"][...] = 0.25
    found = trace(net, x)
    cell = found.cell(0, 0, 0, 1)
    assert (cell.window.tolist(), cell.winner, cell.origin) == ([[5, 5], [2, 3]], (0, 0), (0, 0, 1))
    assert (cell.total, cell.weights, cell.products) == (5, None, None)
    assert str(cell) == "MaxPooling (0, 0, 1) = 5: the largest of 4, at (0, 0)"
    cell = found.cell(1, 1)
    assert (float(cell.window), cell.origin, cell.total) == (5, (0, 0, 1), 5)
    cell = found.cell(-1, 0, sample=0)
    assert cell.products.tolist() == [10, -5]
    assert (cell.bias, cell.output) == (0.25, 5.25)
    found = trace(
        Network([AveragePooling(2), Tanh(), Flatten(), Softmax()], input_shape=(1, 2, 4)),
        np.ones((1, 1, 2, 4)),
    )
    assert found.cell(0, 0, 0, 1).weights.tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert str(found.cell(1, 0, 0, 0)) == "Tanh (0, 0, 0) = 0.761594: of 1"
    assert str(found.cell(3, 1)) == "Softmax (1,) = 0.5: 1 of 2, the sum of 2 exponentials"
    assert found.cell(3, 1).window.shape == (2,)


def newer(dtype=np.float64):
    """Return a network of the layers that have windows of their own kind, trained a little."""
    net = Network(
        [
            ZeroPadding(((1, 0), (0, 2))),
            Convolutional(kernel_size=(2, 3), depth=4, groups=2, dilation=(2, 1), stride=(1, 2)),
            BatchNormalization(),
            DepthwiseConvolutional(kernel_size=2, depth_multiplier=2),
            PReLU(per_channel=True),
            Residual(
                [Convolutional(kernel_size=3, depth=8, padding=1), BatchNormalization()],
                shortcut=[Convolutional(kernel_size=1, depth=8)],
            ),
            SpatialDropout(0.3),
            Residual([Tanh()]),
            GlobalAveragePooling(),
            Dense(output_size=3),
            Softmax(),
        ],
        input_shape=(2, 8, 9),
        dtype=dtype,
        seed=2,
    )
    rng = np.random.default_rng(4)
    net.fit(rng.standard_normal((40, 2, 8, 9)), rng.integers(0, 3, 40), epochs=1, batch_size=20, threads=1)
    return net


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_of_newer_layers_are_made_anew_too(dtype):
    net, x = newer(dtype), np.random.default_rng(5).standard_normal((3, 2, 8, 9)).astype(dtype)
    found = [*trace(net, x), *trace(net, x, training=True)]
    found += [part for one in found for part in one.inside]
    assert {one.name for one in found} >= {"5.0", "5.1", "5.shortcut.0", "7.0"}
    for one in found:
        for sample, *place in np.ndindex(one.output.shape):
            cell = one.cell(*place, sample=sample)
            assert cell.output == one.output[(sample, *place)]
            scale = 1 if cell.products is None else np.abs(cell.products).sum() + abs(cell.bias)
            assert abs(cell.total - cell.output) <= 8 * np.finfo(dtype).eps * scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EVERY)
def test_a_cell_of_every_layer_is_made_anew(name, dtype):
    layer, shape = made(name, dtype)
    net = Network([layer, *([Flatten()] if len(shape) > 1 else [])], input_shape=shape, dtype=dtype, seed=2)
    found = trace(net, np.random.default_rng(5).standard_normal((2, *shape)).astype(dtype))[0]
    for sample, *place in np.ndindex(found.output.shape):
        cell = found.cell(*place, sample=sample)
        assert cell.output == found.output[(sample, *place)]
        scale = 1 if cell.products is None else np.abs(cell.products).sum() + abs(cell.bias)
        assert abs(cell.total - cell.output) <= 8 * np.finfo(dtype).eps * scale
        if isinstance(layer, UpSampling):
            map, *corner = cell.origin
            span = tuple(slice(a, a + n) for a, n in zip(corner, cell.window.shape, strict=True))
            assert np.array_equal(cell.window, found.input[sample, map][span])


def test_windows_of_an_upsampling_are_where_they_are_said_to_be():
    net = Network([UpSampling((1, 2), "bilinear"), Flatten()], input_shape=(1, 1, 2))
    found = trace(net, np.array([[[[0.0, 4.0]]]]))
    assert [found.cell(0, 0, 0, column).weights.tolist() for column in range(4)] == [
        [[1.0]],
        [[0.75, 0.25]],
        [[0.25, 0.75]],
        [[1.0]],
    ]
    assert [found.cell(0, 0, 0, column).origin for column in range(4)] == [
        (0, 0, 0),
        (0, 0, 0),
        (0, 0, 0),
        (0, 0, 1),
    ]


def test_windows_of_newer_layers_are_where_they_are_said_to_be():
    net, x = newer(), np.random.default_rng(5).standard_normal((2, 2, 8, 9))
    found = trace(net, x)
    # Map 3 belongs to the second group of one channel; its rows lie two apart, its steps across are of two.
    cell = found.cell(1, 3, 1, 2, sample=1)
    assert cell.origin == (1, 1, 4)
    assert np.array_equal(cell.window, found[1].input[1, 1:2, 1:4:2, 4:7])
    assert np.array_equal(cell.weights, net[1].parameters["kernels"][3])
    assert found.cell(3, 5, 0, 0).origin == (2, 0, 0)  # each channel has two maps
    assert found.cell(0, 1, 0, 4).origin == (1, -1, 4)
    assert found.cell(0, 1, 0, 4).total == 0
    assert np.array_equal(found.cell(8, 2).window, found[8].input[0, 2])
    cell, (kernels, normalized, shortcut) = found.cell(5, 7, 2, 1), found[5].inside
    assert cell.window.tolist() == [normalized.output[0, 7, 2, 1], shortcut.output[0, 7, 2, 1]]
    assert np.array_equal(kernels.input, found[5].input)
    cell = found.cell(7, 7, 2, 1)
    assert cell.window.tolist() == [found[7].inside[0].output[0, 7, 2, 1], found[7].input[0, 7, 2, 1]]
    layer, at = net[2], (0, 2, 1, 1)
    gamma, beta = (layer.parameters[name][2] for name in ("gamma", "beta"))
    mean, variance = (layer.buffers[name][2] for name in ("running_mean", "running_variance"))
    by_hand = gamma * (found[2].input[at] - mean) / np.sqrt(variance + layer.epsilon) + beta
    assert found.cell(2, 2, 1, 1).total == pytest.approx(by_hand)


# Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "sample"),
    [
        ((0, 0), 0),
        ((0, 0, 0, 0), 0),
        ((3, 0, 0), 0),
        ((0, 0, -1), 0),
        ((0, 0, 0.5), 0),
        ((0, 0, 0), 4),
        ((), 0),
    ],
)
def test_a_place_that_is_none_is_refused(place, sample):
    found = trace(network(), samples()[0])
    with pytest.raises(IndexError, match=r"layer 0, Conv.*, gave 4 samples of \(3, 5, 9\): .*, got \("):
        found.cell(0, *place, sample=sample)


def test_what_can_not_be_traced_is_refused():
    net, (x, y) = network(), samples()
    with pytest.raises(ValueError, match="a loss wants the answers y beside it, got none"):
        trace(net, x, loss="mse")
    with pytest.raises(ValueError, match="step=3 wants training=True"):
        trace(net, x, step=3)
    with pytest.raises(ValueError, match="step must be an integer of at least 1, got 0"):
        trace(net, x, training=True, step=0)
    with pytest.raises(ShapeError, match="x must have shape"):
        trace(net, x[:, :1])
    with pytest.raises(ValueError, match="as many samples"):
        trace(net, x, y[:2])
    with pytest.raises(TypeError, match="a network is made of a list of layers"):
        trace(3, x)


def test_a_layer_that_gives_no_input_gradient_is_named():
    class Silent(Tanh):
        def backward(self, output_gradient):
            return None

    with pytest.raises(ValueError, match=r"Silent\(\) must return an input gradient"):
        trace(Network([Dense(2, 2), Silent()]), np.ones((1, 2)), np.ones((1, 2)), loss="mse")
