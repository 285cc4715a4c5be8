"""HDF5 files as h5py can write them and Keras never would."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np

from campaigns.fuzz.mutations import INTEGERS, TEXTS, as_json, hostile, twisted


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """Return a file with something done to it by h5py."""
    import h5py

    held = io.BytesIO(data)
    with h5py.File(held, "r+") as file:
        change(file)
    return held.getvalue()


def lying_weights(rng: Random, seeds: list[bytes]) -> bytes:
    """Change groups, links, arrays and attributes, or what the library itself has written of them."""
    if rng.random() < 0.5:
        return lying_pieces(rng, rng.choice(seeds))

    def change(file: Any) -> None:
        for _ in range(rng.choice([1, 1, 2, 4])):
            groups, arrays = members(file)
            try:
                rng.choice(CHANGES)(rng, file, groups, arrays)
            except (KeyError, OSError, RuntimeError, TypeError, ValueError):
                continue  # not everything that is hostile can be written

    return changed(rng.choice(seeds), change)


def lying_model(rng: Random, seeds: list[bytes]) -> bytes:
    """Change the config that lies in an attribute, or anything else."""
    if rng.random() < 0.6:
        return lying_weights(rng, seeds)

    def change(file: Any) -> None:
        text = file.attrs["model_config"]
        config = json.loads(text)
        file.attrs["model_config"] = as_json(rng, twisted(rng, config)).replace("\x00", "")[:60_000]

    return changed(rng.choice(seeds), change)


def members(file: Any) -> tuple[list[str], list[str]]:
    """Return the names of a file's groups and of its arrays."""
    import h5py

    groups, arrays = [], []
    file.visititems(lambda name, item: (groups if isinstance(item, h5py.Group) else arrays).append(name))
    return groups or ["/"], arrays or ["/"]


