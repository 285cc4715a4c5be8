"""A pool of worker processes that are started afresh: a `ProcessPool` without forks."""

from __future__ import annotations

import json
import os
import selectors
import sys
import time
from typing import Any

import numpy as np

from purecnn.backend import processes
from purecnn.backend.spawn.arena import Arena
from purecnn.backend.spawn.process import WorkerProcess
from purecnn.backend.spawn.service import COLUMNS, FAILED, JOBS, SLEEPS, TURN, Fence
from purecnn.backend.threads import Job, held_interrupts, idle, narrow_buffer
from purecnn.errors import WorkerError

#: Seconds in which a worker must be ready once it is started; on a busy machine that takes a while.
READY = 60.0


class SpawnPool:
    """Standing worker processes that share out numbered jobs with the caller, once they are ready.

    A worker takes every so many-th number, and must be able to do the same as `job` with what it is told
    and handed (`Service`).

    Parameters
    ----------
    size : int
        Number of workers, the caller included.
    job : callable
        ``job(worker, number)``, as the caller does it.
    memory : Arena
        With all arrays that the job reads and writes.
    module : str
        Whose `main` a worker runs.
    work : dict
        What it is told, as JSON values.
    caller_works : bool
        Whether the caller is one of the workers; else all jobs are done by processes.

    Raises
    ------
    OSError
        If there are no processes or no memory to be had.
    """

    def __init__(
        self,
        size: int,
        job: Job,
        memory: Arena,
        module: str,
        work: dict[str, Any],
        *,
        caller_works: bool = True,
    ) -> None:
        self.threads, self._job, self._memory = size, job, memory
        self._first = int(caller_works)
        self._turns = memory.zeros((size + 1, COLUMNS), np.int64)
        self._words = memory.zeros((size, 400), np.uint8)
        turns = len(memory.spans) - 2
        task = {
            "spans": memory.spans,
            "turns": turns,
            "words": turns + 1,
            "size": size,
            "errstate": np.geterr(),
            "work": work,
        }
        text = np.frombuffer(json.dumps(task, allow_nan=False).encode(), np.uint8)
        place = memory.spans[memory.put(text)]
        self._turn, self._fence, self._until = 0, Fence(), time.monotonic() + READY
        self._children: list[WorkerProcess] = []
        self._lines = selectors.DefaultSelector()
        handles, names = memory.handles(), sys.platform == "win32"
        greeting = {
            "parent": os.getpid(),
            "sizes": memory.sizes(),
            "task": place,
            "names": handles if names else [],
        }
        try:
            for worker in range(self._first, size):
                with held_interrupts():
                    child = WorkerProcess(module, {**greeting, "worker": worker}, [] if names else handles)
                    self._children.append(child)
                    self._lines.register(child.socket, selectors.EVENT_READ, child)
        except BaseException:
            self.kill()
            raise

    def is_ready(self) -> bool:
        """Return whether all workers can begin; does not wait.

        Raises
        ------
        OSError
            If one of them can't, or is not ready in time.
        """
        heard = [child.hear() for child in self._children]
        if all(heard):
            self._memory.close()
            return True
        if time.monotonic() > self._until:
            raise TimeoutError(f"a worker process is not ready {READY:g} s after its start")
        return False

    def wait_until_ready(self) -> None:
        """Wait until all workers can begin; raises what `is_ready` does, and then lets them go."""
        try:
            while not self.is_ready():
                self._lines.select(processes.ALIVE)
        except BaseException:
            self.kill()
            raise

    def run(self, count: int) -> None:
        """Have the job done for each number below `count`; return when all have ended.

        Raises
        ------
        BaseException
            Whatever the job raised: one that failed in a worker is done again here, to raise the same.
        WorkerError
            If a worker was killed, or failed where the caller does not.
        """
        self._turns[:-1, FAILED] = 0  # of a run that the caller's own part ended
        self._turn += 1
        turn, called = self._turn * JOBS + count, range(self._first, min(count, self.threads))
        self._fence()
        self._turns[-1, TURN] = turn
        self._fence()
        for worker in called:
            if self._turns[worker, SLEEPS]:
                self._wake(worker)
        try:
            if self._first:
                with narrow_buffer():
                    for number in range(0, count, self.threads):
                        self._job(0, number)
        finally:
            self._await(turn, called)
        processes.raise_failure(self._job, self._turns[:-1, FAILED], self._words)

    def _wake(self, worker: int) -> None:
        self._turns[worker, SLEEPS] = 0
        try:
            self._children[worker - self._first].socket.send(b".")
        except BlockingIOError:  # it has not read what woke it up before
            pass
        except OSError:
            self._ended(self._children[worker - self._first])

    def _await(self, turn: int, called: range) -> None:
        """Wait until the workers that were called have done a turn."""
        done, own = self._turns[:, TURN], self._turns[-1]
        until = time.perf_counter() + processes.SPIN
        for worker in called:
            while done[worker] != turn:
                if time.perf_counter() < until:
                    continue
                own[SLEEPS] = 1
                self._fence()
                if done[worker] != turn:
                    self._sleep()
        own[SLEEPS] = 0
        self._fence()

    def _sleep(self) -> None:
        """Sleep until a worker writes a byte, or for a second, then see whether all are alive."""
        woken = self._lines.select(processes.ALIVE)
        for key, _ in woken:
            try:
                is_alive = bool(key.data.socket.recv(1 << 12))
            except BlockingIOError:
                continue
            except OSError:
                is_alive = False
            if not is_alive:
                self._ended(key.data)
        for child in () if woken else self._children:
            if not child.runs():
                self._ended(child)

    def _ended(self, child: WorkerProcess) -> None:
        """Raise that a worker is gone."""
        until = time.monotonic() + processes.ALIVE
        while child.runs() and time.monotonic() < until:  # its socket is closed before it is gone
            time.sleep(1e-3)
        raise WorkerError(
            f"worker process {child.number} ended{child.ending()} "
            f"in the middle of its work: was it killed, or out of memory?"
        )

    def kill(self) -> None:
        """End the workers at once, whatever they are about."""
        with held_interrupts():
            children, self._children = self._children, []
            self._lines.close()
            for child in children:
                child.kill()
            for child in children:
                child.wait()
        self._job = idle

    def close(self) -> None:
        """Let the workers go: they have nothing that would be lost."""
        self.kill()
