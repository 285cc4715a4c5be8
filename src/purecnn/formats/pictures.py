"""Picture reader: PNG, JPEG, BMP, GIF, WebP and PNM, as grey values or colours.

Pictures come in many formats and are not to be trusted: read here, as grey values or colours.

Pillow decodes the file, but for portable pixmaps; the rest is NumPy.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from purecnn.errors import FileFormatError
from purecnn.formats.picture_parts import MAX_SCANNED, ORIENTATION, Parts, orientation, parts_of, whole
from purecnn.formats.pnm import KINDS, read_header, read_pnm
from purecnn.formats.regular_files import open_regular
from purecnn.messages.extras import require_extra

MAX_PIXELS, MAX_SIDE = 50_000_000, 1_000_000
#: Bytes at the beginning of a file in which its header is looked for first.
HEAD = 1 << 17
# Pixels of transparent pictures that are laid on white at a time.
PIECE = 1 << 20
# Named, so that no file can reach one of Pillow's rarer decoders, one of which starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Pillow's numbers for what brings a picture upright, by how EXIF says that it was held.
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


def read_picture(path: str | os.PathLike[str] | bytes, channels: int | None = 1) -> NDArray[np.uint8]:
    """Read a picture file as grey values or colours, transparent parts on white, turned as its EXIF data say.

    Parameters
    ----------
    path : str, path-like or bytes
        The name or the content of a BMP, GIF (its first frame), JPEG, PNG, PPM or PGM, TIFF or WebP file of
        at most 50 million pixels, one million on a side.
    channels : {1, 3, None}
        1 for grey, 3 for red, green and blue, None for what the file has.

    Returns
    -------
    ndarray of uint8, shape (height, width) or (height, width, 3)
        From 0, black, to 255, white; 16-bit grey values are scaled to these.

    Raises
    ------
    FileFormatError
        The file is no such picture, is damaged, or has more pixels: they are counted before any is decoded.
    MissingExtraError
        Pillow is not installed; it is part of the extra ``cli``.
    OSError
        The file cannot be opened.

    Examples
    --------
    >>> read_picture("digit.png")  # doctest: +SKIP
    array([[255, 255, ..., 255]], dtype=uint8)
    """
    found: NDArray[np.uint8] = _opened(path, lambda file: _read(file, channels))
    return found


def read_mask(path: str | os.PathLike[str] | bytes) -> NDArray[Any]:
    """Read a picture file of one number for each pixel as these numbers: grey values, or places in a palette.

    Nothing is scaled or made a colour, as `read_picture` does: a mask's numbers are the labels of its pixels.

    Parameters
    ----------
    path : str, path-like or bytes
        The name or the content of a file as `read_picture` takes it, of grey values or with a palette; no
        JPEG, which changes the numbers.

    Returns
    -------
    ndarray of uint8 or uint16, shape (height, width)
        As they stand in the file.

    Raises
    ------
    FileFormatError, MissingExtraError, OSError
        As `read_picture` does, and for colours.

    Examples
    --------
    >>> read_mask(b"P5 3 1 255 " + bytes([0, 2, 255]))
    array([[  0,   2, 255]], dtype=uint8)
    """
    found: NDArray[Any] = _opened(path, _labels)
    return found


def picture_shape(path: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Return channels, 1 or 3, height and width of what `read_picture` makes of a file, by its header alone.

    Raises
    ------
    FileFormatError, MissingExtraError, OSError
        As `read_picture` does, of what the header shows.

    Examples
    --------
    >>> picture_shape("photograph.jpg")  # doctest: +SKIP
    (3, 3024, 4032)
    """
    found: tuple[int, int, int] = _opened(path, _shape)
    return found


def _opened(path: str | os.PathLike[str] | bytes, read: Callable[[IO[bytes]], Any]) -> Any:
    """Return what a function reads of a picture's file; what it raises becomes a sentence that names it."""
    require_extra("PIL.Image", "cli", "reading a picture")
    name = "this picture" if isinstance(path, bytes) else os.fspath(path)
    opened = (
        io.BytesIO(path) if isinstance(path, bytes) else open_regular(path, "a picture", "picture", "text")
    )
    with opened as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # above its own limit Pillow warns; ours is lower and refuses
                return read(file)
        except TooManyPixels as error:
            raise FileFormatError(f"{name}: {error}") from None
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others on damaged files.
        except Exception as error:
            wanted = f"a whole picture of a format among {', '.join(FORMATS)} and PPM"
            raise FileFormatError(f"{name}: {_reason(error)}, wanted {wanted}") from error


class TooManyPixels(ValueError):
    """A picture is larger than any may be."""


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise TooManyPixels(f"{width} x {height} pixels, wanted at most {MAX_PIXELS} in all")
    if max(width, height) > MAX_SIDE:
        raise TooManyPixels(f"{width} x {height} pixels, wanted at most {MAX_SIDE} on a side")


def _read(file: IO[bytes], channels: int | None) -> NDArray[np.uint8]:
    image_module = require_extra("PIL.Image", "cli", "reading a picture")
    if file.read(2) in KINDS:
        data = whole(file)
        header = read_header(data)
        _check_size(header.width, header.height)
        return _values(image_module.fromarray(read_pnm(data, header)), channels)
    parts = parts_of(file)
    image = image_module.open(parts.file, formats=FORMATS)
    _check_size(*image.size)
    return _values(_turned(image, parts), channels, parts.clear)


