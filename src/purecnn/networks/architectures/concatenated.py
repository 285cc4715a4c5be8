"""Networks of concatenated paths: DenseNet, a small Inception and SqueezeNet."""

from __future__ import annotations

from purecnn.backend.checks import flag, positive
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.branches import Branches
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.networks.architectures.blocks import (
    classifier,
    convolution,
    dropped,
    first_stride,
    normalized,
    of_images,
)
from purecnn.networks.network import Network


def densenet(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    depth: int = 40,
    growth: int = 12,
    dropout: float = 0.0,
) -> Network:
    """Return a DenseNet: each layer is given the maps of all before it in its block, and adds a few.

    Huang et al. 2017, https://arxiv.org/abs/1608.06993, without bottlenecks and compression; 1.0 million
    parameters at a depth of 40 with a growth of 12, as in its table 2.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 4.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    depth : int
        ``3 n + 4``: n layers in each of three blocks, the first convolution, two transitions and the dense
        layer.
    growth : int
        How many maps each layer adds.
    dropout : float
        Rate of the dropout behind each convolution but the first; the paper has 0.2 without augmentation.

    Raises
    ------
    ValueError
        If `depth` is none of these, or another argument is none.
    ShapeError
        If the samples are no images, or too small.

    Examples
    --------
    >>> densenet(depth=10, growth=4).output_shape
    (10,)
    """
    count, left = divmod(positive("depth", depth) - 4, 3)
    if left or count < 1:
        raise ValueError(f"depth of densenet must be 3 n + 4, such as 40, got {depth}")
    growth = positive("growth", growth)

    def convolved(maps: int, kernel_size: int) -> list[Layer]:
        return [BatchNormalization(), ReLU(), convolution(maps, kernel_size), *dropped(dropout)]

    maps = 16
    layers: list[Layer] = [convolution(maps)]
    for block in range(3):
        if block:
            layers += [*convolved(maps, 1), AveragePooling(2)]
        layers += [Branches([], convolved(growth, 3), merge="concatenate") for _ in range(count)]
        maps += count * growth
    layers += [BatchNormalization(), ReLU(), *classifier(classes)]
    return Network(layers, input_shape=of_images("densenet", input_shape), seed=seed)


def inception_small(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    normalize: bool = True,
) -> Network:
    """Return a small Inception for CIFAR-10: modules of convolutions of 1 x 1 and 3 x 3 side by side.

    Zhang et al. 2017, https://arxiv.org/abs/1611.03530, figure 3; 1,649,402 parameters, as in its table 1,
    which counts one number for each map: its normalization has no scale, or it has none and biases.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, of any size.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps.
    normalize : bool
        Whether each convolution has a batch normalization behind it; else it has biases.

    Raises
    ------
    ShapeError
        If the samples are no images.

    Examples
    --------
    >>> inception_small(normalize=False).parameters.size
    1649402
    """
    normalize = flag("normalize", normalize)

    def convolved(maps: int, kernel_size: int, stride: int = 1) -> list[Layer]:
        maps = max(1, round(maps * width))
        if normalize:
            return normalized(maps, kernel_size, stride=stride)
        return [convolution(maps, kernel_size, stride=stride, bias=True), ReLU()]

    def module(one: int, three: int) -> Layer:
        return Branches(convolved(one, 1), convolved(three, 3), merge="concatenate")

    def smaller(maps: int) -> Layer:
        pooled = MaxPooling(3, stride=2, padding=1)
        return Branches(convolved(maps, 3, stride=2), [pooled], merge="concatenate")

    layers = [
        *convolved(96, 3),
        *(module(32, 32), module(32, 48), smaller(80)),
        *(module(112, 48), module(96, 64), module(80, 80), module(48, 96), smaller(96)),
        *(module(176, 160), module(176, 160)),
        *classifier(classes),
    ]
    return Network(layers, input_shape=of_images("inception_small", input_shape), seed=seed)


def squeezenet(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    stem_stride: int | None = None,
) -> Network:
    """Return SqueezeNet 1.1: modules that squeeze the maps, then expand them on two paths.

    Iandola et al. 2016, https://arxiv.org/abs/1602.07360, in the version 1.1 of its authors,
    https://github.com/forresti/SqueezeNet; 1.24 million parameters with 1000 classes. It has no
    normalizations, and the classes are maps whose means are taken.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 15, or 31 where the first stride is 2. Where
        both are multiples of 32 from 96 on, torchvision's ``squeezenet1_1`` gives the same answers; of other
        sizes, its poolings have one more window, which goes beyond the border.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : float
        Factor of the numbers of maps.
    dropout : float
        Rate of the dropout in front of the last convolution.
    stem_stride : int, optional
        Stride of the first convolution: 2 as its authors have it, then without a border, and 1 with images
        below 96 pixels.

    Raises
    ------
    ShapeError
        If the samples are no images, or too small.

    Examples
    --------
    >>> squeezenet(classes=1000).parameters.size
    1235496
    """

    def convolved(maps: float, kernel_size: int, stride: int = 1) -> list[Layer]:
        return [convolution(max(1, round(maps * width)), kernel_size, stride=stride, bias=True), ReLU()]

    def fire(squeezed: int, expanded: int) -> list[Layer]:
        paths = convolved(expanded, 1), convolved(expanded, 3)
        return [*convolved(squeezed, 1), Branches(*paths, merge="concatenate")]

    shape = of_images("squeezenet", input_shape)
    stride, stem = first_stride(shape, stem_stride), max(1, round(64 * width))
    layers = [
        Convolutional(kernel_size=3, depth=stem, stride=stride, padding=1 if stride == 1 else 0),
        *(ReLU(), MaxPooling(3, stride=2)),
        *(*fire(16, 64), *fire(16, 64), MaxPooling(3, stride=2)),
        *(*fire(32, 128), *fire(32, 128), MaxPooling(3, stride=2)),
        *(*fire(48, 192), *fire(48, 192), *fire(64, 256), *fire(64, 256)),
        *dropped(dropout),
        *(convolution(classes, 1, bias=True), ReLU(), GlobalAveragePooling(), Softmax()),
    ]
    return Network(layers, input_shape=shape, seed=seed)
