"""Residual connections: PyTorch's numbers through whole training steps, one flat vector, any depth."""

import json
import types

import numpy as np
import pytest

from helpers.own_passes import data, hold_to_copies_and_files, hold_to_own_passes, hold_to_the_same_bits
from helpers.torch_numbers import close, listed, part
from helpers.torch_numbers import load as fixture
from purecnn import (
    SGD,
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    Identity,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    Reshape,
    Residual,
    ShapeError,
    Softmax,
    Tanh,
    ZeroPadding,
    load,
    save,
    summary,
)
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.layers.composites.base import Arrays
from purecnn.layers.composites.merges import Sum
from purecnn.layers.composites.nesting import MAX_DEPTH
from purecnn.layers.composites.steps import Fork
from purecnn.losses import as_loss
from purecnn.training.fusion import PooledConvolutional
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings

# PyTorch --------------------------------------------------------------------------------------------------


def conv(depth, kernel_size=3, **options):
    return Convolutional(kernel_size=kernel_size, depth=depth, **options)


def blocks(dtype=np.float64):
    """Return the network of residual.npz, and PyTorch's name of each layer with arrays."""
    layers = [
        conv(4, padding=1),
        BatchNormalization(),
        ReLU(),
        Residual(
            [
                conv(6, stride=2, padding=1),
                BatchNormalization(),
                ReLU(),
                conv(6, padding=1),
                BatchNormalization(),
            ],
            shortcut=[conv(6, 1, stride=2), BatchNormalization()],
        ),
        ReLU(),
        Residual([conv(6, padding=1, groups=6), BatchNormalization()]),
        ReLU(),
        GlobalAveragePooling(),
        Dense(output_size=5),
        BatchNormalization(),
        ReLU(),
        Dense(output_size=4),
        Softmax(),
    ]
    network = Network(layers, input_shape=(2, 8, 8), dtype=dtype)
    first, second = layers[3], layers[5]
    named = {
        **{"conv": layers[0], "norm": layers[1]},
        **{"conv1": first.layers[0], "norm1": first.layers[1], "conv2": first.layers[3]},
        **{"norm2": first.layers[4], "short": first.shortcut[0], "short_norm": first.shortcut[1]},
        **{"conv3": second.layers[0], "norm3": second.layers[1]},
        **{"hidden": layers[8], "hidden_norm": layers[9], "dense": layers[11]},
    }
    return network, named


def arrays(layer):
    """Return a layer's arrays by their names in PyTorch."""
    if isinstance(layer, BatchNormalization):
        return {
            "weight": layer.parameters["gamma"],
            "bias": layer.parameters["beta"],
            "running_mean": layer.buffers["running_mean"],
            "running_var": layer.buffers["running_variance"],
        }
    return dict(zip(("weight", "bias"), layer.parameters.values(), strict=True))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("threads", [1, 2])
def test_five_steps_of_training_are_pytorchs(dtype, tolerance, threads):
    data, settings = fixture("residual"), listed("residual", "settings")
    initial, final = part("residual", "initial"), part("residual", "final")
    network, named = blocks(dtype)
    for name, layer in named.items():
        for key, array in arrays(layer).items():
            array[...] = initial[f"{name}.{key}"].reshape(array.shape)
    x = np.moveaxis(data["input"], -1, 0).astype(dtype)
    rows = network.as_rows(x)
    optimizer = SGD(settings["learning_rate"], settings["momentum"])
    batch, losses = settings["batch"], []
    with HostTrainer(
        network,
        rows,
        network.targets(data["labels"], 144),
        FitSettings(
            loss=as_loss("categorical_cross_entropy"), optimizer=optimizer, batch_size=batch, threads=threads
        ),
    ) as trainer:
        assert trainer.count == 2
        losses = [trainer.step((step * batch + np.arange(batch)) % 144) for step in range(settings["steps"])]
    close(losses, data["losses"], tolerance, tolerance)
    for name, layer in named.items():
        for key, array in arrays(layer).items():
            wanted = final[f"{name}.{key}"].reshape(array.shape)
            np.testing.assert_allclose(array, wanted, rtol=tolerance, atol=tolerance, err_msg=f"{name}.{key}")
    logits = data["logits"] - data["logits"].max(axis=0)
    wanted = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_allclose(network.predict(x).T, wanted, rtol=10 * tolerance, atol=tolerance)


# What the engine makes of it ------------------------------------------------------------------------------


