"""Graphs within graphs: branches that are run, branches put in their place, and files that lie about them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.onnx_models import floats, graph, model, node, value
from purecnn import PureCNNError, ShapeError
from purecnn.errors import FileFormatError
from purecnn.formats.protobuf import encode
from purecnn.onnx import Graph
from purecnn.onnx.reader import as_model
from purecnn.onnx.schema import SCHEMA

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

X = floats(3, 2, 6, 5)
#: A condition that depends on the input: whether its largest value is above a number.
CONDITION = [
    node("ReduceMax", ["x"], ["largest"], keepdims=0),
    node("Greater", ["largest", "bound"], ["c"]),
]
LARGE, SMALL = {"bound": np.float32(-100)}, {"bound": np.float32(100)}


def branch(nodes, outputs=("r",), arrays=None):
    """A graph within a node."""
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in (arrays or {}).items()]
    return helper.make_graph(nodes, "branch", [], [value(name, None) for name in outputs], held)


def choice(then, otherwise, condition="c", outputs=("y",)):
    return node("If", [condition], list(outputs), then_branch=then, else_branch=otherwise)


def deep(depth):
    """An If within an If, so many times."""
    inner = branch([node("Neg", ["x"], ["r"])])
    for level in range(depth):
        inner = branch([choice(inner, branch([node("Abs", ["x"], ["r"])]), outputs=("r",))])
        inner.name = f"level {level}"
    return inner


NEGATED = branch([node("Neg", ["x"], ["r"])])
HALVED = branch([node("Mul", ["x", "half"], ["r"])], arrays={"half": np.float32(0.5)})
ADDED = branch(
    [node("Add", ["x", "outer"], ["sum"]), node("Relu", ["sum"], ["r"])]
)  # the same names in both branches
SUBTRACTED = branch([node("Sub", ["x", "outer"], ["sum"]), node("Tanh", ["sum"], ["r"])])
KEPT = branch([], ["outer"])
TWICE = branch([node("Exp", ["x"], ["r"]), node("Identity", ["r"], ["q"])], ["r", "q"])
CONSTANT = branch([node("Constant", [], ["k"], value=numpy_helper.from_array(floats(2, 3)))], ["k"])
INNER = branch([node("Not", ["c"], ["d"]), choice(ADDED, NEGATED, "d", ("r",))])
OUTER = [node("Neg", ["x"], ["outer"])]

CASES = {
    "two operators": ([choice(NEGATED, HALVED)], ("y",)),
    "values from outside": ([*OUTER, choice(ADDED, SUBTRACTED)], ("y",)),
    "made behind it in the file": ([choice(ADDED, SUBTRACTED), *OUTER], ("y",)),
    "a value from outside as it is": (
        [*OUTER, choice(branch([node("Identity", ["outer"], ["r"])]), NEGATED)], ("y",)),
    "two outputs": ([choice(TWICE, TWICE, outputs=("y", "z"))], ("y", "z")),
    "within a branch": ([*OUTER, choice(INNER, SUBTRACTED)], ("y",)),
    "a constant": ([choice(CONSTANT, NEGATED)], ("y",)),
    "used again": ([choice(NEGATED, HALVED, outputs=("a",)), node("Add", ["a", "x"], ["y"])], ("y",)),
    "one behind the other": (
        [choice(NEGATED, HALVED, outputs=("a",)), node("Exp", ["a"], ["e"]),
         choice(branch([node("Neg", ["e"], ["r"])]), branch([node("Mul", ["a", "e"], ["r"])]))], ("y",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("arrays", [LARGE, SMALL])
@pytest.mark.parametrize("known", [False, True])
def test_branches_compute_as_in_onnxruntime(name, arrays, known):
    nodes, outputs = CASES[name]
    if known:
        arrays, before = {"c": np.bool_(arrays is LARGE)}, []
    else:
        before = CONDITION
    made = model([*before, *nodes], arrays, outputs=[value(output, None) for output in outputs])
    data = made.SerializeToString()
    wanted = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": X})
    found = Graph(as_model(data))
    for _ in range(2):
        answers = found.run({"x": X})
        for output, array in zip(outputs, wanted, strict=True):
            np.testing.assert_allclose(answers[output], array, rtol=1e-5, atol=1e-6)
    chosen = [call.node.operator for call in found.calls]
    assert ("If" in chosen) != known  # where the condition is known, a branch has taken the node's place


def test_a_branch_may_give_a_value_from_outside_that_no_node_of_its_own_makes():
    # onnxruntime wants a node there, the standard does not say.
    for arrays, wanted in ((LARGE, -X), (SMALL, X / 2)):
        found = graph([*CONDITION, *OUTER, choice(KEPT, HALVED)], arrays)
        np.testing.assert_array_equal(found.run({"x": X})["y"], wanted)
    for known, wanted in ((True, -X), (False, X / 2)):
        found = graph([*OUTER, choice(KEPT, HALVED)], {"c": np.bool_(known)})
        np.testing.assert_array_equal(found.run({"x": X})["y"], wanted)


def test_names_within_a_branch_are_not_those_outside():
    # Two copies of one branch, and outside the names that it has itself and those that a copy would get.
    outside = [node("Neg", ["x"], ["r"]), node("Abs", ["x"], ["a/r"]), node("Exp", ["x"], ["a/q"])]
    chosen = branch(
        [node("Tanh", ["x"], ["q"]), node("Sin", ["q"], ["r"]), node("Add", ["q", "r"], ["s"])], ["s"]
    )
    first, second = (choice(chosen, NEGATED, outputs=(name,)) for name in ("a", "b"))
    summed = node("Sum", ["r", "a/r", "a/q", "a", "b"], ["y"])
    found = graph([*outside, first, second, summed], {"c": np.bool_(True)})
    q = np.tanh(X)
    wanted = -X + np.abs(X) + np.exp(X) + 2 * (q + np.sin(q))
    np.testing.assert_allclose(found.run({"x": X})["y"], wanted, rtol=1e-5, atol=1e-6)


def test_a_branch_that_is_known_becomes_layers():
    weights = {"w": floats(4, 2, 3, 3)}
    convolved = branch([node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["r"])], arrays=weights)
    other = branch([node("Einsum", ["x"], ["r"], equation="abcd->ab")])
    known = [node("Shape", ["w0"], ["s"]), node("Size", ["s"], ["n"]), node("Equal", ["n", "four"], ["c"])]
    nodes = [*known, choice(convolved, branch([node("Neg", ["x"], ["r"])]), outputs=("b",)),
             node("Flatten", ["b"], ["y"])]  # fmt: skip
    found = graph(nodes, {"w0": floats(1, 1, 1, 1), "four": np.int64(4)})
    assert [type(layer).__name__ for layer in found.network()] == ["Convolutional", "ReLU", "Flatten"]
    np.testing.assert_allclose(found.predict(X), found.run({"x": X})["y"], atol=1e-5)
    assert other.node[0].op_type == "Einsum"


def squeezing(axis):
    """As PyTorch's exporter writes a squeeze: whether the axis has one place is asked of the shape."""
    squeezed = branch([node("Squeeze", ["g", "a"], ["r"])], arrays={"a": np.array([axis])})
    kept = branch([node("Identity", ["g"], ["r"])])
    nodes = [node("Conv", ["x", "w"], ["v"]), node("GlobalAveragePool", ["v"], ["g"]),
             node("Shape", ["g"], ["s"]), node("Gather", ["s", "place"], ["size"]),
             node("Equal", ["size", "one"], ["c"]), choice(squeezed, kept, outputs=("b",)),
             node("Flatten", ["b"], ["y"])]  # fmt: skip
    return nodes, {"w": floats(4, 2, 3, 3), "place": np.int64(axis), "one": np.int64(1)}


