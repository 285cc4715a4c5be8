"""Whoever names data at a command line gives a name, a folder or a file; what it is shows itself."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from purecnn import datasets
from purecnn.datasets import Sets
from purecnn.errors import FileFormatError
from purecnn.folders import ImageFolder
from purecnn.idx import Samples, load_folder
from purecnn.layer import Shape
from purecnn.npz import read_npz
from purecnn.splits import stratified_split

__all__ = ["holds_pictures", "read_data"]

#: The share that becomes the test set where there is none, by a seed of its own, so that it never changes.
TEST_SHARE, TEST_SEED = 0.2, 0


def read_data(source: str | os.PathLike[str], *, shape: Shape | None = None, on_error: str = "raise") -> Sets:
    """Read a training and a test set from wherever they are.

    ==============================================  =====================================================
    `source`                                        read by
    ==============================================  =====================================================
    a name of `datasets.NAMES`                      `datasets.load`
    a folder with IDX files                         `idx.load_folder`
    a folder of class folders                       `folders.ImageFolder`
    a folder of two such folders, train and test    the same, each for itself
    an ``.npz`` file                                `npz.read_npz`
    ==============================================  =====================================================

    Where there is no test set, a fifth of each class is set aside for it, always the same.

    Parameters
    ----------
    source : str or os.PathLike
        A name, or a path; ``./mnist`` is a path.
    shape : (int, int) or (int, int, int), optional
        ``(height, width)`` or ``(channels, height, width)`` to bring pictures to; as the first one is if left
        out.
    on_error : {"raise", "skip"}
        What to do about damaged pictures, as `ImageFolder` takes it.

    Returns
    -------
    Sets
        To unpack into two pairs; its notes say what was set aside and skipped.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the set of this name is not here.
    FileFormatError
        If it is none of these, or damaged.

    Examples
    --------
    >>> (x, y), (x_test, y_test) = read_data("mnist")
    >>> x.shape
    (60000, 28, 28)
    """
    if source in datasets.NAMES:
        return datasets.load(str(source))
    path = Path(source)
    if path.suffix == ".npz" and not path.is_dir():
        train, test = read_npz(path)
        return divided(path, train) if test is None else Sets(train, test)
    if not path.is_dir():
        if path.exists():
            raise FileFormatError(f"{path}: is neither a folder nor an .npz file; one of these is wanted")
        raise FileNotFoundError(
            f"{path}: there is no such file or folder, and the names known are {', '.join(datasets.NAMES)}"
        )
    if not holds_pictures(source):
        return Sets(*load_folder(path))
    return read_pictures(path, shape, on_error)


def holds_pictures(source: str | os.PathLike[str]) -> bool:
    """Return whether this is a folder that is read as one of class folders."""
    path = Path(source)
    return source not in datasets.NAMES and path.is_dir() and not any(path.glob("*idx[13]*"))


def read_pictures(path: Path, shape: Shape | None, on_error: str) -> Sets:
    """Read folders of class folders: one, or a training and a test set beside each other."""
    size = None if shape is None else (shape[-2], shape[-1])
    channels = None if shape is None or len(shape) == 2 else shape[0]
    apart = (path / "train").is_dir() and (path / "test").is_dir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what was skipped stands in the notes
        first = ImageFolder(path / "train" if apart else path, size, channels, on_error=on_error)
        if not apart:
            return divided(path, first.load(), first.classes, first.skipped)
        channels, *size_found = first.shape
        second = ImageFolder(
            path / "test",
            (size_found[0], size_found[1]),
            channels,
            on_error=on_error,
            classes=first.classes,
        )
    notes = (f"skipped {words}" for words in (*first.skipped, *second.skipped))
    return Sets(first.load(), second.load(), first.classes, tuple(notes))


def divided(
    path: Path, all_of_it: Samples, classes: tuple[str, ...] = (), skipped: list[str] | None = None
) -> Sets:
    """Set a share aside for a test set that is missing."""
    x, y = all_of_it
    if y.ndim != 1:
        raise FileFormatError(
            f"{path}: holds answers of shape {y.shape}; labels (n,) are wanted, or a test set"
        )
    kept, aside = stratified_split(y, TEST_SHARE, TEST_SEED)
    note = f"{path} has no test set: {len(aside):,} of its {len(y):,} images are set aside for it"
    return Sets(
        (x[kept], y[kept]), (x[aside], y[aside]), classes, (*(f"skipped {s}" for s in skipped or ()), note)
    )
