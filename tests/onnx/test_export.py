"""Exported networks, held to onnx's checker, its reference evaluator and onnxruntime."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from purecnn import (
    ELU,
    GELU,
    Activation,
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    AveragePooling1D,
    BatchNormalization,
    Branches,
    ChannelShuffle,
    Convolutional,
    Convolutional1D,
    Cropping,
    Dense,
    DepthToSpace,
    DepthwiseConvolutional,
    DepthwiseConvolutional1D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    GlobalMaxPooling,
    GlobalMaxPooling1D,
    GroupNormalization,
    Identity,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling,
    MaxPooling1D,
    Network,
    PReLU,
    Preprocessing,
    ReflectionPadding,
    ReLU,
    ReplicationPadding,
    Reshape,
    Residual,
    SeparableConvolutional,
    Softmax,
    SpatialDropout,
    Tanh,
    TransposedConvolutional,
    UpSampling,
    ZeroPadding,
    ZeroPadding1D,
    export_onnx,
    save,
)
from purecnn.cli.app import purecnn
from purecnn.datasets import mnist
from purecnn.layers.registry import LAYERS
from purecnn.networks import ARCHITECTURES, NETWORKS
from purecnn.onnx.exporter.layers import Nodes, become
from purecnn.onnx.exporter.writer import IR_VERSION, OPSET
from purecnn.version import __version__

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

ROOT = Path(__file__).parents[2]
IMAGE, SIGNAL = (4, 9, 11), (4, 13)
#: Operators that onnxruntime has in float32 alone, of those that float64 networks become.
FLOAT32_ALONE = {"AveragePool", "Conv", "ConvTranspose", "Erf"}

# name of the case: input shape, layers
CASES: dict[str, tuple[tuple[int, ...], list[Layer]]] = {
    "Convolutional": (IMAGE, [Convolutional(kernel_size=3, depth=5)]),
    "stride and padding": (
        IMAGE,
        [Convolutional(kernel_size=(3, 2), depth=5, stride=(2, 3), padding=(2, 1))],
    ),
    "same, lopsided": (IMAGE, [Convolutional(kernel_size=(4, 2), depth=3, padding="same")]),
    "same, stride": ((1, 10, 7), [Convolutional(kernel_size=(3, 4), depth=3, stride=(2, 3), padding="same")]),
    "same, dilation": (IMAGE, [Convolutional(kernel_size=3, depth=2, dilation=(2, 3), padding="same")]),
    "dilation": (IMAGE, [Convolutional(kernel_size=(2, 3), depth=3, dilation=(3, 2), stride=2)]),
    "groups": (IMAGE, [Convolutional(kernel_size=3, depth=6, groups=2, padding=1)]),
    "per-position bias": (IMAGE, [Convolutional(kernel_size=3, depth=2, stride=2, per_position_bias=True)]),
    "per-position, groups": (
        IMAGE,
        [Convolutional(kernel_size=3, depth=4, groups=4, dilation=2, per_position_bias=True)],
    ),
    "whole image": (IMAGE, [Convolutional(kernel_size=(9, 11), depth=3)]),
    "DepthwiseConvolutional": (IMAGE, [DepthwiseConvolutional(kernel_size=3, stride=2, padding="same")]),
    "depth multiplier": (IMAGE, [DepthwiseConvolutional(kernel_size=(1, 3), depth_multiplier=3, dilation=2)]),
    "depthwise, one channel": ((1, 6, 5), [DepthwiseConvolutional(kernel_size=2, depth_multiplier=2)]),
    "no biases": (IMAGE, [Convolutional(kernel_size=3, depth=4, groups=2, bias=False)]),
    "depthwise, no biases": (IMAGE, [DepthwiseConvolutional(kernel_size=2, bias=False)]),
    "dense, no biases": ((7,), [Dense(output_size=3, bias=False)]),
    "SeparableConvolutional": (
        IMAGE,
        [SeparableConvolutional(kernel_size=3, depth=5, padding="same", stride=2)],
    ),
    "separable, multiplied": (
        IMAGE,
        [SeparableConvolutional(kernel_size=2, depth=3, depth_multiplier=2, bias=False)],
    ),
    "TransposedConvolutional": (
        IMAGE,
        [TransposedConvolutional(kernel_size=4, depth=3, stride=2, padding=1)],
    ),
    "transposed, output padding": (
        IMAGE,
        [TransposedConvolutional(kernel_size=3, depth=6, stride=(2, 3), output_padding=(1, 2))],
    ),
    "transposed, lopsided": (
        IMAGE,
        [TransposedConvolutional(kernel_size=3, depth=2, padding=((0, 1), (2, 0)), bias=False)],
    ),
    "transposed, same": (
        IMAGE,
        [TransposedConvolutional(kernel_size=3, depth=2, stride=(2, 4), padding="same")],
    ),
    "transposed, dilation": (
        IMAGE,
        [TransposedConvolutional(kernel_size=2, depth=2, dilation=(2, 3), stride=2)],
    ),
    "Dense": ((7,), [Dense(output_size=3)]),
    "one output": ((1,), [Dense(output_size=1)]),
    "max pooling, padded": (IMAGE, [MaxPooling(3, 2, 1)]),
    "max pooling, same": (IMAGE, [MaxPooling((2, 3), 2, "same")]),
    "average pooling, padded": (IMAGE, [AveragePooling((3, 2), 1, ((2, 0), (0, 1)))]),
    "average pooling, same": (IMAGE, [AveragePooling(3, 2, "same", count_padding=False)]),
    "BatchNormalization": (IMAGE, [BatchNormalization()]),
    "of vectors": ((7,), [BatchNormalization(epsilon=1e-3)]),
    "not affine": (IMAGE, [BatchNormalization(affine=False, epsilon=0.3)]),
    "of one pixel": ((3, 1, 1), [BatchNormalization()]),
    "GroupNormalization": (IMAGE, [GroupNormalization(2)]),
    "instances": (IMAGE, [GroupNormalization(4, affine=False, epsilon=0.3)]),
    "groups of vectors": ((6,), [GroupNormalization(2)]),
    "groups of signals": ((6, 5), [GroupNormalization(3)]),
    "LayerNormalization": (IMAGE, [LayerNormalization()]),
    "layer, whole sample": (IMAGE, [LayerNormalization("sample", epsilon=0.1)]),
    "layer of vectors": ((7,), [LayerNormalization()]),
    "layer of two axes, not affine": ((3, 5), [LayerNormalization(affine=False)]),
    "Residual": (IMAGE, [Residual([Convolutional(kernel_size=3, depth=4, padding=1), BatchNormalization()])]),
    "shortcut": (
        IMAGE,
        [
            Residual(
                [Convolutional(kernel_size=3, depth=6, stride=2, padding=1), LAYERS["Mish"]()],
                [Convolutional(kernel_size=1, depth=6, stride=2), BatchNormalization()],
            ),
            ReLU(),
        ],
    ),
    "nested, empty ways": ((5,), [Residual([Residual([Dropout()]), Identity()])]),
    "Reshape": (IMAGE, [Reshape(IMAGE, (11, 4, 9)), Convolutional(kernel_size=3, depth=2)]),
    "to a column": (IMAGE, [Reshape(IMAGE, (4 * 9 * 11, 1)), Dense(output_size=2)]),
    "to an image": ((12,), [Reshape((12,), (1, 3, 4)), MaxPooling((2, 3))]),
    "Flatten": (IMAGE, [Flatten()]),
    "flat already": ((5,), [Flatten()]),
    "ZeroPadding": (IMAGE, [ZeroPadding(((1, 0), (2, 3)))]),
    "zeros around channels": (IMAGE, [ZeroPadding(((1, 0), (2, 3)), channels=(1, 2))]),
    "ReflectionPadding": (IMAGE, [ReflectionPadding(((1, 0), (2, 3)))]),
    "ReplicationPadding": (IMAGE, [ReplicationPadding(((1, 0), (2, 13)))]),
    "Cropping": (IMAGE, [Cropping(((1, 0), (2, 3)))]),
    "cropping of channels": ((4, 5, 3), [Cropping(((1, 0), (0, 0)), channels=(1, 2))]),
    "ChannelShuffle": (IMAGE, [ChannelShuffle(2)]),
    "shuffle of vectors": ((6,), [ChannelShuffle(3)]),
    "shuffle of two axes": ((6, 5), [ChannelShuffle(2)]),
    "MaxPooling": (IMAGE, [MaxPooling(2)]),
    "overlapping": (IMAGE, [MaxPooling((3, 2), (2, 1))]),
    "with gaps": (IMAGE, [MaxPooling(2, (3, 5))]),
    "AveragePooling": (IMAGE, [AveragePooling(2)]),
    "average, overlapping": (IMAGE, [AveragePooling((2, 3), (1, 2))]),
    "UpSampling": (IMAGE, [UpSampling(2)]),
    "upsampling, lopsided": (IMAGE, [UpSampling((3, 1))]),
    "upsampling, at a factor where PyTorch's nearest misses": ((1, 1, 5), [UpSampling((1, 41))]),
    "bilinear": (IMAGE, [UpSampling((2, 3), "bilinear"), Convolutional(kernel_size=3, depth=2)]),
    "bilinear, one pixel": ((2, 1, 3), [UpSampling((2, 5), "bilinear")]),
    "corners aligned": (IMAGE, [UpSampling((2, 3), "bilinear", align_corners=True)]),
    "corners aligned, one row": ((2, 1, 3), [UpSampling(2, "bilinear", align_corners=True)]),
    "DepthToSpace": (IMAGE, [DepthToSpace(2)]),
    "depth to space, depth first": ((18, 2, 3), [DepthToSpace(3, "DCR")]),
    "Convolutional1D": (SIGNAL, [Convolutional1D(kernel_size=3, depth=5, stride=2, padding=1)]),
    "signals, same, lopsided": (SIGNAL, [Convolutional1D(kernel_size=4, depth=3, padding="same")]),
    "signals, groups": (
        SIGNAL,
        [Convolutional1D(kernel_size=3, depth=6, groups=2, dilation=2, bias=False), BatchNormalization()],
    ),
    "DepthwiseConvolutional1D": (SIGNAL, [DepthwiseConvolutional1D(kernel_size=3, depth_multiplier=2)]),
    "MaxPooling1D": (SIGNAL, [MaxPooling1D(3, 2)]),
    "AveragePooling1D": (SIGNAL, [AveragePooling1D(2)]),
    "signals, poolings with a border": (
        SIGNAL,
        [
            MaxPooling1D(3, 2, "same"),
            AveragePooling1D(2, 1, (0, 1)),
            AveragePooling1D(3, 1, 1, count_padding=False),
        ],
    ),
    "GlobalAveragePooling1D": (SIGNAL, [GlobalAveragePooling1D()]),
    "GlobalMaxPooling1D": (SIGNAL, [GlobalMaxPooling1D()]),
    "signals, dropout": (SIGNAL, [SpatialDropout(0.9), Tanh()]),
    "ZeroPadding1D": (SIGNAL, [ZeroPadding1D((2, 1)), Tanh()]),
    "signals, residual": (
        SIGNAL,
        [Residual([Convolutional1D(kernel_size=3, depth=4, padding=1), BatchNormalization()]), Flatten()],
    ),
    "GlobalAveragePooling": (IMAGE, [GlobalAveragePooling()]),
    "GlobalMaxPooling": (IMAGE, [GlobalMaxPooling()]),
    "AdaptiveAveragePooling": (IMAGE, [AdaptiveAveragePooling((3, 1))]),
    "adaptive average, one size that overlaps": ((1, 5, 7), [AdaptiveAveragePooling((2, 3))]),
    "adaptive average, uneven": (IMAGE, [AdaptiveAveragePooling((2, 4))]),
    "AdaptiveMaxPooling": (IMAGE, [AdaptiveMaxPooling((3, 1))]),
    "adaptive max, one size that overlaps": ((1, 5, 7), [AdaptiveMaxPooling((2, 3))]),
    "adaptive max, uneven": (IMAGE, [AdaptiveMaxPooling((4, 3))]),
    "adaptive max, larger": ((2, 2, 3), [AdaptiveMaxPooling((3, 4))]),
    "Dropout": (IMAGE, [Dropout(0.9)]),
    "GaussianNoise": (IMAGE, [GaussianNoise(0.5)]),
    "StochasticDepth": (IMAGE, [LAYERS["StochasticDepth"](0.5), Tanh()]),
    "LogSoftmax of images": (IMAGE, [LAYERS["LogSoftmax"]()]),
    "SpatialDropout": (IMAGE, [SpatialDropout(0.9), Tanh()]),
    "Softmax of images": (IMAGE, [Softmax()]),
    "slope": (IMAGE, [LeakyReLU(0.3)]),
    "alpha": (IMAGE, [ELU(0.7)]),
    "tanh form": (IMAGE, [GELU("tanh")]),
    "slopes": (IMAGE, [PReLU(per_channel=True)]),
    "slopes of two axes": ((3, 5), [PReLU(per_channel=True)]),
    "softmax of two axes": ((3, 5), [BatchNormalization(), Softmax()]),
    "slopes of vectors": ((7,), [PReLU(per_channel=True)]),
    "Branches": (IMAGE, [Branches([Convolutional(kernel_size=1, depth=2), Tanh()], [])]),
    "branches, added": (IMAGE, [Branches([Tanh()], [], [BatchNormalization()], merge="add")]),
    "branches, multiplied": (IMAGE, [Branches([], [GlobalAveragePooling()], merge="multiply")]),
    "branches, maximum": (IMAGE, [Branches([Tanh()], [], merge="maximum")]),
    "branches, mean": (IMAGE, [Branches([Tanh()], [], [Tanh()], merge="mean")]),
    "branches of vectors": ((7,), [Branches([Tanh()], [Branches([], [Tanh()], merge="multiply")])]),
}
CASES |= {
    name: (IMAGE, [kind()])
    for name, kind in LAYERS.items()
    if name not in CASES
    and name
    not in (
        "Convolutional",
        "Dense",
        "DepthwiseConvolutional",
        "Reshape",
        "SeparableConvolutional",
        "TransposedConvolutional",
    )
}


def network_of(case: str, dtype: str) -> Network:
    """Return a case's network; all that training would have moved is drawn."""
    shape, layers = CASES[case]
    network = Network([*copy.deepcopy(layers), Flatten()], input_shape=shape, dtype=dtype)
    return moved(network)


