"""Other threads of the process: whether they only wait, as a fork beside them wants it.

Whether the other threads of this process only wait: a process may be forked beside such threads alone.

OpenBLAS ends its own threads before a fork, and waits for them: while a product of another thread uses them,
neither ever ends. A forked process has the locks of a thread in the middle of its work, but not the thread.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain, tee
from operator import call
from pathlib import Path
from types import FrameType

#: Functions of the standard library that wait and call nothing else that runs without the interpreter's lock.
WAITING = frozenset(
    {
        ("threading", "Condition.wait"),
        ("threading", "Thread.join"),
        ("threading", "Thread._wait_for_tstate_lock"),
        ("selectors", "SelectSelector._select"),
        ("selectors", "SelectSelector.select"),
        ("selectors", "_PollLikeSelector.select"),
        ("selectors", "EpollSelector.select"),
        ("socket", "socket.accept"),
        ("concurrent.futures.thread", "_worker"),
    }
)
#: Linux's numbers of the calls that wait for time, a message or a process, and that no BLAS makes: read,
#: recvfrom, recvmsg, accept, accept4, select, pselect6, poll, ppoll, epoll_wait, epoll_pwait, epoll_pwait2,
#: nanosleep, clock_nanosleep, wait4, waitid, pause, rt_sigtimedwait. Not futex, which BLAS's own locks take.
CALLS = {
    "x86_64": {0, 45, 47, 43, 288, 23, 270, 7, 271, 232, 281, 441, 35, 230, 61, 247, 34, 128},
    "aarch64": {63, 207, 212, 202, 242, 72, 73, 22, 441, 101, 115, 260, 95, 137},
}


def others() -> dict[int, FrameType]:
    """Return the innermost frame of each other thread that runs Python, by its identifier."""
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    return frames


def all_wait(patience: float = 0.0) -> bool:
    """Return whether all other threads wait, at one moment of the next `patience` seconds.

    A thread in the middle of anything else may multiply matrices.

    Examples
    --------
    >>> thread = threading.Thread(target=threading.Event().wait, daemon=True)
    >>> thread.start()
    >>> all_wait(1.0)
    True
    """
    until = time.monotonic() + patience
    while not all(looks()):
        if time.monotonic() >= until:
            return False
        time.sleep(1e-3)
    return True


def looks() -> Iterator[bool]:
    """Yield of each other thread whether it waits."""
    for identifier, frame in others().items():
        name = frame.f_globals.get("__name__"), frame.f_code.co_qualname
        yield name in WAITING or sleeps(numbers().get(identifier))


def numbers() -> dict[int, int]:
    """Return the system's number of each thread that runs Python, by its identifier.

    `threading` knows only those that it started. The clock of a thread has its number in its name, with three
    bits behind it; the thread must not end before it is asked for, so no bytecode runs between the two calls.
    """
    first, second = tee(chain.from_iterable(map(call, [sys._current_frames])))
    clocks = dict(zip(first, map(time.pthread_getcpuclockid, second), strict=True))
    return {identifier: ~(clock >> 3) for identifier, clock in clocks.items()}


def sleeps(thread: int | None) -> bool:
    """Return whether Linux says that a thread sleeps in one of `CALLS`; False where it does not say."""
    try:
        said = Path(f"/proc/self/task/{thread}/syscall").read_text(encoding="ascii").split()[0]
    except (OSError, IndexError):
        return False
    is_64_bit = sys.maxsize > 1 << 32
    return said.isdigit() and is_64_bit and int(said) in CALLS.get(platform.machine(), ())
