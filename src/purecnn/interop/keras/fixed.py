"""Layers whose arrays are known before any file is read: a scale, a shift, what broadcasts, what resizes.

They are layers that a network has anyway, frozen. A scale and a shift of each channel are a batch
normalization with running statistics of 0 and 1, so that a plan folds them into a convolution nearby.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.axes import moved, reshape
from purecnn.interop.keras.config import Config, flag, images, number, only, pair
from purecnn.interop.keras.translated import Form, Translated
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.padding import Cropping, ZeroPadding
from purecnn.layers.spatial.resampling import UpSampling

#: So small that what a batch normalization adds to its variance is lost in no number of float32.
EPSILON = 1e-12
#: Values of one such array: a resizing of images of a thousand pixels a side.
MAX_FIXED = 1 << 20


def frozen(layer: Layer, shape: Shape, **arrays: Any) -> Layer:
    """Return a layer bound to a shape, with these parameters for good."""
    layer.bind(shape)
    layer.trainable = False
    for name, wanted in layer.parameter_shapes().items():
        if math.prod(wanted) > MAX_FIXED:
            raise FileFormatError(
                f"becomes {math.prod(wanted)} fixed numbers here, wanted at most {MAX_FIXED}"
            )
        array = np.asarray(arrays[name], np.float64)
        array = array.reshape(wanted) if array.size == math.prod(wanted) else np.broadcast_to(array, wanted)
        layer.parameters[name] = array.copy()
    return layer


def scaled(shape: Shape, scale: Any = 1.0, shift: Any = 0.0) -> Layer:
    """Return a layer that multiplies each channel by a number, or one of its own, and adds another."""
    layer = frozen(BatchNormalization(epsilon=EPSILON), shape, gamma=scale, beta=shift)
    layer.buffers["running_mean"] = np.zeros(shape[0])
    layer.buffers["running_variance"] = np.full(shape[0], 1 - EPSILON)
    return layer


def vector(config: Config, name: str, default: float, shape: Shape) -> Any:
    """Return an argument that is a number, or a list of one for each channel."""
    value: Any = config.get(name, default)
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, list):
        return number({name: value}, name)
    if len(value) != shape[0]:
        raise FileFormatError(
            f"has {name} {value!r:.60}, wanted a number or a list of {shape[0]}, one for each channel"
        )
    return [number({name: one}, name) for one in value]


def rescaling(config: Config, shape: Shape) -> Translated:
    """``Rescaling`` behind other layers, or with numbers for each channel."""
    return Translated(
        [scaled(shape, vector(config, "scale", 1.0, shape), vector(config, "offset", 0.0, shape))]
    )


def normalization(config: Config, shape: Shape) -> Translated:
    """``Normalization``: less a mean, divided by a deviation, both in the config or adapted."""
    only(config, "invert", False)
    rank = len(shape)
    axis = config.get("axis", -1)
    given = [] if axis is None else axis if isinstance(axis, list) else [axis]
    axes = tuple(sorted(n % (rank + 1) if isinstance(n, int) else -1 for n in given))
    first = config.get("data_format") == "channels_first"
    channels = 1 if first else rank
    if axes not in ((), (channels,)):
        raise FileFormatError(f"has axis {axis!r:.60}, wanted the last one, the channels, or none")
    if config.get("mean") is not None or config.get("variance") is not None:
        mean = np.asarray(vector(config, "mean", 0.0, shape))
        deviation = np.maximum(np.sqrt(np.asarray(vector(config, "variance", 1.0, shape))), 1e-7)
        return Translated([scaled(shape, 1 / deviation, -mean / deviation)])
    layer = BatchNormalization(epsilon=EPSILON, affine=False)
    layer.trainable = False
    held = (shape[0],) if axes else ()

    def spread(array: Array) -> Array:
        return np.broadcast_to(array, (shape[0],))

    return Translated(
        [layer],
        ["mean", "variance"],
        {0: {"moving_mean": "mean", "moving_variance": "variance"}},
        {
            "mean": Form(held, (shape[0],), spread),
            "variance": Form(held, (shape[0],), lambda array: spread(np.maximum(array, 1e-14))),
        },
        counted=True,
    )


def layer_scale(config: Config, shape: Shape) -> Translated:
    """``LayerScale`` of Keras's ConvNeXt: a trained factor for each channel."""
    images(shape)
    layer = DepthwiseConvolutional(kernel_size=1, bias=False)
    form = Form((shape[0],), (1, 1, shape[0], 1), lambda array: array)
    return Translated([layer], ["depthwise_kernel"], forms={"depthwise_kernel": form})