def moved(network: Network) -> Network:
    rng = np.random.default_rng(1)
    network.parameters[...] += 0.2 * rng.normal(size=network.parameters.shape)
    for layer in network:
        for part in (layer, *layer.parts()):
            if isinstance(part, BatchNormalization):
                part.buffers["running_mean"][...] = rng.normal(size=part.channels)
                part.buffers["running_variance"][...] = rng.uniform(0, 2, part.channels)
    return network


def exported(network: Any, path: Path, **options: Any) -> onnx.ModelProto:
    """Export, check, infer the shapes of all values and return the model."""
    export_onnx(network, path / "model.onnx", **options)
    model = onnx.load(path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.value_info}
    for node in inferred.graph.node[:-1]:
        axes = known[node.output[0]]
        assert axes[0].dim_param == "N", node.name
        assert all(axis.dim_value > 0 for axis in axes[1:]), node.name
    return model


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return onnxruntime's answer."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 2  # what it warns of is printed, and read by a test below
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["output"], {"input": x})
    return np.asarray(found)


class Erf(OpRun):
    """The reference evaluator's own rounds to float32."""

    op_domain = ""

    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


def evaluated(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return the answer of onnx's reference evaluator."""
    (found,) = ReferenceEvaluator(model, new_ops=[Erf]).run(None, {"input": x})
    return np.asarray(found)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_the_cases_have_every_layer_and_there_is_a_rule_for_each() -> None:
    parts = [part for _, layers in CASES.values() for layer in layers for part in (layer, *layer.parts())]
    assert {type(part) for part in parts} == set(LAYERS.values())
    assert set(LAYERS.values()) <= set(become.registry)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_every_layer_answers_alike_in_three_programs(
    case: str, dtype: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = network_of(case, dtype)
    model = exported(network, tmp_path)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for samples in (1, 2, 17):
        x = 2 * np.random.default_rng(samples).normal(size=(samples, *CASES[case][0])).astype(dtype)
        wanted = network.predict(x)
        answers = []
        if samples < 17:
            answers.append(evaluated(model, x))
        if dtype == "float32" or not FLOAT32_ALONE & set(operators(model)):
            answers.append(run(model, x))
        for found in answers:
            assert found.dtype == wanted.dtype
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [2, 5, 16])
def test_activations_agree_far_from_zero(size: int, tmp_path: Path) -> None:
    """Where an exponential would overflow, in onnxruntime (the reference evaluator overflows)."""
    x = np.array([[-1e4, -100.0, -20, -3, -1e-4, 0.0, 1e-4, 3, 6, 20, 100.0, 1e4]] * size)
    for name in (name for name in CASES if not CASES[name][1][0].parameter_shapes() or "lope" in name):
        layer = CASES[name][1][0]
        if layer.sample_axes is not None or layer.holds or name in ("to an image", "Reshape", "to a column"):
            continue
        for dtype in ("float32", "float64"):
            network = Network([type(layer)(**layer.configuration())], input_shape=(12,), dtype=dtype)
            model = exported(network, tmp_path)
            if dtype == "float64" and FLOAT32_ALONE & set(operators(model)):
                continue
            tolerance = 1e-5 if dtype == "float32" else 1e-12
            found, wanted = run(model, x.astype(dtype)), network.predict(x.astype(dtype))
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - ARCHITECTURES.keys()))
def test_every_named_network_answers_alike(name: str, tmp_path: Path) -> None:
    network = moved(NETWORKS[name]((1, 28, 28), 10, 3))
    network.parameters *= 0.5
    images = np.random.default_rng(0).integers(0, 256, (17, 1, 28, 28), dtype=np.uint8)
    network.predict(images[:1])  # so that it knows bytes
    model = exported(network, tmp_path)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    for samples in (1, 2, 17):
        wanted = network.predict(images[:samples])
        np.testing.assert_allclose(run(model, images[:samples]), wanted, rtol=1e-5, atol=1e-5)
    found = evaluated(model, images[:2])
    np.testing.assert_allclose(found, network.predict(images[:2]), rtol=1e-5, atol=1e-5)
    double = Network(
        copy.deepcopy(list(network)),
        input_shape=(1, 28, 28),
        dtype="float64",
        preprocessing=copy.deepcopy(network.preprocessing),
    )
    found = evaluated(exported(double, tmp_path), images[:2])
    np.testing.assert_allclose(found, double.predict(images[:2]), rtol=1e-12, atol=1e-12)


