"""Jobs of the workers.

What the workers of a step are told: one job at a time, in memory that all of them see.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from purecnn.layers.batchwise import Zeros


class JobKind(IntEnum):
    """What a worker can be asked to do: take a shard through a segment, or change a stretch of the vectors.

    Attributes
    ----------
    FORWARD
        Take a shard through a segment of the network; behind the last one find its loss, and go back through
        that segment.
    BACKWARD
        Take it back through one of the others.
    SUM
        Add a stretch of the shards' gradients, and its squares: to clip, the whole norm must be known first.
    UPDATE
        Let the optimizer change a stretch of the parameters by the sum.
    SUM_AND_UPDATE
        Both in one go.
    SUBTREE
        Add a stretch of those gradients that a rank can add without the others.
    ACCUMULATE
        Add a stretch of the shards' gradients to those of the batches before theirs in the step.
    """

    FORWARD = 0
    BACKWARD = 1
    SUM = 2
    UPDATE = 3
    SUM_AND_UPDATE = 4
    SUBTREE = 5
    ACCUMULATE = 6


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
    segment : int
        Which one to take shards through.
    samples, step : int
        How many samples their batch has, and the step's number, which keys what is drawn.
    first : int
        Which shard the first job takes; the second takes the next.
    gradients : int
        To add: how many there are.

    Examples
    --------
    >>> slot = JobSlot(np.zeros)
    >>> slot.write(JobKind.FORWARD, segment=1, samples=128, step=7)
    >>> slot.kind.name, slot.segment, slot.samples, slot.step, slot.first
    ('FORWARD', 1, 128, 7, 0)
    """

    def __init__(self, zeros: Zeros) -> None:
        self._numbers = zeros(6, np.int64)

    def write(
        self,
        kind: JobKind,
        *,
        segment: int = 0,
        samples: int = 0,
        step: int = 0,
        first: int = 0,
        gradients: int = 0,
    ) -> None:
        """Say what is to be done next."""
        self._numbers[:] = kind, segment, samples, step, first, gradients

    @property
    def kind(self) -> JobKind:
        """What is to be done."""
        return JobKind(int(self._numbers[0]))

    @property
    def segment(self) -> int:
        """Which segment to take shards through."""
        return int(self._numbers[1])

    @property
    def samples(self) -> int:
        """How many samples the batch has."""
        return int(self._numbers[2])

    @property
    def step(self) -> int:
        """The step's number."""
        return int(self._numbers[3])

    @property
    def first(self) -> int:
        """Which shard the first job takes."""
        return int(self._numbers[4])

    @property
    def gradients(self) -> int:
        """How many gradients there are to add."""
        return int(self._numbers[5])
