"""Keras array layouts: channels last turned into channels first.

Keras keeps channels last: this turns its arrays into ours, also behind a Flatten.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError, ShapeError
from purecnn.layers.activations.rectified import PReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.base import Composite
from purecnn.layers.dense import Dense
from purecnn.layers.file_checks import check_finite
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import GroupNormalization, SampleNormalization
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.signals.base import SignalLayer
from purecnn.layers.signals.convolution import Convolutional1D, DepthwiseConvolutional1D
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional

#: What an array that Keras leaves out (``use_bias=False``, ``scale=False``) would hold.
MISSING = {"bias": 0.0, "gamma": 1.0, "beta": 0.0}


@dataclass(eq=False)
class Part:
    """A layer with arrays, and how the values around it are ordered in Keras.

    Attributes
    ----------
    layer : Layer
        Bound to its shape.
    label : str
        What a message calls it.
    columns, rows : ndarray or None
        For each of our inputs, and outputs, its place in Keras; None where they are the same.
    is_first : bool
        Whether Keras has the channels first there.
    """

    layer: Layer
    label: str
    columns: Array | None = None
    rows: Array | None = None
    is_first: bool = False

    @property
    def wanted(self) -> dict[str, Shape]:
        """Keras's arrays for this layer: names and shapes."""
        shapes = wanted(self.layer)
        if self.is_first and isinstance(self.layer, PReLU):
            return {name: (shape[-1], *shape[:-1]) for name, shape in shapes.items()}
        return shapes

    def take(self, given: Mapping[str, Array], dtype: np.dtype[Any]) -> dict[str, Array]:
        """Return the layer's arrays by our names, made of Keras's.

        Raises
        ------
        FileFormatError
            If a value is NaN or infinite, or a variance negative.
        """
        held = {}
        for name, shape in self.wanted.items():
            if name in given:
                held[name] = check_finite(f"{name} of {self.label}", given[name])
            else:
                held[name] = np.full(shape, MISSING[name])
        if "moving_variance" in held and held["moving_variance"].min(initial=0) < 0:
            least = held["moving_variance"].min()
            raise FileFormatError(f"moving_variance of {self.label} holds {least:g}, wanted at least 0")
        turned = convert(self.layer, held, self.columns, self.rows)
        shapes = self.layer.parameter_shapes()
        with np.errstate(over="ignore"):
            return {
                name: check_finite(
                    f"{name} of {self.label}",
                    array.reshape(shapes[name]).astype(dtype) if name in shapes else array,
                )
                for name, array in turned.items()
            }


@singledispatch
def wanted(layer: Layer) -> dict[str, Shape]:
    """Return the names and shapes of the arrays that Keras has for a bound layer."""
    return {}


@singledispatch
def convert(
    layer: Layer, given: Mapping[str, Array], columns: Array | None, rows: Array | None
) -> dict[str, Array]:
    """Return a layer's arrays, parameters and buffers, made of Keras's."""
    return {}


@wanted.register(Convolutional)
@wanted.register(Convolutional1D)
@wanted.register(TransposedConvolutional)
def _(layer: Convolutional | Convolutional1D | TransposedConvolutional) -> dict[str, Shape]:
    first, second, *size = layer.parameter_shapes()["kernels"]
    shapes: dict[str, Shape] = {"kernel": (*size, second, first)}
    return {**shapes, "bias": (layer.depth,)} if layer.bias else shapes


