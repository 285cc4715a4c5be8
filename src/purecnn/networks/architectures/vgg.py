"""VGG: convolutions of 3 x 3 one behind the other, between poolings."""

from __future__ import annotations

from purecnn.backend.checks import positive
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.reshape import Flatten
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.spatial.pooling import MaxPooling
from purecnn.networks.architectures.blocks import dropped, normalized, of_images
from purecnn.networks.network import Network


def vgg_small(
    input_shape: ShapeLike = (3, 32, 32),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: int = 128,
    dropout: float = 0.0,
) -> Network:
    """Return VGG-Small: three pairs of convolutions of 3 x 3, each pair pooled, and one dense layer.

    In the manner of Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556, with batch normalization;
    of this size, 4.6 million weights, as Cai et al. 2017, https://arxiv.org/abs/1702.00953, and others after
    them train it on CIFAR-10.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 8.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : int
        Maps of the first pair; the second has twice, the third four times as many.
    dropout : float
        Rate of the dropout in front of the dense layer.

    Raises
    ------
    ShapeError
        If the samples are no images, or too small.

    Examples
    --------
    >>> vgg_small(width=16).output_shape
    (10,)
    """
    layers: list[Layer] = []
    for pair in range(3):
        maps = positive("width", width) * 2**pair
        layers += [*normalized(maps), *normalized(maps), MaxPooling(2)]
    layers += [Flatten(), *dropped(dropout), Dense(output_size=classes), Softmax()]
    return Network(layers, input_shape=of_images("vgg_small", input_shape), seed=seed)
