"""Merges: how the ends of branches become one array.

Added, concatenated along the channels, multiplied, or their maximum or mean, each with its way back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.composites.steps import Join


class Merge(Join):
    """The join of so many branches.

    Parameters
    ----------
    count : int
        How many branches meet.
    """

    output_is_free = True

    def __init__(self, count: int = 2) -> None:
        super().__init__()
        self.count = count

    @classmethod
    def shape(cls, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of what is made of arrays of these shapes.

        Raises
        ------
        ShapeError
            If they don't fit, with what they would have to be.
        """
        if len(set(shapes)) > 1:
            raise ShapeError("wants arrays of one shape")
        return shapes[0]


class Sum(Merge):
    """The sum: ``y = a + b + ...``; backward every branch is given g."""

    output_is_free = True

    def combine(self, ends: list[Array]) -> Array:
        """Return the sum of all ends."""
        first, second, *rest = ends
        y: Array = self.xp.add(first, second, out=self.workspace.like("output", first))
        for end in rest:
            y += end
        return y

    def share(self, g: Array) -> list[Array]:
        """Return g for all."""
        return [g] * self.count


class Mean(Sum):
    """The mean of n branches: ``y = (a + b + ...) / n``; backward every branch is given ``g / n``."""

    output_is_free = True

    def combine(self, ends: list[Array]) -> Array:
        """Return the mean of all ends."""
        y = super().combine(ends)
        y *= 1 / self.count
        return y

    def share(self, g: Array) -> list[Array]:
        """Return ``g / n`` for all."""
        part = self.xp.multiply(g, 1 / self.count, out=self.workspace.like("share", g))
        return [part] * self.count


class Concatenation(Merge):
    """One behind the other along the first axis: the channels of images, the features of vectors.

    Backward each branch is given its own stretch of g. All ends are copied: a step of DenseNet-40-12 whose
    layers wrote into one array, each behind the channels there, took 1.18 to 1.33 times as long.
    """

    output_is_free = True

    @classmethod
    def shape(cls, shapes: Sequence[Shape]) -> Shape:
        """Return the shape with the channels of all."""
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError("wants arrays of one height and width")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def combine(self, ends: list[Array]) -> Array:
        """Return a copy of all ends in one array."""
        edges = [0, *itertools.accumulate(map(len, ends))]
        self.places = [slice(*edge) for edge in itertools.pairwise(edges)]
        y = self.workspace.array("output", (edges[-1], *ends[0].shape[1:]), ends[0].dtype)
        for place, end in zip(self.places, ends, strict=True):
            y[place] = end
        return y

    def share(self, g: Array) -> list[Array]:
        """Return the stretches of g, views."""
        return [g[place] for place in self.places]


class Product(Merge):
    """The product: ``y = a b ...``; backward each branch is given g times the product of the others.

    A vector ``(C,)`` beside images ``(C, H, W)`` has a factor for each channel (squeeze-and-excitation, Hu et
    al. 2017, https://arxiv.org/abs/1709.01507), and is given the sum over the image.
    """

    output_is_free = True

    @classmethod
    def shape(cls, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the images, or that of all."""
        largest = max(shapes, key=lambda shape: (len(shape), math.prod(shape)))
        if any(shape not in (largest, largest[:1]) for shape in shapes):
            raise ShapeError(
                "wants arrays of one shape, or images and vectors with a number for each channel"
            )
        return largest

    def combine(self, ends: list[Array]) -> Array:
        """Return the product of all ends."""
        axes = max(end.ndim for end in ends)
        self.is_spread = [end.ndim < axes for end in ends]
        #: Vectors with axes of length one where images have their height and width.
        self.factors = [
            end.reshape(len(end), *[1] * (axes - end.ndim), end.shape[-1]) if spread else end
            for end, spread in zip(ends, self.is_spread, strict=True)
        ]
        whole = next(end for end in ends if end.ndim == axes)
        first, second, *rest = sorted(self.factors, key=lambda factor: factor.shape != whole.shape)
        y: Array = self.xp.multiply(first, second, out=self.workspace.like("output", whole))
        for factor in rest:
            y *= factor
        return y

    def share(self, g: Array) -> list[Array]:
        """Return g times the product of the others for each, summed where it was spread."""
        shares: list[Array] = []
        for place, is_spread in enumerate(self.is_spread):
            other, *rest = (held for spot, held in enumerate(self.factors) if spot != place)
            part: Array = self.xp.multiply(g, other, out=self.workspace.like(f"share {place}", g))
            for held in rest:
                part *= held
            shares.append(part.sum(axis=tuple(range(1, g.ndim - 1))) if is_spread else part)
        return shares


class Maximum(Merge):
    """The largest: ``y = max(a, b, ...)``; backward g goes to the branch that gave it, the first of a tie."""

    output_is_free = True

    def combine(self, ends: list[Array]) -> Array:
        """Return the largest of all ends."""
        y, *rivals = ends
        self.won: list[Array] = []
        for place, rival in enumerate(rivals):
            won = self.workspace.array(f"won {place}", y.shape, bool)
            self.xp.greater(rival, y, out=won)
            y = self.xp.maximum(y, rival, out=self.workspace.like(f"output {place}", y))
            self.won.append(won)
        return y

    def share(self, g: Array) -> list[Array]:
        """Return g where each branch won, from the last one back, else zero."""
        left = self.workspace.like("left", g)
        left[...] = g
        shares: list[Array] = []
        for place in range(len(self.won) - 1, -1, -1):
            part = self.workspace.like(f"share {place}", g)
            self.xp.multiply(left, self.won[place], out=part)
            left -= part
            shares.append(part)
        return [left, *reversed(shares)]


#: What a composite may do with the ends of its branches, by name.
MERGES: dict[str, type[Merge]] = {
    "add": Sum,
    "concatenate": Concatenation,
    "multiply": Product,
    "maximum": Maximum,
    "mean": Mean,
}
