"""ONNX operators: concatenation, slicing and padding.

Operators that put arrays together, take parts of them, and put values around them.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import POWER
from purecnn.kernels.geometry import border_places
from purecnn.onnx.operators.registry import OperatorCall, integers, operator, wanted


@operator("Concat")
def concatenate(call: OperatorCall, *inputs: Array) -> Array:
    """Arrays one behind the other along an axis."""
    if not inputs or any(x is None for x in inputs):
        raise FileFormatError("has no inputs, wanted at least one, named")
    first = inputs[0]
    axis = call.axis(call.integer("axis", 1 if call.version < 4 else ...), first.ndim)
    if any(x.dtype != first.dtype for x in inputs):
        raise FileFormatError(
            f"its inputs are {', '.join(sorted({str(x.dtype) for x in inputs}))}, wanted one dtype"
        )
    shape = list(first.shape)
    shape[axis] = sum(x.shape[axis] for x in inputs if x.ndim == first.ndim)
    call.claim(shape, first.dtype)
    if axis and not first.flags.c_contiguous:  # the batch last in memory stays there
        return np.moveaxis(np.concatenate([np.moveaxis(x, 0, -1) for x in inputs], axis - 1), -1, 0)
    return np.concatenate(inputs, axis)


@operator("Split")
def split(call: OperatorCall, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    """The input cut along an axis: into sizes, or into parts as even as can be, the last one short."""
    axis = call.axis(call.integer("axis", 0), x.ndim)
    parts = integers(sizes, "split")
    if parts is None:
        parts = call.integers("split", None)
    if parts is None:
        count = call.integer("num_outputs", len(call.node.outputs))
        if count < 1 or count != len(call.node.outputs):
            raise FileFormatError(f"num_outputs is {count}, wanted its outputs, {len(call.node.outputs)}")
        each = -(-x.shape[axis] // count)
        parts = [max(0, min(each, x.shape[axis] - each * place)) for place in range(count)]
    if sum(parts) != x.shape[axis] or min(parts, default=0) < 0:
        raise ShapeError(
            f"parts are {parts}, wanted sizes that make {x.shape[axis]}, axis {axis} of {x.shape}"
        )
    return tuple(np.split(x, np.cumsum(parts)[:-1], axis))


@operator("Slice")
def slice_by_attributes(call: OperatorCall, x: Array) -> Array:
    """From starts to below ends, as attributes."""
    return sliced(call, x, call.integers("starts"), call.integers("ends"), call.integers("axes", None), None)


@operator("Slice", since=10)
def slice_by_inputs(
    call: OperatorCall,
    x: Array,
    starts: Array,
    ends: Array,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    """From starts to below ends in steps, as inputs."""
    return sliced(call, x, integers(starts), integers(ends), integers(axes), integers(steps))


def sliced(call: OperatorCall, x: Array, starts: Any, ends: Any, axes: Any, steps: Any) -> Array:
    """Return part of x: places from the back are below 0, and those outside are the ends."""
    along = call.axes(range(len(starts)) if axes is None else axes, x.ndim)
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(along) == len(steps):
        raise ShapeError(f"starts {starts}, ends {ends}, axes {axes}, steps {steps}: wanted as many of each")
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, starts, ends, steps, strict=True):
        if not step:
            raise ShapeError("a step is 0, wanted another")
        size = x.shape[axis]
        start, end = (place + size if place < 0 else place for place in (start, end))
        if step > 0:
            index[axis] = slice(min(max(start, 0), size), min(max(end, 0), size), step)
        else:
            end = min(max(end, -1), size - 1)
            index[axis] = slice(min(max(start, 0), size - 1), None if end < 0 else end, step)
    return x[tuple(index)]


def places(call: OperatorCall, indices: Array, size: int) -> Array:
    """Return indices counted from the front, if each is one of `size`."""
    call.claim(indices.shape, np.int64, copies=4, slow=POWER)
    if indices.dtype.kind not in "iu":
        raise FileFormatError(f"its indices are {indices.dtype}, wanted integers")
    if indices.size and not -size <= int(indices.min()) <= int(indices.max()) < size:
        raise ShapeError(f"indices reach from {indices.min()} to {indices.max()}, wanted places of {size}")
    return np.where(indices < 0, indices + size, indices).astype(np.int64)


@operator("Gather")
def gather(call: OperatorCall, x: Array, indices: Array) -> Array:
    """Slices of x, by their places along an axis."""
    axis = call.axis(call.integer("axis", 0), x.ndim)
    call.claim((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
    return np.take(x, places(call, indices, x.shape[axis]), axis)


@operator("GatherElements")
def gather_elements(call: OperatorCall, x: Array, indices: Array) -> Array:
    """Values of x, by their places along an axis."""
    axis = call.axis(call.integer("axis", 0), x.ndim)
    if x.ndim != indices.ndim:
        raise ShapeError(f"shapes are {x.shape} and {indices.shape}, wanted as many axes")
    call.claim(indices.shape, x.dtype)
    within = tuple(slice(None) if place == axis else slice(size) for place, size in enumerate(indices.shape))
    return np.take_along_axis(x[within], places(call, indices, x.shape[axis]), axis)


@operator("CenterCropPad", since=18)
def center_crop_pad(call: OperatorCall, x: Array, shape: Array) -> Array:
    """The middle of the input, or zeros around it, so that some axes have the sizes wanted."""
    sizes = integers(shape, "shape") or []
    along = call.axes(call.integers("axes", None) or range(x.ndim), x.ndim)
    if len(sizes) != len(along) or min(sizes, default=0) < 0:
        raise ShapeError(f"shape is {sizes}, wanted a size of at least 0 for each of {len(along)} axes")
    whole, inner, outer = list(x.shape), [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for axis, size in zip(along, sizes, strict=True):
        whole[axis], away = size, x.shape[axis] - size
        if away > 0:
            inner[axis] = slice(away // 2, away // 2 + size)
        else:
            outer[axis] = slice(-away // 2, -away // 2 + x.shape[axis])
    found = np.zeros(call.claim(whole, x.dtype), x.dtype)
    found[tuple(outer)] = x[tuple(inner)]
    return found


@operator("Pad")
def pad(
    call: OperatorCall,
    x: Array,
    pads: Array | None = None,
    value: Array | None = None,
    axes: Array | None = None,
) -> Array:
    """Values around the input; a border below 0 cuts off."""
    mode = call.choice("mode", "constant", "constant", "reflect", "edge", "wrap")
    borders = wanted(call, "paddings" if call.version < 2 else "pads", pads)
    along = call.axes(integers(axes) if axes is not None else range(x.ndim), x.ndim)  # type: ignore[arg-type]
    if len(borders) != 2 * len(along):
        raise ShapeError(f"pads are {borders}, wanted two for each of {len(along)} axes")
    sides = [(0, 0)] * x.ndim
    for place, axis in enumerate(along):
        sides[axis] = borders[place], borders[place + len(along)]
    call.claim([size + max(a, 0) + max(b, 0) for size, (a, b) in zip(x.shape, sides, strict=True)], x.dtype)
    cut = tuple(
        slice(max(0, -a), max(0, size - max(0, -b))) for size, (a, b) in zip(x.shape, sides, strict=True)
    )
    within, around = x[cut], [(max(0, a), max(0, b)) for a, b in sides]
    if mode == "constant":
        filled = call.number("value", 0.0) if value is None else value.reshape(-1)[0]
        return np.pad(within, around, constant_values=x.dtype.type(filled))
    if 0 in within.shape:
        raise ShapeError(f"an input of shape {x.shape} has nothing to put around it")
    # np.pad goes by pieces of the input's own length, many times over for a long border: by places, at once.
    for axis, (before, behind) in enumerate(around):
        if before or behind:
            call.claim((before + within.shape[axis] + behind,), np.int64, copies=6)
            call.claim(
                [*within.shape[:axis], before + within.shape[axis] + behind, *within.shape[axis + 1 :]],
                x.dtype,
            )
            within = np.take(within, border_places(mode, within.shape[axis], before, behind), axis)
    return within
