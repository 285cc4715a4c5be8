"""ONNX operators: shapes, axes and constants.

Operators that move values and change none: shapes, axes, and arrays made of a constant.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.arrays import as_dtype
from purecnn.onnx.operators.registry import OperatorCall, integers, operator, wanted
from purecnn.onnx.operators.text import text_array, texts


@operator("Constant")
def constant(call: OperatorCall) -> Array:
    """An array that is an attribute."""
    held = call.node.attributes
    if isinstance(held.get("value"), np.ndarray):
        return held["value"]  # type: ignore[no-any-return]
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if name in held:
            return np.array(held[name], dtype)
    for name, kind in (("value_floats", np.float32), ("value_ints", np.int64)):
        if name in held:
            return np.array(held[name], kind)
    if "value_string" in held:
        return text_array([call.text("value_string")], ())
    if "value_strings" in held:
        words = texts(call, "value_strings")
        return text_array(words, (len(words),))
    raise FileFormatError(f"its value is {', '.join(held) or 'missing'}, wanted a tensor or numbers")


@operator("ConstantOfShape")
def constant_of_shape(call: OperatorCall, shape: Array) -> Array:
    """One value, as often as a shape says."""
    value = call.attribute("value", np.ndarray, np.zeros(1, np.float32))
    if value.size != 1:
        raise FileFormatError(f"the attribute 'value' has {value.size} values, wanted one")
    return np.full(call.claim(integers(shape) or [], value.dtype), value.reshape(())[()], value.dtype)


@operator("Shape")
def shape_of(call: OperatorCall, x: Array) -> Array:
    """The input's shape, or some of it."""
    return np.array(x.shape[call.integer("start", 0) : call.integer("end", None)], np.int64)


@operator("Size")
def size_of(call: OperatorCall, x: Array) -> Array:
    """How many values the input has."""
    return np.array(x.size, np.int64)


@operator("Range")
def arithmetic_range(call: OperatorCall, start: Array, limit: Array, delta: Array) -> Array:
    """From start to below limit in steps of delta."""
    if not start.size == limit.size == delta.size == 1:
        raise ShapeError(f"shapes are {start.shape}, {limit.shape}, {delta.shape}, wanted one value each")
    call.same(start, limit, delta)
    first, last, step = (value.reshape(())[()] for value in (start, limit, delta))
    count = max(0, math.ceil((float(last) - float(first)) / float(step)))
    call.claim((count,), start.dtype, copies=3)
    found: Array = first + np.arange(count, dtype=start.dtype) * step
    return found.astype(start.dtype, copy=False)


@operator("EyeLike")
def eye_like(call: OperatorCall, x: Array) -> Array:
    """Ones on a diagonal of the input's shape."""
    if x.ndim != 2:
        raise ShapeError(f"shape is {x.shape}, wanted a matrix")
    kind = call.integer("dtype", None)
    dtype = x.dtype if kind is None else as_dtype(kind, "the attribute 'dtype'")
    call.claim(x.shape, dtype)
    return np.eye(x.shape[0], x.shape[1], k=call.integer("k", 0), dtype=dtype)


@operator("Dropout")
def dropout(call: OperatorCall, x: Array, ratio: Array | None = None, training: Array | None = None) -> Any:
    """The input, since nothing is hidden in inference; and that all of it is kept."""
    rate = call.number("ratio", 0.5) if ratio is None else float(ratio.reshape(-1)[0])
    if training is not None and bool(training.any()) and rate:
        raise FileFormatError("is in training, where it draws random numbers; wanted inference")
    if call.outputs < 2:
        return x
    kind = np.dtype(np.bool_) if call.version >= 10 else x.dtype
    return x, np.ones(call.claim(x.shape, kind), kind)


# Shapes -------------------------------------------------------------------------------------------------


