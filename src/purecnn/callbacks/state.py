"""State of callbacks and runs as a file can hold it.

State as a file can hold it: JSON values in one text, the arrays among them beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from purecnn.backend.arrays import to_host
from purecnn.backend.types import Array

#: Objects with this key alone stand for an array, for a list of floats kept as one, and for a float that JSON
#: does not have.
ARRAY, FLOATS, FLOAT = "$array", "$floats", "$float"
#: Lists of this many floats become arrays: a third of the bytes, and no text to be parsed.
LONG = 16


def pack(value: Any, name: str) -> tuple[str, dict[str, Array]]:
    """Return JSON for `value`, and the arrays in it by name.

    Parameters
    ----------
    value : dict, list, str, number, bool, None or ndarray
        Nested as you like; a tuple comes back as a list, and a NumPy number as Python's.
    name : str
        What the names of the arrays begin with.

    Raises
    ------
    TypeError
        If it holds something else.

    Examples
    --------
    >>> text, arrays = pack({"best": float("nan"), "kept": [np.zeros(2)]}, "state")
    >>> text
    '{"best": {"$float": "nan"}, "kept": [{"$array": "state.kept.0"}]}'
    >>> unpack(text, arrays)
    {'best': nan, 'kept': [array([0., 0.])]}
    """
    arrays: dict[str, Array] = {}

    def plain(value: Any, name: str) -> Any:
        value = to_host(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray):
            arrays[name] = value
            return {ARRAY: name}
        if isinstance(value, list) and len(value) >= LONG and all(type(item) is float for item in value):
            arrays[name] = np.array(value)
            return {FLOATS: name}
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) and not key.startswith("$") for key in value):
                raise TypeError(
                    f"the keys of {name} must be strings without a $ in front, got {list(value)!r}"
                )
            return {key: plain(item, f"{name}.{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, f"{name}.{place}") for place, item in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            return {FLOAT: str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{name} must be made of JSON values and arrays, got {value!r:.100}")

    return json.dumps(plain(value, name), allow_nan=False), arrays


def unpack(text: str, arrays: Mapping[str, Array]) -> Any:
    """Return the value that `pack` took.

    Raises
    ------
    KeyError
        If an array of it is missing.
    ValueError
        If `text` is no such JSON.
    """

    def rebuilt(found: dict[str, Any]) -> Any:
        if found.keys() == {ARRAY}:
            return arrays[found[ARRAY]]
        if found.keys() == {FLOATS}:
            return arrays[found[FLOATS]].tolist()
        if found.keys() == {FLOAT}:
            return float(found[FLOAT])
        return found

    return json.loads(text, object_hook=rebuilt)
