"""Checks of what a model's file says: its texts, counts, shapes and arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from types import NoneType
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError

FORMAT, VERSION = "purecnn", "1"
#: Characters of one text of the metadata: thousands of layers, and little enough to parse anywhere.
MAX_TEXT = 1_000_000
#: What NumPy can index, with room for a batch; no product of shapes may come near an overflow.
MAX_VALUES, MAX_AXES = 2**40, 32
#: Steps and epochs are counted in integers of 64 bits; this leaves more of them than anybody can take.
MAX_COUNT = 2**62


def check_texts(texts: dict[str, str]) -> None:
    """Refuse metadata of another format or version, or with a text missing, or too long to parse."""
    for name, wanted in (("format", (FORMAT,)), ("version", (VERSION,)), ("dtype", ("float32", "float64"))):
        if texts.get(name) not in wanted:
            given = f"is {texts[name]!r:.100}" if name in texts else "is missing"
            hint = "; weights alone go into a network by load_state_dict" if name == "format" else ""
            raise FileFormatError(f"its {name} {given}, wanted {' or '.join(map(repr, wanted))}{hint}")
    for name in ("architecture", "epochs", "input_shape", "preprocessing", "seed", "task", "updates"):
        if name not in texts:
            raise FileFormatError(f"its {name} is missing from the metadata")
        if len(texts[name]) > MAX_TEXT:
            raise FileFormatError(
                f"its {name} takes {len(texts[name])} characters, wanted at most {MAX_TEXT}"
            )


def decode(texts: dict[str, str], name: str, *kinds: type) -> Any:
    """Return one text's JSON value, of a type wanted."""
    try:
        value = json.loads(texts[name], parse_constant=refuse_constant)
    except (RecursionError, ValueError) as error:
        raise FileFormatError(f"its {name} is no JSON: {error}") from None
    if type(value) not in kinds:
        words = {list: "a list", dict: "an object", int: "an integer", str: "a string", NoneType: "null"}
        wanted = " or ".join(words[kind] for kind in kinds)
        raise FileFormatError(f"its {name} is {value!r:.100}, wanted {wanted}")
    return value


def refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python's JSON reads and JSON does not have."""
    raise ValueError(f"{name} is no number")


def check_counts(**counts: int) -> None:
    """Refuse counts of steps or epochs that no training has."""
    for name, count in counts.items():
        if not 0 <= count < MAX_COUNT:
            raise FileFormatError(f"its {name} are {count!r:.100}, wanted from 0 to below {MAX_COUNT}")


def check_shape(what: str, shape: Shape) -> Shape:
    """Return a sample's shape, unless it has more values or axes than any network can use."""
    if not shape or len(shape) > MAX_AXES or not 0 < math.prod(shape) <= MAX_VALUES:
        raise FileFormatError(
            f"{what} has shape {shape!r:.100}, wanted 1 to {MAX_AXES} axes and at most {MAX_VALUES} values"
        )
    return shape


def check_classes(names: Sequence[str], output_shape: Shape | None) -> None:
    """Refuse names of classes that are more or fewer than the outputs."""
    classes, outputs = len(names), math.prod(output_shape or ())
    if classes not in (0, outputs):
        raise FileFormatError(
            f"there are {classes} names of classes, wanted none or one for each of {outputs} outputs"
        )


def check_finite(name: str, array: Array) -> Array:
    """Return `array`, unless one of its values is NaN or infinite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FileFormatError(f"{name} holds {array[~np.isfinite(array)][0]}, wanted finite numbers alone")
    return array


def take(tensors: dict[str, Array], name: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Take one array out of a file's, of exactly this shape and dtype."""
    array = tensors.pop(name, None)
    if array is None:
        raise FileFormatError(f"the tensor {name} is missing, wanted {dtype} of shape {shape}")
    if array.shape != shape or array.dtype != dtype:
        raise FileFormatError(
            f"{name} is {array.dtype} of shape {array.shape}, wanted {dtype} of shape {shape}"
        )
    return check_finite(name, array)
