"""Samples checked and shaped for a network.

Where arrays of samples meet a network: users keep the sample first, inside the batch comes last.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.shapes import meant, seems_channels_last


def as_batch(x: Array, shape: Shape, name: str = "x") -> Array:
    """Return samples as rows ``(n, values)``: the first axis counts them, whatever its length.

    ==============================  =============================================================
    samples of shape                come as
    ==============================  =============================================================
    ``(features,)``                 ``(n, features)``, or columns ``(n, features, 1)``
    ``(1, height, width)``          ``(n, 1, height, width)``, ``(n, height, width)``, or flat
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


def infer_shape(x: Array, wants_images: bool) -> Shape:
    """Return the shape of one sample of a sample-first batch, for a network that was given none.

    Raises
    ------
    ShapeError
        If images are wanted and `x` has flat rows: their height and width can't be known; or if it seems to
        have its channels last.
    """
    shape = x.shape[1:]
    refuse_channels_last("x", x.shape)
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
