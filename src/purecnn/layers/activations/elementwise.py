"""Elementwise activations: what all of them share, and the sigmoid that several are made of."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of
from purecnn.backend.types import Array
from purecnn.layers.base import Layer


class ElementWise(Layer):
    """An activation that maps each value alone; its `forward` keeps what its `backward` needs."""

    gain = "glorot"

    def buffer(self, name: str, like: Array) -> Array:
        """Return working memory of the shape, dtype and order in memory of `like`: itself, where it may."""
        return like if self.in_place else self.workspace.like(name, like)


@cache
def lowest(dtype: np.dtype[Any]) -> Any:
    """Return, as a number of the dtype, below which x is too far off for ``exp(-x)`` to be finite."""
    return 1 - np.log(np.finfo(dtype).max)  # one off: that logarithm may be rounded up


def sigmoid(x: Array, out: Array) -> Array:
    """Write 1 / (1 + exp(-x)) to `out`, which may be x; exp(x) where exp(-x) would overflow."""
    xp = module_of(x)
    low = lowest(x.dtype)
    far = None
    if xp is not np or not x.min() >= low:  # seldom on the host; a device would have to be waited for
        far = x < low, xp.exp(xp.minimum(x, low))
    xp.maximum(x, low, out=out)
    xp.negative(out, out=out)
    xp.exp(out, out=out)
    out += 1
    found: Array = xp.divide(1, out, out=out)
    if far is not None:
        xp.copyto(found, far[1], where=far[0])
    return found
