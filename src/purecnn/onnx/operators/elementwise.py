"""ONNX operators: arithmetic, comparisons and casts.

Operators that compute each value by itself: arithmetic, comparisons and casts.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.kernels.cost import EXPONENTIAL, POWER
from purecnn.onnx.arrays import TEXT, as_dtype
from purecnn.onnx.operators import text
from purecnn.onnx.operators.registry import OperatorCall, operator

UNARY: dict[str, Callable[[Array], Any]] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.invert,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Exp": np.exp,
    "Floor": np.floor,
    "IsNaN": np.isnan,
    "Log": np.log,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Tanh": np.tanh,
}


BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "Add": np.add,
    "And": np.logical_and,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Sub": np.subtract,
    "Xor": np.logical_xor,
}


def _unary(function: Callable[[Array], Any]) -> Callable[[OperatorCall, Array], Any]:
    def run(call: OperatorCall, x: Array) -> Any:
        call.like(x, copies=2, slow=EXPONENTIAL)  # of integers some make wider floats
        return function(x)

    return run


def _binary(function: Callable[[Array, Array], Any]) -> Callable[[OperatorCall, Array, Array], Any]:
    def run(call: OperatorCall, a: Array, b: Array) -> Any:
        b = placed(call, a, b)
        if TEXT in (a.dtype, b.dtype):
            return text.equal(call, a, b)
        call.same(a, b)
        return function(a, b)

    return run


for _name, _function in UNARY.items():
    operator(_name)(_unary(_function))
for _name, _pair in BINARY.items():
    operator(_name)(_binary(_pair))


def placed(call: OperatorCall, a: Array, b: Array) -> Array:
    """Return the second input where its axes meet those of the first: before set 7 an attribute said."""
    if call.version >= 7 or not call.integer("broadcast", 0):
        return b
    first = call.integer("axis", None)
    if first is None:
        return b
    behind = a.ndim - call.axis(first, a.ndim) - b.ndim
    if behind < 0:
        raise FileFormatError(f"axis is {first}, but {b.ndim} axes do not fit behind it in {a.ndim}")
    return b.reshape(b.shape + (1,) * behind)


@operator("Identity")
def identity(call: OperatorCall, x: Array) -> Array:
    """The input."""
    return x


@operator("Div")
def divide(call: OperatorCall, a: Array, b: Array) -> Any:
    """a / b; of integers, rounded towards zero."""
    b = placed(call, a, b)
    if a.dtype.kind == "f":
        call.same(a, b)
        return np.divide(a, b)
    call.same(a, b, copies=7, slow=EXPONENTIAL)
    quotient: Array = a // b
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0))).astype(a.dtype)


@operator("Pow")
def power(call: OperatorCall, a: Array, b: Array) -> Array:
    """a ** b, of the dtype of a."""
    b = placed(call, a, b)
    call.together(a, b, copies=2, slow=2 * POWER)
    if a.dtype.kind != "f" and b.dtype.kind == "f":
        call.claim(a.shape, np.float64)
        call.claim(np.broadcast_shapes(a.shape, b.shape), np.float64)
        a, kind = a.astype(np.float64), a.dtype
    else:
        kind = a.dtype
    return np.power(a, b).astype(kind)


@operator("Mod")
def modulo(call: OperatorCall, a: Array, b: Array) -> Array:
    """a mod b, the sign that of b, or with ``fmod=1`` that of a."""
    call.same(a, b, slow=EXPONENTIAL)
    return np.fmod(a, b) if call.integer("fmod", 0) else np.mod(a, b)


@operator("BitShift")
def bit_shift(call: OperatorCall, a: Array, b: Array) -> Array:
    """A shifted by b bits."""
    call.same(a, b)
    left = call.choice("direction", "", "LEFT", "RIGHT") == "LEFT"
    return np.left_shift(a, b) if left else np.right_shift(a, b)


@operator("PRelu")
def prelu(call: OperatorCall, x: Array, slope: Array) -> Array:
    """X where x >= 0, else slope x."""
    if call.version < 7 and slope.ndim == 1 and x.ndim > 1:
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    call.same(x, slope, copies=3)
    return np.where(x < 0, slope * x, x)


@operator("Max")
def maximum(call: OperatorCall, *inputs: Array) -> Array:
    """The largest of all inputs."""
    return together(call, np.maximum, inputs)


@operator("Min")
def minimum(call: OperatorCall, *inputs: Array) -> Array:
    """The smallest of all inputs."""
    return together(call, np.minimum, inputs)


@operator("Sum")
def total(call: OperatorCall, *inputs: Array) -> Array:
    """The sum of all inputs."""
    return together(call, np.add, inputs)


@operator("Mean")
def mean(call: OperatorCall, *inputs: Array) -> Array:
    """The mean of all inputs."""
    found: Array = together(call, np.add, inputs)
    call.claim(found.shape, np.float64 if found.dtype.kind != "f" else found.dtype)
    found = found / len(inputs)
    call.like(found)
    return found.astype(inputs[0].dtype, copy=False)


def together(call: OperatorCall, function: Any, inputs: tuple[Array, ...]) -> Array:
    """Return a function of two, of all inputs one after the other."""
    if not inputs or any(input is None for input in inputs):
        raise FileFormatError("has no inputs, wanted at least one, named")
    call.same(*inputs, copies=min(2, len(inputs) - 1), passes=3 * len(inputs))
    found: Array = reduce(function, inputs)
    return found


@operator("Where")
def where(call: OperatorCall, condition: Array, x: Array, y: Array) -> Array:
    """X where the condition holds, else y."""
    if condition.dtype != np.bool_:
        raise FileFormatError(f"its condition is {condition.dtype}, wanted bool")
    call.same(x, y, copies=0)
    call.together(condition, x, y)
    return np.where(condition, x, y)


@operator("IsInf")
def is_inf(call: OperatorCall, x: Array) -> Array:
    """Whether x is infinite, on the sides asked for."""
    call.claim(x.shape, np.bool_, copies=5)
    above, below = call.integer("detect_positive", 1), call.integer("detect_negative", 1)
    return (np.isposinf(x) & bool(above)) | (np.isneginf(x) & bool(below))


@operator("Cast")
def cast(call: OperatorCall, x: Array) -> Array:
    """X as another dtype."""
    # Before operator set 6 the dtype was a text.
    to = call.node.attributes.get("to", 0)
    if isinstance(to, str):
        return converted(
            call, x, np.dtype({"float": "float32", "double": "float64"}.get(to.lower(), to.lower()))
        )
    return converted(call, x, as_dtype(call.integer("to"), "the attribute 'to'"))


@operator("CastLike")
def cast_like(call: OperatorCall, x: Array, like: Array) -> Array:
    """X as the dtype of another input."""
    return converted(call, x, like.dtype)


@operator("BitCast", since=26)
def bit_cast(call: OperatorCall, x: Array) -> Array:
    """The bits of x as those of another dtype of that width."""
    dtype = as_dtype(call.integer("to"), "the attribute 'to'")
    if dtype.itemsize != x.dtype.itemsize:
        raise FileFormatError(f"the attribute 'to' is {dtype}, wanted as many bits as {x.dtype} has")
    call.like(x, copies=2)
    if dtype == np.bool_:
        return np.not_equal(x.view(np.uint8), 0)
    found: Array = np.ascontiguousarray(x).view(dtype).reshape(x.shape)
    return found


def converted(call: OperatorCall, x: Array, dtype: np.dtype[Any]) -> Array:
    """Return x as another dtype: any number but 0 is true."""
    if TEXT in (x.dtype, dtype):
        return text.converted(call, x, dtype)
    call.claim(x.shape, dtype, slow=x.itemsize)
    return x != 0 if dtype == np.bool_ else x.astype(dtype, copy=False)
