"""Quantized networks: bytes and back, exact sums of bytes, and what quantizers write, held to onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from helpers.onnx_claims import hold_to_claims
from helpers.onnx_models import floats, graph, model, node, value
from purecnn import ShapeError
from purecnn.errors import FileFormatError
from purecnn.onnx.operators.quantized import whole_numbers

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

MICROSOFT = "com.microsoft"
U8, I8, I32 = np.uint8, np.int8, np.int32
F = np.float32


def kind(array):
    return helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)


def parts(nodes, inputs, arrays):
    """A model's parts: the outputs are those of the last node, of kinds that it need not say."""
    given = [value(name, np.shape(x), kind(x)) for name, x in inputs.items()]
    return nodes, arrays, given, [value(name, None, 0) for name in nodes[-1].output]


def ours(nodes, inputs, arrays=None, opset=21):
    found = graph(*parts(nodes, inputs, arrays), opset=opset, domains={MICROSOFT: 1}).run(inputs)
    return [found[name] for name in nodes[-1].output]


def theirs(nodes, inputs, arrays=None, opset=21):
    wanted = model(*parts(nodes, inputs, arrays), opset=opset, domains={MICROSOFT: 1})
    for output in wanted.graph.output:
        output.ClearField("type")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(wanted.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, inputs)


def held(nodes, inputs, arrays=None, opset=21, steps=0):
    """Hold purecnn to onnxruntime: floats to their rounding, integers to so many steps."""
    for mine, wanted in zip(
        ours(nodes, inputs, arrays, opset), theirs(nodes, inputs, arrays, opset), strict=True
    ):
        assert (mine.dtype, mine.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)
        else:
            away = np.abs(mine.astype(np.int64) - wanted.astype(np.int64))
            assert away.max(initial=0) <= steps
            assert (away > 0).mean() < 0.01 or not steps


def whole(low, high, *shape, dtype=U8, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int64).astype(dtype)


# Bytes and back -----------------------------------------------------------------------------------------

X = floats(3, 5, 4) * 40
TIES = np.array([[-1e9, -128.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 127.5, 1e9]], F)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("zero", [0, 100])
def test_numbers_become_integers_as_in_onnxruntime(dtype, zero):
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    for x in (X, TIES):
        arrays = {"s": F(0.5), "z": np.array(zero, dtype)}
        held(nodes[:1], {"x": x}, arrays)
        held(nodes, {"x": x}, arrays)


@pytest.mark.parametrize(("axis", "places"), [(0, 3), (1, 5), (-1, 4)])
def test_scales_along_an_axis(axis, places):
    arrays = {"s": np.linspace(0.1, 3, places).astype(F), "z": np.arange(places).astype(I8)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis),
    ]
    held(nodes[:1], {"x": X}, arrays, 13)
    held(nodes, {"x": X}, arrays, 13)


