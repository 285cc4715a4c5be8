"""Inputs for a model that nobody told us about: pictures, sounds and numbers of the shapes that it takes.

What a file leaves open, the size of a picture say, is tried in an order of likelihood, and onnxruntime is the
judge of which the model takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

#: Lengths of an axis that a file leaves open, by how many axes there are.
OPEN = {
    4: (64, 224, 48, 320, 32, 640),
    3: (64, 128, 16, 1),
    2: (512, 16000, 1280, 64, 1),
    1: (1, 64),
    0: (1,),
}
#: Values in an input at most.
MOST = 1 << 24
#: How onnxruntime names the kinds of elements.
KINDS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def shapes(stated: Sequence[Any], samples: int) -> Iterator[tuple[int, ...]]:
    """Yield the shapes that an input may be tried with, the likeliest first."""
    rank = len(stated)
    is_open = [not isinstance(size, int) or size < 1 for size in stated]
    last = rank == 4 and isinstance(stated[3], int) and stated[3] in (1, 3, 4)
    for size in OPEN.get(rank, (4,)):
        found = [size if unknown else stated[axis] for axis, unknown in enumerate(is_open)]
        if rank > 1 and is_open[0]:
            found[0] = samples
        if rank == 4 and is_open[1] and not last:
            found[1] = 3
        yield tuple(found)


def filled(shape: tuple[int, ...], kind: str, name: str, rng: np.random.Generator) -> np.ndarray:
    """Return an input: smooth pictures from 0 to 1 with a little noise, whole numbers that are small."""
    dtype = np.dtype(KINDS[kind])
    if dtype.kind in "iu":
        if name.lower() in ("sr", "sample_rate"):
            return np.full(shape, 16000, dtype)
        high = 256 if dtype == np.uint8 and len(shape) > 2 else 8
        return rng.integers(0, high, shape).astype(dtype)
    if dtype.kind == "b":
        return np.ones(shape, dtype)
    if len(shape) == 4:
        rows, columns = (np.linspace(0, 3 * math.pi, size).reshape(-1, 1) for size in shape[2:])
        waves = 0.5 + 0.4 * np.sin(rows) * np.cos(columns.T)
        return (0.8 * waves + 0.2 * rng.random(shape)).astype(dtype)
    return rng.uniform(-0.5, 1, shape).astype(dtype)


def tries(
    stated: Sequence[tuple[str, Sequence[Any], str]], given: Mapping[str, tuple[int, ...]], samples: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield inputs to try, by name: `given` shapes where there are any.

    Parameters
    ----------
    stated : sequence of (str, sequence, str)
        Of each input the name, the shape as the file has it, and the kind of elements.
    given : dict of str to tuple of int
        Shapes that are known.
    samples : int
        How many samples a batch is to have where the file leaves that open.
    """
    choices = [
        [given[name]] if name in given else list(dict.fromkeys(shapes(shape, samples)))
        for name, shape, _ in stated
    ]
    for chosen in itertools.islice(itertools.product(*choices), 64):
        rng = np.random.default_rng(7)
        if sum(map(math.prod, chosen)) <= MOST:
            yield {
                name: filled(shape, kind, name, rng)
                for (name, _, kind), shape in zip(stated, chosen, strict=True)
            }
