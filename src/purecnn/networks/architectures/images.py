"""Networks whose outputs are images: U-Net for segmentation, and a convolutional autoencoder."""

from __future__ import annotations

import math

from purecnn.backend.checks import positive
from purecnn.backend.types import Shape
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.branches import Branches
from purecnn.layers.dense import Dense
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import MaxPooling
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.networks.architectures.blocks import normalized, of_images
from purecnn.networks.network import Network


def check_sides(called: str, shape: Shape, factor: int) -> None:
    """Refuse images whose height or width a network can't halve and double again."""
    if any(side % factor for side in shape[1:]):
        raise ShapeError(
            f"{called} wants a height and a width that are multiples of {factor}, got {shape[1:]}: pad or "
            f"scale the images"
        )


def unet(
    input_shape: ShapeLike = (3, 64, 64),
    classes: int = 2,
    seed: int | None = 0,
    *,
    depth: int = 3,
    width: int = 16,
) -> Network:
    """Return a U-Net: an image made small in steps and large again, each size beside what it was before.

    Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, with zeros around the images, so that the
    outputs are as large as the inputs, and batch normalization, as is usual since. The paper's has a depth of
    4 and a width of 64, 31.0 million parameters.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width are multiples of ``2^depth``.
    classes : int
        How many classes a pixel may have: channels of the output, behind a `Softmax`. One: a `Sigmoid`.
    seed : int or None
        Decides the first parameters and the order of samples.
    depth : int
        How often the image is halved.
    width : int
        Maps of the full size; each smaller one has twice as many.

    Raises
    ------
    ShapeError
        If the samples are no images, or of another size.

    Examples
    --------
    >>> unet((1, 16, 16), classes=3, width=4).output_shape
    (3, 16, 16)
    """
    shape, width = of_images("unet", input_shape), positive("width", width)
    check_sides("unet", shape, 2 ** positive("depth", depth))
    layers = down_and_up(width, depth)
    layers += [Convolutional(kernel_size=1, depth=classes), Softmax() if classes > 1 else Sigmoid()]
    return Network(layers, input_shape=shape, seed=seed, task="segmentation")


def down_and_up(maps: int, depth: int) -> list[Layer]:
    """Return the layers of one size, with those of all smaller ones between."""
    if depth == 0:
        return [*normalized(maps), *normalized(maps)]
    up = TransposedConvolutional(kernel_size=2, depth=maps, stride=2)
    smaller = [MaxPooling(2), *down_and_up(2 * maps, depth - 1), up]
    beside = Branches([], smaller, merge="concatenate")
    return [*normalized(maps), *normalized(maps), beside, *normalized(maps), *normalized(maps)]


def autoencoder(
    input_shape: ShapeLike = (1, 28, 28),
    code: int = 32,
    seed: int | None = 0,
    *,
    width: int = 16,
) -> Network:
    """Return a convolutional autoencoder: an image becomes a few numbers, and these the image again.

    In the manner of Masci et al. 2011, https://doi.org/10.1007/978-3-642-21735-7_7, with strided convolutions
    and transposed ones. Its targets are its inputs, from 0 to 1; layer 7 gives the code.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width are multiples of 4.
    code : int
        How many numbers stand for an image.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : int
        Maps of half the size; a quarter of the size has twice as many.

    Raises
    ------
    ShapeError
        If the samples are no images, or of another size.

    Examples
    --------
    >>> network = autoencoder((1, 28, 28), code=16)
    >>> network[7].output_shape, network.output_shape
    ((16,), (1, 28, 28))
    """
    shape, width = of_images("autoencoder", input_shape), positive("width", width)
    check_sides("autoencoder", shape, 4)
    small = {"channels": 2 * width, "height": shape[1] // 4, "width": shape[2] // 4}
    numbers = math.prod(small.values())

    def doubled(maps: int, bias: bool) -> Layer:
        return TransposedConvolutional(kernel_size=4, depth=maps, stride=2, padding=1, bias=bias)

    layers = [
        *(*normalized(width, stride=2), *normalized(2 * width, stride=2)),
        *(Flatten(), Dense(output_size=positive("code", code)), Dense(output_size=numbers), ReLU()),
        *(Reshape((numbers,), small), doubled(width, bias=False), BatchNormalization(), ReLU()),
        *(doubled(shape[0], bias=True), Sigmoid()),
    ]
    return Network(layers, input_shape=shape, seed=seed, task="regression")
