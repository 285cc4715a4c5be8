"""Layout of a network's samples beside the graph's: their axes in another order, or named anew.

Programs that keep channels last write a Transpose where an operator of ONNX's wants them first, and turn them
back behind it. None of these moves a number here: where the axes lie is remembered, and layers move them only
where one is wanted elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.layers.base import Layer
from purecnn.layers.reshape import ChannelShuffle, Flatten, Reshape
from purecnn.layers.shapes import NamedShape, sample_shape

#: Axes of a sample that can be moved.
MOST_AXES = 6


@dataclass(frozen=True)
class Layout:
    """How the network's samples lie beside the graph's.

    Attributes
    ----------
    held : tuple of int
        The shape of a sample of the network.
    shape : tuple of int
        The shape of a sample of the graph: ``sample.transpose(axes).reshape(shape)`` of the network's.
    axes : tuple of int
        See above.
    """

    held: Shape
    shape: Shape
    axes: tuple[int, ...]

    @classmethod
    def plain(cls, held: Shape, shape: Shape | None = None) -> Self:
        """Return the layout of samples whose axes are in the graph's order."""
        return cls(held, held if shape is None else shape, tuple(range(len(held))))

    def named(self, shape: Shape) -> Self:
        """Return the layout of the same values, the graph's axes named anew."""
        return replace(self, shape=shape)

    def bound(self, held: Shape) -> Self:
        """Return the layout of the same values in samples of a shape, which may lack axes of length one."""
        if len(held) == len(self.axes):
            return replace(self, held=held)
        return self.plain(held, self.shape)  # a vector, whose values lie in the same order along any axis

    @property
    def is_plain(self) -> bool:
        """Whether the axes are in the graph's order."""
        return self.axes == tuple(range(len(self.held)))

    @property
    def is_whole(self) -> bool:
        """Whether the graph's axes are the network's, in any order: none was cut, joined or dropped."""
        return self.shape == tuple(self.held[axis] for axis in self.axes)

    @property
    def is_vector(self) -> bool:
        """Whether all values of a sample lie along one axis, of the graph and of the network."""
        return all(math.prod(shape) == max(shape, default=1) for shape in (self.held, self.shape))

    def settled(self) -> tuple[list[Layer], Layout]:
        """Return the layers that bring samples to the graph's order and shape, and the layout behind them."""
        return self.moved(self.axes, self.shape), Layout.plain(self.shape)

    def moved(self, axes: tuple[int, ...], shape: Shape) -> list[Layer]:
        """Return the layers that bring samples to an order of their axes, then to a shape."""
        held, layers = self.held, []
        for groups, cut in shuffles(held, axes):
            layers += [*rename(held, cut), ChannelShuffle(groups)]
            held = cut
        return [*layers, *rename(held, shape)]

    def whole(self) -> tuple[list[Layer], Layout]:
        """Return the layers and the layout behind them, such that the graph's axes are the network's."""
        if self.is_whole or not self.shape:  # of samples that are a number each there are no axes
            return [], self
        if self.is_vector:
            size = math.prod(self.shape)
            axis = int(np.argmax(self.shape))
            held = (size, *[1] * (len(self.shape) - 1))
            order = [1 + place - (place > axis) for place in range(len(self.shape))]
            order[axis] = 0
            return rename(self.held, held), Layout(held, self.shape, tuple(order))
        return self.settled()

    def groups(self) -> list[list[int]] | None:
        """Return the axes of the graph that each of the network's was cut into, in the graph's order.

        None where some were joined. Axes of length one are part of what stands before them.
        """
        found: list[list[int]] = []
        place = 0
        for axis in self.axes:
            size, group = 1, []
            while place < len(self.shape) and (size < self.held[axis] or self.shape[place] == 1):
                size *= self.shape[place]
                group.append(place)
                place += 1
            if size != self.held[axis]:
                return None
            found.append(group)
        return found if place == len(self.shape) else None

    def transposed(self, perm: Sequence[int]) -> tuple[list[Layer], Layout]:
        """Return the layers and the layout behind them where the graph's axes are brought to an order."""
        groups = self.groups()
        if groups is not None:
            real = [axis for axis in perm if self.shape[axis] > 1]
            places = [[axis for axis in group if self.shape[axis] > 1] for group in groups]
            of_axis = {axis: number for number, group in enumerate(places) for axis in group}
            order = list(dict.fromkeys(of_axis[axis] for axis in real))
            if [axis for number in order for axis in places[number]] == real:
                order += [number for number in range(len(groups)) if number not in order]
                axes = tuple(self.axes[number] for number in order)
                return [], replace(self, shape=tuple(self.shape[axis] for axis in perm), axes=axes)
        layers, plain = self.settled()
        return layers, replace(plain, shape=tuple(self.shape[axis] for axis in perm), axes=tuple(perm))

    def in_front(self, axis: int) -> tuple[list[Layer], Layout]:
        """Return the layers and the layout behind them, an axis of the graph being the network's first."""
        layers, layout = self.whole()
        first = layout.axes[axis]
        if not first:
            return layers, layout
        order = (first, *(place for place in range(len(layout.held)) if place != first))
        more, behind = layout.reordered(order)
        return [*layers, *more], behind

    def reordered(self, order: tuple[int, ...]) -> tuple[list[Layer], Layout]:
        """Return the layers that move the network's axes, and the layout behind them."""
        held = tuple(self.held[axis] for axis in order)
        axes = tuple(order.index(axis) for axis in self.axes)
        return self.moved(order, held), replace(self, held=held, axes=axes)

    def adapted(self, axes: tuple[int, ...]) -> tuple[list[Layer], Layout]:
        """Return the layers and the layout behind them, such that the graph's axes lie at these places."""
        layers, layout = self.whole()
        order = tuple(layout.axes[axes.index(place)] for place in range(len(axes)))
        if order == tuple(range(len(order))):
            return layers, layout
        more, behind = layout.reordered(order)
        return [*layers, *more], behind

    def of_constant(self, array: Array) -> Array | None:
        """Return an array that is put together with samples of the graph as it lies beside the network's.

        None where it has an axis of samples, or more axes than these.
        """
        if array.ndim > len(self.shape) + 1:
            return None
        spread = array.reshape(*[1] * (len(self.shape) + 1 - array.ndim), *array.shape)
        if len(spread) != 1 or not self.is_whole:
            return None
        laid: Array = spread[0].transpose(tuple(self.axes.index(place) for place in range(len(self.axes))))
        return laid


