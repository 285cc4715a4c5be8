"""Workspaces: working memory that is laid out once and used again.

Working memory that is laid out once and used again: fresh multi-megabyte arrays cost page faults.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array

Work = TypeVar("Work")


#: Bytes of a line of the cache: NumPy's own arrays begin at a multiple of 16, so that every second load of a
#: vector unit 32 or 64 bytes wide crosses a line. LeNet's step took 1.15 times as long with them.
LINE = 64
#: Bytes of a large page of memory, and from how many on a buffer is worth one: fewer pages, fewer misses when
#: addresses are looked up. A CIFAR-10-sized step took 1.05 times as long without.
PAGE, LARGE = 1 << 21, 1 << 20
#: Whether the system has such pages. A browser takes the call, gives none, and keeps what is left over: 24 MB
#: in twenty arrays took 82.
HAS_LARGE = hasattr(mmap, "MADV_HUGEPAGE") and sys.platform == "linux"


def aligned_zeros(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return zeros that begin where a line of the cache does.

    Examples
    --------
    >>> aligned_zeros((2, 3), np.float32).ctypes.data % LINE
    0
    """
    kind, values = np.dtype(dtype), math.prod(shape) if isinstance(shape, tuple) else shape
    size = values * kind.itemsize
    memory: Any = np.zeros(size + LINE, np.uint8)
    boundary = LINE
    if size >= LARGE and HAS_LARGE:
        pages = mmap.mmap(-1, (-(-size // PAGE) + 1) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            pages.madvise(mmap.MADV_HUGEPAGE)
            memory, boundary = np.frombuffer(pages, np.uint8), PAGE
        except OSError:  # a kernel without them
            pages.close()
    first = -memory.ctypes.data % boundary
    found: Array = memory[first : first + size].view(kind).reshape(shape)
    return found


class Workspace:
    """The buffers of one layer in one replica.

    A training step took 1.5 times as long with fresh arrays as with arrays used again, so every kernel
    asks its workspace for memory. A buffer once large enough serves every smaller shape too.

    Parameters
    ----------
    xp : module
        The array module whose memory it is.

    Examples
    --------
    >>> workspace = Workspace()
    >>> first = workspace.array("output", (2, 3), np.float32)
    >>> workspace.array("output", (2, 3), np.float32) is first
    True
    """

    def __init__(self, xp: Any = np) -> None:
        self.xp = xp
        self._host = None if xp is np else Workspace()
        self._buffers: dict[str, Array] = {}
        self._arrays: dict[tuple[Any, ...], Array] = {}
        self._layouts: dict[str, tuple[Array, Any]] = {}

    @property
    def host(self) -> Workspace:
        """Working memory on the host: for what is drawn or gathered there before it is sent to a device."""
        return self if self._host is None else self._host

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return the buffer called `name` as an array of `shape`, its contents left as they are."""
        key = (name, shape, dtype)
        held = self._arrays.get(key)
        if held is not None:
            return held
        size, kind = math.prod(shape), np.dtype(dtype)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size or buffer.dtype != kind:
            # Zeros, so that a border nobody writes is a zero border; older views of this name are stale.
            buffer = self._buffers[name] = self._zeros(size, kind)
            self._arrays = {k: v for k, v in self._arrays.items() if k[0] != name}
        view = buffer[:size].reshape(shape)
        self._arrays[key] = view
        return view

    def _zeros(self, size: int, dtype: np.dtype[Any]) -> Array:
        found: Array = aligned_zeros(size, dtype) if self.xp is np else self.xp.zeros(size, dtype=dtype)
        return found

    def like(self, name: str, array: Array) -> Array:
        """Return the buffer called `name` with the shape, dtype and order in memory of `array`."""
        if array.flags.c_contiguous:
            return self.array(name, array.shape, array.dtype)
        key = (name, array.shape, array.strides)
        held = self._arrays.get(key)
        if held is None:
            order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
            plain = self.array(name, tuple(array.shape[axis] for axis in order), array.dtype)
            held = self._arrays[key] = plain.transpose([order.index(axis) for axis in range(array.ndim)])
        return held

    def layout(self, kernel: str, x: Array, build: Callable[[], Work]) -> Work:
        """Return what `kernel` built for exactly this array `x`, now or before.

        Engine buffers are the same objects at every step, so views on them need to be made only once. Only
        the last is kept: another one's buffers are the same memory, and overwrite what it laid out.
        """
        held = self._layouts.get(kernel)
        if held is not None and held[0] is x:
            return held[1]  # type: ignore[no-any-return]
        work = build()
        self._layouts[kernel] = x, work
        return work
