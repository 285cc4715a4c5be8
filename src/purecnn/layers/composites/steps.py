"""Steps of the engine where the branches of a composite part and meet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from purecnn.backend.types import Array
from purecnn.layers.base import Layer


class Fork(Layer):
    """Where branches part.

    Attributes
    ----------
    input : ndarray
        What all branches are given.
    ends : list of ndarray
        Where the branches that are behind ended, but for the last one.
    shares : list of ndarray
        The loss's derivatives by these, while the way back has not come to them.
    returned : list of ndarray
        What came back on the branches, but for the first one.
    """

    input: Array
    ends: list[Array]
    shares: list[Array]
    returned: list[Array]

    def forward(self, input: Array) -> Array:
        """Return x."""
        self.input, self.ends = input, []
        return input

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the sum of what came back on all branches."""
        g = output_gradient
        for other in self.returned:
            g = self.xp.add(g, other, out=self.workspace.like("input_gradient", output_gradient))
        return g


class OfFork(Layer):
    """A step that belongs to a fork, which `pair_up` tells it."""

    fork: Fork


class Cross(OfFork):
    """From the end of a branch to the beginning of the next."""

    def forward(self, input: Array) -> Array:
        """Return what the fork was given."""
        self.fork.ends.append(input)
        return self.fork.input

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the derivative by the branch's end, and keep what came back on the next branch."""
        self.fork.returned.append(output_gradient)
        return self.fork.shares.pop()


class Ending(OfFork):
    """A step behind which a fork's branches are one."""


class Join(Ending):
    """Where the branches meet again."""

    @abstractmethod
    def combine(self, ends: list[Array]) -> Array:
        """Return the output for the ends of all branches, in order."""

    @abstractmethod
    def share(self, g: Array) -> list[Array]:
        """Return the loss's derivative by each of these ends; `g` is that by the output."""

    def forward(self, input: Array) -> Array:
        """Put the ends together."""
        return self.combine([*self.fork.ends, input])

    def backward(self, output_gradient: Array) -> Array | None:
        """Return the derivative by the last branch's end, and keep the others."""
        self.fork.returned = []
        *self.fork.shares, last = self.share(output_gradient)
        return last


def pair_up(steps: Sequence[Layer]) -> None:
    """Let each cross and join know the fork that it belongs to, among steps in their order."""
    forks: list[Fork] = []
    for step in steps:
        if isinstance(step, Fork):
            forks.append(step)
        elif isinstance(step, Cross):
            step.fork = forks[-1]
        elif isinstance(step, Ending):
            step.fork = forks.pop()
