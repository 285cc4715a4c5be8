"""A fence around a folder: what runs inside of it makes, changes and removes nothing on the other side.

Python tells an audit hook of each file before it is opened, changed or removed, wherever a link leads:
https://docs.python.org/3/library/audit_events.html. So what would leave the folder does not happen, and is
named. Code in C that opens files by itself is not seen.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: What changes a file: where among its arguments the path lies, and whether a link at its end is followed.
CHANGES = {
    "open": ((0,), True),
    "os.chmod": ((0,), True),
    "os.chown": ((0,), True),
    "os.truncate": ((0,), True),
    "os.utime": ((0,), True),
    "os.setxattr": ((0,), True),
    "os.removexattr": ((0,), True),
    "os.mkdir": ((0,), False),
    "os.rmdir": ((0,), False),
    "os.remove": ((0,), False),
    "os.rename": ((0, 1), False),
    "os.link": ((0, 1), False),
    "os.symlink": ((1,), False),
}
#: What leads out of the process, and is never wanted.
ELSEWHERE = frozenset(
    {
        *(
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "os.fork",
            "os.forkpty",
            "os.posix_spawn",
            "os.startfile",
        ),
        *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"),
    }
)
#: Flags with which opening a file may make or change one.
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_active: list[tuple[str, list[str]]] = []
_installed = False


@contextmanager
def fenced(folder: Path) -> Iterator[list[str]]:
    """Let nothing outside of a folder be made, changed or removed, and no program or connection be begun.

    Yields a list to which each attempt is added; the attempt itself raises a PermissionError.
    """
    global _installed
    if not _installed:
        platform.processor()  # h5py asks as it is imported, which begins a program; the answer is kept
        sys.addaudithook(_look)
        _installed = True
    refused: list[str] = []
    compiled, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of what is imported on the way
    _active.append((os.path.realpath(folder), refused))
    try:
        yield refused
    finally:
        _active.pop()
        sys.dont_write_bytecode = compiled


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what leaves the innermost fence: Python calls this before it acts."""
    if not _active or (event not in CHANGES and event not in ELSEWHERE):
        return
    folder, refused = _active[-1]
    if event in CHANGES:
        places, follows = CHANGES[event]
        if event == "open" and not arguments[2] & WRITING:
            return
        for place in places:
            path = arguments[place]
            if not isinstance(path, int) and not _is_inside(os.fspath(path), folder, follows):
                break
        else:
            return
    said = f"{event} {', '.join(f'{argument!r:.200}' for argument in arguments[:2])}"
    refused.append(said)
    raise PermissionError(f"outside of the fence: {said}")


def _is_inside(path: str | bytes, folder: str, follows: bool) -> bool:
    """Return whether a path lies in a folder once links are followed, the last one too if it would be."""
    path = os.path.abspath(os.fsdecode(path))
    if path == os.devnull:
        return True
    if not follows:
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    else:
        path = os.path.realpath(path)
    return path.startswith(os.path.join(folder, ""))


def listing(folder: Path) -> list[tuple[str, int]]:
    """Return all names below a folder, and sizes; links are named, and not followed."""
    found: list[tuple[str, int]] = []
    for entry in os.scandir(folder):
        found.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        if entry.is_dir(follow_symlinks=False):
            found += listing(Path(entry.path))
    return sorted(found)


def remove(folder: Path) -> None:
    """Remove a folder and all below it; of a link only itself goes, and no permission is changed."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            remove(Path(entry.path))
        else:
            os.unlink(entry.path)
    os.rmdir(folder)


def grow(lines: list[bytes], folder: Path, stand_in: bytes = b"") -> None:
    """Make what lines say below a folder: a kind, a name and a rest, with tabs between.

    ``d`` is a folder, ``f`` a file that holds the rest, ``l`` a link to the rest, ``p`` a pipe, and ``m``
    takes all permissions from a file. What can't be is left out, above all what would lie behind a link.
    `stand_in` comes in place of GOOD in a file.
    """
    for line in lines:
        kind, name, rest = (*line.split(b"\t", 2), b"", b"")[:3]
        with suppress(OSError, ValueError):  # no such thing can be in a folder
            _make(kind, place_of(name, folder), rest.replace(b"GOOD", stand_in))


def place_of(name: bytes, folder: Path) -> bytes:
    """Return where a name is below a folder, at most four steps, the folders above it made."""
    *above, last = [part for part in name.split(b"/") if part not in (b"", b"..", b".")] or [b""]
    place = os.fsencode(folder)
    for step in (*above[:3], last):
        # elsewhere than on POSIX a part may hold a separator of another kind, or a drive
        if not step or os.path.basename(step) != step:
            raise ValueError("no name")
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise OSError("nothing is made on the other side of a link")
        place = os.path.join(place, step)
        if step is not last and not os.path.lexists(place):
            os.mkdir(place)
    return place


def _make(kind: bytes, place: bytes, rest: bytes) -> None:
    if kind == b"m":
        # by its descriptor, since os.chmod would go where a link leads
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.chmod in os.supports_fd:
                os.chmod(descriptor, 0)
        finally:
            os.close(descriptor)
    elif os.path.lexists(place):
        return
    elif kind == b"d":
        os.mkdir(place)
    elif kind == b"l":
        os.symlink(rest, place)
    elif kind == b"p" and hasattr(os, "mkfifo"):
        os.mkfifo(place)
    elif kind == b"f":
        with open(place, "xb") as file:
            file.write(rest)
