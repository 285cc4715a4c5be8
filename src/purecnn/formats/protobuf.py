"""Protocol buffers: the wire format, read and written.

ONNX files are protocol buffers: this reads and writes that wire format, so that NumPy alone is enough.

A message is a sequence of fields, each a key (the field's number and one of four wire types) and a value:
https://protobuf.dev/programming-guides/encoding. What the numbers mean is no part of a file; a `Schema` says
it. Messages are dicts here: a name for each field that is present, a list or an array where it may repeat.

Files come from anywhere, so the reader believes nothing: lengths are checked before anything is taken, depth
and the number of values are bounded, and bytes are views of the file, never copied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from purecnn.errors import FileFormatError

#: Wire types: what a key says about the value behind it.
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
#: Messages within messages; deeper ones are no model, but an attack on the stack.
MAX_DEPTH = 64
#: Bytes of packed numbers that are unpacked at a time.
PIECE = 1 << 16
#: Values that are objects of Python, in one file: each takes up to a hundred bytes, and two in the file.
MAX_OBJECTS = 200_000


@dataclass(frozen=True)
class Field:
    """What one number of a message means.

    Parameters
    ----------
    name : str
        As the message's definition has it.
    kind : str
        "integer" (int32, int64, enums: two's complement in 64 bits), "unsigned" (uint64), "float", "double",
        "text" (UTF-8), "bytes", or the name of a message in the schema.
    repeated : bool
        Whether there may be several: a list, or an array where the values are numbers.
    """

    name: str
    kind: str
    repeated: bool = False


#: Messages by name, each its fields by number.
Schema = Mapping[str, Mapping[int, Field]]
Message = dict[str, Any]


#: Kinds that are numbers: their wire type, and their dtype in memory.
NUMBERS: dict[str, tuple[int, np.dtype[Any]]] = {
    "integer": (VARINT, np.dtype("<i8")),
    "unsigned": (VARINT, np.dtype("<u8")),
    "float": (FOUR_BYTES, np.dtype("<f4")),
    "double": (EIGHT_BYTES, np.dtype("<f8")),
}


# Reading ------------------------------------------------------------------------------------------------


def decode(data: bytes | bytearray | memoryview, schema: Schema, name: str) -> Message:
    """Read a message.

    Parameters
    ----------
    data : bytes, bytearray or memoryview
        The whole message.
    schema : mapping of str to mapping of int to Field
        Which fields there are; others are passed over, as the format wants it.
    name : str
        Which of the schema's messages it is.

    Returns
    -------
    dict
        The fields that are present, by name: int, float, str, memoryview (of `data`) or dict; lists of
        them, or arrays of int64, uint64, float32 or float64, where they may repeat.

    Raises
    ------
    FileFormatError
        If the bytes are no such message; the sentence says at which message and field.

    Examples
    --------
    >>> schema = {"Test": {1: Field("a", "integer"), 4: Field("b", "float", repeated=True)}}
    >>> decode(bytes.fromhex("089601"), schema, "Test")
    {'a': 150}
    """
    return _Reader(schema).message(memoryview(data), name, 0)


class _Reader:
    """One file's reading, and how many objects it made."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.objects = 0

    def message(self, data: memoryview, name: str, depth: int) -> Message:
        if depth > MAX_DEPTH:
            raise FileFormatError(f"messages lie more than {MAX_DEPTH} deep at {name}, wanted fewer")
        known = self.schema[name]
        found: Message = {}
        numbers: dict[Field, bytearray] = {}
        for number, wire, value in fields(data, name):
            self.count(name)
            field = known.get(number)
            if field is None:
                continue
            where = f"{name}.{field.name}"
            if field.kind in NUMBERS and field.repeated:
                self.numbers(numbers.setdefault(field, bytearray()), field, wire, value, where)
            elif field.repeated:
                found.setdefault(field.name, []).append(self.value(field, wire, value, where, depth))
            else:
                found[field.name] = self.value(field, wire, value, where, depth)
        for field, stored in numbers.items():
            found[field.name] = np.frombuffer(stored, NUMBERS[field.kind][1])
        return found

    def count(self, name: str) -> None:
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise FileFormatError(f"there are more than {MAX_OBJECTS} fields, the last in {name}")

    def value(self, field: Field, wire: int, value: Any, where: str, depth: int) -> Any:
        if field.kind in NUMBERS:
            _expect(wire, NUMBERS[field.kind][0], where)
            return _number(field.kind, value)
        _expect(wire, BYTES, where)
        if field.kind == "bytes":
            return value
        if field.kind == "text":
            try:
                return str(value, "utf-8")
            except UnicodeDecodeError:
                raise FileFormatError(f"{where} holds {bytes(value[:40])!r}, wanted UTF-8") from None
        return self.message(value, field.kind, depth + 1)

    def numbers(self, found: bytearray, field: Field, wire: int, value: Any, where: str) -> None:
        """Put one value, or many that are packed into one field, behind those found so far."""
        wanted, dtype = NUMBERS[field.kind]
        if wire != BYTES:
            _expect(wire, wanted, where)
            found += value.to_bytes(8, "little") if wire == VARINT else value
        elif wanted == VARINT:
            for piece in _varints(value, where):
                found += piece.tobytes()
        elif len(value) % dtype.itemsize:
            raise FileFormatError(f"{where} has {len(value)} bytes, wanted a multiple of {dtype.itemsize}")
        else:
            found += value


def fields(data: memoryview, name: str) -> Iterator[tuple[int, int, Any]]:
    """Yield each field's number, wire type and raw value: an int, or the bytes as a view."""
    place, size = 0, len(data)
    while place < size:
        key, place = _varint(data, place, name)
        number, wire = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            raise FileFormatError(f"{name} has a field of number {number}, wanted from 1 to {(1 << 29) - 1}")
        if wire == VARINT:
            value, place = _varint(data, place, name)
            yield number, wire, value
            continue
        if wire == BYTES:
            length, place = _varint(data, place, name)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire == EIGHT_BYTES else 4
        else:
            raise FileFormatError(f"field {number} of {name} has wire type {wire}, wanted 0, 1, 2 or 5")
        if length > size - place:
            raise FileFormatError(
                f"field {number} of {name} is to have {length} bytes, but {size - place} are left"
            )
        yield number, wire, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int, name: str) -> tuple[int, int]:
    """Return the number at `place`, seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for shift, byte in enumerate(data[place : place + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value & (1 << 64) - 1, place + shift + 1
    raise FileFormatError(f"a number in {name} does not end within 10 bytes or the message")


def _varints(data: memoryview, where: str) -> Iterator[NDArray[np.uint64]]:
    """Yield all numbers of a packed field, many at once."""
    stored, begin = np.frombuffer(data, np.uint8), 0
    while begin < len(stored):
        piece = stored[begin : begin + PIECE]
        ends = np.flatnonzero(piece < 128)
        starts = np.concatenate([[0], ends[:-1] + 1])
        if not len(ends) or (lengths := ends - starts + 1).max() > 10:
            raise FileFormatError(f"a number in {where} does not end within 10 bytes or the field")
        values = np.zeros(len(ends), np.uint64)
        for place in range(lengths.max()):
            longer = lengths > place
            part = piece[starts[longer] + place].astype(np.uint64) & np.uint64(127)
            values[longer] |= part << np.uint64(7 * place)
        yield values
        begin += int(ends[-1]) + 1


def _number(kind: str, value: Any) -> int | float:
    if kind == "float":
        return float(struct.unpack("<f", value)[0])
    if kind == "double":
        return float(struct.unpack("<d", value)[0])
    number = int(value)
    return number - (1 << 64) if kind == "integer" and number >> 63 else number


def _expect(wire: int, wanted: int, where: str) -> None:
    if wire != wanted:
        raise FileFormatError(f"{where} has wire type {wire}, wanted {wanted}")


# Writing ------------------------------------------------------------------------------------------------


def encode(message: Mapping[str, Any], schema: Schema, name: str) -> bytes:
    """Write a message, its fields in the order of their numbers: the same message, the same bytes.

    Parameters
    ----------
    message : mapping of str to values
        As `decode` returns them; bytes may be any buffer. What is None is left out.
    schema : mapping of str to mapping of int to Field
        Which fields there are.
    name : str
        Which of the schema's messages it is.

    Raises
    ------
    KeyError
        If the message has no field of that name.

    Examples
    --------
    >>> schema = {"Test": {1: Field("a", "integer"), 4: Field("b", "float", repeated=True)}}
    >>> encode({"a": 150}, schema, "Test").hex()
    '089601'
    """
    return b"".join(_parts(message, schema, name))


def _parts(message: Mapping[str, Any], schema: Schema, name: str) -> Iterator[bytes]:
    known = {field.name: (number, field) for number, field in schema[name].items()}
    present = sorted((*known[key], value) for key, value in message.items() if value is not None)
    for number, field, value in present:
        if field.kind in NUMBERS and field.repeated:
            packed = _packed(field.kind, value)
            if packed:
                yield _key(number, BYTES) + _written(len(packed)) + packed
            continue
        for one in value if field.repeated else [value]:
            if field.kind in NUMBERS:
                yield _key(number, NUMBERS[field.kind][0]) + WRITERS[field.kind](one)
                continue
            if field.kind == "text":
                held = one.encode()
            elif field.kind == "bytes":
                held = bytes(one)
            else:
                held = encode(one, schema, field.kind)
            yield _key(number, BYTES) + _written(len(held)) + held


def _packed(kind: str, values: Any) -> bytes:
    if kind in ("float", "double"):
        return np.asarray(values, NUMBERS[kind][1]).tobytes()
    return b"".join(_written(int(value)) for value in values)


def _key(number: int, wire: int) -> bytes:
    return _written(number << 3 | wire)


def _written(value: int) -> bytes:
    """Return a number as seven bits a byte, the lowest first; a negative one in two's complement."""
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "integer": _written,
    "unsigned": _written,
    "float": struct.Struct("<f").pack,
    "double": struct.Struct("<d").pack,
}
