"""The service of a worker process that was started afresh: it does the jobs that its caller tells of.

Which job comes next, and which are done, stands in shared memory: both sides look there for a while before
they sleep, so that the usual hand-over costs no call of the system. A byte in the socket wakes up who sleeps.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, NoReturn

import numpy as np

from purecnn.backend.processes import ALIVE, SPIN, do_jobs
from purecnn.backend.spawn.arena import MappedArena, Span
from purecnn.backend.spawn.process import LENGTH, hurry
from purecnn.backend.threads import BUFFER, Job

#: What the table of turns has of each worker, and in its last row of the caller: the last turn that it has
#: done, or told of; whether it sleeps; the number of a job that failed, plus one. A row is a line of the
#: cache.
TURN, SLEEPS, FAILED, COLUMNS = 0, 1, 2, 8
#: A turn is a number that grows, times this, plus how many jobs it has: so both are read at once.
JOBS = 1 << 24


class Fence:
    """Keeps what a thread writes before it, in the eyes of others, before what it reads and writes behind it.

    Processors may change the order. A lock that is given back and taken again holds both sides of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Keep the order."""
        with self._lock:
            pass
        with self._lock:
            pass


class Service:
    """A worker's side of a `SpawnPool`.

    Parameters
    ----------
    line : socket
        To the caller, who greets first.

    Attributes
    ----------
    work : dict
        What the worker is about, as JSON values.
    memory : MappedArena
        The arrays of the caller.
    """

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        greeting, files = receive(line)
        self.worker: int = greeting["worker"]
        self.parent: int = greeting["parent"]
        place = Span(*greeting["task"])
        handles = greeting["names"] or files
        text = MappedArena(handles, greeting["sizes"], [place])
        task: dict[str, Any] = json.loads(text.array(0).tobytes())
        text.spans = [Span(piece, start, tuple(shape), dtype) for piece, start, shape, dtype in task["spans"]]
        self.memory, self.work = text, task["work"]
        self.size = task["size"]
        self._turns, self._words = self.memory.array(task["turns"]), self.memory.array(task["words"])
        np.seterr(**task["errstate"])
        np.setbufsize(BUFFER)
        self._fence = Fence()

    def serve(self, job: Job) -> None:
        """Do jobs until the caller is gone."""
        self.line.sendall(b"r")
        self.line.settimeout(ALIVE)
        own, turn = self._turns[self.worker], 0
        while (following := self._next(turn)) is not None:
            turn = following
            self._do(job, turn % JOBS)
            self._fence()
            own[TURN] = turn
            self._fence()
            if self._turns[-1, SLEEPS]:
                self.line.sendall(b".")

    def _next(self, turn: int) -> int | None:
        """Return the turn that follows one; None once the caller is gone."""
        told, own = self._turns[-1], self._turns[self.worker]
        until = time.perf_counter() + SPIN
        while time.perf_counter() < until:
            if told[TURN] != turn:
                self._fence()
                return int(told[TURN])
        while True:
            own[SLEEPS] = 1
            self._fence()
            if told[TURN] != turn:
                own[SLEEPS] = 0
                self._fence()
                return int(told[TURN])
            if not self._sleep():
                return None

    def _sleep(self) -> bool:
        """Sleep until the caller writes a byte, or for a second; return whether it is there."""
        try:
            return bool(self.line.recv(1 << 12))
        except TimeoutError:
            return sys.platform == "win32" or os.getppid() == self.parent
        except OSError:
            return False

    def _do(self, job: Job, count: int) -> None:
        """Do this worker's jobs of so many; note the first that fails."""
        numbers = range(self.worker, count, self.size)
        self._turns[self.worker, FAILED] = do_jobs(job, self.worker, numbers, self._words[self.worker])

    def refuse(self, failure: BaseException) -> None:
        """Tell the caller why this worker can't begin."""
        self.line.sendall(b"e" + f"{type(failure).__name__}: {failure}".encode()[:1000])


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return the caller's greeting and the files that came with it."""
    data = b""
    files: list[int] = []
    while len(data) < LENGTH or len(data) < LENGTH + int.from_bytes(data[:LENGTH], "little"):
        if files or sys.platform == "win32":
            more = line.recv(1 << 16)
        else:
            more, files, _, _ = socket.recv_fds(line, 1 << 16, 253)
        if not more:
            raise EOFError("the caller is gone")
        data += more
    greeting: dict[str, Any] = json.loads(data[LENGTH:])
    return greeting, files


def own_line() -> socket.socket:
    """Return the socket that this process was started with: its input, or on Windows described there."""
    if sys.platform == "win32":
        length = int.from_bytes(sys.stdin.buffer.read(LENGTH), "little")
        line: socket.socket = socket.fromshare(sys.stdin.buffer.read(length))
        hurry(line)
        return line
    return socket.socket(fileno=os.dup(0))


def leave() -> NoReturn:
    """End this process, with nothing of Python's own to do."""
    os._exit(0)


def ignore_interrupts() -> None:
    """Leave it to the caller what an interrupt means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
