"""What scikit-learn's exporters write around a network: text, names of classes, encoders, linear models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.onnx_claims import hold_to_claims
from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError, load_onnx
from purecnn.errors import FileFormatError
from purecnn.onnx.reader import as_model

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

ML = "ai.onnx.ml"
NAN, INF = float("nan"), float("inf")
WORDS = np.array(["b", "", "naïve", "b"], object)


def both(nodes, inputs, outputs=(TensorProto.FLOAT,), arrays=None, version=2, opset=17):
    """What purecnn and onnxruntime make of it; outputs are "y0", "y1" and so on."""
    kinds = {
        name: TensorProto.STRING if x.dtype == object else helper.np_dtype_to_tensor_dtype(x.dtype)
        for name, x in inputs.items()
    }
    parts = (
        nodes,
        arrays,
        [value(name, x.shape, kinds[name]) for name, x in inputs.items()],
        [value(f"y{place}", None, kind) for place, kind in enumerate(outputs)],
    )
    proto = model(*parts, opset=opset, domains={ML: version})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    ours = graph(*parts, opset=opset, domains={ML: version}).run(inputs)
    return [ours[f"y{place}"] for place in range(len(outputs))], session.run(None, inputs)


def held(nodes, inputs, *arguments, **more):
    """Hold purecnn to onnxruntime, dtypes and shapes too."""
    for mine, wanted in zip(*both(nodes, inputs, *arguments, **more), strict=True):
        assert (mine.dtype, mine.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(mine, wanted, rtol=2e-6, atol=2e-7)
        else:
            assert mine.tolist() == wanted.tolist()


def ml(operator, inputs=("x",), outputs=1, **attributes):
    return [node(operator, list(inputs), [f"y{n}" for n in range(outputs)], domain=ML, **attributes)]


X = np.array([[0, -2.5, 3], [0, 0, 0], [-1, -4, -0.5], [NAN, 1, INF]], np.float32)
WHOLE = np.array([[3, 0, 7], [7, 7, -1]])
FEATURES = [
    ("Scaler", {"offset": [1.0, 2.0, 3.0], "scale": [0.5, 2.0, -1.0]}, X),
    ("Scaler", {"offset": [1.5], "scale": [2.0]}, X.astype(np.float64)),
    ("Scaler", {"offset": [0.5, 0, 0], "scale": [2.0, 1, 1]}, WHOLE),
    ("Normalizer", {"norm": "L1"}, X[:3]),
    ("Normalizer", {"norm": "L2"}, X[:3]),
    ("Normalizer", {"norm": "MAX"}, X[:3]),
    ("Normalizer", {"norm": "L2"}, WHOLE),
    ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": NAN}, X),
    ("Imputer", {"imputed_value_floats": [9.0], "replaced_value_float": -4.0}, X),
    ("OneHotEncoder", {"cats_int64s": [7, 3, 5]}, WHOLE),
    ("OneHotEncoder", {"cats_int64s": [7, 3, 5]}, WHOLE.astype(np.float32)),
    ("OneHotEncoder", {"cats_strings": ["naïve", "b"]}, WORDS),
]


@pytest.mark.parametrize(("operator", "attributes", "x"), FEATURES)
def test_features_are_those_of_onnxruntime(operator, attributes, x):
    held(ml(operator, **attributes), {"x": x})


def test_a_missing_integer_is_replaced():
    nodes = ml("Imputer", imputed_value_int64s=[4, 5, 6], replaced_value_int64=7)
    held(nodes, {"x": WHOLE}, (TensorProto.INT64,))


@pytest.mark.parametrize("threshold", [0.0, -2.5])
def test_a_threshold(threshold):
    held(ml("Binarizer", threshold=threshold), {"x": X[:3]})


def test_features_of_several_inputs_stand_side_by_side():
    nodes = ml("FeatureVectorizer", ["x", "z"], inputdimensions=[3, 2])
    held(nodes, {"x": X, "z": floats(4, 2)})


@pytest.mark.parametrize("places", [[2, 0, 2], [1]])
@pytest.mark.parametrize("x", [X, WORDS, X[0], floats(2, 3, 4)], ids=["rows", "text", "vector", "cube"])
def test_values_by_their_places(x, places):
    kind = TensorProto.STRING if x.dtype == object else TensorProto.FLOAT
    arrays = {"places": np.array(places)}
    held(ml("ArrayFeatureExtractor", ["x", "places"]), {"x": x}, (kind,), arrays)


I64, STRING, FLOAT = TensorProto.INT64, TensorProto.STRING, TensorProto.FLOAT
ENCODERS = [
    (1, {"classes_strings": ["naïve", "b"], "default_int64": -7}, WORDS, I64),
    (1, {"classes_strings": ["zero", "one", "", "three"]}, WHOLE, STRING),
    (2, {"keys_strings": ["b", "naïve", "b"], "values_int64s": [1, 2, 3]}, WORDS, I64),
    (2, {"keys_strings": ["b"], "values_floats": [0.1], "default_float": NAN}, WORDS, FLOAT),
    (2, {"keys_strings": ["b"], "values_strings": ["c"]}, WORDS, STRING),
    (2, {"keys_int64s": [7, 0], "values_strings": ["seven", "null"], "default_string": "?"}, WHOLE, STRING),
    (2, {"keys_int64s": [7, 0], "values_int64s": [70, 1], "default_int64": 5}, WHOLE, I64),
    (2, {"keys_floats": [-2.5, 0.0], "values_int64s": [70, 1]}, X, I64),
    (4, {"keys_floats": [NAN, 0.0], "values_floats": [70.0, 0.1]}, X, FLOAT),
]


@pytest.mark.parametrize(("version", "attributes", "x", "kind"), ENCODERS)
def test_tables_are_those_of_onnxruntime(version, attributes, x, kind):
    held(ml("LabelEncoder", **attributes), {"x": x}, (kind,), version=version)


def test_a_table_of_tensors():
    attributes = {
        "keys_tensor": numpy_helper.from_array(np.array([1.5, 0.1])),
        "values_tensor": numpy_helper.from_array(np.array([3, 4], np.int16)),
        "default_tensor": numpy_helper.from_array(np.array([-1], np.int16)),
    }
    x = np.array([[0.1, 2.0], [1.5, 0.0]])
    found = graph(
        ml("LabelEncoder", **attributes), None, [value("x", None, TensorProto.DOUBLE)], [value("y0", None)],
        domains={ML: 4},
    ).run({"x": x})["y0"]  # fmt: skip
    assert (found.dtype, found.tolist()) == (np.int16, [[4, -1], [3, -1]])


@pytest.mark.parametrize(("x", "kind"), [(WORDS, I64), (WHOLE, STRING)])
def test_categories(x, kind):
    held(ml("CategoryMapper", cats_int64s=[7, 3], cats_strings=["b", "naïve"]), {"x": x}, (kind,))


@pytest.mark.parametrize("form", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("labels", [["a", "é", "c"], [5, 3, 9], ["n", "y"]])
@pytest.mark.parametrize("lone", [False, True])
def test_linear_classifiers_are_those_of_onnxruntime(form, labels, lone):
    count = 1 if lone else len(labels)
    if lone and len(labels) != 2:
        labels = [4, 2]
    named = {"classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints": labels}
    nodes = ml(
        "LinearClassifier",
        outputs=2,
        coefficients=floats(count * 4, seed=1).tolist(),
        intercepts=floats(count, seed=2).tolist(),
        post_transform=form,
        **named,
    )
    held(nodes, {"x": floats(6, 4)}, (STRING if isinstance(labels[0], str) else I64, FLOAT))


@pytest.mark.parametrize("targets", [1, 3])
def test_linear_regressors_are_those_of_onnxruntime(targets):
    nodes = ml(
        "LinearRegressor",
        coefficients=floats(targets * 4, seed=1).tolist(),
        intercepts=floats(targets, seed=2).tolist(),
        targets=targets,
    )
    held(nodes, {"x": floats(6, 4)})


# Text and maps ------------------------------------------------------------------------------------------


NUMBERS = np.array([0, -0.0, 1.5, 314.15926, 1e10, 1e-5, 1 / 3, NAN, -INF, 123456789], np.float32)


@pytest.mark.parametrize("x", [NUMBERS, NUMBERS.astype(np.float64), WHOLE, WHOLE == 7, WORDS])
def test_numbers_are_written_as_onnxruntime_writes_them(x):
    held([node("Cast", ["x"], ["y0"], to=STRING)], {"x": x}, (STRING,))


@pytest.mark.parametrize(("texts", "kind"), [(["1", "-7"], I64), (["1.5", "-2e3", "NaN", "-INF"], FLOAT)])
def test_text_is_read_as_onnxruntime_reads_it(texts, kind):
    held([node("Cast", ["x"], ["y0"], to=kind)], {"x": np.array(texts, object)}, (kind,))


def test_text_passes_through_what_moves_values():
    nodes = [
        node("Constant", [], ["more"], value_strings=["x", "y"]),
        node("Concat", ["x", "more"], ["a"], axis=0),
        node("Gather", ["a", "places"], ["b"]),
        node("Reshape", ["b", "shape"], ["c"]),
        node("Transpose", ["c"], ["y0"]),
        node("Shape", ["c"], ["y1"]),
        node("Equal", ["c", "word"], ["y2"]),
        node("Where", ["y2", "c", "word"], ["y3"]),
    ]
    arrays = {
        "places": np.array([5, 4, 2, 0, 0, 3]),
        "shape": np.array([2, 3]),
        "word": np.array(["b"], object),
    }
    held(nodes, {"x": WORDS}, (STRING, I64, TensorProto.BOOL, STRING), arrays, opset=19)


@pytest.mark.parametrize("given", [["b", "é"], np.array(["b", "é"]), np.array(["b", "é"], object)])
def test_text_may_be_given_in_any_form(given):
    found = graph([node("Identity", ["x"], ["y"])], None, [value("x", [2], STRING)]).run({"x": given})["y"]
    assert (found.dtype, found.tolist()) == (object, ["b", "é"])


def named(labels, shape=("N", 3)):
    """A graph that gives numbers by the names of classes, and their sum."""
    maps = helper.make_value_info(
        "y",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(I64, helper.make_tensor_type_proto(1, []))
        ),
    )
    nodes = [
        node("ZipMap", ["x"], ["y"], domain=ML, **labels),
        node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
    ]
    outputs = [maps, value("sum", None)]
    return graph(nodes, {"axes": np.array([1])}, [value("x", shape)], outputs, domains={ML: 1})


def test_probabilities_by_the_names_of_classes():
    x = np.array([[0.25, 0.5, 0.25], [1, 0, 0]], np.float32)
    wanted = [{4: 0.25, 2: 0.5, 0: 0.25}, {4: 1.0, 2: 0.0, 0: 0.0}]
    whole = named({"classlabels_int64s": [4, 2, 0]})
    assert [output.maps for output in whole.outputs] == [True, False]
    assert whole.run({"x": x})["y"] == wanted
    for size in (None, 1):
        found = whole.predict(x, batch_size=size)
        assert found["y"] == wanted
        assert found["sum"].tolist() == [1, 1]
    assert named({"classlabels_strings": ["a", "b", "é"]}).run({"x": x[1:]})["y"] == [
        {"a": 1, "b": 0, "é": 0}
    ]


def test_maps_of_constants_are_the_callers_own():
    nodes = [node("Constant", [], ["x"], value_floats=[0.5]), *ml("ZipMap", classlabels_int64s=[1])]
    whole = graph(nodes, None, [], [value("y0", None)], domains={ML: 1})
    whole.run({})["y0"][0][1] = 7
    assert whole.run({})["y0"] == [{1: 0.5}]


REFUSED = [
    ([node("Relu", ["x"], ["y0"])], WORDS, "node 0, Relu: an input is text, wanted numbers"),
    ([node("Cast", ["x"], ["y0"], to=FLOAT)], WORDS, "the text 'b' is no number, wanted a float"),
    ([node("Cast", ["x"], ["y0"], to=I64)], np.array(["1.5"], object),
     "'1.5' is no number, wanted an integer"),
    ([node("Cast", ["x"], ["y0"], to=9)], WORDS, "text can't be bool, wanted a number"),
    ([node("Constant", [], ["y0"], value_strings=[1.0])], WORDS, r"'value_strings' is \[1.0\], wanted texts"),
    ([*ml("ZipMap", outputs=1)], X, "has none of 'classlabels_strings' and 'classlabels_int64s', wanted one"),
    (ml("ZipMap", classlabels_int64s=[1]), X, r"float32 \(4, 3\), wanted a float for each of 1 classes"),
    ([*ml("ZipMap", classlabels_int64s=[1, 2, 3]), node("Identity", ["y0"], ["y1"])], X,
     "node 1, Identity: an input is a sequence of maps, wanted an array of numbers"),
    (ml("Scaler", offset=[1.0, 2.0], scale=[1.0]), X,
     "'offset' has 2 numbers, wanted 1 or one for each feature"),
    (ml("Scaler", offset=[1], scale=[1.0]), X, r"'offset' is \[1\], wanted floats"),
    (ml("Normalizer", norm="L3"), X, "'norm' is 'L3', wanted one of MAX, L1, L2"),
    (ml("Imputer", imputed_value_floats=[1.0, 2.0]), X, "has 2 imputed values, wanted 1 or one for each"),
    (ml("FeatureVectorizer", inputdimensions=[1, 2]), X, r"are \[1, 2\], wanted a size for each of 1 inputs"),
    (ml("FeatureVectorizer", inputdimensions=[2**40]), X, "max_bytes allows"),
    (ml("ArrayFeatureExtractor", ["x", "x"]), X, "wanted integers and an axis"),
    (ml("LabelEncoder", keys_int64s=[1], values_int64s=[1, 2]), WHOLE,
     "has 1 keys and 2 values, wanted as many"),
    (ml("LabelEncoder", keys_int64s=[1], values_int64s=[1]), WORDS, "keys like 1 can't be found in text"),
    (ml("LabelEncoder", values_int64s=[1]), WHOLE, "has no keys, wanted keys of one kind"),
    (ml("OneHotEncoder", cats_int64s=[3], zeros=0), WHOLE,
     "a category is not known, and the attribute 'zeros'"),
    (ml("LinearRegressor", coefficients=[1.0], targets=-1), X,
     "has 1 coefficients and 0 intercepts, wanted those"),
    (ml("LinearClassifier", outputs=2, coefficients=[1.0] * 6, intercepts=[0.0] * 2,
        classlabels_ints=[1, 2, 3]),
     X,
     "has 2 scores for 3 classes, wanted one for each"),
    (ml("TreeEnsembleClassifier"), X,
     "ai.onnx.ml.TreeEnsembleClassifier is an operator that is not known here"),
]  # fmt: skip


def computed(nodes, x):
    """What the last of the nodes makes."""
    kind = STRING if x.dtype == object else helper.np_dtype_to_tensor_dtype(x.dtype)
    outputs = [value(nodes[-1].output[0], None)]
    return graph(nodes, None, [value("x", None, kind)], outputs, domains={ML: 2}).run({"x": x})


@pytest.mark.parametrize(("nodes", "x", "words"), REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(nodes, x, words):
    with pytest.raises((FileFormatError, ShapeError), match=words):
        computed(nodes, x)


def test_other_values_than_text_are_no_text():
    whole = graph([node("Identity", ["x"], ["y"])], None, [value("x", [1], STRING)])
    with pytest.raises(TypeError, match="the input 'x' is text; got int in it"):
        whole.run({"x": np.array([3], object)})
    with pytest.raises(TypeError, match="the input 'x' is text; got float64"):
        whole.run({"x": [3.0]})


def test_text_in_a_file_must_be_as_much_as_its_shape_and_utf8():
    stored = TensorProto(data_type=STRING, dims=[2], string_data=[b"a"], name="w")
    proto = model([node("Identity", ["w"], ["y"])])
    proto.graph.initializer.append(stored)
    with pytest.raises(FileFormatError, match=r"'w' has 1 values in string_data, its shape \(2,\) takes 2"):
        as_model(proto.SerializeToString())
    proto.graph.initializer[0].string_data.append(b"\xff")
    with pytest.raises(FileFormatError, match=r"initializer 'w' holds .* wanted UTF-8"):
        as_model(proto.SerializeToString())


def test_comparing_long_texts_is_work():
    texts = np.array(["a" * 2**20 + "b", "a" * 2**20 + "c"], object)
    nodes = [
        node("Expand", ["a", "shape"], ["many"]),
        node("Expand", ["b", "shape"], ["others"]),
        node("Equal", ["many", "others"], ["y"]),
    ]
    arrays = {"a": texts[:1], "b": texts[1:], "shape": np.array([2**20])}
    with pytest.raises(ShapeError, match="with it, the run goes over"):
        graph(nodes, arrays, [], opset=19).run({})


def test_versions_are_those_of_the_operators_domain():
    nodes = ml("LabelEncoder", keys_int64s=[1], values_int64s=[2])
    found = graph(nodes, None, [value("x", None, I64)], [value("y0", None)], opset=1, domains={ML: 2})
    assert found.run({"x": np.array([1])})["y0"].tolist() == [2]
    with pytest.raises(FileFormatError, match=r"wants operator set 6 of ai\.onnx\.ml, known are 1 to 5"):
        graph(nodes, None, [value("x", None, I64)], [value("y0", None)], domains={ML: 6})
    graph([node("Neg", ["x"], ["y"])], domains={ML: 6, "some.other": 3})  # which no node uses


MANY = floats(6_000, 3)
NAMED = np.array(["b", "naïve", "c"] * 3_000, object)
TAKES = [
    ("Scaler", [MANY], {"offset": [1.0], "scale": [2.0]}, 1),
    ("Normalizer", [MANY], {"norm": "L2"}, 1),
    ("Binarizer", [MANY], {}, 1),
    ("Imputer", [MANY], {"imputed_value_floats": [1.0]}, 1),
    ("FeatureVectorizer", [MANY, MANY], {"inputdimensions": [3, 4]}, 1),
    ("ArrayFeatureExtractor", [MANY, np.array([2, 0])], {}, 1),
    ("LabelEncoder", [NAMED], {"keys_strings": ["b"], "values_int64s": [1]}, 1),
    ("LabelEncoder", [NAMED], {"keys_strings": ["b"], "values_strings": ["a"]}, 1),
    ("CategoryMapper", [NAMED], {"cats_strings": ["b"], "cats_int64s": [1]}, 1),
    ("OneHotEncoder", [NAMED], {"cats_strings": ["b", "c"]}, 1),
    ("ZipMap", [MANY], {"classlabels_strings": ["a", "b", "c"]}, 1),
    ("LinearRegressor", [MANY], {"coefficients": [1.0] * 6, "targets": 2, "post_transform": "SOFTMAX"}, 1),
    ("LinearClassifier", [MANY], {"coefficients": [1.0] * 9, "classlabels_ints": [1, 2, 3],
                                  "post_transform": "LOGISTIC"}, 2),
]  # fmt: skip


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "arrays", "attributes", "outputs"), TAKES)
def test_no_operator_takes_more_than_it_claims(name, arrays, attributes, outputs):
    hold_to_claims(f"{ML}.{name}", arrays, [f"y{n}" for n in range(outputs)], attributes, 2)


@pytest.mark.no_cover
@pytest.mark.parametrize(("x", "to"), [(MANY, STRING), (np.array(["1.5", "-2"] * 3_000, object), FLOAT)])
def test_a_cast_from_or_to_text_claims_its_objects(x, to):
    hold_to_claims("Cast", [x], ["y"], {"to": to})


# What scikit-learn's exporter wrote ---------------------------------------------------------------------

HERE = Path(__file__).parents[1] / "fixtures" / "sklearn"
FILES = sorted(path.stem for path in HERE.glob("*.onnx"))


@pytest.mark.parametrize("name", FILES)
def test_a_model_of_scikit_learn_answers_as_it_does_there(name):
    wanted = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    whole = load_onnx(HERE / f"{name}.onnx")
    x = np.array(wanted["x"], whole.inputs[0].dtype)
    session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", providers=["CPUExecutionProvider"])
    peer = session.run(None, {whole.inputs[0].name: x})
    for found in (whole.predict(x), whole.predict(x, batch_size=3)):
        if len(whole.outputs) == 1:
            np.testing.assert_allclose(found.reshape(-1), wanted["predict"], rtol=1e-5)
            continue
        labels, probabilities = (found[value.name] for value in whole.outputs)
        assert labels.tolist() == wanted["predict"] == peer[0].tolist()
        if whole.outputs[1].maps:
            assert [list(row) for row in probabilities] == [wanted["classes"]] * len(x)
            np.testing.assert_allclose(
                [list(row.values()) for row in probabilities],
                [list(row.values()) for row in peer[1]],
                rtol=1e-5,
            )
            probabilities = [list(row.values()) for row in probabilities]
        np.testing.assert_allclose(probabilities, wanted["predict_proba"], rtol=1e-4, atol=1e-6)


def test_every_file_of_scikit_learn_is_there():
    assert FILES == ["encoded", "imputed", "network", "ordinal", "two-classes", "values", "words"]
