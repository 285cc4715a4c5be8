"""Prefix tree of lists of values: which of them begin or end as another one, so that dense blocks nest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Values in lists that are searched for parts.
MAX_LISTED = 100_000


class PrefixTree:
    """Lists of values in a prefix tree: those that begin alike share their way.

    Parameters
    ----------
    lists : dict of str to tuple of str
        What each name stands for.
    """

    def __init__(self, lists: Mapping[str, tuple[str, ...]]) -> None:
        self.places: dict[tuple[int, str], int] = {}
        self.names: dict[int, str] = {}
        for name, values in lists.items():
            place = 0
            for value in values:
                place = self.places.setdefault((place, value), len(self.places) + 1)
            if len(set(values)) > 1:  # else it is as good made anew where it is wanted
                self.names.setdefault(place, name)

    def longest_prefix(self, name: str, values: Sequence[str]) -> tuple[str, int]:
        """Return which other list, of different values, some values begin with, and how many these are."""
        place, found = 0, ("", 0)
        for count, value in enumerate(values, 1):
            place = self.places[place, value]
            other = self.names.get(place, name)
            if other != name:
                found = other, count
        return found


def of_parts(lists: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return what is concatenated, with the name of another list for the values that are that list.

    Examples
    --------
    >>> of_parts({"b": ("x", "a"), "d": ("x", "a", "c")})
    {'b': ('x', 'a'), 'd': ('b', 'c')}
    """
    if sum(map(len, lists.values())) > MAX_LISTED:
        return dict(lists)
    behind = {name: values[::-1] for name, values in lists.items()}
    fronts, backs = PrefixTree(lists), PrefixTree(behind)
    made: dict[str, tuple[str, ...]] = {}
    for name, values in lists.items():
        front, size = fronts.longest_prefix(name, values)
        back, rest = backs.longest_prefix(name, behind[name])
        if front:
            made[name] = (front, *values[size:])
        elif back:
            made[name] = (*values[: len(values) - rest], back)
        else:
            made[name] = values
    return made
