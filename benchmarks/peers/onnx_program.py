"""onnxruntime's side of the benchmark, for inference: the network as an ONNX graph of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.harness.networks import NORM_EPSILON, Bench, Layer, Shape, shapes
from benchmarks.harness.networks import padding as layer_padding
from benchmarks.harness.setup import read
from benchmarks.harness.worker import serve

NODES = {"relu": "Relu", "sigmoid": "Sigmoid", "flatten": "Flatten"}


class Graph:
    """The nodes and arrays of a network, put down layer by layer."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays, self.nodes, self.initializers = iter(arrays), [], []

    def tensor(self, array: np.ndarray) -> str:
        """Put down an array; returns its name."""
        name = f"array{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, **options: Any) -> str:
        """Put down a node; returns its output's name."""
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **options))
        return name

    def run(self, layers: Sequence[Layer], shape: Shape, last: str) -> str:
        """Put down layers for samples of a shape behind a value; returns the value behind them."""
        for layer, before, after in shapes(layers, shape):
            kind = layer["layer"]
            if kind == "conv":
                arrays = [self.tensor(next(self.arrays)) for _ in range(2)]
                padding, stride = layer_padding(layer), layer.get("stride", 1)
                last = self.node("Conv", last, *arrays, pads=[padding] * 4, strides=[stride] * 2)
            elif kind == "dense":
                arrays = [self.tensor(next(self.arrays)) for _ in range(2)]
                last = self.node("Gemm", last, *arrays, transB=1)
            elif kind == "norm":
                arrays = [self.tensor(next(self.arrays)) for _ in range(2)]
                running = [self.tensor(fill(after[0], np.float32)) for fill in (np.zeros, np.ones)]
                last = self.node("BatchNormalization", last, *arrays, *running, epsilon=NORM_EPSILON)
            elif kind == "pool":
                last = self.node(
                    "MaxPool", last, kernel_shape=[layer["size"]] * 2, strides=[layer["size"]] * 2
                )
            elif kind == "global_pool":
                last = self.node("Flatten", self.node("GlobalAveragePool", last))
            elif kind == "residual":
                way = self.run(layer["layers"], before, last)
                last = self.node("Add", way, self.run(layer["shortcut"], before, last))
            elif kind != "dropout":
                last = self.node(NODES[kind], last)
        return last


def graph(bench: Bench, arrays: list[np.ndarray]) -> onnx.ModelProto:
    """The network with a softmax at its end; input "x" (n, C, H, W), output the last node's."""
    made = Graph(arrays)
    last = made.node("Softmax", made.run(bench.layers, bench.input_shape, "x"), axis=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *bench.input_shape])
    p = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", None])
    model = helper.make_model(
        helper.make_graph(made.nodes, "bench", [x], [p], made.initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


class Onnx:
    """The benched program in onnxruntime."""

    def __init__(self, place: Path, threads: int) -> None:
        bench, arrays = read(place)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        model = graph(bench, arrays).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        x = np.load(place / "x.npy")
        self.x = (x.reshape(len(x), *bench.input_shape) / np.float32(255)).astype(np.float32)

    def predict(self, start: int, count: int) -> np.ndarray:
        output: np.ndarray = self.session.run(None, {"x": self.x[start : start + count]})[0]
        return output

    def describe(self) -> dict[str, Any]:
        return {"onnxruntime": onnxruntime.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    serve(Onnx(given.place, given.threads))


if __name__ == "__main__":
    main()
