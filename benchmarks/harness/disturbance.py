"""What the benched programs, their worker processes included, take of the machine, and what others take.

As far as Linux tells; elsewhere it is zero.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.machine import cores

WORKING = (1, 2, 3, 6, 7, 8)  # of a line of /proc/stat: user, nice, system, irq, softirq, steal


def busy_seconds() -> float:
    """Seconds that the cores this process may use have been at work since the machine started."""
    allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in Path("/proc/stat").read_text(encoding="ascii").splitlines())
    ticks = sum(int(line[i]) for line in lines if line[0] in allowed for i in WORKING)
    return ticks / os.sysconf("SC_CLK_TCK")


def fields(pid: int) -> list[int]:
    """Of /proc/PID/stat: the parent, then ticks in user and system mode, own and of children that ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:  # it has ended
        return [0, 0, 0, 0, 0]
    return [int(words[i]) for i in (1, 11, 12, 13, 14)]


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    if not Path("/proc/self/stat").exists():
        return [pid]
    parents = {int(path.name): fields(int(path.name))[0] for path in Path("/proc").glob("[0-9]*")}
    found = [pid]
    for one in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == one]
    return found


def family_seconds(pid: int) -> float:
    """Seconds of processor time that a process and its descendants have used, all their threads together."""
    return sum(sum(fields(one)[1:]) for one in family(pid)) / os.sysconf("SC_CLK_TCK")


def family_megabytes(pid: int) -> float:
    """Memory, in MB, of a process and its descendants; a page that several share counts once."""
    total = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


class Disturbance:
    """Measures from its making to `share` what processes other than this one and `pids` took."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.pids, self.known = pids, Path("/proc/stat").exists()
        self.start, self.others = time.perf_counter(), self.other_seconds()

    def other_seconds(self) -> float:
        if not self.known:
            return 0.0
        mine = sum(os.times()[:4])  # this process and its children that have ended
        return busy_seconds() - mine - sum(family_seconds(pid) for pid in self.pids)

    def share(self) -> float:
        """The share of all cores' time, from 0 to 1; 0 where the system does not tell."""
        seconds = (time.perf_counter() - self.start) * cores()
        return max(0.0, (self.other_seconds() - self.others) / seconds)
