"""The runtime of ONNX graphs: one operator after the other, each value let go after its last use.

`Graph` adds what a network of the same layers can do.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend import blas
from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.escapes import visible
from purecnn.onnx.cost import Budget
from purecnn.onnx.model import Maps, Model, Value, in_order
from purecnn.onnx.operators import (  # noqa: F401 - operators are known once they are imported
    activation,
    classical,
    control,
    convolution,
    einsum,
    elementwise,
    pooling,
    recurrent,
    reduction,
    regions,
    resize,
    sampling,
    scattering,
    selection,
    shape,
    slicing,
)
from purecnn.onnx.operators.control import BRANCHES, holds
from purecnn.onnx.operators.quantized import microsoft, quantization, sequences  # noqa: F401
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.subgraphs import inlined, models_within

#: Bytes that the arrays of a graph may take at a time, if not said otherwise.
MAX_BYTES = 2**31
#: Bytes of values that depend on no input, made when a graph is loaded, and bytes gone over for them.
FOLDED, FOLDING = 2**24, 2**30
#: Sets of inputs in place of a file's arrays for which what depends on no input is kept.
VARIANTS = 4

Compute = Callable[[OperatorCall, Mapping[str, Any], Budget], dict[str, Any]]


@dataclass(frozen=True)
class Part(ABC):
    """Nodes of a graph that are computed together.

    Attributes
    ----------
    source, value : str
        What goes in, and what comes out.
    places : frozenset of int
        Which of the graph's calls they are.
    first : int
        The first of them.
    """

    source: str
    value: str
    places: frozenset[int]
    first: int

    @abstractmethod
    def takes(self, array: Array) -> bool:
        """Return whether it can be computed of such an array."""

    @abstractmethod
    def compute(self, array: Array, budget: Budget, threads: int | None) -> Array:
        """Return the value that comes out, claimed from what a run may take."""


class Runtime:
    """Operators in an order in which they can run, and the values that are known before.

    Parameters and attributes are those of `Graph`, but for what concerns layers.

    Parameters
    ----------
    given : collection of str
        Inputs that the file has arrays for, and that the caller gives nevertheless: what depends on them is
        computed in each run.
    folding : Budget, optional
        What may be taken to compute what depends on no input, if it is not for this graph alone.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def __init__(
        self,
        model: Model,
        *,
        max_bytes: int = MAX_BYTES,
        max_work: int | None = None,
        given: frozenset[str] = frozenset(),
        folding: Budget | None = None,
    ) -> None:
        self.model, self.max_bytes, self.max_work, self.given = model, max_bytes, max_work, given
        self.outputs = model.outputs
        self.metadata = dict(model.metadata)
        self.inputs = tuple(value for value in model.inputs if value.name not in model.arrays)
        self.constants = dict(model.arrays)
        model.check_names()
        self.nodes = in_order(model.nodes, {*self.constants, *(value.name for value in model.inputs)})
        self.calls = [OperatorCall(node, model.version_of(node.domain), max_bytes) for node in self.nodes]
        self._variants: dict[frozenset[str], Runtime] = {}
        folding = folding or self.folding()
        for call in self.calls:
            for name, body in models_within(call.node, model).items():
                try:
                    taken = frozenset(value.name for value in body.inputs)
                    call.bodies[name] = Runtime(body, max_bytes=max_bytes, given=taken, folding=folding)
                except FileFormatError as error:
                    raise FileFormatError(f"the graph {name!r} of {call.node}: {error}") from None
        with blas.single_threaded(warns=False):
            self._fold(folding)

    def _fold(self, budget: Budget) -> None:
        """Compute what depends on the file's arrays alone, where it is small, and run it no more.

        Where it is the condition of an `If`, the branch takes the node's place.
        """
        known = self.constants.keys() - self.given
        taken = {*known, *(name for call in self.calls for name in call.node.outputs)}
        rest, waiting = [], deque(self.calls)
        while waiting:
            call = waiting.popleft()
            branch = self._branch(call, known)
            if branch is not None:
                calls, arrays = inlined(call, branch, taken)
                self.constants.update(arrays)
                known |= arrays.keys()
                taken |= {*arrays, *(name for each in calls for name in each.node.outputs)}
                waiting.extendleft(reversed(calls))
                continue
            if {*call.node.inputs} - {""} <= known:
                kept = budget.kept
                try:
                    found = self.compute(call, self.constants, budget)
                except ShapeError:
                    found, budget.kept = None, kept  # too large, or wrong: said when it is run
                if found is not None and not any(isinstance(value, Maps) for value in found.values()):
                    budget.kept += sum(array.nbytes for array in found.values())
                    self.constants.update(found)
                    known |= found.keys()
                    continue
            rest.append(call)
        self.calls = rest
        wanted = {value.name for value in self.outputs}
        last: dict[str, int] = {}
        for place, call in enumerate(rest):
            last.update(dict.fromkeys((*call.node.inputs, *call.node.outputs), place))
        self._finished: list[list[str]] = [[] for _ in rest]
        for name, place in last.items():
            if name and name not in wanted:
                self._finished[place].append(name)
        for array in self.constants.values():
            array.flags.writeable = False  # a branch may give one as it is
        self._owners = frozenset(id(owner(array)) for array in self.constants.values())

    def _branch(self, call: OperatorCall, known: Set[str]) -> Runtime | None:
        """Return the branch of an `If` whose condition is known, None of any other node."""
        node = call.node
        if node.operator != "If" or node.domain or node.inputs[0] not in known:
            return None
        try:
            body: Runtime = call.bodies[BRANCHES[not holds(self.constants[node.inputs[0]])]]
        except ShapeError:  # said when it is run
            return None
        return body

    def answers(self, inputs: Mapping[str, Any], budget: Budget) -> tuple[Any, ...]:
        """Return the outputs, of a graph within a node, for the values from outside and its inputs."""
        values = {**self.constants, **{v.name: inputs[v.name] for v in self.model.inputs if v.name in inputs}}
        wanted = {value.name for value in self.outputs}
        found, kept = {name: values[name] for name in wanted if name in values}, budget.kept
        for made in self.walk(values, budget):
            found.update({name: array for name, array in made.items() if name in wanted})
        outputs = tuple(found[value.name] for value in self.outputs)
        budget.kept, budget.making = kept, sum(array.nbytes for array in outputs)
        return outputs

    def compute(self, call: OperatorCall, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """Return the outputs of one node by name; `values` has its inputs, `budget` what it may take."""
        node = call.node
        with np.errstate(all="ignore"):
            found = call([values[name] if name else None for name in node.inputs], budget)
        return {name: array for name, array in zip(node.outputs, found, strict=False) if name}

    def __repr__(self) -> str:
        kinds = Counter(node.operator for node in self.nodes)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return visible(f"Graph({', '.join(v.name for v in self.inputs)} -> {told} -> {self.outputs[0].name})")

    def run(
        self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Compute one operator after the other.

        Parameters
        ----------
        inputs : mapping of str to array_like
            An array for each of the graph's inputs, of its dtype and shape. Texts may be `str` in an array of
            objects, or of NumPy's own kind. Inputs that the file has arrays for, as files of before 2019 say
            of all weights, may be given too, in place of these.
        outputs : sequence of str, optional
            Names of the values wanted, any in the graph; its outputs if left out.

        Returns
        -------
        dict of str to ndarray
            The values wanted, by name; in place of an array a list of dicts, one for each sample, where the
            graph gives a classifier's probabilities by the names of the classes.

        Raises
        ------
        ShapeError, TypeError
            If an input has another shape or dtype than the graph says, or is missing.
        FileFormatError
            If a node can't be computed of what it gets.
        """
        given = frozenset(inputs.keys() & self.model.arrays.keys())
        if given != self.given:
            return self._variant(given).run(inputs, outputs)
        return self.computed(inputs, outputs)

    def computed(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        outputs: Sequence[str] | None = None,
        parts: Sequence[Part] = (),
        threads: int | None = None,
    ) -> dict[str, Array]:
        """Return what `run` does, some parts of the graph computed in another way."""
        names = [value.name for value in self.outputs] if outputs is None else list(outputs)
        values = dict(self.constants)
        self.check_given(inputs)
        for value in self.model.inputs:
            if value.name in inputs:
                values[value.name] = value.receive(inputs[value.name])
        wanted = set(names)
        found: dict[str, Any] = {name: values[name] for name in names if name in values}
        budget = self.budget()
        with blas.single_threaded():  # the convolutions' products are small
            for made in self.walk(values, budget, parts, threads):
                found.update({name: array for name, array in made.items() if name in wanted})
        if missing := [name for name in names if name not in found]:
            raise ShapeError(f"the graph has no value {missing[0]!r}")
        taken = {id(array) for array in inputs.values()}
        for name, array in found.items():
            if isinstance(array, Maps):
                found[name] = list(array)
            elif not alone(array, taken):
                self._copy(name, array, budget)
                found[name] = np.array(array)
        return found

    def budget(self) -> Budget:
        """Return what a run may take."""
        return Budget.of(self.max_bytes, self.max_work)

    def check_given(self, inputs: Mapping[str, Any]) -> None:
        """Check that inputs have the names of the graph's, and that none is missing."""
        for value in self.inputs:
            if value.name not in inputs:
                raise ShapeError(
                    f"the graph wants an input {value.name!r}; got {', '.join(inputs) or 'none'}"
                )
        if unknown := inputs.keys() - {value.name for value in self.model.inputs}:
            raise ShapeError(f"the graph has no input {min(unknown)!r}")

    def knowing(self, values: Mapping[str, Array], folding: Budget) -> Runtime:
        """Return the same graph where some more values are known, and what depends on these alone."""
        made = copy.copy(self)
        made.constants, made._variants = {**self.constants, **values}, {}
        made.calls = [call for call in self.calls if not values.keys() >= {*call.node.outputs} - {""}]
        with blas.single_threaded(warns=False):
            made._fold(folding)
        return made

    def folding(self) -> Budget:
        """Return what may be taken to compute what depends on no input."""
        return Budget(min(self.max_bytes, FOLDED), FOLDING)

    def _variant(self, given: frozenset[str]) -> Runtime:
        """Return the same graph for a caller who gives some inputs that the file has arrays for."""
        if unknown := given - {value.name for value in self.model.inputs}:
            raise ShapeError(f"the graph has no input {min(unknown)!r}")
        found = self._variants.get(given)
        if found is None:
            found = Runtime(self.model, max_bytes=self.max_bytes, max_work=self.max_work, given=given)
            remember(self._variants, given, found, VARIANTS)
        return found

    def _copy(self, name: str, array: Array, budget: Budget) -> None:
        """Claim the copy of an output, which is the caller's alone."""
        try:
            budget.making = 0
            budget.claim(array.shape, array.dtype)
            budget.kept += array.nbytes
        except ShapeError as error:
            raise ShapeError(f"the output {name!r}: {error}") from None

    def walk(
        self,
        values: dict[str, Any],
        budget: Budget,
        parts: Sequence[Part] = (),
        threads: int | None = None,
        compute: Compute | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Compute node after node; yield what each made, and let go of what no other needs.

        Parameters
        ----------
        values : dict of str to ndarray
            The constants and the inputs by name; what is made is put there, and taken out.
        budget : Budget
            What all nodes may take.
        parts : sequence of Part
            Nodes that are computed together, in another way.
        threads : int, optional
            Number of worker threads for these.
        compute : callable, optional
            What computes a node in place of the method `compute`, of the same arguments.

        Raises
        ------
        FileFormatError, ShapeError
            If a node can't be computed, or would take more than the budget has.
        """
        given = self._owners | {id(owner(array)) for array in values.values()}
        compute = compute or self.compute
        users: Counter[int] = Counter()  # how many values lie in each array that was made
        begun, done = {part.first: part for part in parts}, set[int]()
        for place, (call, finished) in enumerate(zip(self.calls, self._finished, strict=True)):
            part = begun.get(place)
            if part is not None and part.takes(values[part.source]):
                made = {part.value: part.compute(values[part.source], budget, threads)}
                done |= part.places
            elif place in done:
                made = {}
            else:
                made = compute(call, values, budget)
            values.update(made)
            for array in map(owner, made.values()):
                if id(array) not in given:
                    budget.kept += 0 if users[id(array)] else array.nbytes
                    users[id(array)] += 1
            yield made
            for name in finished:
                gone = owner(values.pop(name)) if name in values else None
                if gone is not None and id(gone) in users:
                    users[id(gone)] -= 1
                    budget.kept -= 0 if users[id(gone)] else gone.nbytes


def remember(held: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Keep a value with at most so many others, in place of the oldest; other threads may do so too."""
    while len(held) >= most:
        held.pop(next(iter(held)), None)
    held[key] = value


def owner(array: Any) -> Any:
    """Return the array whose memory an array lies in; what is no array is its own."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def alone(array: Array, given: Container[int]) -> bool:
    """Return whether an array is the caller's alone: no view of another, and none whose id is given."""
    return array.flags.owndata and array.flags.writeable and id(array) not in given
