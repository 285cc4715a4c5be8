"""Building blocks of architectures: a normalized convolution, squeeze-and-excitation, the classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from purecnn.backend.checks import positive
from purecnn.backend.types import Shape
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.branches import Branches
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.shapes import ShapeLike, sample_shape
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.global_pooling import GlobalAveragePooling

#: Images whose height or width is less are small: their first convolution has a stride of one.
LARGE = 96


def of_images(called: str, input_shape: ShapeLike) -> Shape:
    """Return the shape of a sample, if it is an image.

    Raises
    ------
    ShapeError
        If it is none.

    Examples
    --------
    >>> of_images("resnet", (3, 32, 32))
    (3, 32, 32)
    """
    shape = sample_shape(input_shape)
    if len(shape) != 3:
        raise ShapeError(f"{called} wants images of shape (channels, height, width), got samples of {shape}")
    return shape


def first_stride(input_shape: Shape, stride: int | None) -> int:
    """Return the stride of the first convolution: the one given, or 2 as on ImageNet, 1 for small images.

    Examples
    --------
    >>> first_stride((3, 224, 224), None), first_stride((3, 32, 32), None), first_stride((3, 32, 32), 2)
    (2, 1, 2)
    """
    if stride is not None:
        return positive("stem_stride", stride)
    return 2 if min(input_shape[1:]) >= LARGE else 1


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Return the multiple of a divisor next to a number of channels, and more than 9 tenths of it.

    Howard et al. 2017 multiply all channels of MobileNet by a width; what comes out is rounded so.

    Examples
    --------
    >>> make_divisible(32 * 1.0), make_divisible(24 * 0.5), make_divisible(16 * 0.35)
    (32, 16, 8)
    """
    found = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return found if found >= 0.9 * channels else found + divisor


def convolution(
    depth: int, kernel_size: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = False
) -> Layer:
    """Return a convolution whose border keeps the image's size, where it has no stride.

    Examples
    --------
    >>> convolution(16, 5).bind((3, 32, 32))
    (16, 32, 32)
    """
    return Convolutional(
        kernel_size=kernel_size,
        depth=depth,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=bias,
    )


def dropped(rate: float) -> list[Layer]:
    """Return a dropout, none where its rate is 0.

    Examples
    --------
    >>> len(dropped(0.2)), dropped(0.0)
    (1, [])
    """
    return [Dropout(rate)] if rate else []


def normalized(
    depth: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], Layer] | None = ReLU,
    normalization: Callable[[], Layer] = BatchNormalization,
) -> list[Layer]:
    """Return a convolution without biases that keeps the image's size, a batch normalization, an activation.

    Examples
    --------
    >>> [type(layer).__name__ for layer in normalized(16, stride=2)]
    ['Convolutional', 'BatchNormalization', 'ReLU']
    """
    return [
        convolution(depth, kernel_size, stride=stride, groups=groups),
        normalization(),
        *([] if activation is None else [activation()]),
    ]


def squeeze_and_excitation(
    channels: int, squeezed: int, activation: Callable[[], Layer], gate: Callable[[], Layer]
) -> Layer:
    """Return a layer that multiplies each map by a number from 0 to 1, made of the means of all maps.

    Hu et al. 2018, https://arxiv.org/abs/1709.01507.

    Examples
    --------
    >>> from purecnn import Sigmoid
    >>> squeeze_and_excitation(8, 2, ReLU, Sigmoid).bind((8, 5, 5))
    (8, 5, 5)
    """
    excitation = [
        GlobalAveragePooling(),
        Dense(output_size=squeezed),
        activation(),
        Dense(output_size=channels),
        gate(),
    ]
    return Branches([], excitation, merge="multiply")


def classifier(classes: int, dropout: float = 0.0, before: Sequence[Layer] = ()) -> list[Layer]:
    """Return what most architectures end in: the mean of each map, a dense layer and the softmax.

    Parameters
    ----------
    classes : int
        How many outputs.
    dropout : float
        Rate of the dropout in front of the dense layer, none where it is 0.
    before : sequence of Layer
        Layers between the means and that dropout.

    Examples
    --------
    >>> [type(layer).__name__ for layer in classifier(10, dropout=0.2)]
    ['GlobalAveragePooling', 'Dropout', 'Dense', 'Softmax']
    """
    return [GlobalAveragePooling(), *before, *dropped(dropout), Dense(output_size=classes), Softmax()]
