"""Keras wrote the fixtures and their outputs: `fixtures/make_weights.py`."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from purecnn import (
    Dense,
    Flatten,
    GroupNormalization,
    HardSigmoid,
    Network,
    PureCNNError,
    ShapeError,
    export_onnx,
    load,
    load_keras,
    load_keras_weights,
    load_onnx,
    save,
)
from purecnn.errors import FileFormatError
from purecnn.formats.hdf5 import Group
from purecnn.interop.keras.graph import BEGINNING, Functional, Opened, entry, inputs
from purecnn.interop.keras.layers import translate
from purecnn.interop.keras.weights import named

h5py = pytest.importorskip("h5py")
HERE = Path(__file__).parents[1] / "fixtures" / "weights"
MODELS = ["chain.keras", "chain.h5", "functional.keras", "functional.h5", "nested.keras"]
BRANCHING = ["branches.keras", "first.keras", "branches2.keras", "branches2.h5", "pooled2.keras"]


def told(name):
    if name.endswith("2"):
        with np.load(HERE / f"{name}.npz") as held:
            return np.moveaxis(held["input"], -1, 1), held["output"]
    with np.load(HERE / "outputs.npz") as held:
        x = held[f"{name}/input"]
        return x if name == "first" else np.moveaxis(x, -1, 1), held[f"{name}/output"]


def assert_same_outputs(network, name):
    x, y = told(name)
    np.testing.assert_allclose(network.predict(x), y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("file", [*MODELS, *BRANCHING, "normalized.keras", "signals.keras"])
def test_a_model_gives_keras_outputs_and_can_be_saved_here(file, tmp_path):
    network = load_keras(HERE / file)
    assert_same_outputs(network, file.partition(".")[0])
    save(network, tmp_path / "a")
    x, _ = told(file.partition(".")[0])
    assert np.array_equal(load(tmp_path / "a").predict(x), network.predict(x))


@pytest.mark.parametrize("file", [*MODELS, "chain.weights.h5", "functional.weights.h5", "nested.weights.h5"])
def test_weights_alone_go_into_a_given_network(file):
    name = file.partition(".")[0]
    network = load_keras(HERE / f"{name}.keras")
    network.parameters = np.zeros_like(network.parameters)
    load_keras_weights(network, HERE / file)
    assert_same_outputs(network, name)


def test_weights_of_normalizations_that_are_alike_go_where_they_are_told():
    network = load_keras(HERE / "normalized.keras")
    network.parameters = np.zeros_like(network.parameters)
    with pytest.raises(ValueError, match="does not say which comes first"):
        load_keras_weights(network, HERE / "normalized.keras")
    group, layer = "layers/group_normalization", "layers/layer_normalization"
    order = [group, layer, f"{group}_1", f"{layer}_1", f"{layer}_2", "layers/dense", f"{layer}_3"]
    load_keras_weights(network, HERE / "normalized.keras", layers=["layers/conv2d", *order])
    assert_same_outputs(network, "normalized")


def test_one_array_of_a_normalization_does_not_say_which_it_is():
    for name, arrays in (
        ("group_normalization", 1),
        ("layer_normalization_2", 1),
        ("batch_normalization", 3),
    ):
        with pytest.raises(FileFormatError, match="lacks gamma or beta, and does not say which: load_keras"):
            named(name, [None] * arrays)
    assert list(named("layer_normalization_1", [None] * 2)) == ["gamma", "beta"]
    assert not named("group_normalization", [])


def test_groups_of_flattened_images_are_refused():
    network = Network([Flatten(), GroupNormalization(2), Dense(output_size=2)], input_shape=(2, 2, 3))
    with pytest.raises(ShapeError, match="given flattened images, whose values Keras has in other groups"):
        load_keras_weights(network, HERE / "chain.h5")


@pytest.mark.parametrize("file", ["signals.keras", "signals.weights.h5"])
def test_weights_of_signals_go_into_a_given_network(file):
    network = load_keras(HERE / "signals.keras")
    network.parameters = np.zeros_like(network.parameters)
    order = "conv1d batch_normalization conv1d_1 conv1d_2 depthwise_conv1d p_re_lu conv1d_3 "
    order += "batch_normalization_1 dense_1 conv1d_4 dense_2 dense conv1d_5 dense_3"
    load_keras_weights(network, HERE / file, layers=[f"layers/{name}" for name in order.split()])
    assert_same_outputs(network, "signals")


@pytest.mark.parametrize(
    ("kind", "config", "shape", "words"),
    [
        ("Conv1D", {"filters": 2, "kernel_size": [3]}, (2, 8, 8), "gets samples with 3 axes, wanted signals"),
        ("Conv1D", {"filters": 2, "kernel_size": [3], "padding": "reflect"}, (2, 8), "has padding 'reflect'"),
        ("Conv1D", {"filters": 2, "kernel_size": [3, 3]}, (2, 8), "has kernel_size .*, wanted an integer"),
        ("MaxPooling1D", {"padding": "causal"}, (2, 8), "has padding 'causal', .* wanted 'valid' or 'same'"),
        ("ZeroPadding1D", {"padding": [1, 2, 3]}, (2, 8), "has padding .*, wanted one integer or two"),
        ("GlobalMaxPooling1D", {}, (8,), "gets samples with 1 axes, wanted signals"),
    ],
)
def test_layers_of_signals_that_have_no_counterpart(kind, config, shape, words):
    with pytest.raises(FileFormatError, match=words):
        translate(kind, config, shape)


def test_a_padded_average_of_signals_is_kerass():
    (layer,) = translate("AveragePooling1D", {"pool_size": [3], "padding": "same"}, (1, 4)).layers
    x = np.array([1.0, 2, 3, 4])[None, :, None]
    # two windows from 0 on: ceil(4 / 3); one zero before and one behind, which do not count
    np.testing.assert_allclose(layer.forward(x)[0, :, 0], [1.5, 3.5])


def kinds(layers):
    """The classes of layers, those of composites with the classes on each path behind it."""
    return [
        [type(layer).__name__, *map(kinds, layer.branches.values())]
        if layer.inside()
        else type(layer).__name__
        for layer in layers
    ]


def test_branches_of_keras_are_written_as_they_were_meant():
    found = kinds(load_keras(HERE / "branches.keras"))
    inception = ["Convolutional"], ["Convolutional", "ReLU", "Convolutional"]
    assert found[2] == ["Branches", *inception, ["ZeroPadding", "AveragePooling", "Convolutional"]]
    assert found[3:6] == [["Branches", [], ["BatchNormalization", "ReLU", "Convolutional"]]] * 3
    convolutions = ["Convolutional", "ReLU", "Convolutional", "HardSigmoid"]
    squeeze = ["AdaptiveAveragePooling", *convolutions, "Flatten"]
    assert found[7] == ["Residual", ["Convolutional", ["Branches", [], squeeze]], []]
    assert found[9] == ["Branches", ["MaxPooling", "Convolutional", "ReLU", "UpSampling"], []]
    dense = ["GlobalAveragePooling", "Dense", "ReLU", "Dense", "HardSigmoid"]
    assert found[13] == ["Branches", [], dense]
    layers = load_keras(HERE / "branches.keras").layers
    assert [layers[n].merge for n in (11, 12, 13)] == ["add", "maximum", "multiply"]
    assert layers[12].paths[1][0].merge == "mean"


@pytest.mark.parametrize("file", BRANCHING)
def test_a_model_with_branches_is_trained_further(file):
    network = load_keras(HERE / file)
    x, y = told(file.partition(".")[0])
    before = network.parameters.copy()
    y = np.eye(y.shape[1])[np.arange(len(x)) % y.shape[1]]
    losses = network.fit(x, y, loss="mse", epochs=3, learning_rate=1e-3).loss
    assert losses[-1] < losses[0]
    assert (network.parameters != before).mean() > 0.9


@pytest.mark.parametrize(
    ("file", "kind", "change", "words"),
    [
        ("first", "Concatenate", {"axis": 2}, "has axis 2, wanted 1, the channels"),
        ("first", "BatchNormalization", {"axis": -1}, "has axis -1, wanted 1, the channels"),
        ("first", "Softmax", {"axis": -1}, "has axis -1, wanted 1, the channels"),
        ("first", "Conv2D", {"data_format": "channels_last"}, "'channels_first' and 'channels_last', wanted"),
        (
            "branches",
            "Concatenate",
            {"axis": 1},
            r"has axis 1 of samples of \(3, 8, 8\), wanted the channels",
        ),
        ("branches", "Rescaling", {"scale": "2"}, "has scale '2', wanted a number"),
        (
            "branches",
            "Multiply",
            {"class_name": "Dot"},
            "Dot, can't be built here: 2 of its inputs",
        ),
        ("branches", "Add", {"registered_name": "my>Add"}, "can't be built here: 2 of its inputs depend"),
    ],
)
def test_branches_that_are_none_here(file, kind, change, words, tmp_path):
    def changed(layers):
        try:
            found = layer(layers, kind)
        except StopIteration:  # put in place of an activation on a path
            found = [entry for entry in layers if entry["class_name"] == "ReLU"][-1]
            found["class_name"] = found["registered_name"] = kind
        for name, value in change.items():
            (found if name in ("class_name", "registered_name") else found["config"])[name] = value

    with pytest.raises((FileFormatError, ShapeError), match=words):
        load_keras(remade(tmp_path / "a.keras", changed, name=f"{file}.keras"))


@pytest.mark.parametrize("container", ["keras", "h5"])
def test_a_model_of_keras_2_gives_keras_2s_outputs(container, tmp_path):
    network = load_keras(HERE / f"keras2.{container}")
    with np.load(HERE / "keras2.npz") as held:
        x, y = np.moveaxis(held["input"], -1, 1), held["output"]
    np.testing.assert_allclose(network.predict(x), y, rtol=1e-5, atol=1e-6)
    assert [part.slope for part in network if isinstance(part, HardSigmoid)] == [0.2] * 3
    save(network, tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(x), network.predict(x))
    export_onnx(network, tmp_path / "model.onnx")
    graph = load_onnx(tmp_path / "model.onnx")
    np.testing.assert_allclose(graph.predict(x), y, rtol=1e-5, atol=1e-5)
    assert [part.slope for part in graph.network() if isinstance(part, HardSigmoid)] == [0.2] * 3


@pytest.mark.parametrize(
    ("version", "slope"),
    [("1.2.2", 0.2), ("2.15.0", 0.2), ("2.2.4-tf", 0.2), ("3.0.0", 1 / 6), ("4.0", 1 / 6)],
)
@pytest.mark.parametrize("named", ["hard_sigmoid", {"class_name": "function", "config": "hard_sigmoid"}])
def test_the_archive_says_which_keras_it_is_of(version, slope, named, tmp_path):
    def change(layers):
        layer(layers, "Conv2D")["config"]["activation"] = named

    network = load_keras(remade(tmp_path / "a.keras", change, version=version))
    (found,) = (part for part in network if isinstance(part, HardSigmoid))
    assert found.slope == slope


@pytest.mark.parametrize("version", [None, "", "three", 3])
def test_an_archive_that_does_not_say_is_refused(version, tmp_path):
    with pytest.raises(FileFormatError, match=r"metadata\.json states the version .* of Keras, wanted such"):
        load_keras(remade(tmp_path / "a.keras", version=version))


def test_what_keras_means_by_momentum_and_rescaling():
    network = load_keras(HERE / "chain.keras")
    assert (network[2].momentum, network[2].epsilon) == (0.01, 1e-3)
    assert (network.preprocessing.scale, network.preprocessing.shift) == (0.5, 0.1)
    assert load_keras(HERE / "functional.keras").preprocessing.kind == "numbers"


def remade(path, change=None, weights=None, name="chain.keras", method=zipfile.ZIP_STORED, version="3.10.0"):
    """Write a .keras file with another config or other weights."""
    with zipfile.ZipFile(HERE / name) as archive:
        config = json.loads(archive.read("config.json"))
        held = archive.read("model.weights.h5")
    if change:
        change(config["config"]["layers"])
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", held if weights is None else weights)
    return path


def test_layers_too_large_for_their_weights_are_refused_before_they_take_memory(tmp_path):
    def widened(layers):
        layers[0]["config"]["batch_shape"] = [None, 1 << 20, 6, 2]

    path = remade(tmp_path / "a.keras", widened, name="slopes.keras")
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"its layers want \d+ values, .* bytes of weights can't hold"):
        load_keras(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20  # the places of the slopes alone were 128 MiB


def test_flattened_images_are_bounded_where_no_layer_has_weights(tmp_path):
    size = {"batch_shape": [None, 2048, 1024, 2], "dtype": "float32", "name": "x"}
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": size, "registered_name": None},
        {"module": "keras.layers", "class_name": "Flatten", "config": {"name": "f"}, "registered_name": None},
    ]
    held = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}, "keras_version": "3.10.0"}
    (tmp_path / "a.json").write_text(json.dumps(held))
    assert load_keras(tmp_path / "a.json").output_shape == (1 << 22,)
    size["batch_shape"][1] += 1
    (tmp_path / "a.json").write_text(json.dumps(held))
    words = "flattens images of 4196352 values in all, wanted at most 4194304 beside 0 bytes of weights"
    with pytest.raises(FileFormatError, match=words):
        load_keras(tmp_path / "a.json")


def layer(layers, kind):
    return next(entry for entry in layers if entry["class_name"] == kind)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("Conv2D", {"class_name": "Lambda"}, "layer 'first', Lambda, has no counterpart here"),
        ("Conv2D", {"registered_name": "my>Conv2D"}, "layer 'first', my>Conv2D, has no counterpart"),
        ("Conv2D", {"activation": "exponential"}, "the activation 'exponential', which has no counterpart"),
        ("Conv2D", {"data_format": "channels_first"}, "data_format 'channels_first'"),
        ("Conv2D", {"filters": 10**12}, "wanted 1 to 32 axes and at most"),
        ("Conv2D", {"filters": 5}, "wanted"),
        ("Conv2D", {"filters": "4"}, "filters '4', wanted integers"),
        ("Conv2D", {"kernel_size": [3, 3, 3]}, "wanted two integers"),
        ("Conv2D", {"strides": [0, 0]}, "stride"),
        ("MaxPooling2D", {"padding": "full"}, "has padding 'full'"),
        ("BatchNormalization", {"axis": 1}, "axis [1], wanted the last one"),
        ("PReLU", {"shared_axes": None}, "has shape (1, 1, 4), wanted (2, 2, 4)"),
        ("PReLU", {"shared_axes": [0]}, "has shared_axes [0], wanted some of [1, 2, 3]"),
        ("Rescaling", {"scale": [1, 2, 3]}, "has scale [1, 2, 3], wanted a number or a list of 2"),
        ("Dense", {"units": 10**9}, "which"),
    ],
)
def test_what_has_no_counterpart_is_named(kind, change, words, tmp_path):
    def changed(layers):
        entry = layer(layers, kind)
        for name, value in change.items():
            (entry if name in ("class_name", "registered_name") else entry["config"])[name] = value

    with pytest.raises(FileFormatError) as caught:
        load_keras(remade(tmp_path / "a.keras", changed))
    assert str(caught.value).startswith(f"{tmp_path / 'a.keras'}: ")
    assert words in str(caught.value)


def test_a_model_that_is_no_chain_is_refused(tmp_path):
    def fork(layers):
        layers[3]["inbound_nodes"] = layers[2]["inbound_nodes"]

    with pytest.raises(
        FileFormatError, match=r"1 inputs and 2 outputs, wanted a network of one each|leads to no"
    ):
        load_keras(remade(tmp_path / "a.keras", fork, name="functional.keras"))

    def join(layers):
        layers[3]["inbound_nodes"][0]["args"] *= 2

    with pytest.raises(FileFormatError, match="2 of its inputs depend on the network's, and it merges none"):
        load_keras(remade(tmp_path / "a.keras", join, name="functional.keras"))


def test_a_flattened_output_has_kerass_order(tmp_path):
    flat = load_keras(remade(tmp_path / "a.keras", lambda layers: layers.pop(), name="nested.keras"))
    maps = load_keras(
        remade(tmp_path / "b.keras", lambda layers: layers.__delitem__(slice(-2, None)), name="nested.keras")
    )
    x, _ = told("nested")
    np.testing.assert_array_equal(flat.predict(x), np.moveaxis(maps.predict(x), 1, -1).reshape(len(x), -1))


def hdf5(build):
    file = io.BytesIO()
    with h5py.File(file, "w") as held:
        build(held)
    return file.getvalue()


def external(held):
    held["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(held):
    held["layers"] = h5py.SoftLink("/nowhere")


def compressed(held):
    held.create_dataset("layers/conv2d/vars/0", data=np.zeros((3, 3, 2, 4)), compression="gzip")


def unwritten(held):
    held.create_dataset("layers/conv2d/vars/0", (2**20, 2**10, 2**10, 4), "f4")


def circle(held):
    held["layers/conv2d/layers"] = held.create_group("layers/conv2d_1")
    held["layers/conv2d_1/conv2d"] = held["layers/conv2d"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (external, "a link to somewhere else"),
        (soft, "a link to somewhere else"),
        (compressed, "is compressed, wanted"),
        (unwritten, "the file holds"),
        (circle, "models within models"),
        (lambda held: None, "no layer with arrays"),
    ],
)
def test_hostile_weights_are_refused(build, words, tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(hdf5(build))
    with pytest.raises(FileFormatError, match=words):
        load_keras_weights(load_keras(HERE / "chain.keras"), path)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = remade(tmp_path / "a.keras", weights=bytes(300_000_000), method=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"at most [0-9]+ is wanted"):
        load_keras(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize("file", ["nested.keras", "nested.weights.h5"])
def test_mutations_are_refused_or_read(file, tmp_path):
    valid = (HERE / file).read_bytes()
    network = load_keras(HERE / "nested.keras")
    rng = np.random.default_rng(5)
    refused = 0
    for turn in range(300):
        mutated = bytearray(valid)
        if turn % 3 == 2:
            del mutated[rng.integers(len(mutated)) :]
        else:
            for _ in range(rng.integers(1, 30)):
                mutated[rng.integers(len(mutated))] = rng.integers(256)
        (tmp_path / "a").write_bytes(mutated)
        try:
            if file.endswith(".keras"):
                load_keras(tmp_path / "a")
            else:
                load_keras_weights(network, tmp_path / "a")
        except PureCNNError:
            refused += 1
    assert refused > 100


def test_what_is_no_file_of_keras_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"nothing of the kind")
    for call in (load_keras, lambda path: load_keras_weights(load_keras(HERE / "chain.keras"), path)):
        with pytest.raises(FileFormatError):
            call(tmp_path / "a")
        with pytest.raises(FileFormatError, match="not a regular file"):
            call(tmp_path)
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "missing")
    with pytest.raises(FileFormatError, match="weights alone"):
        load_keras(HERE / "chain.weights.h5")
    with pytest.raises(ShapeError, match="the file has"):
        load_keras_weights(Network([Dense(2, 3)]), HERE / "chain.h5")


@pytest.mark.parametrize(
    ("kind", "config", "shape", "wanted"),
    [
        (
            "MaxPooling2D",
            {"padding": "same"},
            (2, 3, 3),
            "MaxPooling(pool_size=(2, 2), stride=(2, 2), padding='same')",
        ),
        ("AveragePooling2D", {"padding": "same"}, (2, 3, 3), "padding='same', count_padding=False)"),
        ("LeakyReLU", {"alpha": 0.1}, (3,), "[LeakyReLU(slope=0.1)]"),
        ("Activation", {"activation": {"class_name": "ReLU", "config": {"max_value": 6}}}, (3,), "[ReLU6()]"),
        ("Activation", {"activation": {"class_name": "function", "config": "tanh"}}, (3,), "[Tanh()]"),
        (
            "GlobalAveragePooling2D",
            {"keepdims": True},
            (2, 3, 3),
            "[AdaptiveAveragePooling(output_size=(1, 1))]",
        ),
        ("GlobalMaxPooling2D", {}, (2, 3, 3), "[GlobalMaxPooling()]"),
        (
            "AdaptiveAveragePooling2D",
            {"output_size": [2, 3]},
            (2, 5, 5),
            "AdaptiveAveragePooling(output_size=(2, 3))",
        ),
        ("AdaptiveMaxPooling2D", {"output_size": 2}, (2, 5, 5), "AdaptiveMaxPooling(output_size=(2, 2))"),
        (
            "GlobalMaxPooling2D",
            {"keepdims": True},
            (2, 3, 4),
            "[AdaptiveMaxPooling(output_size=(1, 1))]",
        ),
        ("ZeroPadding2D", {"padding": 2}, (2, 3, 3), "((2, 2), (2, 2))"),
        (
            "UpSampling2D",
            {},
            (2, 3, 3),
            "[UpSampling(size=(2, 2), interpolation='nearest', align_corners=False)]",
        ),
        (
            "UpSampling2D",
            {"size": [2, 3], "interpolation": "bilinear", "data_format": "channels_last"},
            (2, 3, 3),
            "[UpSampling(size=(2, 3), interpolation='bilinear', align_corners=False)]",
        ),
        ("GroupNormalization", {}, (32, 3, 3), "[GroupNormalization(groups=32, epsilon=0.001, affine=True"),
        (
            "GroupNormalization",
            {"groups": -1, "scale": False, "center": False, "axis": [3]},
            (4, 3, 3),
            "[GroupNormalization(groups=4, epsilon=0.001, affine=False",
        ),
        (
            "LayerNormalization",
            {"axis": [3], "epsilon": 0.1},
            (2, 3, 3),
            "[LayerNormalization(over='channels', epsilon=0.1, affine=True",
        ),
        (
            "LayerNormalization",
            {"axis": [1, 2, 3], "scale": False},
            (2, 3, 3),
            "[LayerNormalization(over='sample', epsilon=0.001, affine=True",
        ),
        ("LayerNormalization", {"axis": -1}, (5,), "over='channels'"),
        ("ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, (2, 3, 3), "((1, 0), (2, 3))"),
        ("Cropping2D", {"cropping": [[1, 0], [2, 3]]}, (2, 7, 7), "[Cropping(cropping=((1, 0), (2, 3))"),
        ("Cropping2D", {"cropping": [1, 2]}, (2, 7, 7), "[Cropping(cropping=((1, 1), (2, 2))"),
        ("GaussianNoise", {"stddev": 0.25}, (5,), "[GaussianNoise(stddev=0.25)]"),
        ("Activation", {"activation": "log_softmax"}, (5,), "[LogSoftmax()]"),
        ("Reshape", {"target_shape": [2, 2, -1]}, (12,), "output_shape=(3, 2, 2)"),
        ("Flatten", {}, (3,), "[]"),
    ],
)
def test_layers_of_keras_become_these(kind, config, shape, wanted):
    assert wanted in repr(translate(kind, config, shape).layers)


@pytest.mark.parametrize(
    ("kind", "config", "shape", "words"),
    [
        ("ReLU", {"max_value": 3, "negative_slope": 0.1}, (3,), "has max_value 3"),
        (
            "Activation",
            {"activation": {"class_name": "ReLU", "config": {"max_value": 3}}},
            (3,),
            "max_value 3",
        ),
        ("Softmax", {"axis": 1}, (2, 3, 3), "axis"),
        ("Dense", {"units": 3}, (2, 3, 3, 3), "has 4 axes|with 4 axes, wanted at most 3"),
        ("MaxPooling2D", {}, (3,), "wanted images"),
        ("UpSampling2D", {}, (3,), "wanted images"),
        ("Cropping2D", {"data_format": "channels_first"}, (2, 3, 3), "data_format"),
        (
            "AdaptiveMaxPooling2D",
            {"output_size": [2, 0]},
            (2, 3, 3),
            r"has output_size \(2, 0\), wanted 1 or more",
        ),
        ("AdaptiveMaxPooling2D", {"output_size": "2"}, (2, 3, 3), "output_size '2', wanted integers"),
        ("GroupNormalization", {"axis": 1}, (2, 3, 3), r"has axis \[1\], wanted the last one"),
        ("LayerNormalization", {"axis": [1, 2]}, (2, 3, 3), r"over the axes \[1, 2\], wanted the last"),
        ("LayerNormalization", {"rms_scaling": True}, (2, 3, 3), "rms_scaling True"),
        ("UpSampling2D", {"size": [2, 0]}, (2, 3, 3), r"has size \(2, 0\), wanted 1 or more"),
        ("UpSampling2D", {"interpolation": "bicubic"}, (2, 3, 3), "interpolation 'bicubic'"),
        ("UpSampling2D", {"data_format": "channels_first"}, (2, 3, 3), "data_format"),
        ("MaxPooling2D", {"pool_size": 0}, (2, 3, 3), "wanted 1 or more"),
        ("Conv2D", {"filters": [1, 2], "kernel_size": 1}, (2, 3, 3), "wanted an integer"),
        ("Conv2D", {"filters": 1, "kernel_size": 1, "use_bias": 1}, (2, 3, 3), "wanted true or false"),
        ("Reshape", {"target_shape": [0, -1]}, (12,), "wanted positive sizes"),
    ],
)
def test_arguments_of_keras_that_have_no_counterpart(kind, config, shape, words):
    with pytest.raises(FileFormatError, match=words):
        translate(kind, config, shape)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[]", "wanted an object"),
        ("{", "no JSON"),
        ('{"class_name": "Other"}', "its model is a 'Other'"),
        ('{"class_name": "Sequential", "config": {"layers": 3}}', "a list of 1 to"),
        ('{"class_name": "Sequential", "config": {"layers": [3]}}', "an object with a class_name"),
        ('{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}', "has no config"),
        (
            '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}}',
            "has no batch_shape",
        ),
        (
            '{"class_name": "Sequential", "config": [{"class_name": "InputLayer", "config": '
            '{"batch_shape": [null, null, 3]}}]}',
            r"leaves sizes open, \(None, 3\), wanted known ones: give load_keras an input_shape, such as",
        ),
        (
            '{"class_name": "Sequential", "config": [{"class_name": "InputLayer", "config": '
            '{"batch_shape": [null, 0, 3]}}]}',
            "wanted sizes above 0 or null",
        ),
        (
            '{"class_name": "Sequential", "config": [{"class_name": "InputLayer", "config": '
            '{"batch_shape": 3}}]}',
            "wanted a list of 2 to 8",
        ),
        (
            '{"class_name": "Sequential", "config": [{"class_name": "InputLayer", "config": '
            '{"batch_shape": [null, 3]}}]}',
            "no layers that compute",
        ),
    ],
)
def test_configs_that_are_no_models_are_refused(config, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.10.0"}')
        archive.writestr("config.json", config)
        archive.write(HERE / "chain.weights.h5", "model.weights.h5")
    with pytest.raises(FileFormatError, match=words):
        load_keras(tmp_path / "a.keras")


def functional(layers, ends=()):
    """The names of a functional model's layers in order, merges as lists of their name and their paths."""
    graph = Functional(layers, list(ends), Opened(), [(layer["name"],) for layer in layers])

    def told(steps):
        return [
            step.name if not hasattr(step, "paths") else [step.entry.name, *map(told, step.paths)]
            for step in steps
        ]

    return told([step for part in graph.way(graph.last, BEGINNING) for step in part])


