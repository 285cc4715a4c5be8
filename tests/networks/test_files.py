"""Model files: what comes back is the network to the bit, and no file whatever does more than be refused."""

import json
import math
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import purecnn
from helpers.every_layer import EVERY, made
from purecnn import (
    ELU,
    GELU,
    SELU,
    Activation,
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    BatchNormalization,
    Branches,
    ChannelShuffle,
    Convolutional,
    Cropping,
    Dense,
    DepthToSpace,
    DepthwiseConvolutional,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GlobalMaxPooling,
    GroupNormalization,
    HardSigmoid,
    HardSwish,
    Identity,
    Layer,
    LayerNormalization,
    LeakyReLU,
    LogSoftmax,
    MaxPooling,
    Mish,
    Network,
    PReLU,
    Preprocessing,
    ReflectionPadding,
    ReLU,
    ReLU6,
    ReplicationPadding,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    StochasticDepth,
    Tanh,
    UpSampling,
    ZeroPadding,
    load,
    save,
)
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.layers.registry import LAYERS
from purecnn.layers.serialization import described

RANDOM = np.random.default_rng(0)


def all_layers() -> list[Layer]:
    return [
        Convolutional(kernel_size=(3, 2), depth=4, stride=(1, 2), padding=(1, 0)),
        ReLU(),
        Convolutional((4, 9, 5), 3, 3, padding="same", per_position_bias=True, initialization="he_uniform"),
        LeakyReLU(0.1),
        MaxPooling(2, 1),
        ELU(0.7),
        AveragePooling((2, 1)),
        GELU("tanh"),
        Reshape((3, 4, 4), (6, 8)),
        SiLU(),
        Mish(),
        PReLU(per_channel=True),
        HardSwish(),
        ReLU6(),
        Flatten(),
        Dropout(0.3),
        Softplus(),
        Dense(output_size=7, initialization="normal"),
        Tanh(),
        Identity(),
        Dense(7, 6),
        Sigmoid(),
        SELU(),
        HardSigmoid(),
        Softsign(),
        Dense(output_size=12),
        Reshape((12,), (3, 2, 2)),
        ZeroPadding(((1, 0), (0, 2))),
        DepthwiseConvolutional(kernel_size=2, depth_multiplier=2, dilation=(1, 2)),
        BatchNormalization(momentum=0.3, initial_gamma=0.5),
        GroupNormalization(2, epsilon=0.1, initial_gamma=0),
        LayerNormalization("sample", affine=False),
        Residual(
            [Convolutional(kernel_size=1, depth=4, groups=2), BatchNormalization(affine=False)],
            shortcut=[Residual([SpatialDropout(0.1), ReLU()]), Convolutional(kernel_size=1, depth=4)],
        ),
        SpatialDropout(0.2),
        StochasticDepth(0.1),
        GaussianNoise(0.1),
        LogSoftmax(),
        UpSampling((2, 1), "bilinear"),
        DepthToSpace(1, "DCR"),
        ChannelShuffle(2),
        ReflectionPadding(((1, 0), (0, 1))),
        ReplicationPadding(2),
        Cropping(1),
        AdaptiveAveragePooling((3, 2)),
        AdaptiveMaxPooling((2, 3)),
        Branches([], [GlobalMaxPooling()], merge="multiply"),
        GlobalAveragePooling(),
        Dense(output_size=5),
        Softmax(),
    ]


def sample_network(dtype: Any = np.float32) -> Network:
    classes = ("a", "b", "c", "d", "é")
    network = Network(all_layers(), input_shape=(1, 9, 11), seed=2**64 - 1, dtype=dtype)
    network.preprocessing = Preprocessing(classes=classes)
    return network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# --- what comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_each_layer_alone_comes_back_to_the_bit(name: str, path: Path) -> None:
    layer, shape = made(name)
    network = Network([layer, *([Flatten()] if len(shape) > 1 else [])], input_shape=shape)
    if isinstance(layer, Activation):
        return  # functions of one's own are in no file
    x = RANDOM.normal(size=(3, *shape))
    save(network, path)
    found = load(path)
    assert repr(found) == repr(network)
    assert found.predict(x).tobytes() == network.predict(x).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_layer_comes_back_to_the_bit(path: Path, dtype: Any) -> None:
    network = sample_network(dtype)
    x, y = RANDOM.integers(0, 256, (20, 9, 11), np.uint8), RANDOM.integers(0, 5, 20)
    network.fit(x, y, epochs=2, batch_size=8, optimizer="sgd")
    save(network, path)
    found = load(path)
    assert repr(found) == repr(network)
    assert found.parameters.tobytes() == network.parameters.tobytes()
    assert found.predict(x).tobytes() == network.predict(x).tobytes()
    assert found.preprocessing == network.preprocessing
    assert (found.seed, found.dtype, found.input_shape) == (network.seed, network.dtype, network.input_shape)
    assert (found.epochs, found.updates) == (2, 6)


