"""Models of Keras whose layers are several here, or none: `fixtures/make_keras_models.py` wrote them."""

import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from purecnn import (
    BatchNormalization,
    PReLU,
    export_onnx,
    load,
    load_keras,
    load_keras_weights,
    load_onnx,
    save,
)
from purecnn.errors import FileFormatError
from purecnn.interop.keras.axes import moved
from purecnn.interop.keras.builder import build
from purecnn.interop.keras.fixed import line, resized, scaled
from purecnn.interop.keras.functions import as_layer, is_function, operands
from purecnn.interop.keras.graph import BEGINNING, Functional, Opened
from purecnn.interop.keras.layers import translate

h5py = pytest.importorskip("h5py")
HERE = Path(__file__).parents[1] / "fixtures" / "weights"
NAMES = ["prepared", "merged", "moved", "slopes", "steps", "foremost", "towers", "functions2"]
FILES = [f"{name}.keras" for name in NAMES] + ["towers.h5", "towers.json", "towers2.h5", "functions2.h5"]


def told(name):
    with np.load(HERE / f"{name}.npz") as held:
        x, y = held["input"], held["output"]
    return (x, y) if name == "foremost" else (np.moveaxis(x, -1, 1), np.moveaxis(y, -1, 1))


def opened(file):
    """The network of a fixture, with the sizes that it leaves open and the weights beside it."""
    name, _, end = file.partition(".")
    more = {"weights": HERE / f"{name}.weights.h5"} if end == "json" else {}
    return load_keras(HERE / file, input_shape=told(name)[0].shape[1:], **more)


def plain(network):
    """The layers of a network that are not made of others."""
    return [part for layer in network for part in (layer, *layer.parts()) if not part.inside()]


@pytest.mark.parametrize("file", FILES)
def test_a_model_gives_keras_outputs_and_can_be_saved_here(file, tmp_path):
    network = opened(file)
    x, y = told(file.partition(".")[0])
    np.testing.assert_allclose(network.predict(x), y, rtol=1e-5, atol=1e-5)
    save(network, tmp_path / "a")
    assert np.array_equal(load(tmp_path / "a").predict(x), network.predict(x))


@pytest.mark.parametrize("name", ["merged", "moved", "slopes", "towers"])
def test_it_can_be_exported(name, tmp_path):
    x, y = told(name)
    export_onnx(opened(f"{name}.keras"), tmp_path / "a.onnx")
    np.testing.assert_allclose(load_onnx(tmp_path / "a.onnx").predict(x), y, rtol=1e-4, atol=1e-5)


def test_training_changes_what_keras_trains_and_no_number_of_the_config():
    network = opened("merged.keras")
    x, y = told("merged")
    fixed = [part for part in plain(network) if not part.trainable]
    before = [{name: array.copy() for name, array in part.parameters.items()} for part in fixed]
    losses = network.fit(x, np.zeros_like(y), loss="mse", epochs=3, learning_rate=1e-3).loss
    assert losses[-1] < losses[0]
    assert sum(map(len, before)) > 8
    for part, held in zip(fixed, before, strict=True):
        assert all(np.array_equal(part.parameters[name], array) for name, array in held.items())


def test_what_is_frozen_in_keras_is_frozen_here():
    every = plain(opened("towers.h5"))
    assert [part.trainable for part in every if part.parameters] == [False] * 3 + [True] * 4


def test_a_scale_before_all_other_layers_is_preprocessing_also_behind_what_resizes():
    network = opened("prepared.keras")
    assert (network.preprocessing.scale, network.preprocessing.shift) == (0.5, 3.0)


def test_layers_alone_give_a_network_whose_weights_are_drawn(tmp_path):
    with zipfile.ZipFile(HERE.joinpath("nested.keras")) as archive:
        (tmp_path / "model.json").write_bytes(archive.read("config.json"))
    network = load_keras(tmp_path / "model.json")
    whole = load_keras(HERE / "nested.keras")
    assert repr(network.layers) == repr(whole.layers)
    assert not np.array_equal(network.parameters, whole.parameters)
    load_keras_weights(network, HERE / "nested.weights.h5")
    assert np.array_equal(network.parameters, whole.parameters)
    for weights in ("nested.weights.h5", "nested.keras"):
        found = load_keras(tmp_path / "model.json", weights=HERE / weights)
        assert np.array_equal(found.parameters, whole.parameters)


def test_weights_of_another_model_are_refused_by_their_own_name(tmp_path):
    with pytest.raises(
        FileFormatError, match=r"chain\.h5: layer 'batch_normalization_2', .* lacks|has no arrays"
    ):
        load_keras(HERE / "towers.json", weights=HERE / "chain.weights.h5", input_shape=(3, 7, 7))


