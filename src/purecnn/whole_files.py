"""Whatever kills the process, a file that is replaced is the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable

Path = str | os.PathLike[str]


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
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{os.fspath(path)}: not a regular file, wanted the name of a file to write")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{_short(name)}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
        _sync(folder)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):  # the temporary name, or none, says nothing to whoever chose this one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `write_whole` that a killed process left beside `path`.

    Only for a file that no other process writes at this moment.
    """
    folder, name = os.path.split(os.path.realpath(path))
    wanted = re.compile(rf"\.{re.escape(_short(name))}\.[0-9a-f]{{16}}\.tmp")
    for found in os.listdir(folder):
        if wanted.fullmatch(found):
            os.unlink(os.path.join(folder, found))


def _short(name: str) -> str:
    """Return what a temporary file's name has of `name`: 200 bytes, so that no file system refuses it."""
    return os.fsdecode(os.fsencode(name)[:200])


def _sync(folder: str) -> None:
    """Send a folder's entries to the disk, where a system can: else a crash could undo the renaming."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such call
            raise
    finally:
        os.close(descriptor)
