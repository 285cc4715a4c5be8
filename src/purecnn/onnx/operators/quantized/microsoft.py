"""ONNX operators: onnxruntime's own, in quantized and optimized networks.

Operators of the domain com.microsoft that onnxruntime's quantizer and optimizer write into networks.

Formulas are those of https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import EXPONENTIAL
from purecnn.onnx.operators import activation, convolution, pooling, reduction
from purecnn.onnx.operators.quantized.quantization import (
    dequantize,
    one,
    quantize,
    quantize_dynamically,
    read,
    requantized,
    written,
)
from purecnn.onnx.operators.quantized.whole_numbers import by_place, matrix_product, only_bytes
from purecnn.onnx.operators.registry import OperatorCall, floating, operator

DOMAIN = "com.microsoft"

operator("QuantizeLinear", domain=DOMAIN)(quantize)
operator("DequantizeLinear", domain=DOMAIN)(dequantize)


def named(inputs: Sequence[Array | None], places: Sequence[int], most: int) -> list[Any]:
    """Return inputs, those left out at the end as None, if those at some places are there."""
    found = [*inputs, *[None] * (most - len(inputs))]
    if len(found) > most or any(found[place] is None for place in places):
        raise FileFormatError(
            f"has {len(inputs)} inputs, wanted up to {most}, the {list(places)} of them named"
        )
    return found


def numbers(call: OperatorCall, x: Any, scale: Any, zero: Array | None) -> Array:
    """Return bytes as the numbers that they stand for."""
    only_bytes(x)
    return read(call, x, one(scale, "a scale"), zero_point(zero, x.dtype))


def zero_point(zero: Array | None, dtype: np.dtype[Any]) -> Array:
    """Return a zero point, 0 where there is none."""
    if zero is None:
        return np.zeros((), dtype)
    if zero.dtype != dtype or zero.size != 1:
        raise FileFormatError(f"a zero point is {zero.dtype} {zero.shape}, wanted one {dtype}")
    return zero.reshape(())


def as_bytes(call: OperatorCall, x: Array, scale: Any, zero: Array | None, dtype: np.dtype[Any]) -> Array:
    """Return numbers as bytes."""
    return written(call, x, one(scale, "the output's scale"), zero_point(zero, dtype), dtype)


# Quantized ----------------------------------------------------------------------------------------------


@operator("QLinearAdd", "QLinearMul", domain=DOMAIN)
def quantized_pair(call: OperatorCall, *inputs: Array | None) -> Array:
    """a + b, or a b, of numbers as bytes, again as bytes."""
    a, a_scale, a_zero, b, b_scale, b_zero, scale, zero = named(inputs, (0, 1, 3, 4, 6), 8)
    left, right = numbers(call, a, a_scale, a_zero), numbers(call, b, b_scale, b_zero)
    call.together(left, right)
    found = left + right if call.node.operator == "QLinearAdd" else left * right
    return as_bytes(call, found, scale, zero, a.dtype)


@operator("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", domain=DOMAIN)
def quantized_activation(call: OperatorCall, *inputs: Array | None) -> Array:
    """An activation of numbers as bytes, again as bytes."""
    x, x_scale, x_zero, scale, zero = named(inputs, (0, 1, 3), 5)
    values = numbers(call, x, x_scale, x_zero)
    if call.node.operator == "QLinearSigmoid":
        found = activation.sigmoid(call, values)
    elif call.node.operator == "QLinearLeakyRelu":
        found = activation.leaky_relu(call, values)
    else:
        found = softmax(call, values)
    return as_bytes(call, found, scale, zero, x.dtype)


def softmax(call: OperatorCall, x: Array) -> Array:
    """Return exp(x) / sum exp(x), before operator set 13 of all axes from one on."""
    axis = call.axis(call.integer("axis", -1), x.ndim)
    axes = (axis,) if call.integer("opset", 13) >= 13 else tuple(range(axis, x.ndim))
    call.like(x, copies=3, slow=EXPONENTIAL)
    powers = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    found: Array = powers / powers.sum(axis=axes, keepdims=True)
    return found


@operator("QLinearGlobalAveragePool", "QLinearAveragePool", domain=DOMAIN)
def quantized_average_pool(call: OperatorCall, *inputs: Array | None) -> Array:
    """The mean of each window, or of each map, of numbers as bytes, again as bytes."""
    x, x_scale, x_zero, scale, zero = named(inputs, (0, 1, 3), 5)
    values, last = numbers(call, x, x_scale, x_zero), call.integer("channels_last", 0)
    if last and values.ndim > 2:
        values = np.moveaxis(values, -1, 1)
    whole = call.node.operator == "QLinearGlobalAveragePool"
    found = (pooling.global_average_pool if whole else pooling.average_pool)(call, values)
    found = as_bytes(call, found, scale, zero, x.dtype)
    return np.moveaxis(found, 1, -1) if last else found


@operator("QLinearConcat", domain=DOMAIN)
def quantized_concatenation(call: OperatorCall, scale: Array, zero: Array, *inputs: Array | None) -> Array:
    """Arrays of bytes, each with its scale and zero point, one behind the other along an axis."""
    if not inputs or len(inputs) % 3 or any(x is None for x in inputs):
        raise FileFormatError(f"has {len(inputs)} inputs of arrays, wanted a scale and a zero point for each")
    only_bytes(zero)
    target, parts = one(scale, "the output's scale"), []
    given: Sequence[Any] = inputs
    for part, x_scale, x_zero in zip(given[::3], given[1::3], given[2::3], strict=True):
        same = part.dtype == zero.dtype and one(x_scale, "a scale") == target
        if not same or zero_point(x_zero, part.dtype) != zero_point(zero, zero.dtype):
            parts.append(as_bytes(call, numbers(call, part, x_scale, x_zero), scale, zero, zero.dtype))
        else:
            parts.append(part)
    return concatenated(call, parts)


def concatenated(call: OperatorCall, parts: list[Any]) -> Array:
    """Return arrays one behind the other along the axis that the attribute says."""
    first = parts[0]
    axis = call.axis(call.integer("axis"), first.ndim)
    shape = list(first.shape)
    shape[axis] = sum(part.shape[axis] for part in parts if part.ndim == first.ndim)
    call.claim(shape, first.dtype)
    if axis and not first.flags.c_contiguous:  # the batch last in memory stays there
        return np.moveaxis(np.concatenate([np.moveaxis(part, 0, -1) for part in parts], axis - 1), -1, 0)
    return np.concatenate(parts, axis)


@operator("QLinearWhere", domain=DOMAIN)
def quantized_where(
    call: OperatorCall,
    condition: Array,
    x: Array,
    x_scale: Array,
    x_zero: Array,
    y: Array,
    y_scale: Array,
    y_zero: Array,
    scale: Array,
    zero: Array,
) -> Array:
    """x where the condition holds, else y, of numbers as bytes, again as bytes."""
    if condition.dtype != np.bool_:
        raise FileFormatError(f"its condition is {condition.dtype}, wanted bool")
    left = as_bytes(call, numbers(call, x, x_scale, x_zero), scale, zero, zero.dtype)
    right = as_bytes(call, numbers(call, y, y_scale, y_zero), scale, zero, zero.dtype)
    call.together(condition, left, right)
    return np.where(condition, left, right)


@operator("QGemm", domain=DOMAIN)
def quantized_general_product(call: OperatorCall, *inputs: Array | None) -> Any:
    """Alpha a @ b + c of numbers as bytes, again as bytes; as floats where the output has no scale."""
    a, a_scale, a_zero, b, b_scale, b_zero, c, scale, zero = named(inputs, (0, 1, 3, 4), 9)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, wanted two matrices")
    left, right = a.T if call.integer("transA", 0) else a, b.T if call.integer("transB", 0) else b
    sums = matrix_product(call, left, right, a_zero, b_zero)
    if c is not None:
        if c.dtype != np.int32 or np.broadcast_shapes(c.shape, sums.shape) != sums.shape:
            raise ShapeError(f"c is {c.dtype} {c.shape}, wanted int32 that can be added to {sums.shape}")
        call.claim(sums.shape, np.float64, copies=2)
        sums = sums.astype(np.float64) + c
    floating(b_scale)
    factor = one(a_scale, "the scale of a") * by_place(right, b_scale, -1, "the scale of b")
    factor = factor * np.float32(call.number("alpha", 1.0))
    if scale is None:
        call.claim(sums.shape, np.float32, copies=2)
        return sums.astype(np.float32) * factor
    return requantized(call, sums, factor / one(scale, "the output's scale"), zero_point(zero, a.dtype))


@operator("MatMulIntegerToFloat", domain=DOMAIN)
def integer_product_as_floats(call: OperatorCall, *inputs: Array | None) -> Any:
    """a @ b of numbers as bytes, as floats, a bias added."""
    a, b, a_scale, b_scale, a_zero, b_zero, bias = named(inputs, (0, 1, 2, 3), 7)
    return floats_of(call, a, b, a_scale, b_scale, a_zero, b_zero, bias)


@operator("DynamicQuantizeMatMul", domain=DOMAIN)
def dynamic_product(call: OperatorCall, *inputs: Array | None) -> Any:
    """a @ b of floats and numbers as bytes, a bias added: the floats become bytes of a scale of their own."""
    a, b, b_scale, b_zero, bias = named(inputs, (0, 1, 2), 5)
    values, scale, zero = quantize_dynamically(call, a)
    return floats_of(call, values, b, scale, b_scale, zero, b_zero, bias)


def floats_of(
    call: OperatorCall,
    a: Any,
    b: Any,
    a_scale: Any,
    b_scale: Any,
    a_zero: Array | None,
    b_zero: Array | None,
    bias: Array | None,
) -> Any:
    """Return the product of bytes as floats, a bias added."""
    floating(a_scale, b_scale)
    sums = matrix_product(call, a, b, a_zero, b_zero)
    factor = one(a_scale, "the scale of a") * by_place(
        b, b_scale, -1 if b.ndim > 1 else None, "the scale of b"
    )
    call.claim(sums.shape, np.float32, copies=3)
    found = sums.astype(np.float32) * factor
    if bias is None:
        return found
    if bias.dtype != np.float32 or bias.shape != found.shape[-1:]:
        raise ShapeError(f"the bias is {bias.dtype} {bias.shape}, wanted float32 {found.shape[-1:]}")
    return found + bias


# Fused --------------------------------------------------------------------------------------------------


def activated(call: OperatorCall, x: Array, kind: str, numbers: Sequence[float]) -> Any:
    """Return an activation by its name and its numbers."""
    known = {"Relu": 0, "Tanh": 0, "Sigmoid": 0, "LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2, "": 0}
    if known.get(kind) != len(numbers) or not all(isinstance(number, float) for number in numbers):
        raise FileFormatError(
            f"the activation is {kind!r} of {numbers!r:.80}, wanted one of {', '.join(known)}"
        )
    if kind == "":
        return x
    call.like(x, copies=3, slow=EXPONENTIAL)
    if kind == "Relu":
        return np.maximum(x, 0)
    if kind == "Tanh":
        return np.tanh(x)
    if kind == "Sigmoid":
        return 1 / (1 + np.exp(-x))
    if kind == "LeakyRelu":
        return np.where(x < 0, x * x.dtype.type(numbers[0]), x)
    if kind == "Clip":
        return np.clip(x, *map(x.dtype.type, numbers))
    return np.clip(x * x.dtype.type(numbers[0]) + x.dtype.type(numbers[1]), 0, 1)


@operator("FusedConv", domain=DOMAIN)
def fused_convolution(
    call: OperatorCall, x: Array, w: Array, b: Array | None = None, addend: Array | None = None
) -> Any:
    """A convolution, to which an array is added, and an activation."""
    found = convolution.convolution(call, x, w, b)
    if addend is not None:
        call.same(found, addend)
        found = found + addend
    numbers = call.attribute("activation_params", list, [])
    return activated(call, found, call.text("activation", ""), numbers)


@operator("FusedGemm", domain=DOMAIN)
def fused_general_product(call: OperatorCall, a: Array, b: Array, c: Array | None = None) -> Any:
    """Alpha a @ b + beta c, and an activation."""
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    numbers = [call.number(name) for name in names if name in call.node.attributes]
    return activated(call, reduction.general_product(call, a, b, c), call.text("activation", ""), numbers)


@operator("FusedMatMul", domain=DOMAIN)
def fused_matrix_product(call: OperatorCall, a: Array, b: Array) -> Any:
    """Alpha a @ b, the last two axes of either turned where they are to be."""
    if call.integer("transBatchA", 0) or call.integer("transBatchB", 0):
        raise FileFormatError("turns the axes of batches, wanted those of matrices alone")
    a = a.swapaxes(-1, -2) if call.integer("transA", 0) and a.ndim > 1 else a
    b = b.swapaxes(-1, -2) if call.integer("transB", 0) and b.ndim > 1 else b
    found = reduction.matrix_product(call, a, b)
    alpha = call.number("alpha", 1.0)
    if alpha == 1:
        return found
    call.like(found)
    return found * found.dtype.type(alpha)


@operator("Gelu", domain=DOMAIN)
def gelu(call: OperatorCall, x: Array) -> Any:
    """X times the chance that a normal number lies below it."""
    return activation.gelu(call, x)


@operator("BiasGelu", domain=DOMAIN)
def bias_gelu(call: OperatorCall, x: Array, bias: Array) -> Any:
    """The GELU of x + bias."""
    call.same(x, bias)
    return activation.gelu(call, x + bias)


@operator("FastGelu", domain=DOMAIN)
def fast_gelu(call: OperatorCall, x: Array, bias: Array | None = None) -> Any:
    """The GELU of x + bias, by a tangent."""
    floating(x)
    if bias is not None:
        call.same(x, bias)
        x = x + bias
    call.like(x, copies=6, slow=EXPONENTIAL)
    return x * (1 + np.tanh(x * (x.dtype.type(0.7978845608) + x.dtype.type(0.035677408136) * x * x))) / 2


@operator("QuickGelu", domain=DOMAIN)
def quick_gelu(call: OperatorCall, x: Array) -> Any:
    """X sigmoid(alpha x)."""
    floating(x)
    call.like(x, copies=3, slow=EXPONENTIAL)
    return x / (1 + np.exp(-x.dtype.type(call.number("alpha", 1.702)) * x))
