"""IDX reader: MNIST, Fashion-MNIST, KMNIST and EMNIST.

MNIST, Fashion-MNIST, KMNIST and EMNIST come as IDX files, and no file from outside can be trusted.

An IDX file is two zero bytes, one byte for the type of its numbers, one for the number of axes, the
length of each axis as a big-endian uint32, and then the numbers, big-endian, last axis fastest.
"""

from __future__ import annotations

import glob
import gzip
import math
import os
import sys
import zlib
from io import BufferedIOBase
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from purecnn.backend.checks import file_name
from purecnn.errors import FileFormatError
from purecnn.formats.regular_files import open_regular

#: Samples and their labels; those of a folder are images of bytes.
Samples: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
Images: TypeAlias = tuple[NDArray[np.uint8], NDArray[Any]]


_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_AXES = 64  # what NumPy 2 can hold
_MAX_BYTES = sys.maxsize
_MAX_DEFLATE = 1032  # no deflate stream grows by more than this
_CHUNK = 1 << 20  # small enough to leave memory alone, large enough to cost no calls


# one (images, labels) pair of names a set; EMNIST says "test" where the others say "t10k"
_TRAIN = (("*train-images*idx3*",), ("*train-labels*idx1*",))
_TEST = (("*t10k-images*idx3*", "*test-images*idx3*"), ("*t10k-labels*idx1*", "*test-labels*idx1*"))


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read one IDX file, plain or gzipped.

    Whether it is gzipped is seen from its first bytes, not from its name. Memory is taken for the array
    alone, and only after the header's claim was held against the size of the file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    numpy.ndarray
        Shape as the header says; uint8, int8, int16, int32, float32 or float64, in native byte order,
        writable.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is foreign, damaged, truncated, or longer than its header says.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    path = Path(file_name(path))
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file; an IDX file, plain or gzipped, is wanted")
    with open_regular(path, "an IDX file, plain or gzipped", "idx", "gzip") as file:
        size = os.fstat(file.fileno()).st_size
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not gzipped:
            return _read_stream(file, path, size, exact=True)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _read_stream(stream, path, size * _MAX_DEFLATE, exact=False)
        except EOFError as error:
            raise FileFormatError(f"{path}: its gzip stream is cut short at {size} bytes") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(f"{path}: its gzip stream is damaged ({error})") from error


def _read_stream(stream: BufferedIOBase, path: Path, limit: int, exact: bool) -> NDArray[Any]:
    """Read header and array: the file holds `limit` bytes if `exact`, and else at most so many."""
    magic = _read_header(stream, 4, path)
    code, axes = magic[2], magic[3]
    if magic[:2] != b"\0\0" or code not in _TYPES:
        raise FileFormatError(
            f"{path}: starts with bytes {magic[:3].hex(' ')}; an IDX file starts with 00 00 and "
            "one of 08, 09, 0b, 0c, 0d, 0e"
        )
    if not 1 <= axes <= _MAX_AXES:
        raise FileFormatError(f"{path}: its header claims {axes} axes; 1 to {_MAX_AXES} are wanted")
    lengths = _read_header(stream, 4 * axes, path)
    shape = tuple(int.from_bytes(lengths[i : i + 4], "big") for i in range(0, len(lengths), 4))

    dtype = np.dtype(_TYPES[code])
    wanted = math.prod(shape) * dtype.itemsize
    held = limit - 4 - 4 * axes
    # NumPy refuses a shape whose axes multiply past the address space, even where one of them is zero
    if math.prod(length or 1 for length in shape) * dtype.itemsize > _MAX_BYTES:
        raise FileFormatError(
            f"{path}: its header claims shape {shape}, more than the {_MAX_BYTES} bytes that fit"
        )
    if wanted > held:
        most = "holds" if exact else "can hold at most"
        raise FileFormatError(
            f"{path}: its header claims {wanted} bytes of data for shape {shape}, and the file {most} {held}"
        )
    if exact and wanted < held:
        raise FileFormatError(
            f"{path}: holds {held} bytes of data, and its header claims {wanted} for shape {shape}"
        )

    try:
        flat = np.empty(wanted, np.uint8)
    except MemoryError as error:
        raise FileFormatError(
            f"{path}: its header claims {wanted} bytes of data for shape {shape}, more than the memory left"
        ) from error
    view = flat.data
    done = 0
    while done < wanted:
        got = stream.readinto(view[done : done + _CHUNK])
        if not got:
            raise FileFormatError(
                f"{path}: ends after {done} bytes of data, and its header claims {wanted} for shape {shape}"
            )
        done += got
    # for gzip this read also reaches the checksum
    if stream.read(1):
        raise FileFormatError(
            f"{path}: holds more than the {wanted} bytes of data that its header claims for shape {shape}"
        )
    array: NDArray[Any] = flat.view(dtype).reshape(shape)
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _read_header(stream: BufferedIOBase, count: int, path: Path) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise FileFormatError(f"{path}: ends inside its header, {len(data)} bytes into a part of {count}")
    return data


