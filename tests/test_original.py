"""The original program's network, trained by its algorithm: sample by sample, against PyTorch's numbers."""

import numpy as np
import pytest

from purecnn import (
    Convolutional,
    Dense,
    Reshape,
    Sigmoid,
    binary_cross_entropy,
    binary_cross_entropy_prime,
    predict,
    train,
)
from reference import close, load, part

PLACES = {"convolution": 0, "dense1": 3, "dense2": 5}


def made():
    """Return the layers of original.npz as the original's readme lists them, with their first parameters."""
    layers = [
        Convolutional((1, 6, 6), 3, 2, per_position_bias=True, rng=0, dtype=np.float64),
        Sigmoid(),
        Reshape((2, 4, 4), (2 * 4 * 4, 1)),
        Dense(2 * 4 * 4, 6, rng=0, dtype=np.float64),
        Sigmoid(),
        Dense(6, 2, rng=0, dtype=np.float64),
        Sigmoid(),
    ]
    for layer, parameter, array in arrays("parameters"):
        layers[layer].parameters[parameter] = array.reshape(layers[layer].parameters[parameter].shape)
    return layers


def arrays(prefix):
    """Yield (place, parameter, array) for the arrays under a prefix."""
    for name, array in part("original", prefix).items():
        layer, parameter = name.split(".")
        yield PLACES[layer], parameter, array


def samples():
    """Return images (5, 1, 6, 6) and one-hot columns (5, 2, 1), as the original has them."""
    data = load("original")
    return np.moveaxis(data["input"], -1, 0), data["targets"].T[:, :, None]


def run(layers, x, y, **options):
    rate = float(load("original")["learning_rate"])
    return train(layers, binary_cross_entropy, binary_cross_entropy_prime, x, y, 1, rate, False, **options)


def test_it_predicts_columns():
    layers, (x, _) = made(), samples()
    for sample, wanted in zip(x, load("original")["outputs"].T, strict=True):
        close(predict(layers, sample), wanted[:, None])


@pytest.mark.parametrize("steps", [1, 5])
def test_train_is_its_algorithm(steps):
    layers, (x, y) = made(), samples()
    losses = [error for n in range(steps) for error in run(layers, x[n : n + 1], y[n : n + 1])]
    close(losses, load("original")["losses"][:steps])
    for place, parameter, array in arrays(f"after_{steps}"):
        found = layers[place].parameters[parameter]
        close(found, array.reshape(found.shape))


def test_one_epoch_over_the_set_takes_the_same_steps():
    layers, (x, y) = made(), samples()
    close(run(layers, x, y), [load("original")["losses"].mean()])
    for place, parameter, array in arrays("after_5"):
        found = layers[place].parameters[parameter]
        close(found, array.reshape(found.shape))