def test_sizes_that_a_model_leaves_open_are_given():
    with pytest.raises(
        FileFormatError,
        match=r"towers\.h5: layer '.*', InputLayer, leaves sizes open, \(3, None, None\), wanted known ones: "
        r"give load_keras an input_shape, such as \(3, 64, 64\)",
    ):
        load_keras(HERE / "towers.h5")
    with pytest.raises(
        FileFormatError, match=r"takes samples of shape \(3, None, None\), and input_shape is"
    ):
        load_keras(HERE / "towers.h5", input_shape=(4, 9, 9))
    with pytest.raises(FileFormatError, match=r"takes samples of shape \(2, 7, 6\), and input_shape is"):
        load_keras(HERE / "slopes.keras", input_shape=(2, 8, 6))
    assert load_keras(HERE / "towers.h5", input_shape=(3, 12, 9)).input_shape == (3, 12, 9)


def run(layers, x):
    """What layers, all arrays in them, make of samples ``(..., N)``."""
    shape = x.shape[:-1]
    for layer in layers:
        shape = layer.bind(shape)
        x = layer.forward(x)
    return x


@pytest.mark.parametrize("order", [o for n in (1, 2, 3, 4) for o in itertools.permutations(range(n))])
@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (1, 3, 2, 2), (3, 1, 2, 1)])
def test_axes_change_places_as_numpys_do(order, sizes):
    x = np.arange(np.prod(sizes[: len(order)]) * 2.0).reshape(*sizes[: len(order)], 2)
    assert np.array_equal(run(moved(x.shape[:-1], order), x), x.transpose(*order, len(order)))


def test_channels_are_shuffled_as_shufflenet_does(tmp_path):
    kinds = [
        ("InputLayer", {"batch_shape": [None, 4, 6, 8]}),
        ("Reshape", {"target_shape": [4, 6, 2, 4]}),
        ("Permute", {"dims": [1, 2, 4, 3]}),
        ("Reshape", {"target_shape": [4, 6, 8]}),
    ]
    layers = [{"class_name": kind, "config": config} for kind, config in kinds]
    model = {"class_name": "Sequential", "config": {"layers": layers}, "keras_version": "3.9"}
    (tmp_path / "a.json").write_text(json.dumps(model))
    x = np.random.default_rng(0).normal(size=(3, 4, 6, 8)).astype(np.float32)
    wanted = x.reshape(3, 4, 6, 2, 4).swapaxes(3, 4).reshape(x.shape)
    found = load_keras(tmp_path / "a.json").predict(np.moveaxis(x, -1, 1))
    assert np.array_equal(np.moveaxis(found, 1, -1), wanted)


def test_lines_are_resized_as_worked_out_on_paper():
    assert np.array_equal(line(2, 4, "bilinear") * 4, [[4, 0], [3, 1], [1, 3], [0, 4]])
    # the centres of three pixels over four lie at 1/6, 9/6 and 17/6 of the old centres
    np.testing.assert_allclose(
        line(4, 3, "bilinear"), [[5 / 6, 1 / 6, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 1 / 6, 5 / 6]]
    )
    assert np.array_equal(line(5, 2, "nearest"), np.eye(5)[[1, 3]])
    assert line(1, 3, "bilinear").tolist() == [[1], [1], [1]]


def test_images_are_resized_along_both_axes():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    wanted = np.einsum("hp,wq,cpqn->chwn", line(4, 3, "bilinear"), line(5, 7, "bilinear"), x)
    np.testing.assert_allclose(run(resized((2, 4, 5), (3, 7), "bilinear"), x), wanted, rtol=1e-12)


def test_a_scale_is_exact():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    layer = scaled((2, 3), [2.0, -1.0], 0.5)
    layer.parameters = {name: array.astype(np.float32) for name, array in layer.parameters.items()}
    assert np.array_equal(layer.forward(x), x * np.float32([[[2]], [[-1]]]) + np.float32(0.5))


def test_a_layer_used_twice_has_the_same_weights_in_both_places():
    network = opened("merged.keras")
    kernels = [layer.parameters["kernels"] for layer in network if "kernels" in layer.parameters]
    twice = [a for a, b in itertools.combinations(kernels, 2) if a.shape == b.shape and np.array_equal(a, b)]
    assert [array.shape for array in twice] == [(3, 2, 3, 3)]


