"""ONNX operators: convolution.

Convolutions of ONNX: in one and two dimensions on this package's own kernels, else cell by cell.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.kernels import cpu, geometry
from purecnn.kernels.cost import STEP
from purecnn.onnx.operators.registry import OperatorCall, floating, integers, operator
from purecnn.onnx.operators.window import (
    Window,
    claim_passes,
    first,
    last,
    padded,
    padded_sizes,
    settings,
    window,
)


def every(*places: Any) -> tuple[Any, ...]:
    """Return an index: everything along two axes, then places."""
    return slice(None), slice(None), *places


def by_cell(kernels: Array) -> Array:
    """(G, M, C, ...) -> (..., G, M, C): the matrices of each cell as BLAS takes them."""
    return np.ascontiguousarray(np.moveaxis(kernels, (0, 1, 2), (-3, -2, -1)))


def convolvable(x: Array, w: Array, b: Array | None, groups: int, turned: bool = False) -> None:
    """Check that images, kernels and biases fit; kernels of a transposed convolution are turned."""
    if x.ndim < 3 or w.ndim != x.ndim or x.dtype != w.dtype:
        raise ShapeError(
            f"inputs are {x.dtype} {x.shape} and {w.dtype} {w.shape}, "
            f"wanted images and kernels of one dtype, with at least three axes"
        )
    floating(x)
    inputs, outputs = (w.shape[0], w.shape[1] * groups) if turned else (w.shape[1] * groups, w.shape[0])
    if groups < 1 or x.shape[1] != inputs or outputs % groups or (turned and inputs % groups):
        raise ShapeError(f"kernels of {w.shape} in {groups} groups don't fit images of shape {x.shape}")
    if b is not None and (b.shape != (outputs,) or b.dtype != x.dtype):
        raise ShapeError(f"biases are {b.dtype} {b.shape}, wanted {x.dtype} ({outputs},)")


@operator("Conv")
def convolution(call: OperatorCall, x: Array, w: Array, b: Array | None = None) -> Array:
    """The cross-correlation of images and kernels, b added."""
    return convolved(call, x, w, b, cpu.conv2d_forward)


def convolved(
    call: OperatorCall, x: Array, w: Array, b: Array | None, forward: Callable[..., Array]
) -> Array:
    """Return the cross-correlation of images and kernels, those in two dimensions by `forward`."""
    groups = call.integer("group", 1)
    convolvable(x, w, b, groups)
    if list(call.integers("kernel_shape", w.shape[2:])) != list(w.shape[2:]):
        raise ShapeError(f"kernel_shape is {call.integers('kernel_shape')}, the kernels have {w.shape}")
    over = window(call, x.shape[2:], w.shape[2:])
    claim_passes(call, x, w.shape[0], over)
    values = x.shape[0] * w.shape[0] * math.prod(over.sizes)
    call.budget.multiply(
        values * math.prod(w.shape[1:]), np.promote_types(x.dtype, np.float32), groups * over.sizes[0]
    )
    biases = np.zeros(w.shape[0], x.dtype) if b is None else b
    if x.dtype == np.float16 or x.ndim > 4 or not x.shape[0]:
        return stepwise(call, x, w, biases, over, groups)
    if x.ndim == 3:  # a row of pixels is an image of one row
        found = planar(call, x[:, :, None], w[:, :, None], biases, flat(over), groups, forward)
        return found[:, :, 0]
    return planar(call, x, w, biases, over, groups, forward)


def flat(over: Window) -> Window:
    """Return a window over a row of pixels as one over an image of one row."""
    return Window(
        (1, *over.cells),
        (1, *over.strides),
        (1, *over.dilations),
        ((0, 0), *over.pads),
        (1, *over.sizes),
        (0, *over.beyond),
    )


def planar(
    call: OperatorCall,
    x: Array,
    w: Array,
    b: Array,
    over: Window,
    groups: int,
    forward: Callable[..., Array],
) -> Array:
    """(N, C, H, W), (M, C / groups, KH, KW), (M,) -> (N, M, OH, OW), by this package's kernels."""
    images, workspace = last(call, x), Workspace()
    moves: Any = over.cells, over.strides, over.pads, over.dilations, groups
    rows = x.shape[2] + sum(over.pads[0]) + over.dilations[0] - 1
    call.claim((rows, over.cells[1], x.shape[1], over.sizes[1] + over.strides[1], x.shape[0]), x.dtype)
    call.like(w, copies=2)
    return first(forward(images, w, b, geometry.Window(*moves), workspace))


