"""Layers found in a graph.

A graph of layers in a row and of branches that nest can be trained: this finds the ways through it.

It goes back from the output, as `layers.composites.nesting` does for any graph. An activation is known by its
values: whatever operators it is made of, it is computed at some points and compared. Shapes are those of a
run on zeros, most of which is inferred.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError, PureCNNError
from purecnn.kernels.cost import FREE
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import MAX_PATHS, Meeting, Nesting, Segment
from purecnn.onnx.cost import Budget
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.runtime import Runtime
from purecnn.onnx.shape_inference import Kind, dependent, infer_shapes, kinds_of
from purecnn.onnx.to_network.activations import POINTS, named
from purecnn.onnx.to_network.normalization import Matcher
from purecnn.onnx.to_network.sizes import Sizes

#: The samples of a run whose shapes are looked at: no size that an axis without samples often has.
SAMPLES = 3
#: Nodes in all.
MAX_NODES = 10_000
#: Operators that merge branches where all that they are given depends on the graph's input, and how.
MERGING = {
    "Add": "add",
    "Concat": "concatenate",
    "Max": "maximum",
    "Mean": "mean",
    "Mul": "multiply",
    "Sub": "subtract",
    "Sum": "add",
}
#: Operators that an activation may be made of, all of one number each.
ELEMENTWISE = frozenset(
    [
        "Abs",
        "Add",
        "Cast",
        "Celu",
        "Clip",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "Greater",
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "Not",
        "Pow",
        "Reciprocal",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Swish",
        "Sum",
        "Tanh",
        "ThresholdedRelu",
        "Where",
    ]
)
#: Operators without parameters, which another path may compute again.
FREE_OPERATORS = ELEMENTWISE | {
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "MaxPool",
    "Pad",
    "ReduceMax",
    "ReduceMean",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
#: Those of them that hold values from some number to another.
LIMITS = frozenset({"Clip", "Max", "Min"})
#: As many operators has the longest of them, with room.
LONGEST = 12
#: So often it is tried whether some of them compute an activation: a graph of nothing else has no end.
MAX_TRIALS = 3500
#: What a node is called that takes one of the parts which a Split cuts its input into: no name of ONNX's.
PART = "Part"


@dataclass(frozen=True)
class Woven:
    """Paths that cross: values made one after the other, the last of them the only one that is wanted behind.

    Attributes
    ----------
    start : str
        The value at which they part.
    segments : list of Segment
        The others, in order.
    """

    start: str
    segments: list[Segment]

    @property
    def value(self) -> str:
        """The last of them."""
        return self.segments[-1].value


Step = OperatorCall | Layer | Meeting | Woven


class NodeRefusedError(FileFormatError):
    """A node that can't become a layer.

    Attributes
    ----------
    place : int
        Its number in the file.
    """

    place = -1


def refuse(call: OperatorCall, why: str) -> NoReturn:
    """Say which node prevents it."""
    error = NodeRefusedError(f"{call.node} can't become a layer: {why}")
    error.place = call.node.place
    raise error


class LayerFinder(Nesting):
    """Where values of a graph come from, what shapes they have, and the ways through it.

    Parameters
    ----------
    graph : Runtime
        The graph.
    shape : tuple of int
        Shape of one sample.
    kinds : mapping of str to (shape, dtype), optional
        What its values are for `SAMPLES` samples, or as many as it fixes; found by a run if left out.
    weaves : bool
        Whether there is a step for paths that cross.
    """

    def __init__(
        self, graph: Runtime, shape: Shape, kinds: Mapping[str, Kind] | None = None, weaves: bool = False
    ) -> None:
        self.weaves = weaves
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise FileFormatError(
                f"a network has one input and one output, the graph has {len(graph.inputs)} and "
                f"{len(graph.outputs)}" + "; output= names the one that is wanted" * (len(graph.outputs) > 1)
            )
        if len(graph.calls) > MAX_NODES:
            raise FileFormatError(f"a network is made of at most {MAX_NODES} nodes, got {len(graph.calls)}")
        self.graph, self.shape, self.input = graph, shape, graph.inputs[0]
        self.samples = self.input.batch or SAMPLES
        self.trials, self.budget = 0, graph.budget()
        #: Values that depend on the input's numbers, not on its shape alone.
        self.data = dependent(graph, [self.input.name])
        kinds, output = self.probe() if kinds is None else kinds, graph.outputs[0].name
        if output not in kinds:
            raise FileFormatError(f"the output {output!r} does not depend on the input")
        self.shapes, kind = {name: shape for name, (shape, _) in kinds.items()}, kinds[output][1]
        self.dtypes = {name: dtype for name, (_, dtype) in kinds.items()}
        if self.shapes[output][:1] != (self.samples,):
            raise FileFormatError(
                f"the output {output!r} of {self.samples} samples has shape {self.shapes[output]}"
            )
        if kind not in (np.float32, np.float64):
            raise FileFormatError(f"the output is {kind}, a network's is float32 or float64")
        self.dtype = kind
        self.makers = {name: call for call in graph.calls for name in call.node.outputs if name}
        self.order = {name: place for place, name in enumerate([self.input.name, *self.makers])}
        self.sizes = Sizes(graph, self.makers, self.shapes, self.data, self.samples)
        made = {name: call for name, call in self.makers.items() if name in self.data}
        merges = {name: merge for name, call in made.items() if (merge := self.merge_of(call))}
        sources = {name: self.sources_of(call) for name, call in made.items()}
        super().__init__(self.input.name, self.graph.outputs[0].name, sources, merges)

    def probe(self) -> dict[str, Kind]:
        """Return the shape and dtype of every value, for some samples."""
        kinds: dict[str, Kind] = {}
        given = {self.input.name: ((self.samples, *self.shape), self.input.dtype or np.dtype(np.float32))}
        for made in infer_shapes(self.graph, given, self.budget):
            kinds.update(kinds_of(made))
        return kinds

    def merge_of(self, call: OperatorCall) -> str | None:
        """Return how a node merges branches, None where it does not: adds biases, say, or joins samples."""
        merge = None if call.node.domain else MERGING.get(call.node.operator)
        if merge is None or not self.data.issuperset(call.node.inputs):
            return None
        axes = len(self.shapes.get(call.node.outputs[0], ()))
        if merge == "concatenate" and call.integer("axis", 1) in (0, -axes):
            return None
        return merge

    def sources_of(self, call: OperatorCall) -> list[str]:
        """Return which inputs of a node depend on the input's numbers."""
        return [name for name in call.node.inputs if name in self.data]

    def refuse(self, value: str, why: str) -> NoReturn:
        """Say which node prevents it."""
        refuse(self.makers[value], why)

    def called(self, value: str) -> str:
        """Return what a message calls a node."""
        return str(self.makers[value].node)

    def divisor(self, value: str) -> int:
        """Return by which whole number a sum is divided, 0 where it is not, or is wanted elsewhere too."""
        users = self.users.get(value, ())
        if self.merges.get(value) != "add" or len(users) != 1:
            return 0
        call = self.makers[users[0]]
        arrays = [self.graph.constants.get(name) for name in call.node.inputs if name != value]
        if call.node.domain or len(arrays) != 1 or arrays[0] is None or arrays[0].size != 1:
            return 0
        number = float(arrays[0].reshape(()))
        if call.node.operator == "Mul" and number:
            number = 1 / number
        elif call.node.operator != "Div" or call.node.inputs[0] != value:
            return 0
        return round(number) if 1 < number < MAX_PATHS and abs(number - round(number)) < 1e-6 * number else 0

    def most_paths(self, value: str) -> int:
        """Return into how many paths a merge is opened up: as many as a mean divides by."""
        return self.divisor(value) or MAX_PATHS

    def step(self, value: str) -> OperatorCall:
        """Return the node that makes a value of one other."""
        return self.makers[value]

    def check_apart(self, ends: Sequence[str], fork: str) -> None:
        """Let ways have values in common: these are merged first, or computed again."""

    def woven(self, start: str, segments: list[Segment]) -> Woven:
        """Return the step of paths that cross."""
        return Woven(start, segments)

    def is_free(self, value: str) -> bool:
        """Return whether a value may be made again: it is a function of another one, without parameters."""
        call = self.makers[value]
        free = not call.node.domain and call.node.operator in FREE_OPERATORS
        return free and value not in self.merges and len(self.sources_of(call)) == 1

    def steps(self) -> list[Step]:
        """Return the steps from the input to the output."""
        output = self.graph.outputs[0].name
        if output not in self.data:
            raise FileFormatError(f"the output {output!r} does not depend on the input's numbers")
        return self.way(output, self.input.name)

    def pattern(self, value: str, start: str) -> tuple[Step, str] | None:
        """Return the activation, or the PRelu or normalization of several nodes, that a value is made by."""
        call = self.makers[value]
        if call.node.operator == "Split" and not call.node.domain:
            return self.part(call, value), call.node.inputs[0]
        if call.node.outputs[0] != value:
            refuse(call, f"its output {value!r} is not the first")
        sloped = self.sloped(call)
        if sloped:
            return sloped, sloped.node.inputs[0]
        whole = Matcher(self.makers, self.graph.constants, self.shapes).normalization(call)
        return whole or self.activation(call, value, start)

    def part(self, call: OperatorCall, value: str) -> OperatorCall:
        """Return one output of a Split as a node that takes that part of its input."""
        axis = call.axis(call.integer("axis", 0), len(self.shapes[value]))
        sizes = [self.shapes[name][axis] for name in call.node.outputs if name]
        place = [name for name in call.node.outputs if name].index(value)
        start = sum(sizes[:place])
        held = {"starts": [start], "ends": [start + sizes[place]], "axes": [axis]}
        found = copy.copy(call)
        found.node = replace(call.node, operator=PART, outputs=(value,), attributes=held)
        return found

    # Activations ------------------------------------------------------------------------------------------

    def activation(self, call: OperatorCall, value: str, start: str) -> tuple[Layer, str] | None:
        """Return the activation that ends at a value, and the value that it is computed of.

        Limits may follow each other, a ReLU6 after a ReLU: of them the longest is taken.
        """
        region: list[OperatorCall] = []
        longest: tuple[Layer, str] | None = None
        source = value
        while source != start and len(region) < LONGEST:
            maker = self.makers.get(source)
            if maker is None:
                return longest
            first = self.dominators.common(self.sources_of(maker))
            # All nodes between the two: they, and nothing else, lead from one to the other.
            waiting, met = [source], set()
            while waiting:
                name = waiting.pop()
                if name == first or name in met:
                    continue
                met.add(name)
                node = self.makers.get(name)
                if node is None or not self.is_elementwise(node) or len(region) >= LONGEST:
                    return longest
                if node not in region:
                    region.append(node)
                waiting += self.sources_of(node)
            self.trials += 1
            if self.trials > MAX_TRIALS:
                refuse(call, f"more than {MAX_TRIALS} groups of nodes may be activations")
            found = self.known(region, first, value)
            if found is not None:
                longest = found, first
                if not all(node.node.operator in LIMITS for node in region):
                    return longest
            source = first
        return longest

    def sloped(self, call: OperatorCall) -> OperatorCall | None:
        """Return max(x, 0) + slopes min(x, 0), a PRelu in our float64 files and in Keras's, as that."""
        parts = [self.makers[name] for name in call.node.inputs if name in self.makers]
        if [part.node.operator for part in (call, *parts)] != ["Add", "Relu", "Mul"]:
            return None
        relu, product = parts
        low, slopes = product.node.inputs
        least = self.makers.get(low)
        x = relu.node.inputs[0]
        zero = self.graph.constants.get(least.node.inputs[-1]) if least else None
        if (
            least is None
            or least.node.operator != "Min"
            or least.node.inputs[:-1] != (x,)
            or zero is None
            or zero.any()
            or zero.size != 1
            or slopes not in self.graph.constants
        ):
            return None
        node = replace(call.node, operator="PRelu", inputs=(x, slopes), attributes={})
        return OperatorCall(node, call.version, call.max_bytes)

    def is_elementwise(self, call: OperatorCall) -> bool:
        """Return whether a node computes each value by itself, with constants of one number."""
        constants = [name for name in call.node.inputs if name and name not in self.data]
        return (
            not call.node.domain
            and call.node.operator in ELEMENTWISE
            and all(
                name in self.graph.constants and self.graph.constants[name].size == 1 for name in constants
            )
        )

    def known(self, region: list[OperatorCall], first: str, last: str) -> Layer | None:
        """Return the activation that some nodes compute, None if it is none of this package's."""
        points = POINTS.astype(self.dtype)
        values, budget = {first: points}, Budget.of(FREE)
        for call in sorted(region, key=lambda call: self.order[call.node.outputs[0]]):
            constants = {
                name: self.graph.constants[name].reshape(())
                for name in call.node.inputs
                if name not in self.data and name
            }
            try:
                values.update(self.graph.compute(call, values | constants, budget))
            except (PureCNNError, KeyError):
                return None
        found = values[last]
        if found.shape != points.shape or found.dtype != points.dtype:
            return None
        return named(points, found)
