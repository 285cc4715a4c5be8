"""ONNX export of layers of signals: the operators of images, with one axis of space."""

from __future__ import annotations

from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
    Pooling1D,
)
from purecnn.onnx.exporter.layers import Nodes, become


@become.register(Convolutional1D)
@become.register(DepthwiseConvolutional1D)
def _convolutional(layer: Convolutional1D, nodes: Nodes, input: str) -> str:
    arrays = [nodes.tensor("kernels", layer.parameters["kernels"])]
    if layer.bias:
        arrays.append(nodes.tensor("biases", layer.parameters["biases"]))
    return nodes.add(
        "Conv",
        input,
        *arrays,
        kernel_shape=(layer.kernel_size,),
        strides=(layer.stride,),
        pads=layer.border,
        dilations=(layer.dilation,),
        group=layer.groups,
    )


@become.register
def _zero_padding(layer: ZeroPadding1D, nodes: Nodes, input: str) -> str:
    before, behind = layer.padding
    return nodes.add("Pad", input, nodes.tensor("padding", [0, 0, before, 0, 0, behind]))


def _pooling(layer: Pooling1D, nodes: Nodes, input: str, operator: str) -> str:
    attributes: dict[str, tuple[int, ...] | int] = {}
    if any(layer.border):
        attributes["pads"] = layer.border
        if isinstance(layer, AveragePooling1D):
            attributes["count_include_pad"] = int(layer.count_padding)
    shape = {"kernel_shape": (layer.pool_size,), "strides": (layer.stride,)}
    return nodes.add(operator, input, **shape, **attributes)


@become.register
def _max_pooling(layer: MaxPooling1D, nodes: Nodes, input: str) -> str:
    return _pooling(layer, nodes, input, "MaxPool")


@become.register
def _average_pooling(layer: AveragePooling1D, nodes: Nodes, input: str) -> str:
    return _pooling(layer, nodes, input, "AveragePool")


@become.register
def _global_average_pooling(layer: GlobalAveragePooling1D, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("ReduceMean", input, axes=(2,), keepdims=0)
    return nodes.add("Flatten", nodes.add("GlobalAveragePool", input), axis=1)


@become.register
def _global_max_pooling(layer: GlobalMaxPooling1D, nodes: Nodes, input: str) -> str:
    # ONNX's reference evaluator takes the GlobalMaxPool of one axis over the channels too.
    return nodes.add("ReduceMax", input, axes=(2,), keepdims=0)
