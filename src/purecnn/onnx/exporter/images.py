"""ONNX export of layers of images without parameters.

What padding, pooling and resampling are in ONNX.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels.resampling import sources
from purecnn.layers.spatial.padding import ZeroPadding
from purecnn.layers.spatial.pooling import AveragePooling, GlobalAveragePooling, MaxPooling, Pooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling
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
        if layer.align_corners:
            how["coordinate_transformation_mode"] = "align_corners"
    output = nodes.add("Resize", input, "", scales, **how)
    # Of an axis without a size nothing is inferred, also where its scale is 1: the batch.
    nodes.values.append(described(nodes.dtype, output, ("N", *(layer.output_shape or ()))))
    return output


def _upsampling_by_places(layer: UpSampling, nodes: Nodes, input: str) -> str:
    for axis, (factor, length) in enumerate(zip(layer.size, (layer.input_shape or ())[1:], strict=True), 2):

        def taken(name: str, places: Array, axis: int = axis, given: str = input) -> str:
            return nodes.add("Gather", given, nodes.tensor(f"{name}.{axis}", places), axis=axis)

        if layer.interpolation == "nearest":
            input = taken("places", np.repeat(np.arange(length), factor))
            continue
        near, others, far = map(np.array, zip(*sources(length, factor, layer.align_corners), strict=True))
        share = far.reshape(-1, *[1] * (3 - axis))
        parts = [
            nodes.add("Mul", taken(name, places), nodes.tensor(f"{name} share.{axis}", part))
            for name, places, part in (("places", near, 1 - share), ("others", others, share))
        ]
        input = nodes.add("Add", *parts)
    return input


@become.register
def _depth_to_space(layer: DepthToSpace, nodes: Nodes, input: str) -> str:
    return nodes.add("DepthToSpace", input, blocksize=layer.block_size, mode=layer.mode)
