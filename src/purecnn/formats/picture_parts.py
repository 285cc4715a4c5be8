"""PNG and JPEG structure: which parts of a file Pillow is given.

What Pillow is given of a picture's file: what its pixels need, and no more of the rest than it is worth.

Texts, profiles and thumbnails may be there thousands of times, or unpack to a thousand times their size, and
Pillow would read them all. PNG: https://www.w3.org/TR/png-3/; JPEG: https://www.w3.org/Graphics/JPEG/itu-t81.pdf;
EXIF and TIFF: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import IO, cast

#: The chunks of a PNG file that make its pixels.
PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: The segments of a JPEG file that do, frames, tables and scans; and what says how its colours are meant.
JPEG_SEGMENTS = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0)})
JPEG_COLOURS = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
#: A marker of a JPEG file: behind it no zero, restart, or filler.
MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
#: Bytes of a file that is read at once: four colours of 16 bits for each of 50 million pixels, and some.
MAX_WHOLE = 500_000_000
#: Pixels of a JPEG file times the scans over them.
MAX_SCANNED = 1_500_000_000
#: Tag of a picture's orientation.
ORIENTATION = 0x0112
#: How many times its own size a file may be read, and bytes besides.
TIMES, FREE = 8, 1 << 24
#: Strips or tiles of a TIFF file, and the tags that list where they are and how long.
MAX_TILES, TILES = 100_000, frozenset({273, 279, 324, 325})


@dataclass
class Parts:
    """What was taken of a file.

    Attributes
    ----------
    file : binary file
        For Pillow.
    exif : bytes
        What the file says of the picture in EXIF's way, as in a TIFF file; empty where nothing is said.
    scans : int
        Of a JPEG file: passes over the pixels.
    clear : tuple of int
        Of a PNG file: the grey value, or the red, green and blue, that are transparent, as Pillow gives its
        pixels; empty where none are so.
    """

    file: IO[bytes]
    exif: bytes = b""
    scans: int = 1
    clear: tuple[int, ...] = ()


def parts_of(file: IO[bytes], most: int | None = None) -> Parts:
    """Return what matters of a picture's file; of one that is read at once, within its first `most` bytes."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return png_parts(whole(file, most))
    if start.startswith(b"\xff\xd8\xff"):
        return jpeg_parts(whole(file, most))
    if start[:2] in (b"II", b"MM"):
        check_tiff(file)
        file.seek(0)
    return Parts(cast(IO[bytes], Metered(file, FREE + TIMES * size)))


def whole(file: IO[bytes], most: int | None = None) -> bytes:
    """Return all of a file, or its first bytes.

    Raises
    ------
    ValueError
        If it is larger than any picture of as many pixels as may be.
    """
    size = file.seek(0, 2)
    if size > MAX_WHOLE:
        raise ValueError(f"it has {size} bytes, at most {MAX_WHOLE} are wanted")
    file.seek(0)
    return file.read(-1 if most is None else most)


def png_parts(data: bytes) -> Parts:
    """Return the chunks of a PNG file that make its pixels."""
    kept, exif, at = [data[:8]], b"", 8
    clear: tuple[int, ...] = ()
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"tRNS" and (key := png_clear(data[8:33], data[at + 8 : at + 8 + length])):
            clear = key
        elif kind in PNG_CHUNKS:
            kept.append(data[at:end])
        elif kind == b"eXIf" and not exif:
            exif = data[at + 8 : at + 8 + length]
        at = end
    return Parts(io.BytesIO(b"".join(kept)), exif, clear=clear)