def test_it_goes_on_training_where_it_was(path: Path) -> None:
    network = sample_network()
    x, y = RANDOM.normal(size=(20, 9, 11)), RANDOM.integers(0, 5, 20)
    network.fit(x, y, batch_size=8, optimizer=purecnn.SGD(0.1))
    save(network, path)
    found = load(path)
    for each in (network, found):  # order and dropout depend on the counts of epochs and updates
        each.fit(x, y, batch_size=8, optimizer=purecnn.SGD(0.1))
    assert found.parameters.tobytes() == network.parameters.tobytes()
    assert not np.shares_memory(found.parameters, network.parameters)
    assert all(p.base is found.parameters for layer in found for p in layer.parameters.values())


def test_a_list_of_layers_is_saved_as_its_network(path: Path) -> None:
    plain = [Dense(2, 3), Tanh(), Dense(3, 1)]
    expected = purecnn.predict(plain, [[0.5], [1]])
    save(plain, str(path))
    np.testing.assert_array_equal(load(str(path)).predict([[0.5, 1]]).T, expected)


def test_a_parameter_put_in_by_hand_is_saved(path: Path) -> None:
    network = Network([Dense(2, 1)])
    network[0].parameters["weights"] = np.array([[3.0, 4.0]])
    save(network, path)
    assert load(path)[0].parameters["weights"].tolist() == [[3, 4]]


