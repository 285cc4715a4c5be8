"""Grouped and dilated convolution on a CPU.

Convolutions in groups, or with holes, on a CPU: fast kernels for what `unrolled` does not know.

As there, the input is copied once for each column of the window, shifted, so that the rows that an output
row needs are neighbours in memory and its matrix is a view. Here every group has a matrix of its own, and one
call of `numpy.matmul` runs over the stack of groups and rows. With a dilation, rows that far apart are put
next to each other. The input gradient is such a convolution too: of the output gradient, the kernels turned.
"""

from __future__ import annotations

import functools
import math
import weakref
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array
from purecnn.kernels.calls import Activation, Call
from purecnn.kernels.geometry import Pair, Window, along_batch, cropped
from purecnn.kernels.products import matmul
from purecnn.kernels.rows import finish

#: Channels for each output of one of them from where on the channels are the runs, for one image and for
#: several: 576 maps of 7 x 7 take 51 us in place of 150, 144 of 8 x 8 24 in place of 42, 32 of 7 x 7 10 both
#: ways; 384 of 4 x 4 for 2 images 25 in place of 61, 192 of 8 x 8 59 in place of 54. For more than `MOST`
#: images runs are long without: 960 of 2 x 2 for 4 take 34 in place of 82, for 16 135 in place of 86.
WORTH, WORTH_OF_SEVERAL, MOST = 1, 4, 4
#: Values of the unrolled input that are computed with at a time in inference: 96 maps of 32 x 32 for 16
#: images, at steps of two, take 1.1 ms in place of 1.8, 144 of 16 x 16 0.66 in place of 0.90; with half or
#: twice as many as long.
BLOCK = 1 << 18


def suits_channels(x: Array, maps: int, window: Window) -> bool:
    """Return whether runs along the channels pay for a convolution of `x` in inference."""
    channels, pixels = len(x), math.prod(window.positions(x.shape)) * x.shape[3]
    worth = WORTH if x.shape[3] == 1 else WORTH_OF_SEVERAL
    return window.groups == channels == maps and channels >= worth * pixels and x.shape[3] <= MOST


