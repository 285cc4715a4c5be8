"""Branches: several paths from one input, whose ends become one, as in Inception, DenseNet and U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from purecnn.backend.checks import choice
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite, as_layers
from purecnn.layers.composites.merges import MERGES


class Branches(Composite):
    """Give one input to several paths of layers, and make one array of their ends.

    - ``"add"``: ``y = a + b + ...``; backward each path is given g.
    - ``"concatenate"``: the channels of all, one behind the other; each its own stretch of g.
    - ``"multiply"``: ``y = a b ...``; each g times the product of the others.
    - ``"maximum"``: ``y = max(a, b, ...)``; g goes to the path that gave the largest, the first of a tie.
    - ``"mean"``: ``y = (a + b + ...) / n``; each ``g / n``.

    The input's gradient is the sum of what comes back on all paths. Paths may hold Branches again, to any
    depth: whatever can be drawn so that lines part and meet in pairs can be written. What can't: networks of
    several inputs or outputs, and paths that leave others half-way, as some found by search have them.

    As Keras's ``Add``, ``Concatenate``, ``Multiply``, ``Maximum`` and ``Average``, and as ``torch.cat`` and
    arithmetic in a ``forward`` of one's own.

    Parameters
    ----------
    *paths : list of Layer
        Two or more; an empty one ends in the input itself.
    merge : str
        See above. With "multiply", vectors ``(C,)`` beside images ``(C, H, W)`` have a factor for each
        channel.

    Raises
    ------
    ShapeError
        When it is bound, if the paths end in shapes that don't fit.

    Notes
    -----
    In `parameters`, `gradients` and `buffers` the arrays of the layers have path and place in front,
    ``"0.1.kernels"``.

    Examples
    --------
    >>> import numpy as np
    >>> from purecnn import MaxPooling, AveragePooling
    >>> layer = Branches([MaxPooling(2)], [AveragePooling(2)])
    >>> layer.forward(np.arange(4.0).reshape(1, 2, 2, 1)).ravel()
    array([3. , 1.5])
    """

    output_is_free = True
    holds = ("paths",)

    def __init__(self, *paths: Sequence[Layer], merge: str = "concatenate") -> None:
        merge = choice("merge", merge, tuple(MERGES))
        if len(paths) < 2:
            raise ValueError(f"{self.called} must have at least two paths, got {len(paths)}")
        found = [as_layers(self.called, f"path {place}", path) for place, path in enumerate(paths)]
        if not any(found):
            raise ValueError(f"{self.called} must have at least one layer on its paths, got none")
        super().__init__({str(place): path for place, path in enumerate(found)}, merge)

    @property
    def paths(self) -> tuple[tuple[Layer, ...], ...]:
        """The layers of each path, from input to output."""
        return tuple(self.branches.values())

    @property
    def called(self) -> str:
        """What this layer is called in messages."""
        return type(self).__name__

    def name_of(self, front: str) -> str:
        """Return what a path is called in messages."""
        return f"path {front}"

    def configuration(self) -> dict[str, Any]:
        """Return the paths and how they are merged."""
        return {"paths": [list(path) for path in self.paths], "merge": self.merge}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        """Return a layer with these paths, merged so."""
        given = dict(configuration)
        return cls(*given.pop("paths"), **given)

    def __repr__(self) -> str:
        paths = ", ".join(repr(list(path)) for path in self.paths)
        return f"{type(self).__name__}({paths}, merge={self.merge!r})"