def test_a_trained_network_says_the_same_in_onnxruntime_by_the_command(tmp_path: Path) -> None:
    (x, y), (x_test, _) = mnist.load_data()
    network = NETWORKS["quick"]((1, 28, 28), 10, 0)
    network.preprocessing.classes = ("zero", "one", "two", "three", "four", "5", "6", "7", "8", "9")
    network.fit(x[:600], y[:600], epochs=3)
    save(network, tmp_path / "digits.safetensors")
    said = CliRunner().invoke(
        purecnn, ["export", str(tmp_path / "digits.safetensors"), str(tmp_path / "digits.onnx")]
    )
    assert said.exit_code == 0, said.output
    size = (tmp_path / "digits.onnx").stat().st_size
    assert said.output == (
        f"{tmp_path / 'digits.onnx'}: {size:,} bytes, operator set 15, "
        "input (N, 1, 28, 28) uint8, output (N, 10) float32\n"
    )
    images = x_test[:200].reshape(200, 1, 28, 28)
    wanted = network.predict(images)
    model = onnx.load(tmp_path / "digits.onnx")
    found = run(model, images)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert len(np.unique(wanted.argmax(axis=1))) == 10
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    texts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(texts["classes"])[3] == "three"
    assert json.loads(texts["preprocessing"])["scale"] == 1 / 255
    assert {key: json.loads(texts[key]) for key in ("epochs", "seed", "input_shape")} == {
        "epochs": 3,
        "seed": 0,
        "input_shape": [1, 28, 28],
    }
    assert texts["purecnn"] == model.producer_version == __version__
    assert model.producer_name == "purecnn"
    assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET)


