"""Matching of weights to layers.

A file of weights names its arrays as its own program did: this finds the layer that each belongs to.

Shapes decide, and the numbers in names: of ``conv.0`` and ``conv.2`` the first comes first. So does what
stands together, where the caller knows of such groups. What they leave open is refused, since a guess would
be wrong in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purecnn.backend.types import Shape
from purecnn.errors import ShapeError

Shapes = Mapping[str, Shape]
#: Orders that are followed at a time; few are more than two, and no network may need forever.
MAX_STATES = 4096
#: Letters that count stand behind a number, ``inception3a``, or are a part of their own, ``f.a.0``.
LETTER = r"(?<=[0-9])[a-hA-H](?![a-zA-Z])|(?<=\.)[a-dA-D](?=\.|$)"
#: A size, a number, a letter, or text up to one of these.
TOKEN = re.compile(rf"[0-9]+x[0-9]+|(?P<number>[0-9]{{1,18}})|(?P<letter>{LETTER})|(?:(?!{LETTER})[^0-9])+")


@dataclass(frozen=True)
class Place:
    """What takes one group of arrays.

    Attributes
    ----------
    label : str
        What a message calls it.
    name : str
        What a file of this package's calls it.
    wanted : dict of str to tuple of int
        The arrays' names and shapes.
    optional : frozenset of str
        Those that may be missing.
    """

    label: str
    name: str
    wanted: Shapes
    optional: frozenset[str] = frozenset()

    def takes(self, found: Shapes) -> bool:
        """Return whether these arrays fit."""
        return self.wanted.keys() - found.keys() <= self.optional and all(
            self.wanted.get(name) == shape for name, shape in found.items()
        )


def match(
    places: Sequence[Place],
    groups: Mapping[str, Shapes],
    order: Sequence[str] | None,
    what: str,
    word: str,
    together: Sequence[Collection[str]] = (),
) -> list[str]:
    """Return the name of the group for each place.

    Parameters
    ----------
    places : sequence of Place
        In order.
    groups : mapping of str to mapping of str to tuple of int
        The shapes of each group's arrays.
    order : sequence of str, optional
        All groups' names in the places' order, where it is known.
    what, word : str
        What a message calls the source, such as "the state dict", and the argument that names an order.
    together : sequence of collection of str
        Groups that no other stands between, where an order is found in which that holds for all of these.

    Raises
    ------
    ShapeError
        If a place or a group is left over, or has other shapes; the message names both.
    ValueError
        If several orders fit, or `order` does not name the groups.
    """
    if order is not None:
        given = list(order)
        if sorted(given) != sorted(groups):
            odds = sorted(set(given) - set(groups)) or sorted(set(groups) - set(given)) or ["one twice"]
            odd = odds[0]
            raise ValueError(
                f"{word} must name each of {short(', '.join(map(repr, groups)))} once, in the layers' order; "
                f"{short(repr(odd))} is {'not there' if odd in given else 'missing'}"
            )
    elif {place.name for place in places} == groups.keys():
        given = [place.name for place in places]
    else:
        check_numbers(places, groups, what)
        return match_unordered(places, groups, what, word, together)
    if len(places) != len(groups):
        check_numbers(places, groups, what)
    for place, name in zip(places, given, strict=True):
        if not place.takes(groups[name]):
            hint = f"; {word}=[...] names them in another order"
            raise ShapeError(differs(place, name, groups[name], what) + hint)
    return given


def differs(place: Place, name: str, found: Shapes, what: str) -> str:
    """Return that a group does not fit a place."""
    return f"{place.label} wants {told(place.wanted)}; {what} has {told(found)} in {short(repr(name))}"


def told(shapes: Shapes) -> str:
    """Return names and shapes as they stand in a sentence."""
    return short(" and ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing", 200)


def short(text: str, length: int = 100) -> str:
    """Return a text, or its beginning."""
    return text if len(text) <= length else text[:length] + "..."


def check_numbers(places: Sequence[Place], groups: Mapping[str, Shapes], what: str) -> None:
    """Refuse groups that no place takes, places that no group fits, and more of one than of the other."""
    odd = next((n for n, found in groups.items() if not any(p.takes(found) for p in places)), None)
    lacking = next((p for p in places if not any(p.takes(found) for found in groups.values())), None)
    if odd is not None and lacking is not None:
        raise ShapeError(differs(lacking, odd, groups[odd], what))
    if odd is None and len(groups) > len(places):
        odd = list(groups)[-1]
    if odd is not None:
        raise ShapeError(
            f"{what} has {told(groups[odd])} in {short(repr(odd))}, which no layer of the network takes: "
            f"it has {len(groups)} groups of arrays, the network {len(places)}"
        )
    if lacking is None and len(groups) < len(places):
        lacking = places[-1]
    if lacking is not None:
        raise ShapeError(
            f"{lacking.label} wants {told(lacking.wanted)}, which {what} lacks: "
            f"it has {len(groups)} groups of arrays, the network {len(places)}"
        )


def tokens(name: str) -> list[str | int]:
    """Return a name's texts, and what counts in it: numbers that are no sizes, and letters as numbers.

    Examples
    --------
    >>> tokens("layer1.0.conv2"), tokens("inception3c.5x5")
    (['layer', 1, '.', 0, '.conv', 2], ['inception', 3, 3, '.', '5x5'])
    """
    found: list[str | int] = []
    for part in TOKEN.finditer(name):
        kind, text = part.lastgroup, part.group()
        found.append(int(text) if kind == "number" else int(text, 36) - 9 if kind == "letter" else text)
    return found


def is_before(a: Sequence[str | int], b: Sequence[str | int]) -> bool:
    """Return whether a name's tokens say that it comes before another: where they part, it counts less."""
    for one, other in zip(a, b, strict=False):
        if one != other:
            return isinstance(one, int) and isinstance(other, int) and one < other
    return False


