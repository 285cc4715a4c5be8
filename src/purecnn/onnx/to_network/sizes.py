"""Sizes that a graph computes of the shapes of its values: where a slice ends, into what something is cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from purecnn.backend.types import Array, Shape
from purecnn.errors import PureCNNError
from purecnn.onnx.cost import Budget
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.runtime import Runtime
from purecnn.onnx.shape_inference import stand_in

#: Nodes that lead to a size at most.
MAX_STEPS = 100
#: Values in what they compute at most.
MAX_VALUES = 1000


class Sizes:
    """What depends on the shapes of a graph's values alone.

    Parameters
    ----------
    graph : Runtime
        The graph.
    makers : dict of str to OperatorCall
        By each value the node that makes it.
    shapes : dict of str to tuple of int
        The shapes of all values, of so many samples.
    data : set of str
        The values that depend on the input's numbers.
    samples : int
        How many.
    """

    def __init__(
        self,
        graph: Runtime,
        makers: Mapping[str, OperatorCall],
        shapes: Mapping[str, Shape],
        data: set[str],
        samples: int,
    ) -> None:
        self.graph, self.makers, self.shapes, self.data = graph, makers, shapes, data
        self.samples = samples

    def value(self, name: str) -> Array | None:
        """Return a value that the shapes of samples decide; None where the batch or the input does."""
        found = [self.computed(name, samples) for samples in (self.samples, self.samples + 4)]
        one, other = found
        alike = (
            one is not None and other is not None and one.shape == other.shape and bool((one == other).all())
        )
        return one if alike else None

    def shape(self, name: str) -> Array | None:
        """Return a shape whose first number is that of samples, the others decided by their shapes."""
        one, other = (self.computed(name, samples) for samples in (self.samples, self.samples + 4))
        if one is None or other is None or one.shape != other.shape or one.ndim != 1 or not len(one):
            return None
        of_samples = (int(one[0]), int(other[0])) == (self.samples, self.samples + 4)
        return one if of_samples and bool((one[1:] == other[1:]).all()) else None

    def computed(self, name: str, samples: int) -> Array | None:
        """Return a value for some number of samples."""
        calls: dict[int, OperatorCall] = {}
        waiting = [name]
        while waiting:
            call = self.makers.get(waiting.pop())
            if call is None or call.node.place in calls:
                continue
            if len(calls) == MAX_STEPS:
                return None
            calls[call.node.place] = call
            waiting += [given for given in call.node.inputs if given not in self.data]
        values: dict[str, Any] = {}
        order = {id(call): place for place, call in enumerate(self.graph.calls)}
        for call in sorted(calls.values(), key=lambda call: order[id(call)]):
            for given in call.node.inputs:
                if given in self.data:
                    if call.node.operator not in ("Shape", "Size") or given not in self.shapes:
                        return None
                    first, *rest = self.shapes[given] or (0,)
                    shape = (samples if first == self.samples else first, *rest) if self.shapes[given] else ()
                    values[given] = stand_in(shape, "float32")
                elif given and given not in values:
                    if given not in self.graph.constants:
                        return None
                    values[given] = self.graph.constants[given]
            try:
                values.update(self.graph.compute(call, values, Budget.of(1 << 20)))
            except PureCNNError:
                return None
        found = values.get(name)
        return found if found is not None and found.size <= MAX_VALUES else None
