"""ONNX operators: reductions, products of matrices, normalization.

Operators that make one value of many: sums, means and the like along axes, products of matrices.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.kernels.cost import EXPONENTIAL, POWER
from purecnn.onnx.operators.registry import OperatorCall, floating, integers, operator

Axes = tuple[int, ...]


def _sum(x: Array, axes: Axes) -> Any:
    return x.sum(axis=axes, keepdims=True, dtype=x.dtype)


def _mean(x: Array, axes: Axes) -> Any:
    if x.dtype.kind == "f":
        return x.mean(axis=axes, keepdims=True)
    return _sum(x, axes) // int(np.prod([x.shape[axis] for axis in axes]))


def _log_sum_exp(x: Array, axes: Axes) -> Any:
    largest = x.max(axis=axes, keepdims=True, initial=-np.inf)
    held = np.where(np.isfinite(largest), largest, 0).astype(x.dtype)
    return np.log(_sum(np.exp(x - held), axes)) + held


def least(dtype: np.dtype[Any]) -> Any:
    """Return what no value of a dtype is below."""
    if dtype == np.bool_:
        return False
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def most(dtype: np.dtype[Any]) -> Any:
    """Return what no value of a dtype is above."""
    if dtype == np.bool_:
        return True
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


#: Each keeps its axes, of length one.
REDUCTIONS: dict[str, Callable[[Array, Axes], Any]] = {
    "ReduceL1": lambda x, axes: _sum(np.abs(x), axes),
    "ReduceL2": lambda x, axes: np.sqrt(_sum(x * x, axes)).astype(x.dtype),
    "ReduceLogSum": lambda x, axes: np.log(_sum(x, axes)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": lambda x, axes: x.max(axis=axes, keepdims=True, initial=least(x.dtype)),
    "ReduceMean": _mean,
    "ReduceMin": lambda x, axes: x.min(axis=axes, keepdims=True, initial=most(x.dtype)),
    "ReduceProd": lambda x, axes: x.prod(axis=axes, keepdims=True, dtype=x.dtype),
    "ReduceSum": _sum,
    "ReduceSumSquare": lambda x, axes: _sum(x * x, axes),
}


#: Those that make no array as large as the input.
PLAIN = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"})


def _reduction(function: Callable[[Array, Axes], Any]) -> Callable[..., Array]:
    def run(call: OperatorCall, x: Array, axes: Array | None = None) -> Array:
        given = integers(axes, "the second input") if axes is not None else call.integers("axes", None)
        if not given and not call.integer("noop_with_empty_axes", 0):
            given = range(x.ndim)
        along = call.axes(given or (), x.ndim)
        plain = call.node.operator in PLAIN
        call.like(x, copies=0 if plain else 3, passes=1 if plain else 6, slow=0 if plain else EXPONENTIAL)
        call.claim([size for axis, size in enumerate(x.shape) if axis not in along], x.dtype, copies=4)
        found: Array = function(x, along)
        return found if call.integer("keepdims", 1) else found.squeeze(along)

    return run


for _name, _function in REDUCTIONS.items():
    operator(_name)(_reduction(_function))


@operator("ArgMax", "ArgMin")
def arg_max(call: OperatorCall, x: Array) -> Array:
    """Where the largest, or smallest, value along an axis lies."""
    axis = call.axis(call.integer("axis", 0), x.ndim)
    choose = np.argmax if call.node.operator == "ArgMax" else np.argmin
    if not x.shape[axis]:
        raise ShapeError(f"axis {axis} of {x.shape} is empty, wanted at least one value")
    call.like(x)
    call.claim([*x.shape[:axis], *x.shape[axis + 1 :]], np.int64, copies=3)
    if call.integer("select_last_index", 0):
        found = x.shape[axis] - 1 - choose(np.flip(x, axis), axis=axis)
    else:
        found = choose(x, axis=axis)
    kept: Array = np.asarray(found, np.int64)
    return np.expand_dims(kept, axis) if call.integer("keepdims", 1) else kept


@operator("CumSum")
def cumulative_sum(call: OperatorCall, x: Array, axis: Array) -> Array:
    """The sum of all values up to each, along an axis."""
    return accumulated(call, x, axis, np.add)


@operator("CumProd", since=26)
def cumulative_product(call: OperatorCall, x: Array, axis: Array) -> Array:
    """The product of all values up to each, along an axis."""
    return accumulated(call, x, axis, np.multiply)


def accumulated(call: OperatorCall, x: Array, axis: Array, join: np.ufunc) -> Array:
    """Return what all values up to each make, along an axis: with it, or without."""
    given = integers(axis, "axis") or []
    if len(given) != 1:
        raise ShapeError(f"axis has shape {axis.shape}, wanted one integer")
    along = call.axis(given[0], x.ndim)
    call.like(x, copies=2)
    backwards = call.integer("reverse", 0)
    values = np.moveaxis(np.flip(x, along) if backwards else x, along, 0)
    found = np.empty_like(values)
    if call.integer("exclusive", 0):
        found[:1] = join.identity
        join.accumulate(values[:-1], axis=0, dtype=x.dtype, out=found[1:])
    else:
        join.accumulate(values, axis=0, dtype=x.dtype, out=found)
    found = np.moveaxis(found, 0, along)
    return np.flip(found, along) if backwards else found


@operator("MatMul")
def matrix_product(call: OperatorCall, a: Array, b: Array) -> Any:
    """a @ b, of vectors, matrices or stacks of them."""
    if not a.ndim or not b.ndim:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, wanted at least one axis each")
    if a.dtype != b.dtype:
        raise FileFormatError(f"its inputs are {a.dtype} and {b.dtype}, wanted one dtype")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    outputs = (*stack, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
    call.claim(outputs, a.dtype)
    kind = np.dtype(np.float32) if a.dtype == np.float16 else a.dtype
    call.budget.multiply(math.prod(outputs) * a.shape[-1], kind, math.prod(stack))
    if kind != a.dtype:  # of half floats NumPy multiplies one by one, and sums in float32 as well
        call.claim(outputs, kind)
    found = np.matmul(for_blas(call, a, kind), for_blas(call, b, kind))
    return found.astype(a.dtype, copy=False)


def for_blas(call: OperatorCall, x: Array, dtype: np.dtype[Any]) -> Array:
    """Return matrices as BLAS takes them: NumPy multiplies others one by one."""
    if x.dtype == dtype and x.itemsize in x.strides[-2:] and min(x.strides[-2:]) > 0:
        return x
    call.claim(x.shape, dtype)
    return np.ascontiguousarray(x, dtype)


@operator("Gemm")
def general_product(call: OperatorCall, a: Array, b: Array, c: Array | None = None) -> Any:
    """Alpha a @ b + beta c, a and b turned where they are to be."""
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"shapes are {a.shape} and {b.shape}, wanted two matrices")
    a = a.T if call.integer("transA", 0) else a
    b = b.T if call.integer("transB", 0) else b
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    found = matrix_product(call, a, b)
    call.like(found, copies=3)
    if alpha != 1:
        found = (found * alpha).astype(found.dtype, copy=False)
    if c is None:
        return found
    if np.broadcast_shapes(c.shape, found.shape) != found.shape:
        raise ShapeError(f"c has shape {c.shape}, wanted one that can be added to {found.shape}")
    call.like(c, copies=2)
    added: Array = found + (c if beta == 1 else (c * beta).astype(c.dtype, copy=False))
    return added.astype(found.dtype, copy=False)


# Normalization ------------------------------------------------------------------------------------------


def channels(values: Array, x: Array) -> Array:
    """Return values, one for each channel of x (N, C, ...), as an array that can be multiplied with it."""
    if x.ndim < 2 or values.shape != x.shape[1:2]:
        raise ShapeError(f"an input has shape {values.shape}, wanted a value for each channel of {x.shape}")
    return values.reshape(-1, *[1] * (x.ndim - 2))


@operator("BatchNormalization")
def batch_normalization(
    call: OperatorCall, x: Array, scale: Array, bias: Array, mean: Array, variance: Array
) -> tuple[Array, ...]:
    """(x - mean) / sqrt(variance + epsilon) scale + bias, with the running statistics or the batch's."""
    epsilon, momentum = call.number("epsilon", 1e-5), call.number("momentum", 0.9)
    if not call.integer("spatial", 1):
        raise FileFormatError("the attribute 'spatial' is 0, wanted 1: a mean for each channel")
    training = call.integer("training_mode", 0) if call.version >= 14 else 0
    if call.version < 7 and not call.integer("is_test", 0) and call.outputs > 1:
        training = 1
    running: tuple[Array, ...] = ()
    call.like(x, copies=4 if training else 2)
    if training:
        axes = (0, *range(2, x.ndim))
        batch = x.mean(axis=axes), x.var(axis=axes)
        old = mean, variance
        running = tuple(
            (kept * momentum + found * (1 - momentum)).astype(kept.dtype)
            for kept, found in zip(old, batch, strict=True)
        )
        mean, variance = batch
    factor = channels(scale, x) / np.sqrt(channels(variance, x) + epsilon)
    shift = channels(bias, x) - channels(mean, x) * factor
    found = x * factor.astype(x.dtype) + shift.astype(x.dtype)
    return (found.astype(x.dtype, copy=False), *running)


