"""Colors of a picture: Cividis from small to large, and blue to orange on both sides of zero.

Either holds for eyes of every kind; the playground's page has the second one too.
"""

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

#: Below and above zero, blue and orange, the darker the further: what leaves a layer, weights, and of two
#: classes the answers. As the playground's page shows them on light, in ``static/common.js``.
SIGNED = np.array(
    [
        *[(12, 44, 98), (38, 100, 178), (120, 170, 225), (243, 240, 233)],
        *[(240, 172, 98), (201, 92, 12), (110, 40, 2)],
    ],
    np.float64,
)
#: How far along `SIGNED` a sure answer of two classes is shown: its ends are for numbers without bounds.
SURE = 0.62


def css(scale: Array, part: float = 1.0, places: int = 13) -> list[tuple[float, str]]:
    """Return the middle part of a scale, each side of it so far, as places from 0 to 1 and their colours.

    Examples
    --------
    >>> css(SIGNED, places=3)
    [(0.0, '#0c2c62'), (0.5, '#f3f0e9'), (1.0, '#6e2802')]
    """
    at = np.linspace(-part, part, places)
    found = (255 * colored(at, -1, 1, scale)[:, :3]).round().astype(int)
    return [(place / (places - 1), f"#{bytes(color.tolist()).hex()}") for place, color in enumerate(found)]


def colored(values: Array, low: float, high: float, scale: Array = CIVIDIS) -> Array:
    """Return values as colours ``(..., 4)``, from one end of a scale for `low` to the other, clear for NaN.

    Examples
    --------
    >>> (255 * colored(np.array([0.0, 2.0, np.nan]), 0, 2)).round().astype(int).tolist()
    [[0, 34, 78, 255], [254, 232, 56, 255], [0, 34, 78, 0]]
    """
    place = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low if high > low else 1.0), 0, 1)
    steps = np.linspace(0, 1, len(scale))
    channels = [np.interp(place, steps, channel) / 255 for channel in scale.T]
    return np.stack([*channels, np.isfinite(values).astype(np.float64)], axis=-1)
