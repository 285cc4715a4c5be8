"""Upsampling found in a graph.

A Resize or Upsample is an `UpSampling` where it makes each pixel of the same ones, by the same shares.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.kernels.resampling import sources
from purecnn.layers.base import Layer
from purecnn.layers.spatial.resampling import UpSampling
from purecnn.onnx.operators.registry import OperatorCall
from purecnn.onnx.operators.resize import axes_of, places_of, taps, upsampling_scales
from purecnn.onnx.to_network.finder import refuse
from purecnn.onnx.to_network.rules import LayerArrays, images, maker

#: What an `UpSampling` does along an axis: its interpolation, and whether the corners are aligned.
WAYS = (("nearest", False), ("bilinear", False), ("bilinear", True))


def table(size: int, length: int, pixels: Array, shares: Array) -> Array:
    """Return the share that each pixel made has of each pixel of the axis, (size, length)."""
    found = np.zeros((size, length))
    for pixel, share in zip(pixels, shares, strict=True):
        found[np.arange(size), pixel] += share
    return found


def table_of(length: int, factor: int, interpolation: str, align_corners: bool) -> Array:
    """Return the same of an `UpSampling`."""
    if interpolation == "nearest":
        return np.repeat(np.eye(length), factor, axis=0)
    near, others, far = map(np.array, zip(*sources(length, factor, align_corners), strict=True))
    return table(length * factor, length, np.array([near, others]), np.array([1 - far, far]))


@maker("Resize", "Upsample")
def _upsampling(held: LayerArrays, call: OperatorCall, layers: list[Layer], shape: Shape) -> list[Layer]:
    images(call, shape)
    names = call.node.inputs

    def parameter(place: int) -> Array | None:
        sizes = held.finder.sizes.shape(names[place]) if place == 3 and names[place] else None
        return held.constant(call, place) if sizes is None else sizes

    given = [parameter(place) for place in range(1, len(names))]
    mode, rounding = "asymmetric", "floor"
    if call.node.operator == "Upsample" and call.version < 9:
        given = [None, upsampling_scales(call)]
    elif call.node.operator == "Upsample" or call.version < 11:
        given = [None, *given]
    else:
        mode = call.text("coordinate_transformation_mode", "half_pixel")
        rounding = call.text("nearest_mode", "round_prefer_floor")
    roi, scales, sizes, *_ = [*given, None, None, None]
    along = axes_of(call, (held.finder.samples, *shape), roi, scales, sizes)
    factors = {one.axis: one.size // one.length for one in along}
    if mode == "tf_crop_and_resize" or any(axis < 2 for axis in factors):
        refuse(call, f"it resizes a part of the axes {list(factors)}, wanted the whole height and width")
    if any(one.size % one.length for one in along):
        sizes_of = {one.length: one.size for one in along}
        refuse(call, f"it makes {sizes_of} of the axes' lengths, wanted multiples of them")
    fitting = [*WAYS]
    for one in along:
        held.finder.budget.claim((one.size, one.length), np.float64, copies=4)
        pixels, shares = taps(call, one, places_of(call, one, mode), rounding)
        found = table(one.size, one.length, pixels, np.ones(pixels.shape) if shares is None else shares)
        fitting = [
            way
            for way in fitting
            if np.allclose(found, table_of(one.length, factors[one.axis], *way), rtol=0, atol=1e-6)
        ]
    if not fitting:
        refuse(call, "its pixels have other shares of the input's than an UpSampling's")
    return [UpSampling((factors.get(2, 1), factors.get(3, 1)), *fitting[0])]
