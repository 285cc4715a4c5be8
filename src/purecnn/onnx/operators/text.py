"""Text in ONNX graphs: constants, comparison, and conversion from and to numbers.

Texts are objects of Python, each a `str`: what takes one costs more than a number, and is claimed so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.onnx.arrays import TEXT
from purecnn.onnx.operators.registry import OperatorCall

#: What making one object of Python costs, in bytes gone over, and in numbers of eight bytes.
OBJECT, NUMBERS = 1024, 16
#: How a number that is none is written.
NAMES = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}


def texts(call: OperatorCall, name: str) -> list[str]:
    """Return an attribute that is a list of texts; an empty one if it is left out."""
    value = call.attribute(name, list, [])
    if not all(isinstance(item, str) for item in value):
        raise FileFormatError(f"the attribute {name!r} is {value!r}, wanted texts")
    return list(value)


def text_array(values: list[str], shape: tuple[int, ...]) -> Array:
    """Return texts as an array."""
    found = np.empty(len(values), TEXT)
    found[:] = values
    return found.reshape(shape)


def equal(call: OperatorCall, a: Array, b: Array) -> Array:
    """Return where texts are the same; each pair costs as much as the shorter one is long."""
    call.same(a, b)
    shape = call.claim(np.broadcast_shapes(a.shape, b.shape), np.bool_, slow=OBJECT // 8)
    call.claim((a.size + b.size,), TEXT, copies=0, slow=OBJECT // 8)
    longest = min(max(map(len, x.flat), default=0) for x in (a, b))
    call.claim(shape, np.bool_, copies=0, slow=longest)
    found: Array = np.equal(a, b)
    return found


def converted(call: OperatorCall, x: Array, dtype: np.dtype[Any]) -> Array:
    """Return texts as numbers, or numbers as texts."""
    if x.dtype == dtype:
        return x
    call.claim(x.shape, np.float64, copies=NUMBERS, slow=OBJECT)
    if x.dtype == TEXT:
        return parsed(x, dtype)
    return text_array([written(value) for value in x.reshape(-1).tolist()], x.shape)


def written(value: float | int | bool) -> str:
    """Return a number as text: floats with eight digits, as onnxruntime has them; true is 1."""
    if isinstance(value, float):
        found = f"{value:.8g}"
        return NAMES.get(found, found)
    return str(int(value))


def parsed(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return texts as the numbers that they write."""
    if dtype.kind not in "iuf":
        raise FileFormatError(f"text can't be {dtype}, wanted a number")
    number = float if dtype.kind == "f" else int
    found = []
    for text in x.reshape(-1).tolist():
        try:
            found.append(number(text))
        except ValueError:
            wanted = "a float" if number is float else "an integer"
            raise FileFormatError(f"the text {text[:40]!r} is no number, wanted {wanted}") from None
    wide = np.dtype("f8" if dtype.kind == "f" else "u8" if dtype == np.uint64 else "i8")
    return np.array(found, wide).astype(dtype).reshape(x.shape)
