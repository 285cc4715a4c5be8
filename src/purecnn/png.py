"""Small pictures inside a page: written as PNG with Python's own means, no other package is needed."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from purecnn.scratch import Array

#: Cividis (Nuñez, Anderton and Renslow 2018), from small to large, at 17 places evenly apart.
CIVIDIS = np.array(
    [
        *[(0, 34, 78), (0, 46, 108), (29, 57, 111), (53, 69, 108), (70, 81, 107), (85, 93, 109)],
        *[(99, 106, 113), (112, 119, 117), (125, 132, 121), (139, 145, 119), (154, 158, 116)],
        *[(170, 172, 110), (186, 186, 102), (203, 201, 92), (220, 216, 80), (238, 231, 65), (254, 232, 56)],
    ],
    np.float64,
)
#: PNG's number for pictures of so many channels: grey, colours, colours that may be clear.
KINDS = {1: 0, 3: 2, 4: 6}


def png(picture: Array) -> bytes:
    r"""Return a picture as a PNG file.

    Parameters
    ----------
    picture : ndarray of uint8
        ``(height, width)`` in grey, ``(height, width, 3)`` in colour, or with a fourth channel, from 0 where
        it is clear.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + picture[0].size), np.uint8)  # each begins with its filter, 0: none
    rows[:, 1:] = picture.reshape(height, -1)
    channels = picture[0, 0].size
    header = struct.pack(">IIBBBBB", width, height, 8, KINDS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def address(picture: Array) -> str:
    """Return a picture, values from 0 to 1, as an address that holds it: for the `src` of an image."""
    levels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(levels)).decode()


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