@pytest.mark.parametrize(
    ("axis", "block", "shape"), [(1, 2, (3, 3, 4)), (2, 4, (3, 5, 1)), (0, 2, (2, 5, 4))]
)
def test_scales_by_block(axis, block, shape):
    scale, zero = np.abs(floats(*shape)) + F(0.5), whole(-9, 9, *shape, dtype=I8)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis, block_size=block),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis, block_size=block),
    ]
    q, y = graph(
        nodes,
        {"s": scale, "z": zero},
        [value("x", X.shape)],
        [value("q", None, 0), value("y", None, 0)],
        opset=21,
    ).run({"x": X}).values()  # fmt: skip
    for place in np.ndindex(X.shape):
        cell = tuple(n // block if n_axis == axis else n for n_axis, n in enumerate(place))
        step = np.clip(np.rint(X[place] / scale[cell]) + zero[cell], -128, 127)
        assert q[place] == step
        assert y[place] == (F(step) - zero[cell]) * scale[cell]
    if block * shape[axis] == X.shape[axis]:  # onnxruntime 1.32 refuses a last block that is short
        held(nodes, {"x": X}, {"s": scale, "z": zero})


def test_blocks_of_a_vector():
    scales = np.array([1, 2, 4], F)
    nodes = [node("DequantizeLinear", ["x", "s"], ["y"], axis=0, block_size=2)]
    assert ours(nodes, {"x": np.ones(5, I8)}, {"s": scales})[0].tolist() == [1, 1, 2, 2, 4]


def test_without_a_zero_point_they_are_bytes():
    assert ours([node("QuantizeLinear", ["x", "s"], ["y"])], {"x": X}, {"s": F(0.5)})[0].dtype == U8
    held([node("QuantizeLinear", ["x", "s"], ["y"])], {"x": X}, {"s": F(0.5)})
    held([node("QuantizeLinear", ["x", "s"], ["y"], output_dtype=TensorProto.INT8)], {"x": X}, {"s": F(0.5)})


def test_biases_of_32_bits_keep_their_digits():
    x, scale = np.array([2**31 - 1, -(2**31), 123456789, 16777217], I32), np.array(2.0**-20, F)
    held([node("DequantizeLinear", ["x", "s"], ["y"])], {"x": x}, {"s": scale})
    found = ours(
        [node("DequantizeLinear", ["x", "s", "z"], ["y"])], {"x": x}, {"s": F(1), "z": I32(123456788)}
    )
    np.testing.assert_array_equal(found[0], (x.astype(np.int64) - 123456788).astype(F))


def test_half_floats():
    x = X.astype(np.float16)
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    held(nodes, {"x": x}, {"s": np.float16(0.5), "z": U8(100)})


@pytest.mark.parametrize("x", [X, X + 500, np.abs(X), -np.abs(X), X * 0, X[:0]])
def test_a_scale_of_their_own(x):
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])]
    inputs, arrays = [value("x", None)], [value("q", None, 0), value("s", None, 0), value("z", None, 0)]
    found = graph(nodes, None, inputs, arrays).run({"x": x})
    low, high = min(x.min(initial=0), 0), max(x.max(initial=0), 0)
    assert found["s"] == pytest.approx((high - low) / 255 or 1)
    back = (found["q"].astype(F) - F(found["z"])) * found["s"]
    assert np.abs(back - x).max(initial=0) <= found["s"] * 0.51
    if x.size:
        held(nodes, {"x": x})


# Products, exact ----------------------------------------------------------------------------------------


