"""Calls of NumPy with their arguments bound, written down once and made in each step.

The engine's arrays are the same ones at every step, so what to call on which of them need be asked only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from purecnn.backend.types import Array

#: One call, such as ``partial(np.add, a, b, out=a)``.
Call = Callable[[], object]
#: The calls that apply an activation to an array, in its place.
Activation = Callable[[Array], list[Call]]


def run(calls: Sequence[Call]) -> None:
    """Make these calls.

    Examples
    --------
    >>> found = []
    >>> run([lambda: found.append(1), lambda: found.append(2)])
    >>> found
    [1, 2]
    """
    for call in calls:
        call()
