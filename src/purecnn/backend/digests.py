"""Digests of arrays and data sets, by which a run knows its data again."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from purecnn.backend.arrays import to_host

#: Rows that `digest` reads at a time.
PIECE = 4096


def digest(*arrays: Any) -> str:
    """Return the SHA-256 of arrays: of their dtypes, shapes and values, whatever their layout in memory.

    Examples
    --------
    >>> digest(np.zeros(3)) == digest(np.zeros(3)), digest(np.zeros(3)) == digest(np.zeros((3, 1)))
    (True, False)
    """
    found = hashlib.sha256()
    for array in map(to_host, arrays):
        kind = array.dtype.newbyteorder("<")
        found.update(f"{kind.str} {array.shape};".encode())
        values = np.reshape(array, 1) if array.shape == () else array
        for first in range(0, len(values), PIECE):  # what is larger than memory is read some rows at a time
            part = np.asarray(values[first : first + PIECE], dtype=kind, order="C")
            found.update(part.reshape(-1).view(np.uint8).data)
    return found.hexdigest()