@pytest.mark.parametrize("sizes", [[6, 5], ["H", "W"]])
def test_a_branch_that_the_shape_of_samples_chooses_becomes_layers(sizes):
    found = graph(*squeezing(3), inputs=[value("x", ["N", 2, *sizes])])
    assert "If" in [call.node.operator for call in found.calls]
    layers = found.network(input_shape=(2, 6, 5)).layers
    assert [type(layer).__name__ for layer in layers][:2] == ["Convolutional", "GlobalAveragePooling"]
    for x in (X, X[:1]):
        wanted = onnxruntime.InferenceSession(
            model(*squeezing(3)).SerializeToString(), providers=["CPUExecutionProvider"]
        ).run(None, {"x": x})[0]
        np.testing.assert_allclose(found.predict(x), wanted, rtol=1e-5, atol=1e-6)
    assert found._networks[2, 6, 5] is not None
    assert "If" in [call.node.operator for call in found.calls]  # the graph itself stays as it is


def test_a_branch_that_the_number_of_samples_chooses_is_left():
    found = graph(*squeezing(0))
    assert found.predict(X).shape == (3, 4)
    assert found.predict(X[:1]).shape == found.run({"x": X[:1]})["y"].shape
    assert found._networks.get((2, 6, 5)) is None


def test_biases_cast_to_the_dtype_of_images_are_known():
    # as PyTorch exports a convolution without biases, and the normalization behind it, with optimize=False
    nodes = [
        *(node("Shape", ["w"], ["s"], start=0, end=1), node("CastLike", ["zero", "x"], ["z"])),
        *(node("Expand", ["z", "s"], ["b"]), node("Conv", ["x", "w", "b"], ["v"])),
        node("BatchNormalization", ["v", "gamma", "beta", "mean", "variance"], ["r"]),
        *(node("GlobalAveragePool", ["r"], ["g"]), node("Flatten", ["g"], ["y"])),
    ]
    given = dict(zip(("gamma", "beta", "mean", "variance"), np.abs(floats(4, 4)), strict=True))
    arrays = {"w": floats(4, 2, 3, 3), "zero": np.float64(0), **given}
    found = graph(nodes, arrays)
    kinds = [type(layer).__name__ for layer in found.network((2, 6, 5))]
    assert kinds == ["Convolutional", "BatchNormalization", "GlobalAveragePooling"]
    session = onnxruntime.InferenceSession(
        model(nodes, arrays).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.testing.assert_allclose(found.predict(X), session.run(None, {"x": X})[0], rtol=1e-4, atol=1e-5)
    assert found._networks[2, 6, 5] is not None


def test_what_is_cast_to_a_dtype_depends_on_the_input_all_the_same():
    nodes = [node("CastLike", ["x", "one"], ["c"]), node("Relu", ["c"], ["y"])]
    found = graph(nodes, {"one": np.float32(1)}, inputs=[value("x", X.shape)])
    np.testing.assert_array_equal(found.predict(X), np.maximum(X, 0))
    with pytest.raises(FileFormatError, match="node 0, CastLike can't become a layer"):
        found.network()


def test_a_condition_that_is_an_input_too_is_the_files_unless_given():
    inputs = [value("x", None), value("c", [], TensorProto.BOOL)]
    found = graph([choice(NEGATED, HALVED)], {"c": np.bool_(True)}, inputs=inputs)
    assert [call.node.operator for call in found.calls] == ["Neg"]
    np.testing.assert_array_equal(found.run({"x": X})["y"], -X)
    np.testing.assert_array_equal(found.run({"x": X, "c": np.bool_(False)})["y"], X / 2)


def test_an_answer_of_a_branch_is_the_callers_own():
    stored = branch([], ["k"], {"k": floats(4)})
    listed = branch([node("Constant", [], ["k"], value_floats=[1.0, 2.0])], ["k"])
    for then in (stored, listed):
        for arrays in (LARGE, {"c": np.bool_(True)}):
            found = graph([*(CONDITION if arrays is LARGE else []), choice(then, NEGATED)], arrays)
            first = found.run({"x": X})["y"]
            kept = first.copy()
            first[...] = 7
            np.testing.assert_array_equal(found.run({"x": X})["y"], kept)


WRONG = [
    ([node("If", ["c"], ["y"], then_branch=NEGATED)], "node 2, If has no graph 'else_branch', wanted one"),
    ([node("If", ["c"], ["y"], then_branch=NEGATED, else_branch=3)], "has no graph 'else_branch'"),
    ([node("If", ["c", "x"], ["y"], then_branch=NEGATED, else_branch=HALVED)], "has 2 inputs, wanted 1"),
    ([node("If", [], ["y"], then_branch=NEGATED, else_branch=HALVED)], "has 0 inputs, wanted 1"),
    ([choice(NEGATED, HALVED, outputs=("y", "z"))],
     "the graph 'then_branch' of node 2, If has 0 inputs and 1 outputs, wanted none and 2"),
    ([choice(helper.make_graph([], "g", [value("i", None)], [value("i", None)]), HALVED)],
     "has 1 inputs and 1 outputs, wanted none and 1"),
    ([choice(branch([node("Frobnicate", ["x"], ["r"], name="f")]), HALVED)],
     "the graph 'then_branch' of node 2, If: node 0, Frobnicate 'f' is an operator that is not known here"),
    ([choice(branch([node("Add", ["x", "nowhere"], ["r"])]), HALVED)],
     "node 2, If wants the value 'nowhere', which is made by no node"),
    ([choice(branch([node("Add", ["x", "y"], ["r"])]), HALVED)], "in a circle, one of them node 2, If"),
    ([choice(branch([node("Neg", ["q"], ["r"]), node("Neg", ["r"], ["q"])]), HALVED)],
     "the graph 'then_branch' of node 2, If: nodes wait for each other in a circle"),
    ([choice(branch([node("Neg", ["x"], ["r"]), node("Abs", ["x"], ["r"])]), HALVED)], "'r' is made twice"),
    ([choice(branch([node("Neg", ["x"], ["r"])], arrays={"r": X}), HALVED)], "'r' is made twice"),
    ([choice(branch([], []), branch([], []), outputs=()), node("Neg", ["x"], ["y"])],
     "the graph '.*_branch' of node 2, If: the graph has no outputs"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "words"), WRONG)
def test_a_branch_that_can_not_run_is_refused_when_it_is_read(nodes, words):
    with pytest.raises(FileFormatError, match=words):
        graph([*CONDITION, *nodes], LARGE)


def test_a_condition_is_one_truth():
    for array, words in (
        (np.float32(1), r"node 0, If: the condition is float32 of shape \(\), wanted one value of bool"),
        (np.array([True, False]), r"the condition is bool of shape \(2,\)"),
    ):
        found = graph([choice(NEGATED, HALVED)], {"c": array})
        with pytest.raises(ShapeError, match=words):
            found.run({"x": X})


def test_what_is_wrong_in_a_branch_is_said_with_both_nodes():
    found = graph([*CONDITION, choice(branch([node("MatMul", ["x", "x"], ["r"])]), HALVED)], LARGE)
    with pytest.raises(ShapeError, match="node 2, If: node 0, MatMul can't be computed of inputs float32"):
        found.run({"x": X})


def test_branches_lie_within_each_other_to_a_depth():
    found = graph([*CONDITION, choice(deep(12), NEGATED)], LARGE)
    np.testing.assert_array_equal(found.run({"x": X})["y"], -X)
    inner = {"node": [{"op_type": "Neg", "input": ["x"], "output": ["r"]}], "output": [{"name": "r"}]}
    for _ in range(40):  # more than other programs write
        held = [{"name": "then_branch", "type": 5, "g": inner}]
        within = {"op_type": "If", "input": ["x"], "output": ["r"], "attribute": held}
        inner = {"node": [within], "output": [{"name": "r"}]}
    with pytest.raises(FileFormatError, match="messages lie more than 64 deep"):
        as_model(encode({"graph": inner}, SCHEMA, "ModelProto"))


def test_what_a_branch_takes_is_bounded_and_given_back():
    names = ["x", *(f"v{place}" for place in range(30)), "r"]
    chain = branch([node("Neg", [a], [b]) for a, b in itertools.pairwise(names)])
    nodes = [*CONDITION, choice(chain, NEGATED, outputs=("a",)), choice(chain, NEGATED, outputs=("b",)),
             node("Add", ["a", "b"], ["y"])]  # fmt: skip
    x = floats(100, 2, 6, 5)
    small = graph(nodes, LARGE, max_bytes=5 * x.nbytes)  # of 64 values no more than these at a time
    np.testing.assert_array_equal(small.run({"x": x})["y"], 2 * x if len(names) % 2 else -2 * x)
    with pytest.raises(ShapeError, match=r"node 2, If: node 0, Neg: .*max_bytes allows"):
        graph(nodes, LARGE, max_bytes=3 * x.nbytes // 2).run({"x": x})


def test_many_branches_compute_little_when_they_are_read():
    large = branch(
        [node("ConstantOfShape", ["s"], ["k"]), node("Exp", ["k"], ["r"])],
        arrays={"s": np.array([3_000_000])},
    )
    nodes = [choice(large, NEGATED, outputs=(f"y{place}",)) for place in range(40)]
    found = graph([*CONDITION, *nodes], LARGE, outputs=[value("y0", None)])
    held = {id(array): array.nbytes for call in found.calls for body in call.bodies.values()
            for array in body.constants.values()}  # fmt: skip
    assert sum(held.values()) <= 2**24 + 40 * 8


# Loops --------------------------------------------------------------------------------------------------


def turning(nodes, inputs, outputs, arrays=None):
    """A graph that is computed turn by turn; what it takes and gives are (name, shape, dtype)."""
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in (arrays or {}).items()]
    return helper.make_graph(
        nodes, "body", [value(name, shape, kind) for name, shape, kind in inputs],
        [value(name, shape, kind) for name, shape, kind in outputs], held)  # fmt: skip


F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
SUMMING = turning(
    [node("Add", ["v", "step"], ["w"]), node("Cast", ["i"], ["f"], to=F), node("Mul", ["w", "f"], ["g"]),
     node("ReduceMax", ["w"], ["top"], keepdims=0), node("Less", ["top", "limit"], ["go"])],
    [("i", [], I), ("go_in", [], B), ("v", [2, 3], F)], [("go", [], B), ("w", [2, 3], F), ("g", [2, 3], F)],
    {"limit": np.float32(6)},
)  # fmt: skip
STEP = {"step": np.ones((2, 3), np.float32)}


@pytest.mark.parametrize("trips", [0, 1, 4, 100, None])
@pytest.mark.parametrize("going", [True, False, None])
def test_a_loop_computes_as_in_onnxruntime(trips, going):
    arrays = {
        **STEP,
        **({} if trips is None else {"n": np.int64(trips)}),
        **({} if going is None else {"c": np.bool_(going)}),
    }
    names = ["n" if trips is not None else "", "c" if going is not None else "", "x"]
    made = model(
        [node("Loop", names, ["y", "z"], body=SUMMING)], arrays, [value("x", [2, 3])],
        [value("y", None), value("z", None)])  # fmt: skip
    data, x = made.SerializeToString(), floats(2, 3)
    wanted = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = Graph(as_model(data)).run({"x": x})
    for name, array in zip("yz", wanted, strict=True):
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=1e-6)