def test_a_layer_used_many_times_takes_no_more_than_its_size_justifies(tmp_path):
    def write(uses, size):
        sources = [("x", 0), *(("dense", number) for number in range(uses - 1))]
        nodes = [[[source, number, 0, {}]] for source, number in sources]
        start = {"batch_shape": [None, size], "name": "x", "dtype": "float32"}
        dense = {"name": "dense", "units": size, "use_bias": False, "trainable": True}
        layers = [
            {"class_name": "InputLayer", "name": "x", "config": start, "inbound_nodes": []},
            {"class_name": "Dense", "name": "dense", "config": dense, "inbound_nodes": nodes},
        ]
        model = {"layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["dense", uses - 1, 0]]}
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"class_name": "Functional", "config": model, "keras_version": "3.9"}))
        with h5py.File(tmp_path / "a.weights.h5", "w") as held:
            held["layers/dense/vars/0"] = np.eye(size, dtype=np.float32) * 2
        return load_keras(path, weights=tmp_path / "a.weights.h5")

    network = write(10, 8)
    assert np.array_equal(network.predict(np.eye(8, dtype=np.float32)), np.eye(8) * 2**10)
    with pytest.raises(FileFormatError, match="want 1600000 values, 10000 of them different, which"):
        write(160, 100)


@pytest.mark.parametrize("first", [0, 1])
def test_uses_of_models_may_be_counted_from_one(first):
    inner = {"name": "m", "layers": [{"class_name": "ReLU", "config": {"name": "r"}}]}
    listed = [
        {"class_name": "InputLayer", "name": "x", "config": {}, "inbound_nodes": []},
        {
            "class_name": "Sequential",
            "name": "m",
            "config": inner,
            "inbound_nodes": [[["x", 0, 0, {}]], [["m", first, 0, {}]]],
        },
        {"class_name": "Dense", "name": "d", "config": {}, "inbound_nodes": [[["m", first + 1, 0, {}]]]},
    ]
    graph = Functional(listed, [], Opened(), [("x",), ("m",), ("d",)])
    steps = [step for part in graph.way(graph.last, BEGINNING) for step in part]
    assert [step.kind for step in steps] == ["InputLayer", "ReLU", "ReLU", "Dense"]


def tensor(name):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def function(kind, *args, module="keras.src.ops.numpy", **config):
    return {
        "module": module,
        "class_name": kind,
        "name": "f",
        "config": {"name": "f", **config},
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }


@pytest.mark.parametrize(
    ("kind", "args", "wanted"),
    [
        ("Add", [tensor("a"), 3.0], {"scale": 1.0, "offset": 3.0}),
        ("Add", [3, tensor("a")], {"scale": 1.0, "offset": 3.0}),
        ("Subtract", [tensor("a"), 3.0], {"scale": 1.0, "offset": -3.0}),
        ("Subtract", [3.0, tensor("a")], {"scale": -1.0, "offset": 3.0}),
        ("Subtract", [[[3.0, 4.0]], tensor("a")], {"scale": -1.0, "offset": [3.0, 4.0]}),
        ("Multiply", [tensor("a"), 0.5], {"scale": 0.5, "offset": 0.0}),
        ("TrueDivide", [tensor("a"), 4], {"scale": 0.25, "offset": 0.0}),
        ("Relu6", [tensor("a")], {"activation": "relu6"}),
        ("Gelu", [tensor("a")], {"activation": "gelu_tanh"}),
    ],
)
def test_functions_are_layers(kind, args, wanted):
    made, values = as_layer(layer := function(kind, *args), layer["inbound_nodes"][0])
    assert (made["config"], values) == ({"name": "f", **wanted}, ["a"])
    assert is_function(layer)
    assert is_function({key: value for key, value in layer.items() if key != "module"})


def test_functions_of_two_values_are_merges():
    layer = function("Minimum", tensor("a"), tensor("b"))
    assert as_layer(layer, layer["inbound_nodes"][0])[0]["class_name"] == "Minimum"
    joined = function("Concatenate", [tensor("a"), tensor("b")], axis=-1)
    assert as_layer(joined, joined["inbound_nodes"][0])[1] == ["a", "b"]
    assert operands([["a", 0, 0, {"y": ["b", 1, 0], "name": None}]]) == (["a", "b, use 2"], {"name": None})
    assert operands(["_CONSTANT_VALUE", -1, 2.0, {"y": ["b", 0, 0]}]) == ([2.0, "b"], {})


@pytest.mark.parametrize(
    ("kind", "args", "config"),
    [
        ("Sin", [tensor("a")], {}),
        ("TrueDivide", [1.0, tensor("a")], {}),
        ("TrueDivide", [tensor("a"), 0], {}),
        ("Add", [tensor("a"), float("nan")], {}),
        ("Multiply", [tensor("a"), [[1.0], [2.0]]], {}),
        ("Softmax", [tensor("a")], {"axis": 1}),
        ("GetItem", [tensor("a"), [1, 2]], {}),
        ("Add", [], {}),
    ],
)
def test_functions_that_no_layer_does_are_named(kind, args, config):
    layer = function(kind, *args, **config)
    with pytest.raises(
        FileFormatError, match=f"layer 'f', the function {kind}, has no counterpart here with"
    ):
        as_layer(layer, layer["inbound_nodes"][0])