def test_nothing_is_drawn_while_loading(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(sample_network(), path)

    def draw(*_: object) -> None:
        raise AssertionError("drew parameters")

    monkeypatch.setattr(Layer, "draw", draw)
    load(path)


def test_the_same_network_gives_the_same_bytes(path: Path) -> None:
    save(sample_network(), path)
    first = path.read_bytes()
    save(load(path), path)
    assert path.read_bytes() == first


def test_what_a_file_holds(path: Path) -> None:
    network = Network([Convolutional(kernel_size=2, depth=1), Flatten()], input_shape=(1, 3, 3), seed=5)
    save(network, path)
    tensors, texts = read_safetensors(path)
    assert {name: (array.dtype, array.shape) for name, array in tensors.items()} == {
        "layers.0.kernels": (np.float32, (1, 1, 2, 2)),
        "layers.0.biases": (np.float32, (1,)),
    }
    assert texts.keys() == {
        *("architecture", "dtype", "epochs", "format", "input_shape", "preprocessing", "purecnn", "seed"),
        *("task", "updates", "version"),
    }
    assert (texts["format"], texts["version"]) == ("purecnn", "1")
    assert texts["purecnn"] == purecnn.__version__
    assert json.loads(texts["architecture"]) == [
        {
            "type": "Convolutional",
            "input_shape": None,
            "kernel_size": [2, 2],
            "depth": 1,
            "stride": [1, 1],
            "padding": [0, 0],
            "dilation": [1, 1],
            "groups": 1,
            "bias": True,
            "per_position_bias": False,
            "initialization": "auto",
        },
        {"type": "Flatten"},
    ]
    assert json.loads(texts["input_shape"]) == [1, 3, 3]
    assert json.loads(texts["preprocessing"]) == {
        "scale": 1.0,
        "shift": 0.0,
        "kind": "any",
        "classes": [],
        "preparation": "unknown",
    }


class Scaling(Layer):
    """A layer with a buffer: running statistics, say."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers["factor"] = np.ones(1)

    def forward(self, input: Any) -> Any:
        return self.receive(input) * self.buffers["factor"]

    def backward(self, output_gradient: Any) -> Any:
        return output_gradient * self.buffers["factor"]


def test_buffers_are_kept(path: Path) -> None:
    network = Network([Scaling()], input_shape=1)
    network[0].buffers["factor"][:] = 3
    save(network, path)
    assert load(path, layers={"Scaling": Scaling})[0].buffers["factor"] == 3


# --- what is not saved --------------------------------------------------------------------------------------


def test_functions_of_ones_own_are_refused(path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"layer 1, Activation, can't be saved: .* since a file holds no code"
    ):
        save(Network([Dense(1, 1), Activation(np.sin, np.cos)]), path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n.parameters.fill(np.nan), "layers.0.weights holds nan, wanted finite numbers"),
        (lambda n: setattr(n.preprocessing, "classes", ("a",)), "1 names of classes, wanted none.*2 outputs"),
        (
            lambda n: setattr(n.preprocessing, "classes", ("a" * 10**6, "b")),
            "takes .* wanted at most 1000000",
        ),
        (lambda n: setattr(n.preprocessing, "scale", np.inf), "JSON"),
    ],
)
def test_a_network_that_could_not_be_loaded_is_refused(
    path: Path, change: Callable[[Network], None], words: str
) -> None:
    network = Network([Dense(1, 2)])
    change(network)
    with pytest.raises(ValueError, match=words):
        save(network, path)
    assert not path.exists()


def test_a_network_without_a_shape_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"no input shape yet.*is wanted"):
        save([Flatten(), Dense(output_size=1)], path)


# --- foreign and hostile files ------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(FileFormatError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 1000
    return message


Texts = dict[str, str]


def edited(path: Path, change: Callable[[dict[str, Any], Texts], object]) -> str:
    """Save a small network, change the file's tensors or texts, and return what `load` says."""
    save(Network([Dense(2, 3), Dropout(0.5), Dense(output_size=2)], seed=1), path)
    tensors, texts = read_safetensors(path)
    change(tensors, texts)
    write_safetensors(path, tensors, texts)
    return refusal(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("format", "pt", "its format is 'pt', wanted 'purecnn'; weights alone go into a network"),
        ("version", "2", "its version is '2', wanted '1'"),
        ("dtype", "float16", "its dtype is 'float16', wanted 'float32' or 'float64'"),
        ("architecture", "[", "its architecture is no JSON"),
        ("architecture", "[" * 200_000, "its architecture is no JSON"),
        ("architecture", " " * 1_000_001, "takes 1000001 characters, wanted at most 1000000"),
        ("architecture", "{}", "its architecture is {}, wanted a list"),
        ("architecture", "[]", "has no layers, wanted at least 1"),
        ("architecture", "[3]", "layer 0 is 3, wanted an object with a type"),
        ("architecture", "[{}]", "layer 0 is {}, wanted an object with a type"),
        ("architecture", '[{"type": ["Dense"]}]', "wanted an object with a type"),
        ("architecture", '[{"type": "Layer"}]', "of type 'Layer', wanted one of AdaptiveAveragePooling, "),
        ("architecture", '[{"type": "Activation"}]', "of type 'Activation', wanted one of "),
        ("architecture", '[{"type": "__import__"}]', "of type '__import__', wanted one of "),
        ("architecture", '[{"type": "ReLU", "slope": 1}]', "has an argument 'slope', wanted none"),
        (
            "architecture",
            '[{"type": "Dense", "output_size": 1, "rng": 0}]',
            "has an argument 'rng', wanted input_size, output_size, bias, initialization",
        ),
        ("architecture", '[{"type": "Reshape", "input_shape": [2]}]', "lacks its argument output_shape"),
        ("architecture", '[{"type": "Dense"}]', "layer 0: Dense needs output_size"),
        ("architecture", '[{"type": "Dropout", "rate": NaN}]', "NaN is no number"),
        ("architecture", '[{"type": "Dropout", "rate": 1e999}]', "rate must be "),
        ("architecture", f'[{{"type": "Dropout", "rate": {10**400}}}]', "layer 0: "),
        (
            "architecture",
            f'[{{"type": "Dense", "output_size": {"9" * 5000}}}]',
            "its architecture is no JSON",
        ),
        (
            "architecture",
            '[{"type": "Dense", "output_size": 10000000000000}]',
            "wanted 1 to 32 axes and at most",
        ),
        ("architecture", '[{"type": "MaxPooling"}]', "wants images of shape"),
        ("input_shape", "[0]", "a shape must be made of positive integers"),
        ("input_shape", "[]", "[]"),
        ("input_shape", "[[2]]", "a shape must be made of positive integers"),
        ("input_shape", "2", "its input_shape is 2, wanted a list"),
        ("input_shape", "[3]", "wants 2 inputs, got 3"),
        ("input_shape", f"[{2**70}]", "wanted 1 to 32 axes and at most"),
        ("input_shape", json.dumps([1] * 100), "wanted 1 to 32 axes"),
        ("seed", "-1", "seed must be from 0 to 2**64 - 1, got -1"),
        ("seed", "true", "its seed is True, wanted an integer"),
        ("epochs", "-1", "its epochs are -1, wanted from 0"),
        ("updates", str(2**63), "wanted from 0 to below 4611686018427387904"),
        ("preprocessing", "[]", "its preprocessing is [], wanted an object"),
        (
            "preprocessing",
            '{"scale": 1}',
            "its preprocessing has ['scale'], wanted scale, shift, kind, classes, preparation",
        ),
        (
            "preprocessing",
            '{"scale": 0, "shift": 0, "kind": "any", "classes": [], "preparation": "unknown"}',
            "scale must be a finite number other than 0",
        ),
        (
            "preprocessing",
            '{"scale": 1, "shift": 0, "kind": "words", "classes": [], "preparation": "unknown"}',
            "kind must be one of any, bytes, numbers",
        ),
        (
            "preprocessing",
            '{"scale": 1, "shift": 0, "kind": "any", "classes": "ab", "preparation": "unknown"}',
            "its classes are 'ab', wanted a list of strings",
        ),
        (
            "preprocessing",
            '{"scale": 1, "shift": 0, "kind": "any", "classes": ["a"], "preparation": "unknown"}',
            "1 names of classes, wanted none or one for each of 2 outputs",
        ),
    ],
)
def test_wrong_texts(path: Path, name: str, text: str, words: str) -> None:
    assert words in edited(path, lambda tensors, texts: texts.update({name: text}))