@pytest.mark.parametrize("kind", ["any", "bytes", "numbers"])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1 / 255, 0.0), (0.02, -1.5), (1.0, 3.0)])
def test_what_goes_in_is_chosen(kind: str, scale: float, shift: float, tmp_path: Path) -> None:
    network = Network(
        [Flatten(), Dense(output_size=3)],
        input_shape=(1, 4, 4),
        preprocessing=Preprocessing(scale, shift, "bytes" if kind == "bytes" else kind),
    )
    raw = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)
    floats = raw.astype(np.float32)
    scaled = network.preprocessing.apply(raw, np.float32)
    taken = {"raw": raw if kind == "bytes" else floats, "floats": floats, "scaled": scaled}
    models = {input: exported(network, tmp_path, input=input) for input in taken}
    wanted = network.predict(taken["raw"])
    for input, x in taken.items():
        np.testing.assert_allclose(run(models[input], x), wanted, rtol=1e-5, atol=1e-4)
    steps = [*(["Cast"] if kind == "bytes" else []), *(["Mul"] if scale != 1 else [])]
    steps += ["Add"] if shift else []
    assert operators(models["raw"]) == [*steps, "Flatten", "Gemm"]
    assert operators(models["scaled"]) == ["Flatten", "Gemm"]


def test_the_dtype_is_chosen(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, *IMAGE))
    network = network_of("shortcut", "float64")
    model = exported(network, tmp_path, dtype="float32")
    found = run(model, x.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, network.predict(x), rtol=1e-4, atol=1e-4)
    assert network.dtype == np.float64


