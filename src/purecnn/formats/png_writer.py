"""PNG writer for small pictures inside a page.

Small pictures inside a page: written as PNG with Python's own means, no other package is needed.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from purecnn.backend.types import Array

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
