"""ONNX operators: the LSTM as onnxruntime's quantizer writes it, its weights bytes.

Formulas are those of https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.operators.quantized.microsoft import DOMAIN, named
from purecnn.onnx.operators.quantized.quantization import scale_of
from purecnn.onnx.operators.quantized.whole_numbers import only_bytes
from purecnn.onnx.operators.recurrent import Arrays, memory
from purecnn.onnx.operators.registry import OperatorCall, floating, operator


@operator("DynamicQuantizeLSTM", domain=DOMAIN)
def dynamic_memory(call: OperatorCall, *inputs: Array | None) -> Any:
    """An LSTM whose weights are bytes: the input, and the state of each step, are rounded to bytes too.

    The scale and zero point of these are their own: of the input as a whole, of each step's state.
    """
    x, w, r, b, lengths, h, c, peepholes, *scaled = named(inputs, (0, 1, 2, 8, 9, 10, 11), 12)
    if x.dtype != np.float32 or x.ndim != 3:
        raise FileFormatError(f"the input is {x.dtype} {x.shape}, wanted float32 of three axes")
    w, r = (
        weights(call, name, one, *scaled[place : place + 2])
        for name, one, place in (("W", w, 0), ("R", r, 2))
    )
    call.claim(x.shape, np.float32, copies=4, passes=8)
    steps, batch, _ = x.shape
    call.claim((batch, r.shape[-1]), np.float32, copies=4, passes=8 * steps * len(r))
    return memory(call, Arrays(through_bytes(x), w, r, b, lengths, h, c, peepholes), through_bytes)


def weights(call: OperatorCall, name: str, stored: Array, scale: Array, zero: Array) -> Array:
    """Return bytes, (directions, inputs, gates), as the numbers they stand for, (directions, gates, inputs).

    Scale and zero point are one for each direction, or for each of its gates' columns.
    """
    only_bytes(stored)
    floating(scale)
    if stored.ndim != 3 or zero.dtype != stored.dtype:
        raise FileFormatError(
            f"{name} is {stored.dtype} {stored.shape} and its zero point {zero.dtype}, wanted three axes and "
            "zero points of the same bytes"
        )
    for what, one in (("scale", scale), ("zero point", zero)):
        if one.shape not in ((len(stored),), (len(stored), stored.shape[2])):
            raise ShapeError(
                f"the {what} of {name} has shape {one.shape}, wanted one for each of {len(stored)} "
                f"directions, or for each of their {stored.shape[2]} columns"
            )
    call.claim(stored.shape, np.float32, copies=3, passes=6)
    scale, zero = (one.astype(np.float32).reshape(len(stored), 1, -1) for one in (scale, zero))
    return ((stored.astype(np.float32) - zero) * scale).swapaxes(1, 2)


def through_bytes(x: Array) -> Array:
    """Return numbers rounded to the nearest of 256, which reach from the least to the largest and hold 0."""
    scale, zero = scale_of(x)
    found: Array = (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale
    return found
