"""Networks worth having by name: small ones, each with what it is known for."""

from __future__ import annotations

import math
from collections.abc import Callable

from purecnn.activations import ReLU, Sigmoid, Softmax
from purecnn.convolutional import Convolutional
from purecnn.dense import Dense
from purecnn.layer import Layer, Shape
from purecnn.network import Network
from purecnn.pooling import MaxPooling
from purecnn.reshape import Flatten, Reshape


def pooled(kernel_size: int, depth: int) -> list[Layer]:
    """Return a convolution, its ReLU and a max pooling of 2 x 2."""
    return [Convolutional(kernel_size=kernel_size, depth=depth), ReLU(), MaxPooling(2)]


def lenet(input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a small LeNet: two convolutions, each pooled, and one dense layer; 99 % on MNIST.

    After LeCun et al. 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, with ReLU and max pooling.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 16.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> lenet().output_shape
    (10,)
    """
    layers = [
        *pooled(kernel_size=5, depth=8),
        *pooled(kernel_size=5, depth=16),
        Flatten(),
        Dense(output_size=classes),
        Softmax(),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def quick(input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network that learns MNIST in few epochs: 99 % in three.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 12.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> quick().output_shape
    (10,)
    """
    layers = [
        *pooled(kernel_size=5, depth=8),
        *pooled(kernel_size=3, depth=24),
        Flatten(),
        Dense(output_size=64),
        ReLU(),
        Dense(output_size=classes),
        Softmax(),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def original(input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return the network of the program that this package grew from, with scaled first parameters.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 3.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> original(classes=2).output_shape
    (2,)
    """
    convolution = Convolutional(input_shape, 3, 5, per_position_bias=True)
    maps = convolution.output_shape or ()
    layers = [
        convolution,
        Sigmoid(),
        Reshape(maps, (math.prod(maps), 1)),
        Dense(math.prod(maps), 100),
        Sigmoid(),
        Dense(100, classes),
        Sigmoid(),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def dense(input_shape: Shape = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network without convolutions, to see what they are worth.

    Parameters
    ----------
    input_shape : tuple of int
        Of any number of axes.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> dense().output_shape
    (10,)
    """
    layers = [Flatten(), Dense(output_size=128), ReLU(), Dense(output_size=classes), Softmax()]
    return Network(layers, input_shape=input_shape, seed=seed)


#: Every network by its name; the first is what ``purecnn train`` trains.
NETWORKS: dict[str, Callable[[Shape, int, int | None], Network]] = {
    "lenet": lenet,
    "quick": quick,
    "original": original,
    "dense": dense,
}
