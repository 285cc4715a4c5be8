"""Operators of onnxruntime's own, as its quantizer and optimizer write them, held to onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from helpers.onnx_claims import hold_to_claims
from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError, load_onnx
from purecnn.errors import FileFormatError

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

DOMAIN = "com.microsoft"
U8, I8, I32, F = np.uint8, np.int8, np.int32, np.float32


def whole(low, high, *shape, dtype=U8, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int64).astype(dtype)


def parts(operator, inputs, attributes, steps=()):
    """A model of one operator, those inputs that are None left out."""
    names = [f"i{place}" * (x is not None) for place, x in enumerate(inputs)]
    nodes = [node(operator, names, ["y"], domain=DOMAIN, **attributes)]
    given = {name: np.asarray(x) for name, x in zip(names, inputs, strict=True) if name}
    kinds = {name: helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in given.items()}
    return given, (nodes, None, [value(name, x.shape, kinds[name]) for name, x in given.items()])


def ours(operator, inputs, attributes):
    given, (nodes, arrays, described) = parts(operator, inputs, attributes)
    return graph(nodes, arrays, described, [value("y", None, 0)], domains={DOMAIN: 1}).run(given)["y"]


def theirs(operator, inputs, attributes):
    given, (nodes, arrays, described) = parts(operator, inputs, attributes)
    wanted = model(nodes, arrays, described, [value("y", None, 0)], domains={DOMAIN: 1})
    wanted.graph.output[0].ClearField("type")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more of them round a part of an LSTM's states each
    session = onnxruntime.InferenceSession(
        wanted.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, given)[0]


A, B = whole(0, 256, 2, 3, 4, 5), whole(0, 256, 3, 1, 5, seed=1)
C, D = whole(-128, 128, 2, 3, 4, 5, dtype=I8), whole(-128, 128, 4, 5, dtype=I8, seed=1)
WEIGHTS = whole(-63, 64, 6, 5, dtype=I8, seed=2)  # seven bits: see test_quantization
MATRIX = whole(0, 256, 4, 6)
POOL = {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 1, 0, 1]}
SEQUENCE, STATES = floats(6, 2, 7), floats(2, 2, 2, 5, seed=1)


def lstm(columns, **attributes):
    """Weights of two directions of 5 cells, scales for each direction or each column."""
    shape = (2, 20) if columns else (2,)
    kind, zero = (I8, 0) if columns else (U8, 120)
    w, r = (whole(zero - 63, zero + 64, 2, size, 20, dtype=kind, seed=size) for size in (7, 5))
    of_w = [
        np.full(shape, 0.01, F) * (1 + np.arange(2).reshape(2, *[1] * columns)),
        np.full(shape, zero, kind),
    ]
    inputs = [SEQUENCE, w, r, floats(2, 40, seed=3), None, *STATES, None, of_w[0].astype(F), *of_w[1:]]
    inputs += [np.full(shape, 0.02, F), np.full(shape, zero, kind)]
    return ("DynamicQuantizeLSTM", inputs, {"hidden_size": 5, "direction": "bidirectional", **attributes})


def tiny(name, inputs, attributes):
    """A case whose input's scale is too small for a float32."""
    return name, [inputs[0] * F(1e-44), *inputs[1:]], attributes