@wanted.register(DepthwiseConvolutional)
@wanted.register(DepthwiseConvolutional1D)
def _(layer: DepthwiseConvolutional | DepthwiseConvolutional1D) -> dict[str, Shape]:
    maps, _, *size = layer.parameter_shapes()["kernels"]
    multiplier = layer.depth_multiplier
    shapes: dict[str, Shape] = {"depthwise_kernel": (*size, maps // multiplier, multiplier)}
    return {**shapes, "bias": (layer.depth,)} if layer.bias else shapes


@convert.register(Convolutional)
@convert.register(Convolutional1D)
@convert.register(TransposedConvolutional)
def _(
    layer: Convolutional | Convolutional1D | TransposedConvolutional,
    given: Mapping[str, Array],
    columns: Array | None,
    rows: Array | None,
) -> dict[str, Array]:
    if "depthwise_kernel" in given:
        found = {"kernels": np.moveaxis(given["depthwise_kernel"], (-2, -1), (0, 1))}
    else:
        found = {"kernels": np.moveaxis(given["kernel"], (-1, -2), (0, 1))}
    if layer.bias:
        shape = layer.parameter_shapes()["biases"]
        found["biases"] = np.broadcast_to(given["bias"].reshape(-1, *[1] * (len(shape) - 1)), shape)
    return found


@wanted.register
def _(layer: Dense) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {"kernel": ((layer.input_shape or (0,))[0], layer.output_size)}
    return {**shapes, "bias": (layer.output_size,)} if layer.bias else shapes


@convert.register
def _(
    layer: Dense, given: Mapping[str, Array], columns: Array | None, rows: Array | None
) -> dict[str, Array]:
    weights = given["kernel"].T
    weights = weights if columns is None else weights[:, columns]
    found = {"weights": weights if rows is None else weights[rows]}
    return {**found, "biases": ordered(given["bias"], rows)} if layer.bias else found


@wanted.register
def _(layer: BatchNormalization) -> dict[str, Shape]:
    names = ("gamma", "beta") if layer.affine else ()
    return dict.fromkeys((*names, "moving_mean", "moving_variance"), (layer.channels,))


@convert.register
def _(
    layer: BatchNormalization, given: Mapping[str, Array], columns: Array | None, rows: Array | None
) -> dict[str, Array]:
    names = {"moving_mean": "running_mean", "moving_variance": "running_variance"}
    return {names.get(name, name): ordered(array, rows) for name, array in given.items()}


@wanted.register
def _(layer: SampleNormalization) -> dict[str, Shape]:
    shape = layer.affine_shape
    shape = (*shape[1:], shape[0])
    return {"gamma": shape, "beta": shape} if layer.affine else {}


@convert.register
def _(
    layer: SampleNormalization, given: Mapping[str, Array], columns: Array | None, rows: Array | None
) -> dict[str, Array]:
    return {name: ordered(np.moveaxis(array, -1, 0), rows) for name, array in given.items()}


@wanted.register
def _(layer: PReLU) -> dict[str, Shape]:
    shape = layer.input_shape or (0,)
    return {"alpha": (*[1] * (len(shape) - 1), shape[0] if layer.per_channel else 1)}


@convert.register
def _(
    layer: PReLU, given: Mapping[str, Array], columns: Array | None, rows: Array | None
) -> dict[str, Array]:
    return {"slopes": ordered(given["alpha"].ravel(), rows if layer.per_channel else None)}


def ordered(array: Array, rows: Array | None) -> Array:
    """Return an array of one value for each of our outputs."""
    return array if rows is None else array[rows]


def channels_last(shape: Shape, are_signals: bool = False) -> Array | None:
    """Return, for each value of an image ``(C, H, W)`` flattened, its place in Keras's ``(H, W, C)``.

    Of signals, where there are any, that in ``(L, C)``.

    Examples
    --------
    >>> channels_last((2, 1, 2)).tolist(), channels_last((2, 2), True).tolist()
    ([0, 2, 1, 3], [0, 2, 1, 3])
    """
    channels, *sizes = shape
    if len(shape) != 3 and not (are_signals and len(shape) == 2):
        return None
    pixels = math.prod(sizes)
    if channels == 1 or pixels == 1:
        return None
    count = channels * pixels
    places = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    return places.reshape(pixels, channels).T.ravel()


def same(a: Array | None, b: Array | None) -> bool:
    """Return whether two orders are one."""
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def parts(
    layers: Sequence[Layer], front: str = "layer ", plain: Collection[int] = (), is_first: bool = False
) -> list[Part]:
    """Return the layers that hold arrays, those inside of others too, and the orders that Keras has there.

    A vector that was flattened from an image stands in another order here than in Keras, until a `Dense`
    mixes it: whatever has a value for each of its features is reordered.

    Parameters
    ----------
    layers : sequence of Layer
        Bound to their shapes.
    front : str
        What stands in front of a layer's place in messages.
    plain : collection of int
        The ids of those that name axes anew in the same order in Keras.
    is_first : bool
        Whether Keras has the channels first.

    Raises
    ------
    ShapeError
        If the two orders can't be made to meet: an image reshaped to another one, a flattened image that is
        the output, vectors in different orders that are added.
    """
    every = (part for layer in layers for part in (layer, *layer.parts()))
    are_signals = any(isinstance(part, SignalLayer) for part in every)
    found, order = ordered_parts(layers, front, None, plain, is_first, are_signals)
    if order is not None:
        raise ShapeError(
            f"{front}{len(layers) - 1}, the last one, gives a flattened image, which Keras has in another "
            f"order: a Dense layer behind it is wanted"
        )
    return found


def ordered_parts(
    layers: Sequence[Layer],
    front: str,
    order: Array | None,
    plain: Collection[int],
    is_first: bool,
    are_signals: bool,
) -> tuple[list[Part], Array | None]:
    """Return the parts, and for each value of the vector that comes last its place in Keras.

    `order` says the same of the vector that comes first; None where the two are one order.
    """
    found: list[Part] = []
    since: list[Part] = []  # the parts whose rows decide that order
    for place, layer in enumerate(layers):
        shape = layer.input_shape or ()
        label = f"{front}{place} ({type(layer).__name__})"
        if id(layer) in plain:
            if order is not None and len(layer.output_shape or ()) > 1:
                raise ShapeError(
                    f"{label} makes an image of a flattened one, which Keras has in another order"
                )
            since = []
        elif isinstance(layer, Flatten | Reshape):
            after = layer.output_shape or ()
            current = order if len(shape) == 1 else channels_last(shape, are_signals)
            needed = channels_last(after, are_signals)
            since = since if len(shape) == 1 else []
            if len(after) == 1:
                order = current
                continue
            if current is None and since:
                for part in since:
                    part.rows = needed
            elif not same(current, needed):
                raise ShapeError(
                    f"{label} makes {after} of {shape}, and Keras, channels last, puts the values in "
                    f"another order: a Dense layer before it is wanted"
                )
            order, since = None, []
        elif isinstance(layer, Composite):
            ends = []
            for name, branch in layer.branches.items():
                lead = f"{label} {layer.name_of(name)} ".replace("  ", " ")
                inner, end = ordered_parts(branch, lead, order, plain, is_first, are_signals)
                found += inner
                ends.append((end, (branch[-1].output_shape if branch else shape) or ()))
            order, since = merged_order(layer, label, ends), []
        elif wanted(layer):
            part = Part(layer, label, is_first=is_first)
            found.append(part)
            if isinstance(layer, Dense):
                part.columns, order, since = order, None, [part]
            elif len(shape) == 1:
                if order is not None and isinstance(layer, GroupNormalization) and layer.groups > 1:
                    raise ShapeError(
                        f"{label} is given flattened images, whose values Keras has in other groups"
                    )
                part.rows = order
                since.append(part)
            else:
                since = []
        elif len(shape) != 1:
            since = []
    return found, order


def merged_order(layer: Composite, label: str, ends: Sequence[tuple[Array | None, Shape]]) -> Array | None:
    """Return the order of what is made of vectors of these orders and shapes."""
    if all(order is None for order, _ in ends):
        return None
    if layer.merge == "concatenate":
        places, first = [], 0
        for order, (size, *_) in ends:
            places.append(first + (np.arange(size) if order is None else order))
            first += size
        return np.concatenate(places)
    if any(not same(order, ends[0][0]) for order, _ in ends):
        raise ShapeError(
            f"{label} merges flattened images and other vectors, which Keras has in another order: a Dense "
            f"layer before it is wanted"
        )
    return ends[0][0]
