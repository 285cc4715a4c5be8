"""NPZ reader: arrays that ``numpy.savez`` saved.

Arrays saved by ``numpy.savez`` are one file, and like any file from outside it is not trusted.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np

from purecnn.backend.checks import file_name
from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.decoding import check_packing, refused
from purecnn.formats.idx import Samples
from purecnn.formats.regular_files import open_regular

_WANTED = "x and y, and x_test and y_test if there is a test set"


def read_npz(path: str | os.PathLike[str]) -> tuple[Samples, Samples | None]:
    """Read the arrays x, y, x_test and y_test of an ``.npz`` file, compressed or not.

    Memory is taken for an array only after its header was held against the size of its part of the file.
    Arrays of Python objects are refused: reading them would run what they say.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    train, test : (ndarray, ndarray)
        As they were saved; `test` is None if there are no such arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is foreign or damaged, an array is missing, not of numbers, or not as long as its pair.

    Warns
    -----
    UserWarning
        By NumPy, where a header is written as Python 2 wrote it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/stripes.npz", x=np.zeros((4, 2, 2)), y=np.arange(4))
    ...     (x, y), test = read_npz(f"{folder}/stripes.npz")
    >>> x.shape, y, test
    ((4, 2, 2), array([0, 1, 2, 3]), None)
    """
    path = Path(file_name(path))
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file; an .npz file with {_WANTED} is wanted")
    with open_regular(path, f"an .npz file with {_WANTED}", "npz", "zip") as file:
        pairs = _pairs(file, path)
    for (x, y), names_of in zip(pairs, ("x and y", "x_test and y_test"), strict=False):
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise FileFormatError(
                f"{path}: {names_of} have shapes {x.shape} and {y.shape}; "
                "one answer for each sample is wanted"
            )
    return pairs[0], pairs[1] if len(pairs) > 1 else None


def _pairs(file: BinaryIO, path: Path) -> list[Samples]:
    """Return the samples to train on and those to test on, if there are any, with their answers."""
    with refused(f"{path}: is no .npz file, or a damaged one"), zipfile.ZipFile(file) as held:
        infos = {info.filename.removesuffix(".npy"): info for info in held.infolist()}
        names = ["x", "y", *(name for name in ("x_test", "y_test") if name in infos)]
        if len(names) == 3 or not infos.keys() >= set(names):
            listed = f"{', '.join(infos) or 'no array':.200}"
            raise FileFormatError(f"{path}: holds {listed}; {_WANTED} are wanted")
        size, arrays = os.fstat(file.fileno()).st_size, []
        for name in names:
            check_packing(infos[name])
            packed = min(infos[name].compress_size, size)
            with held.open(infos[name]) as stream:
                arrays.append(_read(stream, infos[name].file_size, packed, f"{path}: {name}"))
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read every array of an ``.npz`` file by its name, or the one of an ``.npy`` file, under the name "".

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Raises
    ------
    FileFormatError
        If the file is foreign or damaged, or an array is not of numbers.
    OSError
        If it can't be opened.

    Warns
    -----
    UserWarning
        By NumPy, where a header is written as Python 2 wrote it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/a.npy", np.arange(3))
    ...     read_arrays(f"{folder}/a.npy")
    {'': array([0, 1, 2])}
    """
    path = Path(file_name(path))
    with open_regular(path, "arrays in an .npy or .npz file", "npy", "npz", "zip") as file:
        size = room = os.fstat(file.fileno()).st_size
        start = file.read(2)
        file.seek(0)
        with refused(f"{path}: is no .npy or .npz file, or a damaged one"):
            if start != b"PK":
                return {"": _read(cast(IO[bytes], _Within(file, size)), size, size, f"{path}")}
            arrays: dict[str, Array] = {}
            with zipfile.ZipFile(file) as held:
                for info in held.infolist():
                    name = info.filename.removesuffix(".npy")
                    check_packing(info)
                    room -= info.compress_size
                    if name in arrays or room < 0:
                        raise FileFormatError(f"{path}: {name[:60]} is there twice, or lies where another is")
                    with held.open(info) as stream:
                        arrays[name] = _read(
                            stream, info.file_size, info.compress_size, f"{path}: {name[:60]}"
                        )
            return arrays


class _Within:
    """A stream for NumPy, which believes a header its length: no read is longer than the file."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size, self.tell = stream, size, stream.tell

    def read(self, size: int) -> bytes:
        return self.stream.read(min(size, self.size))


def _read(stream: IO[bytes], size: int, packed: int, where: str) -> Array:
    """Read one array, if its header claims just what its part of a file holds, so many bytes."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    if dtype.kind not in "biuf":
        raise FileFormatError(f"{where} is of dtype {dtype}; an array of real numbers is wanted")
    claimed, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    # no deflate stream grows by more than 1032
    if claimed != held or held > 1032 * packed + 1024:
        raise FileFormatError(
            f"{where} claims {claimed} bytes of data for shape {shape!r:.100}, "
            f"and its part of the file holds {held}, packed into {packed}"
        )
    flat = np.empty(claimed, np.uint8)
    done = 0
    while piece := stream.read(1 << 20):  # to the end, where the checksum is
        flat[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if done < claimed:
        raise FileFormatError(f"{where} ends after {done} of {claimed} bytes")
    return flat.view(dtype).reshape(shape, order="F" if fortran else "C")
