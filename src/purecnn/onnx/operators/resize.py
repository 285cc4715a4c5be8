"""ONNX operators: Resize and Upsample.

Images, or arrays of any axes, of another size: pixels taken, or interpolated by lines or cubic curves.

Each axis goes by itself: where an output pixel lies in the input, and what it has of the pixels around there.
Formulas are those of https://onnx.ai/onnx/operators/onnx__Resize.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels.cost import POWER
from purecnn.onnx.operators.registry import OperatorCall, integers, operator

TRANSFORMATIONS = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)


@dataclass(frozen=True)
class AxisResize:
    """How one axis is resized.

    Attributes
    ----------
    axis, length, size : int
        Which one, and how long it is before and after.
    scale : float
        How many times as long.
    region : (float, float)
        The part of the axis that is wanted, from 0 to 1: of "tf_crop_and_resize" alone.
    """

    axis: int
    length: int
    size: int
    scale: float
    region: tuple[float, float] = (0.0, 1.0)

    def places(self, mode: str, dtype: npt.DTypeLike = np.float64) -> Array:
        """Return where in the input each output pixel lies, (size,), computed in a dtype."""
        at, wide, last = np.arange(self.size, dtype=dtype), self.scale * self.length, self.length - 1
        if mode == "asymmetric":
            return at / self.scale
        if mode == "align_corners":
            return at * (last / (wide - 1)) if wide != 1 else at * 0
        if mode == "tf_crop_and_resize":
            start, end = self.region
            if wide == 1:
                return at * 0 + (start + end) * last / 2
            return start * last + at * (end - start) * last / (wide - 1)
        if mode == "pytorch_half_pixel" and wide == 1:
            return at * 0
        moved = self.length / 2 * (1 - self.size / wide) if mode == "half_pixel_symmetric" else 0.0
        found: Array = moved + (at + 0.5) / self.scale - 0.5
        return found


def tent(away: Array, slope: float) -> Array:
    """Return the share of a pixel so far away, of a line from one to the next."""
    found: Array = np.maximum(1 - np.abs(away), 0)
    return found


def cubic(away: Array, slope: float) -> Array:
    """Return the share of a pixel so far away, of a cubic curve with a slope of its own: Keys 1981."""
    x = np.abs(away)
    near = ((slope + 2) * x - (slope + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * slope - 4 * slope
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


#: Of each interpolation: what a pixel's share is, and how far away there is one.
CURVES: dict[str, tuple[Callable[[Array, float], Array], int]] = {
    "linear": (tent, 1),
    "bilinear": (tent, 1),
    "cubic": (cubic, 2),
}


@operator("Upsample")
def upsample(call: OperatorCall, x: Array) -> Array:
    """By scales that are attributes, as before operator set 9."""
    return resized(
        call, x, axes_of(call, x.shape, None, upsampling_scales(call), None), "asymmetric", "floor"
    )


def upsampling_scales(call: OperatorCall) -> Array:
    """Return the scales of an Upsample: before operator set 7 those of the height and the width of images."""
    if call.version >= 7:
        return np.array(call.attribute("scales", list, ...), np.float32)
    return np.array([1, 1, call.number("height_scale"), call.number("width_scale")], np.float32)


@operator("Upsample", since=9)
@operator("Resize", since=10)
def resize_by_scales(call: OperatorCall, x: Array, scales: Array) -> Array:
    """By scales alone, as in operator set 10."""
    return resized(call, x, axes_of(call, x.shape, None, scales, None), "asymmetric", "floor")


@operator("Resize", since=11)
def resize(
    call: OperatorCall,
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
) -> Array:
    """By scales or to sizes."""
    mode = call.choice("coordinate_transformation_mode", "half_pixel", *TRANSFORMATIONS)
    nearest = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    rounding = call.choice("nearest_mode", nearest[0], *nearest)
    return resized(call, x, axes_of(call, x.shape, roi, scales, sizes), mode, rounding)


def axes_of(
    call: OperatorCall, shape: Shape, roi: Array | None, scales: Array | None, sizes: Array | None
) -> list[AxisResize]:
    """Return how each axis is resized that is to have another size or place."""
    axes = call.axes(call.integers("axes", None) or range(len(shape)), len(shape))
    lengths = [shape[axis] for axis in axes]
    given = [one for one in (scales, sizes) if one is not None and one.size]
    if len(given) != 1 or given[0].ndim != 1 or len(given[0]) != len(axes):
        raise ShapeError(
            f"its scales are {scales} and its sizes {sizes}, wanted one of both for each of {len(axes)} axes"
        )
    if 0 in shape:
        raise ShapeError(f"an input of shape {shape} has no pixels")
    if scales is not None and given[0] is scales:
        if scales.dtype.kind != "f" or not (np.isfinite(scales) & (scales > 0)).all():
            raise ShapeError(f"its scales are {scales}, wanted numbers above 0")
        factors = [float(scale) for scale in scales]
        wanted = [int(factor * length) for factor, length in zip(factors, lengths, strict=True)]
    else:
        wanted = integers(sizes, "sizes") or []
        factors = [size / length for size, length in zip(wanted, lengths, strict=True)]
        policy = call.choice("keep_aspect_ratio_policy", "stretch", "stretch", "not_larger", "not_smaller")
        if policy != "stretch":
            factors = [(min if policy == "not_larger" else max)(factors)] * len(axes)
            wanted = [int(factor * length + 0.5) for factor, length in zip(factors, lengths, strict=True)]
    if min(wanted) < 1:
        raise ShapeError(f"the output's sizes would be {wanted}, wanted 1 or more")
    regions = [(0.0, 1.0)] * len(axes)
    if call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        if roi is None or roi.shape != (2 * len(axes),) or not np.isfinite(roi).all():
            raise ShapeError(f"its roi is {roi}, wanted two finite numbers for each of {len(axes)} axes")
        regions = [(float(roi[place]), float(roi[place + len(axes)])) for place in range(len(axes))]
    found = map(AxisResize, axes, lengths, wanted, factors, regions)
    return [one for one in found if (one.scale, one.region) != (1.0, (0.0, 1.0))]


def resized(call: OperatorCall, x: Array, along: list[AxisResize], mode: str, rounding: str) -> Array:
    """Return an input resized along some axes, the last one first."""
    outside = mode == "tf_crop_and_resize"
    # Where the batch lies last in memory it stays there: taking from another order would copy all before.
    turned = not x.flags.c_contiguous and all(one.axis for one in along) and last(x).flags.c_contiguous
    pixels_of = last(x) if turned else x
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    for one in reversed(along):
        axis = one.axis - turned
        call.claim((one.size,), np.float64, copies=8, slow=POWER)
        places = places_of(call, one, mode)
        pixels, shares = taps(call, one, places, rounding)
        shape = (*pixels_of.shape[:axis], one.size, *pixels_of.shape[axis + 1 :])
        if shares is None:
            call.claim(shape, x.dtype, passes=3)
            pixels_of = np.take(pixels_of, pixels[0], axis)
        else:
            call.claim(shape, kind, copies=3, passes=3 * len(pixels))
            if kind != x.dtype:
                call.claim(pixels_of.shape, kind)
            beside = (-1, *[1] * (x.ndim - 1 - axis))
            found: Array | None = None
            for pixel, share in zip(pixels, shares.astype(kind), strict=True):
                part = np.take(pixels_of, pixel, axis).astype(kind, copy=False)
                part *= share.reshape(beside)
                found = part if found is None else np.add(found, part, out=found)
            pixels_of = np.asarray(found)
        if outside:
            beyond = (places < 0) | (places > one.length - 1)
            np.moveaxis(pixels_of, axis, 0)[beyond] = call.number("extrapolation_value", 0.0)
    if pixels_of.dtype != x.dtype:
        call.claim(pixels_of.shape, kind, copies=3)
        pixels_of = as_integers(pixels_of, x.dtype, bool(call.integer("antialias", 0)))
    return np.moveaxis(pixels_of, -1, 0) if turned else pixels_of


def as_integers(found: Array, dtype: np.dtype[Any], smoothed: bool) -> Array:
    """Return numbers as integers as onnxruntime does: rounded where they are smoothed, else towards zero."""
    bounds = np.iinfo(dtype)
    if not smoothed:
        found = found + np.copysign(1e-6, found)  # what is an integer but for rounding stays that
    held = np.clip(np.rint(found) if smoothed else found, bounds.min, bounds.max)
    return held.astype(dtype)


def places_of(call: OperatorCall, one: AxisResize, mode: str) -> Array:
    """Return where in the input each output pixel lies.

    Scales are float32: what is to lie on a pixel, or amid two, as 1.5 / 0.6 - 0.5, does so in float32 alone.
    """
    return one.places(mode, np.float32 if call.text("mode", "nearest") == "nearest" else np.float64)


def last(x: Array) -> Array:
    """Return an input with the batch last."""
    return np.moveaxis(x, 0, -1)


def taps(call: OperatorCall, one: AxisResize, places: Array, rounding: str) -> tuple[Array, Array | None]:
    """Return of which pixels those at some places are, (taps, size), and their shares; None: of one alone."""
    below = np.floor(places)
    rest = places - below
    mode = call.choice("mode", "nearest", "nearest", *CURVES)
    if mode == "nearest":
        up = {
            "round_prefer_floor": rest > 0.5,
            "round_prefer_ceil": rest >= 0.5,
            "floor": rest > 1,
            "ceil": rest > 0,
        }[rounding]
        return np.clip(below + up, 0, one.length - 1).astype(np.int64)[None], None
    curve, reach = CURVES[mode]
    smoothed = bool(call.integer("antialias", 0))
    narrow = min(one.scale, 1.0) if smoothed else 1.0
    first = math.floor(-reach / narrow) + 1
    call.claim((2 - 2 * first, one.size), np.float64, copies=8, slow=POWER)
    steps = np.arange(first, 2 - first)[:, None]
    slope = call.number("cubic_coeff_a", -0.75)
    shares = curve((steps - rest) * narrow, slope)
    pixels = below + steps
    if call.integer("exclude_outside", 0):
        shares = shares * ((pixels >= 0) & (pixels < one.length))
    if smoothed or call.integer("exclude_outside", 0):
        shares = shares / shares.sum(axis=0)
    return np.clip(pixels, 0, one.length - 1).astype(np.int64), shares
