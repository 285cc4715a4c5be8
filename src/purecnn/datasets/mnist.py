"""MNIST, which lies in the package.

A first network should need no download, so the whole of MNIST lies inside the package and is loaded here.

The data are Yann LeCun's and Corinna Cortes's, under CC BY-SA 3.0; ``data/mnist/SOURCE.md`` says more.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from purecnn.backend.checks import is_integer, positive
from purecnn.errors import ShapeError
from purecnn.formats.idx import Images, load_folder


def load_data(folder: str | PathLike[str] | None = None) -> tuple[Images, Images]:
    """Load MNIST from the package, or another data set of the same format from a folder.

    Parameters
    ----------
    folder : str or os.PathLike, optional
        A folder of four IDX files, plain or gzipped: Fashion-MNIST, KMNIST, one split of EMNIST. If left
        out, the package's own MNIST: 60,000 and 10,000 digits.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuple of tuple of numpy.ndarray
        Images uint8 ``(n, 28, 28)``, 0 for paper and 255 for ink, and labels uint8 ``(n,)``, as Keras gives
        them; another folder decides its own image size and label type.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its four files is missing.
    FileFormatError
        If a file is foreign, damaged, truncated or oversized, or does not fit the others.

    See Also
    --------
    purecnn.formats.idx.load_folder : which file names are found.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_train.dtype, y_train[:5]
    ((60000, 28, 28), dtype('uint8'), array([5, 0, 4, 1, 9], dtype=uint8))
    """
    if folder is not None:
        return load_folder(folder)
    with resources.as_file(resources.files("purecnn.datasets") / "files" / "mnist") as own:
        return load_folder(own)


def preprocess_data(
    x: ArrayLike, y: ArrayLike, limit: int, classes: Iterable[int] = (0, 1), seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take the first images of some classes, shuffled, scaled, with one-hot columns as targets.

    A class that has fewer than `limit` images gives all it has.

    Parameters
    ----------
    x : array_like
        Images, uint8 ``(n, height, width)``.
    y : array_like
        Labels, integers ``(n,)``.
    limit : int
        How many images of each class to take, at least 1.
    classes : iterable of int, optional
        The classes; the k-th of them gets the k-th row of the target column.
    seed : int, optional
        Seeds the permutation, a ``numpy.random.default_rng`` of this number.

    Returns
    -------
    x : numpy.ndarray
        float32 ``(m, 1, height, width)``, between 0 and 1.
    y : numpy.ndarray
        float32 ``(m, len(classes), 1)``, one-hot columns.

    Raises
    ------
    ShapeError
        If `x` is not ``(n, height, width)``, `y` not ``(n,)``, or their lengths differ.
    TypeError
        If `x` is not uint8, `y` not of an integer type, or `limit`, `seed` or a class not an integer.
    ValueError
        If `limit` is below 1, `seed` is negative, or a class is absent or given twice.

    Examples
    --------
    >>> x, y = preprocess_data(np.full((4, 2, 2), 255, np.uint8), [1, 0, 7, 1], limit=1)
    >>> x.shape, x.max(), y[:, :, 0]
    ((2, 1, 2, 2), np.float32(1.0), array([[1., 0.],
           [0., 1.]], dtype=float32))
    """
    images, labels = np.asarray(x), np.asarray(y)
    limit = positive("limit", limit)
    if not is_integer(seed):
        raise TypeError(f"seed must be an integer of at least 0, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed}")
    if images.ndim != 3:
        raise ShapeError(f"x must have shape (n, height, width), got {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ShapeError(f"y must have shape ({len(images)},), one label for each image, got {labels.shape}")
    # floats are likely scaled already, and scaling twice would pass unseen
    if images.dtype != np.uint8:
        raise TypeError(f"x must be of type uint8, got {images.dtype}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"y must be of an integer type, got {labels.dtype}")
    chosen = list(classes) if isinstance(classes, Iterable) else []
    if not chosen or not all(is_integer(value) for value in chosen):
        raise TypeError(f"classes must be integers such as (0, 1), got {classes!r}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"classes must name each class once, got {tuple(chosen)}")

    members = [np.flatnonzero(labels == value)[:limit] for value in chosen]
    for value, found in zip(chosen, members, strict=True):
        if not len(found):
            raise ValueError(f"y must hold each of the classes {tuple(chosen)}, got no label {value}")
    row = np.repeat(np.arange(len(chosen)), [len(found) for found in members])
    # in blocks of one class, learning one image at a time would forget the first block
    order = np.random.default_rng(seed).permutation(len(row))
    images = images[np.concatenate(members)[order]]
    scaled = np.divide(images[:, np.newaxis], np.float32(255), dtype=np.float32)
    return scaled, np.eye(len(chosen), dtype=np.float32)[row[order]][:, :, np.newaxis]
