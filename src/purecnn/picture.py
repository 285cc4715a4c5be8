"""A network knows digits as MNIST prepared them, so a picture from anywhere is prepared the same way.

MNIST's makers fitted each digit into 20x20 pixels, its aspect ratio kept and its edges smoothed, and put its
centre of mass into the centre of 28x28: http://yann.lecun.com/exdb/mnist/. Pillow decodes the file, but
for portable pixmaps; the rest is NumPy.
"""

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from purecnn.errors import FileFormatError, ShapeError, require_extra
from purecnn.picture_parts import MAX_SCANNED, ORIENTATION, Parts, orientation, parts_of, whole
from purecnn.pnm import KINDS, read_header, read_pnm

__all__ = ["prepare_digit", "read_picture", "resample"]

MAX_PIXELS = 50_000_000
# Pixels of transparent pictures that are laid on white at a time.
PIECE = 1 << 20
# Named, so that no file can reach one of Pillow's rarer decoders, one of which starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Pillow's numbers for what brings a picture upright, by how EXIF says that it was held.
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
INK_SHARE = 0.05  # of the darkest stroke; fainter is no edge of a digit
SPECK_SHARE = 0.1  # the same once the picture is shrunk, when specks of dust have faded


def read_picture(path: str | os.PathLike[str], channels: int | None = 1) -> NDArray[np.uint8]:
    """Read a picture file as grey values or colours, transparent parts on white, turned as its EXIF data say.

    Parameters
    ----------
    path : str or path-like
        A BMP, GIF (its first frame), JPEG, PNG, PPM or PGM, TIFF or WebP file of at most 50 million pixels.
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
    image_module = require_extra("PIL.Image", "cli", "reading a picture")
    name = os.fspath(path)
    # Asked before opening: to open a pipe would wait for its writer.
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileFormatError(f"{name}: not a regular file, wanted a picture")
    with open(path, "rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # above its own limit Pillow warns; ours is lower and refuses
                if file.read(2) in KINDS:
                    data = whole(file)
                    header = read_header(data)
                    width, height = header.width, header.height
                    if width * height <= MAX_PIXELS:
                        return _values(image_module.fromarray(read_pnm(data, header)), channels)
                else:
                    parts = parts_of(file)
                    image = image_module.open(parts.file, formats=FORMATS)
                    width, height = image.size
                    if width * height <= MAX_PIXELS:
                        return _values(_turned(image, parts), channels)
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others on damaged files.
        except Exception as error:
            wanted = f"a whole picture of a format among {', '.join(FORMATS)} and PPM"
            raise FileFormatError(f"{name}: {_reason(error)}, wanted {wanted}") from error
    raise FileFormatError(f"{name}: {width} x {height} pixels, wanted at most {MAX_PIXELS} in all")


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
    exif = parts.exif or image.info.get("exif")
    way = orientation(exif) if isinstance(exif, bytes) else 1
    if image.format == "TIFF":  # which newer versions of Pillow have turned by now
        way = image.tag_v2.get(ORIENTATION, 1)
    return image if way not in TURNS else image.transpose(TURNS[way])


def _values(turned: Any, channels: int | None) -> NDArray[np.uint8]:
    coloured = turned.mode not in ("1", "L", "LA", "F") and not turned.mode.startswith("I")
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


def prepare_digit(pixels: NDArray[np.uint8], size: int = 28, box: int = 20) -> NDArray[np.uint8]:
    """Prepare a picture of one digit as MNIST's were: bright on black, fitted, centred by mass.

    The outermost pixels show the paper, its lighting (a plane) and its noise; ink is what differs by more,
    on the side, darker or brighter, that has more of it. The ink's bounding box is scaled so that its longer
    side fills `box` (pixel areas are averaged to shrink, interpolated linearly to enlarge), the strongest
    stroke becomes 255, and the centre of mass goes to pixel ``size // 2``, where MNIST's digits have it, as
    near as whole pixels and the frame allow.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, dark on bright or bright on dark.
    size : int
        Height and width of the result, in pixels.
    box : int
        The longer side of the digit, in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        0 is paper, 255 the strongest ink.

    Raises
    ------
    TypeError
        `pixels` are not uint8.
    ShapeError
        `pixels` have another number of axes than 2, or none at all.
    ValueError
        The picture is blank, or `box` is not from 1 to `size`.

    Notes
    -----
    Of MNIST's 10,000 test digits all but 8 come back with a mean absolute difference below 1 of 255.

    Examples
    --------
    >>> paper = np.full((90, 90), 250, dtype=np.uint8)
    >>> paper[20:60, 30:40] = 10
    >>> one = prepare_digit(paper)
    >>> one.shape, one[4:24, 12:17].min().item(), one.sum().item() == 20 * 5 * 255
    ((28, 28), 255, True)
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels have dtype {pixels.dtype}, wanted uint8")
    if pixels.ndim != 2 or pixels.size == 0:
        raise ShapeError(f"pixels have shape {pixels.shape}, wanted (height, width), both from 1 up")
    if not 1 <= box <= size:
        raise ValueError(f"box is {box}, wanted from 1 to size, which is {size}")

    ink, noise = _ink(pixels)
    ink = _crop(ink, noise)
    scale = box / max(ink.shape)
    height, width = (max(1, round(extent * scale)) for extent in ink.shape)
    ink = resample(ink, height, width)
    if (most := float(ink.max())) <= 0:
        raise ValueError(f"the picture is blank once shrunk to {height} x {width} pixels, wanted a digit")
    # Averaging has calmed the noise of single pixels, hardly that of shadows and of compression.
    floor = min(noise * max(1, 3 * min(scale, 1)), most / 2)
    ink = np.maximum(ink - floor, 0) * (255 / (most - floor))

    centred = np.zeros((size, size), np.uint8)
    top, left = (_offset(ink.sum(axis=1 - axis), size) for axis in (0, 1))
    centred[top : top + height, left : left + width] = np.rint(ink)
    return centred