CASES = [
    lstm(columns=False),
    tiny(*lstm(columns=False)),
    lstm(columns=True, clip=2.0),
    ("QLinearAdd", [A, F(0.1), U8(100), B, F(0.2), U8(90), F(0.27), U8(120)], {}),
    ("QLinearAdd", [C, F(0.1), I8(1), D, F(0.2), I8(-9), F(0.23), I8(-20)], {}),
    ("QLinearMul", [A, F(0.1), U8(100), B, F(0.2), U8(90), F(2), U8(120)], {}),
    ("QLinearMul", [C, F(0.1), I8(1), D, F(0.2), I8(-9), F(2), I8(-20)], {}),
    ("QLinearSigmoid", [A, F(0.05), U8(100), F(1 / 256), U8(0)], {}),
    ("QLinearSigmoid", [C, F(0.05), I8(3), F(1 / 256), I8(-128)], {}),
    ("QLinearLeakyRelu", [A, F(0.05), U8(100), F(0.04), U8(30)], {"alpha": 0.2}),
    ("QLinearSoftmax", [MATRIX, F(0.05), U8(100), F(1 / 256), U8(0)], {"axis": -1, "opset": 13}),
    ("QLinearSoftmax", [A, F(0.05), U8(100), F(1 / 256), U8(0)], {"axis": 1, "opset": 11}),
    ("QLinearGlobalAveragePool", [A, F(0.05), U8(100), F(0.02), U8(120)], {}),
    ("QLinearGlobalAveragePool", [C, F(0.05), I8(3), F(0.02), I8(0)], {"channels_last": 1}),
    ("QLinearAveragePool", [A, F(0.05), U8(100), F(0.043), U8(110)], POOL),
    ("QLinearAveragePool", [C, F(0.05), I8(0), F(0.043), I8(9)], {**POOL, "count_include_pad": 1}),
    ("QLinearAveragePool", [C, F(0.05), I8(0), F(0.043), I8(9)], {**POOL, "ceil_mode": 1}),
    ("QLinearConcat", [F(0.1), U8(100), A, F(0.1), U8(100), A, F(0.2), U8(90)], {"axis": 1}),
    ("QLinearConcat", [F(0.1), U8(100), A, F(0.1), U8(3)], {"axis": -1}),
    ("QLinearWhere", [A > 99, A, F(0.1), U8(1), A[:1], F(0.2), U8(2), F(0.15), U8(3)], {}),
    ("QGemm", [MATRIX, F(0.02), U8(100), WEIGHTS, F(0.03), I8(0),
     whole(-99, 99, 5, dtype=I32), F(0.1), U8(9)], {}),
    ("QGemm", [MATRIX, F(0.02), U8(100), WEIGHTS.T.copy(), np.linspace(0.01, 0.03, 5).astype(F),
     np.zeros(5, I8),
               None, F(0.1), U8(9)], {"transB": 1, "alpha": 0.5}),
    ("QGemm", [MATRIX.T.copy(), F(0.02), U8(100), WEIGHTS, F(0.03), I8(0)], {"transA": 1}),
    ("MatMulIntegerToFloat", [MATRIX, WEIGHTS, F(0.1), F(0.2), U8(9), I8(2), floats(5)], {}),
    ("MatMulIntegerToFloat", [MATRIX, WEIGHTS, F(0.1), np.linspace(0.01, 0.03, 5).astype(F)], {}),
    ("DynamicQuantizeMatMul", [floats(4, 6), WEIGHTS, F(0.2), I8(2), floats(5)], {}),
    ("QuantizeLinear", [floats(2, 3) * 99, F(0.01), np.uint16(999)], {}),
    ("DequantizeLinear", [whole(-999, 999, 2, 3, dtype=np.int16), F(0.01), np.int16(7)], {}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1), floats(4, seed=2)],
     {"activation": "Relu"}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1), None, floats(2, 4, 4, 4, seed=3)],
     {"activation": "Relu"}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1)],
     {"activation": "LeakyRelu", "activation_params": [0.2], "pads": [1, 1, 1, 1]}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1)],
     {"activation": "Clip", "activation_params": [-0.5, 1.5]}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1)],
     {"activation": "HardSigmoid", "activation_params": [0.25, 0.4]}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1)], {"activation": "Tanh"}),
    ("FusedConv", [floats(2, 3, 6, 5), floats(4, 3, 3, 2, seed=1)], {"activation": "Sigmoid"}),
    ("FusedGemm", [floats(4, 6), floats(5, 6, seed=1), floats(5, seed=2)],
     {"transB": 1, "activation": "Relu"}),
    ("FusedGemm", [floats(4, 6), floats(6, 5, seed=1)],
     {"activation": "LeakyRelu", "activation_alpha": 0.3, "alpha": 0.5}),
    ("FusedMatMul", [floats(2, 4, 6), floats(2, 5, 6, seed=1)], {"transB": 1, "alpha": 0.5}),
    ("FusedMatMul", [floats(6, 4), floats(6, 5, seed=1)], {"transA": 1}),
    ("Gelu", [floats(3, 4)], {}),
    ("BiasGelu", [floats(3, 4), floats(4, seed=1)], {}),
    ("FastGelu", [floats(3, 4), floats(4, seed=1)], {}),
    ("FastGelu", [floats(3, 4)], {}),
    ("QuickGelu", [floats(3, 4)], {"alpha": 1.5}),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "inputs", "attributes"), CASES)
