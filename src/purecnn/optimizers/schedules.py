"""Learning rate schedules.

Schedules: how large a step is at each moment of training, which decides much of how far training gets.

A schedule is a function of the progress, from 0 at the first step to 1 after the last; any other function of
that kind will do in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from purecnn.backend.checks import positive, within
from purecnn.messages.lazy import answering
from purecnn.messages.signatures import explained_class

__all__ = ["Constant", "Cosine", "CosineRestarts", "Exponential", "OneCycle", "Schedule", "Step", "WarmUp"]

Schedule = Callable[[float], float]

#: The whole training is at most so many times as long as a cycle of restarts.
MOST_CYCLES = 1_000_000

if not TYPE_CHECKING:
    __getattr__ = answering(__name__, __all__)


def ease(start: float, end: float, progress: float) -> float:
    """Go from `start` to `end` along half a cosine wave: slow, fast, slow.

    Examples
    --------
    >>> [round(ease(0, 1, p), 3) for p in (0, 0.25, 0.5, 1)]
    [0.0, 0.146, 0.5, 1.0]
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@explained_class
@dataclass(frozen=True)
class Constant:
    """The same rate all the time.

    Parameters
    ----------
    rate : float
        Above 0.

    Examples
    --------
    >>> Constant(0.01)(0.5)
    0.01
    """

    rate: float

    def __post_init__(self) -> None:
        within("rate", self.rate, 0, open_low=True)

    def __call__(self, progress: float) -> float:
        """Return the rate."""
        return self.rate


@explained_class
@dataclass(frozen=True)
class Cosine:
    """Fall along half a cosine wave: ``rate(p) = end + (peak - end) (1 + cos(pi p)) / 2``.

    Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983, without restarts.

    Parameters
    ----------
    peak : float
        The rate at the start, above 0.
    end : float
        The rate at the end, at least 0.

    Examples
    --------
    >>> [round(Cosine(0.01)(p), 6) for p in (0, 0.5, 1)]
    [0.01, 0.005, 0.0]
    """

    peak: float
    end: float = 0.0

    def __post_init__(self) -> None:
        within("peak", self.peak, 0, open_low=True)
        within("end", self.end, 0)

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        return ease(self.peak, self.end, progress)


@explained_class
@dataclass(frozen=True)
class CosineRestarts:
    """Fall along half a cosine wave again and again, each time from the top: warm restarts (SGDR).

    ``rate(p) = end + (top - end) (1 + cos(pi q)) / 2``, q from 0 to 1 within each cycle. Loshchilov and
    Hutter 2017, https://arxiv.org/abs/1608.03983. Cycle number i, from 0, has ``growth^i`` times the length
    of the first; all together fill the training, and its top is ``end + (peak - end) factor^i``. PyTorch's
    ``CosineAnnealingWarmRestarts`` counts the first cycle's steps, ``T_0``, calls the growth ``T_mult``, and
    its tops do not fall; Keras's ``CosineDecayRestarts`` has ``t_mul`` and ``m_mul``.

    Parameters
    ----------
    peak : float
        The rate at the start, above 0.
    end : float
        The rate at the end of each cycle, at least 0.
    cycles : int
        How many there are, at least 1.
    growth : float
        How many times as long as the one before each cycle is, above 0.
    factor : float
        What is left, in each cycle, of the height above `end` of the one before; above 0.

    Examples
    --------
    >>> [round(CosineRestarts(0.1, cycles=2, growth=3)(p), 6) for p in (0, 0.125, 0.25, 0.625, 1)]
    [0.1, 0.05, 0.1, 0.05, 0.0]
    """

    peak: float
    end: float = 0.0
    cycles: int = 3
    growth: float = 2.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        within("peak", self.peak, 0, open_low=True)
        within("end", self.end, 0)
        positive("cycles", self.cycles)
        growth = within("growth", self.growth, 0, open_low=True)
        factor = within("factor", self.factor, 0, open_low=True)
        # The shortest cycle has length 1, and none is shorter than what `__call__` allows for rounding.
        ratio, whole = max(growth, 1 / growth), 0.0
        for number in range(min(self.cycles, MOST_CYCLES + 1)):
            whole += ratio**number
            if whole > MOST_CYCLES:
                raise ValueError(
                    f"the shortest cycle must take at least a millionth of the training, got "
                    f"cycles={self.cycles} and growth={growth:g}"
                )
        if (self.cycles - 1) * math.log10(factor) > 100:
            raise ValueError(
                f"factor must not let the rate grow beyond 1e100 times its start, got {factor:g} for "
                f"{self.cycles} cycles"
            )

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        lengths = [self.growth**number for number in range(self.cycles)]
        whole, number, begun = math.fsum(lengths), 0, 0.0
        # 3 of 10 steps are at 0.3, however the two were rounded.
        while number < self.cycles - 1 and progress >= (begun + lengths[number]) / whole - 1e-9:
            begun, number = begun + lengths[number], number + 1
        within_cycle = (progress * whole - begun) / lengths[number]
        top = self.end + (self.peak - self.end) * self.factor**number
        return ease(top, self.end, min(max(within_cycle, 0.0), 1.0))


