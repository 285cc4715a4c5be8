"""ONNX operators: TopK, Unique, NonZero, Compress, OneHot, Trilu and ReverseSequence.

Operators that find values and their places, take those of a condition, and set them in order.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import EXPONENTIAL, POWER
from purecnn.onnx.operators.registry import OperatorCall, integers, operator

#: From how many values for each one wanted a threshold is found first, and only what passes it is sorted.
FEW = 8


@operator("TopK")
def top_by_attribute(call: OperatorCall, x: Array) -> tuple[Array, Array]:
    """The k largest values along an axis, k an attribute, and their places."""
    return top(call, x, call.integer("k"))


@operator("TopK", since=10)
def top_by_input(call: OperatorCall, x: Array, k: Array) -> tuple[Array, Array]:
    """The k largest or smallest values along an axis, and their places: of equal ones the first."""
    return top(call, x, single(k, "k"))


def single(value: Array, name: str) -> int:
    """Return an input that is one integer."""
    given = integers(value, name) or []
    if len(given) != 1:
        raise ShapeError(f"{name} has shape {value.shape}, wanted one integer")
    return given[0]


def top(call: OperatorCall, x: Array, k: int) -> tuple[Array, Array]:
    """Return the k largest or smallest values along an axis, the first of them first, and their places."""
    axis, largest = call.axis(call.integer("axis", -1), x.ndim), bool(call.integer("largest", 1))
    size = x.shape[axis]
    if not 0 <= k <= size:
        raise ShapeError(f"k is {k}, wanted from 0 to {size}, axis {axis} of {x.shape}")
    call.claim(x.shape, x.dtype, copies=3, passes=12, slow=POWER)
    call.claim(x.shape, np.int64, copies=3)
    call.claim((*x.shape[:axis], k, *x.shape[axis + 1 :]), np.int64, copies=2)
    rows = np.moveaxis(x, axis, -1)
    passed = None
    if k and k * FEW < size:
        passed = above_threshold(rows, k, largest)
    places = in_order(rows if passed is None else np.take_along_axis(rows, passed, -1), largest)[..., :k]
    if passed is not None:
        places = np.take_along_axis(passed, places, -1)
    found = np.take_along_axis(rows, places, -1)
    return np.moveaxis(found, -1, axis), np.moveaxis(places, -1, axis).astype(np.int64, copy=False)


def in_order(rows: Array, largest: bool) -> Array:
    """Return the places of all values of each row, the first in order first; of equal ones the first."""
    if not largest:
        return np.argsort(rows, axis=-1, kind="stable")
    turned = np.argsort(rows[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    found: Array = rows.shape[-1] - 1 - turned
    return found


def above_threshold(rows: Array, k: int, largest: bool) -> Array | None:
    """Return the places of the k largest or smallest values of each row, as they lie; None if one is NaN."""
    size = rows.shape[-1]
    at = size - k if largest else k - 1
    threshold = np.partition(rows, at, axis=-1)[..., at : at + 1]
    passed: Array = rows >= threshold if largest else rows <= threshold
    counts = np.count_nonzero(passed, axis=-1)
    if (counts > k).any():  # several are equal to the last: the first of them
        beyond = rows > threshold if largest else rows < threshold
        room = k - np.count_nonzero(beyond, axis=-1)[..., None]
        passed &= beyond | (np.cumsum(passed & ~beyond, axis=-1) <= room)
        counts = np.count_nonzero(passed, axis=-1)
    if (counts != k).any():
        return None
    places: Array = np.flatnonzero(passed).reshape(*rows.shape[:-1], k) % size
    return places


@operator("Unique")
def unique(call: OperatorCall, x: Array) -> tuple[Array, ...]:
    """All values, or slices along an axis, once; where each is first, which one each is, and how many."""
    given = call.integer("axis", None)
    axis = None if given is None else call.axis(given, x.ndim)
    call.like(x, copies=6, passes=12, slow=(1 if axis is None else 8) * POWER)
    call.claim((x.size if axis is None else x.shape[axis],), np.int64, copies=8)
    if axis is not None and not x.size:
        raise ShapeError(f"an input of shape {x.shape} has no slices to compare, wanted values")
    found, places, inverse, counts = np.unique(x, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not call.integer("sorted", 1):
        order = np.argsort(places)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        found, places, counts = np.take(found, order, axis or 0), places[order], counts[order]
        inverse = rank[inverse]
    return found, *(one.astype(np.int64, copy=False) for one in (places, inverse, counts))


@operator("NonZero")
def non_zero(call: OperatorCall, x: Array) -> Array:
    """The places of all values that are not 0, a column each."""
    whole = np.atleast_1d(x)
    call.claim(x.shape, np.bool_, copies=2, slow=EXPONENTIAL)
    call.claim((whole.ndim, int(np.count_nonzero(whole))), np.int64, copies=2)
    return np.stack(np.nonzero(whole))


@operator("Compress")
def compress(call: OperatorCall, x: Array, condition: Array) -> Array:
    """The slices along an axis, or values, at whose place a condition holds."""
    if condition.ndim != 1 or condition.dtype != np.bool_:
        raise ShapeError(
            f"its condition is {condition.dtype} of shape {condition.shape}, wanted bool along one axis"
        )
    given = call.integer("axis", None)
    if given is None:
        call.like(x)
        x, axis = x.reshape(-1), 0
    else:
        axis = call.axis(given, x.ndim)
    if len(condition) > x.shape[axis]:
        raise ShapeError(
            f"its condition has {len(condition)} values, "
            f"wanted at most {x.shape[axis]}, axis {axis} of {x.shape}"
        )
    call.claim(condition.shape, np.int64, copies=2)
    places = np.flatnonzero(condition)
    call.claim((*x.shape[:axis], len(places), *x.shape[axis + 1 :]), x.dtype)
    return np.take(x, places, axis)


@operator("OneHot", since=9)
def one_hot(call: OperatorCall, indices: Array, depth: Array, values: Array) -> Array:
    """One value at the place that each index says along a new axis, and another one elsewhere."""
    if depth.size != 1 or depth.dtype.kind not in "iuf" or values.shape != (2,):
        raise ShapeError(
            f"depth has shape {depth.shape} and values {values.shape}, wanted one number and two values"
        )
    if indices.dtype.kind not in "iuf":
        raise FileFormatError(f"its indices are {indices.dtype}, wanted numbers")
    count, axis = int(depth.reshape(-1)[0]), call.integer("axis", -1)
    axis = call.axis(axis, indices.ndim + 1)
    shape = (*indices.shape[:axis], count, *indices.shape[axis:])
    call.claim(shape, values.dtype)
    call.claim(shape, np.bool_)
    call.claim(indices.shape, np.int64, copies=4)
    call.claim((count,), np.int64)
    held = np.clip(indices, -count - 1, count) if indices.dtype.kind == "f" else indices
    places = np.where(np.isnan(held), count, held).astype(np.int64) if held.dtype.kind == "f" else held
    if call.version >= 11:  # before, places from the back are none
        places = np.where((places < 0) & (places >= -count), places + count, places)
    line = np.arange(count).reshape(-1, *[1] * (indices.ndim - axis))
    off, on = values
    found: Array = np.where(np.expand_dims(places, axis) == line, on, off)
    return found


@operator("Trilu", since=14)
def triangle(call: OperatorCall, x: Array, k: Array | None = None) -> Array:
    """What lies on or above a diagonal of each matrix, or on or below it; 0 elsewhere."""
    if x.ndim < 2:
        raise ShapeError(f"shape is {x.shape}, wanted matrices")
    rows, columns = x.shape[-2:]
    away = 0 if k is None else single(k, "k")
    away = min(max(away, -rows - 1), columns + 1)
    call.like(x)
    call.claim((rows, columns), np.bool_, copies=3)
    found: Array = np.triu(x, away) if call.integer("upper", 1) else np.tril(x, away)
    return found


@operator("ReverseSequence", since=10)
def reverse_sequence(call: OperatorCall, x: Array, lengths: Array) -> Array:
    """Each sequence of a batch turned round up to its own length."""
    time, batch = call.integer("time_axis", 0), call.integer("batch_axis", 1)
    if x.ndim < 2 or {time, batch} != {0, 1}:
        raise ShapeError(
            f"time_axis is {time}, batch_axis {batch} and the shape {x.shape}, wanted axes 0 and 1, one each"
        )
    steps, samples = x.shape[time], x.shape[batch]
    given = integers(lengths, "sequence_lens") or []
    if len(given) != samples or not all(0 <= length <= steps for length in given):
        raise ShapeError(f"sequence_lens are {given}, wanted {samples} from 0 to {steps}")
    call.like(x, copies=2)
    call.claim((steps, samples), np.int64, copies=6)
    found = by_time(x.swapaxes(0, 1) if time else x, np.array(given, np.int64))
    return found.swapaxes(0, 1) if time else found


def by_time(x: Array, lengths: Array | None) -> Array:
    """Return sequences (steps, batch, ...), each turned round up to its length; None: of all steps."""
    if lengths is None:
        return x[::-1]
    steps = np.arange(len(x))[:, None]
    places = np.where(steps < lengths, lengths - 1 - steps, steps)
    found: Array = x[places, np.arange(x.shape[1])]
    return found
