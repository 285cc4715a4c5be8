"""Keras layers of images without arrays, translated: pooling, resampling, borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import Config, flag, images, one, only, pair
from purecnn.interop.keras.translated import Translated, Translation
from purecnn.layers.base import Layer
from purecnn.layers.spatial.adaptive_pooling import AdaptivePooling
from purecnn.layers.spatial.global_pooling import GlobalPooling
from purecnn.layers.spatial.pooling import AveragePooling, Pooling
from purecnn.layers.spatial.resampling import UpSampling


def pooling(kind: type[Pooling]) -> Translation:
    """``MaxPooling2D`` and ``AveragePooling2D``."""

    def pooled(config: Config, shape: Shape) -> Translated:
        images(shape)
        only(config, "data_format", "channels_last", None)
        only(config, "padding", "valid", "same")
        size = pair(config, "pool_size", 2)
        stride = size if config.get("strides") is None else pair(config, "strides")
        if min(*size, *stride) < 1:
            raise FileFormatError(f"has pool_size {size} and strides {stride}, wanted 1 or more")
        same = config.get("padding") == "same"
        if kind is AveragePooling and same:
            return Translated([AveragePooling(size, stride, "same", count_padding=False)])
        return Translated([kind(size, stride, "same" if same else 0)])

    return pooled


def over_all(flat: type[GlobalPooling], kept: type[AdaptivePooling]) -> Translation:
    """``GlobalAveragePooling2D`` and ``GlobalMaxPooling2D``, which may keep the axes of the image."""

    def pooled(config: Config, shape: Shape) -> Translated:
        images(shape)
        only(config, "data_format", "channels_last", None)
        return Translated([kept(1) if flag(config, "keepdims", False) else flat()])

    return pooled


def adaptive(kind: type[AdaptivePooling]) -> Translation:
    """``AdaptiveAveragePooling2D`` and ``AdaptiveMaxPooling2D``."""

    def pooled(config: Config, shape: Shape) -> Translated:
        images(shape)
        only(config, "data_format", "channels_last", None)
        size = pair(config, "output_size")
        if min(size) < 1:
            raise FileFormatError(f"has output_size {size}, wanted 1 or more")
        return Translated([kind(size)])

    return pooled


def upsampling(config: Config, shape: Shape) -> Translated:
    """``UpSampling2D``."""
    images(shape)
    only(config, "data_format", "channels_last", None)
    only(config, "interpolation", "nearest", "bilinear")
    size = pair(config, "size", 2)
    if min(size) < 1:
        raise FileFormatError(f"has size {size}, wanted 1 or more")
    return Translated([UpSampling(size, config.get("interpolation", "nearest"))])


def border(kind: Callable[[Any], Layer], name: str) -> Translation:
    """``ZeroPadding2D`` and ``Cropping2D``."""

    def bordered(config: Config, shape: Shape) -> Translated:
        images(shape)
        only(config, "data_format", "channels_last", None)
        given = config.get(name, 1)
        if not isinstance(given, list):
            return Translated([kind(one(config, name, 1))])
        return Translated([kind(tuple(tuple(n) if isinstance(n, list) else n for n in given))])

    return bordered
