"""Products of whole numbers by BLAS, which multiplies floats alone.

A sum of whole numbers in float32 is exact in any order as long as their sizes add up to less than 2^24. So a
product of bytes is one of floats where that holds, and else several, of parts along the axis that is summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels import cpu
from purecnn.onnx.operators.convolution import convolved
from purecnn.onnx.operators.registry import OperatorCall

#: Up to here float32 has every whole number.
EXACT = 2**24


def only_bytes(x: Array) -> None:
    """Check that an input is bytes."""
    if x.dtype not in (np.int8, np.uint8):
        raise FileFormatError(f"an input is {x.dtype}, wanted int8 or uint8")


def shifted(call: OperatorCall, x: Array, zero: Array | None, axis: int | None = None) -> Array:
    """Return bytes less their zero point as float32; along `axis` there may be one for each place."""
    only_bytes(x)
    call.claim(x.shape, np.float32, copies=2)
    found = x.astype(np.float32)
    if zero is None:
        return found
    if zero.dtype != x.dtype:
        raise FileFormatError(f"a zero point is {zero.dtype}, wanted {x.dtype} as its values")
    found -= by_place(x, zero, axis, "a zero point")
    return found


def by_place(x: Array, values: Array, axis: int | None, what: str) -> Array:
    """Return float32 that can be broadcast to x: one number, or one for each place along an axis.

    Of stacks of matrices also one for each row or column of each, an array of as many axes.
    """
    numbers = values.astype(np.float32)
    if numbers.size == 1:
        return numbers.reshape(())
    if axis is not None and -x.ndim <= axis < x.ndim:
        place = axis % x.ndim
        if numbers.shape == (x.shape[place],):
            return numbers.reshape(-1, *[1] * (x.ndim - 1 - place))
        fits = all(size in (1, whole) for size, whole in zip(numbers.shape, x.shape, strict=False))
        if axis < 0 and numbers.ndim == x.ndim >= 2 and fits and numbers.shape[-3 - axis] == 1:
            return numbers
    raise ShapeError(
        f"{what} has shape {values.shape}, wanted one number, or one for each place of {x.shape}"
    )


def parts(sizes: Array, largest: float) -> list[slice] | None:
    """Return how to cut the axis that is summed, so that the sums of each part are exact in float32.

    Parameters
    ----------
    sizes : ndarray
        (K, outputs): the sizes of one factor, all whole numbers.
    largest : float
        The size that the other factor has at most.

    Returns
    -------
    list of slice, or None
        Of the K places; None where one place alone is too much.
    """
    places = len(sizes)
    count = 1
    while True:
        starts = np.linspace(0, places, count, endpoint=False).astype(np.int64)
        most = np.add.reduceat(sizes, starts, axis=0).max(initial=0) * largest if sizes.size else 0
        if most < EXACT:
            ends = [*starts[1:].tolist(), places]
            return [slice(start, end) for start, end in zip(starts.tolist(), ends, strict=True)]
        if count >= places:
            return None
        count = min(places, max(count + 1, math.ceil(most / EXACT * count / 2)))


def summed(products: Callable[[slice], Array], cut: list[slice]) -> Array:
    """Return the sum of the products of all parts: float32 where there is one, else float64."""
    found = products(cut[0])
    if len(cut) > 1:
        found = found.astype(np.float64)
        for part in cut[1:]:
            found += products(part)
    return found


def reach(x: Array, zero: Array | None) -> float:
    """Return how far bytes may lie from their zero point."""
    limits = np.iinfo(x.dtype)
    low, high = (0, 0) if zero is None or not zero.size else (int(zero.min()), int(zero.max()))
    return float(max(limits.max - low, high - limits.min))


def matrix_product(
    call: OperatorCall, a: Array, b: Array, a_zero: Array | None, b_zero: Array | None
) -> Array:
    """Return (a - a_zero) @ (b - b_zero) of bytes, whole numbers in float32 or float64."""
    if not a.ndim or not b.ndim:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, wanted at least one axis each")
    only_bytes(a)
    largest = reach(a, a_zero)
    rows, columns = (-2 if a.ndim > 1 else None), (-1 if b.ndim > 1 else None)
    left, right = shifted(call, a, a_zero, rows), shifted(call, b, b_zero, columns)
    places = right.shape[-2] if right.ndim > 1 else len(right)
    if left.shape[-1] != places:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, which can't be multiplied")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    outputs = (*stack, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    cut: list[slice] | None = [slice(0, places)]
    if places * largest * reach(b, b_zero) >= EXACT:
        call.like(right, copies=2)
        sizes = np.abs(right).reshape(-1, places, b.shape[-1] if b.ndim > 1 else 1)
        cut = parts(sizes[0] if len(sizes) == 1 else sizes.max(axis=0), largest)
    if cut is None:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, wanted sums that float64 has")
    several = len(cut) > 1
    call.claim(outputs, np.float32, copies=2, passes=2 * len(cut))
    call.claim(outputs, np.float64, copies=several, passes=4 * len(cut) * several)
    call.budget.multiply(math.prod(outputs) * places, np.float32, math.prod(stack) * len(cut))

    def product(part: slice) -> Array:
        found: Array = left[..., part] @ (right[..., part, :] if right.ndim > 1 else right[part])
        return found

    return np.asarray(summed(product, cut))


def convolution(call: OperatorCall, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None) -> Array:
    """Return the cross-correlation of bytes less their zero points, whole numbers in float32 or float64."""
    if x_zero is not None and x_zero.size != 1:
        raise ShapeError(f"the zero point of the images has shape {x_zero.shape}, wanted one number")
    only_bytes(x)
    largest = reach(x, x_zero)
    pixels, kernels = shifted(call, x, x_zero), shifted(call, w, w_zero, 0)
    if math.prod(w.shape[1:]) * largest * reach(w, w_zero) < EXACT or w.ndim < 3:
        return convolved(call, pixels, kernels, None, cpu.conv2d_direct)
    call.like(kernels, copies=2)
    sizes = np.abs(kernels)
    if sizes.reshape(len(w), -1).sum(axis=1).max(initial=0) * largest < EXACT:
        return convolved(call, pixels, kernels, None, cpu.conv2d_direct)
    cut = parts(sizes.reshape(*w.shape[:2], -1).sum(axis=2).T, largest) if w.shape[1] == x.shape[1] else None
    if cut is None:  # groups, or windows of hundreds of cells
        call.claim(x.shape, np.float64)
        call.claim(w.shape, np.float64)
        return convolved(call, pixels.astype(np.float64), kernels.astype(np.float64), None, cpu.conv2d_direct)

    held = call.budget.making

    def product(part: slice) -> Array:
        call.budget.making = held  # what the part before took on its way is free again
        found = convolved(call, pixels[:, part], kernels[:, part], None, cpu.conv2d_direct)
        call.claim(found.shape, np.float64, copies=2, passes=4)
        return found

    return summed(product, cut)
