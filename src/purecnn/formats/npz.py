"""NPZ reader: arrays that ``numpy.savez`` saved.

Arrays saved by ``numpy.savez`` are one file, and like any file from outside it is not trusted.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO, BinaryIO

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
            with held.open(infos[name]) as stream:
                arrays.append(_read(stream, infos[name], size, f"{path}: {name}"))
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def _read(stream: IO[bytes], info: zipfile.ZipInfo, size: int, where: str) -> Array:
    """Read one array, if its header claims just what its part of a file of so many bytes holds."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    if dtype.kind not in "biuf":
        raise FileFormatError(f"{where} is of dtype {dtype}; an array of real numbers is wanted")
    claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - stream.tell()
    # no deflate stream grows by more than 1032
    packed = min(info.compress_size, size)
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
