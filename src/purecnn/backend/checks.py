"""Checks of arguments: one clear sentence that names the value wanted and the value given."""

from __future__ import annotations

import array as stored
import math
import os
import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array


def is_integer(value: object) -> bool:
    """Return whether `value` is an integer and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether `value` is a real number, finite as a float, and no bool.

    Examples
    --------
    >>> is_number(1), is_number(float("nan")), is_number(10**400)
    (True, False, False)
    """
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(as_float(value))
    )


def as_float(value: Any) -> float:
    """Return a real number as a float: infinity where an integer is too large to be one.

    Examples
    --------
    >>> as_float(3), as_float(-(10**400))
    (3.0, -inf)
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def full_name(thing: Any) -> str:
    """Return a name that tells a function or a class from all others: of a partial one with its arguments.

    Examples
    --------
    >>> full_name(positive), full_name(int)
    ('purecnn.backend.checks.positive', 'builtins.int')
    """
    if isinstance(thing, partial):
        named = [f"{name}={value!r}" for name, value in thing.keywords.items()]
        return f"{full_name(thing.func)}({', '.join([*map(repr, thing.args), *named])})"
    if not hasattr(thing, "__qualname__"):  # an object that can be called
        thing = type(thing)
    return f"{thing.__module__}.{thing.__qualname__}"


def positive(name: str, value: int, least: int = 1) -> int:
    """Return `value` if it is an integer of at least `least`.

    Examples
    --------
    >>> positive("depth", 0)
    Traceback (most recent call last):
    ValueError: depth must be an integer of at least 1, got 0
    """
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value}")
    return int(value)


def within(name: str, value: float, low: float, high: float = np.inf, *, open_low: bool = False) -> float:
    """Return `value` as a float if it lies from `low` to below `high`.

    Examples
    --------
    >>> within("rate", 10**400, 0)
    Traceback (most recent call last):
    ValueError: rate must be a number at least 0, got inf
    """
    bounds = f"{'above' if open_low else 'at least'} {low:g}" + (
        f" and below {high:g}" if high < np.inf else ""
    )
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a finite number {bounds}, got {value!r}")
    number = as_float(value)
    if not (low < number < high if open_low else low <= number < high):  # a NaN is in no range
        raise ValueError(f"{name} must be a number {bounds}, got {number:g}")
    return number


def flag(name: str, value: bool) -> bool:
    """Return `value` if it is a bool.

    Examples
    --------
    >>> flag("nesterov", 1)
    Traceback (most recent call last):
    TypeError: nesterov must be True or False, got 1
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: object, known: Collection[str], also: str = "") -> str:
    """Return the one of `known` that `value` is, in any case; `also` says what else there is.

    Examples
    --------
    >>> choice("mode", "MIN", ("min", "max"))
    'min'
    >>> choice("mode", "minimum", ("min", "max"))
    Traceback (most recent call last):
    ValueError: mode must be one of min, max, got 'minimum'
    """
    if isinstance(value, str):
        lowered = value.lower()
        for one in known:
            if one.lower() == lowered:
                return one
    raise ValueError(
        f"{name} must be one of {', '.join(known)}{also}, got {value!r:.100}{suggestion(value, known)}"
    )


def suggestion(value: object, known: Collection[str]) -> str:
    """Return what a word that is not known stands for here, as the end of a sentence; empty if nothing does.

    Examples
    --------
    >>> suggestion("mean_squared_error", ["mse", "huber"])
    ': it is called mse here'
    >>> suggestion("nadam", ["sgd", "adam"])
    ': use Adam or AdamW'
    """
    from purecnn.messages.calls import HISTORIES
    from purecnn.messages.near_names import hint
    from purecnn.messages.vocabulary import CHOICES

    names = {one.lower() for one in known}
    rows = [
        row
        for here, absent in CHOICES
        if any(one.here.lower() in names for one in here)
        for row in (*here, *absent)
    ]
    found = hint(value, known, (*rows, *HISTORIES)) if isinstance(value, str) else ""
    return f": {found}" if found else ""


def file_name(path: Any, name: str = "path", kind: str = "a file") -> str:
    """Return a name of the file system's, which need not exist, as a string.

    Examples
    --------
    >>> file_name(3)
    Traceback (most recent call last):
    TypeError: path must be the name of a file, got 3
    """
    found = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if not isinstance(found, str) or not found or "\0" in found:
        raise TypeError(f"{name} must be the name of {kind}, got {path!r:.100}")
    return found


