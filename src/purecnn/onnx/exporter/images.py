"""ONNX export of layers of images without parameters.

What padding, pooling and resampling are in ONNX.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels.geometry import adaptive_windows
from purecnn.kernels.resampling import sources
from purecnn.layers.spatial.adaptive_pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AdaptivePooling,
)
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import (
    Cropping,
    ImagePadding,
    PixelPadding,
    ReflectionPadding,
    ReplicationPadding,
    ZeroPadding,
)
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling, Pooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling
from purecnn.onnx.exporter.layers import Nodes, become, described


def _padding(layer: ImagePadding, nodes: Nodes, input: str, **mode: str) -> str:
    (top, bottom), (left, right) = layer.padding
    front, behind = layer.channels if isinstance(layer, ZeroPadding) else (0, 0)
    pads = [0, front, top, left, 0, behind, bottom, right]
    return nodes.add("Pad", input, nodes.tensor("padding", pads), **mode)


@become.register
def _zero_padding(layer: ZeroPadding, nodes: Nodes, input: str) -> str:
    return _padding(layer, nodes, input)


@become.register(ReflectionPadding)
@become.register(ReplicationPadding)
def _pixel_padding(layer: PixelPadding, nodes: Nodes, input: str) -> str:
    return _padding(layer, nodes, input, mode=layer.mode)


@become.register
def _cropping(layer: Cropping, nodes: Nodes, input: str) -> str:
    starts = tuple(before for before, _ in (layer.channels, *layer.cropping))
    ends = tuple(start + size for start, size in zip(starts, layer.output_shape or (), strict=True))
    skip = 0 if any(layer.channels) else 1
    ranges = {"starts": starts[skip:], "ends": ends[skip:], "axes": (1, 2, 3)[skip:]}
    return nodes.add("Slice", input, *(nodes.tensor(name, values) for name, values in ranges.items()))


def _pooling(layer: Pooling, nodes: Nodes, input: str, operator: str) -> str:
    attributes: dict[str, Any] = {"kernel_shape": layer.pool_size, "strides": layer.stride}
    if layer.is_padded:
        (top, bottom), (left, right) = layer.border
        attributes["pads"] = (top, left, bottom, right)
        if isinstance(layer, AveragePooling):
            attributes["count_include_pad"] = int(layer.count_padding)
    return nodes.add(operator, input, **attributes)


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
def _global_max_pooling(layer: GlobalMaxPooling, nodes: Nodes, input: str) -> str:
    if nodes.is_double:
        return nodes.add("ReduceMax", input, axes=(2, 3), keepdims=0)
    return nodes.add("Flatten", nodes.add("GlobalMaxPool", input), axis=1)


def _even(layer: AdaptivePooling, nodes: Nodes, input: str, operator: str) -> str | None:
    """Add an adaptive pooling whose windows are of one size and step as one node; None where they are not."""
    sizes: list[int] = []
    steps: list[int] = []
    for windows in _windows(layer):
        found = {window.stop - window.start for window in windows}
        apart = {b.start - a.start for a, b in itertools.pairwise(windows)} or found
        if len(found) > 1 or len(apart) > 1 or 0 in apart:
            return None
        sizes += found
        steps += apart
    return nodes.add(operator, input, kernel_shape=sizes, strides=steps)


def _windows(layer: AdaptivePooling) -> list[list[slice]]:
    """Return the windows of an adaptive pooling along the rows and along the columns."""
    return list(map(adaptive_windows, (layer.input_shape or ())[1:], layer.output_size))


@become.register
def _adaptive_average_pooling(layer: AdaptiveAveragePooling, nodes: Nodes, input: str) -> str:
    even = None if nodes.is_double else _even(layer, nodes, input, "AveragePool")
    if even is not None:
        return even
    rows, columns = (
        np.array(
            [[(place in range(a.start, a.stop)) / (a.stop - a.start) for place in range(size)] for a in found]
        )
        for found, size in zip(_windows(layer), (layer.input_shape or ())[1:], strict=True)
    )
    within = nodes.add("MatMul", input, nodes.tensor("columns", columns.T))
    return nodes.add("MatMul", nodes.tensor("rows", rows), within)


@become.register
def _adaptive_max_pooling(layer: AdaptiveMaxPooling, nodes: Nodes, input: str) -> str:
    even = _even(layer, nodes, input, "MaxPool")
    if even is not None:
        return even
    for axis, windows in zip((2, 3), _windows(layer), strict=True):
        parts = []
        for window in windows:
            ends = [nodes.integers(number) for number in (window.start, window.stop, axis)]
            part = nodes.add("Slice", input, *ends)
            parts.append(nodes.add("ReduceMax", part, axes=(axis,), keepdims=1))
        input = nodes.add("Concat", *parts, axis=axis)
    return input


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
