"""Training step on a single sample.

Plain gradient descent, as the original program has it: each layer takes its step on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.training.host import HostTrainer
from purecnn.training.shards import Shard, Shards

#: Values of a product that stay in a core's cache beside the weights that it is taken from.
CACHED = 1 << 15


class SteppingShards(Shards):
    """A lone sample: each layer takes its step on the way back, where the step is ``p -= rate g``."""

    def backward(self, segment: int, worker: int, shard: Shard) -> None:
        """Run the layers back, and let each take its step, once the loss is known to be finite."""
        if self.exchanges or not self.parameter_update.is_plain:
            super().backward(segment, worker, shard)
            return
        self.check(self.losses[0])
        g = self.passing[0]
        for layer in reversed(self.replica(worker, shard).layers[self.first :]):
            g = step_back(layer, g)


class SingleSampleTrainer(HostTrainer):
    """A `HostTrainer` for batches of one sample and steps ``p -= rate g``.

    A dense layer's gradient is as large as the layer, and writing it to memory costs more than computing it.
    So a layer takes its step as soon as it has its gradient. The loss's derivative carries the rate
    (`ParameterUpdate.scale`), and the bits are those of `HostTrainer`, which takes every other step. It is
    written out here, since a step of a small network takes less than 100 us.
    """

    shards_type = SteppingShards

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step, as `Trainer` does."""
        self.parameter_update.decide()
        if self.shards.exchanges or not self.parameter_update.is_plain:
            return super().step(rows, following)
        rows, following = np.asarray(rows), np.asarray(following, np.int64)
        places = self.read(rows, following)
        self.network.updates += 1
        if not self.y.weight(rows):
            return 0.0
        self.shards.forward(0, 0, Shard(0, rows, places, 1.0))
        self.optimizer.advance()
        return float(self.shards.losses[0])


def step_back(layer: Layer, g: Array) -> Array | None:
    """Do as ``layer.backward(g)``, and take the step ``p -= dp`` of a layer that is trained."""
    if type(layer) is Dense and layer.trainable:
        return dense_step_back(layer, g)
    dx = layer.backward(g)
    if layer.trainable:
        for name, parameter in layer.parameters.items():
            parameter -= layer.gradients[name]
    return dx


def dense_step_back(layer: Dense, g: Array) -> Array | None:
    """g (O, 1) -> dx (I, 1) or None, before the step ``W -= g @ x.T``, ``b -= g`` is taken.

    Some rows at a time, whose products stay in the cache: 85 us in place of 150 (100 x 3380).
    """
    x, weights, dx = layer.input, layer.parameters["weights"], None
    if layer.propagate:
        dx = np.matmul(weights.T, g, out=layer.workspace.array("input_gradient", x.shape, x.dtype))
    rows = max(1, CACHED // len(x))
    product = layer.workspace.array("product", (min(rows, len(g)), len(x)), x.dtype)
    for first in range(0, len(g), rows):
        part = weights[first : first + rows]
        part -= np.multiply(g[first : first + rows], x.T, out=product[: len(part)])
    layer.parameters["biases"] -= g
    return dx
