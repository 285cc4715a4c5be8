"""ShuffleNet: convolutions of 1 x 1 by groups, whose channels are shuffled so that the groups meet."""

from __future__ import annotations

from purecnn.backend.checks import positive
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.branches import Branches
from purecnn.layers.composites.residual import Residual
from purecnn.layers.reshape import ChannelShuffle
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.networks.architectures.blocks import classifier, first_stride, normalized, of_images
from purecnn.networks.network import Network

#: Maps of the first stage by the number of groups: the paper's table 1.
MAPS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}


def shufflenet(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    groups: int = 3,
    width: float = 1.0,
    stem_stride: int | None = None,
) -> Network:
    """Return ShuffleNet: residual blocks of convolutions by groups, their channels shuffled between.

    Zhang et al. 2018, https://arxiv.org/abs/1707.01083; 1.87 million parameters with 1000 classes and three
    groups, and 137 million multiply-adds at 224 x 224, as in its table 1.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    groups : {1, 2, 3, 4, 8}
        Of the convolutions of 1 x 1.
    width : float
        Factor of the numbers of maps, which are rounded to multiples of four for each group.
    stem_stride : int, optional
        Stride of the first convolution: 2 as in the paper, and then there is a pooling; with images below 96
        pixels 1, and no pooling.

    Raises
    ------
    ValueError
        If `groups` is none of these, or another argument is none.
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> shufflenet(width=0.25).output_shape
    (10,)
    """
    if positive("groups", groups) not in MAPS:
        raise ValueError(f"groups of shufflenet must be one of {', '.join(map(str, MAPS))}, got {groups}")
    shape = of_images("shufflenet", input_shape)
    stride = first_stride(shape, stem_stride)
    maps = max(1, round(24 * width / groups)) * groups
    layers = normalized(maps, stride=stride)
    if stride > 1:
        layers.append(MaxPooling(3, stride=2, padding=1))
    for stage, blocks in enumerate((4, 8, 4)):
        after = max(1, round(MAPS[groups] * 2**stage * width / (4 * groups))) * 4 * groups
        for block in range(blocks):
            # the first convolution has too few channels for groups
            first = 1 if stage == block == 0 else groups
            layers += unit(maps, after, groups, first)
            maps = after
    return Network([*layers, *classifier(classes)], input_shape=shape, seed=seed)


def unit(before: int, after: int, groups: int, first: int) -> list[Layer]:
    """Return a block from so many maps to so many, the paper's figure 2; one of more maps halves the image.

    Examples
    --------
    >>> [type(unit(before, 48, 3, 1)[0]).__name__ for before in (24, 48)]
    ['Branches', 'Residual']
    """
    halves = before != after
    inner = [
        *normalized(after // 4, 1, groups=first),
        *([ChannelShuffle(groups)] if groups > 1 else []),
        *normalized(after // 4, stride=2 if halves else 1, groups=after // 4, activation=None),
        *normalized(after - before if halves else after, 1, groups=groups, activation=None),
    ]
    if halves:
        return [Branches([AveragePooling(3, stride=2, padding=1)], inner, merge="concatenate"), ReLU()]
    return [Residual(inner), ReLU()]
