"""The arrays of a Keras file by layer, in each of the orders in which its versions wrote them."""

from __future__ import annotations

from collections.abc import Sequence

from purecnn.errors import FileFormatError
from purecnn.formats.hdf5 import Group, Variable
from purecnn.interop.keras.graph import Entry
from purecnn.interop.matching import short


def numbered(layer: Group, most: int | None = None) -> list[Variable]:
    """Return the arrays of a layer in a file of Keras 3, named 0, 1 and so on: all, or the first ones."""
    held = layer.group("vars")
    found: list[Variable] = []
    while held and len(found) != most and (variable := held.variable(str(len(found)))):
        found.append(variable)
    return found


def layer_names(group: Group, name: str = "layer_names") -> list[str] | None:
    """Return an attribute of a file of Keras 2, which cut long ones into pieces."""
    found = group.texts(name)
    if found is None:
        pieces: list[list[str]] = []
        while (piece := group.texts(f"{name}{len(pieces)}")) is not None:
            pieces.append(piece)
        found = [text for piece in pieces for text in piece] if pieces else None
    return found


def legacy_variables(group: Group, layer: str, counted: bool = False) -> list[tuple[str, Variable]]:
    """Return the arrays of one layer of a file of Keras 2, in order, by the names that it has for them.

    The whole number that a ``Normalization`` keeps, how many samples it was adapted to, is left out, where
    `counted` says that there may be one.
    """
    held = walked(group, layer.split("/"))
    if held is None:
        raise FileFormatError(f"lacks the layer {short(repr(layer))} that it names")
    found = []
    for name in layer_names(held, "weight_names") or []:
        *way, last = name.split("/")
        if counted and last.partition(":")[0] == "count":
            continue
        place = walked(held, way)
        variable = place.variable(last) if place else None
        if variable is None:
            raise FileFormatError(
                f"lacks the array {short(repr(name))} of {short(repr(layer))} that it names"
            )
        found.append((name, variable))
    return found


def walked(group: Group | None, way: Sequence[str]) -> Group | None:
    """Return the group at the end of a way, None where there is none."""
    for step in way:
        group = group.group(step) if group else None
    return group


class LayerArrays:
    """The arrays of a file by the layers of its config, each part of the file looked at once.

    Parameters
    ----------
    home : Group
        Where they are.
    """

    def __init__(self, home: Group) -> None:
        self.home, self.is_legacy = home, layer_names(home) is not None
        self.legacy: dict[str, list[tuple[list[str], Variable]]] = {}

    def of(self, entry: Entry, counted: bool) -> list[Variable]:
        """Return what the file holds of one layer, in order; see `legacy_variables` for `counted`."""
        if self.is_legacy:
            return self.of_legacy(entry, counted)
        group: Group | None = self.home
        for step in entry.path:
            inside = group.group("layers") or group.group("_layer_checkpoint_dependencies") if group else None
            group = inside.group(step) if inside else None
        if group is None:
            raise FileFormatError(
                f"{entry.label} has no arrays in the file, in {'/'.join(entry.path)!r:.100}"
            )
        return numbered(group, 2 if counted else None)

    def of_legacy(self, entry: Entry, counted: bool) -> list[Variable]:
        """Return the same of a file of Keras 2, where those of models within the model lie together."""
        if not entry.owners:
            return [variable for _, variable in legacy_variables(self.home, entry.name, counted)]
        outer, *inner = entry.owners
        if outer not in self.legacy:
            every = legacy_variables(self.home, outer, True)
            self.legacy[outer] = [(name.split("/"), variable) for name, variable in every]
        ends = entry.name.split("/")
        found = [(way, held) for way, held in self.legacy[outer] if way[-len(ends) - 1 : -1] == ends]
        if len({way[-1] for way, _ in found}) < len(found):
            found = [(way, held) for way, held in found if set(inner) <= set(way)]
        if len({way[-1] for way, _ in found}) < len(found):
            raise FileFormatError(
                f"{entry.label} has arrays of the same names as another layer of {short(repr(outer))}, "
                f"wanted names that differ, or a .keras file"
            )
        return [held for _, held in found]
