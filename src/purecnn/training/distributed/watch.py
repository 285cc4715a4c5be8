"""The watch: each rank's connection to the sentinel.

A rank that dies must not leave the others waiting for it: each holds a connection to rank 0's sentinel.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from purecnn.backend.threads import started
from purecnn.errors import RankError
from purecnn.training.distributed import sentinel

#: Seconds in which a rank must reach rank 0's machine.
REACH = 5.0


class Group(Protocol):
    """What a watch must know of the ranks of a job: `Ranks` is one."""

    rank: int
    size: int
    host: str
    node: Any

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""

    def gather(self, value: Any) -> list[Any]:
        """Return each rank's value."""

    def share(self, value: Any) -> Any:
        """Return rank 0's value."""


#: This process's, once it has one.
_own: Watch | None = None


class Watch:
    """A rank's connection to the sentinel of its job, and a thread that waits for its word.

    Parameters
    ----------
    ranks : Group
        Of the whole job; all make one together.
    """

    def __init__(self, ranks: Group) -> None:
        self.name, self.has_left = f"rank {ranks.rank} on {ranks.host}", False
        is_one_machine = len(set(ranks.gather(ranks.node.size))) == 1 and ranks.node.size == ranks.size
        given: list[Any] = []
        if ranks.is_first:
            token = secrets.token_hex(16)
            given = [addresses() if not is_one_machine else ["127.0.0.1"], token]
            process, port = start(token, ranks.size, "127.0.0.1" if is_one_machine else "")
            process.returncode = 0  # it outlives this process, and Python need not warn of that
            given.append(port)
        places, token, port = ranks.share(given)
        self.connection = reach(places, port)
        if self.connection is not None:
            greeting = json.dumps([token, ranks.rank, os.getpid(), ranks.host[:100]]).encode()
            try:
                self.connection.sendall(greeting.ljust(sentinel.GREETING))
                sentinel.notice_silence(self.connection, sentinel.SILENCE)
            except OSError:  # another rank has died, and the launcher is about to end this one
                self.connection.close()
                self.connection = None
        if self.connection is not None:
            if not started(threading.Thread(target=self.wait, name="purecnn-watch", daemon=True)):
                self.connection.close()
                raise RankError(
                    f"{self.name} can start no thread to watch the job: the limit on processes is reached"
                )
            if hasattr(os, "register_at_fork"):  # else a worker would hold it
                os.register_at_fork(after_in_child=self.connection.close)
            atexit.register(self.leave)
        out_of_reach = [
            rank for rank, reached in enumerate(ranks.gather(self.connection is not None)) if not reached
        ]
        if out_of_reach and ranks.is_first:
            warnings.warn(
                f"ranks {out_of_reach} can't reach port {port} of {ranks.host}: nobody will tell if one of "
                f"them dies, and the job ends when MPI itself notices",
                RuntimeWarning,
                stacklevel=2,
            )

    def wait(self) -> None:
        """Wait for the sentinel's word that the job is over, or for its silence; then end this process."""
        said = b""
        with suppress(OSError):
            said = self.connection.recv(1) if self.connection else b""
        if self.has_left:
            return
        if not said:
            print(f"Error: {self.name} lost the machine of rank 0, and ends", file=sys.stderr, flush=True)
        sentinel.remove(sentinel.segments())
        os._exit(1)

    def leave(self, words: bytes = sentinel.LEAVES) -> None:
        """Tell the sentinel that this rank leaves, or ends all others."""
        self.has_left = True
        if self.connection is not None:
            with suppress(OSError):
                self.connection.send(words)


def watch(ranks: Group) -> None:
    """Have the ranks of this process's job watched, unless they are."""
    global _own
    if _own is None:
        _own = Watch(ranks)


def end_all() -> None:
    """Tell the sentinel, if there is one, that this process ends all ranks by itself."""
    if _own is not None:
        _own.leave(sentinel.ENDS_ALL)


def start(token: str, size: int, address: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start the sentinel, in a session of its own, so that it outlives its parent; return it and its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            *("-I", "-S", sentinel.__file__, token, str(size), address),
            *(str(sentinel.SILENCE), str(launcher()), *sentinel.segments()),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process.stdout:  # type: ignore[union-attr]
        port = process.stdout.readline()  # type: ignore[union-attr]
    return process, int(port or 0)


def launcher() -> int:
    """Return the process that launched this one's job, if it is on this machine; else 0."""
    process = os.getppid()
    with suppress(OSError, ValueError):
        for _ in range(5):  # a rank's parent is a proxy, whose parent may be a shell
            said = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
            name, _, fields = said.partition("(")[2].rpartition(")")
            if name.startswith(("mpiexec", "mpirun", "orterun", "prterun", "srun")):
                return process
            process = int(fields.split()[1])
    return 0


def addresses() -> list[str]:
    """Return the addresses under which this machine may be reached, those of its own network first."""
    found = []
    with suppress(ImportError, OSError):
        import fcntl  # Windows has none

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            for _, name in socket.if_nameindex():
                with suppress(OSError):  # an interface without an address
                    answer = fcntl.ioctl(asked, 0x8915, name.encode()[:15].ljust(256, b"\0"))  # SIOCGIFADDR
                    found.append(socket.inet_ntoa(answer[20:24]))
    with suppress(OSError):
        entries = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        found += [str(entry[4][0]) for entry in entries]
    return [one for one in dict.fromkeys(found) if not one.startswith("127.")]


def reach(places: list[str], port: int) -> socket.socket | None:
    """Return a connection to the first of some addresses that answers, None if none does."""
    for place in places:
        with suppress(OSError):
            found = socket.create_connection((place, port), REACH)
            found.settimeout(None)
            return found
    return None
