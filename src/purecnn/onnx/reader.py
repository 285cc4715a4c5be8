"""ONNX reader: a file checked before anything is computed.

A network of another program comes as an ONNX file: what is in it, checked, before anything is computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from purecnn.backend.checks import file_name
from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.protobuf import Message, decode
from purecnn.formats.regular_files import read_regular
from purecnn.onnx.arrays import Folder, as_array, as_dtype, as_text, texts_of
from purecnn.onnx.model import Model, Node, Subgraph, Value
from purecnn.onnx.schema import ATTRIBUTES, SCHEMA

#: The newest operator set whose semantics the operators here follow, by the domain of the operators.
NEWEST = {"": 28, "ai.onnx.ml": 5, "com.microsoft": 1}
#: Bytes of a protocol buffer, by its own definition; larger models have their arrays in files of their own.
MAX_BYTES = 2**31


def read_model(path: str | os.PathLike[str]) -> Model:
    """Read an ONNX file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    FileFormatError
        If it is damaged, or holds what no array of NumPy can; the sentence begins with the path.
    OSError
        If it can't be read.
    """
    place = Path(file_name(path))
    data = read_regular(place, "an ONNX model", "onnx", most=MAX_BYTES)
    try:
        return as_model(data, Folder(place.parent))
    except FileFormatError as error:
        raise FileFormatError(f"{place}: {error}") from None


def as_message(data: bytes | bytearray | memoryview) -> Message:
    """Return the bytes of an ONNX file as a message ModelProto, which has a graph."""
    try:
        message = decode(data, SCHEMA, "ModelProto")
    except FileFormatError as error:  # most files that are none come no further
        raise FileFormatError(f"is damaged, or no ONNX model: {error}") from None
    if message.get("graph") is None:
        raise FileFormatError("is no ONNX model: it has no graph")
    return message


def domain_of(message: Message) -> str:
    """Return the domain that a message names, which is "" for ONNX's own however it is written."""
    domain: str = message.get("domain", "")
    return "" if domain == "ai.onnx" else domain


def as_model(data: bytes | bytearray | memoryview, folder: Folder | None = None) -> Model:
    """Return what the bytes of an ONNX file hold; `folder` is where values in files of their own may lie."""
    message = as_message(data)
    whole = as_graph(message["graph"], folder)
    if maps := [value.name for value in whole.inputs if value.maps]:
        raise FileFormatError(f"the input {maps[0]!r} is no tensor but a sequence of maps, wanted a tensor")
    return Model(
        **vars(whole),
        operator_set=operator_set(message),
        metadata=texts_of(message, "metadata_props"),
        other_sets=other_sets(message, {*domains(whole)}),
    )


def as_graph(graph: Message, folder: Folder | None) -> Subgraph:
    """Return what a message GraphProto holds, the whole graph's or one within a node."""
    if graph.get("sparse_initializer"):
        raise FileFormatError("has sparse initializers, wanted dense ones")
    arrays: dict[str, Array] = {}
    for stored in graph.get("initializer", []):
        name = stored.get("name", "")
        if not name or name in arrays:
            raise FileFormatError(f"has two initializers named {name!r}" if name else "has a nameless array")
        arrays[name] = as_array(stored, f"initializer {name!r}", folder)
    return Subgraph(
        tuple(as_node(stored, place, folder) for place, stored in enumerate(graph.get("node", []))),
        arrays,
        tuple(as_value(stored) for stored in graph.get("input", [])),
        tuple(as_value(stored) for stored in graph.get("output", [])),
    )


def domains(graph: Subgraph) -> Iterator[str]:
    """Yield the domains of a graph's operators, and of those in graphs within it."""
    for node in graph.nodes:
        yield node.domain
        for value in node.attributes.values():
            if isinstance(value, Subgraph):
                yield from domains(value)