def match_unordered(
    places: Sequence[Place],
    groups: Mapping[str, Shapes],
    what: str,
    word: str,
    together: Sequence[Collection[str]],
) -> list[str]:
    """Return the one order of the groups that their names allow and that fits the places."""
    split = [tokens(name) for name in groups]
    before = [sum(1 << k for k, other in enumerate(split) if is_before(other, name)) for name in split]
    number = {name: k for k, name in enumerate(groups)}
    sets = [sum(1 << number[name] for name in names) for names in together]
    if sets:
        try:
            return search(places, groups, what, word, before, sets)
        except ShapeError:
            pass  # this program has them elsewhere
    return search(places, groups, what, word, before, [])


def search(
    places: Sequence[Place],
    groups: Mapping[str, Shapes],
    what: str,
    word: str,
    before: Sequence[int],
    sets: Sequence[int],
) -> list[str]:
    """Return the one order that fits the places.

    No group comes in front of one that is before it, and no other between those of a set, but lone vectors,
    as the slopes of a PReLU are.
    """
    names = list(groups)
    alike: dict[tuple[Any, ...], list[int]] = {}
    # which groups are used up -> in which order, and where another order would do as well
    states: dict[int, tuple[tuple[int, ...], str]] = {0: ((), "")}
    for place in places:
        key = (place.optional, *sorted(place.wanted.items()))
        if key not in alike:
            alike[key] = [k for k, name in enumerate(names) if place.takes(groups[name])]
        fits = alike[key]
        is_vector = [len(shape) for shape in place.wanted.values()] == [1]
        found: dict[int, tuple[tuple[int, ...], str]] = {}
        for used, (picks, doubt) in states.items():
            barred = used
            for members in () if is_vector else sets:
                if members & used and members & ~used:
                    barred |= ~members
            for k in fits:
                if barred >> k & 1 or before[k] & ~used:
                    continue
                state = used | 1 << k
                if state in found:
                    rivals = f"{short(repr(names[found[state][0][-1]]))} and {short(repr(names[k]))}"
                    doubt = doubt or f"{rivals} both fit {place.label}"
                    found[state] = found[state][0], found[state][1] or doubt
                else:
                    found[state] = (*picks, k), doubt
        if not found:
            raise ShapeError(
                f"{place.label} wants {told(place.wanted)}, which {what} has at another place, in "
                f"{short(', '.join(repr(names[k]) for k in fits))}; {word}=[...] names them in order"
            )
        if len(found) > MAX_STATES:
            raise ValueError(
                f"{what} does not say the order of its {len(names)} groups of arrays, and too many of them "
                f"are alike: {word}=[...] names them in order"
            )
        states = found
    ((picks, doubt),) = states.values()
    if doubt:
        raise ValueError(
            f"{what} does not say which comes first, and {doubt}: {word}=[...] names them in order"
        )
    return [names[k] for k in picks]
