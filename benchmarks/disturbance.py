"""How much of the cores other programs took while ours were measured, as far as Linux tells."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import cores

WORKING = (1, 2, 3, 6, 7, 8)  # of a line of /proc/stat: user, nice, system, irq, softirq, steal


def busy_seconds() -> float:
    """Seconds that the cores this process may use have been at work since the machine started."""
    allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in Path("/proc/stat").read_text(encoding="ascii").splitlines())
    ticks = sum(int(line[i]) for line in lines if line[0] in allowed for i in WORKING)
    return ticks / os.sysconf("SC_CLK_TCK")


def process_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Disturbance:
    """Measures from its making to `share` what processes other than this one and `pids` took."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.pids, self.known = pids, Path("/proc/stat").exists()
        self.start, self.others = time.perf_counter(), self.other_seconds()

    def other_seconds(self) -> float:
        if not self.known:
            return 0.0
        mine = sum(os.times()[:4])  # this process and its children that have ended
        return busy_seconds() - mine - sum(process_seconds(pid) for pid in self.pids)

    def share(self) -> float:
        """The share of all cores' time, from 0 to 1; 0 where the system does not tell."""
        seconds = (time.perf_counter() - self.start) * cores()
        return max(0.0, (self.other_seconds() - self.others) / seconds)
