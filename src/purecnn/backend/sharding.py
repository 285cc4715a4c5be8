"""Shards of a batch: how many, where each begins, and the tree in which their sums are added.

The bits of a training depend on the number of shards, and on neither threads, processes nor ranks.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from purecnn.backend.types import Array

#: A shard has at least this many samples; NumPy's runs must stay wide (measured: docs/engine.md).
WIDTH = 64
#: Narrower ones are worth a core only down to here: half as wide, a shard of LeNet takes 0.7 times as long.
LEAST = 8
#: A batch of fewer samples is one shard on any number of cores.
WHOLE = 32
#: More shards than this only take memory: each has a gradient of its own.
MOST = 64


def shard_count(batch_size: int, cores: int = 1) -> int:
    """Return into how many shards a batch is cut if nobody says: a power of two.

    One for each core, of at least `LEAST` samples; more where all would be wider than `WIDTH`, up to `MOST`.
    One core cuts as two do.

    Examples
    --------
    >>> [shard_count(n) for n in (1, 31, 32, 128, 255, 256, 512)]
    [1, 1, 2, 2, 2, 4, 8]
    >>> [shard_count(128, cores) for cores in (1, 2, 3, 4, 8, 16, 32)]
    [2, 2, 4, 4, 8, 16, 16]
    """
    if batch_size < WHOLE:
        return 1
    by_width = 1 << max(1, (batch_size // WIDTH).bit_length() - 1)
    by_cores = min(1 << (cores - 1).bit_length(), 1 << (batch_size // LEAST).bit_length() - 1)
    return min(MOST, max(by_width, by_cores))


def shard_bounds(samples: int, shards: int) -> list[tuple[int, int]]:
    """Return where each shard begins and ends in a batch of `samples`, as even as can be, none empty.

    Examples
    --------
    >>> shard_bounds(7, 2)
    [(0, 3), (3, 7)]
    """
    edges = [samples * shard // shards for shard in range(shards + 1)]
    return [(first, last) for first, last in itertools.pairwise(edges) if first < last]


def tree(terms: int) -> list[tuple[int, int]]:
    """Return which of so many terms is added to which, in order: neighbours first, their sums next.

    Examples
    --------
    >>> tree(5)
    [(0, 1), (2, 3), (0, 2), (0, 4)]
    """
    steps = [1 << level for level in range((terms - 1).bit_length())]
    return [(first, first + step) for step in steps for first in range(0, terms - step, 2 * step)]


def add_tree(terms: Sequence[Array], span: slice = slice(None)) -> None:
    """Add arrays into the first of them, neighbours first: ``((0 + 1) + (2 + 3)) + ...``.

    The tree depends on how many there are, not on who made them. The others hold partial sums afterwards.

    Examples
    --------
    >>> parts = [np.array([float(i)]) for i in range(5)]
    >>> add_tree(parts)
    >>> parts[0]
    array([10.])
    """
    for first, second in tree(len(terms)):
        np.add(terms[first][span], terms[second][span], out=terms[first][span])
