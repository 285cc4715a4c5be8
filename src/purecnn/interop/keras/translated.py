"""What a layer of Keras is here: layers, and the names of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError
from purecnn.formats.hdf5 import Variable
from purecnn.interop.keras.config import Config
from purecnn.layers.base import Layer


@dataclass(frozen=True)
class Form:
    """How an array in a file becomes one that a layer here takes, where the two have other axes.

    Attributes
    ----------
    shape : tuple of int
        What it must have in the file.
    result : tuple of int
        What it has then, of at most as many values as the layer's input.
    make : callable
        From one to the other.
    """

    shape: Shape
    result: Shape
    make: Callable[[Array], Array]


class Formed:
    """An array of a file in another form, read as a `Variable` is.

    Parameters
    ----------
    variable : Variable
        Of the file.
    form : Form
        Which.
    """

    def __init__(self, variable: Variable, form: Form) -> None:
        if variable.shape != form.shape:
            raise FileFormatError(f"{variable.name} has shape {variable.shape!r:.100}, wanted {form.shape}")
        self.variable, self.form, self.name = variable, form, variable.name
        self.shape = form.result

    def read(self) -> Array:
        """Return the values."""
        return self.form.make(self.variable.read()).reshape(self.shape)


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
    forms : dict of str to Form
        For each of `variables` that has other axes in the file.
    counted : bool
        Whether the file counts behind these arrays what they were made of, which nothing here wants.
    """

    layers: list[Layer]
    variables: list[str] = field(default_factory=list)
    names: dict[int, dict[str, str]] | None = None
    forms: dict[str, Form] = field(default_factory=dict)
    counted: bool = False

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
