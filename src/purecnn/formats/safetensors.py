"""Safetensors reader and writer.

Models are saved as safetensors files, so that saving needs NumPy alone and loading never runs code.

A file is an 8-byte little-endian header length, a JSON header that names every array, and then the
arrays' bytes: https://huggingface.co/docs/safetensors#format. Files come from anywhere, so the reader
believes nothing that it has not checked: it parses the header a member at a time, each short and flat as
the format has it, and it allocates an array only once all offsets are known to fit the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Mapping
from io import BufferedReader, BytesIO
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from purecnn.backend.checks import file_name
from purecnn.backend.files import write_whole
from purecnn.errors import FileFormatError
from purecnn.formats.regular_files import open_regular

Path = str | os.PathLike[str]
File = BufferedReader | BytesIO
Buffer = TypeVar("Buffer", bytearray, memoryview)
Entry = tuple[int, int, str, str, list[int]]  # begin, end, name, dtype, shape


# In the order in which the reference implementation lays tensors out, from the widest to the narrowest.
NAMES = ["U64", "I64", "F64", "F32", "U32", "I32", "F16", "U16", "I16", "I8", "U8", "BOOL"]
CODES = ["<u8", "<i8", "<f8", "<f4", "<u4", "<i4", "<f2", "<u2", "<i2", "i1", "u1", "?"]
DTYPES = {name: np.dtype(code) for name, code in zip(NAMES, CODES, strict=True)}
NAME_OF = {dtype: name for name, dtype in DTYPES.items()}
# NumPy has no bfloat16: its bytes are read as uint16 and widened.
STORED_DTYPES = {**DTYPES, "BF16": np.dtype("<u2")}


MAX_HEADER_BYTES = 100_000_000  # the reference implementation's own limit
MAX_AXES = 64  # NumPy's
MAX_BYTES = int(np.iinfo(np.intp).max)


METADATA = "__metadata__"
#: The text that seals a file, and what stands in its place while the file's bytes are summed up.
SEAL, UNSEALED = "file_sha256", "0" * 64
# The grammar of a header; *+ never goes back over what it matched, so no text makes it slow.
SPACE = r"[ \t\r\n]*+"
STRING = r'"(?:[^"\\]|\\.)*+"'
COLON = rf"{SPACE}:{SPACE}"
FIELD = rf'(?:"dtype"{COLON}{STRING}|"(?:shape|data_offsets)"{COLON}\[[0-9, \t\r\n]{{0,2000}}+\])'
START = re.compile(rf"\{{{SPACE}\}}?")
NAME = re.compile(rf"({STRING}){COLON}")
FIELDS = re.compile(rf"\{{(?:{SPACE}{FIELD}{SPACE},?){{3}}{SPACE}\}}")
TEXTS = re.compile(rf"\{{(?:{SPACE}{STRING}{SPACE}[:,]?)*+{SPACE}\}}")
NEXT = re.compile(rf"{SPACE}(?:,{SPACE}|\}})")
FIELDS_WANTED = "dtype, a string, and shape and data_offsets, integers from 0 up"


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read every array of a safetensors file, and its metadata.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    tensors : dict of str to ndarray
        Writable, C-contiguous, in the machine's own byte order, in the order in which they are stored.
        ``BF16`` is widened to float32, which holds each of its values exactly.
    metadata : dict of str to str
        The header's ``__metadata__``; empty where the file has none.

    Raises
    ------
    FileFormatError
        The file is not a safetensors file, holds a dtype that NumPy lacks (``F8_E4M3``, ...), or is sealed
        and has changed since.
    OSError
        The file cannot be opened or read.

    Notes
    -----
    No array takes more bytes than it has in the file, except that a ``BF16`` one takes twice as many.
    The reference implementation ignores unknown keys in a tensor's entry; here they are refused.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "model.safetensors"
    ...     write_safetensors(file, {"bias": np.array([1.0, 2.0])}, {"made": "by hand"})
    ...     read_safetensors(file)
    ({'bias': array([1., 2.])}, {'made': 'by hand'})
    """
    with open_regular(path, "a safetensors file", "safetensors") as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size)
        except FileFormatError as error:
            raise FileFormatError(f"{os.fspath(path)}: {error}") from None