def relink(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    import h5py

    name, other = rng.choice(groups + arrays), rng.choice(groups + arrays)
    links = [
        h5py.SoftLink(f"/{other}"),
        h5py.SoftLink("/nowhere"),
        h5py.ExternalLink("/nowhere/a.h5", "/"),
        h5py.ExternalLink("case", f"/{name}"),
        file[other],
    ]
    del file[name]
    file[name] = rng.choice(links)


def rearrange(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put another array in the place of one."""
    import h5py

    name = rng.choice(arrays)
    values = file[name][()]
    shape = rng.choice(
        [values.shape, values.shape[::-1], (*values.shape, 1), (0,), (), (2**20, 2**20), (1,) * 32]
    )
    del file[name]
    what = rng.randrange(9)
    if what == 0:
        file.create_dataset(name, shape, rng.choice(["f4", "f8", "f2", ">f4", "i4", "S3", "c8", "u1"]))
    elif what == 1:
        file.create_dataset(name, data=values, chunks=True, compression="gzip")
    elif what == 2:
        file.create_dataset(name, (4, 4), "f4", maxshape=(None, None), chunks=(2, 2), fillvalue=np.nan)
    elif what == 3:
        file.create_dataset(name, (1 << 20,), "f4", external=[("/nowhere/a", 0, h5py.h5f.UNLIMITED)])
    elif what == 4:
        layout = h5py.VirtualLayout((5,), "f4")
        layout[:] = h5py.VirtualSource("/nowhere/a.h5", "a", (5,))
        file.create_virtual_dataset(name, layout)
    elif what == 5:
        file.create_dataset(name, (3,), h5py.vlen_dtype(np.float32))
    elif what == 6:
        file.create_dataset(name, data=h5py.Empty("f4"))
    elif what == 7:
        file.create_dataset(name, (3,), np.dtype([("a", "f4"), ("b", "f8")]))
    else:
        wrong = rng.choice([np.nan, np.inf, 1e300, -1.0])
        with np.errstate(over="ignore"):
            file.create_dataset(name, data=np.full(values.shape, wrong, rng.choice(["f4", "f8"])))


def describe(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put another value into an attribute."""
    homes = [file, *(file[name] for name in groups)]
    home = rng.choice([h for h in homes if len(h.attrs)] or homes)
    name = rng.choice([*home.attrs, "layer_names", "weight_names", "layer_names0", "model_config"])
    value = rng.choice(
        [hostile(rng), rng.choice(TEXTS), [rng.choice(TEXTS)] * 3, np.zeros(3), b"\xff", ["a"] * 2000]
    )
    home.attrs[name] = value if not isinstance(value, dict) and value is not None else ""


def remove(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    del file[rng.choice(groups + arrays)]


def rename(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    name = rng.choice(groups + arrays)
    front = name.rpartition("/")[0]
    file.move(name, f"{front}/{rng.choice([*TEXTS, 'dense', 'conv2d_1', '0', '7', 'layers'])}")


def deepen(rng: Random, file: Any, groups: list[str], arrays: list[str]) -> None:
    """Put groups into groups, or a group into itself."""
    name = rng.choice(groups)
    if rng.random() < 0.5:
        file[f"{name}/layers"] = file[rng.choice([name, "/"])]
    else:
        file.require_group(name + "/layers/dense" * rng.choice([2, 25, 60]))


CHANGES = (relink, rearrange, rearrange, describe, remove, rename, deepen)


# What h5py itself would never write ---------------------------------------------------------------------

#: How the pieces begin of which HDF5 files are made; a sum follows those of the second row.
PIECES = (b"TREE", b"SNOD", b"HEAP", b"GCOL")
SUMMED = (b"\x89HDF", b"OHDR", b"OCHK", b"BTHD", b"BTIN", b"BTLF", b"FRHP", b"FHIB", b"FHDB")


def lying_pieces(rng: Random, data: bytes) -> bytes:
    """Change what the pieces of a file say about their sizes and where others are; the sums are right again.

    Addresses become those of other pieces, so that trees and heaps run in circles.
    """
    found, pointers = pieces(data), addresses(data)
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.5:
            place, width, other = rng.choice(pointers), 8, rng.choice(pointers)
            value = rng.choice([rng.choice(found), int.from_bytes(data[other : other + 8], "little"), place])
        else:
            width = rng.choice([1, 2, 4, 8, 8])
            place = rng.choice(found) + rng.choice(range(4, 72) if width < 8 else range(8, 72, 8))
            value = rng.choice([*INTEGERS, rng.choice(found)]) % (1 << 8 * width)
        changed[place : place + width] = value.to_bytes(width, "little")
    for at, length in sums(data):
        right = lookup3(bytes(changed[at : at + length]))
        changed[at + length : at + length + 4] = right.to_bytes(4, "little")
    return bytes(changed[: len(data)])


@cache
def pieces(data: bytes) -> list[int]:
    """Return where the pieces of a good file begin."""
    return sorted(at for signature in (*PIECES, *SUMMED) for at in starts(data, signature))


@cache
def addresses(data: bytes) -> list[int]:
    """Return where a good file holds what may be the address of something in it."""
    found, known = [], set(pieces(data))
    for at in range(len(data) - 7):
        word = int.from_bytes(data[at : at + 8], "little")
        if word in known or (at % 8 == 0 and 95 < word < len(data)):
            found.append(at)
    return found


def anew(data: bytes, version: str) -> bytes:
    """Return a file's groups, arrays and attributes as another version of the library writes them.

    With two rows of names and attributes besides, so many that the library makes trees and heaps of them.
    """
    import h5py

    def copy(here: Any, there: Any) -> None:
        for name, value in here.attrs.items():
            there.attrs[name] = value
        for name, item in here.items():
            if isinstance(item, h5py.Group):
                copy(item, there.create_group(name))
            else:
                there.create_dataset(name, data=item[()])

    held = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as old, h5py.File(held, "w", libver=version) as new:
        copy(old, new)
        for number in range(12):
            new.create_group(f"more/{number}")
            new["more"].attrs[f"{number}"] = "text"
    return held.getvalue()


def of_both_kinds(seeds: list[bytes]) -> list[bytes]:
    """Return files as they are, and as the newest version of the library writes them."""
    return [*seeds, *(anew(seed, "latest") for seed in seeds)]


def starts(data: bytes, signature: bytes) -> list[int]:
    """Return where a signature stands."""
    found, at = [], data.find(signature)
    while at >= 0:
        found.append(at)
        at = data.find(signature, at + 1)
    return found


@cache
def sums(data: bytes) -> tuple[tuple[int, int], ...]:
    """Return the places and lengths of the pieces of a good file behind which their sum stands."""
    found = []
    for at in sorted(at for signature in SUMMED for at in starts(data, signature)):
        for end in range(at + 12, min(at + 600, len(data) - 4)):
            if lookup3(data[at:end]) == int.from_bytes(data[end : end + 4], "little"):
                found.append((at, end - at))
                break
    return tuple(found)


def lookup3(data: bytes) -> int:
    """Return the sum that HDF5 has behind its pieces: http://burtleburtle.net/bob/c/lookup3.c, hashlittle."""
    mask = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & mask
    if not data:
        return c

    def turned(value: int, by: int) -> int:
        return (value << by | value >> 32 - by) & mask

    blocks = max(0, -(-len(data) // 12) - 1)
    words = struct.unpack(f"<{3 * blocks + 3}I", data.ljust(12 * blocks + 12, b"\0"))
    for n in range(0, 3 * blocks, 3):
        a, b, c = a + words[n] & mask, b + words[n + 1] & mask, c + words[n + 2] & mask
        a, c = (a - c & mask) ^ turned(c, 4), c + b & mask
        b, a = (b - a & mask) ^ turned(a, 6), a + c & mask
        c, b = (c - b & mask) ^ turned(b, 8), b + a & mask
        a, c = (a - c & mask) ^ turned(c, 16), c + b & mask
        b, a = (b - a & mask) ^ turned(a, 19), a + c & mask
        c, b = (c - b & mask) ^ turned(b, 4), b + a & mask
    a, b, c = a + words[-3] & mask, b + words[-2] & mask, c + words[-1] & mask
    c = ((c ^ b) - turned(b, 14)) & mask
    a = ((a ^ c) - turned(c, 11)) & mask
    b = ((b ^ a) - turned(a, 25)) & mask
    c = ((c ^ b) - turned(b, 16)) & mask
    a = ((a ^ c) - turned(c, 4)) & mask
    b = ((b ^ a) - turned(a, 14)) & mask
    return ((c ^ b) - turned(b, 24)) & mask