def test_a_list_of_layers_is_exported_and_a_network_stays_as_it_is(tmp_path: Path) -> None:
    layers = [Dense(3, 4), BatchNormalization(), Dropout(), Dense(4, 2)]
    x = np.ones((2, 3), np.float32)
    network = Network(layers, seed=4, input_shape=(3,))
    before = network.parameters.copy()
    model = exported(network, tmp_path)
    first = (tmp_path / "model.onnx").read_bytes()
    exported(network, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == first  # the same network, the same bytes
    np.testing.assert_array_equal(network.parameters, before)
    np.testing.assert_allclose(run(model, x), network.predict(x), rtol=1e-6)
    exported([Dense(3, 4, rng=0), Tanh()], tmp_path)
    nothing = Network([Dropout()], input_shape=(3,))
    np.testing.assert_array_equal(run(exported(nothing, tmp_path), x), nothing.predict(x))


def test_running_statistics_are_used_and_a_frozen_layer_is_as_any_other(tmp_path: Path) -> None:
    network = Network([BatchNormalization(), Dense(output_size=2)], input_shape=(3,))
    x = np.random.default_rng(0).normal(3, 2, (64, 3)).astype(np.float32)
    network.fit(x, np.arange(64) % 2, epochs=2)
    network[0].trainable = False
    network.fit(x, np.arange(64) % 2, epochs=1)
    model = exported(network, tmp_path)
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_allclose(arrays["layers.0.running_mean"], network[0].buffers["running_mean"], rtol=1e-6)
    np.testing.assert_allclose(run(model, x[:1]), network.predict(x[:1]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])  # which float32 rounds down, and up
def test_an_epsilon_keeps_its_digits_and_no_variance_is_negative(epsilon: float, tmp_path: Path) -> None:
    network = Network([BatchNormalization(epsilon=epsilon)], input_shape=(2,), dtype="float64")
    network[0].buffers["running_variance"][...] = 0, 1e-6
    model = exported(network, tmp_path)
    (variance,) = (
        onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if "variance" in tensor.name
    )
    assert variance.min() >= 0
    x = np.array([[1.0, -2.0]])
    np.testing.assert_allclose(run(model, x), x / np.sqrt([[epsilon, 1e-6 + epsilon]]), rtol=1e-13)


class Double(Layer):
    """A layer of a user's own."""

    def forward(self, input: np.ndarray) -> np.ndarray:
        return self.receive(input) * 2

    def backward(self, output_gradient: np.ndarray) -> np.ndarray:
        return output_gradient * 2


class Twice(Double):
    """A layer that a rule is told for."""


class Steep(ReLU):
    """A layer whose parent's rule would be wrong."""

    def forward(self, input: np.ndarray) -> np.ndarray:
        return super().forward(input) * 2


@pytest.mark.parametrize("layer", [Activation(np.sin, np.cos), Double(), Steep()])
@pytest.mark.parametrize("inside", [False, True])
def test_layers_of_ones_own_are_refused_by_name(layer: Layer, inside: bool, tmp_path: Path) -> None:
    layer = copy.deepcopy(layer)
    network = Network([Tanh(), Residual([layer]) if inside else layer], input_shape=(3,))
    place = "layers.1.0" if inside else "layers.1"
    with pytest.raises(
        TypeError,
        match=rf"^{place}, {type(layer).__name__}, can't be written as ONNX, since"
        r".* @become\.register, a function in purecnn\.onnx\.exporter\.layers$",
    ):
        export_onnx(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_layer_of_ones_own_gets_a_rule(tmp_path: Path) -> None:
    @become.register(Twice)
    def _twice(layer: Layer, nodes: Nodes, input: str) -> str:
        return nodes.add("Mul", input, nodes.number(2))

    network = Network([Twice(), Dense(output_size=2), Twice()], input_shape=(3,))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(run(exported(network, tmp_path), x), network.predict(x), rtol=1e-6)


def test_what_cannot_be_exported_is_refused_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    network = Network([Dense(2, 3)])
    export_onnx(network, path)
    old = path.read_bytes()
    with pytest.raises(ValueError, match="input must be one of raw, floats, scaled, got 'bytes'"):
        export_onnx(network, path, input="bytes")
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got float16"):
        export_onnx(network, path, dtype="float16")
    with pytest.raises(ValueError, match="no input shape yet"):
        export_onnx(Network([Dense(output_size=3)]), path)
    network.preprocessing.classes = ("one",)
    with pytest.raises(ValueError, match="1 names of classes, wanted none or one for each of 3"):
        export_onnx(network, path)
    network.preprocessing.classes = ()
    wide = Network([Dense(2, 3)], dtype="float64")
    wide.parameters[0] = 1e300
    with pytest.raises(ValueError, match=r"layers\.0\.weights holds inf, wanted finite"):
        export_onnx(wide, path, dtype="float32")
    network.parameters[0] = np.nan
    with pytest.raises(ValueError, match=r"layers\.0\.weights holds nan, wanted finite"):
        export_onnx(network, path)
    monkeypatch.setattr("purecnn.onnx.exporter.writer.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="must stay below 100 bytes, this one would have"):
        export_onnx(Network([Dense(2, 3)]), path)
    assert path.read_bytes() == old
    assert [found.name for found in tmp_path.iterdir()] == ["model.onnx"]


def test_the_command_refuses_in_a_sentence(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    save(Network([Dense(2, 3)]), model)
    for arguments, wanted in (
        ([model, tmp_path / "model.txt"], "must end in .onnx, got"),
        ([tmp_path / "none.safetensors", tmp_path / "model.onnx"], "there is no such file"),
        ([model, tmp_path / "none" / "model.onnx"], "No such file or directory"),
        ([model, tmp_path / "model.onnx", "--input", "ints"], "is not one of 'raw', 'floats', 'scaled'"),
    ):
        said = CliRunner().invoke(purecnn, ["export", *map(str, arguments)])
        assert said.exit_code == 2
        assert wanted in said.output
    assert [found.name for found in tmp_path.iterdir()] == ["model.safetensors"]
    said = CliRunner().invoke(
        purecnn, ["export", str(model), str(tmp_path / "m.onnx"), "--dtype", "float64", "--input", "floats"]
    )
    assert "input (N, 2) float64, output (N, 3) float64" in said.output


def test_groups_of_a_transposed_convolution_answer_alike_in_onnxruntime(tmp_path: Path) -> None:
    """By itself, since onnx's own reference fails on groups."""
    layers = [TransposedConvolutional(kernel_size=3, depth=6, stride=2, groups=2), Flatten()]
    network = moved(Network(layers, input_shape=IMAGE, dtype="float32"))
    x = np.random.default_rng(0).normal(size=(3, *IMAGE)).astype(np.float32)
    found = run(exported(network, tmp_path), x)
    np.testing.assert_allclose(found, network.predict(x), rtol=1e-4, atol=1e-5)


def coverage_table(folder: Path) -> str:
    """Return docs/onnx.md's table: what each layer becomes."""
    lines = ["| layer | operators | in float64 | float64 in onnxruntime |", "|---|---|---|---|"]
    for name in sorted(LAYERS, key=str.lower):
        case = next(case for case, (_, layers) in CASES.items() if type(layers[0]) is LAYERS[name])
        if name in CASES:
            case = name
        shape, layers = CASES[case]
        found = []
        for dtype in ("float32", "float64"):
            layer = copy.deepcopy(layers[0])
            model = exported(Network([layer, Flatten()], input_shape=shape, dtype=dtype), folder)
            found.append(operators(model)[:-1])
        single, double = [", ".join(f"`{operator}`" for operator in one) or "nothing" for one in found]
        if name == "Residual":
            single = double = "those of its layers, `Add`"
        if name == "Branches":
            single = double = "those of its layers, and `Concat`, `Add`, `Mul` or `Max`"
        runs = (
            "of its layers"
            if name in ("Branches", "Residual")
            else "no"
            if FLOAT32_ALONE & set(found[1])
            else "yes"
        )
        lines.append(f"| `{name}` | {single} | {'the same' if single == double else double} | {runs} |")
    return "\n".join(lines)


def test_the_documents_table_is_what_the_export_does(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")
    text_of_one_line = " ".join(text.split())
    assert coverage_table(tmp_path) in text
    assert re.search(rf"operator set {OPSET} .{{,80}}version {IR_VERSION} of the format", text_of_one_line)


def test_the_operator_set_knows_every_operator_that_is_written(tmp_path: Path) -> None:
    """The newest definition at or before the operator set, of each operator."""
    for case in CASES:
        for dtype in ("float32", "float64"):
            for operator in operators(exported(network_of(case, dtype), tmp_path)):
                assert onnx.defs.get_schema(operator, OPSET).since_version <= OPSET
                assert not onnx.defs.get_schema(operator, OPSET).deprecated
