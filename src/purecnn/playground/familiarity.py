"""Familiarity: whether a picture is like any that a network learnt from.

A network is confident of anything, so somebody must say when a picture is like none that it learnt from.

A scribble gets a confident digit from a softmax, which shares 100 % among the digits alone. Here a picture is
held beside those of the training set: one that is unlike the nearest of them is unknown.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import ShapeError

#: Of the training set's own pictures, kept aside, so many are less like the others than the limit.
SHARE = 0.02
#: Pictures to compare with: more take time with each question, and accept more (2 ms at 10,000 of 28 x 28).
KEPT, ASIDE = 10_000, 2_000
#: Directions in which edges are told apart, and pixels on a side of the cells in which they are added up.
DIRECTIONS, CELL = 4, 4
#: Pictures whose features are found at a time: what that takes on the way stays in the cache. In a browser,
#: whose memory never shrinks, 10,000 at once left it 250 MB larger.
BLOCK = 128


class Familiarity:
    """How like the pictures of a training set another one is.

    The measure is the mean of two cosines, of the nearest picture: where there is ink (see `inks`), and which
    way its edges run (see `edges`). The first alone takes a thick scribble for a digit written with a broad
    pen, the second alone is hard on the shapes of a mouse.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Of the training set, at least 20; the first 12,000 are used. Height and width are multiples of 4.
    least : float, optional
        The limit, where it was found before from the same images.

    Attributes
    ----------
    least : float
        The similarity that a picture must have: 98 % of the pictures that were kept aside have it.

    Raises
    ------
    ShapeError
        If the images have another shape.

    Notes
    -----
    Chosen on MNIST's training set, with the playground's network, on 1,000 of its digits drawn larger,
    smaller, thicker and off centre (``tests/helpers/drawings.py``): 97.5 % of them are read rightly, 0.6 %
    wrongly; 2 % of 200 scribbles are taken for digits, and 17 % of 300 random zigzags, some of which do look
    like one.

    Examples
    --------
    >>> from purecnn.datasets import mnist
    >>> (images, _), _ = mnist.load_data()
    >>> known = Familiarity(images[:6000])
    >>> bool(known.of(images[7000]) > known.least)
    True
    >>> noise = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
    >>> bool(known.of(noise) > known.least)
    False
    """

    def __init__(self, images: Array, least: float | None = None) -> None:
        if images.ndim != 3 or len(images) < 20 or images.shape[1] % CELL or images.shape[2] % CELL:
            raise ShapeError(
                f"images must have shape (n, height, width), at least 20 and sides that are multiples of "
                f"{CELL}, got {images.shape}"
            )
        images = images[: KEPT + ASIDE]
        aside = max(1, len(images) // 6)
        self.shape = images.shape[1:]
        self.pictures = images[:-aside]
        if least is None:
            nearest = (features(images[-aside:]) @ self.known.T).max(axis=1)
            least = float(np.quantile(nearest, SHARE))
        self.least = least

    @cached_property
    def known(self) -> Array:
        """The features of the pictures to compare with: not before asked, for a browser takes 0.3 s."""
        return features(self.pictures)

    def of(self, image: Array) -> float:
        """Return the similarity to the nearest training picture, from 0 to 1, of one ``(height, width)``."""
        if image.shape != self.shape:
            raise ShapeError(f"image must have shape {self.shape}, got {image.shape}")
        return float((self.known @ features(image[np.newaxis])[0]).max())

    def doubt(self, image: Array) -> str:
        """Return why a picture is none of those that were learnt; "" if it is like them."""
        found = self.of(image)
        if found >= self.least:
            return ""
        return (
            f"it is unlike all that the network learnt from: {100 * found:.0f} % alike with the nearest, "
            f"{100 * self.least:.0f} % is wanted"
        )


def features(images: Array) -> Array:
    """Return images ``(n, height, width)`` as rows whose products are the mean of the two cosines."""
    height, width = images.shape[1:]
    pixels, cells = height // 2 * (width // 2), height // CELL * (width // CELL)
    rows = np.empty((len(images), pixels + DIRECTIONS * cells), np.float32)
    for first in range(0, len(images), BLOCK):
        values, found = images[first : first + BLOCK].astype(np.float32), rows[first : first + BLOCK]
        found[:, :pixels], found[:, pixels:] = unit(inks(values)), unit(edges(values))
    rows *= np.float32(0.5**0.5)
    return rows


def unit(rows: Array) -> Array:
    """Return rows divided by their lengths; a row of zeros stays one."""
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows


def inks(images: Array) -> Array:
    """Return images blurred by (1, 2, 1)/4 in both directions and halved, as rows.

    A stroke that is shifted by a pixel so still meets its like.
    """
    down, across = (halving(size) for size in images.shape[1:])
    found: Array = down @ images @ across.T
    return found.reshape(len(images), -1)


def edges(images: Array) -> Array:
    """Return how strong the edges are in each cell and in each direction, as rows.

    The square root of the sum of the squared derivatives along the direction, over the cell: after Dalal and
    Triggs 2005, Histograms of oriented gradients, https://hal.science/inria-00548512. Along an angle t the
    derivative is ``a cos t + d sin t``, and its square's sum is found from those of a a, a d and d d.
    """
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    d = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    a = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    aa, ad, dd = cell_sums(a * a), cell_sums(a * d), cell_sums(d * d)
    found = []
    for angle in np.pi * np.arange(DIRECTIONS, dtype=np.float32) / DIRECTIONS:
        across, down = np.cos(angle), np.sin(angle)
        squares = across * across * aa + 2 * across * down * ad + down * down * dd
        found.append(np.sqrt(np.maximum(squares, 0)))  # rounding may leave less than nothing
    return np.concatenate(found, axis=1)


def cell_sums(values: Array) -> Array:
    """Return the sum of each cell of ``(n, height, width)``, as rows; added slices are longer runs than sums.

    Examples
    --------
    >>> cell_sums(np.ones((2, 4, 8)))
    array([[16., 16.],
           [16., 16.]])
    """
    count, height, width = values.shape
    rows = values.reshape(count, height // CELL, CELL, width)
    down = sum(rows[:, :, row] for row in range(1, CELL)) + rows[:, :, 0]
    columns = down.reshape(count, height // CELL, width // CELL, CELL)
    across: Array = sum(columns[..., column] for column in range(1, CELL)) + columns[..., 0]
    return across.reshape(count, -1)


def halving(size: int) -> Array:
    """Return the weights (size / 2, size) of (1, 2, 1)/4 and the mean of each two: (1, 3, 3, 1)/8.

    Examples
    --------
    >>> halving(4) * 8
    array([[3., 3., 1., 0.],
           [0., 1., 3., 3.]], dtype=float32)
    """
    weights = np.zeros((size // 2, size + 2), np.float32)
    for row in range(size // 2):
        weights[row, 2 * row : 2 * row + 4] = np.array([1, 3, 3, 1], np.float32) / 8
    return weights[:, 1:-1]
