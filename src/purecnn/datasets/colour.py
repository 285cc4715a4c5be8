"""Colour jitter: brightness, contrast, saturation and hue of each image, a little other ones.

Brightness and contrast are those of pictures of any number of channels, saturation and hue of red, green and
blue.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError

#: Luma of red, green and blue (ITU-R BT.601-7, table 1): what a colour is in grey.
GREY = np.array([0.299, 0.587, 0.114])


def factors(drawn: Array, most: float) -> Array:
    """Return factors from ``1 - most`` to ``1 + most`` for numbers from 0 to 1."""
    found: Array = 1 + most * (2 * drawn - 1)
    return found


def grey(images: Array) -> Array:
    """Return images ``(3, H, W, N)`` in grey, ``(H, W, N)``; of another number of channels, their mean."""
    if len(images) != len(GREY):
        mean: Array = images.mean(axis=0)
        return mean
    found: Array = np.tensordot(GREY.astype(images.dtype), images, 1)
    return found


def change_brightness(images: Array, factor: Array) -> None:
    """Multiply all values of an image by its factor ``(N,)``, in place."""
    images *= factor.astype(images.dtype)


def change_contrast(images: Array, factor: Array) -> None:
    """Move values from the mean of their image in grey, or towards it: ``m + f (x - m)``, in place."""
    mean, kind = grey(images).mean(axis=(0, 1)), images.dtype
    images *= factor.astype(kind)
    images += ((1 - factor) * mean).astype(kind)


def change_saturation(images: Array, factor: Array) -> None:
    """Move colours from their own grey, or towards it: ``g + f (x - g)``, in place."""
    own, kind = grey(images), images.dtype
    own *= (1 - factor).astype(kind)
    images *= factor.astype(kind)
    images += own


def change_hue(images: Array, turns: Array) -> None:
    """Turn colours around the axis of grey, by a share of a full turn for each image ``(N,)``, in place.

    The grey of a colour stays: the chroma, what is left of it without, turns in the plane that has none, from
    red by green to blue.
    """
    own, kind = grey(images), images.dtype
    images -= own
    # The plane of chroma: its axes are red and blue less grey, scaled as YCbCr has them.
    blue, red = images[2] * kind.type(1 / 1.772), images[0] * kind.type(1 / 1.402)
    cosine, sine = np.cos(2 * np.pi * turns).astype(kind), np.sin(2 * np.pi * turns).astype(kind)
    red, blue = cosine * red + sine * blue, cosine * blue - sine * red
    images[0] = kind.type(1.402) * red
    images[2] = kind.type(1.772) * blue
    images[1] = (kind.type(GREY[0]) * images[0] + kind.type(GREY[2]) * images[2]) * kind.type(-1 / GREY[1])
    images += own


def check_colours(shape: Shape) -> None:
    """Refuse samples that have no colours.

    Raises
    ------
    ShapeError
        If they are no images of red, green and blue.
    """
    if shape[0] != len(GREY):
        raise ShapeError(
            f"saturation and hue want images of 3 channels, red, green and blue, got samples of shape {shape}"
        )
