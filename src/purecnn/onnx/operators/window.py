"""Windows of ONNX operators: kernel, stride, dilation and padding in any number of dimensions.

How a window steps over images, in any number of dimensions: what convolutions and poolings share.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.kernels.cost import STEP
from purecnn.onnx.operators.registry import OperatorCall

#: Cells of a window, each of which is a pass over the output.
MAX_CELLS = 1 << 16


@dataclass(frozen=True)
class Window:
    """How a window steps over the axes of an image.

    Attributes
    ----------
    cells, strides, dilations, sizes : tuple of int
        Cells, step, distance of the cells and number of places along each axis.
    pads : tuple of (int, int)
        What lies around the image, before and behind.
    beyond : tuple of int
        How far the last place reaches past that, where ``ceil_mode`` lets it.
    """

    cells: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    sizes: tuple[int, ...]
    beyond: tuple[int, ...]

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield each cell, and the slices of the padded pixels that it meets, one for each place."""
        for cell in itertools.product(*map(range, self.cells)):
            starts = [i * apart for i, apart in zip(cell, self.dilations, strict=True)]
            yield (
                cell,
                tuple(
                    slice(start, start + (size - 1) * step + 1, step)
                    for start, size, step in zip(starts, self.sizes, self.strides, strict=True)
                ),
            )


def settings(call: OperatorCall, axes: int, cells: Any) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return cells, strides, dilations and pads of a window, as the attributes say."""
    kernel = list(call.integers("kernel_shape", cells))
    strides = list(call.integers("strides", [1] * axes))
    dilations = list(call.integers("dilations", [1] * axes))
    pads = list(call.integers("pads", [0] * 2 * axes))
    for name, values, count, low in (
        ("kernel_shape", kernel, axes, 1),
        ("strides", strides, axes, 1),
        ("dilations", dilations, axes, 1),
        ("pads", pads, 2 * axes, 0),
    ):
        if len(values) != count or min(values, default=low) < low:
            raise ShapeError(f"{name} are {values}, wanted {count} integers of at least {low}")
    if math.prod(kernel) > MAX_CELLS:
        raise ShapeError(f"the window {kernel} has {math.prod(kernel)} cells, wanted at most {MAX_CELLS}")
    return kernel, strides, dilations, pads


def window(call: OperatorCall, shape: tuple[int, ...], cells: Any = ..., ceil: bool = False) -> Window:
    """Return how a window, of `cells` or as the attributes say, steps over an image of `shape`."""
    axes = len(shape)
    kernel, strides, dilations, given = settings(call, axes, cells)
    automatic = call.choice("auto_pad", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    pads, sizes, beyond = [], [], []
    for axis, (size, count, step, apart) in enumerate(zip(shape, kernel, strides, dilations, strict=True)):
        reach = (count - 1) * apart + 1
        if automatic.startswith("SAME"):
            places = -(-size // step)
            all_of_it = max((places - 1) * step + reach - size, 0)
            small, large = all_of_it // 2, all_of_it - all_of_it // 2
            around = (small, large) if automatic == "SAME_UPPER" else (large, small)
        else:
            around = (0, 0) if automatic == "VALID" else (given[axis], given[axis + axes])
            room = size + sum(around) - reach
            places = room // step + 1
            # A place that begins behind the image and what lies before it has nothing to see.
            if ceil and room % step and places * step < size + around[0]:
                places += 1
        if places < 1 or not size:
            raise ShapeError(f"a window of {kernel} finds no place in an image of {shape} with pads {around}")
        pads.append(around)
        sizes.append(places)
        beyond.append(max(0, (places - 1) * step + reach - size - sum(around)))
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(pads), tuple(sizes), tuple(beyond))


def claim_passes(call: OperatorCall, x: Array, maps: int, over: Window) -> None:
    """Claim an output of that many maps, and a pass over it for each cell of the window."""
    cells = math.prod(over.cells)
    call.claim((x.shape[0], maps, *over.sizes), x.dtype, passes=1 + 2 * cells)
    call.budget.spend(cells * STEP)


def last(call: OperatorCall, x: Array) -> Array:
    """Return images with the batch last, copied only where it does not lie so in memory."""
    turned = np.moveaxis(x, 0, -1)
    if not turned.flags.c_contiguous:
        call.like(x)
    return np.ascontiguousarray(turned)


def first(x: Array) -> Array:
    """Return images with the batch first, as ONNX has it; in memory it stays where it is."""
    return np.moveaxis(x, -1, 0)


def padded_sizes(x: Array, over: Window) -> list[int]:
    """Return the sizes of an image with all that lies around it."""
    return [size + a + b + c for size, (a, b), c in zip(x.shape[2:], over.pads, over.beyond, strict=True)]


def padded(call: OperatorCall, x: Array, over: Window, value: Any) -> Array:
    """Return images (N, C, ...) with a value around them, the batch last in memory."""
    sizes = padded_sizes(x, over)
    if sizes == list(x.shape[2:]):
        return x
    whole = np.full(call.claim((x.shape[1], *sizes, x.shape[0]), x.dtype), value, x.dtype)
    inside = tuple(slice(a, a + size) for size, (a, _) in zip(x.shape[2:], over.pads, strict=True))
    whole[(slice(None), *inside)] = np.moveaxis(x, 0, -1)
    return first(whole)
