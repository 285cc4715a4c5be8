"""ONNX operators: pooling.

Poolings of ONNX: one value for each window, or for a whole map.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import POWER
from purecnn.onnx.operators.reduction import least
from purecnn.onnx.operators.registry import OperatorCall, floating, integers, operator
from purecnn.onnx.operators.slicing import places
from purecnn.onnx.operators.window import Window, claim_passes, padded, settings, window


def poolable(x: Array) -> None:
    """Check that an input is images."""
    if x.ndim < 3:
        raise ShapeError(f"the input's shape is {x.shape}, wanted (N, C, ...), at least three axes")


def pooled_by(call: OperatorCall, x: Array) -> Window:
    """Return a pooling's window."""
    poolable(x)
    over = window(call, x.shape[2:], ceil=bool(call.integer("ceil_mode", 0)))
    for size, around in zip(over.cells, over.pads, strict=True):
        if max(around) >= size * max(over.dilations):
            raise ShapeError(f"pads are {over.pads}, wanted less than the window, {over.cells}")
    claim_passes(call, x, x.shape[1], over)
    return over


@operator("MaxPool")
def max_pool(call: OperatorCall, x: Array) -> Any:
    """The largest value of each window, and where in the whole array it lies."""
    over = pooled_by(call, x)
    if call.outputs > 1:
        call.claim((*x.shape[:2], *over.sizes), np.int64, copies=6 + 2 * len(over.sizes), slow=POWER)
    whole = padded(call, x, over, least(x.dtype))
    found: Array | None = None
    winners: Array | None = None
    for number, (_, tap) in enumerate(over.taps()):
        rival = whole[(slice(None), slice(None), *tap)]
        if found is None:
            found = rival.copy(order="K")
            winners = np.zeros(found.shape, np.int64) if call.outputs > 1 else None
            continue
        if winners is not None:
            winners[rival > found] = number
        np.maximum(found, rival, out=found)
    return found if winners is None else (found, winning_places(call, x.shape, over, winners))


def winning_places(call: OperatorCall, shape: tuple[int, ...], over: Window, winners: Array) -> Array:
    """Return where each window's winning cell lies in the whole input, counted by rows or by columns."""
    axes = len(over.cells)
    cells = np.unravel_index(winners, over.cells)
    places = []
    for axis, cell in enumerate(cells):
        steps = np.arange(over.sizes[axis]) * over.strides[axis] - over.pads[axis][0]
        steps = steps.reshape(-1, *[1] * (axes - 1 - axis))
        places.append(cell * over.dilations[axis] + steps)
    order = range(axes) if call.integer("storage_order", 0) else range(axes - 1, -1, -1)
    found, span = np.zeros(winners.shape, np.int64), 1
    for axis in order:
        found += places[axis] * span
        span *= shape[2 + axis]
    maps = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], *[1] * axes)
    return found + maps * span


def sums(call: OperatorCall, x: Array, over: Window) -> Array:
    """Return the sum of each window, of what lies around the image nothing."""
    whole, found = padded(call, x, over, 0), None
    for _, tap in over.taps():
        part = whole[(slice(None), slice(None), *tap)]
        if found is None:
            found = part.copy(order="K")
        else:
            found += part
    return np.asarray(found)


@operator("AveragePool")
def average_pool(call: OperatorCall, x: Array) -> Array:
    """The mean of each window; of what lies around the image, only if that is to count."""
    floating(x)
    over = pooled_by(call, x)
    call.claim((*x.shape[:2], *over.sizes), x.dtype, copies=2)
    counts = np.ones((), x.dtype)
    for axis, size in enumerate(x.shape[2:]):
        before, behind = over.pads[axis]
        low, high = (-before, size + behind) if call.integer("count_include_pad", 0) else (0, size)
        call.claim(over.sizes[axis : axis + 1], np.int64, copies=6)
        starts = np.arange(over.sizes[axis]) * over.strides[axis] - before
        # cells i with low <= starts + i apart < high
        apart, most = over.dilations[axis], over.cells[axis]
        first = np.clip(-((starts - low) // apart), 0, most)
        inside = (np.clip(-((starts - high) // apart), 0, most) - first).astype(x.dtype)
        counts = counts[..., None] * inside
    return sums(call, x, over) / counts


@operator("LpPool")
def lp_pool(call: OperatorCall, x: Array) -> Array:
    """The norm of each window."""
    floating(x)
    order, over = power(call), pooled_by(call, x)
    call.like(x, copies=2, slow=POWER)
    call.claim((*x.shape[:2], *over.sizes), x.dtype, slow=POWER)
    found: Array = sums(call, np.abs(x) ** order, over) ** (1 / order)
    return found


def power(call: OperatorCall) -> float:
    """Return which norm is wanted."""
    order = float(call.attribute("p", (int, float), 2))
    if not order > 0:
        raise FileFormatError(f"the attribute 'p' is {order}, wanted above 0")
    return order


@operator("MaxUnpool", since=9)
def max_unpool(call: OperatorCall, x: Array, indices: Array, output_shape: Array | None = None) -> Array:
    """Each value where a maximum was, in the image that a pooling had, and 0 elsewhere."""
    poolable(x)
    if indices.shape != x.shape:
        raise ShapeError(f"shapes are {x.shape} and {indices.shape}, wanted a place for each value")
    axes = x.ndim - 2
    cells, strides, _, pads = settings(call, axes, ...)
    shape = [
        (size - 1) * step - pads[axis] - pads[axis + axes] + cell
        for axis, (size, step, cell) in enumerate(zip(x.shape[2:], strides, cells, strict=True))
    ]
    shape = [*x.shape[:2], *shape]
    whole = integers(output_shape, "output_shape") or shape
    if len(whole) != x.ndim or whole[:2] != shape[:2]:
        raise ShapeError(f"output_shape is {whole}, wanted {shape[:2]} and {axes} sizes")
    found = np.zeros(call.claim(shape, x.dtype), x.dtype)
    if indices.size and int(indices.min()) < 0:
        raise ShapeError(f"indices reach from {indices.min()}, wanted places of {found.size}")
    found.reshape(-1)[places(call, indices, found.size)] = x
    if whole == shape:
        return found
    padded = np.zeros(call.claim(whole, x.dtype), x.dtype)
    common = tuple(map(slice, np.minimum(shape, whole)))
    padded[common] = found[common]
    return padded


@operator("GlobalAveragePool")
def global_average_pool(call: OperatorCall, x: Array) -> Array:
    """The mean of each map."""
    poolable(x)
    call.like(x, copies=0, passes=1)
    call.claim(x.shape[:2], x.dtype)
    found: Array = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=x.dtype)
    return found


@operator("GlobalMaxPool")
def global_max_pool(call: OperatorCall, x: Array) -> Array:
    """The largest value of each map."""
    poolable(x)
    call.like(x, copies=0, passes=1)
    call.claim(x.shape[:2], x.dtype)
    found: Array = x.max(axis=tuple(range(2, x.ndim)), keepdims=True)
    return found


@operator("GlobalLpPool")
def global_lp_pool(call: OperatorCall, x: Array) -> Array:
    """The norm of each map."""
    poolable(x)
    floating(x)
    order = power(call)
    call.like(x, copies=2, slow=POWER)
    call.claim(x.shape[:2], x.dtype, copies=2)
    found: Array = (np.abs(x) ** order).sum(axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / order)
    return found
