"""Keras layers of signals, translated: those of one dimension, samples ``(length, channels)`` there."""

from __future__ import annotations

from typing import Any

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.axes import reshape
from purecnn.interop.keras.config import Config, biased, flag, integers, one, only
from purecnn.interop.keras.translated import Form, Translated, Translation
from purecnn.layers.base import Layer
from purecnn.layers.reshape import Reshape
from purecnn.layers.shapes import exact_shape
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import AveragePooling1D, GlobalPooling1D, Pooling1D
from purecnn.layers.spatial.adaptive_pooling import AdaptivePooling
from purecnn.layers.spatial.padding import Cropping
from purecnn.layers.spatial.resampling import UpSampling

#: The classes of Keras that say that a model is of signals: its samples of two axes have the channels last.
KINDS = frozenset(
    {
        *("Conv1D", "DepthwiseConv1D", "AveragePooling1D", "MaxPooling1D"),
        *("GlobalAveragePooling1D", "GlobalMaxPooling1D", "ZeroPadding1D", "SpatialDropout1D"),
        *("Conv1DTranspose", "SeparableConv1D", "UpSampling1D", "Cropping1D"),
        *("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D"),
    }
)
#: Those that say so where they get samples of two axes, the last of which they take for the channels.
OF_CHANNELS = frozenset(
    {
        *("BatchNormalization", "Dense", "GroupNormalization", "LayerNormalization", "Normalization"),
        *("PReLU", "Softmax", "RepeatVector"),
    }
)


def signals(config: Config, shape: Shape) -> None:
    """Refuse samples that are no signals."""
    if len(shape) != 2:
        raise FileFormatError(f"gets samples with {len(shape)} axes, wanted signals (length, channels)")
    only(config, "data_format", "channels_last", None)


def sliding(config: Config, shape: Shape) -> tuple[list[ZeroPadding1D], dict[str, Any]]:
    """Return what stands before a convolution, zeros for a "causal" one, and its arguments."""
    signals(config, shape)
    only(config, "padding", "valid", "same", "causal")
    size, apart, padding = one(config, "kernel_size"), one(config, "dilation_rate", 1), config.get("padding")
    causal = [ZeroPadding1D(((size - 1) * apart, 0))] if padding == "causal" else []
    return causal, {
        "kernel_size": size,
        "stride": one(config, "strides", 1),
        "padding": "same" if padding == "same" else 0,
        "dilation": apart,
        "bias": flag(config, "use_bias", True),
    }


def with_arrays(
    before: list[ZeroPadding1D], layer: Convolutional1D, behind: Any, names: list[str]
) -> Translated:
    """Return what a convolution is, its arrays with the layer behind the zeros."""
    return Translated([*before, layer, *behind], names, {len(before): {name: name for name in names}})


def convolution(config: Config, shape: Shape, behind: Any = ()) -> Translated:
    """``Conv1D``."""
    before, given = sliding(config, shape)
    layer = Convolutional1D(depth=one(config, "filters"), groups=one(config, "groups", 1), **given)
    return with_arrays(before, layer, behind, biased(config, "kernel"))


def depthwise(config: Config, shape: Shape, behind: Any = ()) -> Translated:
    """``DepthwiseConv1D``."""
    before, given = sliding(config, shape)
    layer = DepthwiseConvolutional1D(depth_multiplier=one(config, "depth_multiplier", 1), **given)
    return with_arrays(before, layer, behind, biased(config, "depthwise_kernel"))


def separable(config: Config, shape: Shape, behind: Any = ()) -> Translated:
    """``SeparableConv1D``: a depthwise convolution without biases, then one of each step alone."""
    before, given = sliding(config, shape)
    bias = given.pop("bias")
    first = DepthwiseConvolutional1D(depth_multiplier=one(config, "depth_multiplier", 1), bias=False, **given)
    second = Convolutional1D(kernel_size=1, depth=one(config, "filters"), bias=bias)
    variables = biased(config, "depthwise_kernel", "pointwise_kernel")
    names = {"kernel": "pointwise_kernel"} | ({"bias": "bias"} if bias else {})
    places = {len(before): {"depthwise_kernel": "depthwise_kernel"}, len(before) + 1: names}
    return Translated([*before, first, second, *behind], variables, places)