NESTED = {
    "plain": lambda: [Residual([conv(1, padding="same"), Tanh()]), Flatten()],
    "behind an activation": lambda: [conv(2), ReLU(), Residual([conv(2, padding=1), ReLU()]), Flatten()],
    "one after another": lambda: [
        conv(3),
        Residual([conv(3, padding=1)]),
        Residual([ReLU(), conv(3, padding=1)]),
        ReLU(),
        Flatten(),
    ],
    "shortcut": lambda: [
        Residual([conv(3, stride=2), ReLU()], [MaxPooling(2), conv(3, 2)]),
        Flatten(),
    ],
    "pooled inside": lambda: [Residual([conv(3), ReLU(), MaxPooling(2)], [conv(3, 2, stride=3)]), Flatten()],
    "in each other": lambda: [
        conv(2),
        Residual([Residual([ReLU(), conv(3)], [conv(3)]), ReLU(), conv(2, 3, padding=2)]),
        ReLU(),
        Flatten(),
    ],
    "in a shortcut": lambda: [
        conv(2),
        Residual([conv(2, padding=1), ReLU()], [Residual([conv(2, 1), ReLU()]), Tanh()]),
        Flatten(),
    ],
    "nothing to train inside": lambda: [Residual([ReLU(), Identity()], [Tanh()]), Flatten()],
    "nothing inside at all": lambda: [conv(2), Residual([Identity()]), ReLU(), Flatten()],
    "only the shortcut trains": lambda: [Residual([ReLU()], [conv(1, padding="same")]), Flatten()],
    "other layers": lambda: [
        conv(2),
        Residual([ZeroPadding(((1, 1), (2, 0))), conv(2)]),
        Residual([Flatten(), Reshape((72,), (2, 6, 6))]),
        Residual([GlobalAveragePooling()], [Flatten(), Dense(output_size=2)]),
    ],
    "normalized": lambda: [
        Residual([conv(2, padding=1), BatchNormalization()], [BatchNormalization(), conv(2, 1)]),
        Residual([BatchNormalization(), ReLU(), Residual([BatchNormalization(), Tanh()])]),
        Flatten(),
    ],
    "normalized first": lambda: [Residual([BatchNormalization()]), Flatten()],
}


def build(name, dtype=np.float64):
    return Network([*NESTED[name](), Dense(output_size=3), Softmax()], dtype=dtype, seed=3)


@pytest.mark.parametrize("name", NESTED)
def test_the_engine_is_the_layers_own_passes(name):
    hold_to_own_passes(lambda: build(name))


@pytest.mark.parametrize("name", ["shortcut", "in each other", "normalized"])
def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch, name):
    hold_to_the_same_bits(monkeypatch, lambda: build(name, np.float32))


def test_a_pooling_inside_is_taken_into_its_convolution():
    network = build("pooled inside")
    network.bind((1, 8, 8))
    kinds = [type(step).__name__ for step in network.steps()]
    assert kinds[:6] == ["Fork", "PooledConvolutional", "ReLU", "Cross", "Convolutional", "Sum"]
    assert {type(step) for step in network.steps()} >= {Fork, Sum, PooledConvolutional}


def test_what_draws_inside_has_a_stream_of_its_own():
    masks = []

    class Spy(Dropout):
        def forward(self, input):
            output = super().forward(input)
            masks.append(self.mask.copy())
            return output

    x, y = data(20)
    inner = Residual([Spy(0.5), Residual([Spy(0.5)], [Spy(0.5)])])
    network = Network([Flatten(), Spy(0.5), inner, Spy(0.5), Residual([Spy(0.5)]), Dense(output_size=3)])
    network.fit(x, y)
    assert len(masks) == 6
    assert len({mask.tobytes() for mask in masks}) == 6
    places = [part.position for layer in network for part in (layer, *layer.parts())]
    assert len(set(places)) == len(places) == 11


def test_all_parameters_lie_in_the_one_vector():
    network = build("in each other", np.float32)
    network.bind((1, 8, 8))
    outer = network[1]
    assert list(outer.parameters) == [
        "0.1.kernels",
        "0.1.biases",
        "0.shortcut.0.kernels",
        "0.shortcut.0.biases",
        "2.kernels",
        "2.biases",
    ]
    kernels = outer.layers[0].shortcut[0].parameters["kernels"]
    assert kernels is outer.parameters["0.shortcut.0.kernels"]
    assert kernels.base is network.parameters
    assert sum(p.size for layer in network for p in layer.parameters.values()) == network.parameters.size
    network.parameters.fill(7)
    assert (kernels == 7).all()
    # an array put in by hand, on either floor, is taken in at the next use
    outer.layers[0].shortcut[0].parameters["kernels"] = np.full(kernels.shape, 5.0)
    outer.parameters["2.biases"] = [1, 2]
    network.predict(np.zeros((1, 8, 8)))
    assert np.count_nonzero(network.parameters == 5) == kernels.size
    assert outer.layers[2].parameters["biases"].tolist() == [1, 2]
    assert outer.layers[2].parameters["biases"].base is network.parameters
    outer.parameters["2.biases"] = [1, 2, 3]
    with pytest.raises(ShapeError, match=r"2\.biases of Residual\(.* must have shape \(2,\), got \(3,\)"):
        network.predict(np.zeros((1, 8, 8)))