def broadcast(shape: Shape, whole: Shape) -> list[Layer]:
    """Return layers that repeat a sample along its axes of length one until it is as large as another.

    Raises
    ------
    FileFormatError
        If it has other axes that are not as long.
    """
    if shape == whole:
        return []
    if len(shape) != len(whole) or any(n not in (1, m) for n, m in zip(shape, whole, strict=True)):
        raise FileFormatError(f"merges shapes {shape} and {whole}, wanted such as can be broadcast")
    layers: list[Layer] = []
    count, *sizes = shape
    wanted, *all_sizes = whole
    if sizes != all_sizes:
        rows = (1,) * (3 - len(shape))
        high, wide = (m // n for n, m in zip((*rows, *sizes), (*rows, *all_sizes), strict=True))
        layers = [UpSampling((high, wide))]
        if rows:
            before, after = (count, *rows, *sizes), (count, *rows, *all_sizes)
            layers = [reshape(shape, before), *layers, reshape(after, (count, *all_sizes))]
    if count != wanted:
        kinds = (Convolutional1D, Convolutional)
        ones: Layer = Dense(wanted, bias=False)
        if sizes:
            ones = kinds[len(sizes) - 1](kernel_size=1, depth=wanted, bias=False)
        layers.append(frozen(ones, (count, *all_sizes), **{"kernels" if sizes else "weights": 1.0}))
    return layers


def line(length: int, size: int, interpolation: str) -> Array:
    """Return the share of each pixel of a line in each pixel of the line that it is resized to.

    The pixels are squares whose centres lie at halves. ``(size, length)``.

    Examples
    --------
    >>> line(4, 2, "bilinear")
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    at = (np.arange(size) + 0.5) * length / size
    shares = np.zeros((size, length))
    rows = np.arange(size)
    if interpolation == "nearest":
        shares[rows, np.minimum(at.astype(int), length - 1)] = 1
        return shares
    at -= 0.5
    low = np.floor(at).astype(int)
    np.add.at(shares, (rows, np.clip(low, 0, length - 1)), 1 - (at - low))
    np.add.at(shares, (rows, np.clip(low + 1, 0, length - 1)), at - low)
    return shares


def resized(shape: Shape, size: tuple[int, int], interpolation: str) -> list[Layer]:
    """Return layers that resize images, to any size."""
    channels, height, width = shape
    if min(size) < 1:
        raise FileFormatError(f"has the size {size}, wanted 1 or more")
    if size == (height, width):
        return []
    if size[0] % height == size[1] % width == 0:
        return [UpSampling((size[0] // height, size[1] // width), interpolation)]
    if max(height * size[0], width * size[1]) > MAX_FIXED:
        raise FileFormatError(
            f"resizes images from {shape[1:]} to {size}, wanted products of lengths of at most {MAX_FIXED}"
        )
    # each line is a channel of a convolution of one pixel, one axis after the other
    rows = frozen(
        Convolutional(kernel_size=1, depth=size[0], bias=False),
        (height, channels, width),
        kernels=line(height, size[0], interpolation),
    )
    columns = frozen(
        Convolutional(kernel_size=1, depth=size[1], bias=False),
        (width, size[0], channels),
        kernels=line(width, size[1], interpolation),
    )
    return [
        *moved(shape, (1, 0, 2)),
        rows,
        *moved((size[0], channels, width), (2, 0, 1)),
        columns,
        *moved((size[1], size[0], channels), (2, 1, 0)),
    ]


def middle(before: tuple[int, int], after: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return how much to take off each side so that the middle is left, the odd line off the end."""
    first = [(n - m) // 2 for n, m in zip(before, after, strict=True)]
    return tuple((a, n - m - a) for a, n, m in zip(first, before, after, strict=True))  # type: ignore[return-value]


def to_size(shape: Shape, size: tuple[int, int], interpolation: str, crop: bool, pad: bool) -> list[Layer]:
    """Return layers that resize images, cropped or padded to the proportions before."""
    channels, *image = shape
    layers: list[Layer] = []
    if min(size) < 1:
        raise FileFormatError(f"has the size {size}, wanted 1 or more")
    fitting = (image[1] * size[0] // size[1], image[0] * size[1] // size[0])
    if crop:
        part = tuple(max(1, min(n, m)) for n, m in zip(image, fitting, strict=True))
        if part != tuple(image):
            layers.append(Cropping(middle((image[0], image[1]), (part[0], part[1]))))
            image = [*part]
    elif pad:
        part = tuple(max(n, m) for n, m in zip(image, fitting, strict=True))
        if part != tuple(image):
            layers.append(ZeroPadding(middle((part[0], part[1]), (image[0], image[1]))))
            image = [*part]
    return [*layers, *resized((channels, image[0], image[1]), size, interpolation)]


def resizing(config: Config, shape: Shape) -> Translated:
    """``Resizing``."""
    images(shape)
    only(config, "data_format", "channels_last", None)
    only(config, "interpolation", "bilinear", "nearest")
    only(config, "antialias", False)
    pad = flag(config, "pad_to_aspect_ratio", False)
    if pad:
        only(config, "fill_mode", "constant")
        only(config, "fill_value", 0.0)
    size = (*pair(config, "height"), *pair(config, "width"))
    crop = flag(config, "crop_to_aspect_ratio", False)
    how = config.get("interpolation", "bilinear")
    return Translated(to_size(shape, (size[0], size[2]), how, crop, pad))


def center_crop(config: Config, shape: Shape) -> Translated:
    """``CenterCrop``, which enlarges images that are smaller."""
    images(shape)
    only(config, "data_format", "channels_last", None)
    size = (pair(config, "height")[0], pair(config, "width")[0])
    if min(size) > 0 and size[0] <= shape[1] and size[1] <= shape[2]:
        sides = middle((shape[1], shape[2]), size)
        return Translated([Cropping(sides)] if size != shape[1:] else [])
    return Translated(to_size(shape, size, "bilinear", True, False))
