"""Grouped and dilated convolution on a CPU.

Convolutions in groups, or with holes, on a CPU: fast kernels for what `unrolled` does not know.

As there, the input is copied once for each column of the window, shifted, so that the rows that an output
row needs are neighbours in memory and its matrix is a view. Here every group has a matrix of its own, and one
call of `numpy.matmul` runs over the stack of groups and rows. With a dilation, rows that far apart are put
next to each other. The input gradient is such a convolution too: of the output gradient, the kernels turned.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.geometry import Padding, Pair, along_batch, output_size


def grouped_conv2d_forward(
    x: Array,
    kernels: Array,
    biases: Array,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
) -> Array:
    """x (C, H, W, N), kernels (M, C / groups, KH, KW), biases (M,) or (M, OH, OW) -> y (M, OH, OW, N)."""
    work = workspace.layout(
        "grouped", x, lambda: forward_layout(x, kernels.shape, stride, padding, dilation, groups, workspace)
    )
    y = work.forward(kernels)
    y += along_batch(biases, 4)
    return y


def grouped_conv2d_backward(
    g: Array,
    x: Array,
    kernels: Array,
    kernels_gradient: Array,
    biases_gradient: Array,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
    propagate: bool = True,
) -> Array | None:
    """g (M, OH, OW, N), x, kernels -> dx (C, H, W, N) or None; writes the two parameter gradients."""
    work = workspace.layout(
        "grouped", x, lambda: forward_layout(x, kernels.shape, stride, padding, dilation, groups, workspace)
    )
    np.sum(g, axis=tuple(range(biases_gradient.ndim, 4)), out=biases_gradient)
    work.kernels_gradient(g, kernels_gradient)
    if not propagate:
        return None
    spread = spread_out(g, stride, workspace)
    back = workspace.layout(
        "grouped_back",
        spread,
        lambda: backward_layout(spread, x, kernels.shape, padding, dilation, groups, workspace),
    )
    return back.forward(turned(kernels, groups))


def forward_layout(
    x: Array,
    kernels_shape: tuple[int, ...],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
) -> GroupedConvolution:
    """Return the layout of a convolution of x."""
    maps, _, *window = kernels_shape
    size = [
        output_size(pixels, (cells - 1) * apart + 1, step, border)
        for pixels, cells, apart, step, border in zip(
            x.shape[1:3], window, dilation, stride, padding, strict=True
        )
    ]
    corner = (padding[0][0], padding[1][0])
    return GroupedConvolution(x, maps, window, size, stride, corner, dilation, groups, workspace, "")


def backward_layout(
    g: Array,
    x: Array,
    kernels_shape: tuple[int, ...],
    padding: Padding,
    dilation: Pair,
    groups: int,
    workspace: Workspace,
) -> GroupedConvolution:
    """Return the layout of the convolution of g, spread out, that gives dx."""
    window = kernels_shape[2:]
    # Pixel r of x met the last cell of the window first: where that lay over row r + top - (KH - 1) dh of g.
    corner = [
        (cells - 1) * apart - before
        for cells, apart, (before, _) in zip(window, dilation, padding, strict=True)
    ]
    size = x.shape[1:3]
    return GroupedConvolution(g, len(x), window, size, (1, 1), corner, dilation, groups, workspace, "_back")


def spread_out(g: Array, stride: Pair, workspace: Workspace) -> Array:
    """(M, OH, OW, N) -> the same with zeros between, where the window stepped over pixels."""
    if stride == (1, 1):
        return g
    rows, columns = ((size - 1) * step + 1 for size, step in zip(g.shape[1:3], stride, strict=True))
    spread = workspace.array("spread", (len(g), rows, columns, g.shape[3]), g.dtype)
    spread.fill(0)
    np.copyto(spread[:, :: stride[0], :: stride[1]], g)
    return spread


def turned(kernels: Array, groups: int) -> Array:
    """(M, C / groups, KH, KW) -> (C, M / groups, KH, KW): turned by half a turn, inputs for outputs."""
    maps, channels, height, width = kernels.shape
    cut = kernels.reshape(groups, maps // groups, channels, height, width)[..., ::-1, ::-1]
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3, 4)).reshape(-1, maps // groups, height, width)


class GroupedConvolution:
    """The arrays and views of one such convolution of one array `x`, laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M, over all groups.
    window, size, stride : (int, int)
        Cells of the window, output pixels, and its step; by rows and columns.
    corner : (int, int)
        Zeros above and at the left of the image; less than none cut so much off.
    dilation : (int, int)
        How far the cells of the window lie apart.
    groups : int
        G, into which C and M are cut.
    workspace, suffix
        Where memory comes from, and the end of its names there.
    """

    def __init__(
        self,
        x: Array,
        maps: int,
        window: tuple[int, ...] | list[int],
        size: tuple[int, ...] | list[int],
        stride: Pair,
        corner: list[int] | Pair,
        dilation: Pair,
        groups: int,
        workspace: Workspace,
        suffix: str,
    ) -> None:
        self.groups, self.maps, (height, width) = groups, maps // groups, window
        self.channels, (rows, columns), batch = len(x) // groups, size, x.shape[3]
        self.window, line, apart = (height, width), columns * batch, dilation[0]
        # (G, dh, rows / dh, KW, C / G, OW N): the input, unrolled, rows dh apart next to each other.
        reach = (rows - 1) * stride[0] + (height - 1) * apart + 1
        shape = (groups, apart, -(-reach // apart), width, self.channels, line)
        self.unrolled = workspace.array(f"unrolled{suffix}", shape, x.dtype)
        self.unrolled.fill(0)  # borders, never written
        self.copies = list(self.meetings(x, columns, stride[1], corner, dilation))
        # Whole output, row by row: (OH, G, M / G, OW N).
        self.output = workspace.array(f"output{suffix}", (rows, groups, self.maps, line), x.dtype)
        self.images = self.output.reshape(rows, maps, columns, batch).transpose(1, 0, 2, 3)
        # Output rows `turns` apart begin at the same phase of the dilation: (views of windows, rows).
        turns = apart // math.gcd(apart, stride[0])
        self.depth = height * width * self.channels
        self.rows = [self.matrices(first, turns, stride[0]) for first in range(min(turns, rows))]

    def meetings(
        self, x: Array, columns: int, step: int, corner: list[int] | Pair, dilation: Pair
    ) -> list[tuple[Array, Array]]:
        """Return which parts of the unrolled input are copies of which pixels."""
        (_, height, width, batch), (top, left), found = x.shape, corner, []
        split = x.reshape(self.groups, self.channels, *x.shape[1:])
        unrolled = self.unrolled.reshape(*self.unrolled.shape[:-1], columns, batch)
        for j in range(self.window[1]):
            offset = j * dilation[1] - left
            first, last = max(0, -(offset // step)), min(columns - 1, (width - 1 - offset) // step)
            if first > last:
                continue
            pixels = slice(first * step + offset, last * step + offset + 1, step)
            for phase in range(dilation[0]):
                # Row `place` of this phase is row place dh + phase - top of the image.
                begin = max(0, -((phase - top) // dilation[0]))
                end = min(unrolled.shape[2], -(-(height + top - phase) // dilation[0]))
                if begin < end:
                    row = begin * dilation[0] + phase - top
                    lines = slice(row, row + (end - begin - 1) * dilation[0] + 1, dilation[0])
                    target = unrolled[:, phase, begin:end, j, :, first : last + 1]
                    found.append((target, split[:, :, lines, pixels].transpose(0, 2, 1, 3, 4)))
        return found

    def matrices(self, first: int, turns: int, step: int) -> tuple[Array, slice]:
        """Return the windows (G, R, KH KW C / G, L) of rows `first`, `first + turns`, ..., and which rows."""
        apart, chosen = self.unrolled.shape[1], slice(first, None, turns)
        rows = len(range(len(self.output))[chosen])
        place, phase = divmod(first * step, apart)
        begin = self.unrolled[:, phase, place:]
        across, down, _, cell, item = begin.strides
        shape = (self.groups, rows, self.depth, begin.shape[-1])
        return as_strided(begin, shape, (across, turns * step // apart * down, cell, item)), chosen

    def flat(self, kernels: Array) -> Array:
        """(M, C / G, KH, KW) -> (G, 1, M / G, KH KW C / G), the order of the unrolled input."""
        ordered = np.ascontiguousarray(kernels.transpose(0, 2, 3, 1))
        return ordered.reshape(self.groups, 1, self.maps, self.depth)

    def forward(self, kernels: Array) -> Array:
        """Return (M, OH, OW, N), without biases."""
        for target, source in self.copies:
            np.copyto(target, source)
        flat = self.flat(kernels)
        for windows, rows in self.rows:
            np.matmul(flat, windows, out=self.output[rows].transpose(1, 0, 2, 3))
        return self.images

    def kernels_gradient(self, g: Array, out: Array) -> None:
        """Write the kernels' gradient, windows @ g.T of each group, summed over the rows."""
        lines = g.reshape(self.groups, self.maps, g.shape[1], -1)
        total = np.zeros((self.groups, self.depth, self.maps), g.dtype)
        for windows, rows in self.rows:
            total += np.matmul(windows, lines[:, :, rows].transpose(0, 2, 3, 1)).sum(axis=1)
        height, width = self.window
        cut = total.reshape(self.groups, height, width, self.channels, self.maps)
        out[...] = cut.transpose(0, 4, 3, 1, 2).reshape(out.shape)