def png_clear(header: bytes, body: bytes) -> tuple[int, ...]:
    r"""Return the transparent colour of a PNG file without a palette, as Pillow gives its pixels.

    The file has it in as many bits as its pixels: 1 to 16 of grey, 8 or 16 of each colour, of which Pillow
    gives the upper 8.

    Parameters
    ----------
    header : bytes
        The chunk IHDR, from its length on.
    body : bytes
        Of the chunk tRNS.

    Examples
    --------
    >>> png_clear(b"\0\0\0\x0dIHDR\0\0\0\1\0\0\0\1\2\0\0\0\0", b"\0\3")  # grey of 2 bits
    (255,)
    """
    depth, kind = header[16:18] if len(header) >= 18 else (0, 3)
    channels = {0: 1, 2: 3}.get(kind)
    if channels is None or not 1 <= depth <= 16 or len(body) < 2 * channels:
        return ()
    values = [value & (1 << depth) - 1 for value in struct.unpack_from(f">{channels}H", body)]
    if channels == 3:
        return tuple(value >> depth - 8 if depth > 8 else value for value in values)
    return tuple(value * 255 // ((1 << depth) - 1) if depth < 16 else value for value in values)


def jpeg_parts(data: bytes) -> Parts:
    """Return the segments of a JPEG file that make its pixels, up to the first picture's end."""
    kept, exif, at, scans = [data[:2]], b"", 2, 0
    while (found := MARKER.search(data, at)) is not None:
        kind, begin = found[1][0], found.start()
        if scans:
            kept.append(data[at:begin])  # what was scanned
        if kind == END_OF_IMAGE:
            kept.append(data[begin : begin + 2])
            at = len(data)
            break
        (length,) = struct.unpack(">H", data[begin + 2 : begin + 4].ljust(2, b"\0"))
        at = begin + 2 + max(length, 2)
        body = data[begin + 4 : at]
        if kind == START_OF_SCAN:
            scans += 1
        elif kind == 0xE1 and body.startswith(b"Exif\0") and not exif:
            exif = body[6:]
        if kind in JPEG_SEGMENTS or (kind in JPEG_COLOURS and body.startswith(JPEG_COLOURS[kind])):
            kept.append(data[begin:at])
    if scans:
        kept.append(data[at:])
    return Parts(io.BytesIO(b"".join(kept)), exif, scans)


def check_tiff(file: IO[bytes]) -> None:
    """Check that a TIFF file, or a BigTIFF file, is not cut into more strips or tiles than are worth it.

    Raises
    ------
    ValueError
        If it is.
    """
    start = file.read(16).ljust(16, b"\0")
    order, big = "<" if start.startswith(b"II") else ">", 43 in start[2:4]
    (at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", start, 8 if big else 4)
    file.seek(min(at, file.seek(0, 2)))
    head = file.read(8 if big else 2)
    count = int.from_bytes(head, "little" if order == "<" else "big")
    rows = file.read(min(count, 65535) * (20 if big else 12))
    row = struct.Struct(f"{order}HHQQ" if big else f"{order}HHII")
    for tag, _, number, _ in row.iter_unpack(rows[: len(rows) // row.size * row.size]):
        if tag in TILES and number > MAX_TILES:
            raise ValueError(f"{number} strips or tiles, at most {MAX_TILES}")


def orientation(exif: bytes) -> int:
    r"""Return how EXIF data say that a picture is to be turned, 1 to 8; 1, not at all, where they do not.

    Examples
    --------
    >>> orientation(b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0")
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (at,) = struct.unpack_from(f"{order}I", exif, 4)
    if at + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(f"{order}H", exif, at)
    for place in range(at + 2, min(at + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, numbers, value = struct.unpack_from(f"{order}HHIH", exif, place)
        if tag == ORIENTATION and kind == 3 and numbers == 1:
            return int(value) if 1 <= value <= 8 else 1
    return 1


class Metered:
    """A file that may be read so far, and not again and again.

    Parameters
    ----------
    file : binary file
        The file.
    most : int
        Bytes that may be read of it in all.
    """

    def __init__(self, file: IO[bytes], most: int) -> None:
        self.file, self.left = file, most
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises
        ------
        ValueError
            If it was too much.
        """
        data = self.file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("the same bytes are wanted again and again")
        return data