def direct(x, w, x_zero, w_zero, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), group=1):
    """The cross-correlation in integers of 64 bits, cell by cell."""
    x = np.pad(x.astype(np.int64) - x_zero, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    w = w.astype(np.int64) - np.reshape(w_zero, (-1, 1, 1, 1)).astype(np.int64)
    reach = [(size - 1) * apart + 1 for size, apart in zip(w.shape[2:], dilations, strict=True)]
    sizes = [(n - r) // step + 1 for n, r, step in zip(x.shape[2:], reach, strides, strict=True)]
    found = np.zeros((x.shape[0], w.shape[0], *sizes), np.int64)
    many, maps = w.shape[1], w.shape[0] // group
    for part in range(group):
        images = x[:, part * many : (part + 1) * many]
        kernels = w[part * maps : (part + 1) * maps]
        for i, j in np.ndindex(*w.shape[2:]):
            rows = slice(i * dilations[0], i * dilations[0] + (sizes[0] - 1) * strides[0] + 1, strides[0])
            columns = slice(j * dilations[1], j * dilations[1] + (sizes[1] - 1) * strides[1] + 1, strides[1])
            met = images[:, :, rows, columns]
            found[:, part * maps : (part + 1) * maps] += np.einsum("nchw,mc->nmhw", met, kernels[:, :, i, j])
    return found


GEOMETRIES = [
    ((2, 3, 7, 6), (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((1, 3, 9, 8), (5, 3, 2, 3), {"strides": [2, 3], "pads": [0, 2, 1, 0]}),
    ((2, 4, 8, 8), (6, 2, 3, 3), {"group": 2, "dilations": [2, 2]}),
    ((3, 6, 5, 5), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    ((2, 5, 4, 3), (7, 5, 1, 1), {}),
    ((9, 32, 8, 8), (16, 32, 3, 3), {"pads": [1, 1, 1, 1]}),  # that floats do by transforms, which round
    ((1, 700, 3, 3), (3, 700, 3, 3), {"pads": [1, 1, 1, 1]}),  # more than float32 sums exactly
    ((1, 2, 20, 20), (2, 1, 17, 17), {"group": 2}),
]


@pytest.mark.parametrize(("shape", "kernels", "attributes"), GEOMETRIES)
@pytest.mark.parametrize("dtypes", [(U8, I8), (U8, U8), (I8, I8)])
def test_convolutions_of_bytes_are_exact(shape, kernels, attributes, dtypes):
    x, w = (
        whole(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, *size, dtype=dtype, seed=seed)
        for seed, (dtype, size) in enumerate(zip(dtypes, (shape, kernels), strict=True))
    )
    x[0], w[0] = np.iinfo(x.dtype).max, np.iinfo(w.dtype).min  # the largest sums there are
    zeros = [x.dtype.type(3), w.dtype.type(5)]
    nodes = [node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], **attributes)]
    found = ours(nodes, {"x": x}, {"w": w, "xz": zeros[0], "wz": zeros[1]})[0]
    assert found.dtype == I32
    np.testing.assert_array_equal(found, direct(x, w, 3, 5, **attributes))


@pytest.mark.parametrize("places", [3, 257, 5000, 140_000])
@pytest.mark.parametrize("stack", [(), (2, 1)])
def test_products_of_bytes_are_exact(places, stack):
    a, b = whole(0, 256, *stack, 2, places), whole(-128, 128, places, 3, dtype=I8, seed=1)
    a[..., 0, :], b[:, 0] = 255, -128
    nodes = [node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])]
    zeros = {"az": np.array([0, 255], U8), "bz": np.array([127, 0, -3], I8)}
    wanted = (a.astype(np.int64) - zeros["az"][:, None]) @ (b.astype(np.int64) - zeros["bz"])
    found = ours(nodes, {"a": a, "b": b}, zeros)[0]
    np.testing.assert_array_equal(found, wanted.astype(I32))


def test_parts_are_as_few_as_sums_stay_exact():
    sizes = np.full((1000, 2), 127.0)
    assert whole_numbers.parts(sizes[:500], 255) == [slice(0, 500)]
    cut = whole_numbers.parts(sizes, 255)
    assert cut == [slice(0, 500), slice(500, 1000)]
    assert whole_numbers.parts(np.full((3, 1), 2.0**24), 1) is None
    assert whole_numbers.parts(np.zeros((0, 3)), 255) == [slice(0, 0)]


# Weights of seven bits: with eight onnxruntime's sums of pairs overflow on processors without VNNI.


def per_channel(count):
    return np.linspace(0.01, 0.03, count).astype(F)


@pytest.mark.parametrize(("shape", "kernels", "attributes"), GEOMETRIES[:6])
@pytest.mark.parametrize("dtypes", [(U8, I8), (U8, U8), (I8, I8)])
def test_quantized_convolutions_are_those_of_onnxruntime(shape, kernels, attributes, dtypes):
    low = 0 if dtypes[0] == U8 else -128
    x = whole(low, low + 256, *shape, dtype=dtypes[0])
    w = whole(0 if dtypes[1] == U8 else -63, 64, *kernels, dtype=dtypes[1], seed=1)
    zero = np.zeros(len(w), dtypes[1]) if dtypes[1] == I8 else U8(30)
    arrays = {"xs": F(0.02), "xz": dtypes[0](low + 100), "w": w, "wz": zero,
              "ys": F(0.3), "yz": dtypes[0](low + 120),
              "b": whole(-999, 999, len(w), dtype=I32)}  # fmt: skip
    arrays["ws"] = per_channel(len(w)) if dtypes[1] == I8 else F(0.02)
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    for inputs in (names, [*names, "b"]):
        held([node("QLinearConv", inputs, ["y"], **attributes)], {"x": x}, arrays)


def test_a_large_bias_keeps_its_digits():
    x, w = np.full((1, 1, 1, 1), 255, U8), np.full((1, 1, 1, 1), 127, I8)
    arrays = {"xs": F(1), "xz": U8(0), "w": w, "ws": F(1), "wz": I8(0), "ys": F(1), "yz": U8(128),
              "b": np.array([-255 * 127 - 3], I32)}  # fmt: skip
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    assert ours([node("QLinearConv", names, ["y"])], {"x": x}, arrays)[0].item() == 125
    arrays["b"], arrays["ys"] = np.array([2**30 + 1], I32), F(2**24)
    assert ours([node("QLinearConv", names, ["y"])], {"x": x}, arrays)[0].item() == 128 + 64


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (4,)])
@pytest.mark.parametrize("wide", [False, True])
def test_quantized_products_are_those_of_onnxruntime(shape, wide):
    a, b = whole(0, 256, *shape), whole(-63, 64, 4, 6, dtype=I8, seed=1)
    arrays = {"as": F(0.02), "az": U8(100), "b": b, "ys": F(0.05), "yz": U8(120)}
    arrays |= {"bs": per_channel(6) if wide else F(0.02), "bz": np.zeros(6, I8) if wide else I8(3)}
    held([node("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"])], {"a": a}, arrays)
    zeros = {"b": b, "az": U8(100), "bz": arrays["bz"]}
    held([node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])], {"a": a}, zeros)


