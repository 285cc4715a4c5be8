"""Samples that a network on the page learns from: points of the plane in two classes, and digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from purecnn.backend.types import Array
from purecnn.datasets import mnist

#: What there is to learn.
DATA = ("xor", "moons", "circles", "spiral", "digits")
#: Standard deviations of the noise that may lie over the samples, of which 1 is half the square, or white.
NOISES = (0, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Samples:
    """What there is to learn: samples and labels to train on, and others to test with."""

    x: Array
    y: Array
    x_test: Array
    y_test: Array
    classes: int


def points(name: str, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points of two classes around 0, ``(count, 2)``, and their labels ``(count,)``."""
    label = np.arange(count) % 2
    if name == "xor":
        x = rng.uniform(-1, 1, (count, 2))
        x += 0.06 * np.sign(x)  # a gap between the quarters
        return x / 1.06, (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    t = rng.uniform(0, 1, count)
    if name == "moons":
        angle = np.pi * t
        x = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
        x[label == 1] *= -1
        return x / 1.7 + rng.normal(0, 0.05, x.shape), label
    if name == "circles":
        radius, angle = np.where(label, 0.8, 0.35), 2 * np.pi * t
    else:  # a spiral
        radius, angle = 0.1 + 0.85 * t, 3 * np.pi * t + np.pi * label
    x = radius[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + rng.normal(0, 0.03, x.shape), label


@cache
def samples(name: str, noise: float = 0) -> Samples:
    """Return the data of a name in `DATA`, under noise of `NOISES`: each is made once, for all who ask.

    Examples
    --------
    >>> samples("xor").x.shape, samples("digits", 0.2).x_test.shape
    ((600, 2), (500, 1, 28, 28))
    """
    rng = np.random.default_rng(1)
    if name == "digits":
        (x, y), _ = mnist.load_data()
        x, y = x[:4500, np.newaxis], y[:4500]
        if noise:
            x = x + 255 * noise * rng.standard_normal(x.shape, np.float32)
            x = np.rint(x.clip(0, 255)).astype(np.uint8)
        return Samples(x[:4000], y[:4000], x[4000:], y[4000:], 10)
    places, label = points(name, 900, np.random.default_rng(0))
    places = places + noise * rng.standard_normal(places.shape)
    return Samples(places[:600], label[:600], places[600:], label[600:], 2)
