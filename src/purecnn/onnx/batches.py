"""Batches: what goes into a graph, checked, and cut into as many samples as it takes at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from purecnn.backend.checks import positive
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.onnx.model import Value


class Batches:
    """The inputs of a graph, cut along the samples.

    Where the graph fixes the first axis of an input, any multiple of it may be given, and is cut. Else
    `batch_size` cuts the first input, if its first axis is of any length, and those whose first axis has the
    same name. All others are given whole with each part.

    Parameters
    ----------
    values : sequence of Value
        The graph's inputs.
    given : mapping of str to array_like
        An array for some of them, by name.
    batch_size : int or None
        How many samples are to be in a part.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The inputs whole.
    sizes : dict of str to int
        How many samples a part has of each that is cut.

    Raises
    ------
    ShapeError, TypeError
        If an input has another shape or dtype than the graph says, or they have other numbers of parts.
    """

    def __init__(self, values: Sequence[Value], given: Mapping[str, Any], batch_size: int | None) -> None:
        self.arrays: dict[str, Array] = {}
        self.sizes: dict[str, int] = {}
        wanted = [value for value in values if value.name in given]
        if batch_size is not None and wanted:
            fixed = wanted[0].batch
            if fixed not in (0, positive("batch_size", batch_size)):
                raise ShapeError(f"batch_size must be {fixed}, which the graph fixes; got {batch_size}")
        for value in wanted:
            array, fixed = np.asarray(given[value.name]), value.batch
            if fixed and array.ndim and value.shape and (len(array) != fixed or len(wanted) == 1):
                if len(array) % fixed:
                    raise ShapeError(
                        f"the graph's batches have {fixed} samples; got {len(array)}, no multiple of that"
                    )
                self.sizes[value.name] = fixed
                value = replace(value, shape=("N", *value.shape[1:]))
            self.arrays[value.name] = array = value.receive(array)
            alike = axis_of(value) == axis_of(wanted[0]) and not wanted[0].batch
            if batch_size is not None and not fixed and array.ndim and alike:
                self.sizes[value.name] = batch_size
        counts = {name: -(-len(self.arrays[name]) // size) for name, size in self.sizes.items()}
        if len({*counts.values()}) > 1:
            told = ", ".join(f"{name!r} of {len(self.arrays[name])} samples" for name in counts)
            raise ShapeError(f"the inputs make different numbers of batches: {told}")
        self.count = max([1, *counts.values()])

    def parts(self) -> list[dict[str, Array]]:
        """Return the inputs of each part."""
        return [
            {
                name: array[size * n : size * (n + 1)] if (size := self.sizes.get(name)) else array
                for name, array in self.arrays.items()
            }
            for n in range(self.count)
        ]


def axis_of(value: Value) -> int | str | None:
    """Return what a graph says of an input's first axis."""
    return value.shape[0] if value.shape else None
