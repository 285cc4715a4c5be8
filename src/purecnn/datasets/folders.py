"""Image folders: pictures that people sorted into folders, one for each class.

Pictures that people sorted into folders, one for each class, are a data set: read as they are wanted.
"""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from purecnn.backend.checks import choice, file_name, pair
from purecnn.backend.types import Array
from purecnn.datasets.resampling import resample
from purecnn.errors import FileFormatError
from purecnn.formats.pictures import picture_shape, read_picture
from purecnn.messages.signatures import explained_class

#: What a picture's name ends in.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: What systems and programs leave in folders; so do names that begin with a dot.
LEFTOVERS = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
)
#: What folders of a training and a test set are called; of several test sets the first is taken.
TRAINING, TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")
#: So many skipped files are named in the warning.
NAMED = 5


class PictureFolder:
    """Pictures that are read batch by batch: what `ImageFolder` and `MaskFolder` share.

    Parameters
    ----------
    size : int or (int, int) or None
        Height and width of every image, where they are asked for.
    channels : {1, 3} or None
        Likewise.
    crop : bool
        Whether a picture of other proportions loses what is too much on both sides; else it is stretched.

    Attributes
    ----------
    paths : list of pathlib.Path
        The pictures.
    shape : (int, int, int)
        ``(channels, height, width)`` of every image.
    preparation : {"crop", "stretch"}
        How pictures are brought to size: what a network that learns from them is told.
    """

    paths: list[Path]
    shape: tuple[int, int, int]

    def __init__(self, size: int | tuple[int, int] | None, channels: int | None, crop: bool) -> None:
        if channels not in (None, 1, 3):
            raise ValueError(f"channels must be 1 for grey or 3 for colour, got {channels!r}")
        self.crop, self.preparation = crop, "crop" if crop else "stretch"
        self._size, self._channels = None if size is None else pair("size", size), channels

    def _decide_shape(self, shapes: Sequence[tuple[int, int, int]]) -> None:
        """Take from those of the pictures what was not asked for: the medians, and 3 channels if one has."""
        height, width = self._size or (int(np.median([shape[axis] for shape in shapes])) for axis in (1, 2))
        self.shape = (self._channels or max(shape[0] for shape in shapes), height, width)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, rows: Array) -> NDArray[np.uint8]:
        """Read some pictures.

        Parameters
        ----------
        rows : array_like of int
            Their numbers.

        Returns
        -------
        ndarray of uint8
            ``(len(rows), channels, height, width)``.

        Raises
        ------
        FileFormatError
            If one is no whole picture; the sentence names it.
        OSError
            If one can't be read.
        """
        images = np.empty((len(rows), *self.shape), np.uint8)
        for image, row in zip(images, rows, strict=True):
            pixels = read_picture(self.paths[row], self.shape[0])
            image[...] = fitted(np.atleast_3d(pixels), self.shape[1], self.shape[2], self.crop)
        return images


@explained_class
class ImageFolder(PictureFolder):
    r"""A folder that holds one folder of pictures for each class: a `Dataset` that is read batch by batch.

    Classes and pictures are in the order of their names. Passed over are names that begin with a dot, what
    systems leave in folders (``Thumbs.db``, ``desktop.ini``, ``__MACOSX``), and files beside class folders.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder.
    size : int or (int, int), optional
        Height and width of every image; the medians of all pictures' if left out.
    channels : {1, 3}, optional
        1 for grey, 3 for red, green and blue; 3 if left out and any picture has colours. The headers of all
        files tell both.
    crop : bool
        Whether a picture of other proportions loses what is too much on both sides; else it is stretched.
    on_error : {"raise", "skip"}
        What to do about a file that is no whole picture. "raise": whatever reads it says which it is.
        "skip": all are read once at the beginning, and those are left out, with one warning.
    classes : sequence of str, optional
        The names of the classes, in the order of their labels, where another folder decides them.

    Attributes
    ----------
    classes : tuple of str
        The names of the class folders: composed, as Unicode's form NFC has them, and bytes that are no UTF-8
        written as ``\xe9``.
    preparation : {"crop", "stretch"}
        How pictures are brought to size: what a network that learns from them is told.
    sizes : set of (int, int)
        The heights and widths that the pictures had, where these decided.
    paths : list of pathlib.Path
        The pictures.
    labels : ndarray of int64
        The class of each, ``(n,)``.
    shape : (int, int, int)
        ``(channels, height, width)`` of every image.
    skipped : list of str
        What was left out, each with the reason.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    FileFormatError
        If it holds no class folders, or unknown ones, and if one holds no picture or something else.
    MissingExtraError
        If Pillow is not installed; it is part of the extra ``cli``.
    ValueError, TypeError
        For a wrong argument.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name, grey in (("night", 10), ("day", 240)):
    ...         Path(place, name).mkdir()
    ...         _ = Path(place, name, "1.pgm").write_bytes(b"P5 2 1 255 " + bytes([grey, grey]))
    ...     folder = ImageFolder(place)
    ...     x, y = folder.load()
    >>> folder.classes, folder.shape, x[:, 0, 0, 0], y
    (('day', 'night'), (1, 1, 2), array([240,  10], dtype=uint8), array([0, 1]))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        *,
        crop: bool = True,
        on_error: str = "raise",
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(size, channels, crop)
        on_error = choice("on_error", on_error, ("raise", "skip"))
        self.folder = Path(file_name(folder, "folder", "a folder"))
        self.on_error = on_error
        self.skipped: list[str] = []
        folders = class_folders(self.folder)
        self.classes = class_names(self.folder, classes)
        found = [
            (path, label)
            for label, name in enumerate(self.classes)
            for place in folders.get(name, [])
            for path in self._pictures(place)
        ]
        shapes: list[tuple[int, int, int]] = []
        self.paths, labels = [], []
        for path, label in found:
            if on_error == "skip":
                try:
                    pixels = read_picture(path, channels)
                except FileFormatError as error:
                    self.skipped.append(str(error))
                    continue
                shapes.append((3 if pixels.ndim == 3 else 1, *pixels.shape[:2]))
            elif not shapes or size is None or channels is None:
                shapes.append(picture_shape(path))
            self.paths.append(path)
            labels.append(label)
        self.labels = np.array(labels, np.int64)
        for label, name in enumerate(self.classes):
            if label not in self.labels and classes is None:
                raise FileFormatError(
                    f"{self.folder / name}: holds no picture; each class wants at least one"
                )
        if not shapes:
            raise FileFormatError(f"{self.folder}: holds no picture that can be read")
        if self.skipped:
            more = f" and {len(self.skipped) - NAMED} more" if len(self.skipped) > NAMED else ""
            warnings.warn(
                f"skipped {len(self.skipped)} of {len(self.skipped) + len(self.paths)} files: "
                f"{'; '.join(self.skipped[:NAMED])}{more}",
                stacklevel=2,
            )
        self.sizes = {shape[1:] for shape in shapes}
        self._decide_shape(shapes)

    def _pictures(self, place: Path) -> list[Path]:
        """Return the pictures in one folder of a class, in the order of their names."""
        found, others = pictures_in(place)
        if others and self.on_error == "raise":
            raise FileFormatError(others[0])
        self.skipped += others
        return found

    def load(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read everything into memory: images ``(n, channels, height, width)`` and labels ``(n,)``."""
        return self.batch(np.arange(len(self))), self.labels


