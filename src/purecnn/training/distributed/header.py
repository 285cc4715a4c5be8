"""The message between ranks that begins a step.

The message that rank 0 begins each step with: what follows, which samples, what the optimizer needs.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Follows(IntEnum):
    """What follows a header: the end of the run, or a step."""

    END = 0
    STEP = 1


class StepHeader:
    """One header, sent as a single array of integers; all else are views of it.

    Parameters
    ----------
    batch_size : int
        How many samples the largest batch has.
    told : int
        How many numbers the optimizer's copies must know (`update.told_size`).

    Attributes
    ----------
    message : ndarray of int64
        All of it, as it is sent.
    rows, following : ndarray of int64
        The numbers of the samples of this step, and of those of the next one, which ranks read ahead: of
        each as many as the batch has, from the front.
    told : ndarray of float64
        What the optimizer's copies must know.

    Examples
    --------
    >>> header = StepHeader(batch_size=3, told=1)
    >>> header.write(samples=2, step=7)
    >>> header.rows[:2], header.told[0] = [5, 6], 0.5
    >>> header.samples, header.step, header.ahead, len(header.message)
    (2, 7, 0, 11)
    """

    def __init__(self, batch_size: int, told: int) -> None:
        ends = np.cumsum([4, batch_size, batch_size, told])
        self.message = np.zeros(ends[-1], np.int64)
        self._numbers, self.rows, self.following, left = np.split(self.message, ends[:-1])
        self.told = left.view(np.float64)

    def write(self, samples: int, step: int) -> None:
        """Say how many samples the step takes, and its number."""
        self._numbers[1:3] = samples, step

    @property
    def follows(self) -> Follows:
        """What follows."""
        return Follows(int(self._numbers[0]))

    @follows.setter
    def follows(self, kind: Follows) -> None:
        self._numbers[0] = kind

    @property
    def samples(self) -> int:
        """How many samples the step takes."""
        return int(self._numbers[1])

    @property
    def step(self) -> int:
        """The step's number."""
        return int(self._numbers[2])

    @property
    def ahead(self) -> int:
        """How many samples the step after it takes."""
        return int(self._numbers[3])

    @ahead.setter
    def ahead(self, samples: int) -> None:
        self._numbers[3] = samples
