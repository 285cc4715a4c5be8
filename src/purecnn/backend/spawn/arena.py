"""The arena: arrays in memory without a name, which another process can be handed.

On Linux it is a file that exists in memory alone; on other systems a shared memory object or a temporary file
whose name is taken away at once, on Windows a named mapping, which goes with the last process that has it. So
nothing is left behind, whatever kills whom.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from purecnn.backend.memory import LINE
from purecnn.backend.types import Array

#: Bytes of the pieces from which small arrays get their memory.
PIECE = 1 << 20
#: How memory is mapped: shared, and where the system can with all its pages at once, in place of one by one
#: as they are first read. Windows shares it in any case.
SHARED = getattr(mmap, "MAP_SHARED", 0) | getattr(mmap, "MAP_POPULATE", 0)
#: How many pieces there may be: so many files can be handed over in one message.
MOST = 200


class Span(NamedTuple):
    """Where an array lies.

    Attributes
    ----------
    piece, start : int
        In which piece of memory, and how many bytes behind its beginning.
    shape : tuple of int
        Of the array.
    dtype : str
        As `numpy.dtype.str`.
    """

    piece: int
    start: int
    shape: tuple[int, ...]
    dtype: str


class Piece(NamedTuple):
    """A piece of memory.

    Attributes
    ----------
    memory : mmap
        Its bytes.
    handle : int or str
        The file, or on Windows the name, by which another process maps it.
    """

    memory: mmap.mmap
    handle: int | str


class Arena:
    """Memory that other processes can be handed; its arrays are numbered in the order of their making.

    Where the system has no more of it, arrays lie in this process's own memory from then on, and `is_whole`
    turns False: the arrays do all the same, for threads.

    Attributes
    ----------
    spans : list of Span
        Where the arrays lie.
    is_whole : bool
        Whether all arrays lie in it.

    Examples
    --------
    >>> arena = Arena()
    >>> arena.zeros((2, 3), np.float32).sum(), arena.put(np.arange(4))
    (np.float32(0.0), 1)
    >>> arena.close()
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.is_whole = True
        self._pieces: list[Piece] = []
        self._current = self._used = 0  # the piece for small arrays, and how much of it is taken
        self._files: list[int] = []
        self._end = weakref.finalize(self, close_all, self._files)

    def zeros(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return zeros that begin where a line of the cache does."""
        kind = np.dtype(dtype)
        sizes = (shape,) if isinstance(shape, int | np.integer) else shape
        axes = tuple(map(int, sizes))
        size = max(1, math.prod(axes) * kind.itemsize)
        if not self.is_whole:
            return np.zeros(axes, kind)
        try:
            piece, start = self._room(size)
        except (OSError, ValueError):  # memory or files are full, or the size is beyond what is mapped
            self.is_whole = False
            return np.zeros(axes, kind)
        self.spans.append(Span(piece, start, axes, kind.str))
        return view(self._pieces[piece].memory, self.spans[-1])

    def put(self, values: Array) -> int:
        """Copy an array into the arena; return its number.

        Raises
        ------
        OSError
            If there is no room.
        """
        copy = self.zeros(values.shape, values.dtype)
        if not self.is_whole:
            raise OSError(f"no shared memory is left for {values.nbytes} bytes")
        copy[...] = values
        return len(self.spans) - 1

    def number(self, array: Array) -> int:
        """Return the number of one of its arrays."""
        start = array.__array_interface__["data"][0]
        return next(
            number
            for number, span in enumerate(self.spans)
            if view(self._pieces[span.piece].memory, span).__array_interface__["data"][0] == start
        )

    def _room(self, size: int) -> tuple[int, int]:
        """Return the piece, and where in it, that has so many bytes for an array."""
        if self._pieces and size < PIECE and self._used + size <= PIECE:
            start, self._used = self._used, -(-(self._used + size) // LINE) * LINE
            return self._current, start
        if len(self._pieces) == MOST:
            raise OSError(f"an arena has at most {MOST} pieces")
        made = new_piece(max(size, PIECE))
        if isinstance(made.handle, int):
            self._files.append(made.handle)
        self._pieces.append(made)
        number = len(self._pieces) - 1
        if size < PIECE:
            self._current, self._used = number, -(-size // LINE) * LINE
        elif not number:
            self._used = PIECE  # the first piece is all taken
        return number, 0

    def sizes(self) -> list[int]:
        """Return how many bytes each piece has."""
        return [len(piece.memory) for piece in self._pieces]

    def handles(self) -> list[Any]:
        """Return what another process is handed for each piece: files, on Windows names."""
        return [piece.handle for piece in self._pieces]

    def close(self) -> None:
        """Let go of the files: nobody else is handed the memory, which goes with its last array."""
        self._end()
        self._pieces = []


class MappedArena:
    """An arena as another process has it: it gives the same arrays, asked for in the same order.

    Parameters
    ----------
    handles : sequence of int or str
        What `Arena.handles` returned there, as they came here; files are closed.
    sizes : sequence of int
        What `Arena.sizes` did.
    spans : sequence of Span
        The arrays.
    """

    def __init__(self, handles: Sequence[int | str], sizes: Sequence[int], spans: Sequence[Span]) -> None:
        self.spans, self.asked = spans, 0
        self._memories = [open_piece(handle, size) for handle, size in zip(handles, sizes, strict=True)]

    def array(self, number: int) -> Array:
        """Return an array by its number."""
        span = self.spans[number]
        return view(self._memories[span.piece], span)

    def zeros(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return the next array, with whatever it holds by now.

        Raises
        ------
        ValueError
            If the caller's next array has another shape or dtype: then the two did not do the same.
        """
        sizes = (shape,) if isinstance(shape, int | np.integer) else shape
        wanted = tuple(map(int, sizes)), np.dtype(dtype).str
        span = self.spans[self.asked] if self.asked < len(self.spans) else None
        if span is None or (span.shape, span.dtype) != wanted:
            raise ValueError(
                f"a worker must ask for the arrays that its caller made: number {self.asked} is "
                f"{span and (span.shape, span.dtype)}, got {wanted}"
            )
        self.asked += 1
        return self.array(self.asked - 1)


def view(memory: mmap.mmap, span: Span) -> Array:
    """Return the array that a span of some memory is."""
    found: Array = np.frombuffer(memory, span.dtype, math.prod(span.shape), span.start)
    return found.reshape(span.shape)


def new_piece(size: int) -> Piece:
    """Return so many bytes of zeros, which the system has set aside.

    Memory that is only promised would end the process where it is written to and there is none.
    """
    if sys.platform == "win32":
        name = f"purecnn-{os.urandom(16).hex()}"
        return Piece(mmap.mmap(-1, size, tagname=name), name)
    file, is_regular = nameless_file()
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        elif is_regular:
            with open(file, "wb", closefd=False) as writer:
                for start in range(0, size, PIECE):
                    writer.write(bytes(min(PIECE, size - start)))
        else:  # macOS sets it aside as it does all other memory
            os.ftruncate(file, size)
        return Piece(mmap.mmap(file, size, flags=SHARED), file)
    except BaseException:
        os.close(file)
        raise


def open_piece(handle: int | str, size: int) -> mmap.mmap:
    """Map a piece of memory that was handed over."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size, tagname=str(handle))
    file = int(handle)
    try:
        return mmap.mmap(file, size, flags=SHARED)
    finally:
        os.close(file)


def nameless_file() -> tuple[int, bool]:
    """Return a file in memory, or else a temporary one, that has no name; and whether it is a regular one."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("purecnn", os.MFD_CLOEXEC), False
    try:
        # What `multiprocessing.shared_memory` is made of, without its process that looks for leftovers.
        import _posixshmem  # type: ignore[import-not-found]
    except ImportError:
        import tempfile  # here, since few systems need it

        file, path = tempfile.mkstemp(prefix="purecnn-")
        os.unlink(path)
        return file, True
    name = f"/purecnn-{os.urandom(8).hex()}"  # macOS takes 31 characters
    file = _posixshmem.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
    _posixshmem.shm_unlink(name)
    os.set_inheritable(file, False)
    return file, False


def close_all(files: list[int]) -> None:
    """Close files, once."""
    while files:
        os.close(files.pop())
