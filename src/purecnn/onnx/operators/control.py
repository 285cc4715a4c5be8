"""ONNX operators: control flow.

What computes one of two graphs, or one graph again and again. Values from outside that these use are further
inputs of their node; see `subgraphs`.

https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.operators.registry import OperatorCall, operator

#: The graphs of an `If`, for a condition that holds and for one that does not.
BRANCHES = ("then_branch", "else_branch")
#: Bytes that a small array takes besides its values, in a list of what each turn of a loop gave.
OBJECT = 128


@operator("If")
def choose(call: OperatorCall, condition: Array) -> Any:
    """What one of two graphs gives: the first where the condition holds."""
    return call.bodies[BRANCHES[not holds(condition)]].answers(call.outside, call.budget)


def holds(condition: Array) -> bool:
    """Return whether a condition holds."""
    if condition.dtype != np.bool_ or condition.size != 1:
        raise ShapeError(
            f"the condition is {condition.dtype} of shape {condition.shape}, wanted one value of bool"
        )
    return bool(condition.reshape(())[()])


class Turns:
    """A graph that is computed turn by turn, what it carries on and what it gives each time.

    Parameters
    ----------
    call : OperatorCall
        The node, whose graph is `body`.
    carried : sequence of ndarray
        What the first turn is given; each gives the next one as many.
    """

    def __init__(self, call: OperatorCall, carried: Sequence[Any]) -> None:
        self.call, self.body, self.carried = call, call.bodies["body"], list(carried)
        self.names = [value.name for value in self.body.model.inputs]
        self.kept, self.held = call.budget.kept, 0
        #: Of each further output, what every turn gave.
        self.given: list[list[Array]] = []

    def turn(self, before: Sequence[Any], behind: Sequence[Any], first: int) -> tuple[Any, ...]:
        """Compute a turn, of what lies before and behind what is carried; return its first outputs."""
        call, inputs = self.call, [*before, *self.carried, *behind]
        call.budget.begin(len(inputs))
        found = self.body.answers(
            {**call.outside, **dict(zip(self.names, inputs, strict=False))}, call.budget
        )
        ends = first + len(self.carried)
        self.carried = list(found[first:ends])
        self.given = self.given or [[] for _ in found[ends:]]
        for kept, array in zip(self.given, found[ends:], strict=True):
            if kept and (array.shape, array.dtype) != (kept[0].shape, kept[0].dtype):
                raise ShapeError(
                    f"a turn gives {array.dtype} of shape {array.shape}, the first {kept[0].dtype} of shape "
                    f"{kept[0].shape}"
                )
            kept.append(array)
            self.held += array.nbytes + OBJECT
        call.budget.kept = self.kept + self.held + sum(array.nbytes for array in self.carried)
        call.budget.making = 0
        call.claim((0,), np.uint8)  # refused where what is kept is too much
        return tuple(found[:first])

    def outputs(self, first: int, axes: Sequence[int], flipped: Sequence[int]) -> tuple[Any, ...]:
        """Return what was carried last, and what all turns gave, along an axis each."""
        call, stacked = self.call, []
        values = self.body.outputs[first + len(self.carried) :]
        for place, value in enumerate(values):
            parts = self.given[place] if self.given else []
            if parts:
                shape, dtype = parts[0].shape, parts[0].dtype
            elif value.dtype is None:
                raise ShapeError(f"no turn is computed, and the file says no dtype of {value.name!r}")
            else:
                shape = tuple(size if isinstance(size, int) else 0 for size in value.shape or ())
                dtype = value.dtype
            axis = call.axis(axes[place] if place < len(axes) else 0, len(shape) + 1)
            whole = np.empty(call.claim((len(parts), *shape), dtype), dtype)
            for number, part in enumerate(reversed(parts) if place in flipped else parts):
                whole[number] = part
            stacked.append(np.moveaxis(whole, 0, axis))
        outputs = (*self.carried, *stacked)
        call.budget.kept, call.budget.making = self.kept, sum(array.nbytes for array in outputs)
        return outputs


@operator("Loop")
def loop(
    call: OperatorCall, trips: Array | None = None, condition: Array | None = None, *carried: Any
) -> Any:
    """A graph computed so often, and as long as a condition holds."""
    if trips is not None and (trips.dtype != np.int64 or trips.size != 1):
        raise ShapeError(f"the number of turns is {trips.dtype} of shape {trips.shape}, wanted one of int64")
    most = None if trips is None else int(trips.reshape(())[()])
    going, turns = condition is None or holds(condition), Turns(call, carried)
    for number in itertools.count():
        if not going or (most is not None and number >= most):
            break
        (condition,) = turns.turn([np.array(number, np.int64), np.array(going)], (), 1)
        going = holds(condition)
    return turns.outputs(1, (), ())


@operator("Scan", since=9)
def scan(call: OperatorCall, *inputs: Any) -> Any:
    """A graph computed for each place along an axis of some inputs, which carries others on."""
    taken, count = call.integer("num_scan_inputs"), len(inputs)
    carried, scanned = inputs[: count - taken], inputs[count - taken :]
    axes = call.integers("scan_input_axes", [0] * taken)
    backward = call.integers("scan_input_directions", [0] * taken)
    moved = [np.moveaxis(x, call.axis(axis, x.ndim), 0) for x, axis in zip(scanned, axes, strict=True)]
    lengths = {len(x) for x in moved}
    if len(lengths) > 1:
        raise ShapeError(f"the scanned axes have lengths {sorted(lengths)}, wanted one")
    moved = [x[::-1] if turned else x for x, turned in zip(moved, backward, strict=True)]
    turns = Turns(call, carried)
    for place in range(lengths.pop()):
        turns.turn((), [np.asarray(x[place]) for x in moved], 0)
    given = len(turns.body.outputs) - len(carried)
    flipped = call.integers("scan_output_directions", [0] * given)
    places = [place for place, turned in enumerate(flipped) if turned]
    return turns.outputs(0, call.integers("scan_output_axes", [0] * given), places)


@operator("Scan")
def scan_by_sample(call: OperatorCall, lengths: Array | None = None, *inputs: Any) -> Any:
    """The same for each sample of a batch, which in operator set 8 was the first axis of all inputs."""
    if lengths is not None:
        raise FileFormatError("samples have lengths of their own, wanted all places of each")
    sizes = {len(x) for x in inputs if x.ndim}
    if len(sizes) != 1 or any(not x.ndim for x in inputs):
        raise ShapeError(f"the inputs have {sorted(sizes)} samples, wanted one number")
    own = OperatorCall(call.node, 9, call.max_bytes)
    own.budget, own.bodies, own.outside = call.budget, call.bodies, call.outside
    found, kept = [], call.budget.kept
    for sample in range(sizes.pop()):
        found.append(scan(own, *(np.asarray(x[sample]) for x in inputs)))
        call.budget.kept += sum(array.nbytes for array in found[-1])
    if not found:
        raise ShapeError("there are no samples, wanted at least one")
    outputs = tuple(np.stack(parts) for parts in zip(*found, strict=True))
    call.budget.kept, call.budget.making = kept, sum(array.nbytes for array in outputs)
    return outputs
