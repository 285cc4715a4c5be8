"""Pictures of digits and of objects, put into their frame as MNIST's and Fashion-MNIST's makers did.

A network knows digits as they were prepared, so a picture from anywhere is prepared the same way. MNIST's
were fitted into 20x20 pixels, their proportions kept and their edges smoothed, and their centre of mass put
into the centre of 28x28: http://yann.lecun.com/exdb/mnist/. Fashion-MNIST's: https://arxiv.org/abs/1708.07747.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from purecnn.datasets.resampling import resample
from purecnn.errors import ShapeError

INK_SHARE = 0.05  # of the darkest stroke; fainter is no edge of a digit
SPECK_SHARE = 0.1  # the same once the picture is shrunk, when specks of dust have faded
MOST_SIDE = 2048  # of what is prepared as a digit or an object; what is larger is shrunk first
MOST_SCALE = 3  # by which ink is enlarged: what is smaller is a dot
LEAST_BOX = 10  # in which strokes and filled shapes can be told apart


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
        The picture is blank, its ink is a dot or a filled shape, or `box` is not from 1 to `size`.

    Notes
    -----
    Ink that would have to be enlarged more than 3 times is a dot, and ink that covers a square of more than
    half the box is a filled shape: fitted into the box, both would look like a bold zero. None of MNIST's
    70,000 digits is either. A picture of more than 2,048 pixels on a side is shrunk to that first.

    Of MNIST's 10,000 test digits all but 8 come back with a mean absolute difference below 1 of 255.

    Examples
    --------
    >>> paper = np.full((90, 90), 250, dtype=np.uint8)
    >>> paper[20:60, 30:40] = 10
    >>> one = prepare_digit(paper)
    >>> one.shape, one[4:24, 12:17].min().item(), one.sum().item() == 20 * 5 * 255
    ((28, 28), 255, True)
    """
    pixels = _as_grey(pixels)
    if not 1 <= box <= size:
        raise ValueError(f"box is {box}, wanted from 1 to size, which is {size}")

    ink, noise = _ink(pixels)
    ink = _crop(ink, noise)
    scale = box / max(ink.shape)
    if scale > MOST_SCALE:
        raise ValueError(
            f"the picture shows a dot of {ink.shape[0]} x {ink.shape[1]} pixels, wanted a digit of at least "
            f"{-(-box // MOST_SCALE)}"
        )
    height, width = (max(1, round(extent * scale)) for extent in ink.shape)
    ink = resample(ink, height, width)
    if (most := float(ink.max())) <= 0:
        raise ValueError(f"the picture is blank once shrunk to {height} x {width} pixels, wanted a digit")
    # Averaging has calmed the noise of single pixels, hardly that of shadows and of compression.
    floor = min(noise * max(1, 3 * min(scale, 1)), most / 2)
    ink = np.maximum(ink - floor, 0) * (255 / (most - floor))
    if box >= LEAST_BOX and _covers_square(ink > 127, box // 2 + 1):
        raise ValueError("the picture shows a dot or a filled shape, wanted the strokes of a digit")

    centred = np.zeros((size, size), np.uint8)
    top, left = (_offset(ink.sum(axis=1 - axis), size) for axis in (0, 1))
    centred[top : top + height, left : left + width] = np.rint(ink)
    return centred


def prepare_object(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Prepare a picture of one object as Fashion-MNIST's were: bright on black, fitted, in the middle.

    The corners show the background: where it is bright, the picture is inverted. What differs from it is
    scaled, its proportions kept, until it touches the frame, and its bounding box is put into the middle.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w)
        Grey values, of an object before an even background.
    height, width : int
        Of the result, in pixels.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        0 is the background.

    Raises
    ------
    TypeError, ShapeError
        As `prepare_digit` does.
    ValueError
        The picture is blank.

    Examples
    --------
    >>> paper = np.full((90, 90), 255, dtype=np.uint8)
    >>> paper[20:60, 30:40] = 55
    >>> prepare_object(paper, 4, 4).tolist()
    [[0, 200, 0, 0], [0, 200, 0, 0], [0, 200, 0, 0], [0, 200, 0, 0]]
    """
    pixels = _as_grey(pixels)
    down, across = (max(1, extent // 14) for extent in pixels.shape)
    corners = np.concatenate(
        [
            pixels[rows, columns].ravel()
            for rows in (slice(down), slice(-down, None))
            for columns in (slice(across), slice(-across, None))
        ]
    )
    background = float(np.median(corners))
    noise = 1.4826 * float(np.median(np.abs(corners - background)))
    values = np.asarray(pixels, np.float32)
    if background > 127:
        values, background = 255 - values, 255 - background
    values = np.maximum(values - background, 0) * np.float32(255 / (255 - background))
    if values.max() <= 6 * noise:
        raise ValueError("the picture is blank: nothing in it stands out from its corners, wanted an object")
    (top, bottom), (left, right) = _extents(values, max(INK_SHARE * values.max(), 4 * noise))
    values = values[top:bottom, left:right]
    scale = min(height / values.shape[0], width / values.shape[1])
    high, wide = (
        max(1, min(most, round(extent * scale)))
        for extent, most in zip(values.shape, (height, width), strict=True)
    )
    fitted = np.zeros((height, width), np.uint8)
    top, left = (height - high) // 2, (width - wide) // 2
    fitted[top : top + high, left : left + wide] = np.rint(np.clip(resample(values, high, wide), 0, 255))
    return fitted


def _as_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey values, if they are any, no side longer than `MOST_SIDE`."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels have dtype {pixels.dtype}, wanted uint8")
    if pixels.ndim != 2 or pixels.size == 0:
        raise ShapeError(f"pixels have shape {pixels.shape}, wanted (height, width), both from 1 up")
    scale = MOST_SIDE / max(pixels.shape)
    if scale >= 1:
        return pixels
    height, width = (max(1, round(extent * scale)) for extent in pixels.shape)
    return np.rint(resample(pixels, height, width)).astype(np.uint8)


def _covers_square(covered: NDArray[np.bool_], side: int) -> bool:
    """Return whether a square of this side is covered throughout.

    Examples
    --------
    >>> _covers_square(np.ones((3, 5), bool), 3), _covers_square(np.ones((3, 5), bool), 4)
    (True, False)
    """
    if min(covered.shape) < side:
        return False
    counts = np.zeros((covered.shape[0] + 1, covered.shape[1] + 1), np.int64)
    counts[1:, 1:] = covered.cumsum(axis=0).cumsum(axis=1)
    within = counts[side:, side:] - counts[:-side, side:] - counts[side:, :-side] + counts[:-side, :-side]
    return bool((within == side * side).any())


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


def _offset(mass: NDArray[np.float32], size: int) -> int:
    """Return where `mass` starts so that its centre is at ``size // 2`` and all of it in the frame."""
    centre = float(mass @ np.arange(len(mass))) / float(mass.sum())
    return min(max(round(size // 2 - centre), 0), size - len(mass))
