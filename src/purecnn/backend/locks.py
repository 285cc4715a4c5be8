"""File locks, which the operating system takes back from a process that ends, however it ends.

Of two trainings that write into one folder each would lose what the other wrote, and a file that says who is
there would outlive a killed process. Where a file system knows no locks there are none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

WINDOWS = os.name == "nt"
try:
    _system: Any = import_module("msvcrt" if WINDOWS else "fcntl")
except ImportError:  # a browser
    _system = None


#: The name of the file, in a folder, that is locked while somebody writes there.
LOCK = ".lock"
#: Files that are locked here: a child that is forked must not keep the lock of its parent.
_locked: set[IO[Any]] = set()


def acquire(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; return False if it is locked already.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     acquire(file)
    True
    """
    try:
        if _system is None:
            return True
        if WINDOWS:
            _system.locking(file.fileno(), _system.LK_NBLCK, 1)
        else:
            _system.flock(file.fileno(), _system.LOCK_EX | _system.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        pass
    return True


@contextmanager
def folder_lock(
    folder: str | os.PathLike[str], doing: str = "training into", other: str = "--output"
) -> Iterator[None]:
    """Have a folder for oneself.

    Parameters
    ----------
    folder : str or path-like
        There already.
    doing, other : str
        What is done there, and what might be named in its place: words of the sentence that refuses.

    Raises
    ------
    ValueError
        If another process, or another thread of this one, has it.
    OSError
        If it can't be written to.
    """
    path = Path(folder, LOCK)
    while True:
        file = path.open("a+b")
        if not acquire(file):
            with file:
                raise ValueError(
                    f"{os.fspath(folder)}: another process is {doing} this folder: wait until it ends, "
                    f"or name another {other}"
                )
        if _is_of(file, path):
            break
        file.close()  # whoever had the lock has removed the file in the meantime
    _heed_forks()
    _locked.add(file)
    try:
        yield
    finally:
        _locked.discard(file)
        mine = not file.closed  # in a child it is
        if mine and not WINDOWS:  # where an open file can't be removed; elsewhere it must still be locked
            path.unlink(missing_ok=True)
        file.close()
        if mine and WINDOWS:
            with suppress(OSError):
                path.unlink()


def _is_of(file: IO[Any], path: Path) -> bool:
    """Return whether a name is still that of an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@cache
def _heed_forks() -> None:
    """See to it that a child closes what its parent has locked: the lock ends with the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: [file.close() for file in _locked])
