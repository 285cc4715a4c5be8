"""Parts of graphs that are layers: which they are, and that the answers are those of single nodes."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError
from purecnn.errors import FileFormatError
from purecnn.onnx.to_network import parts
from purecnn.onnx.to_network.parts import PartFinder

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

X = floats(7, 2, 6, 5)
SKIPPED = {"from": np.array([0]), "to": np.array([9]), "by": np.array([2])}
KERNELS = {"w1": floats(4, 2, 3, 3), "w2": floats(4, 4, 3, 3, seed=1), "w3": floats(3, 2, 1, 1, seed=2)}


def detector():
    """Convolutions around a residual, every second of whose maps goes on: that is no layer."""
    around = {"pads": [1, 1, 1, 1]}
    return [
        node("Conv", ["x", "w1"], ["a"], **around),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], **around),
        node("Add", ["c", "b"], ["d"]),
        node("Slice", ["d", "from", "to", "one", "by"], ["e"]),
        node("Conv", ["e", "w3"], ["f"]),
        node("Sigmoid", ["f"], ["y"]),
    ]


ARRAYS = {**SKIPPED, **KERNELS, "one": np.array([1])}


def found(wanted, **inputs):
    """From which value to which the parts lead."""
    return [(part.source, part.value) for part in PartFinder(wanted, inputs or {"x": X}).parts]


def onnxruntimes(wanted, **inputs):
    session = onnxruntime.InferenceSession(wanted.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        (["y"], [("x", "d"), ("e", "y")]),
        (["y", "d"], [("x", "d"), ("e", "y")]),
        (["y", "b"], [("x", "b"), ("b", "d"), ("e", "y")]),
        (["y", "a"], [("x", "a"), ("b", "d"), ("e", "y")]),
        (["e"], [("x", "d")]),
    ],
)
def test_what_is_layers_between_other_nodes_is_computed_by_them(outputs, wanted):
    whole = model(detector(), ARRAYS, outputs=[value(name, None) for name in outputs])
    one = graph(detector(), ARRAYS, outputs=[value(name, None) for name in outputs])
    assert found(one) == wanted
    answers = one.predict(X)
    if len(outputs) == 1:
        answers = {outputs[0]: answers}
    for name, right in zip(outputs, onnxruntimes(whole, x=X), strict=True):
        np.testing.assert_allclose(answers[name], right, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(answers[name], one.predict(X)[name] if outputs[1:] else one.predict(X))


def test_single_nodes_are_run_where_it_is_asked_for(monkeypatch):
    one = graph(detector(), ARRAYS)
    used = []
    monkeypatch.setattr(parts.LayerPart, "compute", lambda self, *given: used.append(self.value) or 1 / 0)
    one.run({"x": X})
    assert not used
    with pytest.raises(ZeroDivisionError):
        one.predict(X)
    assert used == ["d"]


def test_parts_are_found_once_for_each_shape(monkeypatch):
    one = graph(detector(), ARRAYS, inputs=[value("x", ["N", 2, "H", "W"])])
    tried = []
    layers = PartFinder.layers
    monkeypatch.setattr(
        PartFinder, "layers", lambda self, *given: tried.append(given) or layers(self, *given)
    )
    one.predict(X)
    first = len(tried)
    one.predict(X[:3])
    assert len(tried) == first > 1
    smaller = X[:, :, :4]
    np.testing.assert_allclose(one.predict(smaller), one.run({"x": smaller})["y"], rtol=1e-5, atol=1e-5)
    assert len(tried) > first


def test_a_value_of_two_inputs_ends_a_part():
    nodes = [
        *(node("Conv", ["x", "w1"], ["a"]), node("Conv", ["z", "w1"], ["b"])),
        *(node("Mul", ["a", "b"], ["c"]), node("Conv", ["c", "w2"], ["y"])),
    ]
    inputs = [value("x", ["N", 2, 6, 5]), value("z", ["N", 2, 6, 5])]
    one, z = graph(nodes, KERNELS, inputs=inputs), floats(7, 2, 6, 5, seed=3)
    given = {"x": X, "z": z}
    assert found(one, **given) == [("x", "a"), ("z", "b"), ("c", "y")]
    answers = one.computed(given, parts=PartFinder(one, given).parts)
    (right,) = onnxruntimes(model(nodes, KERNELS, inputs=inputs), **given)
    np.testing.assert_allclose(answers["y"], right, rtol=1e-4, atol=1e-4)


def test_arrays_of_other_shapes_than_zeros_have_are_run_by_nodes():
    nodes = [
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Cast", ["most"], ["height"], to=7),
        node("Unsqueeze", ["height", "zero"], ["to"]),
        node("Slice", ["x", "zero", "to", "two"], ["cut"]),
        node("Conv", ["cut", "w3"], ["y"]),
    ]
    arrays = {"zero": np.array([0]), "two": np.array([2]), **KERNELS}
    one, x = graph(nodes, arrays), np.abs(X) / np.abs(X).max()
    for height in (1, 3, 5):
        taller = x * np.float32(height + 0.5)
        (right,) = onnxruntimes(model(nodes, arrays), x=taller)
        assert right.shape[2] == height
        np.testing.assert_allclose(one.predict(taller), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2])
def test_a_batch_that_the_file_fixes_is_that_of_the_parts(size):
    inputs = [value("x", [size, 2, 6, 5])]
    one, free = graph(detector(), ARRAYS, inputs=inputs), graph(detector(), ARRAYS)
    assert [part.shape[0] for part in PartFinder(one, {"x": X[:size]}).parts] == [size, size]
    np.testing.assert_allclose(one.predict(X[:6]), free.run({"x": X[:6]})["y"], rtol=1e-5, atol=1e-5)


def test_what_a_part_gives_is_claimed():
    small = graph(detector(), ARRAYS, max_bytes=6 * 2 * 4 * 6 * 5 * 4)
    small.predict(X[:1])
    with pytest.raises(ShapeError, match="max_bytes allows"):
        small.predict(X)


def test_finding_parts_has_an_end(monkeypatch):
    around, nodes, last = {"pads": [1, 1, 1, 1]}, [], "x"
    for number in range(60):  # each a part by itself: no end lies further
        nodes += [
            node("Conv", [last, "w"], [f"a{number}"], **around),
            node("Slice", [f"a{number}", "from", "to", "one", "by"], [f"b{number}"]),
            node("Concat", [f"b{number}", f"b{number}"], [f"c{number}"], axis=1),
        ]
        last = f"c{number}"
    one = graph([*nodes, node("Relu", [last], ["y"])], {**ARRAYS, "w": floats(2, 2, 3, 3) / 4})
    finder = PartFinder(one, {"x": X})
    assert [(part.value, len(part.places)) for part in finder.parts] == [(f"a{n}", 1) for n in range(60)]
    assert min(finder.trials, finder.looks) >= 0
    monkeypatch.setattr(parts, "TRIALS", 10)
    assert 0 < len(PartFinder(one, {"x": X}).parts) < 60


def test_a_part_begins_where_what_it_is_made_of_is_there_though_its_biases_are_made_before(monkeypatch):
    monkeypatch.setattr("purecnn.onnx.runtime.FOLDED", 0)  # as of weights too large to compute at loading
    nodes = [
        node("ConstantOfShape", ["size"], ["zeros"]),
        node("Add", ["zeros", "two"], ["biases"]),
        node("LRN", ["x"], ["l"], size=1, alpha=0.5, beta=1.0, bias=1.0),
        node("LRN", ["l"], ["a"], size=1, alpha=0.5, beta=1.0, bias=1.0),
        node("Conv", ["a", "w", "biases"], ["y"]),
    ]
    w = floats(4, 2, 1, 1)
    made = graph(nodes, {"size": np.array([4]), "two": np.float32(2), "w": w})
    assert [call.node.operator for call in made.calls].index("Add") < 3  # before "a" is there
    normalized = X / (1 + 0.5 * X**2)
    normalized = normalized / (1 + 0.5 * normalized**2)
    wanted = np.einsum("oc,nchw->nohw", w[:, :, 0, 0], normalized) + 2
    np.testing.assert_allclose(made.predict(X), wanted, rtol=1e-5, atol=1e-5)
    assert found(made) == [("a", "y")]


def test_samples_that_are_a_number_each_are_multiplied_behind_the_part_that_makes_them():
    w = floats(4, 1)
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Squeeze", ["a", "one"], ["b"]),
        node("Mul", ["b", "two"], ["y"]),
    ]
    inputs = [value("x", ["N", 4])]
    made = graph(nodes, {"w": w, "one": np.array([1]), "two": floats(1)}, inputs, [value("y", None)])
    x = floats(5, 4, seed=1)
    np.testing.assert_allclose(made.predict(x), (x @ w)[:, 0] * floats(1), rtol=1e-5, atol=1e-6)
    with pytest.raises(FileFormatError, match=r"node 2, Mul can't become a layer: .* samples of \(\)"):
        made.network()
