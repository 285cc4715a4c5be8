"""ONNX's operators where the conformance cases do not look: hand-worked answers, old sets, refusals."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.onnx_claims import hold_to_claims
from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError
from purecnn.backend import memory
from purecnn.errors import FileFormatError
from purecnn.onnx import Graph
from purecnn.onnx.operators.registry import OPERATORS
from purecnn.onnx.reader import as_model

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")


def computed(nodes, x, opset=17, arrays=None, **more):
    """The output "y" for the input "x"."""
    inputs = [value("x", None, helper.np_dtype_to_tensor_dtype(np.asarray(x).dtype))]
    return graph(nodes, arrays, inputs=inputs, opset=opset, **more).run({"x": x})["y"]


ROW = np.array([[-2.0, 0.0, 1.0, 7.0]], np.float32)

#: Worked out on paper: operator, attributes, operator set, what it makes of ROW.
BY_HAND = [
    ("Relu", {}, 6, [0, 0, 1, 7]),
    ("Clip", {"min": -1.0, "max": 6.0}, 6, [-1, 0, 1, 6]),
    ("LeakyRelu", {"alpha": 0.5}, 6, [-1, 0, 1, 7]),
    ("ThresholdedRelu", {"alpha": 1.0}, 10, [0, 0, 0, 7]),
    ("HardSigmoid", {"alpha": 0.25, "beta": 0.5}, 6, [0, 0.5, 0.75, 1]),
    ("Softsign", {}, 1, [-2 / 3, 0, 0.5, 7 / 8]),
    ("Hardmax", {}, 11, [0, 0, 0, 1]),
    ("Neg", {}, 6, [2, 0, -1, -7]),
    ("Shrink", {"bias": 1.0, "lambd": 1.5}, 9, [-1, 0, 0, 6]),
    ("ReduceSum", {"axes": [1], "keepdims": 0}, 11, 6),
    ("ReduceMean", {"axes": [-1], "keepdims": 0}, 13, 1.5),
    ("ReduceMax", {}, 13, [7]),
    ("ArgMax", {"axis": 1, "keepdims": 0}, 13, 3),
    ("Dropout", {"ratio": 0.9}, 7, [-2, 0, 1, 7]),
    ("Transpose", {}, 13, [[-2], [0], [1], [7]]),
    ("Unsqueeze", {"axes": [0]}, 11, [[[-2, 0, 1, 7]]]),
    ("Squeeze", {"axes": [0]}, 11, [-2, 0, 1, 7]),
    ("Slice", {"starts": [1], "ends": [-1], "axes": [1]}, 9, [0, 1]),
    ("Pad", {"pads": [0, 1, 0, 0], "value": 9.0}, 10, [9, -2, 0, 1, 7]),
    ("Pad", {"pads": [0, 2, 0, 1], "mode": "reflect"}, 10, [1, 0, -2, 0, 1, 7, 1]),
    ("Pad", {"pads": [0, 2, 0, 0], "mode": "edge"}, 10, [-2, -2, -2, 0, 1, 7]),
    ("Pad", {"pads": [0, -1, 0, 0]}, 10, [0, 1, 7]),
    ("Reshape", {"shape": [2, 2]}, 1, [[-2, 0], [1, 7]]),
    ("Cast", {"to": TensorProto.INT32}, 13, [-2, 0, 1, 7]),
    ("Cast", {"to": "INT64"}, 1, [-2, 0, 1, 7]),
    ("Shape", {}, 13, [1, 4]),
    ("Size", {}, 13, 4),
    ("LRN", {"size": 1, "alpha": 2.0, "beta": 1.0, "bias": 1.0}, 13, [-2 / 9, 0, 1 / 3, 7 / 99]),
    ("LpNormalization", {"p": 1}, 1, [-0.2, 0, 0.1, 0.7]),
]


@pytest.mark.parametrize(("operator", "attributes", "opset", "wanted"), BY_HAND)
def test_by_hand(operator, attributes, opset, wanted):
    found = computed([node(operator, ["x"], ["y"], **attributes)], ROW, opset)
    np.testing.assert_allclose(found.squeeze(), np.squeeze(wanted), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8])
def test_a_quotient_of_integers_is_rounded_towards_zero(dtype):
    found = computed(
        [node("Div", ["x", "b"], ["y"])], np.array([7, -7, 6, -6], dtype), arrays={"b": dtype(4)}
    )
    assert found.tolist() == [1, -1, 1, -1]
    assert found.dtype == dtype


def test_before_operator_set_7_an_attribute_says_where_axes_meet():
    x, b = floats(2, 3, 4, 5), floats(3, 4, seed=1)
    found = computed([node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)], x, 6, {"b": b})
    np.testing.assert_array_equal(found, x + b[None, :, :, None])
    found = computed([node("Mul", ["x", "b"], ["y"], broadcast=1)], x, 6, {"b": b[0, :1]})
    np.testing.assert_array_equal(found, x * b[0, 0])
    with pytest.raises(FileFormatError, match="axis is 3, but 2 axes do not fit behind it in 4"):
        computed([node("Add", ["x", "b"], ["y"], broadcast=1, axis=3)], x, 6, {"b": b})


def test_before_operator_set_13_a_softmax_takes_all_axes_from_one_on():
    x = floats(2, 3, 4)
    found = computed([node("Softmax", ["x"], ["y"])], x, 11)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, rtol=1e-6)
    found = computed([node("Softmax", ["x"], ["y"])], x, 13)
    np.testing.assert_allclose(found.sum(axis=2), np.ones((2, 3)), rtol=1e-6)


# Held to onnxruntime, over geometries -------------------------------------------------------------------


def windows():
    """Attributes of windows over (6, 5) pixels: each of the ways in which they may lie."""
    yield {"kernel_shape": [3, 2]}
    yield {"kernel_shape": [2, 2], "strides": [2, 2]}
    yield {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 0, 2]}
    yield {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}
    yield {"kernel_shape": [2, 4], "strides": [1, 3], "auto_pad": "SAME_LOWER"}
    yield {"kernel_shape": [6, 5], "auto_pad": "VALID"}


CONVOLUTIONS = [
    *[(attributes, 1) for attributes in windows()],
    ({"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [2, 1, 2, 1]}, 1),
    ({"kernel_shape": [3, 3], "strides": [2, 2], "group": 2, "pads": [1, 1, 1, 1]}, 2),
    ({"kernel_shape": [1, 1], "group": 2}, 2),
]


def answer(wanted, x):
    """What onnxruntime makes of it."""
    session = onnxruntime.InferenceSession(wanted.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("attributes", "groups"), CONVOLUTIONS)
def test_convolutions_are_those_of_onnxruntime(attributes, groups, batch):
    arrays = {"w": floats(4, 2 // groups, *attributes["kernel_shape"], seed=1), "b": floats(4, seed=2)}
    nodes, x = [node("Conv", ["x", "w", "b"], ["y"], **attributes)], floats(batch, 2, 6, 5)
    found = graph(nodes, arrays).run({"x": x})["y"]
    np.testing.assert_allclose(found, answer(model(nodes, arrays), x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 9), (2, 2, 5, 4, 6)])
def test_a_convolution_in_one_or_three_dimensions(shape):
    axes = len(shape) - 2
    arrays = {"w": floats(3, 1, *[3, 2, 3][:axes], seed=1)}
    attributes = {"strides": [2] * axes, "pads": [1] * 2 * axes, "group": 1}
    arrays["w"] = floats(3, 2, *[3, 2, 3][:axes], seed=1)
    nodes, x = [node("Conv", ["x", "w"], ["y"], **attributes)], floats(*shape)
    wanted = answer(model(nodes, arrays, inputs=[value("x", [None] * len(shape))]), x)[0]
    np.testing.assert_allclose(computed(nodes, x, arrays=arrays), wanted, rtol=1e-4, atol=1e-5)


def test_a_convolution_in_float16_adds_up_in_float32():
    x, w = np.full((1, 64, 8, 8), 0.1, np.float16), np.full((1, 64, 8, 8), 0.1, np.float16)
    found = computed([node("Conv", ["x", "w"], ["y"])], x, arrays={"w": w})
    assert found.dtype == np.float16
    assert found.item() == np.float16(np.float32(np.float16(0.1)) ** 2 * 4096)


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 3]},
        {"strides": [2, 2], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"dilations": [2, 1], "group": 2},
        {"strides": [3, 3], "output_shape": [17, 15]},
    ],
)
def test_transposed_convolutions_are_those_of_onnxruntime(attributes):
    groups = attributes.get("group", 1)
    arrays = {"w": floats(2, 4 // groups, 3, 2, seed=1), "b": floats(4, seed=2)}
    nodes, x = [node("ConvTranspose", ["x", "w", "b"], ["y"], **attributes)], floats(3, 2, 6, 5)
    found = graph(nodes, arrays).run({"x": x})["y"]
    np.testing.assert_allclose(found, answer(model(nodes, arrays), x)[0], rtol=1e-4, atol=1e-5)


POOLINGS = [
    *[
        (operator, attributes)
        for operator in ("MaxPool", "AveragePool", "LpPool")
        for attributes in windows()
    ],
    *[
        (operator, {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1, "pads": pads})
        for operator in ("MaxPool", "AveragePool")
        for pads in ([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0])
    ],
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    ("AveragePool", {"kernel_shape": [2, 2], "dilations": [3, 2]}),
    ("LpPool", {"kernel_shape": [2, 2], "p": 1}),
]


@pytest.mark.parametrize(("operator", "attributes"), POOLINGS)
def test_poolings_are_those_of_onnxruntime(operator, attributes):
    nodes, x = [node(operator, ["x"], ["y"], **attributes)], floats(3, 2, 6, 5)
    found = graph(nodes, opset=19).run({"x": x})["y"]
    np.testing.assert_allclose(found, answer(model(nodes, opset=19), x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_a_maximum_says_where_it_lies(order):
    attributes = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 0, 1], "storage_order": order}
    nodes, x = [node("MaxPool", ["x"], ["y", "places"], **attributes)], floats(3, 2, 6, 5)
    outputs = [value("y", None), value("places", None, TensorProto.INT64)]
    found = graph(nodes, outputs=outputs).run({"x": x})
    _, wanted = answer(model(nodes, outputs=outputs), x)
    np.testing.assert_array_equal(found["places"], wanted)


def test_the_batch_may_lie_last_in_memory():
    """What a convolution gives lies so; every operator behind it must not mind."""
    arrays = {"w": floats(4, 2, 3, 3, seed=1), "shape": np.array([0, -1]), "flat": floats(48, 3, seed=2)}
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Concat", ["b", "a"], ["c"], axis=1),
        node("MaxPool", ["c"], ["d"], kernel_shape=[2, 1], strides=[2, 1]),
        node("Reshape", ["d", "shape"], ["e"]),
        node("MatMul", ["e", "flat"], ["y"]),
    ]
    x = floats(5, 2, 6, 5)
    assert graph(nodes, arrays).run({"x": x}, ["a"])["a"].strides[0] == 4
    found = graph(nodes, arrays).run({"x": x})["y"]
    np.testing.assert_allclose(found, answer(model(nodes, arrays), x)[0], rtol=1e-4, atol=1e-5)


# Refusals -----------------------------------------------------------------------------------------------

REFUSED = [
    (node("Softmax", ["x"], ["y"], axis=4), "axis is 4, wanted from -4 to 3"),
    (node("Flatten", ["x"], ["y"], axis=9), "axis is 9, wanted from -4 to 4"),
    (node("Transpose", ["x"], ["y"], perm=[0, 0, 1, 2]), r"perm is \[0, 0, 1, 2\], wanted each axis"),
    (node("Concat", ["x", "x"], ["y"]), "the attribute 'axis' is missing"),
    (node("Concat", ["x", "x"], ["y"], axis=1.5), "the attribute 'axis' is 1.5, wanted another type"),
    (node("MaxPool", ["x"], ["y"]), "the attribute 'kernel_shape' is missing"),
    (
        node("MaxPool", ["x"], ["y"], kernel_shape=[2]),
        r"kernel_shape are \[2\], wanted 2 integers of at least 1",
    ),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[0, 1]), "strides are"),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[7, 1]), "finds no place in an image of"),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[9, 9, 9, 9]), "wanted less than the window"),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[999, 999]), "has 998001 cells, wanted at most"),
    (
        node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SOME"),
        "'auto_pad' is 'SOME', wanted one of",
    ),
    (node("Conv", ["x", "x"], ["y"], group=2), "in 2 groups don't fit images of shape"),
    (node("Conv", ["x", "x"], ["y"], group=0), "in 0 groups"),
    (node("Conv", ["x", "x"], ["y"], kernel_shape=[3, 3]), "kernel_shape is"),
    (node("Gemm", ["x", "x"], ["y"]), "wanted two matrices"),
    (node("Split", ["x"], ["y", "z"], axis=1, num_outputs=3), "num_outputs is 3, wanted its outputs, 2"),
    (node("BatchNormalization", ["x", "x", "x", "x", "x"], ["y"]), "wanted a value for each channel"),
    (node("DepthToSpace", ["x"], ["y"], blocksize=2), "a multiple of 2 squared"),
    (node("LRN", ["x"], ["y"], size=0), "size is 0"),
    (node("GroupNormalization", ["x", "x", "x"], ["y"], num_groups=3), "wanted a divisor of the channels"),
    (node("Gather", ["x", "x"], ["y"]), "its indices are float32, wanted integers"),
    (node("Where", ["x", "x", "x"], ["y"]), "its condition is float32, wanted bool"),
    (node("Cast", ["x"], ["y"], to=16), "type 16, bfloat16"),
    (node("BitShift", ["x", "x"], ["y"], direction="LEFT"), "can't be computed of inputs float32"),
    (node("Not", ["x"], ["y", "z"]), "has 2 outputs, wanted at most 1"),
]


@pytest.mark.parametrize(("wrong", "words"), REFUSED)
def test_what_an_operator_can_not_take_is_refused(wrong, words):
    with pytest.raises((FileFormatError, ShapeError), match=f"node 0, {wrong.op_type}.*{words}"):
        graph([wrong], opset=18).run({"x": floats(2, 2, 6, 5)})


I, F = np.array, np.float32
#: Nodes, arrays of the file, operator set, words.
REFUSED_WITH = [
    (node("ReduceSum", ["x", "a"], ["y"]), {"a": I([1, 1])}, 18, "axes are .*wanted each once"),
    (node("ReduceSum", ["x", "a"], ["y"]), {"a": F([1])}, 18, "the second input is float32 .*of integers"),
    (node("MaxPool", ["x"], ["y"], kernel_shape=[0.5, 2.0]), {}, 18, "kernel_shape' is .*wanted integers"),
    (node("ConstantOfShape", ["a"], ["y"]), {"a": I([-1])}, 18, r"can't have the shape \(-1,\)"),
    (node("ConstantOfShape", ["a"], ["y"], value=numpy_helper.from_array(I([1, 2]))), {"a": I([1])}, 18,
     "'value' has 2 values, wanted one"),
    (node("Add", ["x", "a"], ["y"]), {"a": F([1, 2, 3])}, 18, r"5\) and \(3,\) can't be broadcast"),
    (node("Sigmoid", ["a"], ["y"]), {"a": I([1])}, 18, "an input is int64, wanted floats"),
    (node("Concat", ["x", "a"], ["y"], axis=0), {"a": I([1])}, 18, "float32, int64, wanted one dtype"),
    (node("Split", ["x", "a"], ["y", "z"], axis=2), {"a": I([4, 4])}, 18, "wanted sizes that make 6, axis 2"),
    (node("Slice", ["x", "a", "a", "b"], ["y"]), {"a": I([1]), "b": I([0, 1])}, 18, "wanted as many of each"),
    (node("Slice", ["x", "a", "a", "a", "b"], ["y"]), {"a": I([1]), "b": I([0])}, 18, "a step is 0"),
    (node("Gather", ["x", "a"], ["y"]), {"a": I([2])}, 18, "indices reach from 2 to 2, wanted places of 2"),
    (node("GatherElements", ["x", "a"], ["y"]), {"a": I([0])}, 18, "wanted as many axes"),
    (node("Pad", ["x", "a"], ["y"]), {"a": I([1, 1])}, 18, "wanted two for each of 4 axes"),
    (node("Pad", ["b", "a"], ["y"], mode="edge"), {"a": I([1, 1]), "b": F([])}, 18, "nothing to put around"),
    (node("AveragePool", ["a"], ["y"], kernel_shape=[2]), {"a": F([[1]])}, 18, "at least three axes"),
    (node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], p=0), {}, 18, "'p' is 0.0, wanted above 0"),
    (node("ArgMax", ["a"], ["y"]), {"a": F([])}, 18, "is empty, wanted at least one value"),
    (node("MatMul", ["x", "a"], ["y"]), {"a": F(1)}, 18, "wanted at least one axis each"),
    (node("MatMul", ["x", "a"], ["y"]), {"a": np.ones(5)}, 18, "float32 and float64, wanted one dtype"),
    (node("Gemm", ["a", "a", "b"], ["y"]), {"a": F([[1]]), "b": F([1, 2])}, 18, "that can be added to"),
    (node("BatchNormalization", ["x", *"aaaa"], ["y"], spatial=0), {"a": F([1, 2])}, 8, "'spatial' is 0"),
    (node("GroupNormalization", ["x", "a", "a"], ["y"], num_groups=1), {"a": F([1, 2])}, 18, "scale and"),
    (node("LpNormalization", ["x"], ["y"], p=3), {}, 18, "'p' is 3, wanted 1 or 2"),
    (node("Constant", [], ["y"]), {}, 18, "its value is missing"),
    (node("Constant", [], ["y"], sparse_value=0), {}, 18, "its value is sparse_value, wanted a tensor"),
    (node("Range", ["a", "b", "b"], ["y"]), {"a": I([1, 2]), "b": I(1)}, 18, "wanted one value each"),
    (node("Range", ["b", "b", "a"], ["y"]), {"a": I(0), "b": I(1)}, 18, "can't be computed"),
    (node("EyeLike", ["x"], ["y"]), {}, 18, "wanted a matrix"),
    (node("Reshape", ["x", "a"], ["y"]), {"a": I([1, 1, 1, 1, 0])}, 18, "which has none such"),
    (node("Reshape", ["x", "a"], ["y"]), {"a": I([-1, -1])}, 18, "at most one of them -1"),
    (node("Reshape", ["x", "a"], ["y"]), {"a": I([-1, 7])}, 18, r"don't fill a shape \[-1, 7\]"),
    (node("Reshape", ["x", "a"], ["y"]), {"a": I([7])}, 18, r"don't fill a shape \[7\]"),
    (node("Resize", ["x"], ["y"]), {}, 18, "wanted one of both for each of 4 axes"),
    (node("Resize", ["x", "", "a"], ["y"]), {"a": F([1, 1, 0, 1])}, 18, "scales are .* numbers above 0"),
    (node("Resize", ["x", "", "a"], ["y"]), {"a": F([1, 1, 0.01, 1])}, 18, "wanted 1 or more"),
    (node("Resize", ["x", "a", "a"], ["y"], coordinate_transformation_mode="tf_crop_and_resize"),
     {"a": F([1, 1, 2, 2])}, 18, "its roi is .*, wanted two finite numbers for each of 4 axes"),
    (node("Resize", ["b", "", "a"], ["y"]), {"a": F([2, 2]), "b": np.ones((0, 3), F)}, 18, "has no pixels"),
    (node("SpaceToDepth", ["x"], ["y"], blocksize=4), {}, 18, "that blocks of 4 tile"),
    (node("Conv", ["x", "a"], ["y"]), {"a": np.ones((1, 2, 1, 1))}, 18, "images and kernels of one dtype"),
    (node("Conv", ["x", "a", "b"], ["y"]), {"a": np.ones((1, 2, 1, 1), F), "b": F([1, 2])}, 18, "biases are"),
    (node("ConvTranspose", ["x", "a"], ["y"], kernel_shape=[2, 2]), {"a": np.ones((2, 1, 1, 1), F)}, 18,
     "kernel_shape is"),
    (node("ConvTranspose", ["x", "a"], ["y"], output_padding=[1]), {"a": np.ones((2, 1, 1, 1), F)}, 18,
     "wanted 2 sizes"),
    (node("ConvTranspose", ["x", "a"], ["y"], pads=[9] * 4), {"a": np.ones((2, 1, 1, 1), F)}, 18,
     "wanted at least one place along each axis"),
    (node("Clip", ["x", "a"], ["y"]), {"a": F([1, 2])}, 18, "a bound has shape"),
    (node("Softmax", ["x"], ["y"], axis=5), {}, 11, "axis is 5, wanted from 0 to 4"),
    (node("Tile", ["x", "a"], ["y"]), {"a": I([2])}, 18, "wanted one for each axis"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "arrays", "opset", "words"), REFUSED_WITH)
def test_what_does_not_go_together_is_refused(wrong, arrays, opset, words):
    with pytest.raises((FileFormatError, ShapeError), match=f"node 0, {wrong.op_type}.*{words}"):
        graph([wrong], arrays, opset=opset).run({"x": floats(2, 2, 6, 5)})


def test_old_forms_that_no_case_has():
    x = floats(2, 2, 6, 5)
    found = computed([node("Tile", ["x", "n", "a"], ["y"])], x, 5, {"n": np.array(3), "a": np.array(1)})
    np.testing.assert_array_equal(found, np.concatenate([x, x, x], axis=1))
    found = computed([node("GlobalLpPool", ["x"], ["y"], p=1)], x)
    np.testing.assert_allclose(found[..., 0, 0], np.abs(x).sum(axis=(2, 3)), rtol=1e-5)
    whole = np.array([[7, 8], [1, 1]])
    assert computed([node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)], whole, 13).tolist() == [7, 1]


def test_inputs_of_two_dtypes_are_refused():
    with pytest.raises(FileFormatError, match="its inputs are float32 and int64, wanted one dtype"):
        graph([node("Add", ["x", "b"], ["y"])], {"b": np.array([1])}).run({"x": floats(1, 2, 6, 5)})


HUGE = 2**40
GREEDY = [
    ([node("Expand", ["x", "s"], ["y"])], {"s": np.array([HUGE, 2, 6, 5])}),
    ([node("Expand", ["x", "s"], ["y"])], {"s": np.array([2**62, 2**62, 2**62, 2, 6, 5])}),
    ([node("ConstantOfShape", ["s"], ["y"])], {"s": np.array([HUGE])}),
    ([node("Resize", ["x", "", "", "s"], ["y"])], {"s": np.array([1, 1, HUGE, 5])}),
    ([node("Tile", ["x", "s"], ["y"])], {"s": np.array([1, HUGE, 1, 1])}),
    ([node("Pad", ["x", "s"], ["y"])], {"s": np.array([0, 0, 0, 0, 0, 0, HUGE, 0])}),
    ([node("Pad", ["x", "s"], ["y"], mode="reflect")], {"s": np.array([0, 0, 0, 0, 0, 0, HUGE, 0])}),
    ([node("Range", ["a", "b", "c"], ["y"])], {"a": np.int64(0), "b": np.int64(HUGE), "c": np.int64(1)}),
    ([node("Conv", ["x", "w"], ["y"], pads=[0, 0, HUGE, 0])], {"w": np.ones((1, 2, 1, 1), np.float32)}),
    ([node("Conv", ["x", "w"], ["y"], dilations=[HUGE, 1], pads=[HUGE, 0, 0, 0])], {"w": floats(1, 2, 2, 1)}),
    ([node("ConvTranspose", ["x", "w"], ["y"], strides=[HUGE, 1])], {"w": floats(2, 1, 1, 1)}),
    ([node("ConvTranspose", ["x", "w"], ["y"], output_shape=[HUGE, 9])], {"w": floats(2, 1, 1, 1)}),
    ([node("Gather", ["x", "i"], ["z"]), node("Gather", ["z", "i"], ["y"], axis=1)],
     {"i": np.zeros(2**17, np.int64)}),
    ([node("Flatten", ["x"], ["f"]), node("Transpose", ["f"], ["t"]), node("Unsqueeze", ["t", "a"], ["u"]),
      node("Mul", ["u", "b"], ["y"])], {"a": np.array([2]), "b": np.ones(2**24, np.float32)}),
    ([node("MatMul", ["a", "b"], ["y"])],
     {"a": np.ones((2**15, 1), np.float32), "b": np.ones((1, 2**15), np.float32)}),
    ([node("Concat", ["x"] + ["a"] * 64, ["y"], axis=3)], {"a": np.ones((1, 2, 6, 2**17), np.float32)}),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "arrays"), GREEDY)
def test_no_operator_makes_an_array_larger_than_allowed(nodes, arrays):
    with pytest.raises(ShapeError, match=r"takes \d+ bytes; max_bytes allows \d+|can't be broadcast"):
        graph(nodes, arrays, opset=13, max_bytes=2**26).run({"x": floats(1, 2, 6, 5)})


def test_every_dtype_and_form_of_storage():
    """Raw bytes, or the fields that the onnx package writes for each kind of elements."""
    for dtype in ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"):
        array = np.array([[0, 1, 2], [3, 100, 7]]).astype(dtype)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        plain = helper.make_tensor("a", kind, array.shape, array.ravel().tolist())
        raw = numpy_helper.from_array(array, "b")
        assert raw.raw_data
        assert not plain.raw_data
        wanted = model([node("Identity", ["a"], ["y"]), node("Identity", ["b"], ["z"])], inputs=[],
                       outputs=[value("y", None, kind), value("z", None, kind)])  # fmt: skip
        wanted.graph.initializer.extend([plain, raw])
        found = Graph(as_model(wanted.SerializeToString())).run({})
        for name in "yz":
            np.testing.assert_array_equal(found[name], array, strict=True)


# What they take -----------------------------------------------------------------------------------------

BIG = (4, 8, 64, 64)
#: Inputs behind the first, which is of shape BIG, and attributes; a shape stands for floats.
TAKES = {
    "And": ([(1,)], {}),
    "AveragePool": ([], {"kernel_shape": [9, 9], "pads": [4] * 4, "strides": [1, 1]}),
    "BatchNormalization": ([(8,), (8,), (8,), (8,)], {}),
    "Cast": ([], {"to": TensorProto.DOUBLE}),
    "CastLike": ([np.zeros(1)], {}),
    "Concat": ([BIG], {"axis": 1}),
    "Conv": ([(5, 8, 3, 3)], {"pads": [1] * 4}),
    "ConvTranspose": ([(8, 5, 3, 3)], {}),
    "CenterCropPad": ([np.array([2, 9, 99, 30])], {}),
    "Compress": ([np.arange(64) % 3 > 0], {"axis": 2}),
    "CumProd": ([np.array(1)], {"exclusive": 1, "reverse": 1}),
    "CumSum": ([np.array(1)], {"exclusive": 1, "reverse": 1}),
    "DeformConv": ([(5, 8, 3, 3), (4, 18, 62, 62), (5,), (4, 9, 62, 62)], {}),
    "Det": ([], {}),
    "Einsum": ([BIG, (64, 9)], {"equation": "abcd,abed,df->bcf"}),
    "GatherND": ([np.zeros((4, 8, 9, 1), np.int64)], {"batch_dims": 2}),
    "GridSample": ([(4, 40, 50, 2)], {"mode": "cubic", "padding_mode": "reflection"}),
    "DepthToSpace": ([], {"blocksize": 2}),
    "EyeLike": ([], {}),
    "Expand": ([np.array([1, 1, 1, 1])], {}),
    "Gather": ([np.arange(8).repeat(2)], {"axis": 1}),
    "GatherElements": ([np.zeros(BIG, np.int64)], {"axis": 3}),
    "GroupNormalization": ([(8,), (8,)], {"num_groups": 2}),
    "InstanceNormalization": ([(8,), (8,)], {}),
    "LayerNormalization": ([(64,), (64,)], {}),
    "LpPool": ([], {"kernel_shape": [3, 3]}),
    "LRN": ([], {"size": 3}),
    "MatMul": ([(64, 64)], {}),
    "MaxUnpool": ([np.arange(4 * 8 * 64 * 64).reshape(BIG)], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "MaxPool": ([], {"kernel_shape": [3, 3], "pads": [1] * 4}),
    "Pad": ([np.array([0, 0, 9, 9] * 2)], {}),
    "PRelu": ([(8, 1, 1)], {}),
    "Reshape": ([np.array([4, -1])], {}),
    "Resize": ([np.zeros(0), np.array([1.0, 1.0, 2.0, 0.5])], {"mode": "cubic", "antialias": 1}),
    "ReverseSequence": ([np.arange(8) % 5], {}),
    "RMSNormalization": ([(64,)], {}),
    "MaxRoiPool": ([np.array([[1.0, 3, 2, 60, 50]] * 9)], {"pooled_shape": [7, 6], "spatial_scale": 0.9}),
    "RoiAlign": (
        [np.array([[0.0, 0, 60, 50]] * 9), np.arange(9) % 4],
        {"output_height": 7, "output_width": 7},
    ),
    "Scatter": ([np.zeros(BIG, np.int64), BIG], {"axis": 3}),
    "ScatterElements": ([np.zeros(BIG, np.int64), BIG], {"axis": 2, "reduction": "add"}),
    "ScatterND": ([np.zeros((9, 2), np.int64), (9, 64, 64)], {"reduction": "mul"}),
    "Slice": ([np.array([0]), np.array([9]), np.array([3])], {}),
    "SpaceToDepth": ([], {"blocksize": 2}),
    "Split": ([], {"axis": 1, "outputs": 2}),
    "Tile": ([np.array([1, 1, 2, 3])], {}),
    "TopK": ([np.array([5])], {}),
    "Transpose": ([], {"perm": [0, 2, 3, 1]}),
    "Unique": ([], {}),
    "Upsample": ([np.array([1.0, 1.0, 2.0, 0.5])], {"mode": "linear"}),
    "Unsqueeze": ([np.array([0])], {}),
}
#: What makes its arrays of no input's size, and takes others.
SMALL_INPUTS = {
    "AffineGrid": ([(2, 2, 3), np.array([2, 3, 200, 300])], {}),
    "Col2Im": ([(2, 45, 3000), np.array([50, 60]), np.array([3, 3])], {"pads": [1, 1, 1, 1]}),
    "GRU": ([(20, 30, 40), (1, 150, 40), (1, 150, 50)], {"linear_before_reset": 1}),
    "LSTM": ([(20, 30, 40), (2, 200, 40), (2, 200, 50), (2, 400)], {"direction": "bidirectional"}),
    "NonMaxSuppression": ([(2, 3000, 4), (2, 5, 3000), np.array([7])], {}),
    "OneHot": ([np.arange(3000).reshape(50, 60), np.array(80), (2,)], {"axis": 1}),
    "RNN": ([(20, 30, 40), (1, 50, 40), (1, 50, 50)], {"direction": "reverse"}),
    "Constant": ([], {"value_int": 1}),
    "ConstantOfShape": ([np.array([300, 1000])], {}),
    "EyeLike": ([(300, 1000)], {}),
    "Gemm": ([(300, 200), (200, 1000), (1000,)], {"alpha": 0.5, "beta": 0.5}),
    "Range": ([np.array(0), np.array(300_000), np.array(1)], {}),
    "Where": ([np.zeros(BIG, bool), BIG, BIG], {}),
}
INTEGERS = {"BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"}
BOOLS = {"And", "Not", "Or", "Xor"}


#: What takes no floats, or writes none: `test_quantization` holds these.
BYTES = {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv"}
BYTES |= {"QLinearMatMul", "QuantizeLinear"}


def first_of(name, dtype):
    kind = np.int32 if name in INTEGERS else bool if name in BOOLS else dtype
    return (np.abs(floats(*BIG)) + 1).astype(kind)


def inputs_of(name, function, dtype):
    given, attributes = SMALL_INPUTS.get(name, (None, None))
    if given is None:
        more, attributes = TAKES.get(name, ([], {}))
        first = first_of(name, dtype)
        kinds = list(inspect.signature(function).parameters.values())[1:]
        least = sum(kind.default is kind.empty for kind in kinds)  # of any number at least one
        given = [first, *(more or [first] * (least - 1))]
    if name == "BitShift":
        attributes = {"direction": "LEFT"}
    if name == "BitCast":
        attributes = {"to": helper.np_dtype_to_tensor_dtype(np.dtype(f"i{np.dtype(dtype).itemsize}"))}
    kind = given[0].dtype if name in INTEGERS | BOOLS else dtype
    return [np.ones(one, kind) if isinstance(one, tuple) else one for one in given], attributes


@pytest.mark.no_cover
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize(
    "name", sorted(name for name in OPERATORS.keys() - BYTES - {"If", "Loop", "Scan"} if "." not in name)
)  # those three take what the graphs within them do
def test_no_operator_takes_more_than_it_claims_before_it_computes(name, dtype, monkeypatch):
    monkeypatch.setattr(memory, "LARGE", 2**60)  # so that all is seen
    function = OPERATORS[name][-1][1]
    arrays, attributes = inputs_of(name, function, dtype)
    outputs = ["y", "z"][: attributes.pop("outputs", 2 if name == "MaxPool" else 1)]
    hold_to_claims(name, arrays, outputs, attributes, version=28)