@pytest.mark.parametrize(
    "name",
    [
        "format",
        "version",
        "dtype",
        "architecture",
        "input_shape",
        "seed",
        "epochs",
        "updates",
        "preprocessing",
    ],
)
def test_missing_texts(path: Path, name: str) -> None:
    assert f"its {name} is missing" in edited(path, lambda tensors, texts: texts.pop(name))


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("layers.2.weights", None, "layers.2.weights is missing, wanted float32 of shape (2, 3)"),
        ("layers.1.weights", np.ones(2), "holds the tensor 'layers.1.weights', which no layer of it wants"),
        (
            "layers.0.weights",
            np.ones((3, 3), "f4"),
            "float32 of shape (3, 3), wanted float32 of shape (3, 2)",
        ),
        ("layers.0.weights", np.ones((3, 2)), "float64 of shape (3, 2), wanted float32 of shape (3, 2)"),
        (
            "layers.0.biases",
            np.full((3, 1), np.nan, "f4"),
            "layers.0.biases holds nan, wanted finite numbers",
        ),
        ("layers.0.biases", np.full((3, 1), -np.inf, "f4"), "holds -inf, wanted finite numbers"),
    ],
)
def test_wrong_tensors(path: Path, name: str, array: Any, words: str) -> None:
    def change(tensors: dict[str, Any], texts: Texts) -> None:
        tensors.pop(name, None)
        if array is not None:
            tensors[name] = array

    assert words in edited(path, change)


