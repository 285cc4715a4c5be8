"""Several inputs and outputs by name, batches of them, bounds that are raised by name."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError, load_onnx
from purecnn.onnx import Graph
from purecnn.onnx.reader import as_model

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

#: As detectors have it: images, how large they were, and numbers that are the same for all.
NODES = [
    node("Conv", ["image", "w"], ["c"]),
    node("Relu", ["c"], ["r"]),
    node("ReduceMax", ["r"], ["m"], axes=[2, 3], keepdims=0),
    node("Mul", ["m", "scale"], ["boxes"]),
    node("Add", ["boxes", "anchors"], ["y"]),
]
ARRAYS = {"w": floats(4, 3, 3, 3, seed=1)}
INPUTS = [value("image", ["N", 3, 8, 7]), value("scale", ["N", 1]), value("anchors", [1, 4])]
GIVEN = {"image": floats(5, 3, 8, 7), "scale": floats(5, 1, seed=2), "anchors": floats(1, 4, seed=3)}
OUTPUTS = [value("boxes", None), value("y", None)]


def detector(inputs=INPUTS):
    return graph(NODES, ARRAYS, inputs, OUTPUTS)


@pytest.mark.parametrize("batch_size", [None, 1, 2, 5, 8])
def test_a_dict_goes_in_and_a_dict_comes_out(batch_size):
    data = model(NODES, ARRAYS, INPUTS, OUTPUTS).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    wanted = dict(zip(("boxes", "y"), session.run(["boxes", "y"], GIVEN), strict=True))
    found = Graph(as_model(data)).predict(GIVEN, batch_size=batch_size)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)


def test_an_axis_of_another_name_is_not_cut():
    open_axis = [*INPUTS[:2], value("anchors", ["K", 4])]
    found = detector(open_axis).predict(GIVEN, batch_size=2)
    np.testing.assert_allclose(found["y"], detector().predict(GIVEN)["y"], rtol=1e-5, atol=1e-5)


def test_one_input_may_come_by_its_name_too():
    one = graph([node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])], {"w": floats(4, 2, 3, 3)})
    x = floats(7, 2, 6, 5)
    found = one.predict({"x": x})
    assert found.keys() == {"y"}
    np.testing.assert_array_equal(found["y"], one.predict(x))


def test_an_input_that_the_file_has_an_array_for_may_be_given():
    inputs = [value("x", ["N", 2]), value("b", [2])]
    one = graph([node("Add", ["x", "b"], ["y"])], {"b": floats(2)}, inputs)
    x, b = floats(7, 2), floats(2, seed=4)
    np.testing.assert_array_equal(one.predict({"x": x, "b": b}, batch_size=3)["y"], x + b)
    np.testing.assert_array_equal(one.predict(x), x + floats(2))


def test_where_the_file_fixes_batches_several_inputs_are_cut_alike():
    fixed = [value("image", [2, 3, 8, 7]), value("scale", [2, 1]), value("anchors", [1, 4])]
    given = {**GIVEN, "image": floats(6, 3, 8, 7), "scale": floats(6, 1)}
    found, wanted = detector(fixed).predict(given), detector().predict(given)
    np.testing.assert_allclose(found["y"], wanted["y"], rtol=1e-5, atol=1e-5)
    with pytest.raises(ShapeError, match="different numbers of batches: 'image' of 6 samples, 'scale' of 4"):
        detector(fixed).predict({**given, "scale": floats(4, 1)})
    with pytest.raises(ShapeError, match="batches have 2 samples; got 5, no multiple"):
        detector(fixed).predict(GIVEN)
    with pytest.raises(ShapeError, match="batch_size must be 2, which the graph fixes; got 3"):
        detector(fixed).predict(given, batch_size=3)


def test_what_is_wrong_with_several_inputs_is_said_by_name():
    two = detector()
    with pytest.raises(ShapeError, match="wants a dict with an array for each of the graph's inputs, image, "
                                         "scale, anchors; got ndarray"):  # fmt: skip
        two.predict(GIVEN["image"])
    with pytest.raises(ShapeError, match="the graph wants an input 'scale'; got image"):
        two.predict({"image": GIVEN["image"]})
    with pytest.raises(ShapeError, match="the graph has no input 'more'"):
        two.predict({**GIVEN, "more": GIVEN["scale"]})
    with pytest.raises(ShapeError, match=r"the input 'anchors' has shape \(1, 4\); got \(1, 5\)"):
        two.predict({**GIVEN, "anchors": floats(1, 5)})
    with pytest.raises(TypeError, match="the input 'scale' is float32; got int64"):
        two.predict({**GIVEN, "scale": np.ones((5, 1), np.int64)})
    with pytest.raises(ShapeError, match="different numbers of batches"):
        two.predict({**GIVEN, "scale": floats(1, 1)}, batch_size=2)


def test_bounds_are_raised_by_the_name_that_the_sentence_says(tmp_path):
    weights = {"w": floats(64, 64)}
    made = model([node("MatMul", ["x", "w"], ["y"])], weights, [value("x", ["N", 64])])
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    x = floats(2000, 64)
    wanted = x @ weights["w"]
    with pytest.raises(ShapeError, match="max_bytes allows 100000"):
        load_onnx(path, max_bytes=100_000).run({"x": x})
    with pytest.raises(ShapeError, match="max_work allows 100000, if not given 1024 times max_bytes"):
        load_onnx(path, max_work=100_000).run({"x": x})
    for bounds in ({"max_bytes": 10_000_000}, {"max_work": 2**40, "max_bytes": 10_000_000}):
        np.testing.assert_allclose(load_onnx(path, **bounds).predict(x), wanted, rtol=1e-4, atol=1e-4)