@pytest.mark.parametrize("directions", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_computes_as_in_onnxruntime(directions, axis):
    body = turning(
        [node("Add", ["s", "p"], ["t"]), node("Mul", ["t", "q"], ["u"]), node("Sub", ["p", "step"], ["v"])],
        [("s", [3], F), ("p", [3], F), ("q", [3], F)], [("t", [3], F), ("u", [3], F), ("v", [3], F)],
    )  # fmt: skip
    scanned = node("Scan", ["s0", "x", "x"], ["last", "y", "z"], body=body, num_scan_inputs=2,
                   scan_input_axes=[1, 1], scan_input_directions=[directions, 0],
                   scan_output_axes=[axis, 0], scan_output_directions=[0, directions])  # fmt: skip
    arrays = {"s0": floats(3, seed=1), "step": floats(3, seed=2)}
    made = model([scanned], arrays, [value("x", [3, 5])], [value(name, None) for name in ("last", "y", "z")])
    data, x = made.SerializeToString(), floats(3, 5)
    wanted = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    found = Graph(as_model(data)).run({"x": x})
    for name, array in zip(("last", "y", "z"), wanted, strict=True):
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)


ENDLESS = turning(
    [node("Identity", ["go_in"], ["go"]), node("Identity", ["v"], ["w"])],
    [("i", [], I), ("go_in", [], B), ("v", [2, 3], F)],
    [("go", [], B), ("w", [2, 3], F)],
)
GATHERING = turning(
    [node("Identity", ["go_in"], ["go"]), node("Identity", ["x"], ["w"])],
    [("i", [], I), ("go_in", [], B)],
    [("go", [], B), ("w", [2, 3], F)],
)