def operator_set(message: Message) -> int:
    """Return which version of ONNX's own operators a model wants; 1 where it does not say, as in 2017."""
    version = 1
    for wanted in message.get("opset_import", []):
        if not domain_of(wanted):
            version = wanted.get("version", 1)
    if not 1 <= version <= NEWEST[""]:
        raise FileFormatError(f"wants operator set {version}, known are 1 to {NEWEST['']}")
    return int(version)


def other_sets(message: Message, used: set[str]) -> dict[str, int]:
    """Return which versions of other domains' operators a model wants, of those that its nodes use."""
    found: dict[str, int] = {}
    for wanted in message.get("opset_import", []):
        domain, version = wanted.get("domain", ""), wanted.get("version", 1)
        if domain in used and domain in NEWEST:
            if not 1 <= version <= NEWEST[domain]:
                raise FileFormatError(
                    f"wants operator set {version} of {domain}, known are 1 to {NEWEST[domain]}"
                )
            found[domain] = int(version)
    return found


def as_node(stored: Message, place: int, folder: Folder | None) -> Node:
    """Return a message NodeProto as a node."""
    node = Node(
        place,
        stored.get("op_type", ""),
        domain_of(stored),
        stored.get("name", ""),
        tuple(stored.get("input", [])),
        tuple(stored.get("output", [])),
        {},
    )
    attributes: dict[str, Any] = {}
    for attribute in stored.get("attribute", []):
        name = attribute.get("name", "")
        if name in attributes:
            raise FileFormatError(f"{node} has two attributes {name!r}")
        attributes[name] = as_attribute(attribute, f"attribute {name!r} of {node}", folder)
    within = [graph.captured() for graph in attributes.values() if isinstance(graph, Subgraph)]
    captured = tuple(dict.fromkeys(name for names in within for name in names))
    return replace(node, inputs=(*node.inputs, *captured), attributes=attributes, captured=captured)


def as_attribute(stored: Message, where: str, folder: Folder | None) -> Any:
    """Return the value of a message AttributeProto."""
    if stored.get("ref_attr_name"):
        raise FileFormatError(f"{where} refers to a function's argument; no function is known here")
    # Files of 2017 do not say which of the fields it is.
    field = ATTRIBUTES.get(stored.get("type", 0)) or next((f for f in ATTRIBUTES.values() if f in stored), "")
    empty: dict[str, Any] = {"f": 0.0, "i": 0, "s": b"", "ints": [], "floats": [], "strings": []}
    value: Any = stored.get(field, empty.get(field))
    if field in ("f", "i"):
        return value
    if field == "s":
        return as_text(value, where)
    if field in ("ints", "floats"):
        return np.asarray(value).tolist()
    if field == "strings":
        return [as_text(text, where) for text in value]
    if field == "t" and value is not None:
        return as_array(value, where, folder)
    if field == "g" and value is not None:
        try:
            return as_graph(value, folder)
        except FileFormatError as error:
            raise FileFormatError(f"{where}: {error}") from None
    raise FileFormatError(f"{where} is of type {stored.get('type', 0)} and has no value that is known here")


def as_value(stored: Message) -> Value:
    """Return a message ValueInfoProto: an input or output."""
    name = stored.get("name", "")
    kind = stored.get("type", {})
    tensor = kind.get("tensor_type")
    if tensor is None:
        if "map_type" in kind.get("sequence_type", {}).get("elem_type", {}):
            return Value(name, None, None, maps=True)
        if kind:  # an empty one says no more than none
            raise FileFormatError(f"{name!r} is no tensor; it may be one, or as an output a sequence of maps")
        return Value(name, None, None)
    number = tensor.get("elem_type", 0)
    dtype = as_dtype(number, f"{name!r}") if number else None
    if "shape" not in tensor:
        return Value(name, dtype, None)
    sizes: list[int | str | None] = []
    for axis in tensor["shape"].get("dim", []):
        size = axis.get("dim_value", axis.get("dim_param") or None)
        sizes.append(None if isinstance(size, int) and size < 0 else size)
    return Value(name, dtype, tuple(sizes))
