"""The kinds of worker processes that this system has, for what must be the same with each."""

import sys

from purecnn.backend.processes import VARIABLE, can_fork, has_lock

#: Processes alone: none where Python has no global lock, since threads do as well there.
PROCESSES = [*(["fork"] if can_fork() else []), *(["spawn"] if has_lock() else [])]
#: All of them.
KINDS = [*PROCESSES, "threads"]
#: Whether this is Linux, where /proc says who is whose child.
HAS_PROC = sys.platform == "linux"


def use(monkeypatch, kind):
    """Have fits take workers of a kind."""
    monkeypatch.setenv(VARIABLE, kind)
