"""Lays out what every program is given, as files: data, initial parameters and the order of the samples."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.harness.networks import BENCHES, Bench, Layer, initial_parameters

ORDERS = 4  # so many epochs before the order repeats


def mnist() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """MNIST as purecnn carries it: uint8 images (n, 28, 28) and labels (n,), for training and for test."""
    from purecnn.datasets.mnist import load_data

    (x, y), (x_test, y_test) = load_data()
    return (x, y), (x_test, y_test)


def zero_one(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The original's data: the first 100 images of 0 and of 1, permuted; one-hot columns (200, 2, 1)."""
    rows = np.concatenate([np.flatnonzero(y == digit)[:100] for digit in (0, 1)])
    rows = np.random.default_rng(0).permutation(rows)
    images = (x[rows] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    return images, np.eye(2, dtype=np.float32)[y[rows]].reshape(-1, 2, 1)


def xor() -> tuple[np.ndarray, np.ndarray]:
    """The original's first data: columns (4, 2, 1) and (4, 1, 1)."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return x.reshape(4, 2, 1), (x[:, 0] != x[:, 1]).astype(np.float32).reshape(4, 1, 1)


def patterns(shape: tuple[int, ...], images: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Drawn bytes (n, *shape) in ten classes: a coarse pattern for each class, and noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, images)
    coarse = rng.standard_normal((10, shape[0], shape[1] // 8, shape[2] // 8), np.float32)
    pattern = 128 + 20 * coarse.repeat(8, axis=2).repeat(8, axis=3)
    noise = 50 * rng.standard_normal((images, *shape), np.float32)
    return np.clip(pattern[y] + noise, 0, 255).astype(np.uint8), y


def write(name: str, folder: Path, data: tuple[np.ndarray, np.ndarray]) -> Path:
    """Write the network `name` with its data below `folder`; returns the folder of its own."""
    bench, place = BENCHES[name], folder / name
    place.mkdir(parents=True)
    if bench.data == "mnist":
        x, y = data
    elif bench.data == "zero_one":
        x, y = zero_one(*data)
    elif bench.data == "xor":
        x, y = xor()
    else:
        x, y = patterns(bench.input_shape)
    rng = np.random.default_rng(1)
    # The original's program takes its samples in the order given.
    order = [np.arange(len(x)) if bench.batch == 1 else rng.permutation(len(x)) for _ in range(ORDERS)]
    arrays = {"x": x, "y": y, "order": np.stack(order)}
    for part, array in arrays.items():
        common = folder / f"{bench.data}-{part}.npy"  # networks with the same data share it on disk
        if not common.exists():
            np.save(common, array)
        os.link(common, place / f"{part}.npy")
    np.savez(place / "parameters.npz", *initial_parameters(bench))
    (place / "bench.json").write_text(json.dumps(asdict(bench)), encoding="utf-8")
    return place


def read(place: Path, use_dropout: bool = True) -> tuple[Bench, list[np.ndarray]]:
    """The network and the initial parameters that `write` laid down; without dropout, its rates are 0."""
    fields = json.loads((place / "bench.json").read_text(encoding="utf-8"))
    layers: list[Layer] = fields.pop("layers")
    if not use_dropout:
        layers = [{**layer, "rate": 0.0} if "rate" in layer else layer for layer in layers]
    bench = Bench(layers=tuple(layers), input_shape=tuple(fields.pop("input_shape")), **fields)
    with np.load(place / "parameters.npz") as arrays:
        return bench, [arrays[f"arr_{i}"] for i in range(len(arrays))]


def write_idx(folder: Path) -> Path:
    """Write MNIST as the four raw IDX files, for programs that read those."""
    folder.mkdir(parents=True)
    for prefix, (x, y) in zip(("train", "t10k"), mnist(), strict=True):
        images = struct.pack(">4i", 0x803, *x.shape) + x.tobytes()
        labels = struct.pack(">2i", 0x801, len(y)) + y.astype(np.uint8).tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    return folder
