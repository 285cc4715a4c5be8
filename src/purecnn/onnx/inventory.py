"""What an ONNX file holds, told of any: its operators and values, and all that is not known here.

`load_onnx` ends at the first thing that it does not know. This goes on, and computes nothing.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from purecnn.backend.checks import file_name
from purecnn.errors import FileFormatError
from purecnn.formats.protobuf import Message, decode
from purecnn.formats.regular_files import read_regular
from purecnn.onnx import runtime  # noqa: F401 - operators are known once it is imported
from purecnn.onnx.arrays import FOREIGN, MAX_AXES, TEXT, texts_of
from purecnn.onnx.model import full_name
from purecnn.onnx.operators.registry import OPERATORS
from purecnn.onnx.reader import MAX_BYTES, NEWEST, as_message, domain_of
from purecnn.onnx.schema import DTYPES, SCHEMA

#: Graphs within graphs that are gone into.
MAX_DEPTH = 8
#: Numbers that an array can have, in any memory.
MAX_COUNT = 2**63


@dataclass(frozen=True)
class Inventory:
    """What an ONNX file says of itself.

    Attributes
    ----------
    version : int
        Of the format, which the file calls `ir_version`.
    producer : str
        The program that wrote it.
    sets : dict of str to int
        Versions of the operators, by their domain, "" for ONNX's own.
    inputs, outputs : dict of str to str
        Kind of elements and shape, by name; inputs that the file has an array for are left out.
    operators : Counter of str
        How many nodes have each, those of graphs within the graph too; of another domain with its name.
    unknown : dict of str to str
        Operators that are not known here, and why.
    kinds : tuple of str
        Kinds of elements that NumPy lacks.
    arrays, numbers, bytes : int
        How many arrays the file holds, and how many numbers and bytes those have.
    outside : tuple of str
        Files beside it that hold arrays.
    metadata : dict of str to str
        What the program says besides.
    """

    version: int
    producer: str
    sets: Mapping[str, int]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    operators: Counter[str]
    unknown: Mapping[str, str]
    kinds: tuple[str, ...]
    arrays: int
    numbers: int
    bytes: int
    outside: tuple[str, ...]
    metadata: Mapping[str, str]


def inventory(path: str | os.PathLike[str]) -> Inventory:
    """Return what an ONNX file holds, whether it can be computed here or not.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    FileFormatError
        If it is no ONNX model, or so damaged that its nodes can't be told.
    OSError
        If it can't be read.
    """
    place = Path(file_name(path))
    try:
        return told(as_message(read_regular(place, "an ONNX model", "onnx", most=MAX_BYTES)))
    except FileFormatError as error:
        words = str(error)
        raise FileFormatError(words if words.startswith(str(place)) else f"{place}: {words}") from None


def told(message: Message) -> Inventory:
    """Return what a message ModelProto says."""
    graph: Message = message["graph"]
    sets = {"": 1}
    for wanted in message.get("opset_import", []):
        sets[domain_of(wanted)] = wanted.get("version", 1)
    operators = Counter(nodes_of(graph))
    reasons = {full_name(*each): why_unknown(*each, sets) for each in operators}
    arrays = [Stored.of(tensor) for tensor in graph.get("initializer", [])]
    given = {array.name for array in arrays}
    inputs, outputs = (
        {value.get("name", ""): value for value in graph.get(which, [])} for which in ("input", "output")
    )
    kinds = {array.kind for array in arrays} | {kind_of(v) for v in (*inputs.values(), *outputs.values())}
    return Inventory(
        message.get("ir_version", 0),
        f"{message.get('producer_name', '')} {message.get('producer_version', '')}".strip(),
        sets,
        {name: shown(value) for name, value in inputs.items() if name not in given},
        {name: shown(value) for name, value in outputs.items()},
        Counter({full_name(*each): count for each, count in operators.items()}),
        {name: reason for name, reason in reasons.items() if reason},
        tuple(sorted(kinds & {*FOREIGN.values()})),
        len(arrays),
        sum(array.numbers for array in arrays),
        sum(array.bytes for array in arrays),
        tuple(sorted({array.outside for array in arrays} - {""})),
        texts_of(message, "metadata_props"),
    )


def nodes_of(graph: Message, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the domain and the operator of each node, of those in graphs within the graph too."""
    if depth > MAX_DEPTH:
        raise FileFormatError(f"has graphs within graphs, more than {MAX_DEPTH} deep")
    for node in graph.get("node", []):
        yield domain_of(node), node.get("op_type", "")
        for attribute in node.get("attribute", []):
            inner = attribute.get("g")
            if inner is not None:
                yield from nodes_of(
                    inner if isinstance(inner, dict) else decode(inner, SCHEMA, "GraphProto"), depth + 1
                )


def why_unknown(domain: str, name: str, sets: Mapping[str, int]) -> str:
    """Return why an operator is not known here; nothing if it is."""
    versions = OPERATORS.get(full_name(domain, name))
    if versions is None:
        return "not known here"
    version = sets.get(domain, 1)
    if not versions[0][0] <= version <= NEWEST.get(domain, version):
        return f"not known in operator set {version}"
    return ""


@dataclass(frozen=True)
class Stored:
    """What a file says of one of its arrays."""

    name: str
    kind: str
    numbers: int
    bytes: int
    outside: str

    @staticmethod
    def of(tensor: Message) -> Stored:
        """Return what a message TensorProto says."""
        number = tensor.get("data_type", 0)
        sizes = [max(0, int(size)) for size in tensor.get("dims", [])]
        count = min(math.prod(sizes[:MAX_AXES]), MAX_COUNT)
        size = np.dtype(str(DTYPES[number])).itemsize if number in DTYPES else 1
        return Stored(
            tensor.get("name", ""),
            named(number),
            count,
            count * size,
            texts_of(tensor, "external_data").get("location", ""),
        )


def named(number: int) -> str:
    """Return the name of a kind of elements."""
    dtype = DTYPES.get(number)
    if dtype is not None:
        return "text" if dtype == TEXT else str(dtype)
    return FOREIGN.get(number, f"type {number}" if number else "")


def kind_of(value: Message) -> str:
    """Return the kind of elements of a message ValueInfoProto."""
    return named(value.get("type", {}).get("tensor_type", {}).get("elem_type", 0))


def shown(value: Message) -> str:
    """Return the kind of elements and the shape of a message ValueInfoProto."""
    said = value.get("type", {})
    tensor = said.get("tensor_type")
    if tensor is None:
        return "no tensor" if said else "of any kind"
    if "shape" not in tensor:
        return f"{kind_of(value)} of any shape".strip()
    axes = tensor["shape"].get("dim", [])
    sizes = ", ".join(str(axis.get("dim_value") or axis.get("dim_param") or "?") for axis in axes)
    return f"{kind_of(value)} ({sizes})".strip()
