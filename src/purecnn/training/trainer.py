"""Trainer: one training step, whoever computes it.

What a step of training is, whoever computes the batch: read, go there and back, check, update.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.batchwise import Exchange, Zeros, is_barrier
from purecnn.layers.registry import is_own
from purecnn.layers.stack import check_trainable
from purecnn.training.jobs import JobKind
from purecnn.training.rows import Rows
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.shards import Shard, Shards
from purecnn.training.targets import Targets
from purecnn.training.update import ParameterUpdate

if TYPE_CHECKING:
    from purecnn.training.prefetcher import Prefetcher

#: The step by which the time of all others is told: the first one lays memory out.
TIMED_STEP = 2


class Trainer(ABC):
    """Takes the steps of a training, a batch at a time.

    Parameters
    ----------
    network : Network
        Bound; its one flat vector of parameters is what changes.
    x : ndarray or Rows
        Raw samples ``(n, values)``.
    y : Targets
        Their answers.
    settings : FitSettings
        Loss, optimizer and the rest; its batch size is that of the largest batch.

    Attributes
    ----------
    parameter_update : ParameterUpdate
        The flat vectors.
    shards : Shards
        The way there and back.
    """

    parameter_update: ParameterUpdate
    shards: Shards

    def __init__(self, network: RunnableNetwork, x: Array | Rows, y: Targets, settings: FitSettings) -> None:
        check_trainable(network)
        self.network, self.x, self.y, self.settings = network, x, y, settings
        self.optimizer = settings.optimizer
        self.prefetcher: Prefetcher | None = None
        self.parts = [part for layer in network for part in (layer, *layer.parts())]
        given = (*self.parts, settings.optimizer, settings.loss.function, settings.loss.prime)
        #: Whether nobody else's code runs in a step, so that no array is put into a layer there.
        self.is_own = all(map(is_own, given))
        self.barriers = [part for part in self.parts if is_barrier(part)]
        self.check_batch(settings.batch_size)

    def check_batch(self, samples: int) -> None:
        """Raise `ValueError` if a batch of so many samples is too small for a layer."""
        for layer in self.barriers:
            layer.check_batch(samples)

    def at_hand(self, zeros: Zeros) -> Array:
        """Return the array in which samples lie; those outside of memory are read into it."""
        if not isinstance(self.x, Rows):
            return self.x
        from purecnn.training.prefetcher import (
            Prefetcher,  # here, since few need it and its import takes a while
        )

        self.prefetcher = Prefetcher(self.x, self.settings.batch_size, zeros)
        return self.prefetcher.buffer

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step on the samples `rows`; return their mean loss, before the step.

        Those of the step after it, `following`, are read ahead where the data lie outside of memory. More
        samples than a batch has are taken a batch at a time, and their gradients added up.

        Raises
        ------
        DivergedError
            If the loss is no longer finite: the parameters are left as they were before this step.
        DeviceError
            If a device's memory is full.
        """
        rows, size = np.asarray(rows), self.settings.batch_size
        weight, batches = self.y.weight(rows), [rows]
        if not weight:
            self.read(rows[:size], following[:size])
            self.network.updates += 1
            return 0.0  # no sample of them counts, so there is nothing to learn
        if len(rows) > size:
            cut = (rows[first : first + size] for first in range(0, len(rows), size))
            batches = [batch for batch in cut if self.y.weight(batch)]
        parameter_update, shards, losses = self.parameter_update, self.shards, list[float]()
        parameter_update.decide()
        penalty, cost = parameter_update.penalty, 0.0
        if penalty:
            cost = penalty.cost(parameter_update.parameters)
        for number, batch in enumerate(batches):
            coming = batches[number + 1] if number + 1 < len(batches) else following[:size]
            places = self.read(batch, coming)
            self.network.updates += number == 0
            parameter_update.begin_batch(number, len(batches), weight)
            count = self.begin_batch(batch, places)
            self.run_shards(count)
            self.end_batch(count)
            found = shards.losses[:count].tolist()
            shards.check(math.fsum(found) + cost)
            losses += found
            for layer, exchange in zip(shards.batchwise, shards.exchanges, strict=True):
                layer.remember(exchange)
            if parameter_update.is_last:
                self.update(count)
            else:
                self.accumulate(count)
        return math.fsum(losses) + cost

    def measure_statistics(self, rows: Array, following: Sequence[int] | Array, before: float) -> float:
        """Take a batch forward as in training, so far that all batchwise layers have measured it.

        What they keep becomes the mean over these samples and so many `before`; return how many both are. A
        batch none of whose samples counts is passed over, as by `step`.
        """
        places = self.read(rows, following)
        self.network.updates += 1
        weight = self.y.weight(rows)
        if not weight:
            return before
        self.parameter_update.decide()
        self.parameter_update.begin_batch(0, 1, weight)
        count, shards = self.begin_batch(rows, places), self.shards
        self.run_to_last_meeting(count)
        for layer, exchange in zip(shards.batchwise, shards.exchanges, strict=True):
            layer.average(exchange, len(rows) / (before + len(rows)))
        return before + len(rows)

    def after_step(self, seconds: float, left: int) -> None:  # noqa: B027 (most trainers have nothing to do)
        """Do what is to be done between two steps: the last took so many seconds, so many may follow."""

    def read(self, rows: Array, following: Sequence[int] | Array) -> Array:
        """Return where the samples `rows` lie, read by now; begin to read those that follow."""
        return self.prefetcher.places(rows, following) if self.prefetcher else rows

    @abstractmethod
    def begin_batch(self, rows: Array, places: Array) -> int:
        """Make a batch known to all that take part in the step; return how many shards it has."""

    def as_shard(self, number: int, rows: Array, places: Array) -> Shard:
        """Return some samples of a batch as a shard, with their share in the weight of the step's batches."""
        return Shard(number, rows, places, self.y.weight(rows) / self.parameter_update.weight)

    def run_shards(self, count: int) -> None:
        """Take so many shards there and back, side by side from one batchwise layer to the next."""
        shards = self.shards
        self.run_to_last_meeting(count)
        self.run_jobs(JobKind.FORWARD, shards.last, range(count))
        for segment in reversed(range(shards.last_back, shards.last)):
            self.meet_back(shards.exchanges[segment], count)
            self.run_jobs(JobKind.BACKWARD, segment, range(count))

    def run_to_last_meeting(self, count: int) -> None:
        """Take so many shards forward, side by side, until the last batchwise layer has measured them."""
        shards = self.shards
        shards.passing = [None] * count
        for segment in range(shards.last):
            self.run_jobs(JobKind.FORWARD, segment, range(count))
            self.meet(shards.exchanges[segment], count)

    @abstractmethod
    def run_jobs(self, kind: JobKind, segment: int, numbers: range) -> None:
        """Take the shards of these numbers through a segment, forward or back."""

    def meet(self, exchange: Exchange, count: int) -> None:
        """Put together what so many shards told on the way forward."""
        exchange.meet(count)

    def meet_back(self, exchange: Exchange, count: int) -> None:
        """Put together what they told on the way back."""
        exchange.meet_back(count)

    def end_batch(self, count: int) -> None:  # noqa: B027 (most trainers have nothing to do)
        """Bring together here what so many shards left, where they ran elsewhere."""

    @abstractmethod
    def accumulate(self, count: int) -> None:
        """Add so many gradients to those of the batches before them in the step."""

    @abstractmethod
    def update(self, count: int) -> None:
        """Add so many gradients and let the optimizer take its step.

        Raises
        ------
        DivergedError
            If the gradient is to be clipped and its norm is no longer finite.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what took part in the steps."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
