"""What a layer of Keras is here: layers, and the names of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from purecnn.backend.types import Shape
from purecnn.interop.keras.config import Config
from purecnn.layers.base import Layer


@dataclass(frozen=True)
class Translated:
    """What one layer of Keras is here.

    Attributes
    ----------
    layers : list of Layer
        In order; none for what acts in training alone.
    variables : list of str
        The names of Keras's arrays, in the order in which a file has them.
    names : dict of int to dict of str to str
        For each of `plain` that holds arrays, by its place: what `layouts` calls an array, and which
        of `variables` it is. Left out, the first one has all of them under their own names.
    """

    layers: list[Layer]
    variables: list[str] = field(default_factory=list)
    names: dict[int, dict[str, str]] | None = None

    @property
    def plain(self) -> list[Layer]:
        """The layers, in the place of one that is made of others these."""
        return [part for layer in self.layers for part in (layer.parts() or [layer])]

    def of(self, place: int) -> dict[str, str]:
        """Return the arrays of the layer at `place`."""
        if self.names is None:
            return {name: name for name in self.variables} if place == 0 else {}
        return self.names.get(place, {})


Translation = Callable[[Config, Shape], Translated]
