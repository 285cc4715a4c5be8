"""The peak of a process's memory, as it tells itself; needs no package."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> float:
    """This process's largest resident size so far, in MB.

    Linux's VmHWM, not getrusage's ru_maxrss: that one starts from the size of the process that spawned this.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(
            line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
