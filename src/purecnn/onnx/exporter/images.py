"""ONNX export of layers of images without parameters.

What padding, pooling and resampling are in ONNX.
"""

from __future__ import annotations

import numpy as np

from purecnn.kernels.resampling import phases
from purecnn.layers.spatial.padding import ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, GlobalAveragePooling, MaxPooling, Pooling
from purecnn.layers.spatial.resampling import UpSampling
from purecnn.onnx.exporter.layers import Nodes, become, described


@become.register
def _zero_padding(layer: ZeroPadding, nodes: Nodes, input: str) -> str:
    (top, bottom), (left, right) = layer.padding
    return nodes.add("Pad", input, nodes.tensor("padding", [0, 0, top, left, 0, 0, bottom, right]))


def _pooling(layer: Pooling, nodes: Nodes, input: str, operator: str) -> str:
    return nodes.add(operator, input, kernel_shape=layer.pool_size, strides=layer.stride)


@become.register
def _max_pooling(layer: MaxPooling, nodes: Nodes, input: str) -> str:
    return _pooling(layer, nodes, input, "MaxPool")


@become.register
def _average_pooling(layer: AveragePooling, nodes: Nodes, input: str) -> str:
    return _pooling(layer, nodes, input, "AveragePool")


@become.register
def _global_average_pooling(layer: GlobalAveragePooling, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("ReduceMean", input, axes=(2, 3), keepdims=0)
    return nodes.add("Flatten", nodes.add("GlobalAveragePool", input), axis=1)


@become.register
def _upsampling(layer: UpSampling, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return _upsampling_by_places(layer, nodes, input)
    scales = nodes.tensor("scales", [1.0, 1.0, *map(float, layer.size)])
    if layer.interpolation == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
    else:
        how = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    output = nodes.add("Resize", input, "", scales, **how)
    # Of an axis without a size nothing is inferred, also where its scale is 1: the batch.
    nodes.values.append(described(nodes.dtype, output, ("N", *(layer.output_shape or ()))))
    return output


def _upsampling_by_places(layer: UpSampling, nodes: Nodes, input: str) -> str:
    for axis, (factor, length) in enumerate(zip(layer.size, (layer.input_shape or ())[1:], strict=True), 2):
        places = np.repeat(np.arange(length), factor)
        near = nodes.add("Gather", input, nodes.tensor(f"places.{axis}", places), axis=axis)
        if layer.interpolation == "bilinear":
            sides, far = np.array(phases(factor)).T
            others = np.clip(places + np.tile(sides, length).astype(np.int64), 0, length - 1)
            other = nodes.add("Gather", input, nodes.tensor(f"others.{axis}", others), axis=axis)
            share = np.tile(far, length).reshape(-1, *[1] * (3 - axis))
            near = nodes.add("Mul", near, nodes.tensor(f"near.{axis}", 1 - share))
            near = nodes.add("Add", near, nodes.add("Mul", other, nodes.tensor(f"far.{axis}", share)))
        input = near
    return input
