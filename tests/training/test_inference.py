"""Inference gives the answers that the layers give one by one, whatever is folded and however it is cut."""

import copy
import math
import threading

import numpy as np
import pytest

from purecnn import (
    AveragePooling,
    BatchNormalization,
    Branches,
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    LeakyReLU,
    MaxPooling,
    Network,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    SiLU,
    Tanh,
    ZeroPadding,
    load,
    save,
)
from purecnn.errors import ShapeError
from purecnn.training.inference import piece


def convolution(depth=4, size=3, **options):
    return Convolutional(kernel_size=size, depth=depth, **options)


def normalized(*layers):
    return [*layers, BatchNormalization()]


def residual(**options):
    """A residual block of two convolutions, and the ReLU behind it."""
    inner = [*normalized(convolution(padding=1)), ReLU(), *normalized(convolution(padding=1))]
    return [Residual(inner, **options), ReLU()]


NETWORKS = {
    "convolution": lambda: [*normalized(convolution()), ReLU(), Flatten(), Dense(3)],
    "not rectified": lambda: [*normalized(convolution()), Tanh(), Flatten(), Dense(3)],
    "pooled": lambda: [*normalized(convolution()), ReLU(), MaxPooling(2), Flatten(), Dense(3)],
    "pooled, then activated": lambda: [
        *normalized(convolution()),
        LeakyReLU(),
        MaxPooling(2),
        Flatten(),
        Dense(3),
    ],
    "pooled, then rectified": lambda: [
        *normalized(convolution()),
        MaxPooling(2),
        ReLU(),
        Flatten(),
        Dense(3),
    ],
    "overlapping windows": lambda: [*normalized(convolution()), MaxPooling(3, stride=2), Flatten(), Dense(3)],
    "strided": lambda: [*normalized(convolution(stride=2, padding=1)), ReLU(), Flatten(), Dense(3)],
    "grouped": lambda: [convolution(), *normalized(convolution(groups=2)), ReLU(), Flatten(), Dense(3)],
    "dilated": lambda: [*normalized(convolution(dilation=2)), ReLU(), MaxPooling(2), Flatten(), Dense(3)],
    "depthwise": lambda: [
        *normalized(DepthwiseConvolutional(kernel_size=3, depth_multiplier=2)),
        ReLU(),
        *normalized(convolution(5, 1)),
        Flatten(),
        Dense(3),
    ],
    "a bias for each position": lambda: [
        *normalized(convolution(per_position_bias=True)),
        ReLU(),
        MaxPooling(2),
        Flatten(),
        Dense(3),
    ],
    "no biases": lambda: [
        *normalized(convolution(bias=False)),
        ReLU(),
        convolution(bias=False),
        MaxPooling(2),
        DepthwiseConvolutional(kernel_size=1, bias=False),
        ReLU(),
        *(Flatten(), *normalized(Dense(5, bias=False)), Dense(3, bias=False), ReLU()),
    ],
    "not affine": lambda: [convolution(), BatchNormalization(affine=False), ReLU(), Flatten(), Dense(3)],
    "dense": lambda: [
        Flatten(),
        *normalized(Dense(6)),
        ReLU(),
        Dropout(0.5),
        GaussianNoise(1),
        *normalized(Dense(3)),
    ],
    "no layer before": lambda: [
        BatchNormalization(),
        convolution(),
        ReLU(),
        BatchNormalization(),
        AveragePooling(2),
        Flatten(),
        BatchNormalization(),
        Dense(3),
    ],
    "wide": lambda: [
        *normalized(convolution(24, 3, padding=1)),
        ReLU(),
        *normalized(convolution(24)),
        Flatten(),
    ],
    "residual": lambda: [convolution(), *residual(), GlobalAveragePooling(), Dense(3)],
    "residual with a shortcut": lambda: [
        convolution(),
        *residual(shortcut=normalized(convolution(4, 1))),
        GlobalAveragePooling(),
        Dense(3),
    ],
    "residual with a shortcut of no convolution": lambda: [
        convolution(3),
        Residual([*normalized(convolution(3, padding=1))], shortcut=[ReLU(), BatchNormalization()]),
        ZeroPadding(1),
        Flatten(),
        Dense(3),
    ],
    "residual that begins with a normalization": lambda: [
        convolution(),
        Residual([BatchNormalization(), ReLU(), convolution(padding=1), ReLU()]),
        Residual([Residual([*normalized(convolution(padding=1))]), convolution(padding=1)]),
        ReLU(),
        GlobalAveragePooling(),
    ],
    "gated, squeezed and excited": lambda: [
        convolution(),
        SiLU(),
        MaxPooling(2),
        SiLU(),
        DepthwiseConvolutional(kernel_size=1),
        ReLU6(),
        Branches(
            [],
            [
                GlobalAveragePooling(),
                Reshape((4,), (4, 1, 1)),
                convolution(2, 1),
                SiLU(),
                convolution(4, 1),
                Flatten(),
            ],
            merge="multiply",
        ),
        Branches([convolution(4, 1)], [], merge="add"),
        SiLU(),
        Branches([SiLU()], [], merge="add"),
        Flatten(),
        SiLU(),
        Dense(3),
    ],
    "residual of dense layers": lambda: [
        Flatten(),
        Dense(6),
        Residual([*normalized(Dense(6)), ReLU(), Dense(6)]),
        Dense(3),
    ],
}


