"""Hostile files are made of good ones: some bytes changed blindly, or one value of their JSON at a time."""

from __future__ import annotations

import copy
import json
import math
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

#: Where a length, a count or an offset may go wrong.
INTEGERS = (
    *(0, 1, 2, 3, 7, 64, 127, 128, 255, 256, 1000, 4096, 65535, 65536, 10**6, 2**24, 10**9),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30),
)
FLOATS = (0.0, -0.0, 0.5, 1e-320, 1e30, 1e308, math.inf, -math.inf, math.nan)
#: Names that lead out of a folder; a reader that follows one is found out by this word.
ESCAPED = "escaped-by-fuzz"
TEXTS = (
    *("", ".", "..", "/", "\x00", "\n", "a" * 5000, "é\ud800", "％s{0}%s", "\u202e", "-1", "1e999"),
    *(f"../{ESCAPED}", f"/tmp/{ESCAPED}", f"..\\{ESCAPED}", f"a/../../{ESCAPED}", "C:\\a", "con"),
    *("__class__", "__init__", "self", "type", "rng", "dtype", "nan", "float32", "object", "𝟛", "٣"),
)


def nested(rng: Random) -> Any:
    """Return a list in a list in a list, or an object in an object."""
    value: Any = rng.choice([1, [], {}, "x"])
    depth = rng.choice([2, 30, 300])
    key = rng.choice([None, "layers", "config", "a"])
    for _ in range(depth):
        value = [value] if key is None else {key: value}
    return value


def hostile(rng: Random) -> Any:
    """Return a value that hardly any place wants."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(INTEGERS) * rng.choice([1, 1, -1])
    if kind == 3:
        return rng.choice(FLOATS)
    if kind == 4:
        return rng.choice(TEXTS)
    if kind == 5:
        return rng.choice([None, True, False, [], {}, [None], [[]], {"": 0}])
    if kind == 6:
        return [rng.choice(INTEGERS) for _ in range(rng.choice([1, 2, 3, 4, 33, 100, 3000]))]
    return nested(rng)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a JSON value, by keys and numbers."""
    found = [above]
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*above, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += places(item, (*above, number))
    return found


def twisted(rng: Random, value: Any) -> Any:
    """Return a JSON value with one or a few values replaced, removed, doubled, exchanged or renamed."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        ways = places(value)
        way = rng.choice(ways)
        if not way:
            if rng.random() < 0.05:
                return hostile(rng)
            continue
        home = value
        for step in way[:-1]:
            home = home[step]
        key, what = way[-1], rng.randrange(9)
        if what < 4:
            home[key] = near(rng, home[key]) if rng.random() < 0.3 else hostile(rng)
        elif what == 4:
            del home[key]
        elif what == 5 and isinstance(home, list):
            home[key:key] = [copy.deepcopy(home[key])] * rng.choice([1, 2, 50])
        elif what == 5:
            home[rng.choice(TEXTS)] = home[key]
        elif what == 6:
            other = value
            for step in rng.choice(ways):
                other = other[step]
            home[key] = copy.deepcopy(other)
        elif what == 7 and isinstance(home, dict):
            home[rng.choice(TEXTS)] = hostile(rng)
        elif isinstance(home[key], list):
            rng.shuffle(home[key])
        else:
            home[key] = [home[key]]
    return value


def near(rng: Random, value: Any) -> Any:
    """Return a value of the same kind, a little off."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value - 1, value + 1, value * 2, -value, value * 10**6, float(value), str(value)])
    if isinstance(value, float):
        return rng.choice([value * 2, -value, int(value) if math.isfinite(value) else 0, str(value)])
    if isinstance(value, str):
        return rng.choice([value[:-1], value + "x", value.upper(), value * 100, value + "\x00", ""])
    if isinstance(value, list):
        return rng.choice([value[:-1], value * 2, [value], value[::-1], dict(enumerate(map(str, value)))])
    return [value]


def as_json(rng: Random, value: Any) -> str:
    """Return JSON as a hostile writer has it: now and then with a key twice, or broken."""
    text = json.dumps(value, separators=(",", ":"))
    what = rng.randrange(12)
    if what == 0 and text.startswith("{") and len(text) > 2:
        return text[:-1] + "," + text[1:]
    if what == 1:
        return blind(rng, [text.encode()]).decode("utf-8", "replace")
    if what == 2:
        return "[" * rng.choice([100, 5000, 100_000])
    return text


def blind(rng: Random, seeds: Sequence[bytes]) -> bytes:
    """Return a file with bytes changed, whatever they mean."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        if not data:
            break
        rng.choice(CHANGES)(rng, data, seeds)
    return bytes(data[: 4 << 20])


def place_in(rng: Random, data: bytearray) -> int:
    """Return a place in a file: often in its first bytes, where formats say what they are."""
    end = len(data) if rng.random() < 0.5 else min(len(data), rng.choice([16, 64, 256]))
    return rng.randrange(end)


def flip(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    for _ in range(rng.choice([1, 2, 10])):
        data[place_in(rng, data)] ^= 1 << rng.randrange(8)


def overwrite(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at, length = place_in(rng, data), rng.choice([1, 1, 2, 4, 16])
    filler = rng.choice([b"\x00", b"\xff", b"\x80", rng.randbytes(1), b"[", b"\x7f"])
    data[at : at + length] = filler * length


def number(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """Write an extreme number over some bytes, in either order of bytes."""
    kind, at = rng.choice("BHIQ"), place_in(rng, data)
    size = struct.calcsize(kind)
    value = rng.choice([*INTEGERS, len(data), len(data) - 1, len(data) + 1]) % (1 << 8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))


def truncate(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    del data[rng.choice([place_in(rng, data), len(data) - 1, rng.randrange(len(data))]) :]


def extend(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    data += rng.choice([b"\x00", rng.randbytes(1), b"\n"]) * rng.choice([1, 7, 512, 5000])


def remove(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = place_in(rng, data)
    del data[at : at + rng.choice([1, 2, 4, 100])]


def double(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = place_in(rng, data)
    data[at:at] = data[at : at + rng.choice([1, 4, 64, 1000])] * rng.choice([1, 1, 3, 40])


def splice(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    if other:
        data[place_in(rng, data) :] = other[rng.randrange(len(other)) :]


def move(rng: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at, length = place_in(rng, data), rng.choice([1, 4, 32, 300])
    piece = data[at : at + length]
    del data[at : at + length]
    there = rng.randrange(len(data) + 1)
    data[there:there] = piece


CHANGES: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    *(flip, overwrite, number, number, truncate, extend, remove, double, splice, move),
)
