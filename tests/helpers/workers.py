"""The kinds of worker processes that this system has, for what must be the same with each."""

import sys

from purecnn.backend.processes import VARIABLE, can_fork, has_lock

#: Processes alone: none where Python has no global lock, since threads do as well there.
PROCESSES = [*(["fork"] if can_fork() else []), *(["spawn"] if has_lock() else [])]
#: All of them.
KINDS = [*PROCESSES, "threads"]
#: Kinds and numbers of workers that must all end in the same bits: one alone, two of each kind, and more.
COMPANIES = [("threads", 1), *((kind, 2) for kind in KINDS), (KINDS[0], 3), ("threads", 3), (KINDS[0], 4)]
#: Whether this is Linux, where /proc says who is whose child.
HAS_PROC = sys.platform == "linux"


def use(monkeypatch, kind):
    """Have fits take workers of a kind."""
    monkeypatch.setenv(VARIABLE, kind)
