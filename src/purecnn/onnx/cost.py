"""Cost of ONNX nodes in memory and time, from shapes, before they run.

What each node of a graph takes in memory and time, said from shapes before it runs.

A few bytes of a file can ask for hours of work and for any memory: so a run has an end, and it is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from purecnn.errors import ShapeError
from purecnn.kernels.cost import BLAS, ENTRY, FREE, HALF, MAX_TIMES, NODE, PLAIN, PRODUCT


@dataclass
class Budget:
    """What the nodes of a run may take, and what they took so far.

    Parameters
    ----------
    memory : int
        Bytes that the values kept, and all that a node makes on its way, may take at a time.
    work : int
        Bytes that all nodes may go over.

    Attributes
    ----------
    kept : int
        Bytes of the values that later nodes need.
    making : int
        Bytes that the node at work takes.
    done : int
        Bytes that were gone over.
    largest : int
        The most that was taken at a time.
    """

    memory: int
    work: int
    kept: int = 0
    making: int = 0
    done: int = 0
    largest: int = 0

    @classmethod
    def of(cls, max_bytes: int, max_work: int | None = None) -> Budget:
        """Return a run's budget, its work, if not said, in proportion to what it may take at a time."""
        return cls(max_bytes, MAX_TIMES * max(max_bytes, FREE) if max_work is None else max_work)

    def begin(self, entries: int) -> None:
        """Begin a node of so many inputs and outputs."""
        self.making = 0
        self.spend(NODE + ENTRY * entries)

    def spend(self, work: int) -> None:
        """Take some work.

        Raises
        ------
        ShapeError
            If it is too much.
        """
        if self.done + work > self.work:
            raise ShapeError(
                f"with it, the run goes over {self.done + work} bytes; max_work allows {self.work}, "
                f"if not given {MAX_TIMES} times max_bytes"
            )
        self.done += work

    def claim(
        self,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        copies: int = 1,
        passes: int | None = None,
        slow: int = 0,
    ) -> tuple[int, ...]:
        """Return a shape as integers, if so many arrays of it may be made, and gone over so often.

        Parameters
        ----------
        shape : sequence of int
            As a file may say it.
        dtype : dtype
            Of the elements.
        copies : int
            How many arrays of that size the node makes; 0 for a view.
        passes : int, optional
            How often it goes over such an array; twice a copy, to read and to write, if left out.
        slow : int
            What computing one value costs besides, in bytes gone over.

        Raises
        ------
        ShapeError
            If a size is below 0, or it would be too much.
        """
        sizes, kind = tuple(int(size) for size in shape), np.dtype(dtype)
        if min(sizes, default=0) < 0:
            raise ShapeError(f"an array can't have the shape {sizes}")
        values = math.prod(sizes)
        size = values * kind.itemsize
        if size > self.memory:
            raise ShapeError(f"an array of shape {sizes} takes {size} bytes; max_bytes allows {self.memory}")
        self.making += copies * size
        if self.kept + self.making > self.memory:
            raise ShapeError(
                f"with it, the values kept take {self.kept + self.making} bytes; "
                f"max_bytes allows {self.memory}"
            )
        self.largest = max(self.largest, self.kept + self.making)
        each = max(kind.itemsize, HALF if kind == np.float16 else 0)
        self.spend(values * ((2 * copies if passes is None else passes) * each + slow))
        return sizes

    def multiply(self, count: int, dtype: npt.DTypeLike, stack: int = 1) -> None:
        """Take the multiply-adds of a stack of products: BLAS does those of floats, others go one by one."""
        blas = np.dtype(dtype).char in "fd"
        self.spend(stack * PRODUCT + (count // BLAS if blas else PLAIN * count))
