"""Memory and time that asking a network takes, from shapes.

What asking a network takes, in memory and time, said from shapes before it is asked.

A model file of a few bytes can name layers that make any amount of numbers, so `load` looks at this first,
and `Network.predict` takes as many samples at a time as fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

from purecnn.backend.types import Shape
from purecnn.kernels.cost import BLAS, NODE, PRODUCT, STEP
from purecnn.layers.activations.gated import GELU
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite
from purecnn.layers.reshape import ChannelShuffle
from purecnn.layers.signals.base import SignalLayer
from purecnn.layers.spatial.adaptive_pooling import AdaptivePooling
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.global_pooling import GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, PixelPadding
from purecnn.layers.spatial.pooling import MaxPooling, Pooling
from purecnn.layers.spatial.resampling import DepthToSpace, UpSampling
from purecnn.layers.spatial.transposed import TransposedConvolutional

#: Arrays like its output that a layer makes on its way, if nothing else is known of it.
TEMPORARY = 5
#: Those of the error function: a series in float64.
SERIES = 24
#: Bytes of one sample on its way that a model file may ask for, if not said otherwise.
MAX_BYTES = 2**30


@dataclass(frozen=True)
class Footprint:
    """What one sample takes.

    Attributes
    ----------
    values : int
        Numbers that stay in memory until the next samples come.
    passing : int
        The most that are made beside them for a while.
    work : int
        Bytes gone over besides those of the numbers; a product of matrices counts as `kernels.cost` has it.
    """

    values: int = 0
    passing: int = 0
    work: int = 0

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.values + other.values, max(self.passing, other.passing), self.work + other.work)

    def memory(self, itemsize: int) -> int:
        """Return the bytes that one sample takes at a time."""
        return (self.values + self.passing) * itemsize

    def cost(self, itemsize: int) -> int:
        """Return about how many bytes are gone over for one sample."""
        return self.work + 4 * self.memory(itemsize)


def footprint(layers: Iterable[Layer], input_shape: Shape) -> Footprint:
    """Return what one sample takes on its way through layers that are bound to shapes.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> network = Network([Dense(output_size=3)], input_shape=2)
    >>> footprint(network, (2,)).memory(4)
    88
    """
    found = Footprint(2 * math.prod(input_shape))
    for layer in layers:
        found += taken(layer)
    return found


@singledispatch
def taken(layer: Layer) -> Footprint:
    """Return what one sample takes in a layer: its output, what is made on the way, and what lies inside."""
    size = math.prod(layer.output_shape or ())
    found = Footprint(size, TEMPORARY * size, NODE + layer.multiply_adds() // BLAS)
    inside = layer.inside()
    if inside:
        # What the ends make, what is given back to each, and the sum of what comes back.
        branches = len(layer.branches) if isinstance(layer, Composite) else 1
        found = Footprint((1 + branches) * size, TEMPORARY * size, NODE)
        for part in inside.values():
            found += taken(part)
    return found


@taken.register
def _of_gelu(layer: GELU) -> Footprint:
    size = math.prod(layer.output_shape or ())
    return Footprint(size, SERIES * size, NODE + 300 * size)


@taken.register
def _of_convolution(layer: Convolutional) -> Footprint:
    maps, rows, columns = layer.output_shape or (0, 0, 0)
    channels, height, width = layer.input_shape or (0, 0, 0)
    window, apart, step = layer.kernel_size, layer.dilation[0], layer.stride[0]
    # The input, unrolled; and the output, its rows as far apart as the window steps (`unrolled`, `grouped`).
    lines = height + sum(layer.border[0]) + apart
    unrolled = lines * window[1] * channels * columns
    # With samples enough for them, tiles take pixels, their values, and these once more, in the place of
    # that: of the input four times as many, of the output three. Kernels are not counted, nor what tiles make
    # of them.
    turned = 4 * channels * lines * (width + sum(layer.border[1])) + 3 * maps * rows * columns
    outputs = maps * columns * (rows * step + 2 * layer.reach[0])
    work = layer.multiply_adds() // BLAS + rows * layer.groups * PRODUCT + math.prod(window) * STEP
    return Footprint(max(unrolled, turned) + outputs, maps * rows * columns, NODE + work)


@taken.register
def _of_transposed_convolution(layer: TransposedConvolutional) -> Footprint:
    maps, rows, columns = layer.output_shape or (0, 0, 0)
    channels, height, width = layer.input_shape or (0, 0, 0)
    (down, across), (reach, _), window = layer.stride, layer.reach, layer.kernel_size
    # With a stride the output, and what its pixels are the sums of; x row by row, or spread out; and backward
    # the output's gradient, unrolled. Without one it is a convolution: tiles or the input, unrolled.
    whole = maps * rows * columns
    unrolled = max(rows, height * down) + reach + layer.dilation[0]
    apart = unrolled * window[1] * max(maps * width, channels * columns)
    turned = 4 * channels * (height + 2 * reach) * (width + 2 * layer.reach[1]) + 3 * whole
    spread = channels * height * down * width * across
    work = (
        layer.multiply_adds() // BLAS + max(rows, height) * layer.groups * PRODUCT + math.prod(window) * STEP
    )
    if not layer.window.is_dense:
        work += layer.multiply_adds() * (down * across - 1) // BLAS
    return Footprint(max(apart, turned) + spread + whole, whole, NODE + work)


@taken.register
def _of_pooling(layer: Pooling) -> Footprint:
    size, cells = math.prod(layer.output_shape or ()), math.prod(layer.pool_size)
    # Whether a cell won is a byte.
    winners = -(-cells * size // 4) if isinstance(layer, MaxPooling) else 0
    channels, *image = layer.input_shape or (0, 0, 0)
    sides = map(sum, zip(image, *zip(*layer.border, strict=True), strict=True))
    padded = channels * math.prod(sides) if layer.is_padded else 0
    return Footprint(size + winners + padded, 2 * size, NODE + cells * (STEP + 8 * size) + 8 * padded)


@taken.register(AdaptivePooling)
@taken.register(GlobalMaxPooling)
def _of_adaptive_pooling(layer: AdaptivePooling | GlobalMaxPooling) -> Footprint:
    (channels, height, width), size = layer.input_shape or (0, 0, 0), getattr(layer, "output_size", (1, 1))
    # What the windows make within rows, a column of it once more on the way; then the output.
    rows, output = channels * height * size[1], channels * math.prod(size)
    work = sum(size) * STEP + 8 * channels * height * width * -(-size[1] // width)
    return Footprint(rows + output, channels * max(height, size[1]), NODE + work)


@taken.register
def _of_upsampling(layer: UpSampling) -> Footprint:
    size = math.prod(layer.output_shape or ())
    if layer.interpolation == "nearest":
        return Footprint(size, 0, NODE)
    # The rows between the two passes, and what one pixel has of another: for each phase, or each line.
    steps = sum((layer.output_shape or ())[1:]) if layer.align_corners else sum(layer.size)
    return Footprint(size + 2 * (size // layer.size[1]), size, NODE + steps * 4 * STEP)


@taken.register
def _of_pixel_padding(layer: PixelPadding) -> Footprint:
    lines = sum(map(sum, layer.padding))
    return Footprint(math.prod(layer.output_shape or ()), 0, NODE + lines * STEP)


@taken.register
def _of_cropping(layer: Cropping) -> Footprint:
    return Footprint(0, 0, NODE)  # a view of its input


@taken.register(ChannelShuffle)
@taken.register(DepthToSpace)
def _of_values_moved(layer: Layer) -> Footprint:
    return Footprint(math.prod(layer.output_shape or ()), 0, NODE)


@taken.register
def _of_signals(layer: SignalLayer) -> Footprint:
    return taken(layer.image_layer)
