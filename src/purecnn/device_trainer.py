"""One step of training on a device: the whole batch at once, shared out by the device itself."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from purecnn.augmentation import Augmentation
from purecnn.barrier import is_barrier
from purecnn.dataset import Rows
from purecnn.descent import Descent
from purecnn.device import explained, module_of, to_host
from purecnn.freezing import check_trainable
from purecnn.layer import Layer
from purecnn.loss import Loss
from purecnn.optimizer import Optimizer
from purecnn.parallel import shard_bounds, shard_count
from purecnn.samples import Targets
from purecnn.scratch import Array
from purecnn.shards import Shards, is_own
from purecnn.streams import DROPOUT, Drawn, stream


class WholeBatch(Shards):
    """A batch that is its own only shard, whose layers draw what the host's shards would have drawn."""

    shards = 1

    def draws(self, layer: Layer, number: int, samples: int) -> Drawn:
        """Return a generator for each of the host's shards, and how many samples it has."""
        if not is_own(layer):  # a user's own layer knows a generator alone
            return super().draws(layer, number, samples)
        step, bounds = self.network.updates, shard_bounds(samples, self.shards)
        keys = (stream(self.seed, DROPOUT + layer.position, step, shard) for shard in range(len(bounds)))
        return [(key, last - first) for key, (first, last) in zip(keys, bounds, strict=True)]


class DeviceTrainer:
    """Trains a network that lies on a device, a batch at a time.

    As `training.Trainer`, without shards and workers: parameters, gradients and the optimizer's state lie
    there, samples and draws are sent, and one number comes back in each step, the loss.

    Parameters
    ----------
    network, loss, optimizer, x, y, batch_size, seed, augmentation, l1, l2
        As `training.Trainer` takes them.
    threads : int or None
        Of no use here.
    """

    def __init__(
        self,
        network: Any,
        loss: Loss,
        optimizer: Optimizer,
        x: Array | Rows,
        y: Targets,
        batch_size: int,
        threads: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        check_trainable(network)
        if y.are_labels:  # which are indices there, and not of every kind of integer
            y = Targets(y.values.astype(np.int64), y.weights)
        self.network, self.optimizer, self.y = network, optimizer, y
        parts = (part for layer in network for part in (layer, *layer.parts()))
        self.barriers = [part for part in parts if is_barrier(part)]
        self.check_batch(batch_size)
        self.prefetcher = None
        if isinstance(x, Rows):
            from purecnn.prefetch import Prefetcher  # here, since few need it and its import takes a while

            self.prefetcher = Prefetcher(x, batch_size, np.zeros)
            x = self.prefetcher.buffer
        with explained(network.device):
            self.descent = Descent(network, optimizer, 1, l1, l2, network.device.zeros)
            self.batch = WholeBatch(network, loss, x, y, seed, augmentation, self.descent, 1, np.zeros)
        self.batch.shards = shard_count(batch_size)

    def check_batch(self, samples: int) -> None:
        """Raise `ValueError` if a batch of so many samples is too small for a layer."""
        for layer in self.barriers:
            layer.check_batch(samples)

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step on the samples `rows`; return their mean loss, before the step.

        Raises
        ------
        DivergedError
            If the loss is no longer finite: the parameters are left as they were before this step.
        DeviceError
            If the device's memory is full.
        """
        rows = np.asarray(rows)
        places = self.prefetcher.places(rows, np.asarray(following)) if self.prefetcher else rows
        self.network.updates += 1
        if not self.y.weight(rows):
            return 0.0  # no sample of them counts, so there is nothing to learn
        with explained(self.network.device):
            return self.descend(rows, places)

    def descend(self, rows: Array, places: Array) -> float:
        """Go forward and back, then let the optimizer take its step; return the loss."""
        descent, batch = self.descent, self.batch
        descent.carried = self.optimizer.learning_rate if descent.is_plain else 1.0
        batch.leg[0] = 0
        batch.run(0, 0, rows, places, 1.0)
        for _, meet in batch.agenda:
            meet(1)
            batch.leg[0] += 1
            batch.run(0, 0, rows, places, 1.0)
        loss = float(batch.losses[0])
        if descent.penalty:
            loss += descent.penalty.cost(descent.parameters)
        batch.check(loss)
        for layer, meeting in batch.remembering:
            layer.remember(meeting)
        if batch.sweeps(rows):
            self.optimizer.advance()
            return loss
        size = descent.parameters.size
        descent.add(1, 0, size)
        if self.optimizer.clip_norm is not None:
            norm = length(descent.gradients[0])
            batch.check(norm, "gradient's norm")
            self.optimizer.clip(norm)
        self.optimizer.advance()
        descent.step(0, size)
        return loss

    def close(self) -> None:
        """Let the reader go."""
        if self.prefetcher is not None:
            self.prefetcher.close()
        self.batch.courses.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def length(gradient: Array) -> float:
    """Return the norm of a vector, its squares added up in float64."""
    wide = gradient.astype(np.float64)
    return float(to_host(module_of(wide).sqrt((wide * wide).sum())))