def test_answers_are_those_of_onnxruntime(operator, inputs, attributes):
    found, wanted = ours(operator, inputs, attributes), theirs(operator, inputs, attributes)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)
    else:  # a rounding step, where another order of the same arithmetic comes to the other side of a half
        away = np.abs(found.astype(np.int64) - wanted.astype(np.int64))
        assert away.max() <= 1
        assert (away > 0).sum() <= max(1, away.size // 50)


def test_without_zero_points_they_are_0():
    scales = [A, F(0.1), None, B, F(0.2), None, F(2)]
    zeros = [U8(0) if x is None else x for x in [*scales, None]]
    np.testing.assert_array_equal(ours("QLinearMul", scales, {}), ours("QLinearMul", zeros, {}))


def changed(place, array):
    """The inputs of an LSTM, one of them another."""
    _, inputs, _ = lstm(columns=False)
    return [array if n == place else x for n, x in enumerate(inputs)]


REFUSED = [
    ("QLinearAdd", [A, F(1), U8(0), None, F(1), U8(0), F(1)], "has 7 inputs, wanted up to 8"),
    ("QLinearAdd", [A, F(1), I8(0), A, F(1), U8(0), F(1)], r"a zero point is int8 \(\), wanted one uint8"),
    (
        "QLinearAdd",
        [A, F([1, 2]), U8(0), A, F(1), U8(0), F(1)],
        r"a scale has shape \(2,\), wanted one number",
    ),
    ("QLinearAdd", [A, F(1), U8(0), A[:, :2], F(1), U8(0), F(1)], "can't be broadcast"),
    ("QLinearSigmoid", [floats(3), F(1), None, F(1)], "an input is float32, wanted int8 or uint8"),
    (
        "QLinearConcat",
        [F(1), U8(0), A, F(1)],
        "has 2 inputs of arrays, wanted a scale and a zero point for each",
    ),
    ("QLinearConcat", [F(1), F(0), A, F(1), U8(0)], "an input is float32, wanted int8 or uint8"),
    ("QLinearWhere", [A, A, F(1), U8(0), A, F(1), U8(0), F(1), U8(0)], "its condition is uint8, wanted bool"),
    ("QGemm", [A, F(1), U8(0), A, F(1), U8(0)], "wanted two matrices"),
    ("QGemm", [MATRIX, F(1), U8(0), WEIGHTS, F(1), I8(0), floats(5)], r"c is float32 \(5,\), wanted int32"),
    (
        "DynamicQuantizeMatMul",
        [floats(4, 6), WEIGHTS, F(1), None, floats(6)],
        r"the bias is float32 \(6,\), wanted float32 \(5,\)",
    ),
    ("DynamicQuantizeLSTM", changed(8, np.ones((1,), F)), r"the scale of W has shape \(1,\), wanted one for"),
    (
        "DynamicQuantizeLSTM",
        changed(11, np.zeros((2,), I8)),
        r"R is uint8 \(2, 5, 20\) and its zero point int8",
    ),
    ("DynamicQuantizeLSTM", changed(1, floats(2, 7, 20)), "an input is float32, wanted int8 or uint8"),
    ("FusedConv", [floats(1, 1, 3, 3), floats(1, 1, 3, 3)], "the activation is 'Sin' of"),
    ("FusedMatMul", [floats(4, 6), floats(6, 4)], "turns the axes of batches"),
]
NEED = {"QLinearConcat": {"axis": 1}, "FusedConv": {"activation": "Sin"}, "FusedMatMul": {"transBatchA": 1}}


@pytest.mark.parametrize(("operator", "inputs", "words"), REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(operator, inputs, words):
    with pytest.raises((FileFormatError, ShapeError), match=rf"node 0, com\.microsoft\.{operator}.*{words}"):
        ours(operator, inputs, NEED.get(operator, {}))


def larger(x):
    """An input repeated, so that what it takes can be seen."""
    if x is None or np.ndim(x) == 0 or x.ndim == 1:
        return x
    return np.tile(x, (300, 1) if x.ndim == 2 else (20, 1, 10, 10))


TAKEN = [
    (operator, inputs, attributes)
    for operator, inputs, attributes in CASES
    if all(x is not None for x in inputs) and np.ndim(inputs[0] if np.ndim(inputs[0]) else inputs[2]) == 4
    and operator != "QLinearWhere" and "FusedConv" not in operator
]  # fmt: skip


@pytest.mark.no_cover
@pytest.mark.parametrize(("operator", "inputs", "attributes"), TAKEN)
def test_no_operator_takes_more_than_it_claims(operator, inputs, attributes):
    arrays = [np.asarray(larger(np.asarray(x)) if np.ndim(x) == 4 else x) for x in inputs]
    if operator in ("QLinearAdd", "QLinearMul"):
        arrays[3] = arrays[0]
    hold_to_claims(f"{DOMAIN}.{operator}", arrays, ["y"], attributes, 1)


# What onnxruntime's quantizer made of a network ----------------------------------------------------------

HERE = Path(__file__).parents[1] / "fixtures" / "quantized"
FILES = sorted(path.stem for path in HERE.glob("*.onnx"))


@pytest.mark.parametrize("name", FILES)
def test_a_quantized_network_answers_as_in_onnxruntime_to_a_step(name):
    held = json.loads((HERE / "samples.json").read_text(encoding="utf-8"))
    x = np.array(held["x"], F)
    whole_graph = load_onnx(HERE / f"{name}.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", options, ["CPUExecutionProvider"])
    wanted = session.run(None, {"input": x})[0]
    for found in (whole_graph.predict(x), *whole_graph.run({"input": x}).values()):
        # Between a pair of quantizations are floats, whose rounding may move a score by a step, a quarter.
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=0.05 if "pairs" in name else 1.01 / 256)
        assert np.abs(found - wanted).mean() < 1e-3
        assert (found.argmax(axis=1) == np.array(held["classes"])).mean() >= 0.9
    one_by_one = np.concatenate([whole_graph.predict(x[n : n + 1]) for n in range(len(x))])
    if "dynamic" not in name:  # whose scales are those of the batch
        np.testing.assert_array_equal(one_by_one, whole_graph.predict(x))


def test_every_way_of_quantizing_is_there():
    assert FILES == ["dynamic", "operators", "pairs", "pairs16", "signed"]
