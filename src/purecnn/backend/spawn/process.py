"""A worker process that is started afresh, and the socket between it and its caller.

It is this Python with the standard library, NumPy and this package in reach, and nothing of the caller's
program: its main module is not imported again. Python starts it by `posix_spawn`, which runs none of the
handlers that libraries have for a fork.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.threads import blocked_interrupts, held_interrupts

#: What keeps a BLAS to one thread from its start: OpenBLAS, MKL, Apple's Accelerate, and OpenMP's below them.
ALONE = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
#: The whole program of a worker, with the folders to import from behind it.
PROGRAM = "import sys; sys.path += sys.argv[1:]; from {} import main; main()"
#: Bytes of the number in front of a greeting that says how long it is.
LENGTH = 4


class WorkerProcess:
    """A worker process.

    Parameters
    ----------
    module : str
        Whose `main` it runs.
    greeting : dict
        What it is told first, as JSON values.
    files : sequence of int
        What it is handed with that; none on Windows.

    Attributes
    ----------
    socket : socket
        Where it is told of work and tells of its end; closed at both ends, whatever either process dies of.
    is_ready : bool
        Whether it has said that it is.

    Raises
    ------
    OSError
        If it can't be started.
    """

    def __init__(self, module: str, greeting: dict[str, Any], files: Sequence[int]) -> None:
        self.is_ready = False
        words = command(module)
        self.socket, there = socket.socketpair()
        hurry(self.socket)
        try:
            with there, held_interrupts(), blocked_interrupts():
                self._process = start(words, there)
        except BaseException:
            self.socket.close()
            raise
        try:
            text = json.dumps(greeting).encode()
            self._send(len(text).to_bytes(LENGTH, "little") + text, files)
        except BaseException:
            self.kill()
            self.wait()
            raise

    def _send(self, data: bytes, files: Sequence[int]) -> None:
        if files and sys.platform != "win32":
            sent = socket.send_fds(self.socket, [data], files)
            data = data[sent:]
        self.socket.sendall(data)

    @property
    def number(self) -> int:
        """Its number to the system."""
        return self._process.pid

    def hear(self) -> bool:
        """Take in what it has said so far; return whether it is ready.

        Raises
        ------
        OSError
            If it has said why it can't be, or has ended.
        """
        self.socket.setblocking(False)
        try:
            said = self.socket.recv(1 << 16)
        except BlockingIOError:
            return self.is_ready
        except OSError:
            said = b""
        if not said.startswith(b"r"):
            words = said[1:].decode(errors="replace") or f"it ended{self.ending()}"
            raise OSError(f"worker process {self.number} could not begin: {words}")
        self.is_ready = True
        return True

    def runs(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def ending(self) -> str:
        """Return how it ended, as words behind "ended"; nothing where the system does not say."""
        status = self._process.poll()
        # Python takes it for 0 where the caller's program ignores SIGCHLD, or waits for all its children
        return f" with status {status}" if status else ""

    def kill(self) -> None:
        """End it at once, and close the socket."""
        self.socket.close()
        self._process.kill()

    def wait(self) -> None:
        """Wait until it has gone."""
        self._process.wait()


def start(words: Sequence[str], there: socket.socket) -> subprocess.Popen[bytes]:
    """Start a process that has this end of a socket; what it prints goes nowhere."""
    nowhere = subprocess.DEVNULL
    if sys.platform == "win32":
        # no console, whose Ctrl-C would reach it
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=nowhere,
            stderr=nowhere,
            env=environment(),
            creationflags=flags,
        )
        shared = there.share(process.pid)
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(len(shared).to_bytes(LENGTH, "little") + shared)
        return process
    # files are closed by the system, since Python's are not inherited: this is how Python uses posix_spawn
    return subprocess.Popen(
        words, stdin=there.fileno(), stdout=nowhere, stderr=nowhere, env=environment(), close_fds=False
    )


def hurry(line: socket.socket) -> None:
    """Have a socket send each byte at once, where it is one of the internet's, as on Windows."""
    if line.family == socket.AF_INET:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def command(module: str) -> list[str]:
    """Return the command line of a worker.

    Raises
    ------
    OSError
        If this program is none that Python's own interpreter runs.
    """
    python = sys.executable
    if sys.platform == "win32":  # a virtual environment's own starts another process, which gets no socket
        python = getattr(sys, "_base_executable", python)
    if not python or getattr(sys, "frozen", False):
        raise OSError("there is no Python to start a worker process with")
    here = os.path.dirname(os.path.abspath(__file__))
    folders = [os.path.dirname(os.path.dirname(os.path.dirname(here))), os.path.dirname(np.__path__[0])]
    options = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    if sys.pycache_prefix:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return [python, *options, "-c", PROGRAM.format(module), *dict.fromkeys(map(os.path.abspath, folders))]


def environment() -> dict[str, str]:
    """Return this process's environment, with one thread for every BLAS."""
    return {**os.environ, **dict.fromkeys(ALONE, "1")}
