"""Stratified splits: samples set aside, of each class as many.

A network is judged on samples that it never learnt from, so some are set aside, of each class as many.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import is_number
from purecnn.backend.random import SPLIT, as_seed, stream
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.messages.signatures import explained
from purecnn.metrics.inputs import tally


@explained
def stratified_split(y: npt.ArrayLike, fraction: float, seed: int = 0) -> tuple[Array, Array]:
    """Part samples in two, so that each class has its share in both.

    Of ``n`` samples, ``n * fraction`` are set aside, rounded. A class of ``m`` gives ``m * fraction``,
    rounded down, and those that are then missing come one each from the classes with the largest remainders,
    of equal ones the first. Which samples of a class are drawn depends on the seed and the class alone.

    Parameters
    ----------
    y : array_like
        Labels ``(n,)``, of any kind that can be sorted.
    fraction : float
        The share to set aside, above 0 and below 1.
    seed : int
        Decides which samples.

    Returns
    -------
    kept, set_aside : ndarray of int64
        Their numbers, ascending.

    Raises
    ------
    ShapeError
        If `y` is not ``(n,)``.
    ValueError
        If `fraction` is out of range, or leaves one of the two without a sample.

    Notes
    -----
    scikit-learn's ``train_test_split(stratify=y)`` rounds up, and draws lots among equal remainders.

    Examples
    --------
    >>> kept, set_aside = stratified_split([0, 0, 0, 0, 1, 1, 1, 1, 1, 1], 0.5)
    >>> kept.size, np.bincount(np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])[set_aside])
    (5, array([2, 3]))
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise ShapeError(f"y must have shape (n,), one label for each sample, got {labels.shape}")
    check_fraction("fraction", fraction)
    total = share_of(len(labels), fraction)
    if not 0 < total < len(labels):
        raise ValueError(
            f"fraction must leave samples on both sides, got {fraction:g} of {len(labels)}: {total} set aside"
        )
    seed = as_seed(seed)
    _, members = np.unique(labels, return_inverse=True)
    shares = tally(members) * float(fraction)
    counts = np.floor(shares).astype(np.int64)
    remainders = np.round(shares - counts, 9)  # a hair of binary rounding must not decide a rank
    counts[np.argsort(-remainders, kind="stable")[: total - counts.sum()]] += 1
    aside = np.zeros(len(labels), np.bool_)
    for label, count in enumerate(counts):
        own = np.flatnonzero(members == label)
        aside[stream(seed, SPLIT, label).permutation(own)[:count]] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def share_of(samples: int, fraction: float) -> int:
    """Return how many of so many samples are set aside."""
    return math.floor(samples * fraction + 0.5)


def check_fraction(name: str, value: Any) -> None:
    """Raise if `value` is no share of a whole, both ends left out."""
    if not is_number(value) or not 0 < value < 1:
        raise ValueError(f"{name} must be a number above 0 and below 1, got {value!r}")
