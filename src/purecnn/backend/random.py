"""Random numbers keyed by seed and place (Philox).

Every random draw, keyed: the same seed and place give the same numbers, whoever asks and whenever.

Philox is a counter-based generator (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405): its
stream is a function of a key and a counter, so a draw can be repeated, skipped or made by another thread.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# What a stream is for is part of its key, so that no two uses ever share numbers.
PARAMETERS, ORDER, DROPOUT = 1, 2, 3
# Dropout takes a number for each layer from its own on, so these lie far above.
AUGMENTATION, SPLIT, COLOUR, MIXING = range(1 << 32, (1 << 32) + 4)


#: Where a layer's draws in a step come from: see `words`.
Drawn = np.random.Generator | Sequence[tuple[np.random.Generator, int]]


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
    # Its state is set: Philox(key=, counter=) asks the system for entropy first, 113 us in place of 45.
    bits = np.random.Philox(_any_seed())
    # A list of large integers would go through float64.
    key, counter = (np.array(numbers, np.uint64) for numbers in ((seed, purpose), (0, 0, first, second)))
    bits.state = {
        "bit_generator": "Philox",
        "state": {"key": key, "counter": counter},
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,  # it is used up
        "has_uint32": 0,
        "uinteger": 0,
    }
    return np.random.Generator(bits)


@functools.cache
def _any_seed() -> np.random.SeedSequence:
    """Return a seed, for generators whose state is set behind it."""
    return np.random.SeedSequence(0)


def words(random: Drawn, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Return 16 random bits for each value of an array of `shape`, whose last axis is the batch.

    Parameters
    ----------
    random : Generator or list of (Generator, int)
        Of a whole batch, or of each of its shards with its number of samples: then what the shards, each by
        itself, would have drawn.
    shape : tuple of int
        Of the array.

    Examples
    --------
    >>> shards = [(stream(0, DROPOUT, 0, number), 2) for number in range(2)]
    >>> whole = words(shards, (3, 4))
    >>> bool((whole[:, 2:] == words(stream(0, DROPOUT, 0, 1), (3, 2))).all())
    True
    """
    if isinstance(random, np.random.Generator):
        size = int(np.prod(shape))
        drawn: npt.NDArray[np.uint64] = random.bit_generator.random_raw(-(-size // 4))
        return drawn.view(np.uint16)[:size].reshape(shape)
    return np.concatenate([words(one, (*shape[:-1], samples)) for one, samples in random], axis=-1)


def normals(random: Drawn, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a number of N(0, 1) for each value of an array of `shape`, drawn as `words` draws.

    Examples
    --------
    >>> shards = [(stream(0, DROPOUT, 0, number), 2) for number in range(2)]
    >>> whole = normals(shards, (3, 4))
    >>> bool((whole[:, 2:] == normals(stream(0, DROPOUT, 0, 1), (3, 2))).all())
    True
    """
    if isinstance(random, np.random.Generator):
        return random.standard_normal(shape, np.float32)
    return np.concatenate([normals(one, (*shape[:-1], samples)) for one, samples in random], axis=-1)


def uniforms(
    seed: int, purpose: int, place: int, samples: npt.ArrayLike, count: int
) -> npt.NDArray[np.float64]:
    """Return `count` numbers from 0 to below 1 for each sample, by its own number alone: ``(count, N)``.

    A generator a sample would take longer than what is done with its numbers. SplitMix64 (Steele et al.
    2014, https://doi.org/10.1145/2714064.2660195) gives the k-th number of its sequence at once, so all are
    made in one go; where the sequence starts is drawn from the `stream` of the place.

    Examples
    --------
    >>> all_five, two = uniforms(0, AUGMENTATION, 7, range(5), 3), uniforms(0, AUGMENTATION, 7, [4, 1], 3)
    >>> bool((all_five[:, [4, 1]] == two).all())
    True
    """
    start = stream(seed, purpose, place).bit_generator.random_raw(1)
    numbers = (
        np.asarray(samples, np.uint64) * np.uint64(count) + np.arange(1, count + 1, dtype=np.uint64)[:, None]
    )
    z = start + numbers * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    found: npt.NDArray[np.float64] = (z >> np.uint64(11)) * 2.0**-53
    return found
