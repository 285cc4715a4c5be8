"""PNM reader: PBM, PGM and PPM.

Portable pixmaps, PBM, PGM and PPM, need no decoder but NumPy: numbers behind a line that says how many.

http://netpbm.sourceforge.net/doc/ppm.html and its siblings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: How a file begins: which it is, and whether its values are texts.
KINDS = {b"P1": True, b"P2": True, b"P3": True, b"P4": False, b"P5": False, b"P6": False}
#: A number of the header, behind blanks and comments. Nothing is tried twice, however long they are.
NUMBER = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\r\n]*+[\r\n])*+([0-9]{1,9})(?=[ \t\n\v\f\r#]|$)")
#: All that the values of a plain file are made of.
PLAIN = b"0123456789 \t\n\v\f\r"


#: Comments among the values.
MAX_COMMENTS = 10_000


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes
    ----------
    kind : bytes
        ``P1`` to ``P6``.
    width, height : int
        In pixels.
    most : int
        The value of white.
    begin : int
        Where the values begin.
    """

    kind: bytes
    width: int
    height: int
    most: int
    begin: int


def read_header(data: bytes) -> Header:
    """Return what the bytes of a file say of it.

    Raises
    ------
    ValueError
        If that is no header.
    """
    numbers: list[int] = []
    at, wanted = 2, 2 if data[:2] in (b"P1", b"P4") else 3
    while len(numbers) < wanted:
        found = NUMBER.match(data, at)
        if found is None:
            raise ValueError(f"{wanted} numbers are wanted behind {data[:2].decode('latin1')}")
        numbers.append(int(found[1]))
        at = found.end()
    width, height, most = [*numbers, 1][:3]
    if not width or not height or not 1 <= most <= 65535:
        raise ValueError(f"it says {width} x {height} pixels of values up to {most}, wanted 1 to 65535")
    return Header(data[:2], width, height, most, at + 1)


def read_pnm(data: bytes, header: Header) -> NDArray[Any]:
    """Return the pixels of a file.

    Returns
    -------
    ndarray of uint8 or uint16, shape (height, width) or (height, width, 3)
        Grey up to 255, or up to 65535 where the file goes beyond 255; colours up to 255.

    Raises
    ------
    ValueError
        If there are too few, or one is beyond the largest.
    """
    coloured, plain = header.kind in (b"P3", b"P6"), KINDS[header.kind]
    shape = (header.height, header.width, *[3] * coloured)
    count = header.height * header.width * (3 if coloured else 1)
    if header.kind == b"P4":
        rows = -(-header.width // 8)
        packed = np.frombuffer(enough(data[header.begin :], header.height * rows), np.uint8)
        bits = np.unpackbits(packed.reshape(header.height, rows), axis=1, count=header.width)
        return (255 * (1 - bits)).astype(np.uint8)
    if not plain:
        kind: np.dtype[Any] = np.dtype(">u2" if header.most > 255 else np.uint8)
        values: NDArray[Any] = np.frombuffer(enough(data[header.begin :], count * kind.itemsize), kind)
    else:
        if data.count(b"#", header.begin - 1) > MAX_COMMENTS:
            raise ValueError(f"it has more than {MAX_COMMENTS} comments")
        text = re.sub(rb"#[^\r\n]*+", b" ", data[header.begin - 1 :])
        if header.kind == b"P1":  # whose values need no blanks between them
            text = text.translate(None, PLAIN[10:])[:count]
            values = np.frombuffer(enough(text, count), np.uint8) - ord("0")
        else:
            if text.translate(None, PLAIN):
                raise ValueError("its values are not all numbers")
            values = enough(np.fromstring(text, np.int64, sep=" "), count)
        if values.max() > header.most:
            raise ValueError(f"one of its values is {values.max()}, wanted at most {header.most}")
        if header.kind == b"P1":
            return (255 * (1 - values)).astype(np.uint8).reshape(shape)
    white = 65535 if header.most > 255 and not coloured else 255
    kind = np.dtype(np.uint16 if white > 255 else np.uint8)
    if header.most == white:
        return values.astype(kind).reshape(shape)
    # by a table: what each value becomes
    table = np.rint(np.minimum(np.arange(65536 if header.most > 255 else 256) / header.most, 1) * white)
    found: NDArray[Any] = table.astype(kind)[values]
    return found.reshape(shape)


def enough(values: Any, count: int) -> Any:
    """Return as many of some values as are wanted."""
    if len(values) < count:
        raise ValueError(f"it holds {len(values)} of {count} values")
    return values[:count]