def load_folder(folder: str | PathLike[str], prefix: str = "") -> tuple[Images, Images]:
    """Load a data set of four IDX files: training and test images, and their labels.

    The files are known by their names, gzipped or not: ``*train-images*idx3*``, ``*train-labels*idx1*``,
    ``*t10k-images*idx3*`` (or ``test`` for ``t10k``, as EMNIST writes it) and ``*t10k-labels*idx1*``. Of a
    file and its gzipped twin the plain one is read; names that open with a dot are passed over; a file that
    is missing may lie in a folder of its name, as archives of Kaggle's unpack. EMNIST stores each image
    transposed; it is given back as stored.

    Parameters
    ----------
    folder : str or os.PathLike
        The folder that holds the four files.
    prefix : str
        What their names begin with, where the folder holds several sets: ``"emnist-letters-"``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuple of tuple of numpy.ndarray
        Images uint8 ``(n, height, width)``, labels of the file's integer type ``(n,)``.

    Raises
    ------
    FileNotFoundError
        If the folder or one of its four files is missing.
    FileFormatError
        If two files match one name, a file can't be read, or the arrays do not belong together.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255])
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in ("train", "t10k"):
    ...         _ = pathlib.Path(folder, f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = pathlib.Path(folder, f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     (x_train, y_train), (x_test, y_test) = load_folder(folder)
    >>> x_train, y_test
    (array([[[  0, 255]]], dtype=uint8), array([7], dtype=uint8))
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; one that holds four IDX files is wanted")
    # find all four before reading any: a missing name should not cost the time of the others
    found = [[_find(folder, patterns, prefix) for patterns in pair] for pair in (_TRAIN, _TEST)]
    train, test = (_read_pair(images, labels) for images, labels in found)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise FileFormatError(
            f"{folder}: its training images are of {train[0].shape[1:]} pixels and its test images of "
            f"{test[0].shape[1:]}; one size is wanted"
        )
    return train, test


def _find(folder: Path, patterns: tuple[str, ...], prefix: str) -> Path:
    patterns = tuple(glob.escape(prefix) + pattern for pattern in patterns)
    places = [path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".")]
    matches = {path for path in places if not path.is_dir()}
    if not matches:  # some archives unpack each file into a folder of its name
        matches = {
            path
            for place in places
            for pattern in patterns
            for path in place.glob(pattern)
            if not path.name.startswith(".") and not path.is_dir()
        }
    matches = {path for path in matches if path.suffix != ".gz" or path.with_suffix("") not in matches}
    names = " or ".join(patterns)
    if not matches:
        raise FileNotFoundError(
            f"{folder}: holds no file named {names}; the four files of one set are wanted"
        )
    if len(matches) > 1:
        listed = ", ".join(sorted(path.name for path in matches))
        raise FileFormatError(
            f"{folder}: {len(matches)} files are named {names} ({listed}); exactly 1 is wanted, "
            "so keep one set a folder"
        )
    return matches.pop()


def _read_pair(images_path: Path, labels_path: Path) -> Images:
    x, y = read_idx(images_path), read_idx(labels_path)
    if x.ndim != 3 or x.dtype != np.uint8 or x.size == 0:
        raise FileFormatError(
            f"{images_path}: holds {x.dtype} of shape {x.shape}; uint8 images of shape "
            "(n, height, width), none of them 0, are wanted"
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise FileFormatError(
            f"{labels_path}: holds {y.dtype} of shape {y.shape}; integer labels of shape (n,) are wanted"
        )
    if len(x) != len(y):
        raise FileFormatError(
            f"{labels_path}: holds {len(y)} labels, and {images_path.name} beside it {len(x)} images; "
            "as many of each are wanted"
        )
    return x, y
