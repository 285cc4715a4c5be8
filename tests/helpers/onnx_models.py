"""ONNX models for the tests, put together with the onnx package."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from purecnn.onnx import Graph
from purecnn.onnx.reader import as_model

node = helper.make_node


def value(name: str, shape: Any, dtype: int = TensorProto.FLOAT) -> Any:
    """An input or output; a text is an axis of any length."""
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: list[Any],
    arrays: dict[str, Any] | None = None,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    opset: int = 17,
    domains: dict[str, int] | None = None,
) -> Any:
    """A model from "x" (N, 2, 6, 5) to "y", if not said otherwise."""
    graph = helper.make_graph(
        nodes,
        "test",
        [value("x", ["N", 2, 6, 5])] if inputs is None else inputs,
        [value("y", None)] if outputs is None else outputs,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (arrays or {}).items()],
    )
    sets = [
        helper.make_opsetid(domain, version) for domain, version in {"": opset, **(domains or {})}.items()
    ]
    return helper.make_model(graph, opset_imports=sets, ir_version=8)


def graph(*arguments: Any, max_bytes: int = 2**28, **more: Any) -> Graph:
    """The same as a graph of purecnn's."""
    return Graph(as_model(model(*arguments, **more).SerializeToString()), max_bytes=max_bytes)


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
