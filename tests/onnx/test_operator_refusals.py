"""What operators of places, steps and regions can not take: told in a sentence, before it is computed."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from helpers.onnx_models import floats, graph, node, value
from purecnn import ShapeError
from purecnn.errors import FileFormatError
from purecnn.onnx.cost import Budget
from purecnn.onnx.operators.selection import above_threshold, in_order

I, F = np.array, np.float32
BOXES, SCORES = floats(1, 5, 4), floats(1, 2, 5)
LSTM = [floats(3, 2, 4), floats(1, 8, 4), floats(1, 8, 2)]
GRU = [floats(3, 2, 4), floats(1, 6, 4), floats(1, 6, 2)]
DEFORMED = [floats(1, 2, 5, 5), floats(1, 2, 2, 2), floats(1, 8, 4, 4)]
IMAGES, GRID, REGION, UNPOOLED = floats(1, 2, 5, 5), floats(1, 2, 2, 2), F([[0, 0, 1, 1]]), floats(1, 1, 2, 2)
MAPS, TOO_LARGE = floats(1, 1, 3, 3), r"takes \d+ bytes; max_bytes allows"
#: Operator, inputs, attributes, words.
REFUSED = [
    ("LSTM", [floats(3, 2, 4), floats(1, 8, 4), floats(1, 9, 2)], {}, "W has shape|R has"),
    ("LSTM", [floats(3, 2, 4), floats(1, 8, 5), floats(1, 8, 2)], {}, r"wanted \(1, 8, 4\)"),
    ("LSTM", [floats(3, 2), floats(1, 8, 4), floats(1, 8, 2)], {}, "wanted three axes"),
    ("LSTM", LSTM, {"hidden_size": 3}, "hidden_size is 3, R has 2"),
    ("LSTM", LSTM, {"direction": "sideways"}, "wanted one of forward"),
    ("LSTM", LSTM, {"activations": ["Tanh"]}, "wanted 3 names"),
    ("LSTM", LSTM, {"activations": ["Tanh", "Sin", "Tanh"]},
     "an activation is 'Sin', wanted one of affine"),
    ("LSTM", [*LSTM[:2], np.ones((1, 8, 2))], {}, "float32 and float64, wanted one"),
    ("GRU", [*GRU, None, I([1, 4], np.int32)], {},
     "sequence_lens reach from 1 to 4, wanted 0 to 3 steps"),
    ("GRU", [*GRU, None, I([1], np.int32)], {}, "wanted 2 integers"),
    ("RNN", [I([[[1]]]), floats(1, 1, 1), floats(1, 1, 1)], {}, "an input is int64, wanted floats"),
    ("RNN", [floats(1, 1, 1), floats(1, 1, 1), F(1)], {}, "W has shape"),
    ("GatherND", [floats(3, 4), I([[3, 0]])], {}, r"its indices have \[3, 0\], wanted places in \(3, 4\)"),
    ("GatherND", [floats(3, 4), I([[0, -5]])], {}, r"its indices have \[0, -5\], wanted places in \(3, 4\)"),
    ("GatherND", [floats(3, 4), I([[0, 0, 0]])], {}, "wanted 1 to 2 places each"),
    ("GatherND", [floats(3, 4), I([[0]])], {"batch_dims": 1}, "batch_dims is 1 of shapes"),
    ("GatherND", [floats(3, 4), I([[0]])], {"batch_dims": -1}, "batch_dims is -1"),
    ("GatherND", [floats(3, 4), F([[0]])], {}, "its indices are float32, wanted integers"),
    ("GatherND", [np.ones((0, 4), F), I([[0]])], {}, r"its indices have \[0\], wanted places in \(0,\)"),
    ("ScatterND", [floats(3), I([[3]]), floats(1)], {}, r"its indices have \[3\]"),
    ("ScatterND", [floats(3), I([[1]]), floats(2)], {}, r"updates have shape \(2,\), wanted \(1,\)"),
    ("ScatterND", [floats(3), I([[1]]), np.ones(1)], {}, "float32 and float64, wanted one dtype"),
    ("ScatterND", [floats(3), I([[1]]), floats(1)], {"reduction": "mean"}, "'reduction' is 'mean'"),
    ("ScatterElements", [floats(3), I([3]), floats(1)], {}, "indices reach from 3 to 3, wanted places of 3"),
    ("ScatterElements", [floats(3, 2), I([[0, 0, 0]]), floats(1, 3)], {}, r"wanted no more than \(3, 2\)"),
    ("ScatterElements", [floats(3), I([0]), floats(2)], {}, "of one shape"),
    ("TopK", [floats(3), I([4])], {}, "k is 4, wanted from 0 to 3, axis 0"),
    ("TopK", [floats(3), I([2**62])], {}, "k is 4611686018427387904, wanted from 0 to 3"),
    ("TopK", [floats(3), I([-1])], {}, "k is -1, wanted from 0 to 3"),
    ("TopK", [floats(3), I([1, 2])], {}, r"k has shape \(2,\), wanted one integer"),
    ("TopK", [floats(3), I([1])], {"axis": 1}, "axis is 1, wanted from -1 to 0"),
    ("Unique", [np.ones((0, 2), F)], {"axis": 1}, "has no slices to compare"),
    ("Compress", [floats(3), I([True] * 4)], {}, "has 4 values, wanted at most 3"),
    ("Compress", [floats(3), F([1])], {}, "its condition is float32"),
    ("OneHot", [I([1]), I([-3]), F([0, 1])], {}, r"can't have the shape \(1, -3\)"),
    ("OneHot", [I([1]), I([2**60]), F([0, 1])], {}, TOO_LARGE),
    ("OneHot", [I([1]), I([3, 3]), F([0, 1])], {}, "wanted one number and two values"),
    ("OneHot", [I([1]), I(3), F([0, 1, 2])], {}, "wanted one number and two values"),
    ("Trilu", [floats(3)], {}, "wanted matrices"),
    ("ReverseSequence", [floats(3, 2), I([1, 4])], {}, r"sequence_lens are \[1, 4\], wanted 2 from 0 to 3"),
    ("ReverseSequence", [floats(3, 2), I([1, 1])], {"time_axis": 1}, "wanted axes 0 and 1, one each"),
    ("Einsum", [floats(3, 2)], {"equation": "ij,jk->ik"}, "is of 2 inputs, wanted 1"),
    ("Einsum", [floats(3, 2)], {"equation": "ijk->k"}, "has 'ijk' for an input of 2 axes"),
    ("Einsum", [floats(3, 2)], {"equation": "i1->i"}, "wanted letters"),
    ("Einsum", [floats(3, 2)], {"equation": "ij->ik"}, "has an output with axes twice, or that no input has"),
    ("Einsum", [floats(3, 2)], {"equation": "ii->i"}, "axis 'i' has 3 places and 2, wanted as many"),
    ("Einsum", [floats(3), floats(3)], {}, "the attribute 'equation' is missing"),
    ("Einsum", [floats(2**14), floats(2**14)], {"equation": "i,j->ij"}, TOO_LARGE),
    ("Det", [floats(3, 2)], {}, "wanted square matrices"),
    ("GridSample", [floats(1, 1, 3, 3), floats(1, 2, 2, 3)], {}, r"wanted \(N, C, ...\) and \(N, ..., 2\)"),
    ("GridSample", [floats(2, 1, 3, 3), floats(1, 2, 2, 2)], {}, r"wanted \(N, C, ...\)"),
    ("GridSample", [np.ones((1, 1, 0, 3), F), floats(1, 2, 2, 2)], {}, "have no pixels"),
    ("GridSample", [MAPS, GRID], {"mode": "round"}, "'mode' is 'round', wanted one of"),
    ("AffineGrid", [floats(1, 2, 3), I([1, 1, 2**40, 4])], {}, TOO_LARGE),
    ("AffineGrid", [floats(1, 2, 3), I([1, 1, 4])], {}, "theta has shape"),
    ("AffineGrid", [floats(1, 2, 3), I([1, 1, -4, 4])], {}, "can't have the shape"),
    ("DeformConv", [floats(1, 2, 5, 5), floats(1, 2, 2, 2), floats(1, 8, 4, 3)], {}, "offset has shape"),
    ("DeformConv", [floats(1, 2, 5, 5), floats(1, 3, 2, 2), floats(1, 8, 4, 4)], {}, "don't fit images"),
    ("DeformConv", DEFORMED, {"offset_group": 3}, "wanted a div"),
    ("NonMaxSuppression", [BOXES[0], SCORES], {}, "boxes have shape"),
    ("NonMaxSuppression", [BOXES, SCORES, I([1, 2])], {}, "wanted one integer"),
    ("NonMaxSuppression", [BOXES, SCORES, I([1]), F([1.5])], {}, "iou_threshold is 1.5, wanted from 0 to 1"),
    ("NonMaxSuppression", [BOXES, SCORES, I([1]), F([np.nan])], {}, "iou_threshold is nan"),
    ("NonMaxSuppression", [BOXES, SCORES, I([1]), F([0.5, 0.5])], {}, "wanted one number"),
    ("RoiAlign", [IMAGES, REGION, I([1])], {}, r"batch_indices are \[1\], wanted places of 1"),
    ("RoiAlign", [IMAGES, F([[0, 0, 1, np.inf]]), I([0])], {}, "finite regions"),
    ("RoiAlign", [IMAGES, F([[0, 0, 1e30, 1]]), I([0])], {}, TOO_LARGE),
    ("RoiAlign", [IMAGES, REGION, I([0])], {"output_height": 2**40}, "max_bytes allows"),
    ("RoiAlign", [IMAGES, REGION, I([0])], {"sampling_ratio": 2**40}, "max_bytes allows"),
    ("RoiAlign", [IMAGES, REGION, I([0, 0])], {}, r"wanted \(N, C, H, W\)"),
    ("MaxRoiPool", [IMAGES, F([[1, 0, 0, 1, 1]])], {"pooled_shape": [2, 2]}, "below .* of 1 images"),
    ("MaxRoiPool", [IMAGES, F([[0, 0, 0, 1, 1e30]])], {"pooled_shape": [2, 2]}, "wanted places below"),
    ("MaxRoiPool", [IMAGES, F([[0, 0, np.nan, 1, 1]])], {"pooled_shape": [2, 2]}, "wanted places below"),
    ("MaxRoiPool", [IMAGES, F([[0, 0, 0, 1, 1]])], {"pooled_shape": [2, 0]}, "two sizes of at least 1"),
    ("MaxRoiPool", [IMAGES, F([[0, 0, 0, 1, 1]])], {"pooled_shape": [2**30, 2**20]}, "max_bytes allows"),
    ("MaxUnpool", [UNPOOLED, I([[[[0, 1], [2, 16]]]])], {"kernel_shape": [2, 2], "strides": [2, 2]},
     "indices reach from 0 to 16, wanted places of 16"),
    ("MaxUnpool", [UNPOOLED, I([[[[0, 1], [2, -1]]]])], {"kernel_shape": [2, 2]}, "indices reach from -1"),
    ("MaxUnpool", [UNPOOLED, I([0])], {"kernel_shape": [2, 2]}, "wanted a place for each value"),
    ("MaxUnpool", [floats(1, 1, 1, 1), I([[[[0]]]]), I([1, 1, 9])], {"kernel_shape": [2, 2]},
     "output_shape is"),
    ("Col2Im", [floats(1, 4, 3), I([4, 4]), I([2, 2])], {}, "9 blocks"),
    ("Col2Im", [floats(1, 4, 9), I([4, 4]), I([2])], {}, "as many sizes above 0"),
    ("Col2Im", [floats(1, 4, 9), I([2**40, 4]), I([2, 2])], {}, "blocks"),
    ("Col2Im", [floats(1, 4, 9), I([4, 0]), I([2, 2])], {}, "as many sizes above 0"),
    ("CenterCropPad", [floats(3, 2), I([3])], {}, "wanted a size of at least 0 for each of 2 axes"),
    ("CenterCropPad", [floats(3, 2), I([3, -2])], {}, "wanted a size of at least 0"),
    ("CenterCropPad", [floats(3, 2), I([3, 2**50])], {}, TOO_LARGE),
    ("CumProd", [floats(3), I([0, 1])], {}, "axis has shape .2,., wanted one integer"),
    ("CumSum", [floats(3), I(1)], {}, "axis is 1, wanted from -1 to 0"),
    ("RMSNormalization", [I([1]), I([1])], {}, "wanted floats"),
    ("BitCast", [floats(3)], {"to": 7}, "'to' is int64, wanted as many bits as float32 has"),
]  # fmt: skip


def answer(operator, inputs, attributes, opset=26, **more):
    names = [f"i{place}" if one is not None else "" for place, one in enumerate(inputs)]
    given = {name: np.asarray(one) for name, one in zip(names, inputs, strict=True) if name}
    told = [value(name, one.shape, helper.np_dtype_to_tensor_dtype(one.dtype)) for name, one in given.items()]
    made = graph([node(operator, names, ["y"], **attributes)], inputs=told, opset=opset, **more)
    return made.run(given)["y"]


@pytest.mark.parametrize(("operator", "inputs", "attributes", "words"), REFUSED)
def test_what_an_operator_can_not_take_is_told_in_a_sentence(operator, inputs, attributes, words):
    with pytest.raises((FileFormatError, ShapeError), match=f"node 0, {operator}.*({words})"):
        answer(operator, inputs, attributes)


#: What has no values, and any number of steps, images or regions, to go over one by one.
ENDLESS = 2**40
EMPTY = [
    ("RNN", [np.ones((ENDLESS, 0, 4), F), floats(1, 2, 4), floats(1, 2, 2)], {}),
    ("LSTM", [np.ones((ENDLESS, 1, 0), F), np.ones((1, 8, 0), F), floats(1, 8, 2)], {}),
    ("GRU", [np.ones((0, ENDLESS, 4), F), floats(1, 6, 4), floats(1, 6, 2)], {"layout": 1}),
    ("GridSample", [np.ones((ENDLESS, 0, 3, 3), F), np.ones((ENDLESS, 0, 3, 2), F)], {}),
    ("DeformConv", [np.ones((ENDLESS, 0, 3, 3), F), np.ones((1, 0, 3, 3), F), np.ones((ENDLESS, 18, 0, 1),
     F)], {}),
    ("NonMaxSuppression", [np.ones((ENDLESS, 0, 4), F), np.ones((ENDLESS, 5, 0), F)], {}),
    ("NonMaxSuppression", [np.ones((3, 0, 4), F), np.ones((3, ENDLESS, 0), F)], {}),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "inputs", "attributes"), EMPTY)
def test_what_has_no_values_takes_no_time(operator, inputs, attributes):
    with pytest.raises((FileFormatError, ShapeError), match=f"node 0, {operator}"):
        answer(operator, inputs, attributes)


def test_empty_inputs_give_empty_outputs():
    assert answer("LSTM", [floats(0, 2, 4), floats(1, 8, 4), floats(1, 8, 2)], {}).shape == (0, 1, 2, 2)
    assert answer("GRU", [floats(3, 0, 4), floats(1, 6, 4), floats(1, 6, 2)], {}).shape == (3, 1, 0, 2)
    assert answer("GatherND", [floats(3, 4), np.zeros((0, 1), np.int64)], {}).shape == (0, 4)
    assert answer("ScatterND", [floats(3), np.zeros((0, 1), np.int64), floats(0)], {}).shape == (3,)
    assert answer("TopK", [floats(0, 4), I([3])], {}).shape == (0, 3)
    assert answer("Unique", [floats(0, 2)], {}).shape == (0,)
    assert answer("NonZero", [np.zeros((2, 3))], {}).shape == (2, 0)
    assert answer("OneHot", [I([[1, 2]]), I(0), F([0, 1])], {}).shape == (1, 2, 0)
    assert answer("Einsum", [floats(2, 0), floats(0, 3)], {"equation": "ij,jk->ik"}).tolist() == [[0] * 3] * 2
    assert answer("Det", [floats(2, 0, 0)], {}).tolist() == [1, 1]
    assert answer("GridSample", [floats(2, 0, 3, 3), floats(2, 4, 5, 2)], {}).shape == (2, 0, 4, 5)
    assert answer("NonMaxSuppression", [floats(1, 0, 4), floats(1, 3, 0), I([5])], {}).shape == (0, 3)
    assert answer("NonMaxSuppression", [BOXES, SCORES], {}).shape == (0, 3)
    assert answer("RoiAlign", [floats(1, 2, 5, 5), floats(0, 4), np.zeros(0, np.int64)], {}).shape == (
        0,
        2,
        1,
        1,
    )


def test_places_that_are_no_numbers_are_outside():
    grid = np.full((1, 1, 2, 2), np.nan, F)
    grid[0, 0, 1] = np.inf, -np.inf
    x = floats(1, 2, 3, 3)
    for mode in ("nearest", "linear", "cubic"):
        assert not answer("GridSample", [x, grid], {"mode": mode}).any()
        held = answer("GridSample", [x, grid], {"mode": mode, "padding_mode": "border"})
        np.testing.assert_allclose(held[..., 0, 1], x[..., 0, 2], rtol=1e-6)


def test_boxes_by_the_thousand_end_when_the_run_has_done_its_work():
    boxes = np.arange(40_000, dtype=F).reshape(1, 10_000, 4)  # of which none meets another
    inputs = [boxes, floats(1, 1, 10_000), I([2**40])]
    names = [
        value(name, one.shape, helper.np_dtype_to_tensor_dtype(one.dtype))
        for name, one in zip("abc", inputs, strict=True)
    ]
    (call,) = graph([node("NonMaxSuppression", ["a", "b", "c"], ["y"])], inputs=names).calls
    with pytest.raises(ShapeError, match="NonMaxSuppression: with it, the run goes over"):
        call(inputs, Budget(2**27, 2**28))


# Where no peer says what is right -----------------------------------------------------------------------


def test_an_infinite_sum_up_to_each_is_no_number_less_another():
    x = F([1, np.inf, 2])
    assert answer("CumSum", [x, I(0)], {"exclusive": 1}).tolist() == [0, 1, np.inf]
    assert answer("CumSum", [x, I(0)], {"exclusive": 1, "reverse": 1}).tolist() == [np.inf, 2, 0]


def test_the_places_of_one_as_floats():
    given = [F([1, -1, 9, np.nan, -9, 2]), F(3), I([5, 7])]
    found = answer("OneHot", given, {})
    assert found.argmax(axis=1).tolist() == [1, 2, 0, 0, 0, 2]
    assert found.sum(axis=1).tolist() == [17, 17, 15, 15, 15, 17]
    assert answer("OneHot", [I([-1]), I(3), I([0, 1])], {}, opset=9).tolist() == [
        [0, 0, 0]
    ]  # from the back: none


def test_of_many_values_a_few_pass_a_threshold_however_many_are_equal():
    rows = np.random.default_rng(0).integers(0, 9, (20, 100))
    for k, largest in ((1, True), (3, True), (12, False)):
        passed = above_threshold(rows, k, largest)
        assert passed.tolist() == np.sort(in_order(rows, largest)[:, :k]).tolist()
    assert above_threshold(np.array([[1, np.nan, np.nan, 0]]), 1, True) is None


def test_the_largest_where_one_is_no_number():
    x = np.zeros(100, F)
    x[[3, 50, 60]] = 5, np.nan, 7
    assert answer("TopK", [x, I([3])], {}).tolist()[1:] == [7, 5]


def test_integers_of_other_sizes_are_rounded_towards_zero_and_held():
    x = I([[[[0, 255]]]], np.uint8)
    sizes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    inputs = [x, None, None, I([1, 1, 1, 4])]
    assert answer("Resize", inputs, sizes, 19).tolist() == [[[[0, 85, 170, 255]]]]
    assert answer("Resize", [x, None, None, I([1, 1, 1, 3])], sizes, 19).tolist() == [[[[0, 127, 255]]]]
    smoothed = {**sizes, "antialias": 1}
    assert answer("Resize", [x, None, None, I([1, 1, 1, 3])], smoothed, 19).tolist() == [[[[0, 128, 255]]]]
    over = answer("Resize", inputs, {"mode": "cubic", "coordinate_transformation_mode": "align_corners"}, 19)
    assert over.dtype == np.uint8
    assert over[0, 0, 0, [0, 3]].tolist() == [0, 255]


def test_the_batch_stays_last_in_memory_where_images_are_resized():
    x = floats(7, 3, 4, 5)
    turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    for mode in ("nearest", "linear"):
        scales = {"s": F([1, 1, 2, 1.5])}
        nodes = [node("Identity", ["x"], ["z"]), node("Resize", ["z", "", "s"], ["y"], mode=mode)]
        one = graph(nodes, scales, inputs=[value("x", x.shape)])
        found = one.run({"x": turned})["y"]
        np.testing.assert_array_equal(found, one.run({"x": x})["y"])
        assert found.strides[0] == 4
