"""Colors of a picture: Cividis, the scale that holds for eyes of every kind and in grey."""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array

#: Cividis (Nuñez, Anderton and Renslow 2018), from small to large, at 17 places evenly apart.
CIVIDIS = np.array(
    [
        *[(0, 34, 78), (0, 46, 108), (29, 57, 111), (53, 69, 108), (70, 81, 107), (85, 93, 109)],
        *[(99, 106, 113), (112, 119, 117), (125, 132, 121), (139, 145, 119), (154, 158, 116)],
        *[(170, 172, 110), (186, 186, 102), (203, 201, 92), (220, 216, 80), (238, 231, 65), (254, 232, 56)],
    ],
    np.float64,
)


def colored(values: Array, low: float, high: float) -> Array:
    """Return values as colours ``(..., 4)``: dark blue for `low`, yellow for `high`, clear for NaN.

    Examples
    --------
    >>> (255 * colored(np.array([0.0, 2.0, np.nan]), 0, 2)).round().astype(int).tolist()
    [[0, 34, 78, 255], [254, 232, 56, 255], [0, 34, 78, 0]]
    """
    place = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low if high > low else 1.0), 0, 1)
    steps = np.linspace(0, 1, len(CIVIDIS))
    channels = [np.interp(place, steps, channel) / 255 for channel in CIVIDIS.T]
    return np.stack([*channels, np.isfinite(values).astype(np.float64)], axis=-1)
