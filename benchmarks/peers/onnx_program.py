"""onnxruntime's side of the benchmark, for inference: the network as an ONNX graph of its own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.harness.networks import Bench, shapes
from benchmarks.harness.setup import read
from benchmarks.harness.worker import serve

NODES = {"relu": "Relu", "sigmoid": "Sigmoid", "flatten": "Flatten"}


def graph(bench: Bench, arrays: list[np.ndarray]) -> onnx.ModelProto:
    """The network with a softmax at its end; input "x" (n, C, H, W), output the last node's."""
    nodes, initializers, parameters, last = [], [], iter(arrays), "x"
    for i, (layer, _, _) in enumerate(shapes(bench.layers, bench.input_shape)):
        kind, name, inputs = layer["layer"], f"layer{i}", [last]
        options: dict[str, Any] = {}
        if kind == "dropout":
            continue
        if kind in ("conv", "dense"):
            for part in ("weight", "bias"):
                inputs.append(f"{name}.{part}")
                initializers.append(numpy_helper.from_array(next(parameters), inputs[-1]))
            if kind == "dense":
                options = {"transB": 1}
            elif layer.get("same"):
                options = {"auto_pad": "SAME_UPPER"}
        elif kind == "pool":
            options = {"kernel_shape": [layer["size"]] * 2, "strides": [layer["size"]] * 2}
        operator = {"conv": "Conv", "dense": "Gemm", "pool": "MaxPool", **NODES}[kind]
        nodes.append(helper.make_node(operator, inputs, [name], **options))
        last = name
    nodes.append(helper.make_node("Softmax", [last], ["p"], axis=1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *bench.input_shape])
    p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", None])
    model = helper.make_model(
        helper.make_graph(nodes, "bench", [x], [p], initializers),
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
