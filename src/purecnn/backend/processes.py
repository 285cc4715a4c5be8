"""Worker processes over shared memory: each has an interpreter lock of its own.

Two threads of one interpreter hand its lock to and fro between NumPy's calls: on LeNet's small arrays that
ate all that the second thread gave (4.1 ms a step where one thread takes 4.6). Processes wait for nobody.
They are forked, so they have the network and the data without a copy; what changes lies in shared memory.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.other_threads import others
from purecnn.backend.threads import BUFFER, Job, held_interrupts, idle, narrow_buffer
from purecnn.backend.types import Array
from purecnn.errors import WorkerError

#: The environment variable that says which kind of workers a fit has.
VARIABLE = "PURECNN_WORKERS"
#: What the libraries are called that drive GPUs: CUDA, HIP, Level Zero, OpenCL.
DRIVERS = ("libcuda.so", "libamdhip64.so", "libze_loader.so", "libOpenCL.so")
#: Seconds to look again and again for the next job before sleeping: waking up takes about as long.
SPIN = 100e-6
#: Seconds between looks at whether the others are still alive.
ALIVE = 1.0
#: Seconds in which a worker must have multiplied two small matrices once it is forked.
READY = 10.0
#: Seconds in which workers must have gone once they are let go; they have nothing to do but to wait.
LEAVE = 1.0


def can_fork() -> bool:
    """Return whether worker processes can be had and help: on Linux, where Python has its global lock."""
    return sys.platform == "linux" and has_lock() and os.access("/dev/shm", os.W_OK)


class WorkerKind(StrEnum):
    """What the workers of a fit are.

    Attributes
    ----------
    FORK
        Processes that are forked: copies of this one, ready within milliseconds.
    SPAWN
        Processes that are started afresh, ready within half a second; safe beside whatever else runs here.
    THREADS
        Threads of this process, which share Python's global lock.
    """

    FORK = "fork"
    SPAWN = "spawn"
    THREADS = "threads"


def asked_kind() -> WorkerKind | None:
    """Return the kind of workers that `PURECNN_WORKERS` asks for, None if it does not.

    Raises
    ------
    ValueError
        If it asks for something else, or for processes where there are none.
    """
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return None
    if asked not in [*WorkerKind]:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(WorkerKind)}, got {asked!r:.100}")
    if asked == WorkerKind.FORK and not can_fork():
        raise ValueError(
            f"{VARIABLE} must be spawn or threads where Python can't fork workers, on other systems than "
            f"Linux, without /dev/shm and without a global lock; got 'fork'"
        )
    if asked == WorkerKind.SPAWN and not can_start():
        raise ValueError(f"{VARIABLE} must be threads in a browser, which starts no processes; got 'spawn'")
    return WorkerKind(asked)


def worker_kind() -> WorkerKind:
    """Return the kind of workers that a fit has: that asked for, or the fastest that is safe.

    Threads where Python has no global lock, since they do as well there, and in a browser, which starts no
    processes. Forks on Linux, which come to their first job forty times as soon as what is started afresh,
    except where they are not safe: in a process that uses a GPU's driver, and from Python 3.12 on, which
    warns of it, beside any other thread. In older Pythons the moment of the fork decides (`blas.forking`).
    Everywhere else processes are started afresh.
    """
    asked = asked_kind()
    if asked is not None:
        return asked
    if not has_lock() or not can_start():
        return WorkerKind.THREADS
    is_safe = (sys.version_info < (3, 12) or not others()) and not drives_gpu()
    return WorkerKind.FORK if can_fork() and is_safe else WorkerKind.SPAWN


def can_start() -> bool:
    """Return whether other processes can be started; in a browser there is this one alone."""
    return sys.platform != "emscripten"


def has_lock() -> bool:
    """Return whether this Python has a global lock, which only processes get around."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def drives_gpu() -> bool:
    """Return whether this process has loaded a GPU's driver, whose threads and handles no fork has."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            loaded = file.read()
    except OSError:
        return False
    return any(name in loaded for name in DRIVERS)


def shared_zeros(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return zeros in memory that forked processes share; it goes when its last array does.

    Examples
    --------
    >>> shared_zeros((2, 2), np.float32).sum()
    np.float32(0.0)
    """
    values = int(np.prod(shape))
    memory = mmap.mmap(-1, max(1, values * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, values).reshape(shape)


class ProcessPool:
    """Standing worker processes, of which the caller is one, that share out numbered jobs.

    A worker takes every so many-th number. Whatever the job reads must be there before the pool is made, or
    lie in shared memory, as whatever it writes must.

    Parameters
    ----------
    size : int
        Number of workers, the caller included.
    job : callable
        ``job(worker, number)``.

    Raises
    ------
    OSError
        If there are no processes to be had, or if one of them can't multiply: it was forked while another
        thread had a lock of BLAS's.
    """

    def __init__(self, size: int, job: Job) -> None:
        self.threads, self._job = size, job
        import multiprocessing  # here, since a tenth of the package's import time would be this one's

        context = multiprocessing.get_context("fork")
        self._go = [context.Semaphore(0) for _ in range(size - 1)]
        self._done: Any = context.Semaphore(0)
        self._count = shared_zeros(1, np.int64)
        self._failed = shared_zeros(size, np.int64)
        self._words = shared_zeros((size, 400), np.uint8)
        self._children: list[int] = []
        try:
            with held_interrupts():
                for worker in range(1, size):
                    self._children.append(self._fork(worker))
            self._await()
        except BaseException:
            self.kill()
            raise

    def _fork(self, worker: int) -> int:
        """Begin a worker; return its number to the system."""
        parent = os.getpid()
        with warnings.catch_warnings():
            # Newer Pythons warn of any thread beside a fork, such as BLAS's; the child runs NumPy alone.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            self._serve(worker, parent)
        return child

    def _await(self) -> None:
        """Wait until all workers have multiplied."""
        until = time.monotonic() + READY
        for _ in self._go:
            if not self._done.acquire(True, max(0.0, until - time.monotonic())):
                raise TimeoutError(f"a worker process is not ready {READY:g} s after its fork")

    def _serve(self, worker: int, parent: int) -> None:
        """Work until told to end or until the parent is gone; never return."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
            np.setbufsize(BUFFER)
            multiply()
            self._done.release()
            while wait(self._go[worker - 1], lambda: os.getppid() == parent) and self._count[0]:
                self._work(worker)
                self._done.release()
        finally:
            os._exit(0)

    def _work(self, worker: int) -> None:
        numbers = range(worker, int(self._count[0]), self.threads)
        self._failed[worker] = do_jobs(self._job, worker, numbers, self._words[worker])

    def run(self, count: int) -> None:
        """Have the job done for each number below `count`; return when all have ended.

        Raises
        ------
        BaseException
            Whatever the job raised: one that failed in a worker is done again here, to raise the same.
        WorkerError
            If a worker was killed, or failed where the caller does not.
        """
        self._count[0] = count
        self._failed.fill(0)  # of a run that the caller's own part ended
        called = self._go[: count - 1]
        for semaphore in called:
            semaphore.release()
        try:
            with narrow_buffer():
                for number in range(0, count, self.threads):
                    self._job(0, number)
        finally:
            for _ in called:
                wait(self._done, self._all_alive)
        raise_failure(self._job, self._failed, self._words)

    def _all_alive(self) -> bool:
        for child in self._children:
            how = ""  # unknown where the caller's program ignores SIGCHLD, or waits for all its children
            try:
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended:
                    continue
                how = f" with status {os.waitstatus_to_exitcode(status)}"
            except ChildProcessError:
                pass
            self._children.remove(child)
            raise WorkerError(
                f"worker process {child} ended{how} "
                f"in the middle of its work: was it killed, or out of memory?"
            )
        return True

    def kill(self) -> None:
        """End the workers at once, whatever they are about."""
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in self._children:
            with suppress(ChildProcessError):  # somebody else was told of its end, or nobody is
                os.waitpid(child, 0)
        with held_interrupts():
            self._children, self._go, self._done = [], [], None
        self._job = idle

    def close(self) -> None:
        """Let the workers go, and wait until they have gone; end those that are stopped or in a long job."""
        self._count[0] = 0
        for place in range(len(self._go)):  # no name holds a semaphore
            self._go[place].release()
        until = time.monotonic() + LEAVE
        try:
            while any(map(runs, self._children)) and time.monotonic() < until:
                time.sleep(1e-3)
        finally:
            self.kill()


def do_jobs(job: Job, worker: int, numbers: range, words: Array) -> int:
    """Do a worker's jobs up to the first that fails; return its number plus one, 0 where none does.

    What the failure is goes into `words`, an array of bytes.
    """
    for number in numbers:
        try:
            job(worker, number)
        except BaseException as failure:
            said = f"{type(failure).__name__}: {failure}".encode()[: len(words)]
            words[:] = 0
            words[: len(said)] = np.frombuffer(said, np.uint8)
            return number + 1
    return 0


def raise_failure(job: Job, failed: Array, words: Array) -> None:
    """Raise what failed in a worker, by what `do_jobs` found in each: its job is done again here.

    Raises
    ------
    BaseException
        Whatever the job raises here.
    WorkerError
        If it raises nothing here.
    """
    if failed.any():
        worker = int(np.argmax(failed > 0))
        job(0, int(failed[worker]) - 1)
        said = words[worker].tobytes().rstrip(b"\0").decode(errors="replace")
        raise WorkerError(f"a worker process failed where its caller does not: {said}")


def runs(child: int) -> bool:
    """Return whether a child has not ended; it stays to be waited for."""
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    return False


def multiply() -> None:
    """Multiply matrices large enough for BLAS to take memory of its own for, and so the lock on that."""
    one = np.zeros((128, 128), np.float32)
    one @ one


def wait(semaphore: Any, alive: Callable[[], bool]) -> bool:
    """Return True once `semaphore` is ours: looking for a while, then asleep; False if not `alive`."""
    until = time.perf_counter() + SPIN
    while time.perf_counter() < until:
        if semaphore.acquire(False):
            return True
    while not semaphore.acquire(True, ALIVE):
        if not alive():
            return False
    return True
