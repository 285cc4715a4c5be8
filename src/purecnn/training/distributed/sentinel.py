"""The sentinel: a small process beside rank 0 that says which rank died.

A small process beside rank 0, which outlives it and says which rank died: launchers name none of them.

    python sentinel.py TOKEN SIZE ADDRESS SILENCE LAUNCHER [SEGMENT ...]

Each rank holds a connection to it, which its system closes when the rank dies, however it dies; where a
machine or the network is gone, the connection falls silent. What MPI shares in memory stays behind when a job
ends so: its files, SEGMENT, are removed here. It imports nothing of this package, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable

#: Seconds of silence, in which the system asks the other side thrice, after which a rank is given up.
SILENCE = 12
#: Seconds to wait for the first rank.
PATIENCE = 60.0
#: Seconds after a rank left, said so, in which others may be ended by its doing.
AFTER = 5.0
#: Seconds that who comes has for a greeting.
GREET = 1.0
#: What ranks say: that they leave, and that they end all the others.
LEAVES, ENDS_ALL = b"l", b"e"
#: The file of a segment that MPICH shares among the processes of a job on one machine.
SEGMENT = re.compile(r"/dev/shm/mpich_shm_\w+")
#: Bytes of a greeting, which is a token, a rank, a process and a machine, as JSON with blanks behind it.
GREETING = 400


def notice_silence(connection: socket.socket, seconds: int) -> None:
    """Have the system close a connection whose other side does not answer for so long."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    values = {
        "TCP_KEEPIDLE": max(1, seconds // 4),
        "TCP_KEEPINTVL": max(1, seconds // 4),
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * seconds,
    }
    for name, value in values.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Sentinel:
    """Who watches the ranks of a job.

    Parameters
    ----------
    listener : socket
        Where they come.
    token : str
        What they must know.
    size : int
        How many they are.
    say : callable
        Takes the sentence on those that died.
    silence : int
        Seconds without an answer after which a rank is given up.

    Attributes
    ----------
    is_cut : bool
        Whether one was.
    is_broken : bool
        Whether the job ended before its time: a rank died, or ended all others.
    """

    def __init__(
        self,
        listener: socket.socket,
        token: str,
        size: int,
        say: Callable[[str], object],
        silence: int = SILENCE,
    ) -> None:
        self.listener, self.token, self.size, self.say = listener, token, size, say
        self.ranks: dict[socket.socket, str] = {}
        self.strangers: set[socket.socket] = set()
        self.silence, self.is_cut, self.is_broken, self.came = silence, False, False, 0
        self.awaited = set(range(size))
        self.quiet_until = 0.0

    def watch(self) -> None:
        """Watch until all ranks have left, or one has died."""
        until = time.monotonic() + PATIENCE
        while self.ranks or (self.came == 0 and time.monotonic() < until):
            awaited = [self.listener] if self.came < self.size else []
            ready, _, _ = select.select([*awaited, *self.strangers, *self.ranks], [], [], 1.0)
            # who comes is let in before a death is heard of, so as to be told of it too
            coming = [one for one in ready if one not in self.ranks]
            lost = []
            for one in coming or ready:
                if one is self.listener:
                    self.answer()
                elif one in self.strangers:
                    self.meet(one)
                elif sentence := self.hear(one):
                    lost.append(sentence)
            self.is_broken |= bool(lost)
            if lost and time.monotonic() > self.quiet_until:
                self.let_in_all()
                if self.awaited:  # the launcher may have ended those that came because of one that did not
                    names = " or ".join(map(str, sorted(self.awaited)))
                    lost.append(f"or rank {names}, of which nothing was heard yet, was")
                self.say(f"Error: {'; '.join(lost)}: the job ends, and can be resumed from its checkpoint")
                for other in self.ranks:
                    with contextlib.suppress(OSError):
                        other.send(ENDS_ALL)
                break
        self.close()

    def answer(self) -> bool:
        """Take the next one who comes as a stranger; return whether there is one."""
        try:
            stranger, _ = self.listener.accept()
        except OSError:  # it has gone again, or nobody waits
            return False
        with contextlib.suppress(OSError):
            notice_silence(stranger, self.silence)
        self.strangers.add(stranger)
        return True

    def let_in_all(self) -> None:
        """Let in whoever waits at the door: they are to be told, too, that the job ends."""
        self.listener.setblocking(False)
        while self.answer():
            pass
        for stranger in list(self.strangers):
            self.meet(stranger)

    def close(self) -> None:
        """Close all connections."""
        for one in (*self.ranks, *self.strangers):
            one.close()

    def meet(self, stranger: socket.socket) -> None:
        """Take a connection's greeting: a rank, or nobody of this job."""
        self.strangers.remove(stranger)
        try:
            stranger.settimeout(GREET)
            token, rank, process, host = json.loads(stranger.recv(GREETING, socket.MSG_WAITALL))
            stranger.settimeout(None)
            known = hmac.compare_digest(str(token).encode(), self.token.encode())
        except (OSError, RecursionError, TypeError, ValueError):
            known = False
        if not known:
            stranger.close()
            return
        self.ranks[stranger] = f"rank {rank} (process {process} on {host})"
        self.came += 1
        if isinstance(rank, int):
            self.awaited.discard(rank)

    def hear(self, rank: socket.socket) -> str | None:
        """Take what a rank says; return what became of it, if it is gone without having said so."""
        words = "was killed or crashed"
        try:
            said = rank.recv(1)
        except TimeoutError:
            said, words, self.is_cut = b"", f"has not answered for {self.silence} seconds", True
        except OSError:
            said = b""
        name = self.ranks.pop(rank)
        if said == LEAVES:
            self.quiet_until = time.monotonic() + AFTER
        elif said == ENDS_ALL:
            self.is_broken = True
            self.quiet_until = float("inf")
        rank.close()
        return None if said else f"{name} {words}"


def main() -> None:
    """Listen at an address, print the port, and watch."""
    token, size, address, silence, launcher, *segments = sys.argv[1:]
    with socket.create_server((address, 0)) as listener:
        try:
            os.write(1, b"%d\n" % listener.getsockname()[1])
        except OSError:
            return  # rank 0 has died
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        watching = Sentinel(
            listener, token, int(size), lambda words: print(words, file=sys.stderr, flush=True), int(silence)
        )
        watching.watch()
    if watching.is_broken:
        remove(segments)
    if watching.is_cut and int(launcher):
        sys.stderr.close()  # it may wait for the end of what we say
        end(int(launcher))


def segments() -> list[str]:
    """Return the files of the segments of shared memory that MPICH made for this process's job."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            places = [line.rstrip("\n").split(maxsplit=5)[5:] for line in file]
    except OSError:
        return []
    # the name of one that was removed has a word behind it
    return sorted({place for (place,) in filter(None, places) if SEGMENT.fullmatch(place)})


def remove(segments: Iterable[str]) -> None:
    """Remove files, as far as they are there and ours to remove."""
    for segment in segments:
        with contextlib.suppress(OSError):
            os.unlink(segment)


def end(launcher: int, patience: float = 2.0) -> None:
    """End a launcher that waits for a machine out of reach, unless it ends by itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        time.sleep(patience)
        with contextlib.suppress(ProcessLookupError):
            os.kill(launcher, number)


if __name__ == "__main__":
    main()
