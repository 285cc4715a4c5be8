"""Every random draw, keyed: the same seed and place give the same numbers, whoever asks and whenever.

Philox is a counter-based generator (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405): its
stream is a function of a key and a counter, so a draw can be repeated, skipped or made by another thread.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

# What a stream is for is part of its key, so that no two uses ever share numbers.
PARAMETERS, ORDER, DROPOUT = 1, 2, 3


def as_seed(seed: int | None) -> int:
    """Return `seed` as an integer from 0 to 2**64 - 1, drawn from the operating system if it is None.

    Raises
    ------
    TypeError
        If `seed` is not an integer.
    ValueError
        If `seed` is negative or needs more than 64 bits.

    Examples
    --------
    >>> as_seed(7)
    7
    """
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer or None, got {seed!r} of type {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed}")
    return int(seed)


def stream(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """Return the generator of one place: up to two numbers such as a step and a shard.

    Examples
    --------
    >>> a = stream(0, ORDER, 3).permutation(4)
    >>> b = stream(0, ORDER, 3).permutation(4)
    >>> bool((a == b).all())
    True
    """
    first, second = (*place, 0, 0)[:2]

    def words(*numbers: int) -> npt.NDArray[np.uint64]:
        return np.array(numbers, np.uint64)  # a list of large integers would go through float64

    return np.random.Generator(np.random.Philox(key=words(seed, purpose), counter=words(0, 0, first, second)))
