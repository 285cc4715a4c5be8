"""A network that another program made, as ONNX describes it: operators, and values that pass between them.

`Graph.run` computes one operator after the other and lets go of each value after its last use.
`Graph.predict` gives the same answers, on this package's own layers where the graph can be written with them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn import (  # noqa: F401 - operators are known once they are imported
    blas,
    operators_activation,
    operators_convolution,
    operators_elementwise,
    operators_parts,
    operators_pooling,
    operators_reduction,
    operators_shape,
)
from purecnn.arguments import positive
from purecnn.errors import PureCNNError, ShapeError
from purecnn.escapes import visible
from purecnn.graph_work import Budget
from purecnn.layer import ShapeLike
from purecnn.network import Network
from purecnn.onnx_file import read_model
from purecnn.onnx_model import Model, Value, in_order
from purecnn.operators import Call
from purecnn.scratch import Array
from purecnn.signatures import explained

#: Bytes that the arrays of a graph may take at a time, if not said otherwise.
MAX_BYTES = 2**31
#: Bytes of values that depend on no input, made when a graph is loaded, and bytes gone over for them.
FOLDED, FOLDING = 2**24, 2**30
#: Shapes of samples whose layers are kept.
KEPT = 4


@explained
def load_onnx(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Graph:
    """Read an ONNX file as a graph that computes.

    Parameters
    ----------
    path : str or path-like
        The file. Arrays that lie in files of their own are read from its folder.
    max_bytes : int
        How much the arrays that the graph makes may take at a time, those on the way to a node's output too:
        a small file can ask for any size. It bounds the work of a run as well, to going over a thousand times
        as many bytes, minutes for the default; for files of strangers a small number is wise. What a node
        takes is known from the shapes of its inputs, and refused before it runs.

    Returns
    -------
    Graph
        With `predict`, `run` and `network`.

    Raises
    ------
    FileFormatError
        If the file is damaged, is no ONNX model, or has an operator that is not known here; the sentence says
        which, and where in the graph.
    OSError
        If it can't be read.

    Notes
    -----
    https://onnx.ai. Read by NumPy alone; operator sets 1 to 28. What is known: ``docs/onnx.md``.
    """
    model = read_model(path)
    try:
        return Graph(model, max_bytes=max_bytes)
    except PureCNNError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from None


@dataclass(frozen=True)
class Layers:
    """A graph as layers.

    Attributes
    ----------
    network : Network
        That computes the same.
    output_shape : tuple of int
        Shape of one sample of the output, as the graph has it.
    """

    network: Network
    output_shape: tuple[int, ...]


class Graph:
    """Operators, and the values that pass between them, samples first.

    Parameters
    ----------
    model : Model
        What an ONNX file holds.
    max_bytes : int
        How much the arrays that the operators make may take at a time.

    Attributes
    ----------
    inputs, outputs : tuple of Value
        What goes in and comes out: name, dtype and shape; inputs that the file has an array for are left out.
    nodes : list of Node
        The operators in an order in which they can run.
    constants : dict of str to ndarray
        The file's arrays, and what depends on these alone.
    metadata : dict of str to str
        What the program that wrote the file says about it.

    Raises
    ------
    FileFormatError
        If nodes lie in a circle, a value is made twice or by nobody, or an operator is not known.
    """

    def __init__(self, model: Model, *, max_bytes: int = MAX_BYTES) -> None:
        self.model, self.max_bytes = model, max_bytes
        self.outputs = model.outputs
        self.metadata = dict(model.metadata)
        self.inputs = tuple(value for value in model.inputs if value.name not in model.arrays)
        self.constants = dict(model.arrays)
        model.check_names()
        self.nodes = in_order(model.nodes, {*self.constants, *(value.name for value in model.inputs)})
        self.calls = [Call(node, model.operator_set, max_bytes) for node in self.nodes]
        self._fold()
        self._networks: dict[tuple[int, ...], Layers | None] = {}

    def _fold(self) -> None:
        """Compute what depends on the file's arrays alone, where it is small, and run it no more."""
        given = {value.name for value in self.model.inputs}  # may be given anew, although there is an array
        known = self.constants.keys() - given
        rest, budget = [], Budget(min(self.max_bytes, FOLDED), FOLDING)
        for call in self.calls:
            if {*call.node.inputs} - {""} <= known:
                try:
                    found = self.compute(call, self.constants, budget)
                except ShapeError:
                    found = None  # too large, or wrong: said when it is run
                if found is not None:
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
        self._owners = frozenset(id(owner(array)) for array in self.constants.values())

    def compute(self, call: Call, values: Mapping[str, Array], budget: Budget) -> dict[str, Array]:
        """Return the outputs of one node by name; `values` has its inputs, `budget` what it may take."""
        node = call.node
        with np.errstate(all="ignore"):
            found = call([values[name] if name else None for name in node.inputs], budget)
        return {name: array for name, array in zip(node.outputs, found, strict=False) if name}

    def __repr__(self) -> str:
        kinds = Counter(node.operator for node in self.nodes)
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return visible(f"Graph({', '.join(v.name for v in self.inputs)} -> {told} -> {self.outputs[0].name})")

    # Running ----------------------------------------------------------------------------------------------

    def run(
        self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """Compute one operator after the other.

        Parameters
        ----------
        inputs : mapping of str to array_like
            An array for each of the graph's inputs, of its dtype and shape.
        outputs : sequence of str, optional
            Names of the values wanted, any in the graph; its outputs if left out.

        Returns
        -------
        dict of str to ndarray
            The values wanted, by name.

        Raises
        ------
        ShapeError, TypeError
            If an input has another shape or dtype than the graph says, or is missing.
        FileFormatError
            If a node can't be computed of what it gets.
        """
        names = [value.name for value in self.outputs] if outputs is None else list(outputs)
        values = dict(self.constants)
        for value in self.model.inputs:
            if value.name in inputs:
                values[value.name] = value.receive(inputs[value.name])
            elif value.name not in values:
                raise ShapeError(
                    f"the graph wants an input {value.name!r}; got {', '.join(inputs) or 'none'}"
                )
        if unknown := inputs.keys() - {value.name for value in self.model.inputs}:
            raise ShapeError(f"the graph has no input {min(unknown)!r}")
        wanted = set(names)
        found: dict[str, Array] = {name: values[name] for name in names if name in values}
        budget = Budget.of(self.max_bytes)
        with blas.single_threaded():  # the convolutions' products are small
            for made in self.walk(values, budget):
                found.update({name: array for name, array in made.items() if name in wanted})
        if missing := [name for name in names if name not in found]:
            raise ShapeError(f"the graph has no value {missing[0]!r}")
        taken = {id(array) for array in inputs.values()}
        for name, array in found.items():
            if not alone(array, taken):
                self._copy(name, array, budget)
                found[name] = np.array(array)
        return found

    def _copy(self, name: str, array: Array, budget: Budget) -> None:
        """Claim the copy of an output, which is the caller's alone."""
        try:
            budget.making = 0
            budget.claim(array.shape, array.dtype)
            budget.kept += array.nbytes
        except ShapeError as error:
            raise ShapeError(f"the output {name!r}: {error}") from None

    def walk(self, values: dict[str, Array], budget: Budget) -> Iterator[dict[str, Array]]:
        """Compute node after node; yield what each made, and let go of what no other needs.

        Parameters
        ----------
        values : dict of str to ndarray
            The constants and the inputs by name; what is made is put there, and taken out.
        budget : Budget
            What all nodes may take.

        Raises
        ------
        FileFormatError, ShapeError
            If a node can't be computed, or would take more than the budget has.
        """
        given = self._owners | {id(owner(array)) for array in values.values()}
        users: Counter[int] = Counter()  # how many values lie in each array that was made
        for call, finished in zip(self.calls, self._finished, strict=True):
            made = self.compute(call, values, budget)
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

    def predict(self, x: npt.ArrayLike, *, batch_size: int | None = None, threads: int | None = None) -> Any:
        """Return the graph's answers.

        Parameters
        ----------
        x : array_like
            A batch for the graph's one input, the samples first, of its dtype. Where the file fixes the size
            of a batch, any multiple of it.
        batch_size : int, optional
            How many samples are computed at a time where the graph is no chain of layers; all of them if left
            out, since such a graph may look at the whole batch.
        threads : int, optional
            How many work where the graph is a chain of layers; the processors this process may use if left
            out.

        Returns
        -------
        ndarray, or dict of str to ndarray
            The output, the samples first; of several outputs, each by its name.

        Raises
        ------
        ShapeError, TypeError
            If `x` is of another shape or dtype than the graph's input.

        Notes
        -----
        A graph that `network` can turn into layers runs on them, 256 samples at a time; else as `run` has it.
        The two differ by rounding.
        """
        if len(self.inputs) != 1:
            names = ", ".join(value.name for value in self.inputs)
            raise ShapeError(f"predict wants a graph of one input, this one has {names or 'none'}: see run")
        value, array = self.inputs[0], np.asarray(x)
        if not array.ndim:
            raise ShapeError(f"predict wants a batch, the samples first; got a lone value, {x!r}")
        size = value.batch
        if batch_size is not None and size not in (0, positive("batch_size", batch_size)):
            raise ShapeError(f"batch_size must be {size}, which the graph fixes; got {batch_size}")
        if size and len(array) % size:
            raise ShapeError(
                f"the graph's batches have {size} samples; got {len(array)}, no multiple of that"
            )
        if size and value.shape:
            value = Value(value.name, value.dtype, ("N", *value.shape[1:]))
        array = value.receive(array)
        layers = self._as_layers(array.shape[1:]) if array.size else None
        if layers is not None:
            network, shape = layers.network, layers.output_shape
            with np.errstate(all="ignore"):  # as `run` has it: what overflows is infinite
                found = network.outputs(array.reshape(len(array), -1), threads)
            return found.reshape(len(array), *shape)
        size = size or batch_size or 0
        cuts = range(0, len(array), size) if size and len(array) else [0]
        parts = [array[n : n + size] if size else array for n in cuts]
        answers = [self.run({value.name: part}) for part in parts]
        joined = {
            name: np.concatenate([np.atleast_1d(answer[name]) for answer in answers])
            if len(answers) > 1
            else answers[0][name]
            for name in answers[0]
        }
        return joined if len(joined) > 1 else next(iter(joined.values()))

    # As layers --------------------------------------------------------------------------------------------

    def network(self, input_shape: ShapeLike | None = None) -> Network:
        """Return a network of the same layers and parameters, which can be trained, saved and traced.

        Parameters
        ----------
        input_shape : tuple of int, optional
            Shape of one sample, where the file leaves it open.

        Raises
        ------
        FileFormatError
            If the graph is no chain of this package's layers, with residual additions: the sentence says
            which node prevents it. Also if its arrays hold NaN or infinite numbers.
        ShapeError
            If the file leaves the input's shape open and none is given, or it is another.

        Notes
        -----
        Arithmetic with single numbers in front becomes the `Preprocessing`. Activations are known by what
        they compute, whatever operators they are made of.
        """
        from purecnn.onnx_network import as_network  # here, since that module knows every layer

        return as_network(self, input_shape).network

    def _as_layers(self, shape: tuple[int, ...]) -> Layers | None:
        """Return the network for samples of a shape, made once; None where there is none."""
        from purecnn.onnx_network import as_network

        if shape not in self._networks:
            try:
                made = as_network(self, shape)
            except PureCNNError:
                made = None
            while len(self._networks) >= KEPT:
                self._networks.pop(next(iter(self._networks)), None)
            self._networks[shape] = made
        return self._networks.get(shape)


def owner(array: Array) -> Array:
    """Return the array whose memory an array lies in."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def alone(array: Array, given: Container[int]) -> bool:
    """Return whether an array is the caller's alone: no view of another, and none whose id is given."""
    return array.flags.owndata and array.flags.writeable and id(array) not in given
