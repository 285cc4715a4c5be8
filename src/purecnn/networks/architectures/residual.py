"""Residual networks: ResNet in its form for small images, and Wide ResNet."""

from __future__ import annotations

from purecnn.backend.checks import choice, positive
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.residual import Residual
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.spatial.padding import ZeroPadding
from purecnn.layers.spatial.pooling import MaxPooling
from purecnn.networks.architectures.blocks import classifier, convolution, dropped, normalized, of_images
from purecnn.networks.network import Network

SHORTCUTS = ("zeros", "convolution")


def blocks_of(called: str, depth: int, rest: int) -> int:
    """Return how many blocks each of three stages has, of a depth that counts six layers for each.

    Raises
    ------
    ValueError
        If the depth is no such number.

    Examples
    --------
    >>> blocks_of("resnet", 20, 2), blocks_of("wide_resnet", 28, 4)
    (3, 4)
    """
    blocks, left = divmod(positive("depth", depth) - rest, 6)
    if left or blocks < 1:
        raise ValueError(f"depth of {called} must be 6 n + {rest}, such as {18 + rest}, got {depth}")
    return blocks


def resnet(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    depth: int = 20,
    width: int = 16,
    shortcut: str = "zeros",
) -> Network:
    """Return a ResNet as it was made for CIFAR-10: three stages of residual blocks of two convolutions.

    He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2; 0.27 million parameters at a depth of 20,
    0.46 at 32, 0.66 at 44 and 0.85 at 56, as in its table 6.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    depth : int
        ``6 n + 2``: the convolutions of n blocks in each stage, the first one and the dense layer.
    width : int
        Maps of the first stage; the second has twice, the third four times as many.
    shortcut : {"zeros", "convolution"}
        What the input of a block passes where the maps become smaller and more: every second pixel, and maps
        of zeros behind (the paper's option A, without parameters), or a convolution of 1 x 1 (option B).

    Raises
    ------
    ValueError
        If `depth` is none of these, or another argument is none.
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> resnet(depth=20).parameters.size
    269722
    """
    blocks = blocks_of("resnet", depth, 2)
    maps, kind = positive("width", width), choice("shortcut", shortcut, SHORTCUTS)
    layers = normalized(maps)
    for stage in range(3):
        for block in range(blocks):
            reduces = stage > 0 and block == 0
            if reduces:
                maps *= 2
            inner = [*normalized(maps, stride=2 if reduces else 1), *normalized(maps, activation=None)]
            layers += [Residual(inner, skip(kind, maps) if reduces else None), ReLU()]
    return Network([*layers, *classifier(classes)], input_shape=of_images("resnet", input_shape), seed=seed)


def skip(kind: str, maps: int) -> list[Layer]:
    """Return the shortcut of a block that halves the image and doubles the maps, to so many."""
    if kind == "zeros":
        return [MaxPooling(1, stride=2), ZeroPadding(0, channels=(0, maps // 2))]
    return normalized(maps, 1, stride=2, activation=None)


def wide_resnet(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    depth: int = 16,
    width: int = 4,
    dropout: float = 0.0,
) -> Network:
    """Return a Wide ResNet: few residual blocks of many maps, each normalized before its convolutions.

    Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146. WRN-16-4, the default, has 2.7 million
    parameters; WRN-40-4 has 8.9, WRN-16-8 11.0 and WRN-28-10 36.5.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    depth : int
        ``6 n + 4``: the convolutions of n blocks in each stage, and four more.
    width : int
        How many times the maps of ResNet: 16, 32 and 64 in the three stages.
    dropout : float
        Rate of the dropout between the two convolutions of a block; the paper has 0.3 where it has any.

    Raises
    ------
    ValueError
        If `depth` is none of these, or another argument is none.
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> wide_resnet(depth=10, width=1).output_shape
    (10,)
    """
    blocks, width = blocks_of("wide_resnet", depth, 4), positive("width", width)
    layers: list[Layer] = [convolution(16)]
    before = 16
    for stage in range(3):
        for block in range(blocks):
            maps, stride = 16 * width * 2**stage, 2 if stage > 0 and block == 0 else 1
            first = [BatchNormalization(), ReLU()]
            inner = [
                *normalized(maps, stride=stride),
                *dropped(dropout),
                convolution(maps),
            ]
            if maps == before:
                layers.append(Residual([*first, *inner]))
            else:  # where the shapes differ the shortcut begins behind the activation, too
                beside = [convolution(maps, 1, stride=stride)]
                layers += [*first, Residual(inner, beside)]
            before = maps
    layers += [BatchNormalization(), ReLU(), *classifier(classes)]
    return Network(layers, input_shape=of_images("wide_resnet", input_shape), seed=seed)
