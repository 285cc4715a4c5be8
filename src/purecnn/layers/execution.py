"""What a layer computes with: array module, kernels, working memory, draws; its own or the engine's."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.backend.random import Drawn
from purecnn.kernels import cpu, device


@dataclass(slots=True)
class ExecutionContext:
    """What a layer computes with.

    A layer called by itself has new working memory in each call, since what the last one returned is its
    caller's. A replica of the engine's keeps its own.

    Attributes
    ----------
    xp, kernel_set : module
        The array module and the kernels: NumPy and `kernels.cpu`, or those of a device.
    workspace : Workspace
        Working memory.
    random : Generator, sequence of (Generator, int) or None
        Where draws in training come from.
    in_place : bool
        Whether the layer works in its input's place: the engine saves memory so.
    propagate : bool
        Whether `backward` owes an input gradient; the first layer of a network does not.
    run_by_engine : bool
        Whether the engine runs the layer: what it is given is of the right shape and dtype.
    """

    xp: Any = np
    kernel_set: Any = cpu
    workspace: Workspace = field(default_factory=Workspace)
    random: Drawn | None = None
    in_place: bool = False
    propagate: bool = True
    run_by_engine: bool = False


def for_engine(xp: Any) -> ExecutionContext:
    """Return what a replica computes with where arrays are those of the module `xp`."""
    kernel_set = cpu if xp is np else device
    return ExecutionContext(xp=xp, kernel_set=kernel_set, workspace=Workspace(xp), run_by_engine=True)


def held(name: str) -> property:
    """Return an attribute of a layer that its execution context holds.

    By `attrgetter`, which takes 50 ns in place of the 75 of a function of Python's.
    """
    return property(
        attrgetter(f"execution.{name}"), lambda layer, value: setattr(layer.execution, name, value)
    )