# Refused ------------------------------------------------------------------------------------------------

Q = X.astype(I8)
REFUSED = [
    ("QuantizeLinear", [X, F([1, 2])], {},
     r"the scale has shape \(2,\), wanted one for each place of axis 1"),
    ("QuantizeLinear", [X, F([[1, 2]])], {},
     r"the scale has shape \(1, 2\), wanted \(3, 0, 4\): blocks of 0"),
    ("QuantizeLinear", [X, F([[[1]]])], {"block_size": 2}, r"wanted \(3, 3, 4\): blocks of 2"),
    ("QuantizeLinear", [X, F(1), I32(0)], {}, "numbers are to become int32, wanted one of int8, uint8"),
    ("QuantizeLinear", [X, F(1), I8(0)], {"output_dtype": 2},
     "point is int8, the attribute 'output_dtype' uint8"),
    ("QuantizeLinear", [X, F(1)], {"output_dtype": 17}, "has elements of type 17, float8e4m3fn"),
    ("QuantizeLinear", [X, I8(1)], {}, "an input is int8, wanted floats"),
    ("QuantizeLinear", [Q, F(1)], {}, "the input is int8, wanted floats or int32"),
    ("QuantizeLinear", [X, F(1), np.zeros(5, I8)], {}, r"are of \(\) and \(5,\), wanted the same"),
    ("QuantizeLinear", [X, F([1, 2])], {"axis": 9}, "axis is 9, wanted from -3 to 2"),
    ("DequantizeLinear", [X, F(1)], {}, "values and zero points are float32, wanted one of int8"),
    ("DequantizeLinear", [Q, F(1), U8(0)], {}, "values and zero points are int8 and uint8, wanted one of"),
    ("DequantizeLinear", [Q, F([[[1]]])], {"block_size": 2**40}, r"wanted \(3, 1, 4\)"),
    ("DequantizeLinear", [Q, F(1)], {"output_dtype": 6}, "integers are to become int32, wanted floats"),
    ("DynamicQuantizeLinear", [Q], {}, "the input is int8, wanted float32"),
    ("MatMulInteger", [X, Q], {}, "an input is float32, wanted int8 or uint8"),
    ("MatMulInteger", [Q, Q], {}, r"shapes are \(3, 5, 4\) and \(3, 5, 4\), which can't be multiplied"),
    ("MatMulInteger", [Q[0, 0, 0], Q], {}, "wanted at least one axis each"),
    ("MatMulInteger", [Q, Q[0].T, U8(0)], {}, "a zero point is uint8, wanted int8 as its values"),
    ("MatMulInteger", [Q, Q[0].T, np.zeros(2, I8)], {},
     r"a zero point has shape \(2,\), wanted one number, or"),
    ("ConvInteger", [Q[None], Q[None], np.zeros(3, I8)], {},
     r"of the images has shape \(3,\), wanted one number"),
    ("ConvInteger", [Q[None], Q[None, :2]], {}, "in 1 groups don't fit images"),
    ("ConvInteger", [Q[0], Q[0]], {}, "with at least three axes"),
    ("QLinearConv", [Q[None], F(1), I8(0), Q[None], F(1), I8(0), F(1), I32(0)], {},
     "the output's zero point is int32"),
    ("QLinearConv", [Q[None], F(1), I8(0), Q[None], F(1), I8(0), F(1), I8(0), Q[0, 0]], {},
     r"biases are int8 \(4,\), wanted int32 \(1,\)"),
    ("QLinearConv", [Q[None], F([1, 2]), I8(0), Q[None], F(1), I8(0), F(1), I8(0)], {},
     r"the scale of x has shape \(2,\), wanted one number"),
    ("QLinearMatMul", [Q, F(1), I8(0), Q[0].T, F([1, 2]), I8(0), F(1), I8(0)], {},
     r"the scale of b has shape"),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "inputs", "attributes", "words"), REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(operator, inputs, attributes, words):
    names = [f"i{place}" for place in range(len(inputs))]
    nodes = [node(operator, names, ["y"], **attributes)]
    with pytest.raises((FileFormatError, ShapeError), match=f"node 0, {operator}.*{words}"):
        ours(nodes, dict(zip(names, map(np.asarray, inputs), strict=True)))


