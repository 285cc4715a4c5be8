"""What Keras and JAX both want: images, kernels and weights with the channels last."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.harness.networks import Bench, parts


def images(place: Path, bench: Bench, dtype: str) -> np.ndarray:
    """The data in memory, scaled: (n, height, width, channels)."""
    x = np.load(place / "x.npy").reshape(-1, *bench.input_shape)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).astype(dtype) / np.array(255, dtype)


def arranged(bench: Bench, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The initial parameters: kernels (k, k, in, out), weights (in, out), biases as they are.

    The inputs of a dense layer behind a flattened image come in another order: (height, width, channels).
    """
    given, found, image = iter(arrays), [], None
    for layer, before, after in parts(bench.layers, bench.input_shape):
        kind = layer["layer"]
        if kind == "flatten":
            image = before
        elif kind == "conv":
            found += [next(given).transpose(2, 3, 1, 0), next(given)]
        elif kind == "dense":
            weights = next(given)
            if image is not None:
                weights = weights.reshape(-1, *image).transpose(0, 2, 3, 1).reshape(after[0], -1)
                image = None
            found += [weights.T, next(given)]
        elif kind == "norm":
            found += [next(given), next(given)]
    return [np.ascontiguousarray(array) for array in found]
