"""Training step on a device.

One step of training on a device: the whole batch at once, shared out by the device itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from purecnn.backend.arrays import module_of, to_host
from purecnn.backend.devices import explained
from purecnn.backend.random import DROPOUT, Drawn, stream
from purecnn.backend.sharding import shard_bounds
from purecnn.backend.types import Array
from purecnn.datasets.mixing import next_ones
from purecnn.layers.base import Layer
from purecnn.layers.registry import is_own
from purecnn.training.jobs import JobKind
from purecnn.training.rows import Rows
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.shards import Shards
from purecnn.training.targets import Targets
from purecnn.training.trainer import Trainer
from purecnn.training.update import ParameterUpdate


class WholeBatch(Shards):
    """A batch that is its own only shard, drawn for as the host's shards would have been."""

    def draws(self, layer: Layer, number: int, samples: int) -> Drawn:
        """Return a generator for each of the host's shards, and how many samples it has."""
        if not is_own(layer):  # a user's own layer knows a generator alone
            return super().draws(layer, number, samples)
        step, bounds = self.network.updates, shard_bounds(samples, self.count)
        first = self.parameter_update.batch * self.count  # shards of the step's batches before this one
        keys = (stream(self.seed, DROPOUT + layer.position, step, first + i) for i in range(len(bounds)))
        return [(key, last - first) for key, (first, last) in zip(keys, bounds, strict=True)]

    def partners(self, samples: int) -> Array:
        """Return the places of the samples that the host's shards would have mixed them with."""
        return next_ones(shard_bounds(samples, self.count))


class DeviceTrainer(Trainer):
    """Trains a network that lies on a device, a batch at a time.

    As `host.HostTrainer`, without shards and workers: parameters, gradients and the optimizer's state lie
    there, samples and draws are sent, and one number comes back in each step, the loss.

    Parameters
    ----------
    network, x, y, settings
        As `Trainer` takes them.
    """

    def __init__(self, network: RunnableNetwork, x: Array | Rows, y: Targets, settings: FitSettings) -> None:
        super().__init__(network, x, y, settings)
        x = self.at_hand(np.zeros)
        with explained(network.device):
            self.parameter_update = ParameterUpdate(network, settings, 1, network.device.zeros)
            self.shards = WholeBatch(network, x, y, settings, self.parameter_update, 1, np.zeros)

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step, as `Trainer` does."""
        with explained(self.network.device):
            return super().step(rows, following)

    def begin_batch(self, rows: Array, places: Array) -> int:
        """Take the whole batch for a shard."""
        self.batch = self.as_shard(0, rows, places)
        return 1

    def run_jobs(self, kind: JobKind, segment: int, numbers: range) -> None:
        """Take the whole batch through a segment, forward or back."""
        self.shards.way(kind)(segment, 0, self.batch)

    def accumulate(self, count: int) -> None:
        """Add the gradient to those of the batches before it in the step."""
        self.parameter_update.add(count, 0, self.parameter_update.parameters.size)

    def update(self, count: int) -> None:
        """Let the optimizer take its step on the whole vector."""
        parameter_update, size = self.parameter_update, self.parameter_update.parameters.size
        parameter_update.add(count, 0, size)
        if self.optimizer.clip_norm is not None:
            norm = length(parameter_update.gradients[0])
            self.shards.check(norm, "gradient's norm")
            self.optimizer.clip(norm)
        self.optimizer.advance()
        parameter_update.step(0, size)

    def close(self) -> None:
        """Let the reader go."""
        if self.prefetcher is not None:
            self.prefetcher.close()


def length(gradient: Array) -> float:
    """Return the norm of a vector, its squares added up in float64."""
    wide = gradient.astype(np.float64)
    return float(to_host(module_of(wide).sqrt((wide * wide).sum())))
