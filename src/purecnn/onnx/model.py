"""ONNX models: nodes, values, and an order in which the nodes can run.

What an ONNX file says: nodes, the values between them, and an order in which the nodes can run.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.arrays import TEXT


@dataclass(frozen=True)
class Value:
    """What a graph says of one of its inputs or outputs.

    Attributes
    ----------
    name : str
        Its name in the graph.
    dtype : dtype or None
        Of its elements; None where the file does not say. Texts are objects, each a `str`.
    shape : tuple of (int, str or None), or None
        An axis of any length is a text, its name, or None; the whole is None where nothing is said.
    maps : bool
        Whether it is no array but a list of dicts, one for each sample, as a classifier's probabilities are.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None
    maps: bool = False

    def receive(self, given: npt.ArrayLike) -> Array:
        """Return what is given for this input, if it is what the graph says.

        Raises
        ------
        TypeError
            If it has another kind of elements: bytes where floats are wanted would be answered wrongly.
        ShapeError
            If it has another shape.
        """
        array = np.asarray(given)
        if array.dtype.kind in "OUT" and self.dtype in (None, TEXT):
            array = as_texts(array, self.name)
        if self.dtype is not None and array.dtype != self.dtype:
            if array.dtype.kind != self.dtype.kind or array.dtype.kind not in "fi":
                kind = "text" if self.dtype == TEXT else self.dtype
                raise TypeError(f"the input {self.name!r} is {kind}; got {array.dtype}")
            array = array.astype(self.dtype)
        if self.shape is not None:
            fits = len(self.shape) == array.ndim and all(
                size == wanted or not isinstance(wanted, int)
                for size, wanted in zip(array.shape, self.shape, strict=True)
            )
            if not fits:
                sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
                raise ShapeError(f"the input {self.name!r} has shape ({sizes}); got {array.shape}")
        return array if array.flags.aligned else array.copy()  # of others NumPy multiplies one by one

    @property
    def batch(self) -> int:
        """How many samples a batch has, where the graph says so; 0 where it may be any number."""
        first = self.shape[0] if self.shape else None
        return first if isinstance(first, int) else 0


class Maps(list[dict[int | str, float]]):
    """A classifier's probabilities by the names of the classes: a dict for each sample.

    Parameters
    ----------
    items : iterable of dict
        One for each sample.
    nbytes : int
        What they take in memory.
    """

    def __init__(self, items: Iterable[dict[int | str, float]], nbytes: int) -> None:
        super().__init__(items)
        self.nbytes = nbytes


def as_texts(array: Array, name: str) -> Array:
    """Return an array of texts as objects, each a `str`."""
    found = array.astype(TEXT)
    for item in found.flat:
        if not isinstance(item, str):
            raise TypeError(f"the input {name!r} is text; got {type(item).__name__} in it")
    return found


def full_name(domain: str, operator: str) -> str:
    """Return an operator's name, behind that of its domain where it is not ONNX's own.

    Examples
    --------
    >>> full_name("", "Conv"), full_name("ai.onnx.ml", "Scaler")
    ('Conv', 'ai.onnx.ml.Scaler')
    """
    return f"{domain}.{operator}" if domain else operator


@dataclass(frozen=True)
class Node:
    """One step of a graph.

    Attributes
    ----------
    place : int
        Its number in the file.
    operator, domain, name : str
        What it computes, whose operator that is ("" for ONNX's own), and what the file calls it.
    inputs, outputs : tuple of str
        Names of values; "" where one is left out.
    attributes : dict
        int, float, str, ndarray, or a list of one of them, or a `Subgraph`, by name.
    captured : tuple of str
        The names that its subgraphs have for the last of its inputs, values from outside that they use.
    """

    place: int
    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    captured: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = full_name(self.domain, self.operator)
        return f"node {self.place}, {kind}{f' {self.name!r}' if self.name else ''}"


@dataclass(frozen=True)
class Subgraph:
    """A graph within a node: a branch of an `If`, what a `Loop` repeats.

    Attributes
    ----------
    nodes, arrays, inputs, outputs
        As a `Model` has them. Nodes may use values from outside too.
    """

    nodes: tuple[Node, ...]
    arrays: Mapping[str, Array]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def captured(self) -> list[str]:
        """Return the names of the values from outside that it uses, in order."""
        own = {*self.arrays, *(value.name for value in self.inputs), ""}
        own.update(name for node in self.nodes for name in node.outputs)
        used = [name for node in self.nodes for name in node.inputs]
        used += [value.name for value in self.outputs]
        return [name for name in dict.fromkeys(used) if name not in own]


@dataclass(frozen=True)
class Model:
    """What an ONNX file holds: the nodes, the arrays they use, and the names of what goes in and comes out.

    Attributes
    ----------
    nodes : tuple of Node
        In the file's order.
    arrays : dict of str to ndarray
        The initializers; not to be written to.
    inputs, outputs : tuple of Value
        Inputs that have an initializer too may be given or not.
    operator_set : int
        The version of ONNX's operators.
    metadata : dict of str to str
        What the program that wrote the file says about it.
    other_sets : dict of str to int
        The versions of other domains' operators, by domain.
    """

    nodes: tuple[Node, ...]
    arrays: Mapping[str, Array]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operator_set: int
    metadata: Mapping[str, str]
    other_sets: Mapping[str, int] = field(default_factory=dict)

    def version_of(self, domain: str) -> int:
        """Return the version of a domain's operators; 1 where the file does not say."""
        return self.other_sets.get(domain, 1) if domain else self.operator_set

    def check_names(self) -> None:
        """Check that each value is made once, by a node, the file or the caller, and that all outputs are.

        Raises
        ------
        FileFormatError
            If not; the sentence says which.
        """
        given = Counter(value.name for value in self.inputs)
        made = Counter(name for node in self.nodes for name in node.outputs if name)
        for name, count in (given + made).items():
            if count > 1 or not name or (name in made and name in self.arrays):
                raise FileFormatError(f"the value {name!r} is made twice, wanted a name for each")
        if not self.outputs:
            raise FileFormatError("the graph has no outputs")
        known = {*given, *made, *self.arrays}
        for value in self.outputs:
            if value.name not in known:
                raise FileFormatError(f"the output {value.name!r} is made by no node")


def in_order(nodes: Iterable[Node], known: set[str]) -> list[Node]:
    """Return nodes in an order in which each finds its inputs made: the file's own, where that is one.

    Raises
    ------
    FileFormatError
        If an input is made by nobody, or nodes wait for each other in a circle.
    """
    nodes = list(nodes)
    makers = {name: place for place, node in enumerate(nodes) for name in node.outputs if name}
    waiting = []
    followers: dict[int, list[int]] = {}
    for place, node in enumerate(nodes):
        before = set()
        for name in node.inputs:
            if name and name not in known:
                if name not in makers:
                    raise FileFormatError(f"{node} wants the value {name!r}, which is made by no node")
                before.add(makers[name])
        waiting.append(len(before))
        for maker in before:
            followers.setdefault(maker, []).append(place)
    ready = deque(place for place, count in enumerate(waiting) if not count)
    found: list[Node] = []
    while ready:
        place = ready.popleft()
        found.append(nodes[place])
        for follower in followers.get(place, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(found) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise FileFormatError(f"nodes wait for each other in a circle, one of them {stuck}")
    return found