def parts(network):
    return [part for layer in network for part in (layer, *layer.parts()) if not part.inside()]


def made(name, dtype=np.float32, shape=(2, 9, 10)):
    """A network with parameters and running statistics as training might leave them."""
    network = Network(NETWORKS[name](), input_shape=shape, dtype=dtype)
    rng = np.random.default_rng(1)
    for part in parts(network):
        for array in part.parameters.values():
            array += rng.normal(size=array.shape) * 0.3
        disturb(part, rng)
    return network


def disturb(part, rng):
    if isinstance(part, BatchNormalization):
        part.buffers["running_mean"][...] = rng.normal(size=part.channels)
        part.buffers["running_variance"][...] = rng.uniform(0.2, 3, part.channels)


def samples(count, shape=(2, 9, 10), dtype=np.float32):
    return np.random.default_rng(2).normal(size=(count, *shape)).astype(dtype)


def layer_by_layer(network, x):
    """What the layers give, each called by itself, in float64."""
    y = np.moveaxis(x.astype(np.float64), 0, -1)
    for layer in copy.deepcopy(network).layers:
        for part in (layer, *layer.parts()):
            if not part.inside():
                part.parameters = {name: p.astype(np.float64) for name, p in part.parameters.items()}
        y = layer.forward(y)
    return np.moveaxis(y, -1, 0)


def error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 2e-6), (np.float64, 2e-14)])
def test_answers_are_those_of_the_layers(name, dtype, most):
    network, x = made(name, dtype), samples(33, dtype=dtype)
    for count in (33, 1, 8):
        assert error(network.predict(x[:count]), layer_by_layer(network, x[:count])) < most


def test_a_convolution_behind_a_reshape_is_laid_out_once():
    network = made("gated, squeezed and excited")
    network.predict(samples(1))
    steps = network._idle[-1].layers
    kept = [step.calls for step in steps if hasattr(step, "calls")]
    network.predict(samples(1))
    again = [step.calls for step in steps if hasattr(step, "calls")]
    assert len(kept) == 5
    assert all(one is other for one, other in zip(kept, again, strict=True))


def test_what_can_be_folded_is_folded():
    def kinds(name):
        network = made(name)
        network.predict(samples(1))
        return [type(step).__name__ for step in network.inference_steps()]

    assert kinds("pooled") == ["FusedConvolution", "Flatten", "FusedDense"]
    assert kinds("dense") == ["Flatten", "FusedDense", "FusedDense"]
    gated = kinds("gated, squeezed and excited")
    assert gated[:4] == ["FusedConvolution", "WinnerlessPooling", "QuickSiLU", "FusedConvolution"]
    assert gated[4:].count("QuickSiLU") == 2
    inside = ["FusedConvolution", "JoiningConvolution"]
    assert kinds("residual")[1:4] == ["Fork", *inside]
    ends = ["FusedConvolution", "Cross", "JoiningConvolution"]
    assert kinds("residual with a shortcut")[1:6] == ["Fork", "FusedConvolution", *ends]
    assert kinds("no layer before").count("BatchNormalization") == 3


@pytest.mark.parametrize(
    "name", ["pooled", "dense", "residual with a shortcut", "grouped", "no layer before"]
)
def test_whatever_changes_is_seen(name):
    network, x, rng = made(name), samples(9), np.random.default_rng(3)

    def check():
        assert error(network.predict(x), layer_by_layer(network, x)) < 2e-6

    check()
    for part in parts(network):
        for key, array in list(part.parameters.items()):
            array[...] *= rng.uniform(0.5, 1.5, array.shape)
            check()
            part.parameters[key] = array * np.float32(1.25)  # another array, put in by hand
            check()
        for array in part.buffers.values():
            array *= 1.5
            check()
        if isinstance(part, BatchNormalization):
            part.buffers["running_mean"] = list(part.buffers["running_mean"] + 1)
            assert error(network.predict(x), layer_by_layer(network, x)) < 2e-6
    network.parameters = network.parameters * 0.5
    check()
    network.fit(x, np.arange(9) % network.output_shape[0], epochs=1, batch_size=9)
    check()


def test_a_file_read_gives_its_own_answers(tmp_path):
    network, x = made("residual"), samples(5)
    wanted = network.predict(x)
    save(network, tmp_path / "model.npz")
    assert np.array_equal(load(tmp_path / "model.npz").predict(x), wanted)