def test_a_loop_without_an_end_is_given_up():
    found = graph(
        [node("Loop", ["", "", "x"], ["y"], body=ENDLESS)], inputs=[value("x", [2, 3])], max_bytes=2**16
    )
    with pytest.raises(ShapeError, match=r"node 0, Loop: .*the run goes over .* max_work allows"):
        found.run({"x": floats(2, 3)})
    found = graph(
        [node("Loop", ["", ""], ["y"], body=GATHERING)], inputs=[value("x", [2, 3])], max_bytes=2**16
    )
    with pytest.raises(ShapeError, match=r"node 0, Loop: .*max_bytes allows 65536"):
        found.run({"x": floats(2, 3)})


WRONG_LOOPS = [
    (node("Loop", ["n", "", "x"], ["y"]), "node 0, Loop has no graph 'body', wanted one"),
    (node("Loop", ["n", "", "x", "x"], ["y"], body=ENDLESS), "has 3 inputs and 2 outputs, wanted 4 and 3"),
    (node("Loop", ["n", "", "x"], ["y", "z"], body=ENDLESS), "has 3 inputs and 2 outputs, wanted 3 and 3"),
    (node("Loop", ["x", "", "x"], ["y"], body=ENDLESS), r"the number of turns is float32 of shape \(2, 3\)"),
    (node("Loop", ["n", "n", "x"], ["y"], body=ENDLESS), "the condition is int64"),
    (node("Scan", ["x"], ["y"]), "node 0, Scan has no graph 'body'"),
    (
        node("Scan", ["x", "x", "x"], ["y"], body=ENDLESS),
        "num_scan_inputs of node 0, Scan is None, wanted from",
    ),
    (node("Scan", ["x", "x", "x"], ["y"], body=ENDLESS, num_scan_inputs=4), "is 4, wanted from 1 to 3"),
    (node("Scan", ["x", "x", "x"], ["y"], body=ENDLESS, num_scan_inputs="a"), "is 'a', wanted from 1 to 3"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG_LOOPS)
def test_a_loop_that_can_not_run_is_refused(wrong, words):
    with pytest.raises(PureCNNError, match=words):
        graph([wrong], {"n": np.int64(3)}, [value("x", [2, 3])]).run({"x": floats(2, 3)})


def test_turns_give_arrays_of_one_shape():
    growing = turning([node("Identity", ["go_in"], ["go"]), node("Concat", ["v", "v"], ["w"], axis=0),
                       node("Identity", ["w"], ["g"])],
                      [("i", [], I), ("go_in", [], B), ("v", None, F)],
                      [("go", [], B), ("w", None, F), ("g", None, F)])  # fmt: skip
    nodes, outputs = [node("Loop", ["n", "", "x"], ["y", "z"], body=growing)], [value(n, None) for n in "yz"]
    found = graph(nodes, {"n": np.int64(3)}, [value("x", [2, 3])], outputs)
    with pytest.raises(
        ShapeError, match=r"a turn gives float32 of shape \(8, 3\), the first float32 of shape"
    ):
        found.run({"x": floats(2, 3)})


def test_mutated_branches_raise_nothing_of_others():
    looped = node("Loop", ["n", "", "x"], ["l"], body=ENDLESS)
    made = model([*CONDITION, *OUTER, choice(INNER, SUBTRACTED), looped], {**LARGE, "n": np.int64(3)})
    data, rng = made.SerializeToString(), np.random.default_rng(0)
    read = 0
    for _ in range(600):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 3)):
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
        try:
            found = Graph(as_model(bytes(changed)), max_bytes=2**20)
            read += 1
            found.run({"x": X})
        except PureCNNError:
            pass
        except TypeError as error:  # another dtype for the input
            if "the input" not in str(error):
                raise
    assert read > 40
