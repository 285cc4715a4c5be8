"""Arrays in ONNX files, as they are or as numbers, and in files of their own beside them.

Files come from anywhere: an array is a view of the file's bytes, as many as its shape takes, and what lies in
a file of its own is read from the model's own folder alone. A file has its arrays at any byte, where NumPy
multiplies slowly, so they are moved to where their elements may lie.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.protobuf import Message
from purecnn.formats.regular_files import open_regular
from purecnn.onnx.schema import DTYPES

#: As many axes as NumPy 2.0 gives an array.
MAX_AXES = 32
#: Arrays of fewer bytes are copied to be aligned. Before a larger one there are two lengths of three bytes or
#: more, its own and that of the message around it, so that the 8 bytes in front of it hold nothing else.
SMALL = 1 << 14
#: Files of arrays that have more bytes are mapped into memory, of which the system keeps what is used.
MAPPED = 2**31
#: Where `TensorProto` keeps values that are not raw bytes, by the kind of elements.
TYPED = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint64": "uint64_data",
    "uint32": "uint64_data",
}
#: The kind of elements that are texts: each is a `str`.
TEXT = np.dtype(np.object_)
#: Kinds of elements that NumPy lacks, by number, to be named in a refusal.
FOREIGN = {
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
}


def texts_of(message: Message, field: str) -> dict[str, str]:
    """Return a field of messages StringStringEntryProto as texts by their keys."""
    return {text.get("key", ""): text.get("value", "") for text in message.get(field, [])}


def as_dtype(number: int, where: str) -> np.dtype[Any]:
    """Return the dtype that `TensorProto.data_type` numbers."""
    if number not in DTYPES:
        known = FOREIGN.get(number)
        raise FileFormatError(
            f"{where} has elements of type {number}{f', {known}' if known else ''}; those that NumPy has "
            f"are wanted: {', '.join('text' if kind == TEXT else str(kind) for kind in DTYPES.values())}"
        )
    dtype: np.dtype[Any] = np.dtype(str(DTYPES[number]))
    return dtype


def as_array(stored: Message, where: str, folder: Folder | None) -> Array:
    """Return a message TensorProto as an array, a view of the file's bytes where they are its own."""
    dtype = as_dtype(stored.get("data_type", 0), where)
    shape = tuple(np.asarray(stored.get("dims", []), np.int64).tolist())
    if len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise FileFormatError(
            f"{where} has shape {shape[:MAX_AXES]}, wanted at most {MAX_AXES} axes, none below 0"
        )
    size = math.prod(shape)
    if "segment" in stored:
        raise FileFormatError(f"{where} is a segment of an array, wanted a whole one")
    if dtype == TEXT:
        return texts(stored, shape, where)
    little = dtype.newbyteorder("<")
    if stored.get("data_location", 0) == 1:
        if folder is None:
            raise FileFormatError(f"{where} lies in a file of its own, and there is no folder")
        raw: Any = folder.read(stored, size * dtype.itemsize, where)
    elif "raw_data" in stored:
        raw = stored["raw_data"]
    else:
        return typed(stored, dtype, shape, where)
    if len(raw) != size * dtype.itemsize:
        raise FileFormatError(
            f"{where} has {len(raw)} bytes, its {dtype} of shape {shape} take {size * dtype.itemsize}"
        )
    found = shaped(aligned(raw, np.dtype(np.uint8) if dtype == np.bool_ else little), shape, where)
    return np.asarray(found != 0) if dtype == np.bool_ else found.astype(dtype, copy=False)


def aligned(raw: bytes | memoryview, dtype: np.dtype[Any]) -> Array:
    """Return bytes as an array whose elements lie at multiples of their size, which is not to be written to.

    Large arrays in memory that may be written to, a file's that was read for this, are moved within it, over
    their own length in front of them, so that no second array of their size is made.
    """
    found = np.frombuffer(raw, dtype)
    if not found.flags.aligned:
        view = memoryview(raw)
        if view.readonly or len(view) < SMALL:
            found = found.copy()
        else:
            whole = memoryview(view.obj)
            place, start = (
                array.__array_interface__["data"][0] for array in (found, np.frombuffer(whole, np.uint8))
            )
            moved = place - place % dtype.alignment - start
            whole[moved : moved + len(view)] = view
            found = np.frombuffer(whole, dtype, len(found), moved)
    found.flags.writeable = False
    return found