def test_layers_drawn_before_keep_their_parameters():
    given = Dense(3, 3, rng=0)
    kept = given.parameters["weights"].copy()
    network = Network([Residual([given, Dense(output_size=3), Tanh()])], input_shape=3)
    np.testing.assert_array_equal(network[0].parameters["0.weights"], kept)
    assert network[0].parameters["1.weights"].any()
    before = network.parameters.copy()
    network[0].draw(np.random.default_rng(9), np.float32, "he")
    assert (network[0].parameters["0.weights"] != before[:9].reshape(3, 3)).all()


def test_the_activation_behind_decides_how_the_last_layer_is_drawn():
    def spread(*layers):
        network = Network([Residual([Dense(400, 400)]), *layers], input_shape=400)
        return network[0].parameters["0.weights"].var() * 400

    assert spread(ReLU()) == pytest.approx(2, rel=0.05)
    assert spread(Tanh()) == pytest.approx(1, rel=0.05)
    inside = Network([Residual([Dense(400, 400), ReLU()]), Tanh()], input_shape=400)
    assert inside[0].parameters["0.weights"].var() * 400 == pytest.approx(2, rel=0.05)


def test_copies_and_files_bring_every_floor(tmp_path):
    for name in NESTED:
        hold_to_copies_and_files(lambda name=name: build(name, np.float32), tmp_path)


def test_a_replica_runs_beside_its_layer():
    layer = Residual([Dense(3, 3, rng=0), Tanh()], [Dense(3, 3, rng=1)])
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    wanted = layer.forward(x)
    twin = layer.replica()
    np.testing.assert_array_equal(twin.forward(x), wanted)
    assert twin.layers[0] is not layer.layers[0]
    assert twin.parameters["0.weights"] is layer.parameters["0.weights"]
    assert twin.layers[0].workspace is not layer.layers[0].workspace
    module = types.SimpleNamespace()  # a device's
    assert layer.replica(module).layers[0].xp is module


def test_the_summary_shows_what_is_inside():
    network = Network([Residual([Dense(4, 4), Residual([Tanh()])], shortcut=[Dense(4, 4)]), Softmax()])
    assert str(summary(network)).splitlines()[3:10] == [
        "Residual       4                      0              0",
        "+- Dense       4                     20             16",
        "|  Residual    4                      0              0",
        "|  +- Tanh     4                      0              0",
        "|  +- (input)  4                      0              0",
        "+- Dense       4                     20             16",
        "Softmax        4                      0              0",
    ]
    assert summary(network).parameters == network.parameters.size == 40
    assert summary(network).multiply_adds == 32


def test_arrays_of_several_as_one():
    first, second = {"a": np.zeros(1)}, {"b": np.ones(1)}
    both = Arrays({"0": first, "10": second})
    both["10.c"] = np.ones(2)
    assert list(both) == ["0.a", "10.b", "10.c"]
    assert len(both) == 3
    assert "0.a" in both
    assert "1.b" not in both
    assert list(both | {"d": np.ones(1)}) == ["0.a", "10.b", "10.c", "d"]
    assert repr(both) == repr(dict(both))
    del both["10.c"]
    assert list(second) == ["b"]
    both.clear()
    assert first == second == {}
    with pytest.raises(KeyError):
        both["5.a"] = np.ones(1)


# Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shortcut", "shape", "words"),
    [
        (
            [Convolutional(kernel_size=3, depth=6, stride=2, padding=1)],
            None,
            (4, 9, 8),
            r"its layers give \(6, 5, 4\), its input has \(4, 9, 8\); try "
            r"shortcut=\[Convolutional\(kernel_size=1, depth=6, stride=\(2, 2\)\)\]",
        ),
        (
            [Convolutional(kernel_size=3, depth=6, padding=1)],
            None,
            (4, 9, 8),
            r"try shortcut=\[Convolutional\(kernel_size=1, depth=6\)\]",
        ),
        (
            [Dense(output_size=3)],
            None,
            (4,),
            r"\(3,\), its input has \(4,\); try shortcut=\[Dense\(output_size=3\)\]",
        ),
        (
            [Convolutional(kernel_size=3, depth=6)],
            None,
            (4, 9, 8),
            "a shortcut that gives the shape of the layers'",
        ),
        ([Flatten()], None, (2, 3), "a shortcut that gives the shape"),
        ([Dense(output_size=3)], [Dense(output_size=2)], (4,), r"give \(3,\), its shortcut \(2,\)"),
        ([Tanh(), Dense(5, 5)], None, (4,), r"^layer 1 of a Residual: Dense\(.* wants 5 inputs, got 4"),
        ([Tanh()], [Dense(5, 5)], (4,), r"^shortcut layer 0 of a Residual: Dense\(.* wants 5 inputs, got 4"),
    ],
)
def test_shapes_that_do_not_add(layers, shortcut, shape, words):
    with pytest.raises(ShapeError, match=words):
        Residual(layers, shortcut).bind(shape)


