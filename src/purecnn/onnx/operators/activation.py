"""ONNX operators: activations and softmax.

Operators that networks bend their values with: activations, and the softmax and its kin.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.kernels.cost import EXPONENTIAL, POWER
from purecnn.kernels.erf import BLOCK
from purecnn.kernels.erf import erf as error_function
from purecnn.onnx.operators.registry import OperatorCall, floating, operator


@operator("Relu")
def relu(call: OperatorCall, x: Array) -> Array:
    """max(x, 0)."""
    call.like(x)
    return np.maximum(x, 0)


@operator("LeakyRelu")
def leaky_relu(call: OperatorCall, x: Array) -> Array:
    """X where x >= 0, else alpha x."""
    call.like(x, copies=3)
    return np.where(x < 0, x * call.number("alpha", 0.01), x)


@operator("ThresholdedRelu")
def thresholded_relu(call: OperatorCall, x: Array) -> Array:
    """X where x > alpha, else 0."""
    call.like(x, copies=2)
    return np.where(x > call.number("alpha", 1.0), x, x.dtype.type(0))


def bent(call: OperatorCall, x: Array, alpha: float) -> Array:
    """Return x where x > 0, else alpha (exp(x) - 1)."""
    call.like(x, copies=5, slow=EXPONENTIAL)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@operator("Elu")
def elu(call: OperatorCall, x: Array) -> Array:
    """X where x > 0, else alpha (exp(x) - 1)."""
    return bent(call, x, call.number("alpha", 1.0))


@operator("Selu")
def selu(call: OperatorCall, x: Array) -> Any:
    """Gamma times an ELU."""
    alpha = call.number("alpha", 1.6732 if call.version < 6 else 1.67326319217681884765625)
    gamma = call.number("gamma", 1.0507 if call.version < 6 else 1.05070102214813232421875)
    return gamma * bent(call, x, alpha)


@operator("Celu")
def celu(call: OperatorCall, x: Array) -> Any:
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)."""
    alpha = call.number("alpha", 1.0)
    call.like(x, copies=5, slow=EXPONENTIAL)
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0)


@operator("Sigmoid")
def sigmoid(call: OperatorCall, x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    floating(x)
    call.like(x, copies=3, slow=EXPONENTIAL)
    return 1 / (1 + np.exp(-x))


@operator("HardSigmoid")
def hard_sigmoid(call: OperatorCall, x: Array) -> Array:
    """min(max(alpha x + beta, 0), 1)."""
    return line(call, x, call.number("alpha", 0.2), call.number("beta", 0.5))


def line(call: OperatorCall, x: Array, slope: float, height: float) -> Array:
    """Return min(max(slope x + height, 0), 1)."""
    call.like(x, copies=3)
    return np.clip(x * slope + height, 0, 1)


@operator("HardSwish")
def hard_swish(call: OperatorCall, x: Array) -> Array:
    """X min(max(x / 6 + 1 / 2, 0), 1)."""
    call.like(x)
    return x * line(call, x, 1 / 6, 0.5)


@operator("Swish")
def swish(call: OperatorCall, x: Array) -> Any:
    """X sigmoid(alpha x)."""
    floating(x)
    call.like(x, copies=3, slow=EXPONENTIAL)
    return x / (1 + np.exp(-call.number("alpha", 1.0) * x))


@operator("Softplus")
def softplus(call: OperatorCall, x: Array) -> Any:
    """log(1 + exp(x))."""
    call.like(x, copies=2, slow=POWER)
    return np.logaddexp(x, x.dtype.type(0))


@operator("Softsign")
def softsign(call: OperatorCall, x: Array) -> Any:
    """X / (1 + abs(x))."""
    call.like(x, copies=3)
    return x / (1 + np.abs(x))


@operator("Mish")
def mish(call: OperatorCall, x: Array) -> Any:
    """X tanh(softplus(x))."""
    call.like(x, copies=3, slow=POWER + EXPONENTIAL)
    return x * np.tanh(np.logaddexp(x, x.dtype.type(0)))


@operator("Erf")
def erf(call: OperatorCall, x: Array) -> Array:
    """The error function."""
    return error(call, x)


def error(call: OperatorCall, x: Array) -> Array:
    """Return the error function: a series of 40 terms in float64, else a quotient by blocks."""
    floating(x)
    if x.dtype == np.float64:
        call.like(x, copies=10, passes=160)
    else:
        call.like(x, passes=60)
        call.claim((min(x.size, BLOCK),), np.float32, copies=7)
    return error_function(x)


@operator("Gelu")
def gelu(call: OperatorCall, x: Array) -> Any:
    """X times the chance that a normal number lies below it."""
    floating(x)
    call.like(x, copies=6, slow=POWER)
    if call.choice("approximate", "none", "none", "tanh") == "tanh":
        return x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x**3))) / 2
    return x * (1 + error(call, x * np.sqrt(0.5).astype(x.dtype))) / 2


