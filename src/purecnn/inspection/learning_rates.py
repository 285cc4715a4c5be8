"""Learning-rate range test: at which rates the loss of a network falls, and from which on it rises.

Smith 2015, https://arxiv.org/abs/1506.01186: a short training whose rate rises from step to step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import positive, within
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.datasets.augmentation import Augmentation
from purecnn.datasets.dataset import Data
from purecnn.errors import DivergedError
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import drops_last
from purecnn.losses.base import Loss, LossFunction, LossPrime
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.registry import as_optimizer

#: Decay of the running mean of the losses, by which the end is decided.
DECAY = 0.9
#: More steps than anybody takes, at few megabytes.
MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class LearningRateRange:
    """What a learning-rate range test found.

    Attributes
    ----------
    rates, losses : ndarray
        ``(steps,)``: each step's learning rate, evenly spaced on a logarithmic axis, and the loss of its
        batch before the step.
    smoothed : ndarray
        ``(steps,)``: the mean of each loss and those around it, a tenth of the steps in all.
    suggestion : float or None
        The rate at which `smoothed` falls most steeply on its way to the lowest; None if the first is that.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None


class RisingRate(Callback):
    """Raises the rate at each step, and ends the fit once the loss is far above its lowest.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rate to set.
    rates : ndarray
        One a step.
    stop_at : float
        How many times the lowest running mean of the losses ends the fit.
    """

    def __init__(self, optimizer: Optimizer, rates: Array, stop_at: float) -> None:
        self.optimizer, self.rates, self.stop_at = optimizer, rates, stop_at
        self.losses: list[float] = []
        self.mean, self.lowest = 0.0, math.inf

    def begin(self, epochs: int, steps: int) -> None:
        """Set the first rate."""
        self.optimizer.learning_rate = float(self.rates[0])

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Set the next rate, or ask for the end."""
        self.losses.append(loss)
        done = len(self.losses)
        self.mean = DECAY * self.mean + (1 - DECAY) * loss
        running = self.mean / (1 - DECAY**done)
        self.lowest = min(self.lowest, running)
        if done == len(self.rates):
            self.fit.stop("all rates are tested")
        elif running - self.lowest > (self.stop_at - 1) * abs(self.lowest):
            self.fit.stop(f"the loss is {self.stop_at:g} times its lowest")
        else:
            self.optimizer.learning_rate = float(self.rates[done])


@explained
def find_learning_rate(
    network: Network | Sequence[Layer],
    x: Data,
    y: npt.ArrayLike | None = None,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    stop_at: float = 4.0,
    batch_size: int = 128,
    loss: str | Loss | LossFunction | None = None,
    loss_prime: LossPrime | None = None,
    optimizer: str | Optimizer = "adam",
    augmentation: Augmentation | None = None,
    threads: int | None = None,
    shards: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    ignore_label: int | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
) -> LearningRateRange:
    """Train a copy for some steps at rates that rise from `low` to `high`; return the loss at each.

    Step number k of n has the rate ``low (high / low)^(k / (n - 1))``, k from 0. The network, the optimizer
    and their states stay as they are. The suggestion is the rate at which the loss falls most steeply, before
    it is lowest; the largest that trains at all lies before the rise.

    Parameters
    ----------
    network : Network or list of Layer
        As it is to be trained, new or trained before.
    x, y : array_like
        As `Network.fit` takes them.
    low, high : float
        The first rate, above 0, and the last, above it.
    steps : int
        How many rates to try, at least 10; an epoch after the other, where they are more than one has.
    stop_at : float
        A running mean of the losses this many times its lowest ends the test, above 1.
    batch_size, loss, loss_prime, augmentation, threads, shards
        As `Network.fit` takes them: those of the training that is to follow.
    sample_weight, class_weight, ignore_label, l1, l2
        Likewise.
    optimizer : str or Optimizer
        As `Network.fit` takes it; its own rate does not matter.

    Returns
    -------
    LearningRateRange
        Rates and losses of the steps that were taken; `plots.learning_rate_range` draws it.

    Raises
    ------
    ValueError, TypeError, ShapeError
        For arguments and data that are none, in one sentence.
    DivergedError
        If the loss is not finite at the first rate already.

    Notes
    -----
    The loss is that of training batches, one each; fastai's ``lr_find`` and Lightning's ``Tuner.lr_find`` do
    likewise. A loss that can be negative ends the test where it has risen by as much as `stop_at` says of its
    lowest size.

    Examples
    --------
    >>> from purecnn import SGD, Dense, Network
    >>> x = np.linspace(-1, 1, 64)[:, np.newaxis]
    >>> network = Network([Dense(1, 1)])
    >>> found = find_learning_rate(
    ...     network, x, 3 * x + 1, low=1e-3, high=100, batch_size=16, optimizer="sgd", loss="mse"
    ... )
    >>> len(found.rates) < 100, 0.01 < found.suggestion < 2, network.updates
    (True, True, 0)
    """
    low, high = within("low", low, 0, open_low=True), within("high", high, 0, open_low=True)
    if high <= low:
        raise ValueError(f"high must be above low, {low:g}, got {high:g}")
    steps, size = positive("steps", steps, least=10), positive("batch_size", batch_size)
    if steps > MOST_STEPS:
        raise ValueError(f"steps must be at most {MOST_STEPS}, got {steps}")
    stop_at = within("stop_at", stop_at, 1, open_low=True)
    given = as_network(network)
    twin = copy.deepcopy(given).to(given.device)
    rows = twin.as_rows(x)
    drop_last = drops_last(twin, len(rows), size)
    each = len(rows) // size if drop_last else -(-len(rows) // size)
    tested = as_optimizer(copy.deepcopy(optimizer))
    # In float64 by logarithms, so that the last is `high` however many there are.
    rates = np.exp(np.linspace(math.log(low), math.log(high), steps))
    rising = RisingRate(tested, rates, stop_at)
    try:
        twin.fit(
            x,
            y,
            epochs=-(-steps // each),
            batch_size=size,
            loss=loss,
            loss_prime=loss_prime,
            optimizer=tested,
            augmentation=augmentation,
            drop_last=drop_last,
            threads=threads,
            shards=shards,
            callbacks=rising,
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_label=ignore_label,
            l1=l1,
            l2=l2,
        )
    except DivergedError:
        if not rising.losses:
            raise
    losses = np.array(rising.losses)
    smoothed = running_means(losses, max(1, steps // 20))
    return LearningRateRange(rates[: len(losses)], losses, smoothed, steepest(rates[: len(losses)], smoothed))


def running_means(values: Array, reach: int) -> Array:
    """Return the mean of each value and so many before and behind it, as far as there are.

    Examples
    --------
    >>> running_means(np.array([1.0, 2.0, 6.0, 4.0]), 1).tolist()
    [1.5, 3.0, 4.0, 5.0]
    """
    ends = range(len(values))
    return np.array([values[max(0, end - reach) : end + reach + 1].mean() for end in ends])


def steepest(rates: Array, losses: Array) -> float | None:
    """Return the rate at which the loss falls most steeply over the rate's logarithm, None if it never does.

    Behind the lowest loss nothing counts: there a loss falls that a large rate raised.

    Examples
    --------
    >>> steepest(np.array([0.1, 0.2, 0.4, 0.8]), np.array([3.0, 2.9, 1.0, 2.0]))
    0.2
    >>> steepest(np.array([0.1, 0.2, 0.4, 0.8]), np.array([3.0, 2.9, 9.0, 3.1]))
    0.1
    >>> steepest(np.array([0.1, 0.2]), np.array([1.0, 2.0])) is None
    True
    """
    if len(losses) < 2:
        return None
    slopes = np.gradient(losses)[: losses.argmin() + 1]
    place = int(slopes.argmin())
    return float(rates[place]) if slopes[place] < 0 else None
