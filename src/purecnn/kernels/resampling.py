"""Resampling kernels: images enlarged, borders made of their pixels, and channels moved.

Each pair mirrors itself, as in `reference`: pure functions on arrays, the batch on the last axis.
"""

from __future__ import annotations

from collections.abc import Iterator

from purecnn.backend.arrays import module_of
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import Padding, Pair, border_places, cropped, tap


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


def sources(length: int, factor: int, align_corners: bool = False) -> list[tuple[int, int, float]]:
    """Return for each pixel made along an axis: the two that it lies between, and the share of the second.

    With the corners aligned, pixel p lies at ``p (length - 1) / (length factor - 1)``, so that the first and
    the last stay where they were; else the pixels' centres are at halves, as `phases` has them. A pixel
    beyond the edge is the edge's.
    """
    last = length - 1
    if align_corners:
        wide = max(length * factor - 1, 1)
        places = [divmod(pixel * last, wide) for pixel in range(length * factor)]
        return [(before, min(before + 1, last), rest / wide) for before, rest in places]
    around = phases(factor)
    return [(pixel, min(max(pixel + side, 0), last), far) for pixel in range(length) for side, far in around]


#: Slices along the axes up to one.
Slices = tuple[slice, ...]


def blends(
    axis: int, length: int, factor: int, align_corners: bool
) -> Iterator[tuple[Slices, Slices, float, list[tuple[Slices, Slices]]]]:
    """Yield lines that are made along an axis at once: where, their pixels, the others' share, the others.

    These are pairs: some of the lines, and the pixels that they have the share of. With centres at halves
    the lines of a phase are made at once, with the corners aligned each by itself.
    """
    before = (slice(None),) * axis
    if align_corners:
        for line, (pixel, other, far) in enumerate(sources(length, factor, True)):
            at, lies, beside = ((*before, slice(n, n + 1)) for n in (line, pixel, other))
            yield at, lies, far, [((slice(None),), beside)]
        return
    for phase, (side, far) in enumerate(phases(factor)):
        yield (*before, slice(phase, None, factor)), before, far, neighbours(axis, side)


def interpolate(
    x: Array, axis: int, factor: int, align_corners: bool, name: str, workspace: Workspace
) -> Array:
    """x (..., L, ...) -> y (..., L factor, ...): linear interpolation along an axis, the edges clamped."""
    xp, shape = module_of(x), list(x.shape)
    shape[axis] *= factor
    y = workspace.array(name, tuple(shape), x.dtype)
    share = workspace.array("share", x.shape, x.dtype)
    for lines, pixels, far, pairs in blends(axis, x.shape[axis], factor, align_corners):
        made = y[lines]
        xp.multiply(x[pixels], 1 - far, out=made)
        if far:
            for some, others in pairs:
                made[some] += xp.multiply(x[others], far, out=share[others])
    return y


def interpolate_backward(
    g: Array, axis: int, factor: int, align_corners: bool, name: str, workspace: Workspace
) -> Array:
    """g (..., L factor, ...) -> dx (..., L, ...): what `interpolate` takes of a pixel, given back."""
    xp, shape = module_of(g), list(g.shape)
    shape[axis] //= factor
    dx = workspace.array(name, tuple(shape), g.dtype)
    share = workspace.array("share", tuple(shape), g.dtype)
    dx.fill(0)
    for lines, pixels, far, pairs in blends(axis, shape[axis], factor, align_corners):
        made, part = g[lines], share[pixels]
        dx[pixels] += xp.multiply(made, 1 - far, out=part)
        if far:
            xp.multiply(made, far, out=part)
            for some, others in pairs:
                dx[others] += part[some]
    return dx


def upsample_forward(
    x: Array, size: Pair, interpolation: str, workspace: Workspace, align_corners: bool = False
) -> Array:
    """x (C, H, W, N) -> y (C, H fh, W fw, N): each pixel repeated, or pixels between pixels.

    "nearest" is ``y[c, p, q] = x[c, p // fh, q // fw]``; "bilinear" interpolates along one axis, then along
    the other.
    """
    if interpolation == "bilinear":
        high = interpolate(x, 1, size[0], align_corners, "rows", workspace)
        return interpolate(high, 2, size[1], align_corners, "output", workspace)
    channels, rows, columns, samples = x.shape
    y = workspace.array("output", (channels, rows * size[0], columns * size[1], samples), x.dtype)
    y.reshape(channels, rows, size[0], columns, size[1], samples)[...] = x[:, :, None, :, None]
    return y


