"""What the workers of a step are told: one job at a time, in memory that all of them see."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from purecnn.layers.batchwise import Zeros


class JobKind(IntEnum):
    """What a worker can be asked to do: run a shard, or change a stretch of the flat vectors.

    Attributes
    ----------
    SHARD
        Run a shard.
    SUM
        Add a stretch of the shards' gradients, and its squares: to clip, the whole norm must be known first.
    UPDATE
        Let the optimizer change a stretch of the parameters by the sum.
    SUM_AND_UPDATE
        Both in one go.
    SUBTREE
        Add a stretch of those gradients that a rank can add without the others.
    """

    SHARD = 0
    SUM = 1
    UPDATE = 2
    SUM_AND_UPDATE = 3
    SUBTREE = 4


class JobSlot:
    """The job that the workers are at.

    Parameters
    ----------
    zeros : callable
        Makes arrays that all workers see.

    Attributes
    ----------
    kind : JobKind
        What is to be done.
    samples, step : int
        To run a shard: how many samples its batch has, and the step's number, which keys what is drawn.
    first : int
        Which shard the first job runs; the second runs the next.
    gradients : int
        To add: how many there are.

    Examples
    --------
    >>> slot = JobSlot(np.zeros)
    >>> slot.write(JobKind.SHARD, samples=128, step=7)
    >>> slot.kind.name, slot.samples, slot.step, slot.first
    ('SHARD', 128, 7, 0)
    """

    def __init__(self, zeros: Zeros) -> None:
        self._numbers = zeros(5, np.int64)

    def write(
        self, kind: JobKind, *, samples: int = 0, step: int = 0, first: int = 0, gradients: int = 0
    ) -> None:
        """Say what is to be done next."""
        self._numbers[:] = kind, samples, step, first, gradients

    @property
    def kind(self) -> JobKind:
        """What is to be done."""
        return JobKind(int(self._numbers[0]))

    @property
    def samples(self) -> int:
        """How many samples the batch has."""
        return int(self._numbers[1])

    @property
    def step(self) -> int:
        """The step's number."""
        return int(self._numbers[2])

    @property
    def first(self) -> int:
        """Which shard the first job runs."""
        return int(self._numbers[3])

    @property
    def gradients(self) -> int:
        """How many gradients there are to add."""
        return int(self._numbers[4])
