"""Folders of pictures with folders of masks, for segmentation: one mask for each picture, of the same name.

Pictures are read as they are wanted; their masks, small numbers, stay in memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from purecnn.backend.checks import file_name, is_integer
from purecnn.datasets.folders import PictureFolder, cropped, pictures_in
from purecnn.errors import FileFormatError
from purecnn.formats.pictures import picture_shape, read_mask
from purecnn.messages.signatures import explained_class


@explained_class
class MaskFolder(PictureFolder):
    """A folder of pictures and one of their masks, a class for each pixel: a `Dataset`, read batch by batch.

    A picture and its mask have the same name up to the ending: ``pictures/cat.jpg`` and ``masks/cat.png``. A
    mask's grey values, or places in its palette, are the labels. Both are cut or stretched alike, the mask by
    taking the nearest pixel.

    Parameters
    ----------
    pictures, masks : str or os.PathLike
        The two folders.
    size : int or (int, int), optional
        Height and width of every image; the medians of all pictures' if left out.
    channels : {1, 3}, optional
        1 for grey, 3 for red, green and blue; 3 if left out and any picture has colours.
    crop : bool
        Whether a picture of other proportions loses what is too much on both sides; else it is stretched.
    classes : sequence of str, optional
        The names of the classes, in the order of their labels; if left out, the numbers up to the largest
        label.
    ignore_label : int, optional
        A label beside the classes, of pixels that shall not count: give it to `fit`, too.
    values : dict of int to int, optional
        The label that each number in the files stands for, where they are others: ``{0: 0, 255: 1}``.

    Attributes
    ----------
    classes : tuple of str
        Their names.
    paths, mask_paths : list of pathlib.Path
        The pictures, in the order of their names, and their masks.
    labels : ndarray
        The masks, ``(n, height, width)``, uint8 where that holds them, else uint16 or int64.
    shape : (int, int, int)
        ``(channels, height, width)`` of every image.
    ignore_label : int or None
        As given.
    preparation : {"crop", "stretch"}
        How pictures are brought to size: what a network that learns from them is told.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    FileFormatError
        If one is no picture or mask, a picture has no mask or two, a mask no picture or another size than its
        own, or a label is none of the classes; the sentence names the file.
    MissingExtraError
        If Pillow is not installed; it is part of the extra ``cli``.
    ValueError, TypeError
        For a wrong argument.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name, grey in (("pictures", [10, 240]), ("masks", [0, 1])):
    ...         Path(place, name).mkdir()
    ...         _ = Path(place, name, "1.pgm").write_bytes(b"P5 2 1 255 " + bytes(grey))
    ...     folder = MaskFolder(Path(place, "pictures"), Path(place, "masks"))
    ...     x, y = folder.load()
    >>> folder.shape, x.tolist(), y.tolist(), folder.classes
    ((1, 1, 2), [[[[10, 240]]]], [[[0, 1]]], ('0', '1'))
    """

    def __init__(
        self,
        pictures: str | os.PathLike[str],
        masks: str | os.PathLike[str],
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        *,
        crop: bool = True,
        classes: Sequence[str] | None = None,
        ignore_label: int | None = None,
        values: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(size, channels, crop)
        known = {} if values is None else dict(values)
        for label in (ignore_label, *known.values()):
            if label is not None and (not is_integer(label) or abs(label) >= 1 << 31):
                raise ValueError(f"labels must be integers of 32 bits, got {label!r}")
        for value in known:
            if not is_integer(value) or not 0 <= value < 1 << 16:
                raise ValueError(f"values must name numbers of the files, 0 to 65535, got {value!r}")
        self.ignore_label = ignore_label
        found, theirs = (
            by_stem(Path(file_name(folder, name, "a folder")))
            for name, folder in (("pictures", pictures), ("masks", masks))
        )
        for path in found.values():
            if path.stem not in theirs:
                raise FileFormatError(f"{path}: has no mask; one of the same name is wanted in {masks}")
        for path in theirs.values():
            if path.stem not in found:
                raise FileFormatError(f"{path}: has no picture; one of the same name is wanted in {pictures}")
        self.paths = list(found.values())
        self.mask_paths = [theirs[stem] for stem in found]
        shapes = [picture_shape(path) for path in self.paths]
        self._decide_shape(shapes)
        read = [
            self._mask(path, picture, shape[1:], known)
            for path, picture, shape in zip(self.mask_paths, self.paths, shapes, strict=True)
        ]
        self.labels: NDArray[np.integer] = np.stack(read)
        counted = self.labels if ignore_label is None else self.labels[self.labels != ignore_label]
        count = int(counted.max(initial=0)) + 1
        self.classes = tuple(map(str, range(count) if classes is None else classes))
        for path, mask in zip(self.mask_paths, self.labels, strict=True):
            self._check(path, mask)

    def _mask(
        self, path: Path, picture: Path, size: tuple[int, ...], values: dict[int, int]
    ) -> NDArray[np.integer]:
        """Read one mask, of the size of its picture, and bring it to the size of all."""
        mask: NDArray[np.integer] = read_mask(path)
        if mask.shape != size:
            raise FileFormatError(
                f"{path}: has {mask.shape[0]} x {mask.shape[1]} pixels, and its picture {picture} "
                f"{size[0]} x {size[1]}; a mask of the size of its picture is wanted"
            )
        _, height, width = self.shape
        if self.crop:
            mask = cropped(mask, height, width)
        rows, columns = (
            np.minimum(((np.arange(new) + 0.5) * (old / new)).astype(np.intp), old - 1)
            for old, new in zip(mask.shape, (height, width), strict=True)
        )
        mask = mask[np.ix_(rows, columns)]
        if not values:
            return mask
        unknown = np.setdiff1d(mask, list(values))
        if unknown.size:
            raise FileFormatError(
                f"{path}: has the value {unknown[0]}, wanted one of {', '.join(map(str, values))}, "
                f"which values names"
            )
        labels = np.zeros(65536, np.int64)
        labels[list(values)] = list(values.values())
        least, most = min(values.values()), max(values.values())
        found: NDArray[np.integer] = labels[mask]
        return found.astype(np.uint8 if least >= 0 and most < 256 else np.int64)

    def _check(self, path: Path, mask: NDArray[np.integer]) -> None:
        """Refuse labels that are none of the classes."""
        wrong = (mask < 0) | (mask >= len(self.classes))
        if self.ignore_label is not None:
            wrong &= mask != self.ignore_label
        if wrong.any():
            known = f"0 to {len(self.classes) - 1}"
            if self.ignore_label is not None:
                known += f", or {self.ignore_label}, to be ignored"
            raise FileFormatError(f"{path}: has the label {mask[wrong][0]}, wanted one from {known}")

    def load(self) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
        """Read all into memory: images ``(n, channels, height, width)`` and masks ``(n, height, width)``."""
        return self.batch(np.arange(len(self))), self.labels


def by_stem(folder: Path) -> dict[str, Path]:
    """Return the pictures in a folder by their names without endings, in their order.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    FileFormatError
        If it holds none, something else, or two of one name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; one that holds pictures is wanted")
    found, others = pictures_in(folder)
    if others:
        raise FileFormatError(others[0])
    if not found:
        raise FileFormatError(f"{folder}: holds no picture")
    stems: dict[str, Path] = {}
    for path in found:
        if path.stem in stems:
            raise FileFormatError(
                f"{path}: has the name of {stems[path.stem].name}; one of each name is wanted"
            )
        stems[path.stem] = path
    return stems
