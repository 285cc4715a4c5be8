"""Shapes of samples: with names or without, and what was meant where one does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import is_integer
from purecnn.backend.types import Shape
from purecnn.errors import ShapeError

#: The shape of one sample as it is given: a size, sizes, or an image's axes by name.
ShapeLike = int | Sequence[int] | Mapping[str, int]
#: An image's axes, as they are named, and a signal's.
AXES = ("channels", "height", "width")
SIGNAL_AXES = ("channels", "length")


def as_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return `dtype` if parameters may have it: float32 or float64."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}") from None
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"dtype must be float32 or float64, got {kind}")
    return kind


class NamedShape(tuple[int, ...]):
    """The shape of an image, or a signal, whose axes were named: channels first, even if they seem last."""


def sample_shape(shape: ShapeLike) -> Shape:
    """Return the shape of one sample; a column ``(n, 1)``, as the original program writes it, means ``(n,)``.

    An image's axes may be named, or a signal's; then nobody doubts that its channels are first.

    Examples
    --------
    >>> sample_shape((3380, 1))
    (3380,)
    >>> sample_shape({"channels": 64, "height": 28, "width": 1})
    (64, 28, 1)
    >>> sample_shape({"channels": 8, "length": 1})
    (8, 1)
    """
    if isinstance(shape, NamedShape):
        return shape
    if isinstance(shape, Mapping):
        for axes in (AXES, SIGNAL_AXES):
            if set(shape) == set(axes):
                return exact_shape([shape[axis] for axis in axes])
        raise ShapeError(
            f"a shape by names must have {', '.join(AXES)}, or {', '.join(SIGNAL_AXES)}, "
            f"got {dict(shape)!r:.200}"
        )
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not sizes or not all(is_integer(size) and size >= 1 for size in sizes):
        raise ShapeError(f"a shape must be made of positive integers, got {shape!r}")
    if len(sizes) == 2 and sizes[1] == 1:
        sizes = sizes[:1]
    return tuple(int(size) for size in sizes)


def exact_shape(sizes: Sequence[int]) -> NamedShape:
    """Return the shape of one sample, as `sample_shape`, of which nothing is doubted: two axes are no column.

    Examples
    --------
    >>> exact_shape([8, 1])
    (8, 1)
    """
    return NamedShape(sample_shape([*sizes, 1, 1] if sizes else sizes)[: len(sizes)])


def seems_channels_last(shape: Shape) -> bool:
    """Return whether a shape is that of an image of 1, 3 or 4 channels with these last, as Keras has it.

    Its height and width then exceed its channels.

    Examples
    --------
    >>> seems_channels_last((28, 28, 1)), seems_channels_last((1, 28, 28)), seems_channels_last((16, 4, 4))
    (True, False, False)
    """
    return (
        len(shape) == 3 and shape[2] in (1, 3, 4) and shape[0] not in (1, 3, 4) and min(shape[:2]) > shape[2]
    )


def image_shape(layer: object, shape: Shape) -> tuple[int, int, int]:
    """Return the shape of samples that must be images: channels, height, width.

    Raises
    ------
    ShapeError
        If they are none; it names the layer that wants them.
    """
    if len(shape) != 3:
        raise ShapeError(
            f"{layer} wants images of shape (channels, height, width), got samples of {tuple(shape)}"
        )
    channels, height, width = shape
    return channels, height, width


def signal_shape(layer: object, shape: Shape) -> tuple[int, int]:
    """Return the shape of samples that must be signals: channels, length.

    Raises
    ------
    ShapeError
        If they are none; it names the layer that wants them.
    """
    if len(shape) != 2:
        instead = f"; {type(layer).__name__[:-2]} takes images" if len(shape) == 3 else ""
        raise ShapeError(
            f"{layer} wants signals of shape (channels, length), got samples of {tuple(shape)}{instead}"
        )
    channels, length = shape
    return channels, length


def check_channels(name: str, shape: Shape) -> None:
    """Refuse the shape of an image whose channels seem to be last: much fits, and nothing is learnt.

    Raises
    ------
    ShapeError
        Unless its axes were named.
    """
    if seems_channels_last(shape) and not isinstance(shape, NamedShape):
        height, width, channels = shape
        raise ShapeError(
            f"{name} must have its channels first, (channels, height, width), got {shape}: "
            f"({channels}, {height}, {width}) has them there, and {meant(name, shape)}"
        )


def meant(name: str, shape: Shape) -> str:
    """Return how to say that the first axis of a shape is the channels."""
    return f"{name}={named(shape)} says that {shape[0]} channels are meant"


def named(shape: Shape) -> dict[str, int]:
    """Return a shape with its axes by name: those of an image, or of a signal."""
    return dict(zip(AXES if len(shape) == 3 else SIGNAL_AXES, shape, strict=True))


def plain(shape: Shape) -> Shape | dict[str, int]:
    """Return a shape as a configuration has it: by names where it was named and would else be doubted."""
    doubted = seems_channels_last(shape) or shape[1:] == (1,)
    return named(shape) if isinstance(shape, NamedShape) and doubted else shape