def test_a_negative_variance_is_refused_each_time():
    network = made("convolution")
    network.predict(samples(1))
    network[1].buffers["running_variance"][0] = -1
    for _ in range(2):
        with pytest.raises(ValueError, match="must be at least 0, got -1"):
            network.predict(samples(1))


def test_folding_changes_neither_layers_nor_training():
    asked, left, x = made("residual"), made("residual"), samples(24)
    before = [type(layer) for layer in asked], asked.parameters.copy()
    asked.predict(x)
    assert [type(layer) for layer in asked] == before[0]
    assert np.array_equal(asked.parameters, before[1])
    for network in (asked, left):
        network.fit(x, np.arange(24) % 3, epochs=2, batch_size=8)
    assert np.array_equal(asked.parameters, left.parameters)
    for mine, other in zip(parts(asked), parts(left), strict=True):
        for name, array in mine.buffers.items():
            assert np.array_equal(array, other.buffers[name])


def test_frozen_layers_are_folded_and_go_on_in_training():
    network, x = made("residual"), samples(12)
    for part in parts(network)[:-1]:
        part.trainable = False
    before = network.predict(x)
    network.fit(x, np.arange(12) % 3, epochs=1, batch_size=6)
    assert error(network.predict(x), layer_by_layer(network, x)) < 2e-6
    assert not np.array_equal(network.predict(x), before)


def test_threads_of_the_users_may_ask_at_once():
    network, x = made("residual"), samples(40)
    wanted, found = copy.deepcopy(network).predict(x), {}

    def ask(number):
        found[number] = network.predict(x)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[number], wanted) for number in range(4))


def large():
    """A network whose samples are worth a piece of their own, or nearly."""
    layers = [convolution(24, 5, padding=2), *residual_of(24), ReLU(), GlobalAveragePooling(), Dense(3)]
    return Network(layers, input_shape=(3, 16, 16))


def residual_of(depth):
    return [Residual([*normalized(convolution(depth, padding=1)), ReLU(), convolution(depth, padding=1)])]


@pytest.mark.parametrize("count", [1, 16, 31, 32, 255, 256, 257, 1000])
def test_answers_have_the_same_bits_at_any_number_of_threads(count):
    network, x = large(), samples(count, (3, 16, 16))
    wanted = network.predict(x, threads=1)
    for threads in (2, 3):
        assert np.array_equal(network.predict(x, threads=threads), wanted)
    few = min(count, 5)
    np.testing.assert_allclose(wanted[:few], layer_by_layer(network, x[:few]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(wanted[-few:], layer_by_layer(network, x[-few:]), rtol=1e-4, atol=1e-5)


def test_a_batch_of_work_is_cut_for_several_cores_and_one_of_none_is_not():
    network, cheap = large(), Network([Dense(3)], input_shape=4)
    pieces = []
    for asked in (network, cheap):
        asked.inference_steps()
        pieces.append([piece(n, asked._plan.work) for n in (1, 15, 16, 31, 32, 64, 257, 60_000)])
    assert pieces == [[1, 15, 8, 16, 16, 16, 33, 256], [1, 15, 16, 31, 32, 64, 136, 256]]


@pytest.mark.parametrize("most", [1, 5, 20, 256])
@pytest.mark.parametrize("work", [0, 10, 500_000, 10**10])
def test_pieces_are_as_many_as_needed_and_none_is_too_wide(most, work):
    for samples in (1, 15, 16, 17, 31, 32, 33, 100, 255, 256, 257, 1000, 4097):
        size = piece(samples, work, most)
        assert 1 <= size <= most
        assert size * (-(-samples // size) - 1) < samples


def test_pieces_heed_max_bytes():
    network, x = large(), samples(100, (3, 16, 16))
    wanted = network.predict(x)
    network.max_bytes = 3 * network._sample_bytes
    assert network.chunk() == 2
    np.testing.assert_allclose(network.predict(x), wanted, rtol=1e-4, atol=1e-5)
    network.max_bytes = network._sample_bytes - 1
    with pytest.raises(ShapeError, match="max_bytes allows"):
        network.predict(x)


@pytest.mark.parametrize(("dtype", "off"), [(np.float32, 2.0**-23), (np.float64, 2.0**-51)])
def test_a_silu_is_off_by_a_rounding_of_its_input(dtype, off):
    """In float64 of its output, which for large negative numbers is far less."""
    x = np.array([-700.0, -40, -17, -5, -1, -1e-3, 0, 1e-3, 1, 5, 40])
    network = Network([Convolutional(kernel_size=1, depth=1), SiLU()], input_shape=(1, 1, 11), dtype=dtype)
    network[0].parameters["kernels"][...], network[0].parameters["biases"][...] = 1, 0
    found = network.predict(x.astype(dtype).reshape(1, 1, 1, 11)).ravel()
    exact = np.array([value / (1 + math.exp(-value)) for value in x])
    bound = off * np.abs(x if dtype == np.float32 else exact)
    assert (np.abs(found - exact) <= 2 * bound).all()