def standard(call: OperatorCall, x: Array, axes: Axes, epsilon: float) -> tuple[Array, Array, Array]:
    """Return (x - mean) / sqrt(variance + epsilon), the mean, and what it was multiplied by."""
    call.like(x, copies=5)
    mean = x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)
    return (x - mean) * inverse, mean, inverse


@operator("InstanceNormalization")
def instance_normalization(call: OperatorCall, x: Array, scale: Array, bias: Array) -> Array:
    """Each map of each sample with mean 0 and variance 1, scaled and shifted."""
    floating(x)
    found, _, _ = standard(call, x, tuple(range(2, x.ndim)), call.number("epsilon", 1e-5))
    return found * channels(scale, x) + channels(bias, x)


@operator("GroupNormalization", since=18)
def group_normalization(call: OperatorCall, x: Array, scale: Array, bias: Array) -> Array:
    """Each group of maps of each sample with mean 0 and variance 1, scaled and shifted."""
    floating(x)
    groups = call.integer("num_groups")
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"num_groups is {groups}, wanted a divisor of the channels of {x.shape}")
    parts = x.reshape(x.shape[0], groups, -1)
    found, _, _ = standard(call, parts, (2,), call.number("epsilon", 1e-5))
    if call.version < 21:  # one scale and bias for each group
        if scale.shape != (groups,) or bias.shape != (groups,):
            raise ShapeError(f"scale and bias have shape {scale.shape}, {bias.shape}, wanted ({groups},)")
        return (found * scale[:, None] + bias[:, None]).reshape(x.shape)
    return found.reshape(x.shape) * channels(scale, x) + channels(bias, x)


