"""Parameter update: the sum of the gradients, penalties, and the optimizer's step.

What follows the gradients of a batch's shards: their sum, what weights cost, and the optimizer's step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.checks import within
from purecnn.backend.sharding import add_tree
from purecnn.backend.types import Array
from purecnn.layers.batchwise import Zeros
from purecnn.layers.stack import rated_spans, trained_spans
from purecnn.optimizers.base import BLOCK, Optimizer, write_squares
from purecnn.optimizers.penalties import Penalty, mark_weights
from purecnn.optimizers.sgd import SGD
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings


class ParameterUpdate:
    """The flat vectors of a network in training, and the step on them, a stretch at a time.

    Parameters
    ----------
    network : Network
        Bound, its parameters where they are to stay.
    settings : FitSettings
        The optimizer, and what the weights cost.
    shards : int
        How many gradients a batch has.
    zeros : callable
        Makes arrays that all workers see.

    Attributes
    ----------
    parameters : ndarray
        The network's flat vector.
    gradients : list of ndarray
        One such vector for each shard; the first becomes their sum.
    zeros : callable
        Makes arrays where these lie.
    accumulated : ndarray or None
        The sum of the gradients of a step's batches up to now, where a step takes several.
    batch, batches : int
        Which of how many batches of the step this is, counted from 0.
    weight : float
        How much these weigh together.
    told : ndarray
        What copies of the optimizer in other processes must know for a step.
    is_plain : bool
        Whether this step is ``p -= rate g`` and no more.
    """

    def __init__(self, network: RunnableNetwork, settings: FitSettings, shards: int, zeros: Zeros) -> None:
        self.settings, optimizer = settings, settings.optimizer
        l1, l2 = within("l1", settings.l1, 0), within("l2", settings.l2, 0)
        self.optimizer, self.parameters, self.zeros = optimizer, network.parameters, zeros
        weights: Array | None = None
        if l1 or l2 or not optimizer.decay_biases:
            weights = module_of(self.parameters).zeros_like(self.parameters)
            views = network.views(weights)
            mark_weights(view for layer, view in zip(network, views, strict=True) if layer.trainable)
        self.penalty = Penalty(l1, l2, weights) if weights is not None and (l1 or l2) else None
        self.spans, self.rated_spans = trained_spans(network), rated_spans(network)
        self.has_one_rate = all(factor == 1 for _, _, factor in self.rated_spans)
        optimizer.begin(self.parameters, zeros, weights)
        self.gradients = [zeros(self.parameters.size, network.dtype) for _ in range(shards)]
        several = settings.accumulate > 1
        self.accumulated = zeros(self.parameters.size, network.dtype) if several else None
        self.squares = zeros(-(-self.parameters.size // BLOCK), np.float64)
        self.numbers = optimizer.numbers()
        self.told = zeros(told_size(optimizer), np.float64)
        self.is_plain = False
        self.weight, self.batch, self.batches = 0.0, 0, 1

    def decide(self) -> None:
        """Decide how the step that begins is taken."""
        self.is_plain = self.has_one_rate and is_plain(self.settings)

    def begin_batch(self, batch: int, batches: int, weight: float) -> None:
        """Begin one of a step's so many batches, which weigh so much together."""
        self.batch, self.batches, self.weight = batch, batches, weight

    @property
    def is_last(self) -> bool:
        """Whether the optimizer's step follows this batch."""
        return self.batch + 1 == self.batches

    @property
    def scale(self) -> float:
        """What the loss's derivative is multiplied by: the rate where that is the whole step, else 1."""
        return self.optimizer.learning_rate if self.is_plain else 1.0

    def publish(self) -> None:
        """Write down what copies of the optimizer in other processes must know."""
        held = [getattr(self.optimizer, name) for name in self.numbers]
        step = [self.batch, self.batches, self.weight]
        self.told[:] = [self.is_plain, self.optimizer.steps, *step, *held]

    def load(self) -> None:
        """Take over what was told, in such a process."""
        self.is_plain, self.optimizer.steps = bool(self.told[0]), int(self.told[1])
        self.batch, self.batches, self.weight = int(self.told[2]), int(self.told[3]), float(self.told[4])
        for name, value in zip(self.numbers, self.told[5:], strict=True):
            setattr(self.optimizer, name, float(value))

    def stretch(self, part: int, parts: int) -> tuple[int, int]:
        """Return where one of so many parts of the vector begins and ends: whole blocks."""
        blocks = len(self.squares)
        start, stop = (blocks * number // parts * BLOCK for number in (part, part + 1))
        return start, min(stop, self.parameters.size)

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what layers that are not frozen have of a stretch."""
        for span in self.spans:
            first, last = max(span[0], start), min(span[1], stop)
            if first < last:
                yield first, last

    def add(self, shards: int, start: int, stop: int) -> None:
        """Add a stretch of so many shards' gradients in their tree, and those of the step's batches before.

        Behind the last batch the penalty's slope is added.
        """
        for first, last in self.within(start, stop):
            add_tree(self.gradients[:shards], slice(first, last))
            if self.batches > 1 and self.accumulated is not None:
                self.accumulate(self.accumulated[first:last], self.gradients[0][first:last])
            if self.penalty and self.is_last:
                self.penalty.add_slope(self.parameters, self.gradients[0], first, last)

    def accumulate(self, total: Array, gradient: Array) -> None:
        """Keep the sum of a step's batches in `total`, and give it to the last one's gradient."""
        if self.is_last:
            gradient += total
        elif self.batch:
            total += gradient
        else:
            total[...] = gradient

    def square(self, start: int, stop: int) -> None:
        """Write the squares of a stretch of the sum, added up block by block."""
        write_squares(self.gradients[0], start, stop, self.squares)

    def norm(self) -> float:
        """Return the sum's norm; its squares are added in one order, whoever wrote them."""
        return math.sqrt(math.fsum(self.squares))

    def step(self, start: int, stop: int) -> None:
        """Let the optimizer change a stretch of the parameters by the sum."""
        for begin, end, factor in self.rated_spans:
            first, last = max(begin, start), min(end, stop)
            if first >= last:
                continue
            if self.is_plain:
                self.parameters[first:last] -= self.gradients[0][first:last]
            else:
                optimizer = self.optimizer.at_factor(factor)
                optimizer.update(self.parameters, self.gradients[0], first, last)


def is_plain(settings: FitSettings) -> bool:
    """Return whether a step is ``p -= rate g`` and no more, without momentum, decay, clipping and penalty."""
    optimizer = settings.optimizer
    return (
        type(optimizer) is SGD
        and not settings.l1
        and not settings.l2
        and not optimizer.momentum
        and not optimizer.weight_decay
        and optimizer.clip_norm is None
    )


def told_size(optimizer: Optimizer) -> int:
    """Return how many numbers `ParameterUpdate.told` has."""
    return 5 + len(optimizer.numbers())
