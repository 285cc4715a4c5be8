"""A trial of one model: what this package makes of it, beside onnxruntime's answers.

Run as a program of its own, so that nothing of one file is left for the next: ``python -m
campaigns.models.trial SECONDS FILE``, with ``name=1x3x48x320`` for inputs whose shape is known. It prints
JSON, a line each time that it has found more.
"""

from __future__ import annotations

import copy
import json
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from campaigns.models.inputs import KINDS, tries
from purecnn import load_onnx
from purecnn.errors import PureCNNError
from purecnn.networks.network import Network
from purecnn.onnx.graph import Graph
from purecnn.onnx.operators.registry import OPERATORS

#: How far an answer may be off, by the largest of an output's values.
WITHIN = 1e-3
#: What counts as the largest at least: probabilities of 1e-7 are rounding, onnxruntime's own too.
LEAST = 0.01
#: The same of outputs in half precision, and where numbers become bytes on the way: the last digit of one may
#: move it by a 255th.
WITHIN_HALF = 1e-2
#: How far a slope by differences may be off the gradient, by the gradient.
SLOPE_WITHIN = 1e-3
#: Bytes that a graph may take at a time: these files are known.
MAX_BYTES = 2**33


def operators(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the operators of a graph and of those within it, each as often as it is there."""
    for node in graph.node:
        yield f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from operators(inner)


def session(path: Path, optimized: bool = True) -> onnxruntime.InferenceSession:
    """Open a model with onnxruntime, as it does unless told otherwise, or without its optimizations."""
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1  # idle threads of its pool would keep the cores busy
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def answered(
    path: Path, given: dict[str, tuple[int, ...]], samples: int = 2
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return inputs that onnxruntime takes, and its outputs by name.

    Raises
    ------
    ValueError
        If it takes none that were tried; the last of its complaints.
    """
    opened, last = session(path), ""
    stated = [(value.name, value.shape or (), value.type) for value in opened.get_inputs()]
    if unknown := [kind for _, _, kind in stated if kind not in KINDS]:
        raise ValueError(f"inputs of kind {unknown[0]}")
    names = [value.name for value in opened.get_outputs()]
    for count in dict.fromkeys((samples, 1)):
        for inputs in tries(stated, given, count):
            try:
                return inputs, dict(zip(names, opened.run(names, inputs), strict=True))
            except Exception as error:  # onnxruntime's own classes have no common base
                last = str(error).splitlines()[0]
    raise ValueError(f"onnxruntime takes no input that was tried: {last}")


def difference(ours: Any, theirs: Any) -> float:
    """Return how far an output is off, by the largest of its values; infinite if of another kind or shape."""
    if not isinstance(theirs, np.ndarray) or theirs.dtype.kind in "OUS":
        return 0.0 if listed(ours) == listed(theirs) else np.inf
    ours = np.asarray(ours)
    if ours.shape != theirs.shape or ours.dtype.kind != theirs.dtype.kind:
        return np.inf
    if not theirs.size:
        return 0.0
    if theirs.dtype.kind != "f":
        return float(np.mean(ours != theirs))
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    alike = np.isfinite(b)
    if not np.array_equal(a[~alike], b[~alike], equal_nan=True):
        return np.inf
    largest = float(np.abs(b[alike]).max(initial=0))
    return float(np.abs(a - b)[alike].max(initial=0)) / max(largest, LEAST)


def listed(value: Any) -> Any:
    """Return arrays, lists and maps, numbers in them rounded, so that they can be compared."""
    if isinstance(value, dict):
        return {key: listed(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [listed(one) for one in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def largest_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Return the largest difference of all outputs."""
    return max(difference(ours[name], value) for name, value in theirs.items())


def tolerance(theirs: dict[str, Any], operators: Iterable[str] = ()) -> float:
    """Return how far these outputs may be off, of a graph of these operators."""
    half = any(isinstance(one, np.ndarray) and one.dtype == np.float16 for one in theirs.values())
    return WITHIN_HALF if half or any("Quantize" in name for name in operators) else WITHIN


def refusal(error: BaseException) -> str:
    """Return why something did not work, in one line."""
    own = isinstance(error, PureCNNError)
    return ("" if own else f"{type(error).__name__}: ") + " ".join(str(error).split())[:300]


def trial(path: Path, given: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return what this package makes of a file.

    The dict has `operators` and how often each is there, `missing` ones, `answered` (onnxruntime takes it),
    and then, each True or the reason why not: `opens`, `runs`, `predicts`, `network`,
    `trains`.
    """
    model = onnx.load(path, load_external_data=False)
    counts = Counter(operators(model.graph))
    found: dict[str, Any] = {
        "operators": dict(counts),
        "missing": sorted(name for name in counts if name not in OPERATORS),
        "operator_set": max((one.version for one in model.opset_import if not one.domain), default=0),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
    }
    del model
    try:
        graph = load_onnx(path, max_bytes=MAX_BYTES)
        found["opens"] = True
    except Exception as error:  # whatever it is, the file is not open
        found["opens"] = refusal(error)
    try:
        inputs, theirs = answered(path, given)
        found["answered"] = True
        found["shapes"] = {name: array.shape for name, array in inputs.items()}
    except Exception as error:
        found["answered"] = refusal(error)
        return found
    if found["opens"] is True:
        found.update(
            compared(graph, inputs, theirs, lambda part: print(json.dumps(found | part), flush=True))
        )
        if "run_off" in found and found["runs"] is not True:
            plain = dict(zip(theirs, session(path, optimized=False).run([*theirs], inputs), strict=True))
            off = largest_difference(plain, theirs)
            found["runs"] += f"; onnxruntime's own without its optimizations by {off:.2g}"
    return found


def compared(
    graph: Graph,
    inputs: dict[str, np.ndarray],
    theirs: dict[str, Any],
    tell: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """Return whether the answers of `run`, `predict` and `network` are onnxruntime's.

    `tell` is given what is found so far before what may take long.
    """
    found: dict[str, Any] = {}
    within = tolerance(theirs, (call.node.operator for call in graph.calls))

    def outcome(off: float) -> bool | str:
        return True if off <= within else f"off by {off:.2g} of the largest value"

    began = time.perf_counter()
    try:
        off = largest_difference(graph.run(inputs), theirs)
        found |= {"runs": outcome(off), "run_off": off}
    except Exception as error:
        found["runs"] = refusal(error)
    found["run_seconds"] = round(time.perf_counter() - began, 3)
    x = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    try:
        ours: Any = graph.predict(x)  # type: ignore[arg-type]
        ours = ours if isinstance(ours, dict) else dict.fromkeys(theirs, ours)
        off = largest_difference(ours, theirs)
        found |= {"predicts": outcome(off), "predict_off": off}
    except Exception as error:
        found["predicts"] = refusal(error)
    tell(found)
    try:
        x = next(iter(inputs.values()))
        name, wanted = next(iter(theirs.items()))  # of several outputs the first
        network = graph.network(
            x.shape[1:] if len(inputs) == 1 else None, output=name if len(theirs) > 1 else None
        )
        ours = network.predict(x).reshape(len(x), -1)
        off = difference(ours, wanted.reshape(len(wanted), -1))
        found |= {"network": outcome(off), "network_off": off, "parameters": len(network.parameters)}
        tell(found)
        off = slope_off(network, x[:1])
        found |= {"trains": True if off <= SLOPE_WITHIN else f"a derivative is off by {off:.2g}"}
        found["slope_off"] = off
    except Exception as error:
        found["trains" if "network" in found else "network"] = refusal(error)
    return found


def slope_off(network: Network, x: np.ndarray) -> float:
    """Return how far the slope of the answers along their own gradient is off what the gradient says of it.

    The gradient is that of a weighted sum of the answers by all parameters, of a copy of the network in
    float64. The slope is by differences, at the step that suits best: small ones drown in rounding, and wide
    ones cross the kinks of ReLU.
    """
    layers = [copy.copy(layer) for layer in network.layers]
    Network(layers, input_shape=network.input_shape, dtype=np.float64)  # makes its layers hold such numbers
    batch = np.moveaxis(x.astype(np.float64), 0, -1)

    def answers() -> np.ndarray:
        y = batch
        for layer in layers:
            y = layer.forward(y)
        return y

    y = answers()
    weights = np.random.default_rng(5).normal(size=y.shape)
    g: Any = weights
    for layer in reversed(layers):
        g = layer.backward(g)
    gradient = [
        (layer.parameters[name], layer.gradients[name].copy())
        for layer in layers
        for name in layer.parameters
    ]
    starts = [array.copy() for array, _ in gradient]
    norm = float(np.sqrt(sum(float((slope**2).sum()) for _, slope in gradient)))
    size = float(np.sqrt(sum(float((start**2).sum()) for start in starts)))
    if not norm:
        return 0.0 if not size else np.inf

    def told(step: float) -> float:
        for (array, slope), start in zip(gradient, starts, strict=True):
            array[...] = start + step / norm * slope
        return float((answers() * weights).sum())

    least = np.inf
    for step in (size * 10.0**-power for power in (7, 8, 6, 9, 5, 10, 4, 11)):
        slope = (told(step) - told(-step)) / (2 * step)
        least = min(least, abs(slope - norm) / norm)
        if least < SLOPE_WITHIN / 100:
            break
    return least


def main(words: list[str]) -> None:
    seconds, path, *rest = words
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
    given = {}
    for word in rest:
        name, _, sizes = word.rpartition("=")
        given[name] = tuple(map(int, sizes.split("x"))) if sizes else ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the packages told of is not this campaign's matter
        json.dump(trial(Path(path), given), sys.stdout)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
