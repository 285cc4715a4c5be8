"""Layers of signals made of ONNX nodes: the operators of images, with one axis of space."""

from __future__ import annotations

from typing import Any

from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.operators.window import window
from purecnn.onnx.to_network.finder import refuse
from purecnn.onnx.to_network.rules import LayerArrays, Maker, around


def convolution(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``Conv``."""
    kernels, biases, groups = held.array(call, 1), held.constant(call, 2), call.integer("group", 1)
    over = window(call, shape[1:], kernels.shape[2:])
    (pads,) = over.pads
    arguments: dict[str, Any] = {
        "kernel_size": over.cells[0],
        "stride": over.strides[0],
        "dilation": over.dilations[0],
        "bias": biases is not None,
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
    arrays = {"kernels": kernels} | ({} if biases is None else {"biases": biases.astype(kernels.dtype)})
    return [*before, held.of_file(layer, **arrays)]


def padding(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``Pad``, of zeros."""
    value, given, axes = (held.constant(call, place) for place in (2, 1, 3))
    filled = call.number("value", 0.0) if value is None else float(value.reshape(-1)[0])
    mode = call.text("mode", "constant")
    if mode != "constant" or filled:
        refuse(call, f"its mode is {mode!r} and its value {filled:g}, wanted zeros around signals")
    pads = call.integers("pads") if given is None else given.tolist()
    along = list(range(3)) if axes is None else [axis % 3 for axis in axes.tolist()]
    sides = {axis: (pads[place], pads[place + len(along)]) for place, axis in enumerate(along)}
    if any(any(sides.get(axis, ())) for axis in (0, 1)):
        refuse(call, f"its pads are {pads}, wanted none around samples and channels")
    return [ZeroPadding1D(sides.get(2, (0, 0)))]


def pooling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``MaxPool`` and ``AveragePool``."""
    over = window(call, shape[1:], ceil=bool(call.integer("ceil_mode", 0)))
    if over.dilations != (1,):
        refuse(call, f"its dilations are {over.dilations}, wanted 1")
    (sides,), beyond = around(over), any(over.beyond)
    if call.node.operator == "MaxPool":
        return [MaxPooling1D(over.cells[0], over.strides[0], sides)]
    counts = bool(call.integer("count_include_pad", 0))
    if counts and any(map(any, over.pads)) and beyond:
        refuse(call, f"its pads {over.pads} count, and what lies past them does not; wanted no ceil_mode")
    return [
        AveragePooling1D(over.cells[0], over.strides[0], sides, not any(sides) or (counts and not beyond))
    ]


def global_pooling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    """``GlobalAveragePool``, ``GlobalMaxPool``, and reductions of the signal's axis."""
    if call.node.operator.startswith("Reduce"):
        given = held.constant(call, 1)
        axes = call.integers("axes", []) if given is None else given.tolist()
        if [axis % 3 for axis in axes] != [2]:
            refuse(call, f"its axes are {axes}, wanted 2, the length")
    return [GlobalMaxPooling1D() if "Max" in call.node.operator else GlobalAveragePooling1D()]


#: The makers where samples are signals.
MAKERS: dict[str, Maker] = {
    "Conv": convolution,
    "Pad": padding,
    **dict.fromkeys(("AveragePool", "MaxPool"), pooling),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean"), global_pooling),
}
