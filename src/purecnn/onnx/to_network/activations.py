"""Activations known by their values: computed at some points, whatever operators they are made of."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.activations.basic import HardSigmoid, Sigmoid, Softsign, Tanh
from purecnn.layers.activations.gated import GELU, HardSwish, Mish, SiLU
from purecnn.layers.activations.rectified import ELU, SELU, LeakyReLU, ReLU, ReLU6, Softplus
from purecnn.layers.base import Layer

#: Where an activation is computed, to be known.
POINTS = np.concatenate([np.linspace(-8, 8, 1025), [-100.0, -30.0, 30.0, 100.0]])


@functools.cache
def plain(dtype: np.dtype[Any]) -> tuple[list[Layer], Array]:
    """Return the activations without a number of their own, and a row of values at the points for each."""
    points = POINTS.astype(dtype)[None]
    made = [ReLU(), ReLU6(), Sigmoid(), Tanh(), HardSigmoid(), HardSwish(), SiLU(), GELU(), GELU("tanh")]
    made += [Mish(), Softplus(), Softsign(), SELU()]
    with np.errstate(all="ignore"):
        return [*made], np.concatenate([layer.forward(points) for layer in made])


def named(x: Array, y: Array) -> Layer | None:
    """Return the activation that makes y of x; one with a number of its own has it from what y is at -1."""
    digits, rtol, atol = (15, 1e-12, 1e-12) if y.dtype == np.float64 else (6, 1e-5, 1e-6)
    layers, rows = plain(y.dtype)
    (alike,) = np.nonzero(np.isclose(rows, y, rtol, atol).all(axis=1))
    if len(alike):
        found = layers[alike[0]]
        again: Layer = type(found)(**found.configuration())
        return again
    below = float(y[np.argmin(np.abs(x + 1))])
    made: list[Layer] = []
    if np.isfinite(below) and below < 0:
        made.append(ELU(float(f"{below / np.expm1(-1.0):.{digits}g}")))
    if 0 < -below < 1:
        made.append(LeakyReLU(float(f"{-below:.{digits}g}")))
    if 0 < below < 0.5:
        made.append(HardSigmoid(float(f"{0.5 - below:.{digits}g}")))
    for layer in made:
        if np.allclose(layer.forward(x[None])[0], y, rtol, atol):
            return layer
    return None