class DepthwiseConvolution:
    """A convolution in inference of each channel by itself, for images of fewer pixels than channels.

    What counts there is the length of runs. So the channels are put last, where one call of `numpy.einsum`
    adds up the cells of the window, each a product of two runs, and back by the call that adds the biases.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    window : Window
        Of C groups.
    workspace : Workspace
        Where memory comes from.
    """

    def __init__(self, x: Array, window: Window, workspace: Workspace) -> None:
        self.x, (channels, *size, batch) = x, x.shape
        rows, columns = (length + sum(pad) for length, pad in zip(size, window.padding, strict=True))
        padded = workspace.array("channels_last", (rows, columns, batch, channels), x.dtype)
        padded.fill(0)
        self.inside = cropped(padded.transpose(3, 0, 1, 2), window.padding)
        down, along, *rest = padded.strides
        (step, pace), (apart, aside), positions = window.stride, window.dilation, window.positions(x.shape)
        shape = (*window.size, *positions, batch, channels)
        strides = (down * apart, along * aside, down * step, along * pace, *rest)
        self.windows = as_strided(padded, shape, strides)
        self.sums = workspace.array("channels_last_output", shape[2:], x.dtype)
        self.images = workspace.array("output", (channels, *positions, batch), x.dtype)

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (C, OH, OW, N)."""
        cells = np.ascontiguousarray(kernels[:, 0].transpose(1, 2, 0))
        last = self.images.transpose(1, 2, 3, 0)
        calls: list[Call] = [
            partial(np.copyto, self.inside, self.x),
            partial(np.einsum, "ijpqnc,ijc->pqnc", self.windows, cells, out=self.sums),
        ]
        if biases is not None and biases.ndim == 1:
            calls.append(partial(np.add, self.sums, biases, out=last))
            biases = None
        else:
            calls.append(partial(np.copyto, last, self.sums))
        return [*calls, *finish(self.images, biases, addend, activation)], self.images


class GroupedConvolution:
    """A convolution in groups or with holes of one array `x`, its arrays and views laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every forward pass will read.
    maps : int
        M, over all groups.
    window : Window
        Any.
    workspace : Workspace
        Where memory comes from.
    """

    def __init__(self, x: Array, maps: int, window: Window, workspace: Workspace) -> None:
        self.x, self.maps, self.window = x, maps, window
        self.workspace: Workspace = weakref.proxy(workspace)  # as in `rows`
        self.positions = window.positions(x.shape)

    @functools.cached_property
    def products(self) -> GroupedProducts:
        """The products of all groups."""
        return self.products_of(slice(0, self.window.groups), None)

    def products_of(self, groups: slice, output: Array | None) -> GroupedProducts:
        """Return the products of some groups, unrolled where the first ones are."""
        (top, _), (left, _) = self.window.padding
        count, each = len(range(self.window.groups)[groups]), len(self.x) // self.window.groups
        x = self.x[groups.start * each : groups.stop * each]
        maps, window = self.maps // self.window.groups * count, self.window._replace(groups=count)
        return GroupedProducts(x, maps, window, self.positions, (top, left), self.workspace, "", output)

    def forward(self, kernels: Array, biases: Array | None) -> Array:
        """Return y (M, OH, OW, N) for biases (M,) or (M, OH, OW), or none."""
        y = self.products.run(kernels)
        if biases is not None:
            y += along_batch(biases, 4)
        return y

    def inference(
        self, kernels: Array, biases: Array | None, addend: Array | None, activation: Activation | None
    ) -> tuple[list[Call], Array]:
        """Return the calls that compute ``y + addend``, with `activation` applied, and y (M, OH, OW, N).

        Some groups at a time, so that what was unrolled is still in the cache.
        """
        (rows, columns), groups, batch = self.positions, self.window.groups, self.x.shape[3]
        each, calls = self.maps // groups, list[Call]()
        output = self.workspace.array("output", (rows, groups, each, columns * batch), self.x.dtype)
        images = output.reshape(rows, self.maps, columns, batch).transpose(1, 0, 2, 3)
        some = max(1, BLOCK // self.products_of(slice(0, 1), output[:, :1]).unrolled.size)
        for first in range(0, groups, some):
            those, own = slice(first, first + some), slice(first * each, (first + some) * each)
            calls += self.products_of(those, output[:, those]).calls(kernels[own])
            shifts = None if biases is None else biases[own]
            calls += finish(images[own], shifts, None if addend is None else addend[own], activation)
        return calls, images

    def backward(
        self,
        g: Array,
        kernels: Array,
        kernels_gradient: Array,
        biases_gradient: Array | None,
        propagate: bool,
    ) -> Array | None:
        """Write both gradients and return dx."""
        if biases_gradient is not None:
            np.sum(g, axis=tuple(range(biases_gradient.ndim, 4)), out=biases_gradient)
        self.products.kernels_gradient(g, kernels_gradient)
        if not propagate:
            return None
        spread = spread_out(g, self.window.stride, self.workspace)
        back = self.workspace.layout("convolution_back", spread, lambda: self.way_back(spread))
        return back.run(turned(kernels, self.window.groups))

    def way_back(self, g: Array) -> GroupedProducts:
        """Return the layout of the convolution of g, spread out, that gives dx."""
        # Pixel r of x met the last cell of the window first: that lay over row r + top - (KH - 1) dh of g.
        (height, width), ((top, _), (left, _)) = self.window.reach, self.window.padding
        corner, window = (height - 1 - top, width - 1 - left), self.window._replace(stride=(1, 1))
        return GroupedProducts(g, len(self.x), window, self.x.shape[1:3], corner, self.workspace, "_back")


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


class GroupedProducts:
    """The products of kernels and the windows of one array `x`, their arrays and views laid out once.

    Parameters
    ----------
    x : ndarray
        (C, H, W, N), the very array that every pass will read.
    maps : int
        M, over all groups.
    window : Window
        Any; `size` and `corner` stand for its padding.
    size : (int, int)
        Rows and columns of the output.
    corner : (int, int)
        Zeros above and at the left of the image; less than none cut so much off.
    workspace, suffix
        Where memory comes from, and the end of its names there.
    output : ndarray, optional
        (OH, G, M / G, OW N): where the output goes.
    """

    def __init__(
        self,
        x: Array,
        maps: int,
        window: Window,
        size: tuple[int, ...],
        corner: Pair,
        workspace: Workspace,
        suffix: str,
        output: Array | None = None,
    ) -> None:
        self.window, self.groups, self.maps = window, window.groups, maps // window.groups
        self.channels, (rows, columns), batch = len(x) // self.groups, size, x.shape[3]
        (height, width), stride, dilation = window.size, window.stride, window.dilation
        line, apart = columns * batch, dilation[0]
        # (G, dh, rows / dh, KW, C / G, OW N): the input, unrolled, rows dh apart next to each other.
        reach = (rows - 1) * stride[0] + (height - 1) * apart + 1
        shape = (self.groups, apart, -(-reach // apart), width, self.channels, line)
        self.unrolled = workspace.array(f"unrolled{suffix}", shape, x.dtype)
        self.unrolled.fill(0)  # borders, never written
        self.copies = self.meetings(x, columns, corner)
        # Whole output, row by row: (OH, G, M / G, OW N).
        if output is None:
            output = workspace.array(f"output{suffix}", (rows, self.groups, self.maps, line), x.dtype)
        self.output = output
        self.images = self.output.reshape(rows, maps, columns, batch).transpose(1, 0, 2, 3)
        # Output rows `turns` apart begin at the same phase of the dilation: (views of windows, rows).
        turns = apart // math.gcd(apart, stride[0])
        self.depth = height * width * self.channels
        self.rows = [self.matrices(first, turns, stride[0]) for first in range(min(turns, rows))]

    def meetings(self, x: Array, columns: int, corner: Pair) -> list[tuple[Array, Array]]:
        """Return which parts of the unrolled input are copies of which pixels."""
        (_, height, width, batch), (top, left), found = x.shape, corner, []
        step, dilation = self.window.stride[1], self.window.dilation
        split = x.reshape(self.groups, self.channels, *x.shape[1:])
        unrolled = self.unrolled.reshape(*self.unrolled.shape[:-1], columns, batch)
        for j in range(self.window.size[1]):
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

    def run(self, kernels: Array) -> Array:
        """Return (M, OH, OW, N), without biases."""
        for target, source in self.copies:
            np.copyto(target, source)
        flat = self.flat(kernels)
        for windows, rows in self.rows:
            matmul(flat, windows, out=self.output[rows].transpose(1, 0, 2, 3))
        return self.images

    def calls(self, kernels: Array) -> list[Call]:
        """Return the calls of `run`."""
        flat = self.flat(kernels)
        found: list[Call] = [partial(np.copyto, target, source) for target, source in self.copies]
        for windows, rows in self.rows:
            found.append(partial(matmul, flat, windows, out=self.output[rows].transpose(1, 0, 2, 3)))
        return found

    def kernels_gradient(self, g: Array, out: Array) -> None:
        """Write the kernels' gradient, windows @ g.T of each group, summed over the rows."""
        lines = g.reshape(self.groups, self.maps, g.shape[1], -1)
        total = np.zeros((self.groups, self.depth, self.maps), g.dtype)
        for windows, rows in self.rows:
            total += matmul(windows, lines[:, :, rows].transpose(0, 2, 3, 1)).sum(axis=1)
        cut = total.reshape(self.groups, *self.window.size, self.channels, self.maps)
        out[...] = cut.transpose(0, 4, 3, 1, 2).reshape(out.shape)
