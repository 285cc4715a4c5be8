"""Opening of regular files, for all readers.

Opening what a name means, for all readers: a regular file, of a format that is wanted.

A pipe would keep a reader waiting for ever, a device such as /dev/zero has no end, and what another program
wrote is named by its own name (`file_kinds`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import cast

from purecnn.backend.checks import file_name
from purecnn.errors import FileFormatError
from purecnn.formats.file_kinds import START, mismatch

Path = str | os.PathLike[str]


#: What is no regular file, by the bits of its mode.
OTHERS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
#: With which a pipe or a device is opened at once, and no terminal becomes this process's own.
FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"))


@contextmanager
def open_regular(path: Path, wanted: str, *kinds: str, mode: str = "rb") -> Iterator[BufferedReader]:
    """Open a regular file; through a symbolic link, the file that it leads to.

    Parameters
    ----------
    path : str or path-like
        The file.
    wanted : str
        What it is to be, for the sentence that refuses another: "an ONNX model".
    *kinds : str
        The formats that the reader knows, as `file_kinds.KINDS` names them: where the file begins as one of
        another format it is refused, with the name of that. None: whatever it is.
    mode : str
        As `open` takes it, binary.

    Yields
    ------
    binary file
        At its beginning; what it holds may change, but not what it is.

    Raises
    ------
    TypeError
        If `path` is no name.
    FileFormatError
        If it is a folder, a pipe, a device or a socket, or a file of another format.
    OSError
        If there is no such file, or it can't be opened.

    Examples
    --------
    >>> with open_regular(".", "a picture") as file:
    ...     pass
    Traceback (most recent call last):
    purecnn.errors.FileFormatError: .: not a regular file but a folder, wanted a picture
    """
    file_name(path)
    if os.path.exists(path):
        check_regular(path, os.stat(path), wanted)  # before it is opened, which may do something to a device

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | FLAGS, 0o666)
        try:
            check_regular(path, os.fstat(descriptor), wanted)  # it may be another by now
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    try:
        with open(path, mode, opener=opener) as opened:
            file = cast(BufferedReader, opened)
            if kinds:
                other = mismatch(file.read(START), kinds, wanted)
                if other:
                    raise FileFormatError(f"{os.fspath(path)}: {other}")
                file.seek(0)
            yield file
    except OSError as error:
        if error.errno is not None and error.filename is None:  # of a read, which does not know its file
            error.filename = os.fspath(path)
        raise


def check_regular(path: Path, status: os.stat_result, wanted: str) -> None:
    """Refuse what is no regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = OTHERS.get(stat.S_IFMT(status.st_mode), "something else")
        raise FileFormatError(f"{os.fspath(path)}: not a regular file but {kind}, wanted {wanted}")


def read_regular(path: Path, wanted: str, *kinds: str, most: int) -> bytearray:
    """Return all of a regular file, as it is when it is opened, in memory that is the caller's alone.

    Parameters
    ----------
    path, wanted, *kinds
        As `open_regular` has them.
    most : int
        Bytes of a file that is still one.

    Raises
    ------
    FileFormatError
        As `open_regular`, and if the file is larger.
    """
    with open_regular(path, wanted, *kinds) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise FileFormatError(f"{os.fspath(path)}: {size} bytes, wanted {wanted} of at most {most}")
        held = bytearray(size)
        del held[file.readinto(held) :]  # of a file that shrank meanwhile
        return held
