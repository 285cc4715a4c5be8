"""Networks for small machines: MobileNet V1, V2 and V3-Small, EfficientNet-B0."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from purecnn.layers.activations.basic import HardSigmoid, Sigmoid
from purecnn.layers.activations.gated import HardSwish, SiLU
from purecnn.layers.activations.rectified import ReLU, ReLU6
from purecnn.layers.base import Layer
from purecnn.layers.composites.residual import Residual
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import StochasticDepth
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.shapes import ShapeLike
from purecnn.networks.architectures.blocks import (
    classifier,
    first_stride,
    make_divisible,
    normalized,
    of_images,
    squeeze_and_excitation,
)
from purecnn.networks.network import Network

Activation = Callable[[], Layer]


def slow_statistics(epsilon: float = 1e-3) -> Layer:
    """Return a batch normalization as MobileNetV3's and EfficientNet's programs have it."""
    return BatchNormalization(epsilon=epsilon, momentum=0.01)


def inverted_residual(
    before: int,
    expanded: int,
    after: int,
    kernel_size: int,
    stride: int,
    activation: Activation,
    gate: Layer | None = None,
    normalization: Callable[[], Layer] = BatchNormalization,
    stochastic_depth: float = 0.0,
) -> list[Layer]:
    """Return a block that expands the maps, filters each by itself, and makes few of them again.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381, section 3.3: the last convolution has no
    activation, and the input is added where its shape is the output's.

    Parameters
    ----------
    before, expanded, after : int
        Maps of the input, between the convolutions, and of the output.
    kernel_size, stride : int
        Of the depthwise convolution.
    activation : callable
        Makes an activation.
    gate : Layer, optional
        Behind the depthwise convolution: squeeze-and-excitation.
    normalization : callable
        Makes a batch normalization.
    stochastic_depth : float
        Rate of the stochastic depth of a block whose input is added.

    Examples
    --------
    >>> [type(layer).__name__ for layer in inverted_residual(8, 48, 8, 3, 1, ReLU6)]
    ['Residual']
    """
    normal = partial(normalized, normalization=normalization)
    layers = [
        *(normal(expanded, 1, activation=activation) if expanded != before else []),
        *normal(expanded, kernel_size, stride=stride, groups=expanded, activation=activation),
        *([] if gate is None else [gate]),
        *normal(after, 1, activation=None),
    ]
    if stride > 1 or before != after:
        return layers
    return [Residual([*layers, *([StochasticDepth(stochastic_depth)] if stochastic_depth else [])])]


def mobilenet_v1(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    dropout: float = 0.0,
    stem_stride: int | None = None,
) -> Network:
    """Return MobileNet: depthwise convolutions of 3 x 3, and behind each one of 1 x 1 that mixes the maps.

    Howard et al. 2017, https://arxiv.org/abs/1704.04861; 4.2 million parameters with 1000 classes, as in its
    table 4.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps, which are rounded to multiples of 8.
    dropout : float
        Rate of the dropout in front of the dense layer.
    stem_stride : int, optional
        Stride of the first convolution: 2 as in the paper, with images below 96 pixels 1.

    Raises
    ------
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> mobilenet_v1(classes=1000).parameters.size
    4231976
    """
    shape = of_images("mobilenet_v1", input_shape)
    maps = make_divisible(32 * width)
    layers = normalized(maps, stride=first_stride(shape, stem_stride))
    # maps and stride of each pair
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for after, stride in pairs:
        layers += normalized(maps, stride=stride, groups=maps)
        maps = make_divisible(after * width)
        layers += normalized(maps, 1)
    return Network([*layers, *classifier(classes, dropout)], input_shape=shape, seed=seed)


def mobilenet_v2(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
    stem_stride: int | None = None,
) -> Network:
    """Return MobileNetV2: residual blocks that are narrow at their ends and wide between.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381; 3.5 million parameters with 1000 classes (3.4 in
    its table 4).

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps, which are rounded to multiples of 8; below 1 the last ones stay.
    dropout : float
        Rate of the dropout in front of the dense layer.
    stem_stride : int, optional
        Stride of the first convolution: 2 as in the paper, with images below 96 pixels 1.

    Raises
    ------
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> mobilenet_v2(classes=1000).parameters.size
    3504872
    """
    shape = of_images("mobilenet_v2", input_shape)
    maps = make_divisible(32 * width)
    layers = normalized(maps, stride=first_stride(shape, stem_stride), activation=ReLU6)
    # expansion, maps, blocks, stride of the first block: the paper's table 2
    stages = [
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ]
    for expansion, depth, blocks, stride in stages:
        for block in range(blocks):
            after = make_divisible(depth * width)
            layers += inverted_residual(maps, expansion * maps, after, 3, stride if block == 0 else 1, ReLU6)
            maps = after
    layers += normalized(make_divisible(1280 * max(1.0, width)), 1, activation=ReLU6)
    return Network([*layers, *classifier(classes, dropout)], input_shape=shape, seed=seed)


def mobilenet_v3_small(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
    stem_stride: int | None = None,
) -> Network:
    """Return MobileNetV3-Small: MobileNetV2's blocks with squeeze-and-excitation and hard swish.

    Howard et al. 2019, https://arxiv.org/abs/1905.02244; 2.5 million parameters with 1000 classes, as in its
    table 3.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps, which are rounded to multiples of 8.
    dropout : float
        Rate of the dropout in front of the last dense layer.
    stem_stride : int, optional
        Stride of the first convolution: 2 as in the paper, with images below 96 pixels 1.

    Raises
    ------
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> mobilenet_v3_small(classes=1000).parameters.size
    2542856
    """
    shape = of_images("mobilenet_v3_small", input_shape)
    normal = partial(normalized, activation=HardSwish, normalization=slow_statistics)
    maps = make_divisible(16 * width)
    layers = normal(maps, stride=first_stride(shape, stem_stride))
    # window, expanded maps, maps, whether it is gated, activation, stride: the paper's table 2
    blocks: list[tuple[int, int, int, bool, Activation, int]] = [
        *((3, 16, 16, True, ReLU, 2), (3, 72, 24, False, ReLU, 2), (3, 88, 24, False, ReLU, 1)),
        *(
            (5, 96, 40, True, HardSwish, 2),
            (5, 240, 40, True, HardSwish, 1),
            (5, 240, 40, True, HardSwish, 1),
        ),
        *((5, 120, 48, True, HardSwish, 1), (5, 144, 48, True, HardSwish, 1)),
        *(
            (5, 288, 96, True, HardSwish, 2),
            (5, 576, 96, True, HardSwish, 1),
            (5, 576, 96, True, HardSwish, 1),
        ),
    ]
    for window, wide, depth, is_gated, activation, stride in blocks:
        expanded, after = make_divisible(wide * width), make_divisible(depth * width)
        gate = (
            squeeze_and_excitation(expanded, make_divisible(expanded / 4), ReLU, HardSigmoid)
            if is_gated
            else None
        )
        layers += inverted_residual(maps, expanded, after, window, stride, activation, gate, slow_statistics)
        maps = after
    hidden = [Dense(output_size=make_divisible(1024 * width)), HardSwish()]
    layers += [*normal(6 * maps, 1), *classifier(classes, dropout, before=hidden)]
    return Network(layers, input_shape=shape, seed=seed)


def efficientnet_b0(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    stem_stride: int | None = None,
    epsilon: float = 1e-3,
) -> Network:
    """Return EfficientNet-B0: blocks as MobileNetV2's, each with squeeze-and-excitation and swish.

    Tan and Le 2019, https://arxiv.org/abs/1905.11946; 5.3 million parameters with 1000 classes, as in its
    table 2.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps, which are rounded to multiples of 8.
    dropout : float
        Rate of the dropout in front of the dense layer.
    stochastic_depth : float
        Rate at which training skips a block, at the end; it grows from 0 with each of the 16 blocks.
    stem_stride : int, optional
        Stride of the first convolution: 2 as in the paper, with images below 96 pixels 1.
    epsilon : float
        What the normalizations add to variances: 1e-3 as in its authors' program and in Keras. Weights of
        torchvision were trained with 1e-5.

    Raises
    ------
    ShapeError
        If the samples are no images.
    ValueError
        If `epsilon` is not above zero.

    Examples
    --------
    >>> efficientnet_b0(classes=1000).parameters.size
    5288548
    """
    shape = of_images("efficientnet_b0", input_shape)
    statistics = partial(slow_statistics, epsilon)
    normal = partial(normalized, activation=SiLU, normalization=statistics)
    maps = make_divisible(32 * width)
    layers = normal(maps, stride=first_stride(shape, stem_stride))
    # expansion, window, maps, blocks, stride of the first block: the paper's table 1
    stages = [
        *((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)),
        *((6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)),
    ]
    place = 0
    for expansion, window, depth, blocks, stride in stages:
        for block in range(blocks):
            expanded, after = expansion * maps, make_divisible(depth * width)
            gate = squeeze_and_excitation(expanded, max(1, maps // 4), SiLU, Sigmoid)
            steps = stride if block == 0 else 1
            layers += inverted_residual(
                maps,
                expanded,
                after,
                window,
                steps,
                SiLU,
                gate,
                statistics,
                stochastic_depth=stochastic_depth * place / 16,
            )
            maps, place = after, place + 1
    layers += [*normal(make_divisible(1280 * width), 1), *classifier(classes, dropout)]
    return Network(layers, input_shape=shape, seed=seed)
