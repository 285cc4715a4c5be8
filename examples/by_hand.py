"""Training by hand: what `fit` does, in twenty lines. Read this first.

A network is layers in order, and all their parameters are views of one vector. Forward, each layer turns the
images into numbers; backward, each turns the loss's derivative by its output into that by its input, and
writes down its own gradient. Then the optimizer takes a step. Inside, the batch is the last axis.
"""

import numpy as np

from purecnn import Adam, Convolutional, Dense, Flatten, MaxPooling, Network, ReLU, Softmax
from purecnn.datasets import mnist
from purecnn.losses import categorical_cross_entropy as loss
from purecnn.losses import categorical_cross_entropy_prime as loss_prime

(x, y), (x_test, y_test) = mnist.load_data()
x, y, x_test, y_test = x[:5000], y[:5000], x_test[:1000], y_test[:1000]  # a tenth, and of the time too
layers = [
    Convolutional((1, 28, 28), 5, 8),
    ReLU(),
    MaxPooling(2),
    Flatten(),
    Dense(8 * 12 * 12, 10),
    Softmax(),
]
network = Network(layers, seed=0)
gradient = np.zeros_like(network.parameters)
for layer, views in zip(network, network.views(gradient), strict=True):
    layer.gradients = views  # the gradients of all layers lie in one vector, too


def forward(images):
    """Return the probabilities ``(10, N)`` of N images."""
    output = np.moveaxis(images[:, np.newaxis], 0, -1) / np.float32(255)
    for layer in network:
        output = layer.forward(output)
    return output


rng, optimizer = np.random.default_rng(0), Adam(0.001)
for epoch in range(2):
    losses = []
    for rows in np.array_split(rng.permutation(len(x)), len(x) // 50):
        output = forward(x[rows])
        losses.append(loss(y[rows], output))
        slope = loss_prime(y[rows], output)
        for layer in reversed(network):
            slope = layer.backward(slope)
        optimizer.step(network.parameters, gradient)
    right = np.mean(forward(x_test).argmax(axis=0) == y_test)
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, test accuracy {100 * right:.2f} %")

# Gradient accumulation: the mean gradient of four batches of 50 is the gradient of one of 200.
total = np.zeros_like(gradient)
for rows in rng.permutation(len(x))[:200].reshape(4, 50):
    slope = loss_prime(y[rows], forward(x[rows]))
    for layer in reversed(network):
        slope = layer.backward(slope)
    total += gradient / 4
optimizer.step(network.parameters, total)

# A learning rate of its own for a layer: an optimizer of its own for its arrays, here the last dense layer's.
dense = network[4]
for name, array in dense.parameters.items():
    Adam(0.0001).step(array, dense.gradients[name])
