"""Shape inference: what a node of an ONNX graph makes of arrays of some shapes, without computing all of it.

An array is stood in for by one value, repeated without memory. Most operators treat all values, maps or
samples alike: they are computed for one of each, by the operators themselves, and what comes out is repeated
as often. Convolutions and products have formulas. Any other operator is for the caller to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array, Shape
from purecnn.errors import PureCNNError
from purecnn.onnx.cost import Budget
from purecnn.onnx.operators.convolution import convolvable, transposed_window
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.operators.window import window
from purecnn.onnx.runtime import Runtime

#: Numbers of samples for which a condition must be the same to be one of their shape alone.
SAMPLES = (1, 3, 7)
#: Branches within each other whose conditions are looked at.
MAX_DEPTH = 20
#: Operators whose every value is computed of one value of each input, whose shapes are broadcast.
# fmt: off
BROADCAST = frozenset([
    "Abs", "Add", "And", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp",
    "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "LogSoftmax", "Max", "Mean", "Min", "Mish", "Mul", "Neg", "Not", "Or",
    "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Where", "Xor",
])
# fmt: on
#: Operators that treat all maps of (N, C, ...) alike, whatever else they are given.
BY_MAP = frozenset(
    [
        "AveragePool",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "InstanceNormalization",
        "LpPool",
        "MaxPool",
    ]
)
#: Operators that treat all values of a map alike, and have numbers for each channel.
BY_CHANNEL = frozenset(["BatchNormalization"])

#: Of how many inputs the numbers matter, where it is not of all.
READ = {"CastLike": 1, "Shape": 0, "Size": 0}

#: Shape and dtype of a value.
Kind = tuple[Shape, np.dtype[Any]]
Inputs = Sequence[Array | None]
Rule = Callable[[OperatorCall, Inputs, Budget], Array | None]


def infer_shapes(graph: Runtime, given: Mapping[str, Kind], budget: Budget) -> Iterator[dict[str, Array]]:
    """Yield arrays of the shapes and dtypes of all values of a graph, first of its inputs, then node by node.

    Parameters
    ----------
    graph : Runtime
        The graph.
    given : mapping of str to (shape, dtype)
        What the inputs would be.
    budget : Budget
        What all nodes may take.

    Notes
    -----
    What depends on the inputs' numbers is computed, of zeros, only where no rule says its shape.
    """
    data = dependent(graph, given)

    def infer(call: OperatorCall, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        inputs = call.node.inputs
        if data.intersection(inputs):
            found = inferred(call, [values[name] if name else None for name in inputs], budget)
            if found is not None:
                return {call.node.outputs[0]: found}
        return graph.compute(call, values, budget)

    for shape, dtype in given.values():
        budget.claim(shape, dtype, passes=0)  # the file may say anything
    inputs = {name: stand_in(shape, dtype) for name, (shape, dtype) in given.items()}
    yield inputs
    yield from graph.walk({**graph.constants, **inputs}, budget, compute=infer)


def specialized(graph: Runtime, sample: Shape) -> Runtime:
    """Return a graph in which each `If` that the sample's shape decides has given its place to a branch.

    As when PyTorch drops an axis of length one: whether there is one is asked of the shape, in the graph. An
    array cast to the dtype of a value is known likewise, as the biases of zeros that PyTorch makes so.

    Parameters
    ----------
    graph : Runtime
        A graph of one input.
    sample : tuple of int
        Shape of one sample. What also depends on their number is left as it is.
    """
    folding = graph.folding()
    for _ in range(MAX_DEPTH if len(graph.inputs) == 1 else 0):
        value = graph.inputs[0]
        asked = {call.node.inputs[0] for call in graph.calls if call.node.operator == "If"}
        asked |= {call.node.outputs[0] for call in graph.calls if call.node.operator == "CastLike"}
        asked -= dependent(graph, [value.name])
        found: list[dict[str, Any]] = []
        for samples in (value.batch,) if value.batch else SAMPLES:
            kind = (samples, *sample), value.dtype or np.dtype(np.float32)
            found.append({})
            with suppress(PureCNNError):  # what is known until then may be enough
                for made in infer_shapes(graph, {value.name: kind}, graph.budget()) if asked else ():
                    found[-1].update({name: array for name, array in made.items() if name in asked})
        first, *others = found
        known = {
            name: array
            for name, array in first.items()
            if all(name in other and np.array_equal(array, other[name]) for other in others)
        }
        if not known:
            break
        graph = graph.knowing(known, folding)
    return graph


def dependent(graph: Runtime, inputs: Iterable[str]) -> set[str]:
    """Return the values that depend on the numbers of some inputs, not on their shapes alone."""
    found = {*inputs}
    for call in graph.calls:
        names = call.node.inputs[: READ.get(call.node.operator)]
        if found.intersection(names):
            found.update(name for name in call.node.outputs if name)
    return found


def kinds_of(values: Mapping[str, Any]) -> dict[str, Kind]:
    """Return the shapes and dtypes of those values that are arrays."""
    return {name: (v.shape, v.dtype) for name, v in values.items() if isinstance(v, np.ndarray)}


def stand_in(shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
    """Return zeros that take no memory."""
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))


def inferred(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """Return an array of the shape and dtype of a node's one output; None where the node is to be computed.

    Parameters
    ----------
    call : OperatorCall
        The node.
    inputs : sequence of ndarray or None
        What it is given; its values count only where they say how large something is.
    budget : Budget
        From which the output is claimed, though it takes no memory: what would be too large is refused.

    Raises
    ------
    FileFormatError, ShapeError
        If the inputs are none that the operator can take.
    """
    node = call.node
    rule = None if node.domain or call.outputs > 1 else RULES.get(node.operator)
    if rule is None or any(array is not None and not array.size for array in inputs):
        return None
    try:
        with np.errstate(all="ignore"):
            found = rule(call, inputs, budget)
    except (ValueError, TypeError, IndexError, AttributeError):  # the operator says what is wrong
        return None
    if found is not None:
        budget.begin(len(inputs) + 1)
        budget.claim(found.shape, found.dtype, passes=0)
    return found


def first_of(array: Array, kept: Sequence[int] = ()) -> Array:
    """Return an array of as many axes with one place along each, but for those that are kept."""
    return array[tuple(slice(None) if axis in kept else slice(1) for axis in range(array.ndim))]


def broadcast(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """One value of each."""
    if call.version < 7 and len(inputs) > 1:  # where an axis may say how they lie on each other
        return None
    shape = np.broadcast_shapes(*(array.shape for array in inputs if array is not None))
    (found,) = call([None if array is None else first_of(array) for array in inputs], budget)
    return np.broadcast_to(found, shape) if found.size == 1 else None


def by_map(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """One map of one sample; numbers for each channel are cut likewise."""
    x, *more = inputs
    if x is None or x.ndim < 3:
        return None
    cut = [x[:1, :1], *(array if array is None else array[:1] for array in more)]
    if any(array is not None and array.shape != x.shape[1:2] for array in more):
        return None
    (found,) = call(cut, budget)
    return np.broadcast_to(found, (*x.shape[:2], *found.shape[2:]))


def by_channel(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """One value of each channel."""
    x, *more = inputs
    if x is None or x.ndim < 2:
        return None
    found = call([first_of(x, [1]), *more], budget)[0]
    return np.broadcast_to(found, x.shape)


def convolution(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """(N, C, ...) and kernels (M, C / groups, ...) -> (N, M, ...)."""
    x, w, *biases = inputs
    if x is None or w is None:
        return None
    convolvable(x, w, biases[0] if biases else None, call.integer("group", 1))
    if list(call.integers("kernel_shape", w.shape[2:])) != list(w.shape[2:]):
        return None
    over = window(call, x.shape[2:], w.shape[2:])
    return stand_in((x.shape[0], w.shape[0], *over.sizes), x.dtype)


def transposed_convolution(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """(N, C, ...) and kernels (C, M / groups, ...) -> (N, M, ...)."""
    x, w, *biases = inputs
    if x is None or w is None:
        return None
    groups = call.integer("group", 1)
    convolvable(x, w, biases[0] if biases else None, groups, turned=True)
    over = transposed_window(call, x.shape[2:], w.shape[2:])
    return stand_in((x.shape[0], w.shape[1] * groups, *over.sizes), x.dtype)


def product(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """One row times one column: what lies between them is summed, and must be as long."""
    a, b, *added = inputs
    if a is None or b is None or a.ndim < 2 or b.ndim < 2:
        return None
    gemm = call.node.operator == "Gemm"
    rows, summed = (-1, -2) if gemm and call.integer("transA", 0) else (-2, -1)
    columns, other = (-2, -1) if gemm and call.integer("transB", 0) else (-1, -2)
    if a.shape[summed] != b.shape[other] or a.dtype != b.dtype:
        return None
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*stack, a.shape[rows], b.shape[columns])
    for array in added:
        if array is not None and np.broadcast_shapes(array.shape, shape) != shape:
            return None
    return stand_in(shape, a.dtype)


def concatenation(call: OperatorCall, inputs: Inputs, budget: Budget) -> Array | None:
    """Of images; lists of numbers say sizes."""
    arrays = [array for array in inputs if array is not None]
    if len(arrays) < len(inputs) or min(array.ndim for array in arrays) < 3:
        return None
    axis = call.axis(call.integer("axis", 1), arrays[0].ndim)
    (found,) = call([first_of(array, [axis]) for array in arrays], budget)
    around = {(*array.shape[:axis], *array.shape[axis + 1 :]) for array in arrays}
    if len(around) > 1:
        return None
    shape = [*arrays[0].shape]
    shape[axis] = found.shape[axis]
    return stand_in(shape, found.dtype)


RULES: dict[str, Rule] = {
    **dict.fromkeys(BROADCAST, broadcast),
    **dict.fromkeys(BY_MAP, by_map),
    **dict.fromkeys(BY_CHANNEL, by_channel),
    "Concat": concatenation,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Gemm": product,
    "MatMul": product,
}
