"""Axes moved: a permutation of a sample's axes as channel shuffles between reshapes, which move every value.

The channels of ``(A B, ...)`` shuffled in A groups are ``(B A, ...)``: so two neighbours at the front change
places, and a group of axes goes behind another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.reshape import ChannelShuffle, Flatten, Reshape
from purecnn.layers.shapes import exact_shape


def reshape(before: Shape, after: Shape) -> Layer:
    """Return a layer that names axes anew, whichever they are."""
    return Flatten() if len(after) == 1 else Reshape(exact_shape(before), exact_shape(after))


def swapped(shape: Shape, count: int, rest: int = 0) -> list[Layer]:
    """Return layers that put the first `count` axes behind those that follow, but for the last `rest`."""
    end = len(shape) - rest
    front, back, last = shape[:count], shape[count:end], shape[end:]
    a, b = math.prod(front), math.prod(back)
    after = (*back, *front, *last)
    if a == 1 or b == 1:
        return [reshape(shape, after)] if after != shape else []
    joined = (a * b, *last)
    before = [reshape(shape, joined)] if joined != shape else []
    return [*before, ChannelShuffle(a), *([reshape(joined, after)] if joined != after else [])]


def moved(shape: Shape, order: Sequence[int]) -> list[Layer]:
    """Return layers that permute the axes of a sample, as ``numpy.transpose`` does.

    The last axis is brought to its place first, by a rotation of all, then the one before it by a rotation of
    those in front, and so on.

    Parameters
    ----------
    shape : tuple of int
        Of a sample before.
    order : sequence of int
        For each axis behind, which of those before it is.

    Examples
    --------
    >>> moved((2, 3, 4), (1, 2, 0))
    [Flatten(), ChannelShuffle(groups=2), Reshape(input_shape=(24,), output_shape=(3, 4, 2))]
    """
    axes = list(range(len(shape)))  # which of those before it stands in each place by now
    sizes, layers = shape, []
    for end in range(len(shape), 1, -1):
        count = axes.index(order[end - 1]) + 1
        if count < end:
            layers += swapped(sizes, count, len(shape) - end)
            axes = [*axes[count:end], *axes[:count], *axes[end:]]
            sizes = tuple(shape[axis] for axis in axes)
    return layers


def to_last(shape: Shape) -> list[Layer]:
    """Return layers that put the channels, which come first, behind the other axes."""
    return moved(shape, (*range(1, len(shape)), 0))


def to_first(shape: Shape) -> list[Layer]:
    """Return layers that put the last axis before the others."""
    return moved(shape, (len(shape) - 1, *range(len(shape) - 1)))
