"""Atomic file writes.

Whatever kills the process, a file that is replaced is the old one or the new one, never half of one.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from purecnn.backend.checks import file_name
from purecnn.backend.locks import acquire

try:
    import fcntl
except ImportError:  # Windows
    FULL_SYNC = None
else:
    #: The call that empties the disk's own cache too, where fsync does not: macOS.
    FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)


Path = str | os.PathLike[str]


WINDOWS = os.name == "nt"
#: Seconds to wait, on Windows, where somebody holds a file that is to be replaced: a scanner, an indexer.
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file, all of it or nothing.

    The bytes go to a temporary file in the same folder, and to the disk; then it takes the name, and the
    folder goes to the disk too. What fails leaves the old file, if there is one, and no temporary one.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced and keeps its permissions. Through a symbolic link, the file
        that it points to is replaced.
    parts : iterable of bytes-like
        What to write, in order.

    Raises
    ------
    ValueError
        If what is there is no regular file.
    OSError
        If it can't be written; names `path`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(pathlib.Path(folder, "a"), [b"one ", b"two"])
    ...     pathlib.Path(folder, "a").read_bytes()
    b'one two'
    """
    target = os.path.realpath(file_name(path))
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{os.fspath(path)}: not a regular file, wanted the name of a file to write")
    folder, name = os.path.split(target)
    temporary = ""
    try:
        temporary, file = _temporary(folder, name)
        with file:
            for part in parts:
                file.write(part)
            to_disk(file)
            if not WINDOWS:  # there an open file can't be renamed, and the mode is one bit, against just that
                if os.path.exists(target):
                    shutil.copymode(target, temporary)
                take_name(temporary, target)
        if WINDOWS:
            take_name(temporary, target)
        _sync(folder)
    except BaseException as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):  # the temporary name, or none, says nothing to whoever chose this one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _temporary(folder: str, name: str) -> tuple[str, IO[bytes]]:
    """Make a temporary file, locked as long as it is open: so `remove_leftovers` knows that it is in use."""
    while True:
        path = os.path.join(folder, f".{_short(name)}.{secrets.token_hex(8)}.tmp")
        file = open(path, "xb")  # noqa: SIM115 - the caller closes it
        if acquire(file) and os.path.exists(path):
            return path, file
        file.close()  # taken for a leftover before it was locked


def append_whole(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file, all of them or, where the disk is full, none.

    Raises
    ------
    OSError
        If they can't be written; names `path`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for line in (b"one ", b"two"):
    ...         append_whole(pathlib.Path(folder, "a"), line)
    ...     pathlib.Path(folder, "a").read_bytes()
    b'one two'
    """
    try:
        with open(path, "ab", buffering=0) as file:
            size, rest = file.seek(0, os.SEEK_END), memoryview(data)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except BaseException:
                file.truncate(size)
                raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def to_disk(file: IO[bytes]) -> None:
    """Send what was written into a file to the disk."""
    file.flush()
    if FULL_SYNC is not None:
        try:
            fcntl.fcntl(file.fileno(), FULL_SYNC)
            return
        except OSError:  # a file system that has no such call
            pass
    os.fsync(file.fileno())


def take_name(temporary: Path, path: Path) -> None:
    """Give a whole file its name, in place of another file that has it."""
    for pause in PAUSES if WINDOWS else ():
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(temporary, path)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `write_whole` that a killed process left beside `path`.

    One that a living process writes at this moment is locked, and stays.
    """
    folder, name = os.path.split(os.path.realpath(path))
    wanted = re.compile(rf"\.{re.escape(_short(name))}\.[0-9a-f]{{16}}\.tmp")
    for found in os.listdir(folder):
        if wanted.fullmatch(found):
            with suppress(FileNotFoundError, PermissionError):  # another was faster, or Windows has it open
                with open(os.path.join(folder, found), "r+b") as file:
                    unused = acquire(file)
                    if unused and not WINDOWS:
                        os.unlink(file.name)
                if unused and WINDOWS:
                    os.unlink(file.name)


def _short(name: str) -> str:
    """Return what a temporary file's name has of `name`: 200 bytes, in whole characters of UTF-8."""
    return name.encode(errors="ignore")[:200].decode(errors="ignore")


def _sync(folder: str) -> None:
    """Send a folder's entries to the disk, where a system can: else a crash could undo the renaming."""
    if WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such call
            raise
    finally:
        os.close(descriptor)
