"""Models of Keras whose paths cross: any graph of one input and one output is read, and gives its numbers."""

import json
import zipfile
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from purecnn import export_onnx, load, load_keras, load_onnx, save
from purecnn.errors import FileFormatError
from purecnn.interop.keras.graph import BEGINNING, Functional, Opened, Woven

pytest.importorskip("h5py")
HERE = Path(__file__).parents[1] / "fixtures" / "weights"
MERGES = {
    "Add": lambda values: reduce(np.add, values),
    "Average": lambda values: np.mean(values, axis=0),
    "Maximum": lambda values: reduce(np.maximum, values),
    "Minimum": lambda values: reduce(np.minimum, values),
    "Multiply": lambda values: reduce(np.multiply, values),
    "Subtract": lambda values: values[0] - values[1],
}


def layer(kind, name, *sources, **config):
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def graph(rng, size, shape):
    """A graph of layers without arrays in which any two values may be merged, and its function."""
    layers, made = [layer("InputLayer", "0", batch_input_shape=[None, *shape])], ["0"]
    functions, loose = {}, {"0"}

    def take(count):
        # what nothing has taken yet first, so that all leads to the end
        waiting = sorted(loose)
        chosen = [made[-1], *rng.choice([n for n in made if n != made[-1]] or made, count, replace=True)]
        if len(waiting) > 3:
            chosen[1] = waiting[0]
        return [str(name) for name in chosen[:count]]

    def put(kind, sources, function, **config):
        name = str(len(made))
        layers.append(layer(kind, name, *sources, **config))
        functions[name] = lambda held: function([held[source] for source in sources])
        loose.difference_update(sources)
        loose.add(name)
        made.append(name)

    for _ in range(size):
        if rng.random() < 0.4:
            put("Activation", take(1), lambda values: np.tanh(values[0]), activation="tanh")
        else:
            kind = str(rng.choice([*MERGES]))
            put(kind, take(2), MERGES[kind])
    while len(loose) > 1:
        put("Add", sorted(loose)[:2], MERGES["Add"])

    def answer(x):
        held = {"0": x}
        for name, function in functions.items():
            held[name] = function(held)
        return held[made[-1]]

    return layers, answer


@pytest.mark.parametrize("shape", [(5,), (3, 4, 2)])
@pytest.mark.parametrize("seed", range(12))
def test_any_graph_gives_its_numbers(seed, shape, tmp_path):
    rng = np.random.default_rng(seed)
    layers, answer = graph(rng, int(rng.integers(4, 18)), shape)
    model = {"class_name": "Functional", "config": {"layers": layers}, "keras_version": "3.9.0"}
    (tmp_path / "a.json").write_text(json.dumps(model))
    x = rng.normal(size=(3, *shape)).astype(np.float32)
    network = load_keras(tmp_path / "a.json")
    found = np.moveaxis(network.predict(np.moveaxis(x, -1, 1)), 1, -1)
    np.testing.assert_allclose(found, answer(x), rtol=1e-5, atol=1e-5)


def chains(listed):
    found = Functional(listed, [], Opened(), [(one["name"],) for one in listed])
    return [step for part in found.way(found.last, BEGINNING) for step in part]


def test_what_leads_to_no_third_value_stays_a_way_of_its_own():
    steps = chains(
        [
            layer("InputLayer", "x"),
            layer("Dense", "a", "x"),
            layer("ReLU", "a2", "a"),
            layer("Add", "r", "a", "a2"),  # a residual within
            layer("Dense", "b", "r"),
            layer("Dense", "c", "b"),
            layer("Add", "s", "c", "r"),
            layer("Multiply", "t", "s", "b"),  # where b is wanted again
        ]
    )
    assert [step.name for step in steps[:2]] == ["x", "a"]
    assert steps[2].entry.name == "r"
    (woven,) = steps[3:]
    assert isinstance(woven, Woven)
    assert woven.start == "r"
    told = [(one.value, one.sources, [getattr(s, "name", "-") for s in one.steps]) for one in woven.strands]
    assert told == [
        ("b", ["r"], ["b"]),
        ("c", ["b"], ["c"]),
        ("s", ["c", "r"], ["-"]),
        ("t", ["s", "b"], ["-"]),
    ]


def test_a_long_chain_of_crossings_takes_no_time_of_its_own():
    """Fibonacci's numbers, in 400 sums each of the two before: a way of ways would never end."""
    listed = [layer("InputLayer", "0", batch_input_shape=[None, 1]), layer("ReLU", "1", "0")]
    listed += [layer("Add", str(n), str(n - 1), str(n - 2)) for n in range(2, 400)]
    (_, woven) = chains(listed)
    assert [strand.value for strand in woven.strands] == [str(n) for n in range(1, 400)]


def test_a_value_that_no_layer_merges_is_still_refused():
    with pytest.raises(
        FileFormatError, match="layer 'd', Dense, can't be built here: 2 of its inputs depend"
    ):
        chains(
            [
                layer("InputLayer", "x"),
                layer("Dense", "a", "x"),
                layer("Add", "b", "a", "x"),
                layer("Dense", "d", "b", "a"),
            ]
        )


@pytest.fixture(scope="module")
def attention():
    with np.load(HERE / "attention.npz") as held:
        return np.moveaxis(held["input"], -1, 1), np.moveaxis(held["output"], -1, 1)


def test_an_attention_unet_gives_kerass_outputs(attention, tmp_path):
    x, y = attention
    network = load_keras(HERE / "attention.keras")
    np.testing.assert_allclose(network.predict(x), y, rtol=1e-5, atol=1e-5)
    save(network, tmp_path / "a")
    assert np.array_equal(load(tmp_path / "a").predict(x), network.predict(x))
    export_onnx(network, tmp_path / "a.onnx")
    np.testing.assert_allclose(load_onnx(tmp_path / "a.onnx").predict(x), y, rtol=1e-4, atol=1e-5)


def test_it_is_trained_further_each_weight_once(attention):
    x, y = attention
    network = load_keras(HERE / "attention.keras")
    with zipfile.ZipFile(HERE / "attention.keras") as archive:
        listed = json.loads(archive.read("config.json"))["config"]["layers"]
    arrays = [part for outer in network for part in (outer, *outer.parts()) if not part.inside()]
    trained = sum("kernels" in part.parameters and part.trainable for part in arrays)
    assert trained == sum(one["class_name"] == "Conv2D" for one in listed)
    losses = network.fit(x, np.zeros_like(y), loss="mse", epochs=4, learning_rate=1e-3).loss
    assert losses[-1] < losses[0]