def as_images(shape: Shape, layer: Layer) -> list[Layer]:
    """Return what does to signals what a layer does to images of one row."""
    signals({}, shape)
    channels, _, length = layer.bind((shape[0], 1, shape[1]))
    return [
        reshape(shape, (shape[0], 1, shape[1])),
        layer,
        reshape((channels, 1, length), (channels, length)),
    ]


def transposed(config: Config, shape: Shape, of_images: Translation) -> Translated:
    """``Conv1DTranspose``, as ``Conv2DTranspose`` of one row."""
    signals(config, shape)
    extra = config.get("output_padding")
    given = {
        **config,
        "kernel_size": [1, one(config, "kernel_size")],
        "strides": [1, one(config, "strides", 1)],
        "dilation_rate": [1, one(config, "dilation_rate", 1)],
        "output_padding": None if extra is None else [0, one(config, "output_padding")],
    }
    found = of_images(given, (shape[0], 1, shape[1]))
    layer, *behind = found.layers
    layers = [*as_images(shape, layer), *behind]
    size = (one(config, "kernel_size"), one(config, "filters"), shape[0])
    form = Form(size, (1, *size), lambda array: array)
    return Translated(layers, found.variables, {1: {n: n for n in found.variables}}, {"kernel": form})


def upsampling(config: Config, shape: Shape) -> Translated:
    """``UpSampling1D``."""
    return Translated(as_images(shape, UpSampling((1, one(config, "size", 2)))))


def cropping(config: Config, shape: Shape) -> Translated:
    """``Cropping1D``."""
    sides = integers(config, "cropping", 1)
    if len(sides) not in (1, 2):
        raise FileFormatError(f"has cropping {list(sides)!r:.60}, wanted one integer or two")
    return Translated(as_images(shape, Cropping(((0, 0), (sides[0], sides[-1])))))


def adaptive(kind: type[AdaptivePooling]) -> Translation:
    """``AdaptiveAveragePooling1D`` and ``AdaptiveMaxPooling1D``."""

    def pooled(config: Config, shape: Shape) -> Translated:
        signals(config, shape)
        size = one(config, "output_size")
        if size < 1:
            raise FileFormatError(f"has output_size {size}, wanted 1 or more")
        return Translated(as_images(shape, kind((1, size))))

    return pooled


def repeated(config: Config, shape: Shape) -> Translated:
    """``RepeatVector``: a vector becomes a signal, the same at each step."""
    times = one(config, "n")
    if len(shape) != 1 or times < 1:
        raise FileFormatError(
            f"repeats samples with {len(shape)} axes {times} times, wanted vectors, once or more"
        )
    size = shape[0]
    return Translated(
        [reshape(shape, (size, 1, 1)), UpSampling((1, times)), reshape((size, 1, times), (size, times))]
    )


def pooling(kind: type[Pooling1D]) -> Translation:
    """``MaxPooling1D`` and ``AveragePooling1D``."""

    def pooled(config: Config, shape: Shape) -> Translated:
        signals(config, shape)
        only(config, "padding", "valid", "same")
        size = one(config, "pool_size", 2)
        stride = size if config.get("strides") is None else one(config, "strides")
        same = config.get("padding") == "same"
        if kind is AveragePooling1D and same:
            return Translated([AveragePooling1D(size, stride, "same", count_padding=False)])
        return Translated([kind(size, stride, "same" if same else 0)])

    return pooled


def over_all(kind: type[GlobalPooling1D]) -> Translation:
    """``GlobalAveragePooling1D`` and ``GlobalMaxPooling1D``, which may keep an axis of length one."""

    def pooled(config: Config, shape: Shape) -> Translated:
        signals(config, shape)
        kept = flag(config, "keepdims", False)
        return Translated([kind(), *([Reshape(shape[:1], exact_shape([shape[0], 1]))] if kept else [])])

    return pooled


def zero_padding(config: Config, shape: Shape) -> Translated:
    """``ZeroPadding1D``."""
    signals(config, shape)
    sides = integers(config, "padding", 1)
    if len(sides) not in (1, 2):
        raise FileFormatError(f"has padding {list(sides)!r:.60}, wanted one integer or two")
    return Translated([ZeroPadding1D((sides[0], sides[-1]))])