def parse_safetensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return what `read_safetensors` does, of a file's bytes; its errors name no file.

    Examples
    --------
    >>> parse_safetensors(safetensors_bytes({"bias": np.array([1.0, 2.0])}))
    ({'bias': array([1., 2.])}, {})
    """
    return _read(BytesIO(data), len(data))


def _read(file: File, size: int) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays and the metadata of an open file of so many bytes."""
    entries, metadata = _read_header(file, size)
    if SEAL in metadata:
        _check_seal(file, metadata[SEAL])
    return {entry[2]: _read_array(file, *entry[2:]) for entry in entries}, metadata


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    *,
    sealed: bool = False,
) -> None:
    """Write arrays to a safetensors file, all of it or nothing.

    Whoever kills the process leaves the old file or the new one (see `write_whole`). The same arrays and
    metadata, in whatever order, give the same bytes: tensors from the widest dtype to the narrowest and then
    by name, as the reference implementation has them, and metadata by key.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced and keeps its permissions.
    tensors : mapping of str to ndarray
        Of any shape, memory layout and byte order: float16 to float64, bool, integers of 8 to 64 bits.
    metadata : mapping of str to str, optional
        Texts to keep beside the arrays.
    sealed : bool
        Whether to add a text ``file_sha256``: the SHA-256 of the file's bytes with 64 zeros in the text's
        place. A reader that knows it refuses the file once a byte has changed; others read it as any file.

    Raises
    ------
    TypeError
        A dtype that the format lacks, or metadata that are no strings.
    ValueError
        A name that is no string or is ``__metadata__``, a text that UTF-8 cannot hold, a header above
        100 MB, or a path that is there and is not a regular file.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> write_safetensors("model.safetensors", {"weights": np.array([1j])})
    Traceback (most recent call last):
        ...
    TypeError: tensor 'weights' has dtype complex128, wanted one of U64, I64, F64, F32, ...
    """
    file_name(path)
    write_whole(path, _parts(tensors, metadata, sealed))


