"""Keras layers of signals, translated: those of one dimension, samples ``(length, channels)`` there."""

from __future__ import annotations

from typing import Any

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import Config, biased, flag, integers, one, only
from purecnn.interop.keras.translated import Translated, Translation
from purecnn.layers.reshape import Reshape
from purecnn.layers.shapes import exact_shape
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.signals.padding import ZeroPadding1D
from purecnn.layers.signals.pooling import AveragePooling1D, GlobalPooling1D, Pooling1D

#: The classes of Keras that say that a model is of signals: its samples of two axes have the channels last.
KINDS = frozenset(
    {
        *("Conv1D", "DepthwiseConv1D", "AveragePooling1D", "MaxPooling1D"),
        *("GlobalAveragePooling1D", "GlobalMaxPooling1D", "ZeroPadding1D"),
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
