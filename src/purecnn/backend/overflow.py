"""Overflow: what NumPy says of numbers that grew too large, where this package has a sentence of its own.

A network that has diverged would bury that sentence, or a page that shows its numbers, in warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


def unwarned() -> np.errstate:
    """Return the state in which NumPy does not warn of overflow and of what is no number.

    Whoever asked NumPy to raise, to call or to print is heeded.

    Examples
    --------
    >>> with unwarned():
    ...     np.float32(3e38) * np.float32(10)
    np.float32(inf)
    """
    now = np.geterr()
    return np.errstate(
        over="ignore" if now["over"] == "warn" else None,
        invalid="ignore" if now["invalid"] == "warn" else None,
        divide="ignore" if now["divide"] == "warn" else None,
    )


def without_warnings(function: Function) -> Function:
    """Return a function that runs in the state of `unwarned`."""

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        with unwarned():
            return function(*given, **named)

    return call  # type: ignore[return-value]