def shuffles(shape: Shape, axes: tuple[int, ...]) -> list[tuple[int, Shape]]:
    """Return the channel shuffles that bring axes to an order: their groups, and the shape each is given.

    A shuffle of g groups turns the two axes ``(g, n / g)``. So with some first axes as one, it moves the
    first of these behind the others. The fewest that lead to the order are searched for.

    Examples
    --------
    >>> shuffles((3, 4, 5), (1, 2, 0)), shuffles((3, 4, 5), (1, 0, 2)), shuffles((3, 4, 5), (0, 1, 2))
    ([(3, (60,))], [(3, (12, 5))], [])
    """
    wanted = tuple(axis for axis in axes if shape[axis] > 1)  # the others are no matter in memory
    if len(wanted) > MOST_AXES:
        raise ValueError(f"{len(wanted)} axes are moved, wanted at most {MOST_AXES}")
    first = tuple(sorted(wanted))
    found: dict[tuple[int, ...], list[tuple[int, Shape]]] = {first: []}
    waiting = [first]
    for order in waiting:
        if wanted in found:
            break
        for end in range(len(order), 1, -1):
            for cut in range(1, end):
                moved = (*order[cut:end], *order[:cut], *order[end:])
                if moved not in found:
                    front, rest = (
                        math.prod(shape[axis] for axis in part) for part in (order[:end], order[end:])
                    )
                    groups = math.prod(shape[axis] for axis in order[:cut])
                    found[moved] = [*found[order], (groups, (front, rest) if end < len(order) else (front,))]
                    waiting.append(moved)
    return found[wanted]


def rename(held: Shape, shape: Shape) -> list[Layer]:
    """Return the layers that bring samples of one shape to another of as many values."""
    if not shape or held == sample_shape(shape) or tuple(held) == tuple(shape):
        return []
    flat = len(sample_shape(shape)) == 1
    return [Flatten()] if flat else [Reshape(NamedShape(held), NamedShape(shape))]
