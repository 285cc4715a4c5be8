"""Geometry of windows: sizes, padding, and the slices that a kernel's taps read."""

from __future__ import annotations

from purecnn.backend.arrays import module_of
from purecnn.backend.types import Array

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def along_batch(biases: Array, axes: int) -> Array:
    """(M,) or (M, OH, OW) -> the same with axes of length one behind, to be added to `axes` axes."""
    return biases.reshape(biases.shape + (1,) * (axes - biases.ndim))


def pad(x: Array, padding: Padding) -> Array:
    """(C, H, W, N) -> (C, top + H + bottom, left + W + right, N), zeros around the image."""
    return x if padding == ((0, 0), (0, 0)) else module_of(x).pad(x, ((0, 0), *padding, (0, 0)))


def output_size(size: int, window: int, stride: int, padding: Pair = (0, 0)) -> int:
    """Return how many windows fit: ``floor((padded size - window) / stride) + 1``."""
    return (size + sum(padding) - window) // stride + 1


def tap(i: int, j: int, stride: Pair, rows: int, columns: int) -> tuple[slice, slice]:
    """Return the slices of the pixels that cell (i, j) of the window meets, one for each output position."""
    return (
        slice(i, i + (rows - 1) * stride[0] + 1, stride[0]),
        slice(j, j + (columns - 1) * stride[1] + 1, stride[1]),
    )
