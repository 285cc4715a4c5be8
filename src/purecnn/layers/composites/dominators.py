"""Dominators of a graph of values: which value all ways to another lead through, and an order of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce


class Dominators:
    """The tree in which a value hangs below the last one that all ways to it lead through.

    Each value also knows one further above, so chosen that the way up takes few steps (Myers 1983,
    https://doi.org/10.1016/0020-0190(83)90106-0).

    Parameters
    ----------
    root : str
        The value that all others come from.
    """

    def __init__(self, root: str) -> None:
        self.depth = {root: 0}
        self.above, self.further = {root: root}, {root: root}

    def hang(self, value: str, sources: Sequence[str]) -> None:
        """Put a value that is made of some others into the tree."""
        above = self.common(sources)
        far = self.further[above]
        spans = self.depth[above] - self.depth[far], self.depth[far] - self.depth[self.further[far]]
        self.above[value] = above
        self.further[value] = self.further[far] if spans[0] == spans[1] else above
        self.depth[value] = self.depth[above] + 1

    def common(self, values: Sequence[str]) -> str:
        """Return the last value that all ways to some values lead through."""
        return reduce(self._common, values)

    def below(self, value: str, end: str) -> str:
        """Return the first value behind another that all ways to an end lead through; "" where that is it."""
        if end == value:
            return ""
        depth = self.depth[value] + 1
        while self.depth[end] > depth:
            far = self.further[end]
            end = far if self.depth[far] >= depth else self.above[end]
        return end

    def _common(self, a: str, b: str) -> str:
        if self.depth[a] < self.depth[b]:
            a, b = b, a
        while self.depth[a] > self.depth[b]:
            far = self.further[a]
            a = far if self.depth[far] >= self.depth[b] else self.above[a]
        while a != b:
            up = self.above if self.further[a] == self.further[b] else self.further
            a, b = up[a], up[b]
        return a


def topological_order(sources: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield values and their sources so that each value's come before it."""
    met: set[str] = set()
    for last in sources:
        waiting = [last]
        while waiting:
            value = waiting[-1]
            before = () if value in met else sources.get(value, ())
            missing = [source for source in before if source not in met and source in sources]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if value not in met:
                met.add(value)
                yield value, before