@pytest.mark.parametrize(
    ("kind", "config", "shape", "words"),
    [
        ("Resizing", {"height": 3, "width": 3, "interpolation": "area"}, (1, 5, 5), "interpolation 'area'"),
        ("Resizing", {"height": 0, "width": 3}, (1, 5, 5), r"has the size \(0, 3\), wanted 1 or more"),
        ("Resizing", {"height": 3, "width": 3, "antialias": True}, (1, 5, 5), "has antialias True"),
        ("Resizing", {"height": 3, "width": 3}, (5,), "wanted images"),
        (
            "Resizing",
            {"height": 4001, "width": 4001},
            (3, 4000, 4000),
            r"from \(4000, 4000\) to \(4001, 4001\), wanted products of lengths of at most 1048576",
        ),
        ("CenterCrop", {"height": 3, "width": 0}, (1, 5, 5), r"has the size \(3, 0\), wanted 1 or more"),
        ("Normalization", {"axis": [1]}, (2, 5, 5), r"has axis \[1\], wanted the last one, the channels"),
        ("Normalization", {"invert": True}, (2, 5, 5), "has invert True"),
        ("Normalization", {"mean": [1.0], "variance": [1, 2, 3]}, (2, 5, 5), "a list of 2, one for each"),
        ("Rescaling", {"scale": [1.0, None]}, (2, 5, 5), "has scale None, wanted a number"),
        ("Rescaling", {"scale": 2}, (2**21,), "becomes 2097152 fixed numbers here, wanted at most 1048576"),
        ("Permute", {"dims": [1, 1, 2]}, (2, 5, 5), r"has dims \[1, 1, 2\], wanted each of \[1, 2, 3\] once"),
        ("RepeatVector", {"n": 0}, (3,), "1 axes 0 times, wanted vectors, once or more"),
        ("UpSampling1D", {"size": 2}, (3,), "wanted signals"),
        ("Cropping1D", {"cropping": [1, 2, 3]}, (3, 9), "has cropping .*, wanted one integer or two"),
        ("AdaptiveMaxPooling1D", {"output_size": 0}, (3, 9), "has output_size 0, wanted 1 or more"),
        ("LayerScale", {}, (3,), "wanted images"),
        ("DepthToSpace", {"block_size": 0}, (4, 3, 3), "block_size"),
    ],
)
def test_layers_that_have_no_counterpart_say_what_is_wanted(kind, config, shape, words):
    with pytest.raises(ValueError, match=words):
        run(translate(kind, config, shape).layers, np.zeros((*shape, 1)))


def test_a_slope_for_each_position_has_the_shape_of_the_maps():
    _, layer, _ = translate("PReLU", {}, (2, 3, 4)).layers
    assert isinstance(layer, PReLU)
    found = translate("PReLU", {"shared_axes": [2]}, (2, 3, 4))
    assert (found.forms["alpha"].shape, found.forms["alpha"].result) == ((3, 1, 2), (24,))


def test_merges_of_shapes_that_do_not_fit_are_refused(tmp_path):
    def layer(kind, name, *sources, **config):
        nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
        return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}

    model = [
        layer("InputLayer", "x", batch_input_shape=[None, 6, 5, 2]),
        layer("MaxPooling2D", "half", "x", pool_size=2),
        layer("Add", "sum", "x", "half"),
    ]
    steps = Opened().steps({"class_name": "Functional", "config": {"layers": model}})
    with pytest.raises(FileFormatError, match=r"layer 'sum', Add, merges shapes \(2, 3, 2\) and \(2, 6, 5\)"):
        build(steps, "2.1")


def test_a_chain_of_scales_has_only_so_many_fixed_numbers():
    layers = [{"class_name": "ReLU", "config": {"batch_shape": [None, 2**19]}}]
    layers += [{"class_name": "Rescaling", "config": {"scale": 2}}] * 5
    steps = Opened().steps({"class_name": "Sequential", "config": layers})
    with pytest.raises(FileFormatError, match="become 5242880 fixed numbers here, wanted at most 4194304"):
        build(steps, "3.0")


def test_a_normalization_that_was_never_adapted_changes_nothing():
    (layer,) = translate("Normalization", {"mean": 0.0, "variance": 1.0}, (3,)).layers
    assert isinstance(layer, BatchNormalization)
    assert not layer.trainable
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(layer.forward(x), x, rtol=1e-12)
