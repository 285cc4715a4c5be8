"""Layers of signals made of ONNX nodes: the operators of images, with one axis of space."""

from __future__ import annotations

from typing import Any

from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    MaxPooling1D,
)
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.operators.window import window
from purecnn.onnx.to_network.finder import refuse
from purecnn.onnx.to_network.rules import (
    LayerArrays,
    Maker,
    around,
    counts_padding,
    filling,
    pooling_window,
    sides,
)


def convolution(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``Conv``."""
    arrays, groups = held.of_convolution(call), call.integer("group", 1)
    kernels = arrays["kernels"]
    over = window(call, shape[1:], kernels.shape[2:])
    (pads,) = over.pads
    arguments: dict[str, Any] = {
        "kernel_size": over.cells[0],
        "stride": over.strides[0],
        "dilation": over.dilations[0],
        "bias": "biases" in arrays,
    }
    before: list[Layer] = []
    if pads[0] == pads[1]:
        arguments["padding"] = pads[0]
    else:
        same = Convolutional1D(depth=len(kernels), **arguments, padding="same")
        same.bind((kernels.shape[1], shape[1]))
        arguments["padding"] = "same" if same.border == pads else 0
        before = [] if same.border == pads else [ZeroPadding1D(pads)]
    if groups == shape[0] > 1:
        layer: Layer = DepthwiseConvolutional1D(depth_multiplier=len(kernels) // groups, **arguments)
    else:
        layer = Convolutional1D(depth=len(kernels), groups=groups, **arguments)
    return [*before, held.of_file(layer, **arrays)]


def padding(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``Pad``, of zeros."""
    filled, mode = filling(held, call), call.text("mode", "constant")
    if mode != "constant" or filled:
        refuse(call, f"its mode is {mode!r} and its value {filled:g}, wanted zeros around signals")
    pads, (samples, channels, ends) = sides(held, call, 3)
    if any(samples) or any(channels):
        refuse(call, f"its pads are {pads}, wanted none around samples and channels")
    return [ZeroPadding1D(ends)]


def pooling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``MaxPool`` and ``AveragePool``."""
    over = pooling_window(call, shape)
    (ends,) = around(over)
    if call.node.operator == "MaxPool":
        return [MaxPooling1D(over.cells[0], over.strides[0], ends)]
    return [AveragePooling1D(over.cells[0], over.strides[0], ends, counts_padding(call, over))]


#: The makers where samples are signals.
MAKERS: dict[str, Maker] = {
    "Conv": convolution,
    "Pad": padding,
    **dict.fromkeys(("AveragePool", "MaxPool"), pooling),
}
