"""Startup of worker processes without fork: when it is worth its time, and until they are ready.

Such a process takes a third of a second to come to its first job, forty times a fork. So a fit begins with
threads, and processes are started beside them once a step has shown that enough is left to do; then they take
the place of the threads between two steps, which no bit of the result tells.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from purecnn.backend.spawn.arena import Arena
from purecnn.backend.spawn.pool import SpawnPool
from purecnn.backend.threads import Job

#: What a worker process runs.
MODULE = "purecnn.training.spawn.worker"
#: Seconds of steps that must be left for processes to be worth their start, and more for each byte of samples
#: that must be copied for them.
START_SECONDS, START_SECONDS_PER_BYTE = 2.0, 2e-9
#: What says that a fit can't be described, or that there are no processes or no memory to be had.
REFUSALS = (OSError, TypeError, ValueError)


class WorkerStartup:
    """Starts worker processes for a trainer.

    Parameters
    ----------
    size : int
        How many workers, the caller included.
    job : callable
        ``job(worker, number)``, as the caller does it.
    memory : Arena
        With all arrays of the trainer.
    describe : callable
        Returns what a worker is told.
    copied : int
        How many bytes are copied for them.
    """

    def __init__(
        self, size: int, job: Job, memory: Arena, describe: Callable[[], dict[str, Any]], copied: int
    ) -> None:
        self.size, self.job, self.memory, self.describe = size, job, memory, describe
        self.worth = START_SECONDS + START_SECONDS_PER_BYTE * copied
        self.pool: SpawnPool | None = None

    def at_once(self, caller_works: bool = True) -> SpawnPool | None:
        """Start processes and wait for them; None if there are none to be had."""
        try:
            self.pool = self.start(caller_works)
            self.pool.wait_until_ready()
        except REFUSALS:
            self.close()
        except BaseException:
            self.close()
            raise
        return self.take()

    def start(self, caller_works: bool = True) -> SpawnPool:
        """Start processes; raises one of `REFUSALS` where there are none to be had."""
        work = self.describe()
        return SpawnPool(self.size, self.job, self.memory, MODULE, work, caller_works=caller_works)

    def begin(self, seconds: float) -> None:
        """Start processes if so many seconds of steps, which are left, are worth it; do not wait for them."""
        if seconds >= self.worth:
            with suppress(*REFUSALS):
                self.pool = self.start()

    def ready(self) -> SpawnPool | None:
        """Return the processes once all are ready; None before, and where one of them can't be."""
        try:
            return self.take() if self.pool is not None and self.pool.is_ready() else None
        except REFUSALS:
            self.close()
            return None

    def take(self) -> SpawnPool | None:
        """Return the processes, which are their taker's from then on."""
        pool, self.pool = self.pool, None
        return pool

    def close(self) -> None:
        """Let those go that are not ready yet."""
        if self.pool is not None:
            self.pool.kill()
            self.pool = None