def _ink(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Return how far each pixel is from the paper, ink being positive, and the paper's standard deviation."""
    paper, noise = _paper(pixels)
    ink = pixels - paper
    beyond = ink[np.abs(ink) > 3 * noise]
    if beyond.sum(dtype=np.float64) < 0:
        np.negative(ink, out=ink)
    return ink, noise


def _paper(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Return the paper's grey, lit evenly or from a side, and its standard deviation, both by the border."""
    inside = np.zeros(pixels.shape, bool)
    inside[1:-1, 1:-1] = True
    rows, columns = np.nonzero(~inside)
    border = pixels[rows, columns].astype(np.float64)
    terms = np.stack([np.ones(len(border)), rows, columns], axis=1)
    # Medians first: strokes that touch the border hardly move them.
    plane, misfit = np.array([np.median(border), 0, 0]), np.abs(border - np.median(border))
    if (spread := float(np.median(misfit))) > 0:
        lit = misfit <= 4.5 * spread
        plane = np.linalg.lstsq(terms[lit], border[lit], rcond=None)[0]
        spread = float(np.median(np.abs(border - terms @ plane)))
    height, width = pixels.shape
    down = (plane[0] + plane[1] * np.arange(height))[:, None].astype(np.float32)
    across = (plane[2] * np.arange(width)).astype(np.float32)
    return down + across, 1.4826 * spread  # which makes a median deviation a standard one


def _crop(ink: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Cut out the digit: roughly where specks and noise have been averaged away, then to the pixel."""
    factor = -(-max(ink.shape) // 100)
    coarse = resample(ink, *(-(-extent // factor) for extent in ink.shape))
    if coarse.max() <= 6 * noise / factor:
        found = f"nothing in it stands out from its border, whose grey varies by {noise / factor:.1f} of 255"
        raise ValueError(f"the picture is blank: {found}, wanted a digit darker or brighter than its paper")
    if factor > 1:
        extents = _extents(coarse, max(SPECK_SHARE * coarse.max(), 4 * noise / factor))
        # The fainter edge of a digit is one of the final pixels: a 20th of its side.
        margin = 1 + max(last - first for first, last in extents) // 20
        rows, columns = (
            slice(max(0, first - margin) * extent // cells, -(-min(cells, last + margin) * extent // cells))
            for (first, last), cells, extent in zip(extents, coarse.shape, ink.shape, strict=True)
        )
        ink = ink[rows, columns]
    (top, bottom), (left, right) = _extents(ink, max(INK_SHARE * ink.max(), 4 * noise))
    return ink[top:bottom, left:right]


def _extents(ink: NDArray[np.float32], least: float) -> list[tuple[int, int]]:
    """Return the first row and one past the last that hold more than `least`, and so for the columns."""
    least = min(least, float(ink.max()) / 2)  # the strongest stroke always counts
    lines = [np.flatnonzero(ink.max(axis=axis) > least) for axis in (1, 0)]
    return [(int(line[0]), int(line[-1]) + 1) for line in lines]


def resample(ink: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Return values ``(height, width)`` at another size: averaged by area to shrink, else interpolated."""
    rows, columns = _weights(ink.shape[0], height), _weights(ink.shape[1], width)
    return np.asarray(rows @ ink @ columns.T, np.float32)


def _weights(old: int, new: int) -> NDArray[np.float32]:
    """Return the (new, old) weights that average `old` pixels by area, or interpolate them linearly."""
    if new <= old:
        edges = np.arange(new + 1) * (old / new)
        pixel = np.arange(old)
        overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
        weights = np.maximum(overlap, 0)
    else:
        # Pixel centres, half a pixel in; beyond the outermost ones the picture goes on as it ends.
        centres = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
        weights = np.maximum(1 - np.abs(centres[:, None] - np.arange(old)), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _offset(mass: NDArray[np.float32], size: int) -> int:
    """Return where `mass` starts so that its centre is at ``size // 2`` and all of it in the frame."""
    centre = float(mass @ np.arange(len(mass))) / float(mass.sum())
    return min(max(round(size // 2 - centre), 0), size - len(mass))
