"""Resampling of pictures to another size.

Pictures at another size, by work that is that of the picture, whatever its proportions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Old values that make a new row, from which on a call for each row costs little.
LARGE = 4096


def resample(ink: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Return values ``(height, width)`` at another size: averaged by area to shrink, else interpolated.

    The work is that of the larger of both sizes, whatever their proportions.
    """
    if ink.shape[0] > height:  # what has fewer rows first
        return _resampled(_resampled(ink, height).T, width).T
    return _resampled(_resampled(ink.T, width).T, height)


def _resampled(values: NDArray[Any], new: int) -> NDArray[np.float32]:
    """Return values ``(old, n)`` as ``(new, n)``."""
    old = len(values)
    if new == old:
        return np.asarray(values, np.float32)
    if new > old:
        # Pixel centres, half a pixel in; beyond the outermost ones the picture goes on as it ends.
        places = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
        above = places.astype(np.intp)
        share = (places - above).astype(np.float32)[:, None]
        below = np.minimum(above + 1, old - 1)
        return np.asarray(values[above] * (1 - share) + values[below] * share, np.float32)
    # New pixel k is the mean from place k old / new on: whole old pixels, and parts of them at its ends.
    ends, parts = np.divmod(np.arange(new + 1) * old, new)
    if values.size < LARGE * new:
        totals = np.add.reduceat(values, ends[:-1], axis=0, dtype=np.float64)
    else:  # a twelfth of the time
        totals = np.stack([values[a:b].sum(axis=0, dtype=np.float64) for a, b in pairwise(ends)])
    edge = values[np.minimum(ends, old - 1)] * (parts / new)[:, None]
    return np.asarray((totals - edge[:-1] + edge[1:]) * (new / old), np.float32)
