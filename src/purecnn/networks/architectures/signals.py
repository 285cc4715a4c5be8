"""Networks of signals: a ResNet of one dimension."""

from __future__ import annotations

from purecnn.backend.checks import positive
from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.residual import Residual
from purecnn.layers.dense import Dense
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.shapes import ShapeLike, sample_shape
from purecnn.layers.signals.convolution import Convolutional1D
from purecnn.layers.signals.pooling import GlobalAveragePooling1D
from purecnn.networks.network import Network


def resnet_1d(
    input_shape: ShapeLike = (1, 128),
    classes: int = 10,
    seed: int | None = 0,
    *,
    width: int = 64,
) -> Network:
    """Return a ResNet of signals: three residual blocks of convolutions over 8, 5 and 3 samples.

    Wang et al. 2017, https://arxiv.org/abs/1611.06455; without biases before its normalizations.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, length)``, of any length.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.
    width : int
        Channels of the first block; the other two have twice as many.

    Raises
    ------
    ShapeError
        If the samples are no signals.

    Examples
    --------
    >>> resnet_1d((3, 50), classes=4).output_shape
    (4,)
    """
    shape, width = sample_shape(input_shape), positive("width", width)
    if len(shape) != 2:
        raise ShapeError(f"resnet_1d wants signals of shape (channels, length), got samples of {shape}")
    layers: list[Layer] = []
    for place, depth in enumerate((width, 2 * width, 2 * width)):
        inner = [*normalized(depth, 8), ReLU(), *normalized(depth, 5), ReLU(), *normalized(depth, 3)]
        shortcut = normalized(depth, 1) if place < 2 else [BatchNormalization()]
        layers += [Residual(inner, shortcut), ReLU()]
    layers += [GlobalAveragePooling1D(), Dense(output_size=classes), Softmax()]
    return Network(layers, input_shape=shape, seed=seed)


def normalized(depth: int, kernel_size: int) -> list[Layer]:
    """Return a convolution without biases that keeps the length, and a batch normalization."""
    convolution = Convolutional1D(kernel_size=kernel_size, depth=depth, padding="same", bias=False)
    return [convolution, BatchNormalization()]
