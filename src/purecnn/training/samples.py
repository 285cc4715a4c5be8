"""Samples checked and shaped for a network.

Where arrays of samples meet a network: users keep the sample first, inside the batch comes last.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.shapes import NamedShape, meant, seems_channels_last


def as_batch(x: Array, shape: Shape, name: str = "x") -> Array:
    """Return samples as rows ``(n, values)``: the first axis counts them, whatever its length.

    ==============================  =============================================================
    samples of shape                come as
    ==============================  =============================================================
    ``(features,)``                 ``(n, features)``, or columns ``(n, features, 1)``
    ``(1, height, width)``          ``(n, 1, height, width)``, ``(n, height, width)``, or flat
    ``(1, length)``                 ``(n, 1, length)``, ``(n, length)``
    any other, of two axes or more  ``(n, *shape)``, or flat
    ==============================  =============================================================

    Flat rows are ``(n, values)``. The number of axes says which it is. A lone sample is a batch of one:
    ``x[np.newaxis]``.

    Raises
    ------
    ShapeError
        If `x` is none of these.
    """
    values = int(np.prod(shape))
    forms = [shape, (values,)] if len(shape) > 1 else [shape, (*shape, 1)]
    if len(shape) == 3 and shape[0] == 1:
        forms.insert(1, shape[1:])
    if x.ndim and x.shape[1:] in forms:
        return x.reshape(len(x), values)
    wanted = [f"({', '.join(('n', *map(str, form)))})" for form in dict.fromkeys(forms)]
    hint = ""
    if x.shape in forms:
        hint = f": a lone sample is a batch of one, {name}[np.newaxis]"
    elif len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0]):
        hint = f": its channels are last, {name}.transpose(0, 3, 1, 2) moves them"
    elif len(shape) == 2 and x.shape[1:] == shape[::-1]:
        hint = f": its channels are last, {name}.transpose(0, 2, 1) moves them"
    listed = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if wanted[1:] else wanted[0]
    raise ShapeError(f"{name} must have shape {listed}, the samples first, got {x.shape}{hint}")


def refuse_channels_last(name: str, shape: Shape) -> None:
    """Refuse a batch of images whose channels seem to be last, as Keras has them.

    Raises
    ------
    ShapeError
        See `shapes.seems_channels_last`.
    """
    if seems_channels_last(shape[1:]):
        raise ShapeError(
            f"{name} must have its channels first, (n, channels, height, width), got {shape}: "
            f"{name}.transpose(0, 3, 1, 2) moves them, and {meant('input_shape', shape[1:])}"
        )


def wanted_axes(layers: Iterable[Layer]) -> int | None:
    """Return how many axes the first layer that cares wants samples to have; None where none does.

    Examples
    --------
    >>> from purecnn import Dense, MaxPooling1D, ReLU
    >>> wanted_axes([ReLU(), MaxPooling1D(2), Dense(output_size=1)])
    2
    """
    return next((layer.sample_axes for layer in layers if layer.sample_axes is not None), None)


def infer_shape(x: Array, axes: int | None) -> Shape:
    """Return the shape of one sample of a sample-first batch, for a network that was given none.

    Parameters
    ----------
    x : ndarray
        Samples first.
    axes : int or None
        How many axes the first layer that cares wants: 3 for images, 2 for signals.

    Raises
    ------
    ShapeError
        If images are wanted and `x` has flat rows: their height and width can't be known; if signals are and
        it has images; or if it seems to have its channels last.
    """
    shape, wants_images = x.shape[1:], axes == 3
    refuse_channels_last("x", x.shape)
    if axes == 2:
        return infer_signal(x)
    if wants_images and len(shape) == 2:
        return (1, *shape)
    if wants_images and len(shape) != 3:
        raise ShapeError(
            f"images must have shape (n, height, width) or (n, channels, height, width), got {x.shape}; "
            f"for flat rows give the network its input_shape=(channels, height, width)"
        )
    if len(shape) == 2 and shape[1] == 1:
        return shape[:1]
    if not shape:
        raise ShapeError(f"x must be a batch, the samples on the first axis; got shape {x.shape}")
    return shape


def infer_signal(x: Array, name: str = "x") -> Shape:
    """Return the shape of one signal of a batch ``(n, channels, length)``, or ``(n, length)`` of one channel.

    Raises
    ------
    ShapeError
        If it is none; or if there are at most 4 times and more channels, as where these are last.
    """
    if x.ndim == 2:
        return 1, x.shape[1]
    if x.ndim != 3:
        raise ShapeError(
            f"{name}, signals, must have shape (n, length) or (n, channels, length), got {x.shape}"
        )
    channels, length = x.shape[1:]
    if length <= 4 < channels:
        raise ShapeError(
            f"{name} must have its channels first, (n, channels, length), got {x.shape}: "
            f"{name}.transpose(0, 2, 1) moves them, and {meant('input_shape', (channels, length))}"
        )
    return NamedShape((channels, length))