def _labels(file: IO[bytes]) -> NDArray[Any]:
    image_module = require_extra("PIL.Image", "cli", "reading a picture")
    if file.read(2) in KINDS:
        data = whole(file)
        header = read_header(data)
        _check_size(header.width, header.height)
        if header.kind not in (b"P2", b"P5") or header.most not in (255, 65535):
            raise ValueError(
                f"{header.kind.decode()} of values up to {header.most} is no mask of grey values"
            )
        return np.array(read_pnm(data, header), np.uint8 if header.most == 255 else np.uint16)
    parts = parts_of(file)
    image = image_module.open(parts.file, formats=FORMATS)
    _check_size(*image.size)
    if image.format not in ("BMP", "PNG", "TIFF"):
        raise ValueError(f"{image.format} may change the numbers, and a mask has one exact number a pixel")
    if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
        raise ValueError(f"its pixels are {image.mode}, and a mask has one exact number a pixel")
    values = np.asarray(_turned(image, parts))
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its numbers go from {values.min()} to {values.max()}, not from 0 to 65535")
    return np.array(values, np.uint8 if values.dtype == np.uint8 else np.uint16)


def _shape(file: IO[bytes]) -> tuple[int, int, int]:
    image_module = require_extra("PIL.Image", "cli", "reading a picture")
    if file.read(2) in KINDS:
        file.seek(0)
        header = read_header(file.read(HEAD))
        _check_size(header.width, header.height)
        return 3 if header.kind in (b"P3", b"P6") else 1, header.height, header.width
    for most in (HEAD, None):  # a header may be long, yet hardly ever is
        parts = parts_of(file, most)
        try:
            image = image_module.open(parts.file, formats=FORMATS)
            break
        except Exception:
            if most is None or file.seek(0, 2) <= HEAD:
                raise
    _check_size(*image.size)
    width, height = image.size
    if image.format == "TIFF":  # newer versions of Pillow have turned this size by now
        width, height = image.tag_v2[256], image.tag_v2[257]
    if TURNS.get(_orientation(image, parts), 0) in (2, 4, 5, 6):  # a quarter of a turn, or over a diagonal
        width, height = height, width
    return 3 if _coloured(image.mode) else 1, height, width


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":  # its text names an object in memory
        return "not a picture that Pillow knows"
    return f"cannot be decoded ({str(error).rstrip('.') or type(error).__name__})"


def _turned(image: Any, parts: Parts) -> Any:
    """Return an image, decoded, as its EXIF data say that it was held.

    Raises
    ------
    ValueError
        If it takes too much work to decode.
    """
    width, height = image.size
    if parts.scans * width * height > MAX_SCANNED:
        raise ValueError(f"{parts.scans} scans over its pixels, at most {MAX_SCANNED // (width * height)}")
    image.load()
    turn = _orientation(image, parts)  # newer versions of Pillow have turned a TIFF file by now
    return image if turn not in TURNS else image.transpose(TURNS[turn])


def _orientation(image: Any, parts: Parts) -> Any:
    """Return how EXIF data say that an image was held: 1 to 8, or what nobody knows."""
    if image.format == "TIFF":
        return image.tag_v2.get(ORIENTATION, 1)
    exif = parts.exif or image.info.get("exif")
    return orientation(exif) if isinstance(exif, bytes) else 1


def _coloured(mode: str) -> bool:
    return mode not in ("1", "L", "LA", "F") and not mode.startswith("I")


def _values(turned: Any, channels: int | None, key: tuple[int, ...] = ()) -> NDArray[np.uint8]:
    """Return the pixels of an image; those of the colour `key` are white."""
    if key:
        known = np.asarray(turned.convert("L") if turned.mode == "1" else turned)
        white = known == key[0] if len(key) == 1 else (known == np.array(key)).all(axis=2)
        values = _values(turned, channels)
        values[white] = 255
        return values
    coloured = _coloured(turned.mode)
    if channels is None:
        channels = 3 if coloured else 1
    if channels == 3 and not coloured:
        return np.repeat(_values(turned, 1)[:, :, None], 3, axis=2)
    if turned.mode.startswith("I"):  # 16-bit grey, which some versions of Pillow hold as 32-bit integers
        values = np.asarray(turned)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"grey values go from {values.min()} to {values.max()}, not from 0 to 65535")
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if turned.mode == "F":
        raise ValueError("grey values are floats, whose black and white are unknown")
    if turned.mode not in ("LA", "PA", "RGBA") and "transparency" not in turned.info:
        wanted = "L" if channels == 1 else "RGB"
        return np.array(turned if turned.mode == wanted else turned.convert(wanted))
    # some rows at a time, since each takes several times its memory
    width, height = turned.size
    laid = np.empty((height, width) if channels == 1 else (height, width, 3), np.uint8)
    rows = max(1, PIECE // width)
    for top in range(0, height, rows):
        clear = turned.crop((0, top, width, min(height, top + rows))).convert("RGBA")
        *bands, alpha = (
            np.asarray(band, np.uint16) for band in (clear.convert("LA") if channels == 1 else clear).split()
        )
        for place, band in enumerate(bands):
            on_white = (band * alpha + 255 * (255 - alpha) + 127) // 255
            view = laid[top : top + rows] if channels == 1 else laid[top : top + rows, :, place]
            view[...] = on_white
    return laid