def as_pair(name: str, value: Any) -> tuple[Any, Any]:
    """Return `value` if it is a pair, samples and their answers.

    Examples
    --------
    >>> as_pair("validation_data", 0.1)
    Traceback (most recent call last):
    TypeError: validation_data must be a pair (x, y), got float
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        given = f"{type(value).__name__}{f' of {len(value)}' if isinstance(value, Sequence) else ''}"
        raise TypeError(f"{name} must be a pair (x, y), got {given}")
    return value[0], value[1]


def pair(name: str, value: int | Sequence[int], least: int = 1) -> tuple[int, int]:
    """Return `value`, one integer or two (height, width), as two.

    Examples
    --------
    >>> pair("stride", 2)
    (2, 2)
    """
    both: tuple[int, ...] = ()
    if isinstance(value, int | np.integer):
        both = (int(value), int(value)) if is_integer(value) else ()
    elif isinstance(value, Sequence):
        both = tuple(value)
    if len(both) != 2 or not all(is_integer(v) for v in both):
        raise TypeError(f"{name} must be an integer or a pair of them (height, width), got {value!r}")
    if min(both) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return int(both[0]), int(both[1])


#: Arrays, which may lie on disk, are checked so many bytes at a time.
PIECE = 1 << 24


def unchecked_array(name: str, values: Any) -> Array:
    """Return `values` as an array of whatever they hold, if they are one and no source of batches.

    Raises
    ------
    TypeError
        If they have to be asked for one by one, as a generator or a loader of batches.
    ValueError
        If they are ragged, or some are masked.
    """
    is_array = isinstance(values, Sequence | memoryview | stored.array) or hasattr(values, "__array__")
    is_iterable = hasattr(values, "__iter__") or hasattr(values, "__getitem__")
    if is_iterable and not is_array and not hasattr(values, "__array_interface__"):
        raise TypeError(
            f"{name} must be an array, or a Dataset: an object with labels, __len__ and batch(rows); "
            f"got a {type(values).__name__}"
        )
    # who has masked arrays has imported their module, which takes a browser's start a sixth of a second
    if "numpy.ma" in sys.modules and np.ma.is_masked(values):
        raise ValueError(
            f"{name} must hold a value everywhere, got masked ones among them: {name}.filled(0) puts 0 there"
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must hold samples of one shape; got a ragged list") from None


def as_array(name: str, values: Any) -> Array:
    """Return `values` as an array of real, finite numbers.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there are none, if they are ragged, or if one is NaN or infinite.
    """
    array = unchecked_array(name, values)
    text = array.flat[0] if array.dtype.kind in "USO" and array.size else None
    if name.startswith("y") and isinstance(text, str | bytes):
        raise TypeError(
            f"{name} must hold real numbers, got text such as {str(text)!r:.40}: names, y = np.unique(y, "
            "return_inverse=True) numbers the classes, Preprocessing(classes=names) keeps their names, and "
            "CNNClassifier does both"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one sample, got shape {array.shape}")
    if array.dtype.kind == "f":
        check_finite(name, array)
    return array


def check_range(name: str, array: Array, dtype: npt.DTypeLike) -> None:
    """Raise `ValueError` if a float of a wider type is infinite as one of `dtype`.

    Examples
    --------
    >>> check_range("x", np.array([1.0, -1e39]), "float32")
    Traceback (most recent call last):
    ValueError: x must hold numbers within float32's range, at most 3.4e+38 in size; got -1e+39
    """
    kind = np.dtype(dtype)
    if array.dtype.kind == "f" and array.dtype.itemsize > kind.itemsize and array.size:
        least, most, limit = float(array.min()), float(array.max()), float(np.finfo(kind).max)
        if max(-least, most) > limit:
            raise ValueError(
                f"{name} must hold numbers within {kind}'s range, at most {limit:.3g} in size; "
                f"got {least if -least > most else most:.3g}"
            )


def check_finite(name: str, array: Array) -> None:
    """Raise `ValueError` if a value is NaN or infinite, and say where; never more than a piece is copied."""
    if array.ndim == 0 or array.nbytes <= PIECE:
        finite = np.isfinite(array)
        if not finite.all():
            place = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"{name} must be finite, got {array[place]} at {place}")
        return
    length = max(1, PIECE * len(array) // array.nbytes)
    for start in range(0, len(array), length):
        piece = array[start : start + length]
        if not np.isfinite(piece).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(piece))[0])
            raise ValueError(f"{name} must be finite, got {piece[place]} at {(start + place[0], *place[1:])}")
