"""Archives and streams that lie: the right structure around the wrong lengths, names and sums."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from campaigns.fuzz.mutations import INTEGERS, TEXTS, as_json, blind

Members = Sequence[tuple[str, bytes]]


def zipped(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


# in a zip archive's central directory: where from the entry's start, and how many bytes
FIELDS = {
    "version": (6, 2),
    "flags": (8, 2),
    "method": (10, 2),
    "crc": (16, 4),
    "packed": (20, 4),
    "size": (24, 4),
    "name length": (28, 2),
    "extra length": (30, 2),
    "offset": (42, 4),
}


def lying_zip(rng: Random, members: Members) -> bytes:
    """Return a zip archive with members doubled, renamed, bombs among them, and a directory that lies."""
    held = list(members)
    for _ in range(rng.choice([0, 1, 1, 2])):
        at = rng.randrange(len(held))
        name, data = held[at]
        what = rng.randrange(6)
        if what == 0:
            held.insert(at, (name, blind(rng, [data])))
        elif what == 1:
            held[at] = (name.replace("x", rng.choice("yz")), data)
        elif what == 2:
            text = rng.choice([t for t in TEXTS if t.isprintable() and t])
            held.append((text + rng.choice(["", "/", ".npy"]), data))
        elif what == 3:
            held[at] = (name, data + bytes(rng.choice([10**3, 10**6])))
        elif what == 4:
            held[at] = (name, zipped([(name, data)]))
        else:
            del held[at]
        if not held:
            break
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED)
        rare = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        data = bytearray(zipped(held, rng.choice(rare if rng.random() < 0.1 else methods)))
    for _ in range(rng.choice([0, 1, 1, 2])):
        signature = rng.choice([b"PK\x01\x02", b"PK\x01\x02", b"PK\x03\x04"])
        at = nth(data, signature, rng)
        if at < 0:
            break
        place, size = FIELDS[rng.choice(list(FIELDS))]
        place -= 2 if signature == b"PK\x03\x04" and place < 42 else 0  # a local header is two bytes shorter
        flags = (1, 8, 0x40, 0x800, 0x2000, 99, 93, 12, 14)
        value = rng.choice([*INTEGERS, *flags]) % (1 << 8 * size)
        data[at + place : at + place + size] = value.to_bytes(size, "little")
    return bytes(data)


def nth(data: bytearray, signature: bytes, rng: Random) -> int:
    """Return one of the places where a signature stands, -1 if there is none."""
    found, at = [], data.find(signature)
    while at >= 0:
        found.append(at)
        at = data.find(signature, at + 1)
    return rng.choice(found) if found else -1


def gzipped(data: bytes) -> bytes:
    """Return a gzip stream, the same bytes each time."""
    return gzip.compress(data, mtime=0)


def lying_gzip(rng: Random, data: bytes) -> bytes:
    """Return a gzip stream that is cut, has something behind it, or is of several members or another kind."""
    packed = gzipped(data)
    what = rng.randrange(9)
    if what == 0:
        return packed + rng.choice([b"\x00" * 100, b"garbage", packed, packed[:20]])
    if what == 1:
        at = rng.randrange(len(data) + 1)
        return gzipped(data[:at]) + gzipped(data[at:])
    if what == 2:
        return packed[:-4] + struct.pack("<I", rng.choice(INTEGERS) % 2**32)
    if what == 3:
        return packed[:-8] + rng.randbytes(4) + packed[-4:]
    if what == 4:
        return gzipped(packed)
    if what == 5:
        return gzipped(data + bytes(rng.choice([1, 10**6, 10**7])))
    if what == 6:
        return rng.choice([bz2.compress, lzma.compress, zlib.compress])(data)
    if what == 7:  # every optional field of a member's header
        return packed[:3] + b"\x1f" + packed[4:10] + b"\xff\xff" + packed[10:]
    return blind(rng, [packed])


def tarred(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


TYPES = b"0\x0012345678KLNVgxSDX"


def lying_tar(rng: Random, members: Members) -> bytes:
    """Return a tar archive with links, devices, lying sizes and names, its sums right again."""
    held = list(members)
    if rng.random() < 0.5:
        name, content = rng.choice(held)
        named = rng.choice([name, *(text for text in TEXTS if text.isascii() and "\x00" not in text)])
        held.insert(rng.randrange(len(held) + 1), (named, content))
    data = bytearray(tarred(held))
    headers = [at for at in range(0, len(data) - 512, 512) if data[at + 257 : at + 262] == b"ustar"]
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.choice(headers)
        what = rng.randrange(6)
        if what == 0:
            data[at + 156] = rng.choice(TYPES)
        elif what == 1:
            size = rng.choice(INTEGERS)
            wide = b"\x80" + (size % 2**88).to_bytes(11, "big")
            data[at + 124 : at + 136] = wide if size >= 8**11 else b"%011o\x00" % size
        elif what == 2:
            data[at + 124 : at + 136] = rng.choice([b"\xff" * 12, b"-0000000001\x00", b"x" * 12, bytes(12)])
        elif what == 3:
            name = rng.choice(TEXTS).encode("utf-8", "replace")[:100]
            data[at : at + 100] = name.ljust(100, b"\x00")
        elif what == 4:
            data[at + 157 : at + 257] = rng.choice(TEXTS).encode("utf-8", "replace")[:100].ljust(100, b"\x00")
        else:
            field = rng.choice([100, 108, 116, 136, 329, 337])
            data[at + field : at + field + 8] = rng.choice([b"\xff" * 8, rng.randbytes(8), b"77777777"])
        if rng.random() < 0.95:
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\x00 " % sum(data[at : at + 512])
    return bytes(data)


# safetensors -------------------------------------------------------------------------------------------


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the arrays' bytes of a good safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def closed(rng: Random, header: Any, body: bytes, *, sealed: bool = False) -> bytes:
    """Return a safetensors file of any header; a seal in it is made right again, if asked for."""
    text = as_json(rng, header).encode("utf-8", "surrogatepass")
    length = len(text) if rng.random() < 0.95 else rng.choice(INTEGERS) % 2**64
    data = struct.pack("<Q", length) + text + body
    if sealed and isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        old = str(header["__metadata__"].get("file_sha256")).encode()
        blank = data.replace(old, b"0" * 64, 1)
        data = blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1)
    return data


def spoiled(rng: Random, body: bytes) -> bytes:
    """Return arrays' bytes with a NaN, an infinity or the largest number among them."""
    values = bytearray(body)
    if len(values) >= 8:
        at = rng.randrange(len(values) // 4) * 4
        numbers = ("<f", float("nan")), ("<f", float("inf")), ("<f", 3e38), ("<f", 1e-45), ("<d", 1e308)
        kind, value = rng.choice(numbers)
        packed = struct.pack(kind, value)[: len(values) - at]
        values[at : at + len(packed)] = packed
    return bytes(values)


# Protocol buffers ---------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """Return a number as seven bits a byte."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def lying_message(rng: Random, data: bytes) -> bytes:
    """Return a protocol buffer with one field somewhere in it that lies, the lengths around it right."""
    found: list[tuple[int, int, bytes | int]] = []
    at = 0
    try:
        while at < len(data):
            key, at = taken(data, at)
            wire = key & 7
            if wire == 0:
                value, at = taken(data, at)
                found.append((key >> 3, 0, value))
                continue
            length, at = taken(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if at + length > len(data):
                raise ValueError
            found.append((key >> 3, wire, data[at : at + length]))
            at += length
    except (KeyError, IndexError, ValueError):
        return blind(rng, [data]) if data else rng.randbytes(8)
    if not found:
        return rng.randbytes(rng.choice([1, 5, 50]))
    number = rng.randrange(len(found))
    field, wire, value = found[number]
    what = rng.randrange(10)
    if wire == 2 and what < 5:
        found[number] = (field, 2, lying_message(rng, bytes(value)))
    elif what == 5:
        found[number:number] = [found[number]] * rng.choice([1, 2, 200])
    elif what == 6:
        del found[number]
    elif what == 7:
        deep = bytes(value) if wire == 2 else b""
        for _ in range(rng.choice([5, 70, 500])):
            deep = varint(field << 3 | 2) + varint(len(deep)) + deep
        found[number] = (field, 2, deep)
    elif what == 8:
        found[number] = (rng.randrange(1, 40), rng.choice([0, 2]), b"")
    else:
        found[number] = (
            (field, 0, rng.choice(INTEGERS) % 2**64) if wire == 0 else (field, wire, rng.randbytes(8))
        )
    out = bytearray()
    for field, wire, value in found:
        out += varint(field << 3 | wire)
        if wire == 0:
            out += varint(value if isinstance(value, int) else 1)
        else:
            held = value if isinstance(value, bytes) else b""
            lie = rng.random() < 0.02
            out += (varint(rng.choice(INTEGERS) if lie else len(held)) if wire == 2 else b"") + held
    return bytes(out)


def taken(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
