"""ONNX operators: GridSample, AffineGrid and DeformConv.

Pixels taken from between the pixels: at places that an input says, interpolated along each axis.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.kernels.cost import POWER, STEP
from purecnn.onnx.operators.registry import OperatorCall, floating, integers, operator
from purecnn.onnx.operators.resize import cubic, tent
from purecnn.onnx.operators.window import window

#: Names of the modes, before operator set 20 too, and the taps along an axis, from the pixel below a place.
MODES = {
    "nearest": range(1),
    "linear": range(2),
    "bilinear": range(2),
    "cubic": range(-1, 3),
    "bicubic": range(-1, 3),
}
#: The slope of the cubic curves.
SLOPE = -0.75

#: Of one axis: for each tap which pixel, and its share, both (places,).
Taps = list[tuple[Array, Array]]


def reflected(places: Array, low: float, high: float) -> Array:
    """Return places reflected at both ends until they are within."""
    span = high - low
    if not span:
        return np.full_like(places, low)
    away = np.abs(places - low) % (2 * span)
    found: Array = low + np.minimum(away, 2 * span - away)
    return found


def taps(places: Array, length: int, mode: str, padding: str, aligned: bool) -> Taps:
    """Return which pixels of an axis make up those at some places, and their shares."""
    low, high = (0.0, length - 1.0) if aligned else (-0.5, length - 0.5)
    places = np.where(np.isnan(places), -2, places)
    if mode == "nearest":
        places = np.rint(places)
    if padding == "reflection":
        places = reflected(places, low, high)
    elif padding == "border":
        places = np.where((places < low) | (places > high), np.clip(places, 0, length - 1), places)
    else:
        places = np.clip(places, -3, length + 2)  # farther out there is nothing either
    below = np.floor(places)
    rest = places - below
    found = []
    for step in MODES[mode]:
        pixels = below + step
        share = cubic(rest - step, SLOPE) if len(MODES[mode]) == 4 else tent(rest - step, 0)
        if padding == "zeros":
            share = np.where((pixels >= 0) & (pixels < length), share, 0)
        elif padding == "reflection":
            pixels = reflected(pixels, low, high)
        found.append((np.clip(pixels, 0, length - 1).astype(np.int64), share))
    return found


def sampled(images: Array, sizes: Sequence[int], along: Sequence[Taps]) -> Array:
    """Return pixels of images (channels, pixels) from between theirs, (channels, places)."""
    found: Array | None = None
    for combination in itertools.product(*along):
        places, share = combination[0]
        for size, (pixels, more) in zip(sizes[1:], combination[1:], strict=True):
            places, share = places * size + pixels, share * more
        part = np.take(images, places, axis=1)
        part *= share.astype(images.dtype, copy=False)
        found = part if found is None else np.add(found, part, out=found)
    return np.asarray(found)


def claim_samples(
    call: OperatorCall, shape: Shape, count: int, kind: np.dtype[np.generic], each: int, times: int
) -> None:
    """Claim what sampling makes: of images of a shape, so many places, with so many taps along each axis."""
    axes = len(shape) - 2
    combinations = each**axes
    call.claim(
        (count,), np.float64, copies=(4 * each + 8) * axes, passes=times * 40 * each * axes, slow=POWER
    )
    call.claim((count,), np.float64, copies=4, passes=8 * times * combinations)
    call.claim((shape[1], count), kind, copies=2, passes=times * combinations * 6)
    call.budget.spend(times * combinations * STEP)


def sampled_images(x: Array, grid: Array) -> None:
    """Check that places fit images."""
    floating(grid)
    axes = x.ndim - 2
    if axes < 1 or grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != axes:
        raise ShapeError(
            f"images have shape {x.shape} and the grid {grid.shape}, wanted (N, C, ...) and (N, ..., {axes})"
        )
    if 0 in x.shape[2:]:
        raise ShapeError(f"images of shape {x.shape} have no pixels")


@operator("GridSample", since=16)
def grid_sample(call: OperatorCall, x: Array, grid: Array) -> Array:
    """Pixels at places from -1 to 1 along each axis, the last axis first."""
    mode = call.choice("mode", "linear" if call.version >= 20 else "bilinear", *MODES)
    padding = call.choice("padding_mode", "zeros", "zeros", "border", "reflection")
    aligned = bool(call.integer("align_corners", 0))
    sampled_images(x, grid)
    kind = np.dtype(np.float32 if x.dtype in (np.float16, np.float32) else np.float64)
    shape = (*x.shape[:2], *grid.shape[1:-1])
    call.claim(shape, x.dtype)
    call.claim(x.shape[1:], kind, passes=4 * len(x))
    claim_samples(call, x.shape, math.prod(shape[2:]), kind, len(MODES[mode]), len(x))
    found = np.empty(shape, x.dtype)
    exact = np.dtype(np.float64 if grid.dtype == np.float64 else np.float32)
    for image, where, result in zip(x, grid, found, strict=True):
        along = []
        for axis, length in enumerate(x.shape[2:]):
            at = where[..., -1 - axis].reshape(-1).astype(exact)
            at = (at + 1) / 2 * (length - 1) if aligned else ((at + 1) * length - 1) / 2
            along.append(taps(at, length, mode, padding, aligned))
        images = image.reshape(len(image), math.prod(x.shape[2:])).astype(kind, copy=False)
        result[...] = sampled(images, x.shape[2:], along).reshape(result.shape)
    return found


@operator("AffineGrid", since=20)
def affine_grid(call: OperatorCall, theta: Array, size: Array) -> Array:
    """The places of a grid from -1 to 1 along each axis, each turned and moved by a matrix."""
    floating(theta)
    sizes = integers(size, "size") or []
    axes = len(sizes) - 2
    if axes not in (2, 3) or theta.shape != (sizes[0], axes, axes + 1):
        raise ShapeError(
            f"theta has shape {theta.shape} and size is {sizes}, wanted (N, 2, 3) and 4 or (N, 3, 4) and 5"
        )
    kind = np.dtype(np.float32 if theta.dtype == np.float16 else theta.dtype)
    call.claim((*sizes[2:], axes + 1), kind, copies=3)
    call.claim((sizes[0], *sizes[2:], axes), kind, copies=2)
    lines = []
    for length in sizes[:1:-1]:
        at = np.arange(length, dtype=kind)
        if call.integer("align_corners", 0):
            lines.append(at * 2 / (length - 1) - 1 if length > 1 else at)
        else:
            lines.append((2 * at + 1) / length - 1)
    whole = np.meshgrid(*reversed(lines), indexing="ij")
    places = np.stack([*reversed(whole), np.ones_like(whole[0])], axis=-1).reshape(-1, axes + 1)
    call.budget.multiply(places.size * axes * sizes[0], kind, sizes[0])
    found = places @ theta.astype(kind, copy=False).swapaxes(1, 2)
    grid: Array = found.reshape(sizes[0], *sizes[2:], axes).astype(theta.dtype, copy=False)
    return grid


@operator("DeformConv", since=19)
def deformable_convolution(
    call: OperatorCall,
    x: Array,
    w: Array,
    offset: Array,
    b: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """A convolution whose kernels' cells lie where an input moves them, each weighed by a mask."""
    groups, parts = call.integer("group", 1), call.integer("offset_group", 1)
    floating(x, w, offset)
    call.alike(x, w, offset, *(one for one in (b, mask) if one is not None))
    axes = x.ndim - 2
    if axes < 1 or w.ndim != x.ndim or groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(f"kernels of shape {w.shape} in {groups} groups don't fit images of shape {x.shape}")
    if parts < 1 or x.shape[1] % parts:
        raise ShapeError(f"offset_group is {parts}, wanted a divisor of the channels of {x.shape}")
    over = window(call, x.shape[2:], w.shape[2:])
    if over.cells != w.shape[2:]:
        raise ShapeError(f"kernel_shape is {over.cells}, the kernels have {w.shape[2:]}")
    cells = math.prod(over.cells)
    for name, one, shape in (
        ("offset", offset, (len(x), parts * cells * axes, *over.sizes)),
        ("B", b, (w.shape[0],)),
        ("mask", mask, (len(x), parts * cells, *over.sizes)),
    ):
        if one is not None and one.shape != shape:
            raise ShapeError(f"{name} has shape {one.shape}, wanted {shape}")
    kind = np.dtype(np.float32 if x.dtype == np.float16 else x.dtype)
    count, each = math.prod(over.sizes), x.shape[1] // parts
    call.claim((len(x), w.shape[0], *over.sizes), x.dtype)
    call.claim((w.shape[0], count), kind, passes=4 * len(x))
    call.claim(x.shape[1:], kind, passes=4 * len(x))
    call.claim(w.shape, kind)
    call.claim((x.shape[1], cells, count), kind, passes=4 * len(x))
    claim_samples(call, (1, each, *x.shape[2:]), count, kind, 2, len(x) * parts * cells)
    call.budget.multiply(w.size * count * len(x), kind, groups * len(x))
    kernels = w.reshape(groups, w.shape[0] // groups, -1).astype(kind)
    begins = [
        np.arange(size).reshape(-1, *[1] * (axes - 1 - axis)) * step - before
        for axis, (size, step, (before, _)) in enumerate(
            zip(over.sizes, over.strides, over.pads, strict=True)
        )
    ]
    found = np.empty((len(x), w.shape[0], *over.sizes), x.dtype)
    columns = np.empty((parts, each, cells, count), kind)
    for place, image in enumerate(x):
        images = image.reshape(parts, each, math.prod(x.shape[2:])).astype(kind, copy=False)
        moved = offset[place].reshape(parts, cells, axes, *over.sizes)
        shares = None if mask is None else mask[place].reshape(parts, cells, count)
        for part, (number, (cell, _)) in itertools.product(range(parts), enumerate(over.taps())):
            along = [
                taps(
                    (begins[axis] + cell[axis] * over.dilations[axis] + moved[part, number, axis]).reshape(
                        -1
                    ),
                    length,
                    "linear",
                    "zeros",
                    aligned=True,
                )
                for axis, length in enumerate(x.shape[2:])
            ]
            met = sampled(images[part], x.shape[2:], along)
            columns[part, :, number] = met if shares is None else met * shares[part, number].astype(kind)
        results = kernels @ columns.reshape(groups, w.shape[1] * cells, count)
        results = results.reshape(w.shape[0], *over.sizes)
        found[place] = results if b is None else results + b.reshape(-1, *[1] * axes)
    return found
