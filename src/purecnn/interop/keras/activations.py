"""Keras activations translated: layers of their own, and what other layers have inside."""

from __future__ import annotations

import math

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras.config import ACTIVATIONS, Config, integers, last_axis, number, only
from purecnn.interop.keras.fixed import scaled
from purecnn.interop.keras.translated import Form, Translated, Translation
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.activations.rectified import ELU, LeakyReLU, PReLU, ReLU, ReLU6
from purecnn.layers.base import Layer
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import exact_shape


def relu(config: Config, shape: Shape) -> Translated:
    """``ReLU`` with what it may have of a ceiling or a slope."""
    only(config, "threshold", 0.0, None)
    slope = 0.0 if config.get("negative_slope") is None else number(config, "negative_slope")
    if config.get("max_value") is None:
        return Translated([LeakyReLU(slope) if slope else ReLU()])
    ceiling = number(config, "max_value")
    if ceiling == 6 and not slope:
        return Translated([ReLU6()])
    if slope or ceiling <= 0 or not shape:
        raise FileFormatError(
            f"has max_value {ceiling:g} and negative_slope {slope:g}, wanted none, or one above 0 without a "
            f"slope, in a layer of its own where it is not 6"
        )
    return Translated([scaled(shape, 6 / ceiling), ReLU6(), scaled(shape, ceiling / 6)])


def prelu(config: Config, shape: Shape) -> Translated:
    """``PReLU`` with one slope for each channel, one for all, or one for each position of each channel."""
    shared = config.get("shared_axes") or []
    axes = set(integers({"shared_axes": shared}, "shared_axes"))
    whole = set(range(1, len(shape) + 1))
    if not axes <= whole:
        raise FileFormatError(f"has shared_axes {sorted(axes)}, wanted some of {sorted(whole)}")
    if axes in (whole - {len(shape)}, whole):
        return Translated([PReLU(per_channel=len(shape) not in axes)], ["alpha"])
    turned = (*shape[1:], shape[0])
    held = tuple(1 if place in axes else n for place, n in enumerate(turned, 1))
    if config.get("data_format") == "channels_first":
        turned, held = shape, (held[-1], *held[:-1])
    count = math.prod(shape)

    def spread(array: Array) -> Array:
        return np.broadcast_to(array, turned)

    layers = [Flatten(), PReLU(per_channel=True), Reshape(exact_shape([count]), exact_shape(shape))]
    return Translated(layers, ["alpha"], {1: {"alpha": "alpha"}}, {"alpha": Form(held, (count,), spread)})


def softmax(config: Config, shape: Shape) -> Translated:
    """``Softmax`` over the last axis."""
    last_axis(config, shape)
    return Translated([Softmax()])


def leaky(config: Config, shape: Shape) -> Translated:
    """``LeakyReLU``; what is negative_slope in Keras 3 was alpha before."""
    old = "alpha" in config and "negative_slope" not in config
    return Translated([LeakyReLU(number(config, "alpha" if old else "negative_slope", 0.3))])


#: Keras's activations that are layers; those of one argument may stand inside of others.
ACTIVATION_LAYERS: dict[str, Translation] = {
    "ELU": lambda config, shape: Translated([ELU(number(config, "alpha", 1.0))]),
    "LeakyReLU": leaky,
    "PReLU": prelu,
    "ReLU": relu,
    "Softmax": softmax,
}


def activation(config: Config, name: str = "activation") -> list[Layer]:
    """Return the activation that a layer has inside, none where it is linear."""
    value = config.get(name)
    if isinstance(value, dict):
        kind, inner = value.get("class_name"), value.get("config")
        if kind == "function" and isinstance(inner, str):
            value = inner
        elif (
            isinstance(kind, str)
            and kind in ACTIVATION_LAYERS
            and kind != "PReLU"
            and isinstance(inner, dict)
        ):
            return ACTIVATION_LAYERS[kind](inner, ()).layers
    if value in (None, "linear"):
        return []
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise FileFormatError(
            f"has the activation {value!r:.60}, which has no counterpart here, wanted one of "
            f"{', '.join(ACTIVATIONS)}"
        )
    return [ACTIVATIONS[value]()]
