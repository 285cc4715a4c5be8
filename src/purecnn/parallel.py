"""Threads over shards: a batch is cut into shards, whoever is free computes one, and the sum never changes.

The number of shards is a function of the batch size alone, gradients are added in one fixed tree, and BLAS
runs on one thread in each worker: so the bits are the same at any number of threads.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from purecnn import blas
from purecnn.arguments import positive
from purecnn.device import Device
from purecnn.scratch import Array

#: A shard has at least this many samples; NumPy's runs must stay wide (measured: docs/engine.md).
WIDTH = 64
#: A batch of 32 is still worth two threads.
LEAST = 16
#: More shards than this only take memory: each has a gradient of its own.
MOST = 64
#: NumPy copies operands whose runs are shorter than its buffer (8192 values by default) before it computes:
#: on runs of 768 floats a maximum took 33 us with that buffer and 13 with this one.
BUFFER = 1024


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int | None, device: Device) -> None:
    """Refuse a number of threads where a device computes, which has its own."""
    if threads is not None and not device.is_host:
        raise ValueError(f"threads are those of device='cpu', got threads={threads!r} on {device.name!r}")


def as_threads(threads: int | None) -> int:
    """Return `threads`, or as many as the processors this process may use."""
    return cores() if threads is None else positive("threads", threads)


def shard_count(batch_size: int) -> int:
    """Return into how many shards a batch is cut: a power of two, of the batch size alone.

    Shards of `WIDTH` samples where there are at least two of them, wider ones past `MOST`; else two, of at
    least `LEAST`; else one.

    Examples
    --------
    >>> [shard_count(n) for n in (1, 31, 32, 128, 255, 256, 512)]
    [1, 1, 2, 2, 2, 4, 8]
    """
    if batch_size < 2 * LEAST:
        return 1
    return min(MOST, 1 << max(1, (batch_size // WIDTH).bit_length() - 1))


def shard_bounds(samples: int, shards: int) -> list[tuple[int, int]]:
    """Return where each shard begins and ends in a batch of `samples`, as even as can be, none empty.

    Examples
    --------
    >>> shard_bounds(7, 2)
    [(0, 3), (3, 7)]
    """
    edges = [samples * shard // shards for shard in range(shards + 1)]
    return [(first, last) for first, last in itertools.pairwise(edges) if first < last]


def tree(terms: int) -> list[tuple[int, int]]:
    """Return which of so many terms is added to which, in order: neighbours first, their sums next.

    Examples
    --------
    >>> tree(5)
    [(0, 1), (2, 3), (0, 2), (0, 4)]
    """
    steps = [1 << level for level in range((terms - 1).bit_length())]
    return [(first, first + step) for step in steps for first in range(0, terms - step, 2 * step)]


def add_tree(terms: Sequence[Array], span: slice = slice(None)) -> None:
    """Add arrays into the first of them, neighbours first: ``((0 + 1) + (2 + 3)) + ...``.

    The tree depends on how many there are, not on who made them. The others hold partial sums afterwards.

    Examples
    --------
    >>> parts = [np.array([float(i)]) for i in range(5)]
    >>> add_tree(parts)
    >>> parts[0]
    array([10.])
    """
    for first, second in tree(len(terms)):
        np.add(terms[first][span], terms[second][span], out=terms[first][span])


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
    """Do nothing: the job of a closed team, which so lets go of what its own one held."""


class Team:
    """Standing worker threads, of which the caller is one, that share out numbered jobs.

    Where the system lets no more threads start, those that there are do all the jobs.

    Parameters
    ----------
    threads : int
        How many work, the caller included; more than there are jobs idle.
    job : callable
        ``job(worker, number)``.

    Examples
    --------
    >>> done = []
    >>> with Team(2, lambda worker, number: done.append(number)) as team:
    ...     team.run(3)
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
        before = np.setbufsize(BUFFER)
        try:
            self._work(0)
        finally:
            np.setbufsize(before)
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
        for thread in self._workers:
            thread.join()
        self._workers, self._go = [], []
        self._job = idle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