def test_a_refused_shape_leaves_the_layers_as_they_were():
    layer = Residual([Tanh(), Dense(output_size=4)])
    layer.bind((4,))
    layer.draw(np.random.default_rng(0), np.float32, "he")
    with pytest.raises(ShapeError):
        layer.bind((5,))
    assert (layer.input_shape, layer.layers[0].input_shape) == ((4,), (4,))
    layer.forward(np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Residual(Dense(3, 3)),
            TypeError,
            "layers of a Residual must be a list of layers, got Dense",
        ),
        (lambda: Residual([3]), TypeError, r"layers of a Residual must be a list of layers, got \[3\]"),
        (lambda: Residual([]), ValueError, "layers of a Residual must have at least one layer, got none"),
        (lambda: Residual([Tanh()], []), ValueError, "shortcut of a Residual must have at least one layer"),
        (lambda: Residual([Tanh()], 3), TypeError, "shortcut of a Residual must be a list of layers, got 3"),
    ],
)
def test_what_is_no_list_of_layers(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_layer_stands_in_a_network_once():
    twice = Dense(3, 3)
    for layers in (
        [twice, Residual([twice])],
        [Residual([twice, twice])],
        [Residual([Tanh()], [twice]), twice],
    ):
        with pytest.raises(
            ValueError, match=r"Dense\(.*stands in this network twice, once inside of another"
        ):
            Network(layers)


class Mine(Layer):
    def forward(self, input):
        return self.receive(input)

    def backward(self, output_gradient):
        return output_gradient


def test_a_layer_of_ones_own_inside_is_trained_in_threads_and_saved(tmp_path):
    network = Network([Dense(3, 3), Residual([Mine(), Dense(3, 3)]), Softmax()])
    rng = np.random.default_rng(0)
    rows = network.as_rows(rng.standard_normal((64, 3)))
    targets = network.targets(rng.integers(0, 3, 64), 64)
    with HostTrainer(
        network, rows, targets, FitSettings(loss=as_loss("mse"), optimizer=SGD(), batch_size=64, threads=2)
    ) as trainer:
        assert not trainer.forks
    save(network, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors", layers={"Mine": Mine})
    assert type(again[1].layers[0]) is Mine


def test_a_file_with_layers_too_deep_or_wrong_inside_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save(Network([Residual([Tanh()])], input_shape=2), path)
    tensors, texts = read_safetensors(path)

    def refused(inner, words):
        entry = {"type": "Residual", "layers": inner, "shortcut": None}
        write_safetensors(path, tensors, {**texts, "architecture": json.dumps([entry])})
        with pytest.raises(FileFormatError, match=words):
            load(path)

    refused([{"type": "Quux"}], "layer 0 is of type 'Quux', wanted one of")
    refused([{"type": "Tanh", "slope": 1}], "layer 0, Tanh, has an argument 'slope', wanted none")
    refused([], "layer 0: layers of a Residual must have at least one layer")
    refused("Tanh", "layer 0: layers of a Residual must be a list of layers")
    refused([5], "layer 0 is 5, wanted an object with a type")
    deep = [{"type": "Tanh"}]
    for _ in range(MAX_DEPTH):
        deep = [{"type": "Residual", "layers": deep, "shortcut": None}]
    refused(deep, f"layer 0 holds layers within layers, wanted at most {MAX_DEPTH} deep")
    image = {"type": "Reshape", "input_shape": [2], "output_shape": [2, 1, 1]}
    wide = {"type": "ZeroPadding", "padding": 10**8}
    refused(
        [image, wide, {"type": "GlobalAveragePooling"}],
        r"output of ZeroPadding\(.*, inside of layer 0, has shape",
    )


def test_statistics_in_a_file_take_no_more_memory_than_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save(Network([BatchNormalization(affine=False), Dense(output_size=1)], input_shape=2), path)
    tensors, texts = read_safetensors(path)
    write_safetensors(path, tensors, {**texts, "input_shape": json.dumps([2**39])})
    with pytest.raises(FileFormatError, match=r"wanted float(32|64) of shape"):
        load(path)
    del tensors["layers.0.running_mean"]
    write_safetensors(path, tensors, texts)
    with pytest.raises(
        FileFormatError, match=r"layers\.0\.running_mean is missing, wanted float64 of shape \(2,\)"
    ):
        load(path)
