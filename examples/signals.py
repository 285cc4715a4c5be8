"""Five shapes of signals in noise: a residual network of one dimension tells them apart.

Prints the accuracy on other signals, and which shapes are taken for which.
"""

import argparse
import sys

from purecnn import (
    BatchNormalization,
    Convolutional1D,
    Dense,
    GlobalAveragePooling1D,
    MaxPooling1D,
    Network,
    ReLU,
    Residual,
    Softmax,
)
from purecnn.datasets import signals
from purecnn.datasets.synthetic import SHAPES

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--signals", type=int, default=10_000)
arguments = parser.parse_args()

(x, y), (x_test, y_test) = signals(arguments.signals, seed=1), signals(arguments.signals // 5, seed=2)


def convolution(depth):
    """Return a convolution that keeps the length, normalized."""
    return [Convolutional1D(kernel_size=7, depth=depth, padding="same", bias=False), BatchNormalization()]


network = Network(
    [
        *convolution(16),
        ReLU(),
        Residual([*convolution(16), ReLU(), *convolution(16)]),
        ReLU(),
        MaxPooling1D(2),
        *convolution(32),
        ReLU(),
        Residual([*convolution(32), ReLU(), *convolution(32)]),
        ReLU(),
        GlobalAveragePooling1D(),
        Dense(len(SHAPES)),
        Softmax(),
    ],
    input_shape=(1, 128),
)
network.fit(x, y, epochs=arguments.epochs, batch_size=64, learning_rate=0.003, verbose=True)
found = network.evaluate(x_test, y_test, metrics=["accuracy", "confusion_matrix"])
print("rows are the true shapes, columns the answers:", ", ".join(SHAPES))
print(found["confusion_matrix"])
print(f"accuracy: {found['accuracy']:.1%} of {len(x_test):,} other signals")
if found["accuracy"] < 0.93:
    sys.exit(f"the accuracy is {found['accuracy']:.1%}; at least 93.0% is wanted")
