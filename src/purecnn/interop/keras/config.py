"""Keras configs read one entry at a time, each checked.

Entries of a Keras config, read one by one: flags, numbers, sizes, activations, each checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from purecnn.backend.checks import is_integer, is_number
from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.layers.activations.basic import HardSigmoid, LogSoftmax, Sigmoid, Softmax, Softsign, Tanh
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer

Config = dict[str, Any]


#: Models within models, and branches within branches.
MAX_DEPTH = 20
#: Keras's functions by name. Only what is the same there and here.
ACTIVATIONS: dict[str, Callable[[], Layer]] = {
    "elu": ELU,
    "gelu": GELU,
    "gelu_tanh": lambda: GELU("tanh"),
    "hard_sigmoid": HardSigmoid,
    "hard_silu": HardSwish,
    "hard_swish": HardSwish,
    "leaky_relu": lambda: LeakyReLU(0.2),
    "log_softmax": LogSoftmax,
    "mish": Mish,
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "softplus": Softplus,
    "softsign": Softsign,
    "swish": SiLU,
    "tanh": Tanh,
}


#: What Keras 2 calls "hard_sigmoid", which Keras 3 has given another slope.
HARD_SIGMOID_2 = "hard_sigmoid of Keras 2"
ACTIVATIONS[HARD_SIGMOID_2] = lambda: HardSigmoid(0.2)


#: Layers that hand on what they get, outside of training.
TRAINING_ONLY = {
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "GaussianDropout",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "StochasticDepth",
}


#: Layers with an axis, which is that of the channels, in either order of these.
CHANNELS = {"BatchNormalization", "Concatenate", "GroupNormalization", "LayerNormalization", "Softmax"}

#: Layers whose arguments do not say so, and which are others where the channels come first.
WITHOUT_FORMAT = frozenset({"Dense", "Normalization", "PReLU"})


def only(config: Config, name: str, *allowed: Any) -> None:
    """Refuse a value of an argument that has no counterpart; an absent one is Keras's default."""
    value = config.get(name, allowed[0])
    if value not in allowed:
        wanted = " or ".join(map(repr, allowed))
        raise FileFormatError(f"has {name} {value!r:.60}, which has no counterpart here, wanted {wanted}")


def flag(config: Config, name: str, default: bool) -> bool:
    """Return an argument that is true or false."""
    value = config.get(name, default)
    if not isinstance(value, bool):
        raise FileFormatError(f"has {name} {value!r:.60}, wanted true or false")
    return value


def number(config: Config, name: str, default: float | None = None) -> float:
    """Return an argument that is a number."""
    value = config.get(name, default)
    if isinstance(value, dict):  # how some layers write a NumPy scalar
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value
    if not is_number(value):
        raise FileFormatError(f"has {name} {value!r:.60}, wanted a number")
    return float(value)  # type: ignore[arg-type]


def integers(config: Config, name: str, default: Any = None) -> tuple[int, ...]:
    """Return an argument that is an integer or a list of them."""
    value = config.get(name, default)
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) > 8 or not all(is_integer(n) for n in values):
        raise FileFormatError(f"has {name} {value!r:.60}, wanted integers")
    return tuple(values)


def pair(config: Config, name: str, default: int = 1) -> tuple[int, int]:
    """Return an argument that is one integer, or two."""
    values = integers(config, name, default)
    if len(values) not in (1, 2):
        raise FileFormatError(f"has {name} {list(values)!r:.60}, wanted two integers")
    return values[0], values[-1]


def images(shape: Shape) -> None:
    """Refuse samples that are no images."""
    if len(shape) != 3:
        raise FileFormatError(f"gets samples with {len(shape)} axes, wanted images (height, width, channels)")


def sliding(config: Config, shape: Shape) -> dict[str, Any]:
    """Return the arguments that all convolutions share."""
    images(shape)
    only(config, "data_format", "channels_last", None)
    only(config, "padding", "valid", "same")
    return {
        "kernel_size": pair(config, "kernel_size"),
        "stride": pair(config, "strides"),
        "padding": "same" if config.get("padding") == "same" else 0,
        "dilation": pair(config, "dilation_rate"),
    }


def biased(config: Config, *names: str) -> list[str]:
    """Return the names of a layer's arrays, a bias last if it has one."""
    return [*names, "bias"] if flag(config, "use_bias", True) else [*names]


def last_axis(config: Config, shape: Shape) -> None:
    """Refuse a layer along another axis than the last one, the channels."""
    axis = integers(config, "axis", -1)
    if axis not in ((-1,), (len(shape),)):
        raise FileFormatError(f"has axis {list(axis)!r:.60}, wanted the last one")


def one(config: Config, name: str, default: Any = None) -> int:
    """Return an argument that is one integer."""
    (value, *more) = integers(config, name, default) or (0,)
    if more:
        raise FileFormatError(f"has {name} {config[name]!r:.60}, wanted an integer")
    return value


def is_old(version: str) -> bool:
    """Return whether a file is of a Keras before 3; in the oldest no version is stated."""
    return re.match(r"[012]\.|$", version) is not None


def channels_last(kind: str, config: Config, shape: Shape) -> Config:
    """Return the config of a layer of a model with its channels first as it would be with these last.

    Parameters
    ----------
    kind : str
        Its class.
    config : dict
        Its arguments.
    shape : tuple of int
        Of a sample of its input, channels first.
    """
    given = dict(config)
    if "data_format" in given:
        given["data_format"] = "channels_last"
    if kind in CHANNELS and len(shape) > 1:
        if integers(config, "axis", -1) not in ((1,), (-len(shape),)):
            raise FileFormatError(f"has axis {config.get('axis', -1)!r:.60}, wanted 1, the channels")
        given["axis"] = -1
    if kind == "PReLU" and len(shape) > 1 and config.get("shared_axes"):
        axes = integers(config, "shared_axes")
        given["shared_axes"] = [n - 1 if n > 1 else len(shape) for n in axes]
    if kind in WITHOUT_FORMAT and len(shape) > 1:
        given["data_format"] = "channels_first"
    if kind == "Reshape":
        target = integers(config, "target_shape")
        given["target_shape"] = [*target[1:], target[0]] if len(target) == 3 else list(target)
    return given


def sample_shape(
    config: Config, is_first: bool = False, are_signals: bool = False
) -> tuple[int | None, ...] | None:
    """Return the shape of one sample that a layer's config states, channels first; None where it has none.

    Sizes that it leaves open are None. `is_first` says whether the channels are first in the config too,
    `are_signals` whether those of two axes have channels.
    """
    stated = config.get("batch_shape", config.get("batch_input_shape"))
    if stated is None:
        return None
    if not isinstance(stated, list) or not 2 <= len(stated) <= 8:
        raise FileFormatError(f"has batch_shape {stated!r:.60}, wanted a list of 2 to 8 sizes")
    sizes = stated[1:]
    if not all(size is None or (is_integer(size) and size > 0) for size in sizes):
        raise FileFormatError(f"has batch_shape {stated!r:.60}, wanted sizes above 0 or null")
    turns = not is_first and (len(sizes) == 3 or (len(sizes) == 2 and are_signals))
    return (sizes[-1], *sizes[:-1]) if turns else tuple(sizes)
