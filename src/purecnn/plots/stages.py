"""Decision boundaries kept while a network learns.

A network with two inputs can be seen whole: this keeps its answers over them while it learns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from purecnn.backend.checks import is_number, pair
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network

Limits = tuple[tuple[float, float], tuple[float, float]]


class Stages(Callback):
    """A network's answers on a grid over its two inputs, kept at several stages of its training.

    As a callback of `fit` it keeps the first stage before the training and one after each epoch in `at`;
    between two calls of `train`, `take` keeps one.

    Parameters
    ----------
    network : Network or list of Layer
        What is watched; it has two inputs.
    at : iterable of int, optional
        The epochs to keep, counted over all calls of `fit` and `train`; every one if left out.
    limits : ((float, float), (float, float))
        Where the grid begins and ends on the first and on the second input.
    resolution : int or (int, int)
        Points of the grid along the first and along the second input, at least 2.

    Attributes
    ----------
    epochs : list of int
        How many epochs the network had been trained for at each stage.
    answers : list of ndarray
        Its answers at each stage, ``(points on the second input, points on the first, outputs)``.
    first, second : ndarray
        Where the grid's points lie on the two inputs.

    Examples
    --------
    >>> from purecnn import Dense, Tanh, train
    >>> from purecnn.losses import mse, mse_prime
    >>> network = [Dense(2, 3), Tanh(), Dense(3, 1)]
    >>> stages = Stages(network)
    >>> stages.take()
    >>> errors = train(network, mse, mse_prime, [[0, 1], [1, 0]], [[1], [0]], epochs=5, verbose=False)
    >>> stages.take()
    >>> stages.epochs, stages.answers[0].shape
    ([0, 5], (41, 41, 1))
    """

    def __init__(
        self,
        network: Network | Sequence[Layer],
        at: Iterable[int] | None = None,
        *,
        limits: Limits = ((0.0, 1.0), (0.0, 1.0)),
        resolution: int | tuple[int, int] = 41,
    ) -> None:
        self.network = as_network(network)
        self.at = None if at is None else frozenset(at)
        self.limits = check_limits(limits)
        columns, rows = pair("resolution", resolution, least=2)
        self.first: Array = np.linspace(*self.limits[0], columns)
        self.second: Array = np.linspace(*self.limits[1], rows)
        self.epochs: list[int] = []
        self.answers: list[Array] = []

    def take(self) -> None:
        """Keep what the network answers now; a second time at the same epoch replaces the first.

        Raises
        ------
        ShapeError
            If the network does not have two inputs.
        """
        if self.network.input_shape not in (None, (2,)):
            raise ShapeError(
                f"a decision boundary wants a network with inputs of shape (2,), "
                f"got {self.network.input_shape}"
            )
        grid = np.stack(np.meshgrid(self.first, self.second), axis=-1)
        answers = self.network.predict(grid.reshape(-1, 2)).reshape(*grid.shape[:2], -1)
        if self.epochs and self.epochs[-1] == self.network.epochs:
            self.epochs.pop()
            self.answers.pop()
        self.epochs.append(self.network.epochs)
        self.answers.append(answers)

    def begin(self, epochs: int, steps: int) -> None:
        """Keep what the network answers before it is trained."""
        if not self.epochs:
            self.take()

    def epoch(self, epoch: int, history: History) -> None:
        """Keep this epoch, if it is one of those wanted."""
        if self.at is None or self.network.epochs in self.at:
            self.take()


def check_limits(limits: Any) -> Limits:
    """Return `limits` if they are two pairs of numbers, each in ascending order."""
    try:
        (a, b), (c, d) = limits
    except (TypeError, ValueError):
        a = b = c = d = None
    if not all(is_number(value) for value in (a, b, c, d)) or not (a < b and c < d):
        raise ValueError(f"limits must be two pairs (lowest, highest), one for each input, got {limits!r}")
    return (float(a), float(b)), (float(c), float(d))


def around(samples: Array | None) -> Limits:
    """Return limits a little wider than the samples, or from 0 to 1 if there are none."""
    if samples is None:
        return (0.0, 1.0), (0.0, 1.0)
    low, high = samples.min(axis=0).astype(float), samples.max(axis=0).astype(float)
    width = np.where(high > low, 0.15 * (high - low), 0.5)
    a, b = low - width, high + width
    return (float(a[0]), float(b[0])), (float(a[1]), float(b[1]))
