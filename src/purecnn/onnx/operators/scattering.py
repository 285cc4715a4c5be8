"""ONNX operators: GatherND, ScatterND, ScatterElements and Scatter.

Slices and single values by their places along several axes at once: taken from an array, or put into one.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import POWER
from purecnn.onnx.operators.registry import OperatorCall, operator
from purecnn.onnx.operators.slicing import places

REDUCTIONS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def flat_places(call: OperatorCall, indices: Array, shape: tuple[int, ...]) -> Array:
    """Return the places of index tuples, the last axis of `indices`, as numbers in an array of `shape`."""
    if indices.dtype.kind not in "iu":
        raise FileFormatError(f"its indices are {indices.dtype}, wanted integers")
    call.claim(indices.shape, np.int64, copies=4, slow=POWER)
    call.claim(indices.shape[:-1], np.int64, copies=2)
    sizes = np.array(shape, np.int64)
    low, high = indices < -sizes, indices >= sizes
    if low.any() or high.any():
        wrong = indices[(low | high).any(axis=-1)][0]
        raise ShapeError(f"its indices have {wrong.tolist()}, wanted places in {shape}")
    steps = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    found: Array = np.where(indices < 0, indices + sizes, indices).astype(np.int64) @ np.array(
        steps, np.int64
    )
    return found


@operator("GatherND", since=11)
def gather_nd(call: OperatorCall, x: Array, indices: Array) -> Array:
    """Slices of x, each by its places along the first axes, or those behind a batch's."""
    batch = call.integer("batch_dims", 0)
    depth = indices.shape[-1] if indices.ndim else 0
    if not 0 <= batch < min(x.ndim, indices.ndim) or x.shape[:batch] != indices.shape[:batch]:
        raise ShapeError(f"batch_dims is {batch} of shapes {x.shape} and {indices.shape}, wanted equal axes")
    if not 1 <= depth <= x.ndim - batch:
        raise ShapeError(f"indices have shape {indices.shape}, wanted 1 to {x.ndim - batch} places each")
    slices = x.shape[batch + depth :]
    call.claim((*indices.shape[:-1], *slices), x.dtype)
    if not x.flags.c_contiguous:
        call.like(x)
    along = x.shape[batch : batch + depth]
    found = flat_places(call, indices, along)
    if batch:
        call.claim(found.shape, np.int64, copies=2)
        first = np.arange(math.prod(x.shape[:batch])).reshape(*x.shape[:batch], *[1] * (found.ndim - batch))
        found = found + first * math.prod(along)
    return np.take(x.reshape(math.prod(x.shape[: batch + depth]), *slices), found, axis=0)


def reduction(call: OperatorCall, since: int) -> Any:
    """Return how a value is put where one is; None: in its place."""
    if call.version < since:
        return None
    name = call.choice("reduction", "none", "none", "add", "mul", *(["max", "min"] * (call.version >= 18)))
    return REDUCTIONS.get(name)


def put(call: OperatorCall, whole: Array, at: Any, updates: Array, join: Any) -> None:
    """Put values into an array, one after the other where several have one place."""
    if join is None:
        whole[at] = updates
    else:
        call.claim(updates.shape, updates.dtype, copies=0, slow=POWER)
        join.at(whole, at, updates)


@operator("ScatterND", since=11)
def scatter_nd(call: OperatorCall, x: Array, indices: Array, updates: Array) -> Array:
    """X, with slices by their places along the first axes replaced, or joined with others."""
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= x.ndim:
        raise ShapeError(f"indices have shape {indices.shape}, wanted 1 to {x.ndim} places each")
    if updates.shape != (*indices.shape[:-1], *x.shape[depth:]):
        raise ShapeError(
            f"updates have shape {updates.shape}, wanted {(*indices.shape[:-1], *x.shape[depth:])}"
        )
    call.alike(x, updates)
    call.like(x)
    call.claim(updates.shape, updates.dtype)
    found = np.array(x, order="C")
    at = flat_places(call, indices, x.shape[:depth])
    rows = found.reshape(math.prod(x.shape[:depth]), *x.shape[depth:])
    put(call, rows, at, updates, reduction(call, 16))
    return found


@operator("ScatterElements", "Scatter", since=9)
def scatter_elements(call: OperatorCall, x: Array, indices: Array, updates: Array) -> Array:
    """X, with values by their places along an axis replaced, or joined with others."""
    axis = call.axis(call.integer("axis", 0), x.ndim)
    if x.ndim != indices.ndim or indices.shape != updates.shape:
        raise ShapeError(
            f"shapes are {x.shape}, {indices.shape} and {updates.shape}, wanted as many axes, "
            f"and indices and updates of one shape"
        )
    beyond = [place for place in range(x.ndim) if place != axis and indices.shape[place] > x.shape[place]]
    if beyond:
        raise ShapeError(f"indices have shape {indices.shape}, wanted no more than {x.shape} along others")
    call.alike(x, updates)
    call.like(x)
    call.claim(updates.shape, np.int64, copies=2)
    call.claim(updates.shape, updates.dtype)
    found = x.copy()
    at = [
        np.arange(size).reshape(-1, *[1] * (x.ndim - 1 - place)) for place, size in enumerate(indices.shape)
    ]
    at[axis] = places(call, indices, x.shape[axis])
    put(call, found, tuple(at), updates, reduction(call, 16))
    return found
