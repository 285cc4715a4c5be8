"""Residual connections.

A skip connection: what some layers compute is added to what they were given, so that deep nets learn.
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


class Residual(Layer):
    """Add what some layers compute to their input: ``y = f(x) + x``, or ``f(x) + s(x)``.

    Backward ``dx`` is the sum of what comes back on both ways: ``f'(x) g + g``.

    Parameters
    ----------
    layers : list of Layer
        f, from input to output; one of them may be a Residual too.
    shortcut : list of Layer, optional
        s, where x and f(x) differ in shape: a convolution of 1 x 1 as a rule.

    Raises
    ------
    ShapeError
        When it is bound, if both ways end in different shapes.

    Notes
    -----
    He et al. 2015, https://arxiv.org/abs/1512.03385, with the activation behind the sum, as the next layer;
    He et al. 2016, https://arxiv.org/abs/1603.05027, have none there. In `parameters`, `gradients` and
    `buffers` the arrays of the layers have their place in front, ``"0.kernels"``, ``"shortcut.0.kernels"``.

    Examples
    --------
    >>> from purecnn import Dense
    >>> layer = Residual([Dense(2, 2, rng=0)])
    >>> layer.parameters["0.weights"][...] = [[0, 1], [1, 0]]
    >>> layer.forward(np.array([[1.0], [5.0]]))
    array([[6.],
           [6.]], dtype=float32)
    """

    output_is_free = True
    holds = ("layers", "shortcut")

    def __init__(self, layers: Sequence[Layer], shortcut: Sequence[Layer] | None = None) -> None:
        self.layers: tuple[Layer, ...] = ()
        self.shortcut: tuple[Layer, ...] = ()
        super().__init__()
        self.layers = as_way("layers", layers)
        self.shortcut = () if shortcut is None else as_way("shortcut", shortcut)
        self.draws = any(part.draws for part in self.parts())
        wants = (f.sample_axes for f in (*self.layers, *self.shortcut) if f.sample_axes is not None)
        self.sample_axes = next(wants, None)
        if self.layers[0].input_shape is not None:
            self.bind(self.layers[0].input_shape)

    def inside(self) -> dict[str, Layer]:
        """Return the layers by what stands in front of their arrays' names."""
        return {str(place): layer for place, layer in enumerate(self.layers)} | {
            f"shortcut.{place}": layer for place, layer in enumerate(self.shortcut)
        }

    @property
    def trainable(self) -> bool:
        """Whether training changes any of the layers; set, it is set in all of them."""
        return any(layer.trainable for layer in self.inside().values())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.inside().values():
            layer.trainable = value

    # The layers' arrays are this one's: whoever reads or writes them here does so there.

    @property  # type: ignore[override]
    def parameters(self) -> Arrays:
        """The layers' parameters."""
        return Arrays({name: layer.parameters for name, layer in self.inside().items()})

    @parameters.setter
    def parameters(self, arrays: Mapping[str, Array]) -> None:
        replace(self.parameters, arrays)

    @property  # type: ignore[override]
    def gradients(self) -> Arrays:
        """The layers' gradients."""
        return Arrays({name: layer.gradients for name, layer in self.inside().items()})

    @gradients.setter
    def gradients(self, arrays: Mapping[str, Array]) -> None:
        replace(self.gradients, arrays)

    @property  # type: ignore[override]
    def buffers(self) -> Arrays:
        """The layers' buffers."""
        return Arrays({name: layer.buffers for name, layer in self.inside().items()})

    @buffers.setter
    def buffers(self, arrays: Mapping[str, Array]) -> None:
        replace(self.buffers, arrays)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the layers' parameters."""
        return {
            f"{front}.{name}": shape
            for front, layer in self.inside().items()
            for name, shape in layer.parameter_shapes().items()
        }

    def buffer_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the layers' buffers."""
        return {
            f"{front}.{name}": shape
            for front, layer in self.inside().items()
            for name, shape in layer.buffer_shapes().items()
        }

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Draw the parameters of each layer that has none yet; of all, where all have theirs."""
        missing = self.lacks_parameters()
        for way in (self.layers, self.shortcut):
            for place, layer in enumerate(way):
                if layer.lacks_parameters() or not missing:
                    behind = (f.gain for f in way[place + 1 :] if f.gain or f.parameter_shapes())
                    layer.draw(rng, dtype, next(behind, gain) or "glorot")

    def infer(self, input_shape: Shape) -> Shape:
        """Bind the layers; return the shape in which both ways end."""
        before = self.input_shape
        try:
            found, skipped = (
                bind_way("", self.layers, input_shape),
                bind_way("shortcut ", self.shortcut, input_shape),
            )
            if found != skipped:
                raise ShapeError(
                    f"{type(self).__name__} adds two arrays of one shape: its layers give {found}, its "
                    f"{'shortcut' if self.shortcut else 'input has'} {skipped}; {remedy(input_shape, found)}"
                )
        except ShapeError:
            if before is not None and before != input_shape:
                self.infer(before)
            raise
        return found

    def replica(self) -> Self:
        """Return a worker's twin, made of the layers' twins."""
        twin = super().replica()
        twin.layers, twin.shortcut = (tuple(f.replica() for f in way) for way in (self.layers, self.shortcut))
        return twin

    def steps(self) -> list[Layer]:
        """Return the layers between a `Fork` and its `Join`, in a flat list: any may be a barrier."""
        found: list[Layer] = [Fork(), *(step for layer in self.layers for step in layer.steps())]
        if self.shortcut:
            found += [Cross(), *(step for layer in self.shortcut for step in layer.steps())]
        return [*found, Join()]

    def forward(self, input: Array) -> Array:
        """Return ``f(x) + s(x)``."""
        x = self.receive(input)
        for part in self.inside().values():
            part.training = self.training and trains(part)
            if self.random is not None:
                part.random = self.random
        found, skipped = x, x
        for layer in self.layers:
            found = layer.forward(found)
        for layer in self.shortcut:
            skipped = layer.forward(skipped)
        return found + skipped

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the sum of what comes back on both ways."""
        g = self.receive_gradient(output_gradient)
        found: Array | None = g
        skipped: Array | None = g
        for layer in reversed(self.layers):
            found = layer.backward(found)  # type: ignore[arg-type]
        for layer in reversed(self.shortcut):
            skipped = layer.backward(skipped)  # type: ignore[arg-type]
        return found + skipped if self.propagate else None  # type: ignore[operator]

    def configuration(self) -> dict[str, Any]:
        """Return both lists of layers: a file keeps what each says of itself."""
        return {"layers": list(self.layers), "shortcut": list(self.shortcut) or None}

    def multiply_adds(self) -> int:
        """Return those of the layers."""
        return sum(layer.multiply_adds() for layer in self.inside().values())


