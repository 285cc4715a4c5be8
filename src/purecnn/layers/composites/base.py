"""What every layer made of layers shares: branches that begin at its input, and whose ends are put together.

To its user a composite is one layer, whose arrays are those of its layers under longer names. To the engine
it is a flat list of steps, so that what is inside is fused, and may need the whole batch, like everything
else. A call of its own runs the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import trains
from purecnn.layers.composites.merges import MERGES, Merge
from purecnn.layers.composites.steps import Cross, Fork, pair_up


class Arrays(MutableMapping[str, Array]):
    """The named arrays of several layers as one: what is written here is written there.

    Examples
    --------
    >>> inner = {"weights": np.zeros(2)}
    >>> both = Arrays({"0": inner, "1": {}})
    >>> both["0.weights"] = np.ones(2)
    >>> inner, list(both)
    ({'weights': array([1., 1.])}, ['0.weights'])
    """

    def __init__(self, held: Mapping[str, MutableMapping[str, Array]]) -> None:
        self.held = held

    def place(self, name: str) -> tuple[MutableMapping[str, Array], str]:
        """Return whose array this is, and its name there."""
        end = name.find(".")
        while end >= 0:
            if (arrays := self.held.get(name[:end])) is not None:
                return arrays, name[end + 1 :]
            end = name.find(".", end + 1)
        raise KeyError(name)

    def __getitem__(self, name: str) -> Array:
        arrays, rest = self.place(name)
        return arrays[rest]

    def __setitem__(self, name: str, array: Array) -> None:
        arrays, rest = self.place(name)
        arrays[rest] = array

    def __delitem__(self, name: str) -> None:
        arrays, rest = self.place(name)
        del arrays[rest]

    def __iter__(self) -> Iterator[str]:
        return (f"{front}.{name}" for front, arrays in self.held.items() for name in arrays)

    def __len__(self) -> int:
        return sum(map(len, self.held.values()))

    def __or__(self, other: Mapping[str, Array]) -> dict[str, Array]:
        return {**self, **other}

    def __repr__(self) -> str:
        return repr(dict(self))


class OfParts:
    """An attribute of a composite whose arrays are those that its layers have under the same name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        return Arrays({front: getattr(part, self.name) for front, part in layer.inside().items()})

    def __set__(self, layer: Any, arrays: Mapping[str, Array]) -> None:
        given, held = dict(arrays), getattr(layer, self.name)
        held.clear()
        held.update(given)


