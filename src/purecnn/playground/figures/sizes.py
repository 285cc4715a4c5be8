"""A live figure of networks by their sizes: parameters and multiply-adds."""

from __future__ import annotations

import numpy as np

from purecnn.layers.activations.basic import Softmax, Tanh
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.dense import Dense
from purecnn.layers.reshape import Flatten
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import AveragePooling
from purecnn.networks.architectures.concatenated import densenet, inception_small
from purecnn.networks.architectures.mobile import mobilenet_v2
from purecnn.networks.architectures.residual import resnet
from purecnn.networks.architectures.vgg import vgg_small
from purecnn.networks.network import Network
from purecnn.networks.zoo import dense, lenet
from purecnn.playground.figures.charts import axes, power
from purecnn.playground.figures.figure import Choice, figure
from purecnn.playground.figures.svg import BLUE, ORANGE, Picture

#: Where the name ends of a point that has neighbours, as seen from the point.
BESIDE = {
    "LeNet": (-9, 0),
    "VGG-Small": (-90, -12),
    "Inception-Small": (-70, -5),
    "DenseNet-40": (-60, 12),
    "ResNet-56": (-57, 20),
    "ResNet-20": (-3, 21),
    "MobileNetV2": (52, 16),
}


def lenet_5() -> Network:
    """Return LeCun's network of 1998, of layers that this package has."""
    first = [Convolutional(kernel_size=5, depth=6, padding=2), Tanh(), AveragePooling(2)]
    second = [Convolutional(kernel_size=5, depth=16), Tanh(), AveragePooling(2)]
    last = [Flatten(), Dense(120), Tanh(), Dense(84), Tanh(), Dense(10), Softmax()]
    return Network([*first, *second, *last], input_shape=(1, 28, 28))


@figure(
    side=Choice("Side of the colour images", "32", ("16", "32", "64")),
    classes=Choice("Classes of the colour images", "10", ("10", "100", "1000")),
)
def sizes(side: str, classes: str) -> Picture:
    """Networks by their parameters and multiply-adds."""
    shape, count = (3, int(side), int(side)), int(classes)
    networks = {
        "XOR": Network([Dense(2, 2), ReLU(), Dense(2, 1)]),
        "dense": dense(),
        "LeNet-5": lenet_5(),
        "LeNet": lenet(),
        "VGG-Small": vgg_small(shape, count),
        "Inception-Small": inception_small(shape, count),
        "ResNet-20": resnet(shape, count, depth=20),
        "ResNet-56": resnet(shape, count, depth=56),
        "DenseNet-40": densenet(shape, count, depth=40, growth=12),
        "MobileNetV2": mobilenet_v2(shape, count),
    }
    paper = Picture(470, 292)
    across = [(exponent, power(exponent)) for exponent in range(1, 8)]
    up = [(exponent, power(exponent)) for exponent in range(1, 10)]
    place = axes(paper, (52, 10, 400, 236), (0.5, 7.7), (0.2, 9.9), (across, up))
    told = []
    for name, network in networks.items():
        size = network.summary()
        point = place(float(np.log10(size.parameters)), float(np.log10(size.multiply_adds)))
        paper.circle(*point, 4.5, ORANGE, fill=ORANGE)
        away, height = BESIDE.get(name, (9, 0))
        if away < -20:
            paper.line(point, (point[0] + away + 3, point[1] + height), color=BLUE, width=0.75)
        anchor = "end" if name in BESIDE else "start"
        paper.text(point[0] + away, point[1] + height, name, BLUE, 13, anchor)
        told.append(f"{name} {size.parameters:,} and {size.multiply_adds:,}")
    paper.text(252, 284, "parameters")
    paper.text(60, 16, "multiply-adds", anchor="start")
    paper.says = "Parameters and multiply-adds: " + "; ".join(told)
    return paper
