"""The receptive field of one cell of a layer of images: convolutions, poolings, resampling and padding."""

from __future__ import annotations

import math

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.inspection.cells import Cell, explain, made, moved
from purecnn.kernels import geometry
from purecnn.kernels.resampling import sources
from purecnn.layers.base import Layer
from purecnn.layers.spatial.adaptive_pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AdaptivePooling,
)
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, PixelPadding, ZeroPadding
from purecnn.layers.spatial.pooling import (
    AveragePooling,
    MaxPooling,
    Pooling,
)
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling
from purecnn.layers.spatial.transposed import TransposedConvolutional


@explain.register
def _(layer: Convolutional, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The window under the kernel of a map, zeros around the image included."""
    map, *corner = (int(number) for number in place)
    padded = geometry.pad(input[sample][..., np.newaxis], layer.border)[..., 0]
    row, column = (number * step for number, step in zip(corner, layer.stride, strict=True))
    (height, width), (down, across) = layer.kernel_size, layer.dilation
    biases, channels = layer.parameters.get("biases"), len(padded) // layer.groups
    first = map // (layer.depth // layer.groups) * channels
    (top, _), (left, _) = layer.border
    return made(
        layer,
        output,
        place,
        sample,
        window=padded[
            first : first + channels,
            row : row + (height - 1) * down + 1 : down,
            column : column + (width - 1) * across + 1 : across,
        ],
        origin=(first, row - top, column - left),
        weights=layer.parameters["kernels"][map],
        bias=0.0 if biases is None else biases[place] if layer.per_position_bias else biases[map],
        addend="" if biases is None else "bias",
        step=(1, down, across),
    )


@explain.register
def _(
    layer: TransposedConvolutional, input: Array, output: Array, place: tuple[int, ...], sample: int
) -> Cell:
    """The pixels whose kernels reach the cell, and what each of these has there."""
    map, *corner = (int(number) for number in place)
    reached, met = [], []
    for axis, number in enumerate(corner):
        step, apart, cells = layer.stride[axis], layer.dilation[axis], layer.kernel_size[axis]
        begun = number + layer.border[axis][0]
        found = {
            pixel: (begun - pixel * step) // apart
            for pixel in range(input.shape[2 + axis])
            if (begun - pixel * step) % apart == 0 and 0 <= begun - pixel * step < cells * apart
        }
        reached.append(list(found))
        met.append(list(found.values()))
    each, maps = input.shape[1] // layer.groups, layer.depth // layer.groups
    first = map // maps * each
    channels = range(first, first + each)
    bias = layer.parameters["biases"][map] if layer.bias else 0.0
    return made(
        layer,
        output,
        place,
        sample,
        window=input[sample][np.ix_(channels, *reached)],
        origin=(first, *(pixels[0] if pixels else 0 for pixels in reached)),
        weights=layer.parameters["kernels"][:, map % maps][np.ix_(channels, *met)],
        bias=bias,
        addend="bias" if layer.bias else "",
        step=(1, *(pixels[1] - pixels[0] if len(pixels) > 1 else 1 for pixels in reached)),
    )


def pooled(layer: Layer, input: Array, place: tuple[int, ...], sample: int) -> tuple[Array, Shape]:
    """Return a pooling's window, in one map, and where it begins."""
    map, *corner = place
    if isinstance(layer, Pooling):
        spans = []
        for number, step, size, (before, _) in zip(
            corner, layer.stride, layer.pool_size, layer.border, strict=True
        ):
            start = number * step - before
            spans.append(slice(max(start, 0), start + size))
    elif isinstance(layer, AdaptivePooling):
        cut = zip(input.shape[2:], layer.output_size, corner, strict=True)
        spans = [geometry.adaptive_windows(size, count)[number] for size, count, number in cut]
    else:
        spans = [slice(0, size) for size in input.shape[2:]]
    return input[sample, map][tuple(spans)], (map, *(span.start for span in spans))


@explain.register(AdaptiveMaxPooling)
@explain.register(GlobalMaxPooling)
@explain.register(MaxPooling)
def _(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The window, and its winner: of equal ones the first in row order."""
    window, origin = pooled(layer, input, place, sample)
    winner = tuple(map(int, np.unravel_index(window.argmax(), window.shape)))
    return made(layer, output, place, sample, window=window, origin=origin, winner=winner)


@explain.register(AdaptiveAveragePooling)
@explain.register(AveragePooling)
@explain.register(GlobalAveragePooling)
def _(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The window, each value with an equal share."""
    window, origin = pooled(layer, input, place, sample)
    count = window.size
    if isinstance(layer, AveragePooling) and layer.count_padding:
        count = math.prod(layer.pool_size)  # zeros past the image too
    shares = np.full(window.shape, 1 / count)
    return made(layer, output, place, sample, window=window, origin=origin, weights=shares)


@explain.register
def _(layer: UpSampling, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The pixels it lies between, two along each axis or the one at the edge, each with its share."""
    map, *corner = place
    spans, shares = [], []
    for number, factor, length in zip(corner, layer.size, input.shape[2:], strict=True):
        pixel, other, far = number // factor, number // factor, 0.0
        if layer.interpolation == "bilinear":
            pixel, other, far = sources(length, factor, layer.align_corners)[number]
        found = {pixel: 1 - far}
        if far:
            found[other] = found.get(other, 0.0) + far
        spans.append(slice(min(found), max(found) + 1))
        shares.append([found[one] for one in sorted(found)])
    window = input[sample, map][tuple(spans)]
    origin = (map, *(span.start for span in spans))
    return made(
        layer, output, place, sample, window=window, origin=origin, weights=np.outer(shares[0], shares[1])
    )


@explain.register
def _(layer: DepthToSpace, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The one value, in the channel that its place in the block says."""
    (map, *corner), block = place, layer.block_size
    (row, i), (column, j) = (divmod(number, block) for number in corner)
    cell = i * block + j
    channel = map * block**2 + cell if layer.mode == "CRD" else cell * output.shape[1] + map
    return moved(layer, input, output, place, sample, (channel, row, column))


@explain.register
def _(layer: ZeroPadding, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The pixel, or a zero of the border."""
    before = (layer.channels[0], *(side[0] for side in layer.padding))
    origin = tuple(number - added for number, added in zip(place, before, strict=True))
    is_inside = all(0 <= n < size for n, size in zip(origin, input.shape[1:], strict=True))
    value = input[sample][origin] if is_inside else np.zeros((), input.dtype)
    return made(layer, output, place, sample, window=value, origin=origin, weights=np.ones(()))


@explain.register
def _(layer: Cropping, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The pixel, so many lines further."""
    (top, _), (left, _) = layer.cropping
    origin = (place[0] + layer.channels[0], place[1] + top, place[2] + left)
    return moved(layer, input, output, place, sample, origin)


@explain.register
def _(layer: PixelPadding, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The pixel, or that of which the border has a copy there."""
    channel, *corner = place
    along = zip(corner, input.shape[2:], layer.padding, strict=True)
    found = (geometry.border_places(layer.mode, size, *sides)[number] for number, size, sides in along)
    return moved(layer, input, output, place, sample, (channel, *map(int, found)))
