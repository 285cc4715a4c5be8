"""A skip connection: what some layers compute is added to what they were given, so that deep nets learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from purecnn.backend.types import Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite, as_branch


class Residual(Composite):
    """Add what some layers compute to their input: ``y = f(x) + x``, or ``f(x) + s(x)``.

    Backward ``dx`` is the sum of what comes back on both branches: ``f'(x) g + g``.

    Parameters
    ----------
    layers : list of Layer
        f, from input to output; one of them may be a Residual too.
    shortcut : list of Layer, optional
        s, where x and f(x) differ in shape: a convolution of 1 x 1 as a rule.

    Raises
    ------
    ShapeError
        When it is bound, if both branches end in different shapes.

    Notes
    -----
    He et al. 2015, https://arxiv.org/abs/1512.03385, with the activation behind the sum, as the next layer;
    He et al. 2016, https://arxiv.org/abs/1603.05027, have none there. In `parameters`, `gradients` and
    `buffers` the arrays of the layers have their place in front, ``"0.kernels"``, ``"shortcut.0.kernels"``.

    Examples
    --------
    >>> import numpy as np
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
        found = as_branch("a Residual", "layers", layers)
        beside = () if shortcut is None else as_branch("a Residual", "shortcut", shortcut)
        super().__init__({"": found, "shortcut": beside}, "add")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from input to output."""
        return self.branches[""]

    @property
    def shortcut(self) -> tuple[Layer, ...]:
        """The layers beside them, none where the input itself is added."""
        return self.branches["shortcut"]

    def combined(self, input_shape: Shape, shapes: Sequence[Shape]) -> Shape:
        """Return the shape in which both branches end."""
        found, skipped = shapes
        if found != skipped:
            raise ShapeError(
                f"{type(self).__name__} adds two arrays of one shape: its layers give {found}, its "
                f"{'shortcut' if self.shortcut else 'input has'} {skipped}; {remedy(input_shape, found)}"
            )
        return found

    def configuration(self) -> dict[str, Any]:
        """Return both lists of layers: a file keeps what each says of itself."""
        return {"layers": list(self.layers), "shortcut": list(self.shortcut) or None}


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
