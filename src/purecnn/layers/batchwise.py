"""Layers that need the whole batch in training.

Where shards wait for each other: what a layer must be that needs the whole batch in training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeGuard

from purecnn.backend.types import Array
from purecnn.layers.base import Layer

#: Makes arrays of zeros, in memory that all workers see.
Zeros = Callable[[Any, Any], Array]


class Exchange(Protocol):
    """What the shards of a batch tell each other at one barrier: small arrays that every worker sees."""

    def meet(self, shards: int) -> None:
        """Put together what the first so many shards told on the way forward, in their order."""

    def meet_back(self, shards: int) -> None:
        """Put together what they told on the way back."""

    def told(self) -> Sequence[Array]:
        """Return where shards tell on the way forward: arrays with a row for each shard."""

    def told_back(self) -> Sequence[Array]:
        """Return where they tell on the way back."""


class BatchwiseLayer(Layer):
    """A layer that needs the whole batch in training, which lies on several shards.

    Forward, every shard's replica is asked to `measure` its input; when all have, `Exchange.meet` puts
    together what they found, and every replica goes on with `forward`. Backward it is `measure_back`,
    `meet_back`, `backward`. In a call of its own a layer is its batch's only shard, and does all of that
    by itself.

    Attributes
    ----------
    exchange : Exchange or None
        Where this replica meets those of the other shards; None outside of the engine.
    shard : int
        Which shard it belongs to.
    is_alone : bool
        Whether it belongs to none, and is its batch's only one.
    """

    exchange: Any = None
    shard = 0
    is_alone = True

    def join(self, exchange: Exchange, shard: int) -> None:
        """Belong to a shard from now on, whose replicas meet there."""
        self.exchange, self.shard, self.is_alone = exchange, shard, False

    @abstractmethod
    def check_batch(self, samples: int) -> None:
        """Refuse a batch of training that has too few samples."""

    def takes_batch(self, samples: int) -> bool:
        """Return whether `check_batch` lets so many samples pass."""
        try:
            self.check_batch(samples)
        except ValueError:
            return False
        return True

    @abstractmethod
    def place(self, shards: int, zeros: Zeros) -> Exchange:
        """Return a place to meet for the replicas of so many shards."""

    @abstractmethod
    def measure(self, input: Array) -> None:
        """Tell what the others must know of this shard's input."""

    @abstractmethod
    def measure_back(self, output_gradient: Array) -> None:
        """Write `gradients`, and tell what the others must know of this shard's output gradient."""

    @abstractmethod
    def remember(self, exchange: Any) -> None:
        """Keep what is to be kept of a batch, once its step is known to be sound: running statistics."""

    def average(self, exchange: Any, share: float) -> None:
        """Keep the mean over several batches, of which this one is so large a share of those up to now.

        The first one's share is 1. Where it is not overridden, a batch is remembered as in training.
        """
        self.remember(exchange)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k not in PRIVATE}


def is_barrier(layer: Layer) -> TypeGuard[BatchwiseLayer]:
    """Return whether shards meet at `layer` in training: a frozen one needs its running statistics alone."""
    return isinstance(layer, BatchwiseLayer) and layer.trainable


def drops_last(layers: Iterable[Layer], samples: int, batch_size: int) -> bool:
    """Return whether an epoch should end before its last batch: where that is too short for a layer.

    Examples
    --------
    >>> from purecnn import BatchNormalization, Network
    >>> network = Network([BatchNormalization()], input_shape=3)
    >>> drops_last(network, 9, 4), drops_last(network, 10, 4)
    (True, False)
    """
    last = samples % batch_size
    parts = (part for layer in layers for part in (layer, *layer.parts()))
    return 0 < last < samples and not all(part.takes_batch(last) for part in parts if is_barrier(part))


def trains(layer: Layer) -> bool:
    """Return whether `layer` runs as in training there: a frozen barrier uses its running statistics."""
    return layer.trainable or not isinstance(layer, BatchwiseLayer)


#: What belongs to one replica alone.
PRIVATE = {"exchange", "shard", "is_alone"}
