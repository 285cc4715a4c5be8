"""Keras layers translated.

Keras's layers in this package's words: an entry of a config becomes the layers that do the same.
"""

from __future__ import annotations

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError
from purecnn.interop.keras import fixed, signals
from purecnn.interop.keras.activations import ACTIVATION_LAYERS, activation
from purecnn.interop.keras.axes import moved, to_first, to_last
from purecnn.interop.keras.config import (
    HARD_SIGMOID_2,
    TRAINING_ONLY,
    Config,
    biased,
    flag,
    images,
    integers,
    last_axis,
    number,
    one,
    only,
    pair,
    sliding,
)
from purecnn.interop.keras.images import adaptive, border, over_all, pooling, upsampling
from purecnn.interop.keras.translated import Form, Translated, Translation
from purecnn.layers.activations.basic import Identity
from purecnn.layers.composites.separable import SeparableConvolutional
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout, SpatialDropout
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import GroupNormalization, LayerNormalization
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import NamedShape
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.signals.pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from purecnn.layers.spatial.adaptive_pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
)
from purecnn.layers.spatial.convolution import Convolutional, DepthwiseConvolutional
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling, GlobalMaxPooling
from purecnn.layers.spatial.padding import Cropping, ZeroPadding
from purecnn.layers.spatial.pooling import (
    AveragePooling,
    MaxPooling,
)
from purecnn.layers.spatial.resampling import DepthToSpace
from purecnn.layers.spatial.transposed import TransposedConvolutional


def in_new_words(kind: str, config: Config) -> tuple[str, Config]:
    """Return the class and the config of a layer of Keras 2 in the words of Keras 3.

    The slope of ``hard_sigmoid`` is another, and ``RandomCrop`` scales what it does not cut, where nothing is
    trained; all else that has changed has another name as well, such as ``alpha`` and ``batch_input_shape``,
    and is read by either.
    """
    if kind == "RandomCrop":
        return "Resizing", {**config, "crop_to_aspect_ratio": True}
    given = config.get("activation")
    name = given.get("config") if isinstance(given, dict) and given.get("class_name") == "function" else given
    return kind, {**config, "activation": HARD_SIGMOID_2} if name == "hard_sigmoid" else config


def translate(kind: str, config: Config, shape: Shape) -> Translated:
    """Return what a layer of Keras is here, unbound; `shape` is that of its input here, channels first.

    Raises
    ------
    FileFormatError
        If there is no such layer here, or not with these arguments.
    """
    if kind in TRAINING_ONLY:
        return Translated([])
    if kind not in TRANSLATIONS:
        raise FileFormatError(
            f"has no counterpart here, wanted one of {', '.join(sorted(TRANSLATIONS))}, or one that acts in "
            f"training alone"
        )
    return TRANSLATIONS[kind](config, shape)


def convolution(config: Config, shape: Shape) -> Translated:
    """``Conv2D``."""
    layer = Convolutional(
        depth=one(config, "filters"),
        groups=one(config, "groups", 1),
        bias=flag(config, "use_bias", True),
        **sliding(config, shape),
    )
    return Translated([layer, *activation(config)], biased(config, "kernel"))


def depthwise(config: Config, shape: Shape) -> Translated:
    """``DepthwiseConv2D``."""
    multiplier = one(config, "depth_multiplier", 1)
    layer = DepthwiseConvolutional(
        depth_multiplier=multiplier, bias=flag(config, "use_bias", True), **sliding(config, shape)
    )
    return Translated([layer, *activation(config)], biased(config, "depthwise_kernel"))


def separable(config: Config, shape: Shape) -> Translated:
    """``SeparableConv2D``: a depthwise convolution without biases, then one of 1 x 1."""
    layer = SeparableConvolutional(
        depth=one(config, "filters"),
        depth_multiplier=one(config, "depth_multiplier", 1),
        bias=flag(config, "use_bias", True),
        **sliding(config, shape),
    )
    variables = biased(config, "depthwise_kernel", "pointwise_kernel")
    names = {0: {"depthwise_kernel": "depthwise_kernel"}, 1: {"kernel": "pointwise_kernel"}}
    if "bias" in variables:
        names[1]["bias"] = "bias"
    return Translated([layer, *activation(config)], variables, names)


