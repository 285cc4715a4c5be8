"""Which pixel is which digit: a small U-Net finds digits on cluttered ground, made of MNIST's.

Prints how much of each digit's pixels it finds on other images, made of MNIST's test digits.
"""

import argparse
import sys

import numpy as np

from purecnn import (
    Adam,
    BatchNormalization,
    Branches,
    Convolutional,
    LearningRate,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
    UpSampling,
)
from purecnn.datasets import cluttered_digits, mnist
from purecnn.optimizers.schedules import OneCycle

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--images", type=int, default=8000)
arguments = parser.parse_args()

(digits, labels), (test_digits, test_labels) = mnist.load_data()
images, masks = cluttered_digits(digits, labels, arguments.images, seed=1)
test_images, test_masks = cluttered_digits(test_digits, test_labels, arguments.images // 8, seed=2)


def block(depth):
    """Return a convolution that keeps the size, normalized."""
    return [Convolutional(kernel_size=3, depth=depth, padding=1, bias=False), BatchNormalization(), ReLU()]


def inward(depth, *inside):
    """Return what looks at the picture in half its size, beside a path that leaves it as it is."""
    return Branches([], [MaxPooling(2), *block(depth), *inside, *block(depth), UpSampling(2)])


network = Network(
    [
        *block(16),
        inward(32, inward(64, inward(96))),
        *block(24),
        Convolutional(kernel_size=1, depth=11),
        Softmax(),
    ],
    input_shape=(1, 40, 40),
)
optimizer = Adam()
network.fit(
    images,
    masks,
    epochs=arguments.epochs,
    batch_size=32,
    optimizer=optimizer,
    callbacks=[LearningRate(optimizer, OneCycle(0.01))],
    ignore_label=255,
    verbose=True,
)
found = network.evaluate(
    test_images, test_masks, ignore_label=255, metrics=["pixel_accuracy", "mean_iou", "iou_per_class"]
)
print("overlap with each digit:", np.round(found["iou_per_class"][1:], 2))
print(f"mean overlap: {found['mean_iou']:.1%}, right pixels: {found['pixel_accuracy']:.1%}")
if found["mean_iou"] < 0.6:
    sys.exit(f"the mean overlap is {found['mean_iou']:.1%}; at least 60.0% is wanted")