def upsample_backward(
    g: Array, size: Pair, interpolation: str, workspace: Workspace, align_corners: bool = False
) -> Array:
    """g (C, H fh, W fw, N) -> dx (C, H, W, N): each pixel gets what was made of it, times its share."""
    if interpolation == "bilinear":
        high = interpolate_backward(g, 2, size[1], align_corners, "rows", workspace)
        return interpolate_backward(high, 1, size[0], align_corners, "input_gradient", workspace)
    shape = (g.shape[0], g.shape[1] // size[0], g.shape[2] // size[1], g.shape[3])
    dx = workspace.array("input_gradient", shape, g.dtype)
    dx.fill(0)
    for cell in range(size[0] * size[1]):
        dx += g[:, *tap(*divmod(cell, size[1]), size, *shape[1:3])]
    return dx


def pixels_of(channels: Array, block: int, mode: str) -> Array:
    """(C b b, H, W, N) -> a view (C, H, b, W, b, N): which channel the pixels (i, j) of each block are.

    "CRD" counts the channels by map, row and column of the block, ``c b b + i b + j``; "DCR" by row, column
    and map, ``(i b + j) C + c``.
    """
    count, rows, columns, samples = channels.shape
    if mode == "CRD":
        parts = channels.reshape(count // block**2, block, block, rows, columns, samples)
        return parts.transpose(0, 3, 1, 4, 2, 5)
    parts = channels.reshape(block, block, count // block**2, rows, columns, samples)
    return parts.transpose(2, 3, 0, 4, 1, 5)


def depth_to_space_forward(x: Array, block: int, mode: str, workspace: Workspace) -> Array:
    """x (C b b, H, W, N) -> y (C, H b, W b, N): blocks of pixels made of channels, as `pixels_of` says."""
    channels, rows, columns, samples = len(x) // block**2, *x.shape[1:]
    y = workspace.array("output", (channels, rows * block, columns * block, samples), x.dtype)
    y.reshape(channels, rows, block, columns, block, samples)[...] = pixels_of(x, block, mode)
    return y


def depth_to_space_backward(g: Array, block: int, mode: str, workspace: Workspace) -> Array:
    """g (C, H b, W b, N) -> dx (C b b, H, W, N): each value back to where it came from."""
    channels, rows, columns, samples = len(g), g.shape[1] // block, g.shape[2] // block, g.shape[3]
    dx = workspace.array("input_gradient", (channels * block**2, rows, columns, samples), g.dtype)
    pixels_of(dx, block, mode)[...] = g.reshape(channels, rows, block, columns, block, samples)
    return dx


def shuffled(x: Array, groups: int, name: str, workspace: Workspace) -> Array:
    """x (C, ...) -> y (C, ...): the first channel of each of the groups, the second of each, and so on."""
    y = workspace.array(name, x.shape, x.dtype)
    each, rest = len(x) // groups, x.shape[1:]
    order = (1, 0, *range(2, x.ndim + 1))
    y.reshape(each, groups, *rest)[...] = x.reshape(groups, each, *rest).transpose(order)
    return y


def channel_shuffle_forward(x: Array, groups: int, workspace: Workspace) -> Array:
    """x (C, ..., N) -> y (C, ..., N), ``y[k groups + j] = x[j (C / groups) + k]``."""
    return shuffled(x, groups, "output", workspace)


def channel_shuffle_backward(g: Array, groups: int, workspace: Workspace) -> Array:
    """g (C, ..., N) -> dx (C, ..., N): the shuffle of C / groups groups takes each channel back."""
    return shuffled(g, len(g) // groups, "input_gradient", workspace)


def border_lines(size: int, sides: Pair, mode: str) -> list[Pair]:
    """Return each line of the border along an axis, and the line within that it is a copy of."""
    before, behind = sides
    places = border_places(mode, size, before, behind).tolist()
    lines = [*range(before), *range(before + size, before + size + behind)]
    return [(line, before + places[line]) for line in lines]


def border_pad_forward(x: Array, padding: Padding, mode: str, workspace: Workspace) -> Array:
    """x (C, H, W, N) -> y (C, top + H + bottom, left + W + right, N), the border as `border_places` says.

    Rows first, then columns of all these rows: so the corners are made too.
    """
    (channels, height, width, samples), (rows, columns) = x.shape, padding
    y = workspace.array("output", (channels, height + sum(rows), width + sum(columns), samples), x.dtype)
    across = slice(columns[0], columns[0] + width)
    cropped(y, padding)[...] = x
    for line, source in border_lines(height, rows, mode):
        y[:, line, across] = y[:, source, across]
    for line, source in border_lines(width, columns, mode):
        y[:, :, line] = y[:, :, source]
    return y


def border_pad_backward(g: Array, padding: Padding, mode: str, workspace: Workspace) -> Array:
    """g (C, top + H + bottom, left + W + right, N) -> dx (C, H, W, N): the border's given to its pixels."""
    rows, columns = padding
    height, width = g.shape[1] - sum(rows), g.shape[2] - sum(columns)
    across = slice(columns[0], columns[0] + width)
    dy = workspace.array("padded_gradient", g.shape, g.dtype)
    dy[...] = g
    for line, source in border_lines(width, columns, mode):
        dy[:, :, source] += dy[:, :, line]
    for line, source in border_lines(height, rows, mode):
        dy[:, source, across] += dy[:, line, across]
    return cropped(dy, padding)