def test_reshapes_whose_sizes_overflow_are_refused(path: Path) -> None:
    steps = [{"type": "Reshape", "input_shape": [2], "output_shape": [2**32, 2**31, 2, 2, 2**63 // 2**62]}]

    def change(tensors: dict[str, Any], texts: Texts) -> None:
        tensors.clear()
        texts["architecture"] = json.dumps(steps)

    edited(path, change)


def test_a_foreign_file_is_refused(path: Path) -> None:
    write_safetensors(path, {"weight": np.ones(3)})
    assert "its format is missing, wanted 'purecnn'" in refusal(path)
    path.write_bytes(b"hello")
    refusal(path)
    with pytest.raises(FileNotFoundError):
        load(path.with_name("none"))


def test_no_file_takes_more_memory_than_it_has(path: Path) -> None:
    claims = [{"type": "Dense", "output_size": 10**6}, {"type": "Dense", "output_size": 10**6}]

    def change(tensors: dict[str, Any], texts: Texts) -> None:
        texts["architecture"] = json.dumps(claims)

    tracemalloc.start()
    try:
        edited(path, change)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_mutated_files_are_refused_or_sound(path: Path) -> None:
    save(sample_network(), path)
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    dice = random.Random(1)
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(dice.choice([1, 1, 2, 5])):
            place = dice.randrange(header)
            how = dice.randrange(4)
            if how == 0:
                data[place] = dice.randrange(256)
            elif how == 1:
                data[place] ^= 1 << dice.randrange(8)
            elif how == 2:
                data[place] = ord(dice.choice('0123456789"[]{}:,-.eE'))
            else:
                other = dice.randrange(header)
                data[place], data[other] = data[other], data[place]
        if dice.random() < 0.1:
            del data[dice.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            network = load(path)
        except FileFormatError:
            refused += 1
        else:  # a changed seed or name, say: such a network must work
            assert math.prod(network.input_shape or ()) == 99
            network.predict(
                np.zeros((1, 9, 11)) if network.preprocessing.kind != "bytes" else np.zeros((1, 9, 11), "u1")
            )
    assert refused > 200


def test_mutated_values_are_refused_or_sound(path: Path) -> None:
    """Mutations that stay JSON reach deeper than flipped bytes."""
    save(sample_network(), path)
    tensors, texts = read_safetensors(path)
    dice = random.Random(2)
    values = [
        0,
        -1,
        1,
        2,
        3,
        7,
        2**31,
        2**63,
        2**70,
        1.5,
        -0.0,
        "",
        "same",
        "he",
        None,
        True,
        [],
        {},
        [1],
        [1, 2],
        [0, 0],
    ]
    refused = 0
    for _ in range(300):
        architecture = json.loads(texts["architecture"])
        entry = dice.choice(architecture)
        how = dice.randrange(5)
        if how == 0:
            entry[dice.choice(list(entry))] = dice.choice(values)
        elif how == 1:
            entry.pop(dice.choice(list(entry)))
        elif how == 2:
            architecture.remove(entry)
        elif how == 3:
            architecture.insert(dice.randrange(len(architecture)), dict(dice.choice(architecture)))
        else:
            entry["type"] = dice.choice(list(LAYERS))
        write_safetensors(path, tensors, texts | {"architecture": json.dumps(architecture)})
        try:
            network = load(path)
        except FileFormatError:
            refused += 1
        else:
            network.predict(np.zeros((2, 9, 11)))
    assert refused > 150


def within(layer: Layer, levels: int) -> Layer:
    for _ in range(levels):
        layer = Residual([layer])
    return layer


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([ReLU() for _ in range(2001)], "it has 2001 layers, 0 deep within others, wanted at most 2000"),
        ([Residual([ReLU() for _ in range(2000)])], "it has 2001 layers, 1 deep within others, wanted at"),
        ([within(ReLU(), 21)], "it has 22 layers, 21 deep within others, wanted at most 2000 and 20"),
    ],
)
def test_more_layers_than_a_file_may_have(path: Path, layers: list[Layer], words: str) -> None:
    """Layers in layers in a file are work that grows faster than the file: as many as any network needs."""
    network = Network(layers, input_shape=(2,))
    with pytest.raises(ValueError, match=words):
        save(network, path)
    save(Network([within(ReLU(), 8)], input_shape=(2,)), path)
    tensors, texts = read_safetensors(path)
    entries = json.dumps(layers, default=described)
    write_safetensors(path, tensors, texts | {"architecture": entries})
    with pytest.raises(FileFormatError, match=r"more than 2000 layers, wanted|layers within layers, wanted"):
        load(path)


def test_a_sentence_does_not_quote_all_of_a_file(path: Path) -> None:
    save(Network([Dense(2, 2)], input_shape=(2,)), path)
    tensors, texts = read_safetensors(path)
    entry = {"type": "Dropout", "rate": [1] * 100_000}
    write_safetensors(path, tensors, texts | {"architecture": json.dumps([entry])})
    with pytest.raises(FileFormatError, match="layer 0: ") as caught:
        load(path)
    assert len(str(caught.value)) < 1000
