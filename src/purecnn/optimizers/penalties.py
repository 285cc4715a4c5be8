"""Penalties: what large weights cost on top of the loss, so that a network prefers small ones."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from purecnn.backend.arrays import module_of, to_host
from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.optimizers.base import blocks

#: Names of the layers' parameters that are weights; all else (biases, scales, slopes) is left alone.
WEIGHTS = ("weights", "kernels")


def mark_weights(views: Iterable[dict[str, Array]]) -> None:
    """Write 1 where a parameter is a weight; `views` are a network's, of a vector of zeros."""
    for view in views:
        for name, part in view.items():
            if name.rpartition(".")[2] in WEIGHTS:  # inside a layer made of layers: "0.kernels"
                part.fill(1)


class Penalty:
    """``l1 sum |w| + l2 sum w^2`` over the weights w of all layers, as Keras's ``regularizers.L1L2`` has it.

    Tibshirani 1996, https://doi.org/10.1111/j.2517-6161.1996.tb02080.x; Hoerl and Kennard 1970,
    https://doi.org/10.1080/00401706.1970.10488634. The slope is ``l1 sign(w) + 2 l2 w``, so that under plain
    descent an `l2` does what a PyTorch optimizer's ``weight_decay`` of twice its size does to the weights.

    Parameters
    ----------
    l1, l2 : float
        At least 0.
    weights : ndarray
        Like the parameters, 1 where one is a weight, else 0 (`mark_weights`).

    Examples
    --------
    >>> penalty = Penalty(0.1, 0.01, np.array([1.0, 1.0, 0.0]))
    >>> round(penalty.cost(np.array([2.0, -1.0, 5.0])), 6)
    0.35
    """

    def __init__(self, l1: float, l2: float, weights: Array) -> None:
        self.l1, self.l2, self.weights = within("l1", l1, 0), within("l2", l2, 0), weights

    def cost(self, parameters: Array) -> float:
        """Return what the weights cost: cut at fixed places, so of the same bits whoever asks."""
        terms = []
        for block in blocks(parameters, 0, parameters.size):
            w = (parameters[block] * self.weights[block]).astype(np.float64)
            terms.append(float(to_host((self.l1 * abs(w) + self.l2 * (w * w)).sum())))
        return math.fsum(terms)

    def add_slope(self, parameters: Array, gradient: Array, start: int, stop: int) -> None:
        """Add ``l1 sign(w) + 2 l2 w`` to a stretch of the gradient."""
        kind = parameters.dtype.type
        for block in blocks(parameters, start, stop):
            slope = module_of(parameters).sign(parameters[block])
            slope *= kind(self.l1)
            slope += parameters[block] * kind(2 * self.l2)
            slope *= self.weights[block]
            gradient[block] += slope