@operator("Flatten")
def flatten(call: OperatorCall, x: Array) -> Array:
    """All axes before one as rows, the others as columns."""
    axis = call.integer("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        raise ShapeError(f"axis is {axis}, wanted from {-x.ndim} to {x.ndim}")
    axis = axis + x.ndim if axis < 0 else axis
    return reshaped(call, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Reshape")
def reshape(call: OperatorCall, x: Array, shape: Array | None = None) -> Array:
    """The same values in another shape: 0 keeps an axis, and -1 is what is left."""
    sizes = list(wanted(call, "shape", shape))
    if not call.integer("allowzero", 0):
        for place, size in enumerate(sizes):
            if size == 0:
                if place >= x.ndim:
                    raise ShapeError(f"shape {sizes} keeps axis {place} of {x.shape}, which has none such")
                sizes[place] = x.shape[place]
    if sizes.count(-1) > 1 or min(sizes, default=0) < -1:
        raise ShapeError(f"shape is {sizes}, wanted sizes, at most one of them -1")
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        if not rest or x.size % rest:
            raise ShapeError(f"{x.size} values of shape {x.shape} don't fill a shape {sizes}")
        sizes[sizes.index(-1)] = x.size // rest
    if math.prod(sizes) != x.size:
        raise ShapeError(f"{x.size} values of shape {x.shape} don't fill a shape {sizes}")
    return reshaped(call, x, tuple(sizes))


def reshaped(call: OperatorCall, x: Array, shape: tuple[int, ...]) -> Array:
    """Return x in another shape; where the batch lies last in memory and stays an axis, nothing is copied."""
    if x.ndim and shape and x.shape[0] == shape[0] > 1 and not x.flags.c_contiguous:
        if not (turned := np.moveaxis(x, 0, -1)).flags.c_contiguous:
            call.like(x)
        return np.moveaxis(turned.reshape(*shape[1:], shape[0]), -1, 0)
    if not x.flags.c_contiguous:
        call.like(x)
    return x.reshape(shape)


@operator("Squeeze")
def squeeze(call: OperatorCall, x: Array, axes: Array | None = None) -> Array:
    """Without axes of length one: those named, or all."""
    given = wanted(call, "axes", axes, None)
    along = call.axes(given, x.ndim) if given is not None else None
    if along is None:
        along = tuple(place for place, size in enumerate(x.shape) if size == 1)
    return x.squeeze(along)


@operator("Unsqueeze")
def unsqueeze(call: OperatorCall, x: Array, axes: Array | None = None) -> Array:
    """With axes of length one put in."""
    given = wanted(call, "axes", axes)
    along = set(call.axes(given, x.ndim + len(given)))
    rest = iter(x.shape)
    return x.reshape([1 if place in along else next(rest) for place in range(x.ndim + len(given))])


@operator("Transpose")
def transpose(call: OperatorCall, x: Array) -> Array:
    """The axes in another order."""
    order = call.integers("perm", None)
    if order is None:
        return x.T
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"perm is {order}, wanted each axis of {x.shape} once")
    return x.transpose(order)


@operator("Expand")
def expand(call: OperatorCall, x: Array, shape: Array) -> Array:
    """The input repeated along axes of length one."""
    sizes = integers(shape, "shape") or []
    call.claim(sizes, x.dtype, copies=0)
    whole = np.broadcast_shapes(x.shape, tuple(sizes))
    return np.broadcast_to(x, call.claim(whole, x.dtype, copies=0))


@operator("Tile")
def tile(call: OperatorCall, x: Array, repeats: Array, axis: Array | None = None) -> Array:
    """The input repeated along each axis."""
    counts = integers(repeats, "repeats") or []
    if axis is not None:  # before operator set 6: so often along one axis
        along = call.axis((integers(axis) or [0])[0], x.ndim)
        counts = [counts[0] if place == along else 1 for place in range(x.ndim)]
    if len(counts) != x.ndim:
        raise ShapeError(f"repeats are {counts}, wanted one for each axis of {x.shape}")
    call.claim([size * count for size, count in zip(x.shape, counts, strict=True)], x.dtype, copies=2)
    return np.tile(x, counts)


@operator("DepthToSpace")
def depth_to_space(call: OperatorCall, x: Array) -> Array:
    """Channels as blocks of pixels."""
    block = call.integer("blocksize")
    if x.ndim != 4 or block < 1 or x.shape[1] % block**2:
        raise ShapeError(f"shape is {x.shape}, wanted images with channels a multiple of {block} squared")
    call.like(x)
    n, c, h, w = x.shape
    deep = c // block**2
    if call.choice("mode", "DCR", "DCR", "CRD") == "DCR":
        parts = x.reshape(n, block, block, deep, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, deep, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, deep, h * block, w * block)


@operator("SpaceToDepth")
def space_to_depth(call: OperatorCall, x: Array) -> Array:
    """Blocks of pixels as channels."""
    block = call.integer("blocksize")
    if x.ndim != 4 or block < 1 or x.shape[2] % block or x.shape[3] % block:
        raise ShapeError(f"shape is {x.shape}, wanted images that blocks of {block} tile")
    call.like(x)
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block)
    order = (0, 3, 5, 1, 2, 4) if call.node.attributes.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.transpose(order).reshape(n, c * block**2, h // block, w // block)
