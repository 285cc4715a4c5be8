"""A step of a small network of signals beside the same work on images and beside PyTorch, on one core.

    python -m benchmarks.signals [--turns 40]

Three convolutions (16, 32 and 32 maps, windows of 5, 5 and 3), each with ReLU and a max pooling of 2, on 64
signals of 2 channels and 256 values, without and with batch normalization: as signals, as images of one row,
as images of 16 x 16 with the same numbers of products, and in PyTorch, where it is installed. The steps take
turns, in an order that is drawn anew for each.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import machine
from purecnn import (
    SGD,
    BatchNormalization,
    Convolutional,
    Convolutional1D,
    Dense,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    MaxPooling,
    MaxPooling1D,
    Network,
    ReLU,
    Softmax,
)
from purecnn.losses.registry import as_loss
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings
from purecnn.training.targets import Targets

SAMPLES, CHANNELS, LENGTH = 64, 2, 256
#: Maps and window of each convolution.
STAGES = ((16, 5), (32, 5), (32, 3))
SHAPES = {"signals": (CHANNELS, LENGTH), "one row": (CHANNELS, 1, LENGTH), "square": (CHANNELS, 16, 16)}


def layers(kind: str, normalizes: bool) -> list[Any]:
    """Return the network's layers for samples of one kind."""
    found: list[Any] = []
    for depth, size in STAGES:
        if kind == "signals":
            convolution: Any = Convolutional1D(kernel_size=size, depth=depth, padding=size // 2)
            pool: Any = MaxPooling1D(2)
        else:
            convolution = Convolutional(kernel_size=(1, size), depth=depth, padding=(0, size // 2))
            pool = MaxPooling((1, 2) if kind == "one row" else (2, 1))
        found += [convolution, *([BatchNormalization()] if normalizes else []), ReLU(), pool]
    mean = GlobalAveragePooling1D() if kind == "signals" else GlobalAveragePooling()
    return [*found, mean, Dense(output_size=4), Softmax()]


def own_step(kind: str, normalizes: bool, x: Any, y: Any) -> Callable[[], Any]:
    """Return what takes a step of this package's."""
    network = Network(layers(kind, normalizes), input_shape=SHAPES[kind])
    rows = network.as_rows(x.reshape(SAMPLES, *SHAPES[kind]))
    settings = FitSettings(
        loss=as_loss("categorical_cross_entropy"), optimizer=SGD(0.01), batch_size=SAMPLES, threads=1
    )
    trainer = HostTrainer(network, rows, Targets(y), settings).__enter__()
    return functools.partial(trainer.step, np.arange(SAMPLES))


def torch_step(normalizes: bool, x: Any, y: Any) -> Callable[[], Any]:
    """Return what takes a step of PyTorch's."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    parts: list[Any] = []
    channels = CHANNELS
    for depth, size in STAGES:
        parts.append(nn.Conv1d(channels, depth, size, padding=size // 2))
        parts += [nn.BatchNorm1d(depth)] if normalizes else []
        parts += [nn.ReLU(inplace=True), nn.MaxPool1d(2)]
        channels = depth
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    samples, answers = torch.tensor(x), torch.tensor(y)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(samples), answers).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print milliseconds a step, and how many times as long as that of signals it is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    rng, order = np.random.default_rng(0), random.Random(0)
    x = rng.standard_normal((SAMPLES, CHANNELS, LENGTH)).astype(np.float32)
    y = rng.integers(0, 4, SAMPLES)
    found = machine.describe()
    print(", ".join(f"{name} {told}" for name, told in found.items()))
    for normalizes in (False, True):
        steps = {kind: own_step(kind, normalizes, x, y) for kind in SHAPES}
        try:
            steps["PyTorch"] = torch_step(normalizes, x, y)
        except ImportError:
            print("PyTorch is not installed")
        spent: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(turns + 3):
            for name in order.sample(sorted(steps), len(steps)):
                begin = time.perf_counter()
                steps[name]()
                if turn >= 3:
                    spent[name].append(1e3 * (time.perf_counter() - begin))
        medians = {name: statistics.median(times) for name, times in spent.items()}
        told = (f"{name} {ms:.2f} ms ({ms / medians['signals']:.2f})" for name, ms in medians.items())
        print("with batch normalization:" if normalizes else "plain:", ", ".join(told))


if __name__ == "__main__":
    main()
