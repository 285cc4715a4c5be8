"""Values held side by side in one vector, for layers behind that want several of them: paths that cross."""

from __future__ import annotations

import math
from collections.abc import Iterable

from purecnn.backend.types import Shape
from purecnn.interop.keras.axes import reshape
from purecnn.layers.base import Layer
from purecnn.layers.reshape import Flatten
from purecnn.layers.spatial.padding import Cropping


class Held:
    """The values that one array holds: one as it is, or several as the stretches of a vector.

    Parameters
    ----------
    values : iterable of (str, tuple of int)
        Their names and shapes, in order.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        The same.
    """

    def __init__(self, values: Iterable[tuple[str, Shape]]) -> None:
        self.shapes = dict(values)

    @property
    def shape(self) -> Shape:
        """The shape of the array."""
        shapes = list(self.shapes.values())
        return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)

    def take(self, value: str, flat: bool = False) -> list[Layer]:
        """Return layers that take one value out of the array, as a vector if it is to be `flat`.

        Examples
        --------
        >>> Held([("a", (2,)), ("b", (3,))]).take("b")[1].cropping
        ((2, 0), (0, 0))
        """
        shape = self.shapes[value]
        if len(self.shapes) == 1:
            return [Flatten()] if flat and len(shape) > 1 else []
        names = list(self.shapes)
        before = sum(math.prod(self.shapes[name]) for name in names[: names.index(value)])
        size, (whole,) = math.prod(shape), self.shape
        after = (size,) if flat else shape
        # an image of one channel, each of whose rows is a number: what is cut is a view
        cut = Cropping(((before, whole - before - size), (0, 0)))
        return [reshape((whole,), (1, whole, 1)), cut, reshape((1, size, 1), after)]