def safetensors_bytes(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of the file that `write_safetensors` writes; see there.

    Examples
    --------
    >>> len(safetensors_bytes({"bias": np.array([1.0, 2.0])}))
    88
    """
    return b"".join(_parts(tensors, metadata))


def _parts(
    tensors: Mapping[str, Any], metadata: Mapping[str, str] | None, sealed: bool = False
) -> list[bytes | memoryview]:
    """Return what a file has, one part behind the other."""
    texts = {**(metadata or {}), **({SEAL: UNSEALED} if sealed else {})}
    header, arrays = _prepare(tensors, texts)
    if sealed:
        digest = hashlib.sha256(header)
        for array in arrays:
            digest.update(_as_bytes(array))
        header = header.replace(_seal(UNSEALED), _seal(digest.hexdigest()), 1)
    return [header, *map(_as_bytes, arrays)]


def _seal(digits: str) -> bytes:
    """Return the seal as the header has it; in any text its quotation marks would be escaped."""
    return f'"{SEAL}":"{digits}"'.encode()


def _check_seal(file: File, stated: str) -> None:
    """Refuse a file whose bytes are not those that were sealed; leave it where the arrays begin."""
    begin = file.tell()
    file.seek(0)
    digest = hashlib.sha256(file.read(begin).replace(_seal(stated), _seal(UNSEALED), 1))
    while part := file.read(1 << 20):
        digest.update(part)
    if digest.hexdigest() != stated:
        raise FileFormatError(
            f"the file is damaged: its bytes' SHA-256 is {digest.hexdigest()}, it states {_short(stated)}"
        )
    file.seek(begin)


def _as_bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _prepare(tensors: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[bytes, list[NDArray[Any]]]:
    """Return the header, its length in front, and the arrays in the order and the bytes to be written."""
    arrays: list[tuple[str, NDArray[Any]]] = []
    for name, value in tensors.items():
        if not isinstance(name, str) or name == METADATA:
            raise ValueError(f"a tensor is named {name!r}, wanted a string other than {METADATA!r}")
        array = np.asarray(value)
        dtype = array.dtype.newbyteorder("<")
        if dtype not in NAME_OF:
            raise TypeError(f"tensor {name!r} has dtype {array.dtype}, wanted one of {', '.join(DTYPES)}")
        # Not ascontiguousarray, which makes a 0-d array 1-d.
        arrays.append((name, np.asarray(array, dtype=dtype, order="C")))
    arrays.sort(key=lambda item: (NAMES.index(NAME_OF[item[1].dtype]), item[0]))

    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata {key!r} is {_short(text)}, wanted a string under a string")
    header: dict[str, Any] = {METADATA: {key: texts[key] for key in sorted(texts)}} if texts else {}
    end = 0
    for name, array in arrays:
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": NAME_OF[array.dtype], "shape": array.shape, "data_offsets": (begin, end)}
    try:
        line = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a name or metadata holds {error.object[error.start]!r}, wanted text") from None
    line += b" " * (-len(line) % 8)  # the tensors start at a multiple of 8 bytes
    if len(line) > MAX_HEADER_BYTES:
        raise ValueError(f"names and metadata take {len(line)} bytes, wanted at most {MAX_HEADER_BYTES}")
    return struct.pack("<Q", len(line)) + line, [array for _, array in arrays]


def _read_header(file: File, size: int) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries in the order of their bytes, which are known to fill the file, and the metadata."""
    if size < 8:
        raise FileFormatError(f"the file has {size} bytes, wanted a safetensors file, which has at least 8")
    (length,) = struct.unpack("<Q", _fill(file, bytearray(8)))
    if length > (limit := min(MAX_HEADER_BYTES, size - 8)):
        raise FileFormatError(
            f"the first 8 bytes give a header of {length} bytes, wanted at most {limit}: damaged, or no "
            f"safetensors file"
        )
    # What is no UTF-8 becomes lone surrogates, which no part of the grammar lets through.
    members = _parse_header(_fill(file, bytearray(length)).decode(errors="surrogateescape"))
    metadata = members.pop(METADATA, {})
    entries = sorted(_entry(name, **fields) for name, fields in members.items())
    expected = 0
    for begin, end, name, *_ in entries:
        if begin != expected:
            raise FileFormatError(f"tensor {_short(name)} is at byte {_short(begin)}, wanted {expected}")
        expected = end
    if expected != size - 8 - length:
        raise FileFormatError(f"{size - 8 - length} bytes follow the header, wanted the tensors' {expected}")
    return entries, metadata


def _parse_header(text: str) -> dict[str, Any]:
    """Return the header's members by name, of known types."""
    members: dict[str, Any] = {}
    position = _match(START, text, 0, "an object").end()
    while text[position - 1] != "}":  # START and NEXT take in the brace that ends the object
        found = _match(NAME, text, position, "a name and a colon")
        name = _decode(found.group(1))
        if name in members:
            raise FileFormatError(f"the header names {_short(name)} twice, wanted it once")
        pattern, wanted = (TEXTS, "strings") if name == METADATA else (FIELDS, FIELDS_WANTED)
        found = _match(pattern, text, found.end(), f"for {_short(name)} an object of {wanted}")
        members[name] = _decode(found.group())
        position = _match(NEXT, text, found.end(), "a comma or the end of the object").end()
    if text[position:].strip(" "):
        raise FileFormatError(f"the header goes on with {_short(text[position:])}, wanted spaces")
    return members


def _match(pattern: re.Pattern[str], text: str, position: int, wanted: str) -> re.Match[str]:
    if found := pattern.match(text, position):
        return found
    given = repr(text[position : position + 100]) if position < len(text) else "its end"
    raise FileFormatError(f"the header goes on with {given}, wanted {wanted}")


def _decode(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        json.dumps(value, ensure_ascii=False).encode()  # refuses a lone surrogate, which is no text
        return value
    except (json.JSONDecodeError, UnicodeEncodeError):
        raise FileFormatError(f"the header holds {_short(text)}, wanted JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FileFormatError(f"the header names one of {_short(list(members))} twice, wanted each once")
    return members


def _entry(name: str, dtype: str, shape: list[int], data_offsets: list[int]) -> Entry:
    """Check the header's entry of one tensor against itself."""
    where = f"tensor {_short(name)}"
    if dtype not in STORED_DTYPES:
        raise FileFormatError(f"{where} has dtype {_short(dtype)}, wanted one of {', '.join(STORED_DTYPES)}")
    itemsize = STORED_DTYPES[dtype].itemsize
    # A 0 makes the product 0, yet NumPy must count the other axes.
    widened = 4 if dtype == "BF16" else itemsize
    if len(shape) > MAX_AXES or math.prod(max(1, n) for n in shape) * widened > MAX_BYTES:
        limits = f"at most {MAX_AXES} axes and {MAX_BYTES} bytes"
        raise FileFormatError(f"{where} has shape {_short(shape)}, wanted {limits}")
    size = math.prod(shape) * itemsize
    if len(data_offsets) != 2 or data_offsets[1] - data_offsets[0] != size:
        limits = f"a start and an end {size} bytes apart for {dtype} of shape {_short(shape)}"
        raise FileFormatError(f"{where} has data_offsets {_short(data_offsets)}, wanted {limits}")
    return data_offsets[0], data_offsets[1], name, dtype, shape


def _read_array(file: File, name: str, stored: str, shape: list[int]) -> NDArray[Any]:
    dtype = STORED_DTYPES[stored]
    array = np.empty(shape, dtype)
    _fill(file, _as_bytes(array))
    if stored == "BOOL" and array.size and (most := int(array.view(np.uint8).max())) > 1:
        raise FileFormatError(f"tensor {_short(name)} is BOOL with a byte {most}, wanted 0 or 1")
    if stored == "BF16":
        widened = np.empty(shape, np.float32)
        np.left_shift(array, 16, dtype=np.uint32, out=widened.view(np.uint32))
        return widened
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(file: File, buffer: Buffer) -> Buffer:
    got, wanted = file.readinto(buffer), memoryview(buffer).nbytes
    if got != wanted:
        raise FileFormatError(f"the file gave {got} bytes, wanted {wanted}: it shrank while it was read")
    return buffer


def _short(value: object) -> str:
    shown = repr(value[:60] if isinstance(value, str | list) else value)
    return shown if len(shown) <= 80 else shown[:80] + "..."