@operator("LayerNormalization", since=17)
def layer_normalization(
    call: OperatorCall, x: Array, scale: Array, bias: Array | None = None
) -> tuple[Array, ...]:
    """All values from an axis on with mean 0 and variance 1, scaled and shifted; the mean, and the factor."""
    floating(x)
    first = call.axis(call.integer("axis", -1), x.ndim)
    kind = np.float64 if x.dtype == np.float64 else np.float32
    call.claim(x.shape, kind)
    found, mean, inverse = standard(
        call,
        x.astype(kind, copy=False),
        tuple(range(first, x.ndim)),
        call.number("epsilon", 1e-5),
    )
    call.together(x, scale, copies=3)
    found = found.astype(x.dtype, copy=False) * scale
    return (found if bias is None else found + bias), mean, inverse


@operator("RMSNormalization", since=23)
def root_mean_square_normalization(call: OperatorCall, x: Array, scale: Array) -> Any:
    """All values from an axis on by the root of the mean of their squares, scaled."""
    floating(x)
    first = call.axis(call.integer("axis", -1), x.ndim)
    kind = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
    call.claim(x.shape, kind, copies=4)
    wide = x.astype(kind, copy=False)
    squares = (wide * wide).mean(axis=tuple(range(first, x.ndim)), keepdims=True)
    found = (wide / np.sqrt(squares + kind.type(call.number("epsilon", 1e-5)))).astype(x.dtype, copy=False)
    call.together(x, scale)
    return found * scale


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: OperatorCall, x: Array) -> Array:
    """Mean 0 and variance 1 along axes."""
    floating(x)
    axes = call.axes(call.integers("axes", [0, 2, 3]), x.ndim)
    call.like(x, copies=4)
    centred = x - x.mean(axis=axes, keepdims=True)
    found: Array = centred / (np.sqrt((centred * centred).mean(axis=axes, keepdims=True)) + 1e-9)
    return found.astype(x.dtype, copy=False)


@operator("LpNormalization")
def lp_normalization(call: OperatorCall, x: Array) -> Any:
    """X by its norm along an axis; 0 where that is 0."""
    floating(x)
    axis, order = call.axis(call.integer("axis", -1), x.ndim), call.integer("p", 2)
    if order not in (1, 2):
        raise FileFormatError(f"the attribute 'p' is {order}, wanted 1 or 2")
    call.like(x, copies=4)
    size = np.abs(x) if order == 1 else x * x
    norm = size.sum(axis=axis, keepdims=True)
    norm = norm if order == 1 else np.sqrt(norm)
    return np.where(norm == 0, x.dtype.type(0), x / norm)


@operator("LRN")
def local_response_normalization(call: OperatorCall, x: Array) -> Array:
    """x / (bias + alpha / size times the sum of squares of the channels near) ** beta."""
    floating(x)
    size = call.integer("size")
    if x.ndim < 2 or size < 1:
        raise ShapeError(f"size is {size} and the input's shape {x.shape}, wanted at least 1 and channels")
    call.claim((x.shape[0], x.shape[1] + 1, *x.shape[2:]), np.float64, copies=8, slow=POWER)
    before = (size - 1) // 2
    sums = np.zeros((x.shape[0], x.shape[1] + 1, *x.shape[2:]))
    np.cumsum(x * x, axis=1, out=sums[:, 1:], dtype=np.float64)
    places = np.arange(x.shape[1])
    last = np.minimum(places + size - before, x.shape[1])
    near = sums[:, last] - sums[:, np.maximum(places - before, 0)]
    alpha, beta, bias = call.number("alpha", 1e-4), call.number("beta", 0.75), call.number("bias", 1.0)
    found: Array = x / (bias + alpha / size * near) ** beta
    return found.astype(x.dtype, copy=False)
