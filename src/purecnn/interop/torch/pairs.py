"""Modules that stand together by their names, as ``conv1`` and ``bn1`` do.

A normalization's tensors have the shapes of many others, and no number says which convolution it follows.
PyTorch's programs say it by the names: the same prefix and the same number, or the next place of a
``Sequential``. What they call a shortcut is not in the midst of the path beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from purecnn.interop.matching import Shapes

#: A name's parts, one of them without its letters.
Frame = tuple[str, ...]
#: What the names of shortcuts have in them.
SHORTCUT = re.compile("downsample|shortcut|skip|proj|identity", re.IGNORECASE)


def together(groups: Mapping[str, Shapes]) -> list[set[str]]:
    """Return sets of modules, each of which none else stands between, as their names tell.

    Parameters
    ----------
    groups : mapping of str to mapping of str to tuple of int
        The shapes of each module's tensors.

    Examples
    --------
    >>> wide, long = {"weight": (8, 8, 1, 1)}, {"weight": (8,), "bias": (8,)}
    >>> names = ["1.conv1", "1.bn1", "1.conv2", "1.bn2", "1.downsample.0", "1.downsample.1"]
    >>> found = together({name: wide if "conv" in name or name.endswith("0") else long for name in names})
    >>> sorted(map(sorted, found))[:2]
    [['1.bn1', '1.bn2', '1.conv1', '1.conv2'], ['1.bn1', '1.conv1']]
    """
    found = [{name, other} for name, other in pairs(groups).items()]
    shortcuts: dict[tuple[str, str], set[str]] = {}
    for name in groups:
        parts = name.split(".")
        for place, part in enumerate(parts):
            if place and SHORTCUT.search(part):
                front = ".".join(parts[:place]) + "."
                shortcuts.setdefault((front, part), set()).add(name)
    for (front, _), inside in shortcuts.items():
        found += [inside, {name for name in groups if name.startswith(front)} - inside]
    return found


def pairs(groups: Mapping[str, Shapes]) -> dict[str, str]:
    """Return the convolution, or dense layer, that each normalization stands next to, where names tell.

    Parameters
    ----------
    groups : mapping of str to mapping of str to tuple of int
        The shapes of each module's tensors.

    Examples
    --------
    >>> convolution, normalization = {"weight": (8, 3, 3, 3)}, {"weight": (8,), "bias": (8,)}
    >>> pairs({"conv1": convolution, "bn1": normalization, "fc": {"weight": (10, 8)}})
    {'bn1': 'conv1'}
    >>> pairs({"downsample.0": convolution, "downsample.1": normalization})
    {'downsample.1': 'downsample.0'}
    """
    weighted = {name for name, shapes in groups.items() if len(shapes.get("weight", ())) > 1}
    alike: dict[Frame, list[tuple[str, str]]] = {}
    for name in weighted:
        for frame, part in frames(name):
            alike.setdefault(frame, []).append((name, part))
    found = {}
    for name, shapes in groups.items():
        if len(shapes) > 1 and all(len(shape) == 1 for shape in shapes.values()):
            front, dot, last = name.rpartition(".")
            if last.isdecimal():
                before = f"{front}{dot}{int(last[:18]) - 1}"
                others = [before] if before in weighted else []
            else:
                named = [pair for frame, _ in frames(name) for pair in alike.get(frame, ())]
                others = [other for other, part in named if len(named) == 1 or "conv" in part.lower()]
            if len(others) == 1:
                found[name] = others[0]
    taken = Counter(found.values())
    return {name: other for name, other in found.items() if taken[other] == 1}


def frames(name: str) -> Iterator[tuple[Frame, str]]:
    """Yield a name without the letters of one of its parts, for each part, and that part.

    Examples
    --------
    >>> list(frames("1.bn2"))
    [(('1', '?2'), 'bn2')]
    """
    parts = name.split(".")
    for place, part in enumerate(parts):
        if not part.isdecimal():
            yield (*parts[:place], re.sub(r"[^0-9]+", "?", part), *parts[place + 1 :]), part