@operator("Shrink")
def shrink(call: OperatorCall, x: Array) -> Array:
    """X moved by bias towards 0 where it is farther than lambd, else 0."""
    call.like(x, copies=7)
    bias, far = call.number("bias", 0.0), call.number("lambd", 0.5)
    found = np.where(x < -far, x + bias, np.where(x > far, x - bias, 0))
    return found.astype(x.dtype, copy=False)


@operator("Clip")
def clip_by_attributes(call: OperatorCall, x: Array) -> Any:
    """X held from min to max, as attributes."""
    low, high = call.number("min", -np.inf), call.number("max", np.inf)
    call.like(x, copies=2)
    return np.minimum(np.maximum(x, x.dtype.type(low)), x.dtype.type(high))


@operator("Clip", since=11)
def clip(call: OperatorCall, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """X held from min to max, as inputs of one value."""
    for bound, choose in ((low, np.maximum), (high, np.minimum)):
        if bound is not None:
            if bound.size != 1:
                raise FileFormatError(f"a bound has shape {bound.shape}, wanted one value")
            call.same(x, bound.reshape(()))
            x = choose(x, bound.reshape(()))
    return x


def scores(call: OperatorCall, x: Array) -> tuple[Array, int, tuple[int, ...]]:
    """Return x and the axis to compare along: before operator set 13 all from it on are one."""
    if call.version >= 13:
        return x, call.axis(call.integer("axis", -1), x.ndim), x.shape
    axis = call.integer("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    if not 0 <= axis <= x.ndim:
        raise FileFormatError(f"axis is {axis}, wanted from 0 to {x.ndim}")
    return x.reshape(int(np.prod(x.shape[:axis])), -1 if x.size else 0), 1, x.shape


@operator("Softmax")
def softmax(call: OperatorCall, x: Array) -> Any:
    """exp(x) / sum exp(x)."""
    floating(x)
    call.like(x, copies=5, slow=EXPONENTIAL)
    rows, axis, shape = scores(call, x)
    found = np.exp(rows - rows.max(axis=axis, keepdims=True, initial=-np.inf))
    found /= found.sum(axis=axis, keepdims=True)
    return found.reshape(shape)


@operator("LogSoftmax")
def log_softmax(call: OperatorCall, x: Array) -> Any:
    """The logarithm of the softmax."""
    floating(x)
    call.like(x, copies=5, slow=EXPONENTIAL)
    rows, axis, shape = scores(call, x)
    low = rows - rows.max(axis=axis, keepdims=True, initial=-np.inf)
    return (low - np.log(np.exp(low).sum(axis=axis, keepdims=True))).reshape(shape)


@operator("Hardmax")
def hardmax(call: OperatorCall, x: Array) -> Array:
    """1 at the first largest value, else 0."""
    call.like(x, copies=3)
    call.claim(x.shape, np.int64, slow=POWER)
    rows, axis, shape = scores(call, x)
    found = np.zeros(rows.shape, rows.dtype)
    if rows.size:
        np.put_along_axis(found, np.expand_dims(rows.argmax(axis=axis), axis), 1, axis)
    return found.reshape(shape)
