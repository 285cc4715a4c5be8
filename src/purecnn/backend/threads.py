"""A pool of threads over the shards of a batch: whoever is free computes one, and the sum never changes."""

from __future__ import annotations

import contextvars
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np

from purecnn.backend import blas
from purecnn.backend.arrays import Device

#: NumPy copies operands whose runs are shorter than its buffer (8192 values by default) before it computes:
#: on runs of 768 floats a maximum took 33 us with that buffer and 13 with this one.
BUFFER = 1024


@contextmanager
def narrow_buffer() -> Iterator[None]:
    """Let NumPy's buffer hold `BUFFER` values in a block, and as many as before behind it."""
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)


def check_threads(threads: int | None, device: Device) -> None:
    """Refuse a number of threads where a device computes, which has its own."""
    if threads is not None and not device.is_host:
        raise ValueError(f"threads are those of device='cpu', got threads={threads!r} on {device.name!r}")


@contextmanager
def blocked_interrupts() -> Iterator[None]:
    """Keep SIGINT from this thread in the block, and for good from a process started in it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Let Ctrl-C in the block take effect behind it, where Python would lose it otherwise.

    A fork, and the end of a semaphore or a thread, call functions of the standard library's, such as the
    release of a lock of `logging`'s. Python ignores what these raise, a `KeyboardInterrupt` too, and the lock
    stays taken. A new process must not be interrupted either, until it ignores the signal.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        with blocked_interrupts():
            yield
        return
    handler, came = signal.getsignal(signal.SIGINT), []
    if not callable(handler):
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


Job = Callable[[int, int], None]


def started(thread: threading.Thread) -> bool:
    """Start a thread; return whether the system lets it, which may limit how many there are.

    Examples
    --------
    >>> started(threading.Thread(target=int))
    True
    """
    try:
        thread.start()
    except RuntimeError as error:
        if is_limit(error):
            return False
        raise
    return True


def is_limit(error: RuntimeError) -> bool:
    """Return whether an error says that the system lets no more threads start."""
    return "can't start new thread" in str(error)


def idle(_worker: int, _number: int) -> None:
    """Do nothing: the job of a closed pool, which so lets go of what its own one held."""


class ThreadPool:
    """Standing worker threads, of which the caller is one, that share out numbered jobs.

    Where the system lets no more threads start, those that there are do all the jobs.

    Parameters
    ----------
    threads : int
        Number of worker threads, the caller included; more than there are jobs idle.
    job : callable
        ``job(worker, number)``.

    Examples
    --------
    >>> done = []
    >>> with ThreadPool(2, lambda worker, number: done.append(number)) as pool:
    ...     pool.run(3)
    >>> sorted(done)
    [0, 1, 2]
    """

    def __init__(self, threads: int, job: Job) -> None:
        self._job = job
        self._go: list[threading.Semaphore] = []
        self._done = threading.Semaphore(0)
        self._taking = threading.Lock()  # a free-threaded Python's iterators may give one number twice
        self._tickets: itertools.count[int] = itertools.count()
        self._count = 0
        self._failures: list[tuple[int, BaseException]] = []
        self._workers: list[threading.Thread] = []
        for worker in range(1, threads):
            go = threading.Semaphore(0)
            thread = threading.Thread(
                # with the caller's NumPy errstate, which is of the context
                target=contextvars.copy_context().run,
                args=(self._stand, worker, go),
                name=f"purecnn-{worker}",
                daemon=True,
            )
            if not started(thread):
                break
            self._go.append(go)
            self._workers.append(thread)

    def run(self, count: int) -> None:
        """Have the job done for each number below `count`; return when all have ended.

        Raises
        ------
        BaseException
            Whatever a job raised; of several, that of the lowest number. Every job that began has ended.
        """
        self._count, self._tickets = count, itertools.count()
        helpers = self._go[: count - 1]
        for semaphore in helpers:
            semaphore.release()
        try:
            with narrow_buffer():
                self._work(0)
        finally:
            for _ in helpers:
                self._done.acquire()
        if self._failures:
            failures, self._failures = sorted(self._failures, key=lambda pair: pair[0]), []
            raise failures[0][1]

    def _work(self, worker: int) -> None:
        while (number := self._take()) < self._count and not self._failures:
            try:
                self._job(worker, number)
            except BaseException as failure:
                self._failures.append((number, failure))

    def _take(self) -> int:
        with self._taking:
            return next(self._tickets)

    def _stand(self, worker: int, go: threading.Semaphore) -> None:
        np.setbufsize(BUFFER)  # of this thread alone
        blas.alone()
        while True:
            go.acquire()
            if self._count == 0:
                return
            self._work(worker)
            self._done.release()

    def close(self) -> None:
        """Let the workers go."""
        self._count = 0
        for semaphore in self._go:
            semaphore.release()
        for place in range(len(self._workers)):  # no name holds a thread
            self._workers[place].join()
        with held_interrupts():
            self._workers, self._go = [], []
        self._job = idle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
