"""Geometry of windows: sizes, padding, and the slices that a kernel's taps read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def along_batch(biases: Array, axes: int) -> Array:
    """(M,) or (M, OH, OW) -> the same with axes of length one behind, to be added to `axes` axes."""
    return biases.reshape(biases.shape + (1,) * (axes - biases.ndim))


def pad(x: Array, padding: Padding) -> Array:
    """(C, H, W, N) -> (C, top + H + bottom, left + W + right, N), zeros around the image."""
    return x if padding == ((0, 0), (0, 0)) else module_of(x).pad(x, ((0, 0), *padding, (0, 0)))


def cropped(padded: Array, padding: Padding) -> Array:
    """(C, top + H + bottom, left + W + right, N) -> (C, H, W, N), the view that the padding lies around."""
    (top, bottom), (left, right) = padding
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def border_places(mode: str, size: int, before: int, behind: int) -> Array:
    """Return which pixel each one of an axis with a border is, (before + size + behind,).

    Beyond the ends "edge" has the outermost pixel again, "reflect" those within, the outermost not repeated,
    and "wrap" those from the other end.

    Examples
    --------
    >>> border_places("reflect", 4, 2, 1), border_places("edge", 4, 2, 1)
    (array([2, 1, 0, 1, 2, 3, 2]), array([0, 0, 0, 1, 2, 3, 3]))
    """
    wide = np.arange(-before, size + behind)
    if mode == "edge":
        return np.clip(wide, 0, size - 1)
    if mode == "wrap":
        return wide % size
    period = max(1, 2 * size - 2)
    return size - 1 - np.abs(size - 1 - wide % period)


def bordered(x: Array, border: Padding, value: float, workspace: Workspace) -> Array:
    """(C, H, W, N) -> (C, top + H + bottom, left + W + right, N) in the workspace, `value` around."""
    (top, bottom), (left, right) = border
    channels, height, width, batch = x.shape
    y = workspace.array("bordered", (channels, top + height + bottom, left + width + right, batch), x.dtype)
    y[:, :top], y[:, top + height :] = value, value
    y[:, :, :left], y[:, :, left + width :] = value, value
    cropped(y, border)[...] = x
    return y


def same_border(size: int, window: int, stride: int) -> Pair:
    """Return what lies around an axis where "same" leaves ``ceil(size / stride)`` windows: more behind it.

    Examples
    --------
    >>> same_border(6, 3, 2), same_border(5, 3, 2)
    ((0, 1), (1, 1))
    """
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def output_size(size: int, window: int, stride: int, padding: Pair = (0, 0)) -> int:
    """Return how many windows fit: ``floor((padded size - window) / stride) + 1``."""
    return (size + sum(padding) - window) // stride + 1


def adaptive_windows(size: int, count: int) -> list[slice]:
    """Return the windows along an axis that make `count` of `size`, as even as can be; they may overlap.

    Window p reaches from ``floor(p size / count)`` to below ``ceil((p + 1) size / count)``, as in PyTorch.

    Examples
    --------
    >>> adaptive_windows(7, 3)
    [slice(0, 3, None), slice(2, 5, None), slice(4, 7, None)]
    """
    return [slice(p * size // count, -(-(p + 1) * size // count)) for p in range(count)]


def tap(i: int, j: int, stride: Pair, rows: int, columns: int) -> tuple[slice, slice]:
    """Return the slices of the pixels that cell (i, j) of the window meets, one for each output position."""
    return (
        slice(i, i + (rows - 1) * stride[0] + 1, stride[0]),
        slice(j, j + (columns - 1) * stride[1] + 1, stride[1]),
    )


class Window(NamedTuple):
    """How the window of a convolution lies on an image and moves over it.

    Attributes
    ----------
    size, stride : (int, int)
        Cells of the window, and the pixels of its step; by rows and columns.
    padding : ((int, int), (int, int))
        Zeros (above, below), (left, right) of the image.
    dilation : (int, int)
        How many pixels the cells lie apart: 1 is a window without holes.
    groups : int
        Into how many groups channels and maps are cut; a map looks at the channels of its own.

    Examples
    --------
    >>> window = Window((3, 3), padding=((1, 1), (1, 1)), dilation=(2, 2))
    >>> window.reach, window.positions((8, 28, 28, 64)), window.is_dense
    ((5, 5), (26, 26), False)
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def reach(self) -> Pair:
        """Height and width that the window covers, holes included."""
        height, width = (
            (cells - 1) * apart + 1 for cells, apart in zip(self.size, self.dilation, strict=True)
        )
        return height, width

    @property
    def is_dense(self) -> bool:
        """Whether every map looks at all channels, through a window without holes."""
        return self.groups == 1 and self.dilation == (1, 1)

    def positions(self, shape: tuple[int, ...]) -> Pair:
        """Return OH and OW for images (C, H, W, ...)."""
        rows, columns = map(output_size, shape[1:3], self.reach, self.stride, self.padding)
        return rows, columns

    def taps(self, positions: Pair) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Yield (i, j, pixels): each cell of the window, and what it meets of a padded image."""
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                yield i, j, tap(i * self.dilation[0], j * self.dilation[1], self.stride, *positions)

    def cut(self, maps: int, channels: int) -> Iterator[tuple[slice, slice]]:
        """Yield the maps of each group, and the channels that they look at."""
        each, seen = maps // self.groups, channels // self.groups
        for group in range(self.groups):
            yield slice(group * each, (group + 1) * each), slice(group * seen, (group + 1) * seen)


def blank_canvas(x: Array, maps: int, window: Window, size: Pair) -> Array:
    """x (C, H, W, N) -> zeros (M, rows, columns, N), room for what pixels add and the output of `size`."""
    rows, columns = (
        max((count - 1) * step + reach, before + outputs)
        for count, step, reach, (before, _), outputs in zip(
            x.shape[1:3], window.stride, window.reach, window.padding, size, strict=True
        )
    )
    canvas: Array = module_of(x).zeros((maps, rows, columns, x.shape[3]), dtype=x.dtype)
    return canvas


def on_canvas(canvas: Array, window: Window, size: Pair) -> Array:
    """Return the part of such an array that is the output, a view."""
    (top, _), (left, _) = window.padding
    return canvas[:, top : top + size[0], left : left + size[1]]