# What they take -----------------------------------------------------------------------------------------

BIG = whole(0, 256, 4, 8, 64, 64)
WIDE = whole(0, 256, 32, 9_000)
SMALL = whole(0, 256, 5, 8, 3, 3, seed=1)
TAKES = [
    ("QuantizeLinear", [BIG.astype(F), F(3), U8(3)], {}, 1),
    (
        "QuantizeLinear",
        [BIG.astype(F), np.ones((4, 4, 64, 64), F), np.ones((4, 4, 64, 64), U8)],
        {"block_size": 2},
        1,
    ),
    ("DequantizeLinear", [BIG, F(3), U8(3)], {}, 1),
    ("DequantizeLinear", [BIG.astype(I32), F(3), I32(3)], {}, 1),
    ("DynamicQuantizeLinear", [BIG.astype(F)], {}, 3),
    ("ConvInteger", [BIG, SMALL, U8(3), U8(3)], {"pads": [1] * 4}, 1),
    ("ConvInteger", [whole(0, 256, 2, 512, 16, 16), whole(0, 256, 64, 512, 3, 3)], {}, 1),
    ("MatMulInteger", [WIDE.T, WIDE[:, :32], U8(3), U8(3)], {}, 1),
    ("MatMulInteger", [WIDE, WIDE.T], {}, 1),
    ("QLinearConv", [BIG, F(1), U8(3), SMALL, F(1), U8(3), F(1), U8(3)], {}, 1),
    ("QLinearMatMul", [WIDE.T, F(1), U8(3), WIDE[:, :32], F(1), U8(3), F(1), U8(3)], {}, 1),
]  # fmt: skip


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "arrays", "attributes", "outputs"), TAKES)
def test_no_operator_takes_more_than_it_claims(name, arrays, attributes, outputs, monkeypatch):
    monkeypatch.setattr("purecnn.backend.memory.LARGE", 2**60)  # so that all is seen
    arrays = [np.asarray(array) for array in arrays]
    hold_to_claims(name, arrays, [f"y{n}" for n in range(outputs)], attributes)
