"""ONNX operators: quantization.

Operators of quantized networks: numbers as bytes with a scale and a zero point, and products of these.

Formulas are those of https://onnx.ai/onnx/operators. Sums of bytes are whole numbers and exact, as integers
would be: see `whole_numbers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.arrays import as_dtype
from purecnn.onnx.operators.quantized.whole_numbers import by_place, convolution, matrix_product
from purecnn.onnx.operators.registry import OperatorCall, floating, operator

#: The kinds of integers that numbers are written in, and those that are read.
WRITTEN = tuple(np.dtype(name) for name in ("int8", "uint8", "int16", "uint16"))
READ = (*WRITTEN, np.dtype(np.int32))


def spread(call: OperatorCall, x: Array, values: Array, what: str) -> Array:
    """Return scales or zero points that can be broadcast to x: one, or one for each place or block."""
    if values.size == 1 and values.ndim < 2:
        return values.reshape(())
    axis, block = call.axis(call.integer("axis", 1), x.ndim), call.integer("block_size", 0)
    if values.ndim == 1 and not (block and x.ndim == 1):
        if values.shape != x.shape[axis : axis + 1]:
            raise ShapeError(
                f"{what} has shape {values.shape}, wanted one for each place of axis {axis}, {x.shape}"
            )
        return values.reshape(-1, *[1] * (x.ndim - 1 - axis))
    shape = list(x.shape)
    shape[axis] = -(-shape[axis] // block) if block > 0 else 0
    if block < 1 or list(values.shape) != shape:
        raise ShapeError(
            f"{what} has shape {values.shape}, wanted {tuple(shape)}: blocks of {block} of {x.shape}"
        )
    call.claim((*shape[:axis], shape[axis] * block, *shape[axis + 1 :]), values.dtype)
    return values.repeat(block, axis)[(*[slice(None)] * axis, slice(x.shape[axis]))]


def in_bytes(values: Array, zero: Array | float, dtype: np.dtype[Any]) -> Array:
    """Return multiples of a scale, which are overwritten, as the integers nearest to them, held in range."""
    limits = np.iinfo(dtype)
    np.rint(values, out=values)
    values += zero
    np.clip(values, limits.min, limits.max, out=values)
    return values.astype(dtype)


def written(call: OperatorCall, x: Array, scale: Array, zero: Array | None, dtype: np.dtype[Any]) -> Array:
    """Return numbers as integers of a dtype; scale and zero point can be broadcast to them."""
    call.claim(x.shape, np.float32, copies=3, passes=8)
    call.claim(x.shape, dtype)
    multiples = np.divide(x.astype(np.float32, copy=False), scale.astype(np.float32))
    return in_bytes(multiples, 0.0 if zero is None else zero.astype(np.float32), dtype)


def read(call: OperatorCall, x: Array, scale: Array, zero: Array | None) -> Array:
    """Return integers as float32; scale and zero point can be broadcast to them."""
    call.claim(x.shape, np.float32, copies=2, passes=6)
    if zero is not None and x.dtype == np.int32:  # in float32 a difference could lose digits
        call.claim(x.shape, np.int64, copies=2)
        found = (x.astype(np.int64) - zero).astype(np.float32)
    else:
        found = x.astype(np.float32)
        if zero is not None:
            found -= zero.astype(np.float32)
    found *= scale.astype(np.float32)
    return found


@operator("QuantizeLinear", since=10)
def quantize(call: OperatorCall, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """round(x / scale) + zero point, of each tensor, axis or block, held in the range of its integers."""
    asked = call.integer("output_dtype", 0)
    dtype = as_dtype(asked, "the attribute 'output_dtype'") if asked else np.dtype(np.uint8)
    if zero is not None:
        if asked and zero.dtype != dtype:
            raise FileFormatError(f"the zero point is {zero.dtype}, the attribute 'output_dtype' {dtype}")
        if zero.shape != scale.shape and zero.size != 1:
            raise ShapeError(f"scale and zero point are of {scale.shape} and {zero.shape}, wanted the same")
        dtype = zero.dtype
    if dtype not in WRITTEN:
        raise FileFormatError(f"numbers are to become {dtype}, wanted one of {', '.join(map(str, WRITTEN))}")
    floating(scale)
    if x.dtype.kind != "f" and x.dtype != np.int32:
        raise FileFormatError(f"the input is {x.dtype}, wanted floats or int32")
    steps = spread(call, x, scale, "the scale")
    return written(
        call, x, steps, spread(call, x, zero, "the zero point") if zero is not None else None, dtype
    )


@operator("DequantizeLinear", since=10)
def dequantize(call: OperatorCall, x: Array, scale: Array, zero: Array | None = None) -> Array:
    """(x - zero point) scale, of each tensor, axis or block."""
    floating(scale)
    if x.dtype not in READ or (zero is not None and zero.dtype != x.dtype):
        found = f"{x.dtype}" if zero is None else f"{x.dtype} and {zero.dtype}"
        raise FileFormatError(
            f"values and zero points are {found}, wanted one of {', '.join(map(str, READ))}"
        )
    if zero is not None and zero.shape != scale.shape and zero.size != 1:
        raise ShapeError(f"scale and zero point are of {scale.shape} and {zero.shape}, wanted the same")
    asked = call.integer("output_dtype", 0)
    dtype = as_dtype(asked, "the attribute 'output_dtype'") if asked else scale.dtype
    if dtype.kind != "f":
        raise FileFormatError(f"integers are to become {dtype}, wanted floats")
    steps = spread(call, x, scale, "the scale")
    numbers = read(call, x, steps, spread(call, x, zero, "the zero point") if zero is not None else None)
    call.claim(x.shape, dtype, copies=dtype != np.float32)
    return numbers.astype(dtype, copy=False)


@operator("DynamicQuantizeLinear", since=11)
def quantize_dynamically(call: OperatorCall, x: Array) -> tuple[Array, ...]:
    """Numbers as uint8, by a scale and a zero point of their own, which come too."""
    if x.dtype != np.float32:
        raise FileFormatError(f"the input is {x.dtype}, wanted float32")
    call.like(x, copies=0, passes=2)
    scale, point = scale_of(x)
    zero = point.astype(np.uint8)
    return written(call, x, np.asarray(scale), zero, np.dtype(np.uint8)), np.asarray(scale), zero


def scale_of(x: Array) -> tuple[np.float32, Array]:
    """Return the scale of 256 numbers from the least to the largest, and which of them 0 is."""
    low, high = x.min(initial=0), x.max(initial=0)
    scale = (high - low) / np.float32(255) or np.float32(1)  # of zeros, or of numbers that it underflows for
    return scale, np.clip(np.rint(-low / scale), 0, 255)


# Products -----------------------------------------------------------------------------------------------


def as_integers(call: OperatorCall, sums: Array) -> Array:
    """Return whole numbers as int32, as they wrap there."""
    call.claim(sums.shape, np.int32)
    if sums.dtype == np.float32:  # below 2^24
        return sums.astype(np.int32)
    call.claim(sums.shape, np.int64)
    return sums.astype(np.int64).astype(np.int32)


@operator("MatMulInteger", since=10)
def integer_matrix_product(
    call: OperatorCall, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
) -> Array:
    """(a - its zero point) @ (b - its zero point), in int32."""
    return as_integers(call, matrix_product(call, a, b, a_zero, b_zero))


@operator("ConvInteger", since=10)
def integer_convolution(
    call: OperatorCall, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None
) -> Array:
    """The cross-correlation of bytes less their zero points, in int32."""
    return as_integers(call, convolution(call, x, w, x_zero, w_zero))


def requantized(call: OperatorCall, sums: Array, factor: Array, zero: Array) -> Array:
    """Return sums, overwritten if they are float32, times a factor, as integers like a zero point."""
    if zero.dtype not in WRITTEN[:2] or zero.size != 1:
        raise FileFormatError(
            f"the output's zero point is {zero.dtype} {zero.shape}, wanted one int8 or uint8"
        )
    call.claim(sums.shape, np.float32, copies=sums.dtype != np.float32, passes=8)
    call.claim(sums.shape, zero.dtype)
    multiples = sums.astype(np.float32, copy=False)
    multiples *= factor
    return in_bytes(multiples, zero.astype(np.float32).reshape(()), zero.dtype)


def one(values: Array, what: str) -> Array:
    """Return a scale that is one number as float32."""
    floating(values)
    if values.size != 1:
        raise ShapeError(f"{what} has shape {values.shape}, wanted one number")
    return values.astype(np.float32).reshape(())


@operator("QLinearMatMul", since=10)
def quantized_matrix_product(
    call: OperatorCall,
    a: Array,
    a_scale: Array,
    a_zero: Array,
    b: Array,
    b_scale: Array,
    b_zero: Array,
    scale: Array,
    zero: Array,
) -> Array:
    """a @ b of numbers as bytes, again as bytes."""
    floating(a_scale, b_scale)
    sums = matrix_product(call, a, b, a_zero, b_zero)
    rows = by_place(a, a_scale, -2 if a.ndim > 1 else None, "the scale of a")
    columns = by_place(b, b_scale, -1 if b.ndim > 1 else None, "the scale of b")
    return requantized(call, sums, rows * columns / one(scale, "the output's scale"), zero)


@operator("QLinearConv", since=10)
def quantized_convolution(
    call: OperatorCall,
    x: Array,
    x_scale: Array,
    x_zero: Array,
    w: Array,
    w_scale: Array,
    w_zero: Array,
    scale: Array,
    zero: Array,
    biases: Array | None = None,
) -> Array:
    """The cross-correlation of numbers as bytes, biases added, again as bytes."""
    floating(w_scale)
    sums = convolution(call, x, w, x_zero, w_zero)
    along = [1] * (x.ndim - 2)
    if biases is not None:
        if biases.dtype != np.int32 or biases.shape != w.shape[:1]:
            raise ShapeError(f"biases are {biases.dtype} {biases.shape}, wanted int32 {w.shape[:1]}")
        if sums.dtype == np.float32 and max(-int(biases.min(initial=0)), int(biases.max(initial=0))) >= 2**24:
            call.claim(sums.shape, np.float64)
            sums = sums.astype(np.float64)
        sums += biases.astype(sums.dtype).reshape(-1, *along)
    factor = one(x_scale, "the scale of x") * by_place(w, w_scale, 0, "the scale of w")
    factor = factor / one(scale, "the output's scale")
    return requantized(call, sums, factor.reshape(-1, *along), zero)
