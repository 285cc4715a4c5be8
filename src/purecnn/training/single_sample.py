"""Training step on a single sample.

Plain gradient descent, as the original program has it: each layer takes its step on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from purecnn.backend.types import Array
from purecnn.kernels.calls import run
from purecnn.training.host import HostTrainer
from purecnn.training.sample_plan import SamplePlan
from purecnn.training.shards import Shard, Shards


class LoneSample:
    """A lone sample's way along a `SamplePlan`: into the network, to its loss, and back.

    Parameters
    ----------
    shards : Shards
        Of a network none of whose layers needs the whole batch.
    """

    def __init__(self, shards: Shards) -> None:
        self.shards, self.x, self.y = shards, shards.x, shards.y
        self.preprocessing, dtype = shards.network.preprocessing, shards.network.dtype
        self.replica = shards.replica(0, Shard(0, np.arange(1), np.arange(1), 1.0))
        self.must_begin = shards.augmentation is not None or any(layer.draws for layer in shards.layers)
        self.input = self.replica.workspace.array("input", (*self.replica.shape, 1), dtype)
        self.values = self.input.reshape(-1)
        self.plan: SamplePlan | None = None
        self.target: Array = np.zeros(0)
        self.answer: Array = self.target
        self.rate: Array = self.target

    def step(self, rows: Array, places: Array) -> float:
        """Take the step on the sample of number ``rows[0]``, which lies at ``places[0]``; return its loss."""
        plan, shards, kept = self.go(rows, places), self.shards, 1.0
        if self.y.are_maps or shards.augmentation is not None:
            target, weights, kept = shards.wanted(self.replica, rows, plan.output)
        else:
            self.answer[...] = self.y.values[rows[0]]
            target, weights = self.target, self.y.weighting(rows)
        loss, slope = shards.loss_and_gradient(target, plan.output, weights)
        loss *= kept
        shards.check(loss)
        self.rate[...] = kept * shards.parameter_update.scale
        np.multiply(slope, self.rate, plan.slope)
        plan.go_back()
        return loss

    def go(self, rows: Array, places: Array) -> SamplePlan:
        """Put the sample into the network and run it forward; return the plan, made where there is none."""
        if self.plan is None or self.must_begin:
            self.shards.begin(self.replica, Shard(0, rows, places, 1.0))
        else:
            self.values[...] = self.x[places[0]]
            self.preprocessing.apply_in_place(self.input)
        if self.plan is not None:
            run(self.plan.forward)
            return self.plan
        self.plan = plan = SamplePlan(self.replica.layers, self.shards.first, self.input)
        shape, dtype = self.y.values.shape[1:], plan.output.dtype
        self.target = np.zeros((*shape, 1), np.intp if self.y.are_labels else dtype)
        self.answer, self.rate = self.target.reshape(shape), np.zeros((), dtype)
        return plan


class SingleSampleTrainer(HostTrainer):
    """A `HostTrainer` for batches of one sample and steps ``p -= rate g``.

    A dense layer's gradient is as large as the layer, and writing it to memory costs more than computing it.
    So a layer takes its step as soon as it has its gradient. The loss's derivative carries the rate
    (`ParameterUpdate.scale`), and the bits are those of `HostTrainer`, which takes every other step. NumPy
    computes a step of a small network in 10 us, so it goes along a plan.
    """

    can_spawn = False
    #: What takes a sample through the network, made at the first such step.
    sample: LoneSample | None = None

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step, as `Trainer` does."""
        self.parameter_update.decide()
        if self.shards.exchanges or not self.parameter_update.is_plain:
            return super().step(rows, following)
        rows = np.asarray(rows)
        places = self.read(rows, following)
        self.network.updates += 1
        if not self.y.weight(rows):
            return 0.0
        if self.sample is None:
            self.sample = LoneSample(self.shards)
        loss = self.sample.step(rows, places)
        self.optimizer.advance()
        return loss
