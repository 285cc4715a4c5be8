"""Sixteen numbers for a digit: a convolutional autoencoder learns to write digits down and draw them again.

It sees each digit beneath noise and is asked for the clean one. Prints how far its pictures of test digits
are from the clean ones, beside how far the noise had taken them.
"""

import argparse
import sys

import numpy as np

from purecnn import Convolutional, Dense, Flatten, Network, ReLU, Reshape, Sigmoid, TransposedConvolutional
from purecnn.datasets import mnist

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--images", type=int, default=20_000)
arguments = parser.parse_args()

(clean, _), (test_clean, _) = mnist.load_data()
clean, test_clean = clean[: arguments.images, np.newaxis], test_clean[: arguments.images // 2, np.newaxis]


def noisy(images, seed):
    """Return images under noise, as bytes."""
    noise = np.random.default_rng(seed).normal(0, 60, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


network = Network(
    [
        Convolutional(kernel_size=4, depth=16, stride=2, padding=1),
        ReLU(),
        Convolutional(kernel_size=4, depth=32, stride=2, padding=1),
        ReLU(),
        Flatten(),
        Dense(16),
        Dense(32 * 7 * 7),
        ReLU(),
        Reshape((32 * 7 * 7,), (32, 7, 7)),
        TransposedConvolutional(kernel_size=4, depth=16, stride=2, padding=1),
        ReLU(),
        TransposedConvolutional(kernel_size=4, depth=1, stride=2, padding=1),
        Sigmoid(),
    ],
    input_shape=(1, 28, 28),
)
network.fit(
    noisy(clean, 1),
    clean / np.float32(255),
    loss="binary_cross_entropy",
    epochs=arguments.epochs,
    batch_size=64,
    learning_rate=0.003,
    verbose=True,
)
seen, wanted = noisy(test_clean, 2), test_clean / np.float32(255)
drawn = network.predict(seen)


def distance(images):
    """Return the root of the mean squared distance of a pixel from the clean one."""
    return float(np.sqrt(np.mean((images - wanted) ** 2)))


before, after = distance(seen / np.float32(255)), distance(drawn)
print(f"a pixel is off by {before:.3f} under the noise, by {after:.3f} as it was drawn from 16 numbers")
if after > 0.14:
    sys.exit(f"a pixel is off by {after:.3f}; at most 0.14 is wanted")