def made(name, *sources, kind="Dense"):
    """A layer of a config, as Keras 2 has it."""
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name}, "inbound_nodes": nodes}


def test_inbound_nodes_of_keras_2():
    a, b = made("a", kind="InputLayer"), made("b", "a")
    assert functional([b, a]) == ["a", "b"]
    added = made("c", "b", "a", kind="Add")
    assert functional([added, a, b]) == ["a", ["c", ["b"], []]]
    joined = [made("d", "c", "b", kind="Concatenate"), made("b", "a"), added]
    (start, woven) = Functional([a, *joined], [], Opened(), [("",)] * 4).way("d", BEGINNING)
    assert [step.name for step in start] == ["a"]
    assert [strand.value for strand in woven[0].strands] == ["b", "c", "d"]
    for layers, words in [
        ([a | {"inbound_nodes": 1}], "layer 'a', InputLayer, has inbound_nodes 1, wanted a list"),
        ([b], "layer 'b', Dense, can't be built here: it takes the layer 'a', which the model lacks"),
        ([a, b, b], "3 layers of 2 names"),
        ([a, b, made("c")], "2 inputs and 2 outputs"),
        (
            [a, b, made("c", "d"), made("d", "c"), made("e", "b")],
            "layer 'c', Dense, .* waits for itself in a circle",
        ),
        (
            [a, b, made("c", "b", "b", kind="Dot")],
            "layer 'c', Dot, can't be built here: 2 of its inputs depend",
        ),
    ]:
        with pytest.raises(FileFormatError, match=words):
            functional(layers)
    with pytest.raises(FileFormatError, match="layer 'c', Dense, can't be built here: it leads to no output"):
        functional([a, b, made("c", "b")], ["b"])
    with pytest.raises(FileFormatError, match="1 inputs and 2 outputs"):
        functional([a, b, made("c", "b")], ["b", "c"])