@explained_class
@dataclass(frozen=True)
class OneCycle:
    """Rise from `start` to `peak`, then fall to `end`, both along half a cosine wave.

    Smith and Topin 2018, https://arxiv.org/abs/1708.07120. PyTorch's ``OneCycleLR`` has the same shape; it
    ends at ``peak / 250000`` and moves the momentum too, which stays as it is here.

    Parameters
    ----------
    peak : float
        The largest rate, above 0.
    rise : float
        Share of the training that the rise takes, above 0 and below 1.
    start : float, optional
        The first rate, above 0; a 25th of the peak if left out, as in PyTorch.
    end : float
        The last rate, at least 0.

    Examples
    --------
    >>> [round(OneCycle(0.01, rise=0.25)(p), 6) for p in (0, 0.25, 0.625, 1)]
    [0.0004, 0.01, 0.005, 0.0]
    """

    peak: float
    rise: float = 0.3
    start: float | None = None
    end: float = 0.0

    def __post_init__(self) -> None:
        within("peak", self.peak, 0, open_low=True)
        within("rise", self.rise, 0, 1, open_low=True)
        if self.start is not None:
            within("start", self.start, 0, open_low=True)
        within("end", self.end, 0)

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        if progress < self.rise:
            start = self.peak / 25 if self.start is None else self.start
            return ease(start, self.peak, progress / self.rise)
        return ease(self.peak, self.end, (progress - self.rise) / (1 - self.rise))


@explained_class
@dataclass(frozen=True)
class Step:
    """Fall at once, by the same factor at each of some moments: ``peak factor^(moments passed)``.

    PyTorch's ``MultiStepLR``, and its ``StepLR`` where the moments lie evenly.

    Parameters
    ----------
    peak : float
        The rate at the start, above 0.
    factor : float
        Above 0 and below 1.
    at : tuple of float
        Shares of the training, each above 0 and below 1.

    Examples
    --------
    >>> [round(Step(0.1, at=(0.5, 0.75))(p), 6) for p in (0, 0.5, 0.9)]
    [0.1, 0.01, 0.001]
    """

    peak: float
    factor: float = 0.1
    at: tuple[float, ...] = (0.5, 0.75)

    def __post_init__(self) -> None:
        within("peak", self.peak, 0, open_low=True)
        within("factor", self.factor, 0, 1, open_low=True)
        if not isinstance(self.at, Iterable):
            raise TypeError(f"at must be a tuple of shares of the training, got {self.at!r}")
        object.__setattr__(self, "at", tuple(within("at", share, 0, 1, open_low=True) for share in self.at))

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        # 3 of 10 steps are at 0.3, however the two were rounded.
        passed = sum(progress >= share - 1e-9 for share in self.at)
        return float(self.peak * self.factor**passed)


@explained_class
@dataclass(frozen=True)
class Exponential:
    """Fall by the same factor at every step: ``rate(p) = peak (end / peak)^p``.

    PyTorch's ``ExponentialLR``, with ``end = peak gamma^steps``.

    Parameters
    ----------
    peak : float
        The rate at the start, above 0.
    end : float
        The rate at the end, above 0.

    Examples
    --------
    >>> [round(Exponential(0.1, 0.001)(p), 6) for p in (0, 0.5, 1)]
    [0.1, 0.01, 0.001]
    """

    peak: float
    end: float

    def __post_init__(self) -> None:
        within("peak", self.peak, 0, open_low=True)
        within("end", self.end, 0, open_low=True)

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        return float(self.peak * (self.end / self.peak) ** progress)


@explained_class
@dataclass(frozen=True)
class WarmUp:
    """Rise in a straight line to another schedule's first rate, then follow that schedule to the end.

    ``rate(p) = first (start + (1 - start) p / share)`` while ``p < share``, then
    ``schedule((p - share) / (1 - share))``. Goyal et al. 2017, https://arxiv.org/abs/1706.02677. PyTorch's
    ``LinearLR`` and another one behind each other in a ``SequentialLR``; its rise begins at a third.

    Parameters
    ----------
    schedule : callable
        From the progress to the rate.
    share : float
        Share of the training that the rise takes, above 0 and below 1.
    start : float
        Where the rise begins, as a share of the schedule's first rate: at least 0 and below 1.

    Examples
    --------
    >>> [round(WarmUp(Cosine(0.1), share=0.2)(p), 6) for p in (0, 0.1, 0.2, 0.6, 1)]
    [0.001, 0.0505, 0.1, 0.05, 0.0]
    """

    schedule: Schedule
    share: float = 0.05
    start: float = 0.01

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            raise TypeError(f"schedule must be a function from the progress to a rate, got {self.schedule!r}")
        within("share", self.share, 0, 1, open_low=True)
        within("start", self.start, 0, 1)

    def __call__(self, progress: float) -> float:
        """Return the rate at `progress`."""
        if progress < self.share:
            return self.schedule(0.0) * (self.start + (1 - self.start) * progress / self.share)
        return self.schedule((progress - self.share) / (1 - self.share))