def pictures_in(place: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures in a folder, in the order of their names, and a sentence on all else in it."""
    found: list[Path] = []
    others: list[str] = []
    for path in sorted(place.iterdir()):
        if is_leftover(path.name):
            continue
        if path.is_symlink() and not path.exists():
            others.append(f"{path}: is a link that leads nowhere; a picture is wanted")
        elif path.suffix.lower() in SUFFIXES and not path.is_dir():
            found.append(path)
        else:
            wanted = f"one that ends in {', '.join(SUFFIXES)} is wanted"
            others.append(f"{path}: is no picture by its name; {wanted}")
    return found, others


def is_leftover(name: str) -> bool:
    """Return whether a name is one that systems and programs leave in folders, or hides a file.

    Examples
    --------
    >>> is_leftover("Thumbs.db"), is_leftover("._cat.png"), is_leftover("cat.png")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in LEFTOVERS


def class_name(name: str) -> str:
    r"""Return a folder's name as a class's: in Unicode's form NFC, what is no text escaped.

    Examples
    --------
    >>> class_name("cafe\u0301") == "caf\xe9", class_name(b"caf\xe9".decode(errors="surrogateescape"))
    (True, 'caf\\xe9')
    """
    whole = unicodedata.normalize("NFC", name)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the folders in a folder by the classes that they are called, in their order.

    Names that differ in the form of their Unicode alone are those of one class.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    FileFormatError
        If it holds no folders, or a training and a test set.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: there is no such folder; one that holds a folder a class is wanted"
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not is_leftover(path.name):
            found.setdefault(class_name(path.name), []).append(path)
    if not found:
        raise FileFormatError(f"{folder}: holds no folders; one folder of pictures for each class is wanted")
    if sets := train_and_test(folder):
        train, test = sets
        raise FileFormatError(
            f"{folder}: holds a training and a test set; ImageFolder({str(train)!r}) is wanted, and "
            f"ImageFolder({str(test)!r}, classes=...) with the classes of the first"
        )
    return dict(sorted(found.items()))


def holds_folders(folder: Path) -> bool:
    """Return whether there are folders in a folder, beside what systems leave there."""
    return any(path.is_dir() and not is_leftover(path.name) for path in folder.iterdir())


def train_and_test(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders in a folder that are a training and a test set by their names, if there are such.

    Either holds folders, or they would be classes of these names.
    """
    names = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    train, test = (next((names[name] for name in kind if name in names), None) for kind in (TRAINING, TEST))
    return (train, test) if train and test and (holds_folders(train) or holds_folders(test)) else None


def class_names(folder: Path, wanted: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the classes that the folders in a folder are called, or `wanted` if there are no others."""
    names = tuple(class_folders(folder))
    if wanted is None:
        return names
    classes = tuple(map(class_name, wanted))
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes must name each class once, got {', '.join(classes)}")
    for name in names:
        if name not in classes:
            raise FileFormatError(
                f"{folder / name}: is no class that is known; one of {', '.join(classes)} is wanted"
            )
    return classes


def cropped(pixels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the largest part of a picture of the wanted proportions, in whole pixels, around the middle."""
    high = min(len(pixels), max(1, round(pixels.shape[1] * height / width)))
    wide = min(pixels.shape[1], max(1, round(len(pixels) * width / height)))
    top, left = (len(pixels) - high) // 2, (pixels.shape[1] - wide) // 2
    return pixels[top : top + high, left : left + wide]


def fitted(pixels: NDArray[np.uint8], height: int, width: int, crop: bool) -> NDArray[Any]:
    """Return a picture ``(h, w, channels)`` as ``(channels, height, width)``, cropped or stretched to it.

    Examples
    --------
    >>> fitted(np.array([[[0], [10], [20], [255]]], np.uint8), 1, 2, crop=True)
    array([[[10, 20]]], dtype=uint8)
    """
    if crop:
        pixels = cropped(pixels, height, width)
    planes = np.moveaxis(pixels, 2, 0)
    if planes.shape[1:] == (height, width):
        return planes
    scaled = np.stack([resample(plane, height, width) for plane in planes])
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
