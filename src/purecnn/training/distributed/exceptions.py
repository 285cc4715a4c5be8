"""Exceptions that ranks tell each other of, and how a job ends.

How a job ends: rank 0 says why, the others end as it does, and what one alone meets names its rank.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from typing import Any

from purecnn import errors
from purecnn.errors import RankError
from purecnn.training.distributed.watch import end_all

#: Seconds that rank 0 has to tell what ended the training, before the others do.
GRACE = 0.5


def end_job(status: Any) -> None:
    """End all processes of the job, if MPI runs."""
    mpi: Any = sys.modules["mpi4py.MPI"]
    if mpi.Is_initialized() and not mpi.Is_finalized() and mpi.COMM_WORLD.size > 1:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        end_all()
        mpi.COMM_WORLD.Abort(status if isinstance(status, int) else 1)


def exception_to_json(error: BaseException) -> list[str]:
    """Return an exception as JSON values."""
    return [type(error).__name__, str(error)]


def exception_from_json(words: Sequence[str], where: str = "rank 0") -> BaseException:
    """Return an exception that another rank told of: this package's own, or Python's, with the same words.

    Examples
    --------
    >>> exception_from_json(["ShapeError", "too flat"]), exception_from_json(["MyError", "too flat"])
    (ShapeError('too flat'), RankError('rank 0 ended with MyError: too flat'))
    """
    name, text = words
    kind = getattr(errors if name in errors.__all__ else builtins, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception | KeyboardInterrupt):
        kind, text = RankError, f"{where} ended with {name}: {text}"
    try:
        found: BaseException = kind(text)
    except TypeError:  # some of Python's want more than words
        found = RankError(f"{where} ended with {name}: {text}")
    found.is_retold = True  # type: ignore[attr-defined]
    return found
