"""A network knows pictures as they were prepared when it learnt, so a new one is prepared alike."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from purecnn.errors import FileFormatError, ShapeError
from purecnn.folders import fitted
from purecnn.network import Network
from purecnn.picture import prepare_digit, read_picture

#: Ways to prepare a picture.
WAYS = ("character", "picture")


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


def knows_characters(network: Network) -> bool:
    """Return whether a network was made for handwritten characters, as MNIST prepared them, by what it says.

    Its images are square and grey, and its classes have no names, or each is called by one character.

    Examples
    --------
    >>> from purecnn import Dense
    >>> network = Network([Dense(784, 2)])
    >>> knows_characters(network)
    True
    >>> network.preprocessing.classes = ("cat", "dog")
    >>> knows_characters(network)
    False
    """
    channels, height, width = image_shape(network) or (0, 0, 0)
    return channels == 1 and height == width and all(len(name) == 1 for name in network.preprocessing.classes)


def character(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a picture as MNIST's were prepared, at another size in the same proportions: 20 of 28 pixels."""
    return prepare_digit(pixels, size, max(1, size * 5 // 7))


def prepared(network: Network, path: str | os.PathLike[str], way: str | None = None) -> NDArray[np.uint8]:
    """Read a picture from a file and make it what a network takes.

    Parameters
    ----------
    network : Network
        Bound to images of one channel, grey, or of three, or to vectors: see `image_shape`.
    path : str or path-like
        See `read_picture`.
    way : {"character", "picture"}, optional
        "character": bright on black, fitted and centred by mass, see `prepare_digit`. "picture": cut to the
        network's proportions and scaled, as `ImageFolder` reads it. As `knows_characters` says if left out.

    Returns
    -------
    ndarray of uint8
        Of the network's input shape.

    Raises
    ------
    ShapeError
        If the network takes no such images, or for "character" no square grey ones.
    FileFormatError
        If the file is no picture, or shows no character. The sentence names it.
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
    if way is None:
        way = "character" if knows_characters(network) else "picture"
    if way == "picture":
        pixels = np.atleast_3d(read_picture(path, channels))
        return fitted(pixels, height, width, crop=True).reshape(shape)
    if channels != 1 or height != width:
        raise ShapeError(f"this network takes samples of shape {shape}; for characters (1, n, n) is wanted")
    pixels = read_picture(path)
    try:
        return character(pixels, height).reshape(shape)
    except ValueError as error:
        # what is wrong with the picture's content does not name its file
        raise FileFormatError(f"{os.fspath(path)}: {error}") from None