class Composite(Layer):
    """A layer made of branches, lists of layers: all are given its input, and their ends are put together.

    Parameters
    ----------
    branches : dict of str to list of Layer
        The branches in order, by what stands in front of the names of their arrays: ``""`` for nothing. A
        branch without layers ends in the input.
    merge : str
        How: one of `MERGES`.

    Attributes
    ----------
    branches, merge
        The same.
    """

    parameters: Any = OfParts()
    gradients: Any = OfParts()
    buffers: Any = OfParts()

    def __init__(self, branches: Mapping[str, Sequence[Layer]], merge: str) -> None:
        self.branches: dict[str, tuple[Layer, ...]] = {}
        self.merge = merge
        super().__init__()
        self.branches = {front: tuple(branch) for front, branch in branches.items()}
        self.draws = any(part.draws for part in self.parts())
        wants = (f.sample_axes for f in self.inside().values() if f.sample_axes is not None)
        self.sample_axes = next(wants, None)
        first = next(iter(self.inside().values()))
        if first.input_shape is not None:
            self.bind(first.input_shape)

    def combined(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        """Return the output's shape where the branches end in `shapes`; `ShapeError` if they don't fit."""
        try:
            return MERGES[self.merge].shape(shapes)
        except ShapeError as error:
            ends = (
                f"{self.name_of(f)} ends in {shape}" for f, shape in zip(self.branches, shapes, strict=True)
            )
            raise ShapeError(f"merge={self.merge!r} of {self.called} {error}; {', '.join(ends)}") from None

    def join(self) -> Merge:
        """Return the step that puts the ends of the branches together."""
        return MERGES[self.merge](len(self.branches))

    def inside(self) -> dict[str, Layer]:
        """Return the layers by what stands in front of their arrays' names."""
        return {
            f"{front}.{place}" if front else str(place): layer
            for front, branch in self.branches.items()
            for place, layer in enumerate(branch)
        }

    @property
    def trainable(self) -> bool:
        """Whether training changes any of the layers; set, it is set in all of them."""
        return any(layer.trainable for layer in self.inside().values())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.inside().values():
            layer.trainable = value

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the layers' parameters."""
        return self.shapes_of("parameter_shapes")

    def buffer_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the layers' buffers."""
        return self.shapes_of("buffer_shapes")

    def shapes_of(self, method: str) -> dict[str, Shape]:
        """Return what that method of each layer returns, under this one's names."""
        return {
            f"{front}.{name}": shape
            for front, layer in self.inside().items()
            for name, shape in getattr(layer, method)().items()
        }

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Draw the parameters of each layer that has none yet; of all, where all have theirs."""
        missing = self.lacks_parameters()
        for branch in self.branches.values():
            for place, layer in enumerate(branch):
                if layer.lacks_parameters() or not missing:
                    behind = (f.gain for f in branch[place + 1 :] if f.gain or f.parameter_shapes())
                    layer.draw(rng, dtype, next(behind, gain) or "glorot")

    def infer(self, input_shape: Shape) -> Shape:
        """Bind the layers of each branch; return the shape that their ends make."""
        before = self.input_shape
        try:
            return self.combined(
                input_shape, [self.bind_branch(front, input_shape) for front in self.branches]
            )
        except ShapeError:
            if before is not None and before != input_shape:
                self.infer(before)
            raise

    def bind_branch(self, front: str, shape: Shape) -> Shape:
        """Bind the layers of a branch one after another; return the last one's output shape."""
        for place, layer in enumerate(self.branches[front]):
            try:
                shape = layer.bind(shape)
            except ShapeError as error:
                name = f"{self.name_of(front)} layer {place}".lstrip()
                raise ShapeError(f"{name} of {self.called}: {error}") from None
        return shape

    @property
    def called(self) -> str:
        """What this layer is called in messages."""
        return f"a {type(self).__name__}"

    def name_of(self, front: str) -> str:
        """Return what a branch is called in messages, "" for the only one that needs no name."""
        return front

    def replica(self, xp: Any = np) -> Self:
        """Return a worker's twin, made of the layers' twins."""
        twin = super().replica(xp)
        twin.branches = {
            front: tuple(f.replica(xp) for f in branch) for front, branch in self.branches.items()
        }
        return twin

    def sequence(self) -> list[Layer]:
        """Return the branches one after another, between a `Fork` and what joins them."""
        found: list[Layer] = []
        for branch in self.branches.values():
            found += [Cross() if found else Fork(), *branch]
        return [*found, self.join()]

    def steps(self) -> list[Layer]:
        """Return the same with the steps of what is made of layers in its place: any may be a barrier."""
        return [inner for step in self.sequence() for inner in step.steps()]

    def forward(self, input: Array) -> Array:
        """Run the steps in order."""
        output = self.receive(input)
        for part in self.inside().values():
            part.training = self.training and trains(part)
            if self.random is not None:
                part.random = self.random
        self.ran = self.sequence()
        pair_up(self.ran)
        for step in self.ran:
            output = step.forward(output)
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Run them back."""
        g: Any = self.receive_gradient(output_gradient)
        for step in reversed(self.ran):
            g = step.backward(g)
        return g if self.propagate else None

    def multiply_adds(self) -> int:
        """Return those of the layers."""
        return sum(layer.multiply_adds() for layer in self.inside().values())

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "ran"}


def as_layers(called: str, name: str, layers: Any) -> tuple[Layer, ...]:
    """Return `layers`, the argument `name` of a composite, as a tuple, if it is a list of layers."""
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"{name} of {called} must be a list of layers, got {layers!r}")
    return tuple(layers)


def as_branch(called: str, name: str, layers: Any) -> tuple[Layer, ...]:
    """Return the same, if it is not empty."""
    as_layers(called, name, layers)
    if not layers:
        raise ValueError(f"{name} of {called} must have at least one layer, got none")
    return tuple(layers)
