"""Pictures prepared for a network.

A network knows pictures as they were prepared when it learnt, so a new one is prepared alike.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from purecnn.backend.checks import choice
from purecnn.datasets.folders import fitted
from purecnn.datasets.framing import prepare_digit, prepare_object
from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.pictures import read_picture
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.networks.network import Network


def image_shape(network: Network) -> tuple[int, int, int] | None:
    """Return channels, height and width of the images that a network takes; None if it takes none.

    A vector as long as a square grey image, of 8 x 8 pixels or more, is taken for one.

    Examples
    --------
    >>> from purecnn import Dense
    >>> image_shape(Network([Dense(784, 10)])), image_shape(Network([Dense(2, 1)]))
    ((1, 28, 28), None)
    """
    shape = network.input_shape or ()
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    side = round(shape[0] ** 0.5) if len(shape) == 1 else 0
    return (1, side, side) if side >= 8 and side * side == shape[0] else None


def prepared(
    network: Network,
    source: str | os.PathLike[str] | bytes | NDArray[np.uint8],
    preparation: str | None = None,
) -> NDArray[np.uint8]:
    """Make of a picture what a network takes, as the pictures were prepared that it learnt from.

    ===========================  =========================================================================
    `preparation`                what is done
    ===========================  =========================================================================
    "character"                  bright on black, fitted and centred by mass: see `prepare_digit`
    "object"                     bright on black, fitted, in the middle: see `prepare_object`
    "crop", "unknown"            cut to the network's proportions and scaled, as `ImageFolder` reads it
    "stretch"                    scaled, as ``ImageFolder(crop=False)`` reads it
    ===========================  =========================================================================

    Parameters
    ----------
    network : Network
        Bound to images of one channel, grey, or of three, or to vectors: see `image_shape`.
    source : str, path-like, bytes or ndarray of uint8
        The name or the content of a file, see `read_picture`; or grey values ``(h, w)`` or colours
        ``(h, w, 3)``.
    preparation : str, optional
        As the network's `Preprocessing` says if left out.

    Returns
    -------
    ndarray of uint8
        Of the network's input shape.

    Raises
    ------
    ShapeError
        If the network takes no such images.
    FileFormatError
        If it is no picture, or shows no character or object. The sentence names a file.
    MissingExtraError, OSError
        See `read_picture`.
    """
    shape = network.input_shape or ()
    channels, height, width = image_shape(network) or (0, 0, 0)
    if channels not in (1, 3):
        raise ShapeError(
            f"this network takes samples of shape {shape}; for pictures (1, height, width) or "
            f"(3, height, width) is wanted"
        )
    preparation = network.preprocessing.preparation if preparation is None else preparation
    return framed(source, (channels, height, width), preparation).reshape(shape)


def framed(
    source: str | os.PathLike[str] | bytes | NDArray[np.uint8],
    shape: tuple[int, int, int],
    preparation: str,
) -> NDArray[np.uint8]:
    """Make of a picture one of a shape, as `prepared` does for a network.

    Parameters
    ----------
    source : str, path-like, bytes or ndarray of uint8
        As `prepared` takes it.
    shape : tuple of int
        Channels, 1 or 3, height and width.
    preparation : str
        As `prepared` has it.

    Raises
    ------
    ShapeError
        If no such picture is made so.
    FileFormatError
        If it is no picture, or shows no character or object.
    """
    channels, height, width = shape
    preparation = choice("preparation", preparation, PREPARATIONS)
    if preparation in ("character", "object") and channels != 1:
        raise ShapeError(
            f"this network takes samples of shape {shape}; of one {preparation} (1, h, w) is wanted"
        )
    if preparation == "character" and height != width:
        raise ShapeError(f"this network takes samples of shape {shape}; for characters (1, n, n) is wanted")
    if isinstance(source, np.ndarray):
        pixels = source if channels == 1 or source.ndim == 3 else np.repeat(source[:, :, None], 3, axis=2)
    else:
        pixels = read_picture(source, channels)
    try:
        if preparation == "character":  # MNIST's take 20 of 28 pixels
            return prepare_digit(pixels, height, max(1, height * 5 // 7)).reshape(shape)
        if preparation == "object":
            return prepare_object(pixels, height, width).reshape(shape)
    except ValueError as error:
        # what is wrong with the picture's content does not name its file
        where = "" if isinstance(source, bytes | np.ndarray) else f"{os.fspath(source)}: "
        raise FileFormatError(f"{where}{error}") from None
    return fitted(np.atleast_3d(pixels), height, width, crop=preparation != "stretch")