def stepwise(call: OperatorCall, x: Array, w: Array, b: Array, over: Window, groups: int) -> Array:
    """(N, C, ...), (M, C / groups, ...), (M,) -> (N, M, ...): a product for each cell; float16 sums in 32."""
    kind = np.dtype(np.float32) if x.dtype == np.float16 else x.dtype
    call.claim([*x.shape[:2], *padded_sizes(x, over)], kind, copies=2)
    call.claim((w.shape[0], *over.sizes, x.shape[0]), kind, copies=2)
    met = (w.shape[1] * groups, *over.sizes, x.shape[0])
    call.claim(met, kind, passes=2 * math.prod(over.cells))
    call.claim(w.shape, kind, copies=2)
    pixels = np.moveaxis(padded(call, x, over, 0).astype(kind, copy=False), 0, -1)
    pixels = pixels.reshape(groups, w.shape[1], *pixels.shape[1:])
    kernels = by_cell(w.astype(kind, copy=False).reshape(groups, w.shape[0] // groups, *w.shape[1:]))
    found = np.zeros((w.shape[0], *over.sizes, x.shape[0]), kind)
    for cell, tap in over.taps():
        met = pixels[every(*tap)]
        found += np.matmul(kernels[cell], met.reshape(*met.shape[:2], -1)).reshape(found.shape)
    found += b.astype(kind, copy=False).reshape(-1, *[1] * (found.ndim - 1))
    return first(found).astype(x.dtype, copy=False)


@operator("ConvTranspose")
def transposed_convolution(call: OperatorCall, x: Array, w: Array, b: Array | None = None) -> Array:
    """What a convolution's backward pass does: each pixel adds its kernels to the output."""
    groups = call.integer("group", 1)
    convolvable(x, w, b, groups, turned=True)
    over = transposed_window(call, x.shape[2:], w.shape[2:])
    reach = over.reach(x.shape[2:])
    outputs = w.shape[1] * groups
    full = [max(whole, a + size) for whole, a, size in zip(reach, over.starts, over.sizes, strict=True)]
    taps = Window(over.cells, over.strides, over.dilations, (), x.shape[2:], ())
    claim_passes(call, x, outputs, taps)
    whole_shape = call.claim((outputs, *full, x.shape[0]), x.dtype)
    found = np.zeros(whole_shape, x.dtype)
    pixels = math.prod(x.shape[2:]) * x.shape[0]
    call.claim((outputs, pixels), x.dtype)
    call.budget.multiply(w.size * pixels, x.dtype, math.prod(over.cells) * groups)
    parts = found.reshape(groups, w.shape[1], *found.shape[1:])
    images = last(call, x).reshape(groups, w.shape[0] // groups, -1)
    kernels = by_cell(w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2))
    call.like(w)
    for cell, tap in taps.taps():
        added = np.matmul(kernels[cell], images)
        parts[every(*tap)] += added.reshape(parts[every(*tap)].shape)
    cut = (slice(a, a + size) for a, size in zip(over.starts, over.sizes, strict=True))
    found = found[(slice(None), *cut)]
    if b is not None:
        found += b.reshape(-1, *[1] * (found.ndim - 1))
    return first(found)


@operator("Col2Im", since=18)
def columns_to_image(call: OperatorCall, x: Array, image_shape: Array, block_shape: Array) -> Array:
    """Blocks, a column each, added up where they lie in an image."""
    shape, block = (
        tuple(integers(one, name) or ())
        for one, name in ((image_shape, "image_shape"), (block_shape, "block_shape"))
    )
    if len(shape) != len(block) or min((*shape, *block), default=0) < 1:
        raise ShapeError(f"image_shape is {shape} and block_shape {block}, wanted as many sizes above 0")
    over = window(call, shape, block)
    cells, count = math.prod(block), math.prod(over.sizes)
    if x.ndim != 3 or x.shape[1] % cells or x.shape[2] != count:
        raise ShapeError(
            f"shape is {x.shape}, wanted (N, channels of {cells} cells, {count} blocks) for images of {shape}"
        )
    maps = x.shape[1] // cells
    sizes = [size + sum(around) for size, around in zip(shape, over.pads, strict=True)]
    found = np.zeros(call.claim((len(x), maps, *sizes), x.dtype), x.dtype)
    call.like(x, copies=1, passes=3)
    call.budget.spend(cells * STEP)
    columns = x.reshape(len(x), maps, cells, *over.sizes)
    for number, (_, tap) in enumerate(over.taps()):
        found[(slice(None), slice(None), *tap)] += columns[:, :, number]
    inside = (slice(before, before + size) for size, (before, _) in zip(shape, over.pads, strict=True))
    return found[(slice(None), slice(None), *inside)]


class TransposedWindow(NamedTuple):
    """How the kernels of a transposed convolution lie on its output.

    Attributes
    ----------
    cells, strides, dilations : tuple of int
        Of the kernels.
    starts, sizes : tuple of int
        From which place on the output begins among those that kernels reach, and how long it is.
    """

    cells: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    def reach(self, shape: tuple[int, ...]) -> list[int]:
        """Return how many places the kernels of an image reach along each axis."""
        return [
            (size - 1) * step + (count - 1) * apart + 1
            for size, step, count, apart in zip(shape, self.strides, self.cells, self.dilations, strict=True)
        ]


def transposed_window(call: OperatorCall, shape: tuple[int, ...], cells: tuple[int, ...]) -> TransposedWindow:
    """Return the window of a transposed convolution of an image of `shape`, as the attributes say."""
    axes = len(shape)
    kernel, strides, dilations, pads = settings(call, axes, list(cells))
    if kernel != list(cells):
        raise ShapeError(f"kernel_shape is {kernel}, the kernels have {cells}")
    extra = call.integers("output_padding", [0] * axes)
    asked = call.integers("output_shape", None)
    automatic = call.choice("auto_pad", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    if asked is None and automatic.startswith("SAME"):
        asked = [size * step for size, step in zip(shape, strides, strict=True)]
    if len(extra) != axes or min(extra, default=0) < 0 or (asked is not None and len(asked) < axes):
        raise ShapeError(f"output_padding is {extra}, output_shape {asked}, wanted {axes} sizes")
    bare = TransposedWindow(tuple(kernel), tuple(strides), tuple(dilations), (), ())
    starts, sizes = [], []
    for axis, (whole, more) in enumerate(zip(bare.reach(shape), extra, strict=True)):
        if asked is None:
            around = (0, 0) if automatic == "VALID" else (pads[axis], pads[axis + axes])
            starts.append(around[0])
            sizes.append(whole + more - sum(around))
        else:
            size = asked[-axes:][axis]
            away = max(0, whole + more - size)
            starts.append(away // 2 if automatic == "SAME_UPPER" else away - away // 2)
            sizes.append(size)
    if min(sizes, default=1) < 1:
        raise ShapeError(f"the output would have shape {sizes}, wanted at least one place along each axis")
    return bare._replace(starts=tuple(starts), sizes=tuple(sizes))