def test_inputs_come_in_order():
    of = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in "abc"]
    assert inputs({"args": [of], "kwargs": {}}) == ["a", "b", "c"]
    assert inputs({"args": of[:1], "kwargs": {"mask": None, "other": of[1:]}}) == ["a", "b", "c"]
    assert inputs([["b", 0, 0, {}], ["a", 0, 0, {}]]) == ["b", "a"]
    assert inputs(["b", 0, 0]) == ["b"]
    with pytest.raises(FileFormatError, match="thousands of inputs"):
        inputs([[[]] * 20_000])
    assert entry({"class_name": "A", "config": [], "registered_name": "B"}, ()).kind == "B"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_packs_zeros_without_end_is_refused(method, tmp_path):
    path = remade(tmp_path / "a.keras", weights=bytes(20_000_000), method=method)
    with pytest.raises(FileFormatError, match=r"'config\.json' is packed by way 1[24], wanted 8, deflate"):
        load_keras(path)


def shared(held):
    """Groups that hold one another forty times each, four levels deep: 2.5 million ways to one array."""
    below = held.create_group("end")
    below.create_dataset("vars/0", data=np.zeros((2, 2), "f4"))
    for level in range(4):
        above = held.create_group(f"level{level}/layers")
        for number in range(40):
            above[f"dense_{number}"] = below
        below = held[f"level{level}"]
    held["layers"] = below["layers"]


def repeated(held):
    """A layer that is named 3000 times, and names its array as often."""
    held.attrs["layer_names"] = np.array([b"dense"] * 3000)
    held["dense/a"] = np.zeros((2, 2), "f4")
    held["dense"].attrs["weight_names"] = np.array([b"a"] * 3000)


@pytest.mark.parametrize("build", [shared, repeated])
def test_a_small_file_that_says_the_same_thing_over_and_over(build, tmp_path, monkeypatch):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(hdf5(build))
    looked = []
    real = Group.texts
    monkeypatch.setattr(Group, "texts", lambda group, name: looked.append(name) or real(group, name))
    with pytest.raises(FileFormatError, match="its groups never end, wanted at most 20000 groups, arrays"):
        load_keras_weights(load_keras(HERE / "chain.keras"), path)
    assert len(looked) < 30


def test_models_in_models_have_only_so_many_layers_in_all(tmp_path):
    def many(layers):
        inner = {
            "class_name": "Sequential",
            "config": {"layers": [{"class_name": "ReLU", "config": {}}] * 700},
        }
        layers[1:1] = [inner] * 3

    with pytest.raises(FileFormatError, match="its model has more than 2000 layers, wanted at most as many"):
        load_keras(remade(tmp_path / "a.keras", many))
