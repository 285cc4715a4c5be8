"""Series-parallel reduction: a graph of values becomes layers in a row, with branches that part and meet.

Other programs write a network as values, each made of earlier ones. Where paths meet, they parted at the
dominator of their ends (Lengauer and Tarjan 1979, https://doi.org/10.1145/357062.357071), the last value that
all ways to these lead through. What lies between the two is reduced likewise. From a value that would be part
of two paths these cross: it is refused, or the values between are made one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from purecnn.layers.activations.basic import Identity
from purecnn.layers.base import Layer
from purecnn.layers.composites.branches import Branches
from purecnn.layers.composites.dominators import Dominators, topological_order
from purecnn.layers.composites.prefixes import of_parts
from purecnn.layers.composites.residual import Residual

#: Branches within each other, and paths that meet in one value.
MAX_DEPTH, MAX_PATHS = 20, 1000
#: How many values may be made again for other paths.
MAX_AGAIN = 1000
#: Merges of merges that are one merge of all.
ASSOCIATIVE = frozenset({"add", "concatenate", "multiply", "maximum"})


@dataclass(frozen=True)
class Meeting:
    """Paths that part at one value and meet in another.

    Attributes
    ----------
    value : str
        In which they meet.
    merge : str
        How: a name of `MERGES`.
    ends : list of str
        The values in which the paths end.
    paths : list of list
        The steps of each, from the value at which they part; none where it is that value.
    """

    value: str
    merge: str
    ends: list[str]
    paths: list[list[Any]]


@dataclass(frozen=True)
class Segment:
    """One of the values between which paths cross, and how it is made of others.

    Attributes
    ----------
    value : str
        The value.
    sources : list of str
        What it is made of.
    steps : list
        Of the one that it is made of; none where it merges several.
    """

    value: str
    sources: list[str]
    steps: list[Any]


class CrossingError(Exception):
    """A value is wanted by paths that cross."""


class Nesting(ABC):
    """A graph of values, and the ways through it.

    Parameters
    ----------
    root, last : str
        The value that all others come from, and the one that is wanted.
    sources : dict of str to sequence of str
        What each other value is made of, in an order in which all are made before they are needed.
    merges : dict of str to str
        Which of them are made as branches merge their ends, each with the name of its merge.

    Attributes
    ----------
    sources, merges
        The same, with what is concatenated of parts that were concatenated before made of these: so dense
        blocks nest.
    """

    #: Whether `woven` has a step for paths that cross, which are refused else.
    weaves = False
    #: Whether ends that have a way in common are merged first.
    joins_ends = True

    def __init__(
        self, root: str, last: str, sources: Mapping[str, Sequence[str]], merges: Mapping[str, str]
    ) -> None:
        self.root, self.merges = root, dict(merges)
        for value in self.merges:
            if len(sources[value]) > MAX_PATHS:
                self.refuse(value, f"{len(sources[value])} paths meet in it, wanted at most {MAX_PATHS}")
        parts = {value: tuple(sources[value]) for value, merge in merges.items() if merge == "concatenate"}
        self.sources = {**{value: tuple(made) for value, made in sources.items()}, **of_parts(parts)}
        self.dominators = Dominators(root)
        #: The places of values in an order in which each comes behind those that it is made of.
        self.order: dict[str, int] = {}
        for value, made in topological_order(self.sources):
            self.dominators.hang(value, made)
            self.order[value] = len(self.order)
        waiting, wanted = [last], {last}
        while waiting:
            more = set(self.sources.get(waiting.pop(), ())) - wanted
            wanted |= more
            waiting += more
        #: Which values are made of each, but for those that the last one needs not.
        self.users: dict[str, list[str]] = {value: [] for value in wanted}
        for value, made in self.sources.items():
            for source in made if value in wanted else ():
                self.users[source].append(value)
        self.taken: set[str] = set()
        self.last_uses = {
            value: max((self.order[user] for user in users), default=0) for value, users in self.users.items()
        }
        #: How often a value was made for another path.
        self.again = 0

    @abstractmethod
    def refuse(self, value: str, why: str) -> NoReturn:
        """Say that a value prevents it, and why."""

    @abstractmethod
    def called(self, value: str) -> str:
        """Return what a message calls what makes a value."""

    @abstractmethod
    def step(self, value: str) -> Any:
        """Return the step that makes a value of one other."""

    def meeting(self, value: str, ends: list[str], paths: list[list[Any]]) -> Any:
        """Return the step that merges some paths, which end in `ends`."""
        return Meeting(value, self.merges[value], ends, paths)

    def pattern(self, value: str, start: str) -> tuple[Any, str] | None:
        """Return one step for several values, `value` the last, and what it is given, at first `start`."""
        return None

    def is_free(self, value: str) -> bool:
        """Return whether a value may be made again for another path: nothing in it is trained or drawn."""
        return False

    def take(self, value: str) -> None:
        """Let a value be part of a path, unless it is part of another one already."""
        if value in self.taken and self.again < MAX_AGAIN and self.is_free(value):
            self.again += 1
        elif value in self.taken:
            if self.weaves:
                raise CrossingError
            users = " and ".join(dict.fromkeys(map(self.called, self.users[value][:3])))
            self.refuse(
                value,
                f"it is wanted by {users}, and the paths from there cross: branches must lie side by side or "
                f"within each other, and meet where none of them leads elsewhere",
            )
        self.taken.add(value)

    def most_paths(self, value: str) -> int:
        """Return how many paths a merge may have at most where the merges in it are opened up."""
        return MAX_PATHS

    def way(self, end: str, start: str, depth: int = 0) -> list[Any]:
        """Return the steps from one value to another, the first one first.

        Parameters
        ----------
        end, start : str
            To which value, and from which: all ways to `end` lead through `start`.
        depth : int
            How many branches this way lies in.
        """
        steps: list[Any] = []
        value = end
        while value != start:
            self.take(value)
            found = self.pattern(value, start)
            if found is not None:
                steps.append(found[0])
                value = found[1]
                continue
            sources = self.sources[value]
            if len(sources) == 1:
                if value not in self.merges:  # one path alone is merged into itself
                    steps.append(self.step(value))
                value = sources[0]
                continue
            if value not in self.merges:
                self.refuse(
                    value, f"{len(sources)} of its inputs depend on the network's, and it merges none"
                )
            fork = self.dominators.common(sources)
            before = set(self.taken)
            try:
                ends = self.ends(value, fork)
                self.check_apart(ends, fork)
                steps.append(self.merged(value, ends, fork, depth))
            except CrossingError:
                self.taken = before
                steps.append(self.woven(fork, self.segments(value, fork, depth)))
            value = fork
        return steps[::-1]

    def merged(self, value: str, ends: list[str], fork: str, depth: int) -> Any:
        """Return the step that merges the paths from a value to some ends, which part there.

        Where ends have a way in common, and a merge of merges is one of all, they are merged first, so that
        their paths part where that way ends.
        """
        if depth == MAX_DEPTH:
            if self.weaves:
                raise CrossingError
            self.refuse(value, f"branches lie more than {MAX_DEPTH} deep")
        paths = []
        for group in self.ends_together(value, ends, fork):
            if len(group) == 1:
                paths.append(self.way(group[0], fork, depth + 1))
            else:
                inner = self.dominators.common(group)
                found = self.merged(value, group, inner, depth + 1)
                paths.append([*self.way(inner, fork, depth + 1), found])
        return self.meeting(value, ends, paths)

    def ends_together(self, value: str, ends: list[str], fork: str) -> list[list[str]]:
        """Return the ends of paths, those together whose ways begin with the same value behind the fork."""
        merge = self.merges[value]
        if merge not in ASSOCIATIVE or not self.joins_ends:
            return [[end] for end in ends]
        found: list[tuple[str, list[str]]] = []
        for end in ends:
            first = self.dominators.below(fork, end)
            within = found[-1:] if merge == "concatenate" else found  # whose order counts
            group = next((held for known, held in within if first and known == first), None)
            if group is None:
                found.append((first, [end]))
            else:
                group.append(end)
        if len(found) == 1:  # all are one value, again and again
            return [[end] for end in ends]
        return [group for _, group in found]

    def check_apart(self, ends: Sequence[str], fork: str) -> None:
        """Raise `CrossingError` if a value lies on the ways to two ends, where such are made otherwise."""
        if self.weaves:
            between = [self.between(end, fork) for end in ends]
            if sum(map(len, between)) > len(set().union(*between)):
                raise CrossingError

    def woven(self, start: str, segments: list[Segment]) -> Any:
        """Return one step for paths that cross, from the value at which they part."""
        raise NotImplementedError

    def segments(self, last: str, start: str, depth: int) -> list[Segment]:
        """Return how to make a value of another where paths cross: one value after the other.

        What lies between two values and leads to no third is one way, so that branches in it stay branches.
        """
        if (self.between(last, start) - {last}) & self.taken:
            raise CrossingError  # with a path outside of these
        found: dict[str, Segment] = {}
        waiting = [last]
        while waiting:
            value = waiting.pop()
            if value in found or value == start:
                continue
            sources, steps = self.alone(value, start, depth) if value != last else ([], [])
            if not steps:
                sources = list(self.sources[value])
                self.taken.add(value)
                if len(sources) == 1 and value not in self.merges:
                    steps = [self.step(value)]
            found[value] = Segment(value, sources, steps)
            waiting += sources
        uses = Counter(source for segment in found.values() for source in segment.sources)
        joined: dict[str, Segment] = {}
        for value in sorted(found, key=self.order.__getitem__):
            segment = found[value]
            before = joined.get(segment.sources[0])
            if before and before.steps and segment.steps and uses[before.value] == 1:
                del joined[before.value]
                segment = Segment(value, before.sources, [*before.steps, *segment.steps])
            joined[value] = segment
        return list(joined.values())

    def alone(self, value: str, start: str, depth: int) -> tuple[list[str], list[Any]]:
        """Return the value that all ways to one lead through, and the steps between, if no third has any.

        One step for several values goes first: the value above may lie in the midst of these.
        """
        if (whole := self.pattern(value, start)) is not None:
            self.taken.add(value)
            return [whole[1]], [whole[0]]
        above, before = self.dominators.above[value], set(self.taken)
        if any(
            self.last_uses[source] > self.order[value] for source in self.sources[value] if source != above
        ):
            return [], []
        inner = self.between(value, above) - {value}
        if all(user in inner or user == value for one in inner for user in self.users[one]):
            with suppress(CrossingError):
                return [above], self.way(value, above, depth + 1)
            self.taken = before
        return [], []

    def between(self, last: str, start: str) -> set[str]:
        """Return the values on all ways from one, without it, to another, with it."""
        found = {last} - {start}
        waiting = [*found]
        while waiting:
            more = set(self.sources[waiting.pop()]) - found - {start}
            found |= more
            waiting += more
        return found

    def ends(self, value: str, fork: str) -> list[str]:
        """Return the values that are merged into one, those that are such merges themselves opened up."""
        merge, most = self.merges[value], self.most_paths(value)
        found: list[str] = []
        waiting = [(source, value) for source in reversed(self.sources[value])]
        while waiting:
            source, user = waiting.pop()
            if (
                merge in ASSOCIATIVE
                and self.merges.get(source) == merge
                and self.users[source] == [user]
                and self.dominators.above[source] == fork
                and len(found) + len(waiting) + len(self.sources[source]) <= most
                and self.pattern(source, fork) is None
            ):
                self.take(source)
                waiting += [(inner, source) for inner in reversed(self.sources[source])]
            else:
                found.append(source)
        return found


def composite(merge: str, paths: Iterable[Sequence[Layer]]) -> Layer:
    """Return the layer that gives its input to some paths of layers and merges their ends.

    The sum of two is a `Residual`, the empty path its shortcut.

    Examples
    --------
    >>> from purecnn import Tanh
    >>> composite("add", [[], [Tanh()]])
    Residual(layers=[Tanh()], shortcut=None)
    """
    found = [[*path] for path in paths]
    if not any(found):
        found[0] = [Identity()]
    if merge == "add" and len(found) == 2:
        layers, shortcut = found if found[0] else reversed(found)
        return Residual(layers, shortcut or None)
    return Branches(*found, merge=merge)
