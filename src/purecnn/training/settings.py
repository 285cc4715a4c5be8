"""Settings of one call of `fit`.

Made once, by `Network.fit`, and handed to all that take part in the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from purecnn.backend.sharding import shard_count
from purecnn.datasets.augmentation import Augmentation
from purecnn.losses.base import Loss
from purecnn.metrics.registry import Measure
from purecnn.optimizers.base import Optimizer


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What one call of `fit` was asked for, checked.

    Parameters
    ----------
    loss : Loss
        The loss to minimize.
    optimizer : Optimizer
        Updates the parameters.
    epochs, batch_size : int
        How often to go over the samples, and how many a batch has.
    accumulate : int
        How many batches a step takes.
    shuffle : bool
        Whether each epoch has an order of its own.
    drop_last : bool
        Whether an epoch ends before a last batch that is short.
    validation_data : (array_like, array_like) or None
        Samples and answers to measure after each epoch.
    validation_split : float or None
        The share of all samples that they are, where they were set aside from them.
    augmentation : Augmentation or None
        How to change the images of each step.
    metrics : dict of str to Measure
        What to measure after each epoch, on both sets.
    threads : int or None
        Number of workers, as many as this process may use processors where None; the bits do not depend on
        it. A device takes no such number.
    shards : int or None
        Into how many parts a batch is cut, on which the bits depend; where None, enough for the cores.
    l1, l2 : float
        What the weights cost (`Penalty`).
    """

    loss: Loss
    optimizer: Optimizer
    epochs: int = 1
    batch_size: int = 128
    accumulate: int = 1
    shuffle: bool = True
    drop_last: bool = False
    validation_data: tuple[Any, Any] | None = None
    validation_split: float | None = None
    augmentation: Augmentation | None = None
    metrics: Mapping[str, Measure] = field(default_factory=dict)
    threads: int | None = None
    shards: int | None = None
    l1: float = 0.0
    l2: float = 0.0

    @property
    def shard_count(self) -> int:
        """Into how many parts a batch is cut: as one core would where `shards` does not say."""
        return self.shards or shard_count(self.batch_size)