def as_way(name: str, layers: Any) -> tuple[Layer, ...]:
    """Return `layers` as a tuple, if it is a list of layers."""
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"{name} of a Residual must be a list of layers, got {layers!r}")
    if not layers:
        raise ValueError(f"{name} of a Residual must have at least one layer, got none")
    return tuple(layers)


def bind_way(name: str, layers: Sequence[Layer], shape: Shape) -> Shape:
    """Bind layers one after another; return the last one's output shape."""
    for place, layer in enumerate(layers):
        try:
            shape = layer.bind(shape)
        except ShapeError as error:
            raise ShapeError(f"{name}layer {place} of a Residual: {error}") from None
    return shape


def remedy(given: Shape, wanted: Shape) -> str:
    """Return which shortcut brings one shape to another, in words.

    Examples
    --------
    >>> remedy((8, 14, 14), (16, 7, 7))
    'try shortcut=[Convolutional(kernel_size=1, depth=16, stride=(2, 2))]'
    """
    if len(given) == len(wanted) == 1:
        return f"try shortcut=[Dense(output_size={wanted[0]})]"
    if len(given) == len(wanted) == 3:
        steps = tuple(-(-a // b) for a, b in zip(given[1:], wanted[1:], strict=True))
        if all((a - 1) // step + 1 == b for a, b, step in zip(given[1:], wanted[1:], steps, strict=True)):
            stride = "" if steps == (1, 1) else f", stride={steps}"
            return f"try shortcut=[Convolutional(kernel_size=1, depth={wanted[0]}{stride})]"
    return "a shortcut that gives the shape of the layers' output is wanted"


def replace(held: Arrays, arrays: Mapping[str, Array]) -> None:
    """Put other arrays in the place of those held."""
    given = dict(arrays)
    held.clear()
    held.update(given)


class Fork(Layer):
    """Where the engine's ways part: the first keeps what the second and the sum want.

    Attributes
    ----------
    input : ndarray
        What both ways are given.
    first : ndarray or None
        Where the first way ended, once the engine is on the second.
    gradient, skipped : ndarray
        The sum's derivative, and what came back on the way that is not the first.
    """

    input: Array
    first: Array | None
    gradient: Array
    skipped: Array

    def forward(self, input: Array) -> Array:
        """Return x."""
        self.input, self.first = input, None
        return input

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the sum of what came back on both ways."""
        g = output_gradient
        return self.xp.add(g, self.skipped, out=self.workspace.like("input_gradient", g))


class Cross(Layer):
    """From the end of the first way to the beginning of the second."""

    fork: Fork

    def forward(self, input: Array) -> Array:
        """Return what the fork was given."""
        self.fork.first = input
        return self.fork.input

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the sum's derivative, and keep what came back on the second way."""
        self.fork.skipped = output_gradient
        return self.fork.gradient


class Join(Layer):
    """Where the ways meet again."""

    output_is_free = True
    fork: Fork

    def forward(self, input: Array) -> Array:
        """Return the sum of both ways."""
        other = self.fork.input if self.fork.first is None else self.fork.first
        return self.xp.add(input, other, out=self.workspace.like("output", input))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g, and keep it for the other way."""
        self.fork.gradient = self.fork.skipped = output_gradient
        return output_gradient


def pair_up(layers: Sequence[Layer]) -> None:
    """Let each cross and join know the fork that it belongs to, among steps in their order."""
    forks: list[Fork] = []
    for layer in layers:
        if isinstance(layer, Fork):
            forks.append(layer)
        elif isinstance(layer, Cross):
            layer.fork = forks[-1]
        elif isinstance(layer, Join):
            layer.fork = forks.pop()
