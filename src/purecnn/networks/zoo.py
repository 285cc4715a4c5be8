"""Model zoo: every network by its name, and the smallest of them.

Networks worth having by name: small ones of this package's own, each with what it is known for, and those of
the literature, which `architectures` has.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from purecnn.errors import ShapeError
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.composites.residual import Residual
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import ShapeLike, sample_shape
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import MaxPooling
from purecnn.losses.tasks import Task
from purecnn.networks.architectures.blocks import classifier
from purecnn.networks.architectures.registry import ARCHITECTURES
from purecnn.networks.network import Network


def pooled(kernel_size: int, depth: int) -> list[Layer]:
    """Return a convolution, its ReLU and a max pooling of 2 x 2."""
    return [Convolutional(kernel_size=kernel_size, depth=depth), ReLU(), MaxPooling(2)]


def normalized(kernel_size: int, depth: int, padding: int = 0, pool: int = 1) -> list[Layer]:
    """Return a convolution, a max pooling of `pool` x `pool`, if any, a batch normalization and a ReLU.

    Pooled first, the normalization and the ReLU see a quarter of the values, and the engine pools where it
    convolves.
    """
    pooling = [MaxPooling(pool)] if pool > 1 else []
    convolution = Convolutional(kernel_size=kernel_size, depth=depth, padding=padding)
    return [convolution, *pooling, BatchNormalization(), ReLU()]


def residual(depth: int) -> Layer:
    """Return two convolutions of 3 x 3, each normalized and with its ReLU, and their input added."""
    inner = [layer for _ in range(2) for layer in normalized(kernel_size=3, depth=depth, padding=1)]
    return Residual(inner)


def lenet(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
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


def quick(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
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


def tiny(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network of 4,350 parameters that reads MNIST's digits: three convolutions, one dense layer.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 20.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> tiny().parameters.size
    4350
    """
    layers = [
        *normalized(kernel_size=5, depth=8, pool=2),
        *normalized(kernel_size=3, depth=14, pool=2),
        *normalized(kernel_size=3, depth=14),
        Flatten(),
        Dense(output_size=classes),
        Softmax(),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def accurate(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network for MNIST's last half percent: four convolutions of 3 x 3 in two pairs.

    In the manner of Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556, with batch normalization.

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
    >>> accurate().output_shape
    (10,)
    """
    layers = [
        *normalized(kernel_size=3, depth=16),
        *normalized(kernel_size=3, depth=32),
        MaxPooling(2),
        *normalized(kernel_size=3, depth=48),
        *normalized(kernel_size=3, depth=64),
        MaxPooling(2),
        Flatten(),
        Dropout(0.3),
        Dense(output_size=classes),
        Softmax(),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def clothes(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network for Fashion-MNIST: eight convolutions, two pairs of them residual, a small ResNet-9.

    In the manner of Page 2018, https://myrtle.ai/learn/how-to-train-your-resnet, with a quarter of the maps.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``; height and width at least 8.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> clothes().output_shape
    (10,)
    """
    layers = [
        *normalized(kernel_size=3, depth=16, padding=1),
        *normalized(kernel_size=3, depth=32, padding=1, pool=2),
        residual(depth=32),
        *normalized(kernel_size=3, depth=64, padding=1, pool=2),
        residual(depth=64),
        *normalized(kernel_size=3, depth=128, padding=1, pool=2),
        *classifier(classes),
    ]
    return Network(layers, input_shape=input_shape, seed=seed)


def original(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
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
    convolution = Convolutional(sample_shape(input_shape), 3, 5, per_position_bias=True)
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


def dense(input_shape: ShapeLike = (1, 28, 28), classes: int = 10, seed: int | None = 0) -> Network:
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


def suited(input_shape: ShapeLike, classes: int = 10, seed: int | None = 0) -> Network:
    """Return a network that takes whatever it is given: images of any size, or rows of numbers.

    Images pass two convolutions of 3 x 3, each pooled where at least 4 x 4 are left, and two dense layers;
    everything else the two dense layers alone.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, height, width)``, or ``(values,)``.
    classes : int
        How many outputs.
    seed : int or None
        Decides the first parameters and the order of samples.

    Examples
    --------
    >>> suited((1, 8, 8)).output_shape, suited((30,), classes=3).output_shape
    ((10,), (3,))
    """
    layers: list[Layer] = []
    input_shape = sample_shape(input_shape)
    if len(input_shape) == 3:
        side = min(input_shape[1:])
        for depth in (16, 32):
            layers += [Convolutional(kernel_size=3, depth=depth, padding=1), ReLU()]
            if side >= 4:
                layers.append(MaxPooling(2))
                side //= 2
    if len(input_shape) > 1:
        layers.append(Flatten())
    layers += [Dense(output_size=128), ReLU(), Dense(output_size=classes), Softmax()]
    return Network(layers, input_shape=input_shape, seed=seed)


def head(task: Task) -> list[Layer]:
    """Return what a network of this module ends in, so that its outputs are those of a task.

    Examples
    --------
    >>> head("multilabel"), head("regression")
    ([Sigmoid()], [])
    """
    heads: dict[Task, list[Layer]] = {
        "classification": [Softmax()],
        "multilabel": [Sigmoid()],
        "regression": [],
    }
    if task not in heads:
        raise ValueError(f"networks by name end in vectors, for {', '.join(heads)}, got the task {task!r}")
    return heads[task]


def for_task(name: str, input_shape: ShapeLike, outputs: int, seed: int | None, task: Task) -> Network:
    """Return a network of `NETWORKS` for a task: its last activation is another but for classes.

    Parameters
    ----------
    name : str
        In `NETWORKS`.
    input_shape : tuple of int
        ``(channels, height, width)``.
    outputs : int
        How many classes, labels or values.
    seed : int or None
        Decides the first parameters and the order of samples.
    task : {"classification", "multilabel", "regression"}
        What the outputs are.

    Examples
    --------
    >>> [type(for_task("dense", (4,), 2, 0, task)[-1]).__name__ for task in ("multilabel", "regression")]
    ['Sigmoid', 'Dense']
    """
    network = NETWORKS[name](input_shape, outputs, seed)
    if task != "classification":
        network.layers[-1:] = head(task)
        network.bind(input_shape)
    network.task = task
    return network


def takes(name: str, input_shape: ShapeLike) -> bool:
    """Return whether a network of `NETWORKS` takes samples of a shape.

    Examples
    --------
    >>> takes("lenet", (1, 16, 16)), takes("lenet", (1, 15, 15))
    (True, False)
    """
    try:
        NETWORKS[name](input_shape, 2, 0)
    except ShapeError:
        return False
    return True


#: Every network of classes by its name, the `ARCHITECTURES` last; ``purecnn train`` trains the first.
NETWORKS: dict[str, Callable[[ShapeLike, int, int | None], Network]] = {
    "lenet": lenet,
    "quick": quick,
    "tiny": tiny,
    "accurate": accurate,
    "clothes": clothes,
    "original": original,
    "dense": dense,
    **ARCHITECTURES,
}
