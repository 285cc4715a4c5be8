"""Zeros and ones told apart by one convolution: the original program's experiment, word for word.

Its network, its training and its test stand between the two rulers as its readme has them; imports and data
come before, the accuracy after.
"""

import sys

import numpy as np

from purecnn import Convolutional, Dense, Reshape, Sigmoid, predict, train
from purecnn.datasets.mnist import load_data, preprocess_data
from purecnn.losses import binary_cross_entropy, binary_cross_entropy_prime

(x_train, y_train), (x_test, y_test) = load_data()
x_train, y_train = preprocess_data(x_train, y_train, 100)
x_test, y_test = preprocess_data(x_test, y_test, 100)

# fmt: off
# ---------------------------------------------------------------------------------------------------------
# Neural Network Architecture
network = [
    Convolutional((1, 28, 28), 3, 5),
    Sigmoid(),
    Reshape((5, 26, 26), (5 * 26 * 26, 1)),
    Dense(5 * 26 * 26, 100),
    Sigmoid(),
    Dense(100, 2),
    Sigmoid()
]

# Training
train(
    network,
    binary_cross_entropy,
    binary_cross_entropy_prime,
    x_train,
    y_train,
    epochs=20,
    learning_rate=0.1
)

# Testing
for x, y in zip(x_test, y_test):  # noqa: B905
    output = predict(network, x)
    print(f"pred: {np.argmax(output)}, true: {np.argmax(y)}")
# ---------------------------------------------------------------------------------------------------------
# fmt: on

accuracy = np.mean([predict(network, x).argmax() == y.argmax() for x, y in zip(x_test, y_test, strict=True)])
print(f"accuracy: {accuracy:.1%} of {len(x_test)} test images")
if accuracy < 0.985:
    sys.exit(f"the accuracy is {accuracy:.1%}; at least 98.5% is wanted")