def typed(stored: Message, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> Array:
    """Return values that are fields of numbers: in int32_data all that have no field of their own."""
    field = TYPED.get(dtype.name, "int32_data")
    values = np.asarray(stored.get(field, []))
    if len(values) != math.prod(shape):
        raise FileFormatError(
            f"{where} has {len(values)} values in {field}, its shape {shape} takes {math.prod(shape)}"
        )
    if dtype == np.float16:  # its bits
        return shaped(values.astype(np.uint16).view(np.float16), shape, where)
    return shaped(values.astype(dtype), shape, where)


def texts(stored: Message, shape: tuple[int, ...], where: str) -> Array:
    """Return values that are texts, which have a field of their own and no other form."""
    held = stored.get("string_data", [])
    if len(held) != math.prod(shape) or "raw_data" in stored or stored.get("data_location", 0) == 1:
        raise FileFormatError(
            f"{where} has {len(held)} values in string_data, its shape {shape} takes {math.prod(shape)}"
        )
    values = np.empty(len(held), TEXT)
    values[:] = [as_text(value, where) for value in held]
    return shaped(values, shape, where)


def as_text(value: bytes | memoryview, where: str) -> str:
    """Return bytes as the text they are."""
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(f"{where} holds {bytes(value[:40])!r}, wanted UTF-8") from None


def shaped(values: Array, shape: tuple[int, ...], where: str) -> Array:
    """Return values in their shape; NumPy refuses some empty ones."""
    try:
        return values.reshape(shape)
    except (ValueError, OverflowError):
        raise FileFormatError(f"{where} has shape {shape}, which NumPy can't index") from None


class Folder:
    """The folder of a model, in which arrays may lie in files of their own.

    Parameters
    ----------
    path : path-like
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.base = path.resolve()
        #: What was read, by file and place: the same bytes for several arrays are read once.
        self.found: dict[tuple[Path, int, int], bytes | memoryview] = {}
        #: How many bytes of each file are taken.
        self.taken: dict[Path, int] = {}

    def read(self, stored: Message, size: int, where: str) -> bytes | memoryview:
        """Return the bytes of an array, which a message TensorProto says are elsewhere.

        Raises
        ------
        FileFormatError
            If they lie outside the folder, are not as many, or arrays overlap, which a small file could have
            any number of.
        """
        texts = texts_of(stored, "external_data")
        location = texts.get("location", "")
        file = self.file(location, where)
        with open_regular(file, "the arrays of an ONNX model") as opened:
            return self.read_from(opened, file, texts, size, where)

    def read_from(
        self, opened: BinaryIO, file: Path, texts: dict[str, str], size: int, where: str
    ) -> bytes | memoryview:
        """Return the bytes of an array from the file that has them; of a large file they are mapped."""
        held, location = os.fstat(opened.fileno()).st_size, texts["location"]
        try:
            offset, length = int(texts.get("offset") or 0), int(texts.get("length") or size)
        except ValueError:
            raise FileFormatError(f"{where} has an offset or length that is no number") from None
        if length != size or offset < 0 or offset + size > held:
            raise FileFormatError(
                f"{where} is to have {size} bytes: bytes {offset} to {offset + length} of {location!r}, "
                f"which has {held}"
            )
        place = file, offset, size
        if place not in self.found:
            self.taken[file] = self.taken.get(file, 0) + size
            if self.taken[file] > held:
                raise FileFormatError(
                    f"{where} overlaps other arrays in {location!r}, which has {held} bytes"
                )
            if held > MAPPED and size:
                mapped: Any = np.memmap(opened, np.uint8, "r", offset, (size,))
                self.found[place] = memoryview(mapped)
            else:
                opened.seek(offset)
                self.found[place] = opened.read(size)
        return self.found[place]

    def file(self, location: str, where: str) -> Path:
        """Return a file of the folder."""
        if not location or "\0" in location:
            raise FileFormatError(f"{where} lies in a file of its own, named {location!r}, wanted its name")
        try:
            file = (self.base / location).resolve()
            inside = file.is_relative_to(self.base) and not Path(location).is_absolute() and file.is_file()
        except (OSError, ValueError, RuntimeError):  # a name too long, a link to itself
            inside = False
        if not inside:
            raise FileFormatError(f"{where} lies in {location!r}, wanted a file inside the model's folder")
        return file
