"""Resampling kernels: images enlarged, and channels turned into pixels.

Each pair mirrors itself, as in `reference`: pure functions on arrays, the batch on the last axis.
"""

from __future__ import annotations

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import Pair, tap


def phases(factor: int) -> list[tuple[int, float]]:
    """Return for each of the `factor` pixels made of one: on which side its other source lies, and its share.

    With pixels' centres at halves, pixel ``i factor + k`` lies ``away = (k + 1/2) / factor - 1/2`` from the
    centre of pixel i: of that it has ``1 - abs(away)``, of the next one on that side ``abs(away)``.
    """
    away = [(2 * k + 1 - factor) / (2 * factor) for k in range(factor)]
    return [(1 if part > 0 else -1, abs(part)) for part in away]


def neighbours(axis: int, side: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Return where along an axis pixels and their neighbours on one side are: all, and the edge, its own."""
    before = (slice(None),) * axis
    low, high = (*before, slice(None, -1)), (*before, slice(1, None))
    first, last = (*before, slice(None, 1)), (*before, slice(-1, None))
    return [(low, high), (last, last)] if side > 0 else [(high, low), (first, first)]


def stretch(x: Array, axis: int, factor: int, name: str, workspace: Workspace) -> Array:
    """x (..., L, ...) -> y (..., L factor, ...): linear interpolation along an axis, the edges clamped."""
    xp, shape = module_of(x), list(x.shape)
    shape[axis] *= factor
    y = workspace.array(name, tuple(shape), x.dtype)
    for k, (side, far) in enumerate(phases(factor)):
        part = y[(*(slice(None),) * axis, slice(k, None, factor))]
        xp.multiply(x, 1 - far, out=part)
        if far:
            share = xp.multiply(x, far, out=workspace.array("share", x.shape, x.dtype))
            for pixels, others in neighbours(axis, side):
                part[pixels] += share[others]
    return y


def shrink(g: Array, axis: int, factor: int, name: str, workspace: Workspace) -> Array:
    """g (..., L factor, ...) -> dx (..., L, ...): what `stretch` takes from each pixel, given back to it."""
    xp, shape = module_of(g), list(g.shape)
    shape[axis] //= factor
    dx = workspace.array(name, tuple(shape), g.dtype)
    share = workspace.array("share", tuple(shape), g.dtype)
    dx.fill(0)
    for k, (side, far) in enumerate(phases(factor)):
        part = g[(*(slice(None),) * axis, slice(k, None, factor))]
        dx += xp.multiply(part, 1 - far, out=share)
        if far:
            xp.multiply(part, far, out=share)
            for pixels, others in neighbours(axis, side):
                dx[others] += share[pixels]
    return dx


def upsample_forward(x: Array, size: Pair, interpolation: str, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, H fh, W fw, N): each pixel repeated, or pixels between pixels.

    "nearest" is ``y[c, p, q] = x[c, p // fh, q // fw]``; "bilinear" interpolates along one axis, then along
    the other.
    """
    if interpolation == "bilinear":
        return stretch(stretch(x, 1, size[0], "rows", workspace), 2, size[1], "output", workspace)
    channels, rows, columns, samples = x.shape
    y = workspace.array("output", (channels, rows * size[0], columns * size[1], samples), x.dtype)
    y.reshape(channels, rows, size[0], columns, size[1], samples)[...] = x[:, :, None, :, None]
    return y


def upsample_backward(g: Array, size: Pair, interpolation: str, workspace: Workspace) -> Array:
    """g (C, H fh, W fw, N) -> dx (C, H, W, N): each pixel gets what was made of it, times its share."""
    if interpolation == "bilinear":
        return shrink(shrink(g, 2, size[1], "rows", workspace), 1, size[0], "input_gradient", workspace)
    shape = (g.shape[0], g.shape[1] // size[0], g.shape[2] // size[1], g.shape[3])
    dx = workspace.array("input_gradient", shape, g.dtype)
    dx.fill(0)
    for cell in range(size[0] * size[1]):
        dx += g[:, *tap(*divmod(cell, size[1]), size, *shape[1:3])]
    return dx