def transposed(config: Config, shape: Shape) -> Translated:
    """``Conv2DTranspose``, whose output is as long as a convolution's with that padding would be."""
    given = sliding(config, shape)
    only(config, "groups", 1, None)
    reach = tuple(
        (n - 1) * apart + 1 for n, apart in zip(given["kernel_size"], given["dilation"], strict=True)
    )
    extra = None if config.get("output_padding") is None else pair(config, "output_padding")
    if given["padding"] == 0:
        longer = tuple(max(step - n, 0) for n, step in zip(reach, given["stride"], strict=True))
        given["output_padding"] = longer if extra is None else extra
    elif extra is not None:
        over = [n - n % 2 - more for n, more in zip(reach, extra, strict=True)]
        given["padding"] = tuple((max(n, 0) // 2, max(n, 0) - max(n, 0) // 2) for n in over)
        given["output_padding"] = tuple(max(-n, 0) for n in over)
    bias = flag(config, "use_bias", True)
    try:
        layer = TransposedConvolutional(depth=one(config, "filters"), bias=bias, **given)
    except ValueError as error:
        raise FileFormatError(f"has arguments that have no counterpart here: {error}") from None
    return Translated([layer, *activation(config)], biased(config, "kernel"))


def fully_connected(config: Config, shape: Shape) -> Translated:
    """``Dense``: of vectors, and of the channels of each pixel and of each step of a signal."""
    units, bias, names = one(config, "units"), flag(config, "use_bias", True), biased(config, "kernel")
    if len(shape) == 1:
        return Translated([Dense(output_size=units, bias=bias), *activation(config)], names)
    if len(shape) > 3:
        raise FileFormatError(f"gets samples with {len(shape)} axes, wanted at most 3")
    along = config.get("data_format") == "channels_first"  # the last axis is no channel, so it becomes one
    before = to_first(shape) if along else []
    turned = (shape[-1], *shape[:-1]) if along else shape
    kind = Convolutional if len(shape) == 3 else Convolutional1D
    behind = to_last((units, *turned[1:])) if along and units > 0 else []
    form = Form((turned[0], units), (*[1] * (len(shape) - 1), turned[0], units), lambda array: array)
    layers = [*before, kind(kernel_size=1, depth=units, bias=bias), *behind, *activation(config)]
    place = len(before)
    return Translated(layers, names, {place: {name: name for name in names}}, {"kernel": form})


def normalization(config: Config, shape: Shape) -> Translated:
    """``BatchNormalization``, whose momentum is what stays."""
    last_axis(config, shape)
    only(config, "renorm", False)
    names = affine_names(config)
    momentum = round(1 - number(config, "momentum", 0.99), 12)  # 0.99 is 0.01, not 0.010000000000000009
    layer = BatchNormalization(epsilon=number(config, "epsilon", 1e-3), momentum=momentum, affine=bool(names))
    return Translated([layer], [*names, "moving_mean", "moving_variance"])


def affine_names(config: Config) -> list[str]:
    """Return the names of a normalization's trained arrays."""
    return ["gamma"] * flag(config, "scale", True) + ["beta"] * flag(config, "center", True)


def group_normalization(config: Config, shape: Shape) -> Translated:
    """``GroupNormalization``: -1 groups are as many as channels."""
    last_axis(config, shape)
    groups, names = one(config, "groups", 32), affine_names(config)
    layer = GroupNormalization(
        shape[0] if groups == -1 else groups, epsilon=number(config, "epsilon", 1e-3), affine=bool(names)
    )
    return Translated([layer], names)


def layer_normalization(config: Config, shape: Shape) -> Translated:
    """``LayerNormalization``, over the last axis, or over all."""
    axis = tuple(sorted(at % (len(shape) + 1) for at in integers(config, "axis", -1)))
    whole = tuple(range(1, len(shape) + 1))
    if axis not in ((len(shape),), whole):
        raise FileFormatError(f"normalizes over the axes {list(axis)!r:.60}, wanted the last one, or all")
    only(config, "rms_scaling", False)
    names = affine_names(config)
    over = "sample" if axis == whole and len(shape) > 1 else "channels"
    layer = LayerNormalization(over, epsilon=number(config, "epsilon", 1e-3), affine=bool(names))
    return Translated([layer], names)


def permuted(config: Config, shape: Shape) -> Translated:
    """``Permute``."""
    dims = integers(config, "dims")
    if sorted(dims) != list(range(1, len(shape) + 1)):
        raise FileFormatError(
            f"has dims {list(dims)!r:.60}, wanted each of {list(range(1, len(shape) + 1))} once"
        )
    count = len(shape)
    # the axes of a sample here are Keras's last one, then its others
    theirs = (
        [*range(count)] if config.get("data_format") == "channels_first" else [count - 1, *range(count - 1)]
    )
    return Translated(moved(shape, [theirs.index(dims[axis] - 1) for axis in theirs]))


def depth_to_space(config: Config, shape: Shape) -> Translated:
    """What TensorFlow calls so: a function, no layer."""
    images(shape)
    return Translated([DepthToSpace(one(config, "block_size"), "DCR")])


def flattened(config: Config, shape: Shape) -> Translated:
    """``Flatten``."""
    only(config, "data_format", "channels_last", None)
    return Translated([] if len(shape) == 1 else [Flatten()])


def reshaped(config: Config, shape: Shape) -> Translated:
    """``Reshape``, to an image or a vector; one axis may be -1."""
    target = list(integers(config, "target_shape"))
    count = 1
    for n in shape:
        count *= n
    if target.count(-1) == 1:
        rest = 1
        for n in target:
            rest *= n if n != -1 else 1
        target[target.index(-1)] = count // rest if rest > 0 else 0
    if len(target) == 3:
        target = [target[2], *target[:2]]
    if not target or min(target) < 1:
        raise FileFormatError(f"has target_shape {config.get('target_shape')!r:.60}, wanted positive sizes")
    return Translated([Reshape(shape, NamedShape(target))])


#: Keras's classes that have a counterpart here.
TRANSLATIONS: dict[str, Translation] = {
    **ACTIVATION_LAYERS,
    "Activation": lambda config, shape: Translated(activation(config)),
    "AdaptiveAveragePooling1D": signals.adaptive(AdaptiveAveragePooling),
    "AdaptiveAveragePooling2D": adaptive(AdaptiveAveragePooling),
    "AdaptiveMaxPooling1D": signals.adaptive(AdaptiveMaxPooling),
    "AdaptiveMaxPooling2D": adaptive(AdaptiveMaxPooling),
    "AveragePooling1D": signals.pooling(AveragePooling1D),
    "AveragePooling2D": pooling(AveragePooling),
    "BatchNormalization": normalization,
    "CenterCrop": fixed.center_crop,
    "Conv1D": lambda config, shape: signals.convolution(config, shape, activation(config)),
    "Conv1DTranspose": lambda config, shape: signals.transposed(config, shape, transposed),
    "Conv2D": convolution,
    "Conv2DTranspose": transposed,
    "Cropping1D": signals.cropping,
    "Cropping2D": border(Cropping, "cropping"),
    "Dense": fully_connected,
    "DepthToSpace": depth_to_space,
    "DepthwiseConv1D": lambda config, shape: signals.depthwise(config, shape, activation(config)),
    "DepthwiseConv2D": depthwise,
    "Dropout": lambda config, shape: Translated([Dropout(number(config, "rate"))]),
    "Flatten": flattened,
    "GaussianNoise": lambda config, shape: Translated([GaussianNoise(number(config, "stddev"))]),
    "GlobalAveragePooling1D": signals.over_all(GlobalAveragePooling1D),
    "GlobalAveragePooling2D": over_all(GlobalAveragePooling, AdaptiveAveragePooling),
    "GlobalMaxPooling1D": signals.over_all(GlobalMaxPooling1D),
    "GlobalMaxPooling2D": over_all(GlobalMaxPooling, AdaptiveMaxPooling),
    "GroupNormalization": group_normalization,
    "Identity": lambda config, shape: Translated([Identity()]),
    "LayerNormalization": layer_normalization,
    "LayerScale": fixed.layer_scale,
    "MaxPooling1D": signals.pooling(MaxPooling1D),
    "MaxPooling2D": pooling(MaxPooling),
    "Normalization": fixed.normalization,
    "Permute": permuted,
    "RepeatVector": signals.repeated,
    "Rescaling": fixed.rescaling,
    "Reshape": reshaped,
    "Resizing": fixed.resizing,
    "SeparableConv1D": lambda config, shape: signals.separable(config, shape, activation(config)),
    "SeparableConv2D": separable,
    "SpatialDropout1D": lambda config, shape: Translated([SpatialDropout(number(config, "rate"))]),
    "SpatialDropout2D": lambda config, shape: Translated([SpatialDropout(number(config, "rate"))]),
    "UpSampling1D": signals.upsampling,
    "UpSampling2D": upsampling,
    "ZeroPadding1D": signals.zero_padding,
    "ZeroPadding2D": border(ZeroPadding, "padding"),
}
