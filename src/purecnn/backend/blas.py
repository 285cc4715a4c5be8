"""BLAS threads: one while this package's own threads work, then as many as before.

How many threads BLAS uses: one while this package's own threads work, then what it was before.

NumPy's own wheels bring OpenBLAS (in ``numpy.libs`` on Linux and Windows, in ``.dylibs`` on macOS), those for
newer macOS use Accelerate, conda's may use MKL, distributions build OpenBLAS of their own. In a browser there
is none: NumPy multiplies in loops of its own, in the caller's thread.
"""

from __future__ import annotations

import ctypes
import glob
import importlib
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from purecnn.backend.other_threads import all_wait, others

#: Seconds in which other threads may end what they are about before a process is forked.
SETTLE = 0.02
#: Whether NumPy multiplies without a BLAS: on WebAssembly.
ABSENT = sys.platform == "emscripten"


# OpenBLAS in NumPy's own wheels, with 64-bit and 32-bit integers; then as distributions build it; then MKL.
NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


class Control(NamedTuple):
    """How to ask and tell a BLAS its thread count.

    Attributes
    ----------
    get, put : callable
        Ask for it; tell it.
    each_thread : bool
        Whether every thread has a count of its own; else it is the process's.
    """

    get: Callable[[], int]
    put: Callable[[int], object]
    each_thread: bool = False


class _Held:
    """How many blocks keep BLAS to one thread, and what it had before the first."""

    users = 0
    before = 0


class _HeldByThread(_Held, threading.local):
    """The same, told apart by thread."""


_lock = threading.Lock()
_everywhere, _here = _Held(), _HeldByThread()
_control: Control | None = None
_looked = False


def _libraries() -> Iterator[ctypes.CDLL]:
    """Yield the libraries in which NumPy's BLAS may be: NumPy's core (and all it links), then its wheel's."""
    spec = importlib.util.find_spec("numpy._core._multiarray_umath")
    paths = [spec.origin] if spec and spec.origin else []
    folder = os.path.dirname(np.__file__)
    for place in (os.path.join(os.path.dirname(folder), "numpy.libs"), os.path.join(folder, ".dylibs")):
        paths += sorted(glob.glob(os.path.join(glob.escape(place), "*openblas*")))
    for path in paths:
        try:
            yield ctypes.CDLL(path)
        except OSError:
            continue


def _find() -> Control | None:
    """Return how to ask and tell BLAS its thread count, None if this BLAS can't be told."""
    if ABSENT:
        return Control(lambda: 1, lambda count: None)
    for library in _libraries():
        if control := _told_by_name(library):
            return control
        if hasattr(library, "BLASSetThreading") and (control := _accelerate(library)):
            return control
    if importlib.util.find_spec("threadpoolctl") is not None:
        threadpoolctl = importlib.import_module("threadpoolctl")
        pools = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        if pools:
            pool = pools[0]
            return Control(pool.get_num_threads, pool.set_num_threads)
    return None


def _told_by_name(library: Any) -> Control | None:
    """Return how to ask and tell a library its thread count by one of `NAMES`."""
    for get, put in NAMES:
        if hasattr(library, get) and hasattr(library, put):
            return Control(getattr(library, get), getattr(library, put))
    return None


def _accelerate(library: Any) -> Control | None:
    """Return how to tell Apple's Accelerate, from macOS 15 on: one thread or all, for the calling thread."""
    many, one = 0, 1

    def get() -> int:
        return 1 if library.BLASGetThreading() == one else 0

    def put(count: int) -> int:
        return int(library.BLASSetThreading(one if count == 1 else many))

    return None if put(get()) else Control(get, put, each_thread=True)


def control() -> Control | None:
    """Return how to ask and tell BLAS its thread count, looked for once."""
    global _control, _looked
    with _lock:
        if not _looked:
            _control, _looked = _find(), True
        return _control


def can_be_told() -> bool:
    """Return whether BLAS can be kept to one thread, on which the promise of equal bits rests."""
    return control() is not None


@contextmanager
def single_threaded(warns: bool = True) -> Iterator[bool]:
    """Keep BLAS to one thread inside the block, and give it back its count after the last such block.

    The setting is the whole process's, or the thread's (then the threads of a pool say `alone`); blocks may
    nest and overlap between threads.

    Parameters
    ----------
    warns : bool
        Whether to warn where this BLAS can't be told.

    Yields
    ------
    bool
        False if this BLAS can't be told: then one worker runs, and the bits may differ.
    """
    found = control()
    if found is None:
        if warns:
            warn_untold(stacklevel=4)
        yield False
        return
    held = _here if found.each_thread else _everywhere
    with _lock:
        if held.users == 0:
            held.before = found.get()
            if held.before != 1:
                found.put(1)
        held.users += 1
    try:
        yield True
    finally:
        with _lock:
            held.users -= 1
            if held.users == 0 and held.before != 1:
                found.put(held.before)


def warn_untold(stacklevel: int = 2) -> None:
    """Warn that this BLAS can't be told its thread count."""
    warnings.warn(
        "this NumPy's BLAS can't be told its thread count (installing threadpoolctl may help): "
        "one worker runs, and the same seed may not give the same bits",
        stacklevel=stacklevel,
    )


def alone() -> None:
    """Keep BLAS to one thread in this thread, where it asks each; for one that ends within the block."""
    found = control()
    if found is not None and found.each_thread:
        found.put(1)


@contextmanager
def forking() -> Iterator[bool]:
    """Let nobody begin a `single_threaded` block meanwhile; yields whether a process may be forked.

    It may where the caller's block is the only one and every other thread waits (`other_threads`), seen once
    each OpenBLAS in this process has been told one thread. So a product that begins later, in a thread that
    wakes up meanwhile, uses no threads of OpenBLAS's, which end before a fork.
    """
    with _lock:
        if _everywhere.users != 1:
            yield False
        elif not others():
            yield True
        else:
            with _copies_single_threaded() as told:
                yield told and all_wait(SETTLE)


@contextmanager
def _copies_single_threaded() -> Iterator[bool]:
    """Keep each OpenBLAS in this process, SciPy's say, to one thread; yields whether all could be told."""
    copies = list(_copies())
    before = [(copy, copy.get()) for copy in copies if copy is not None]
    for copy, _ in before:
        copy.put(1)
    try:
        yield None not in copies
    finally:
        for copy, count in before:
            if count != 1:
                copy.put(count)


def _copies() -> Iterator[Control | None]:
    """Yield each OpenBLAS that this process has loaded; None for one that can't be told."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        places = (line.rstrip("\n").split(maxsplit=5)[5:] for line in file)
        paths = {place[0] for place in places if place and "openblas" in place[0].lower()}
    for path in sorted(paths):
        try:
            yield _told_by_name(ctypes.CDLL(path))
        except OSError:
            yield None


def configuration() -> str:
    """Return what OpenBLAS says of itself, the kernels that it chose for this processor included; else ""."""
    if ABSENT:
        return "none"
    for library in _libraries():
        for get, _ in NAMES:
            name = get.replace("get_num_threads", "get_config")
            if name != get and hasattr(library, name):
                ask = getattr(library, name)
                ask.restype = ctypes.c_char_p
                return " ".join(ask().decode(errors="replace").split())
    return ""
