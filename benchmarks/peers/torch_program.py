"""PyTorch's side of the benchmark: eager, as fast as an honest program writes it.

The data lies in memory as one scaled float32 tensor, a batch is gathered by index, gradients are set to None,
the optimizer is the fused one, ReLU works in place, and nothing asks for the loss's value between steps. With
the layout channels_last, the data lies as (n, height, width, channels), so that a gathered batch needs no
conversion. With --pool-first, each max pooling is moved before the ReLU that it follows, as a user who knows
that the two commute may write it.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.harness.networks import (
    NORM_EPSILON,
    NORM_MOMENTUM,
    Bench,
    Layer,
    Shape,
    padding,
    shapes,
)
from benchmarks.harness.setup import read
from benchmarks.harness.worker import Batches, StepByStep, serve


class PositionBias(nn.Module):
    """Adds one bias at each output position, as the original's convolution does."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias


class Residual(nn.Module):
    """Adds what some modules compute to their input, or to what the shortcut makes of it."""

    def __init__(self, modules: list[nn.Module], shortcut: list[nn.Module]) -> None:
        super().__init__()
        self.inner, self.shortcut = nn.Sequential(*modules), nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.inner(x)
        return y.add_(self.shortcut(x))


class GlobalPool(nn.Module):
    """The mean of each map."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def pool_first(modules: list[nn.Module]) -> list[nn.Module]:
    """The same modules with each ReLU and max pooling pair swapped."""
    for i, (one, two) in enumerate(list(itertools.pairwise(modules))):
        if isinstance(one, nn.ReLU) and isinstance(two, nn.MaxPool2d):
            modules[i : i + 2] = [two, one]
    return modules


def build(bench: Bench) -> list[nn.Module]:
    """The network without its last softmax or sigmoid: PyTorch's losses take the values before it."""
    modules = modules_of(bench.layers, bench.input_shape)
    if bench.loss == "binary_cross_entropy":
        modules.pop()
    return modules


def modules_of(layers: Sequence[Layer], shape: Shape) -> list[nn.Module]:
    """A module for each layer, from the shape of a sample on."""
    modules: list[nn.Module] = []
    for layer, before, after in shapes(layers, shape):
        kind = layer["layer"]
        if kind == "conv":
            shared = not layer.get("per_position_bias")
            modules.append(
                nn.Conv2d(
                    before[0],
                    after[0],
                    layer["kernel"],
                    stride=layer.get("stride", 1),
                    padding=padding(layer),
                    groups=layer.get("groups", 1),
                    bias=shared,
                )
            )
            if not shared:
                modules.append(PositionBias(after))
        elif kind == "dense":
            modules.append(nn.Linear(before[0], after[0]))
        elif kind == "pool":
            modules.append(nn.MaxPool2d(layer["size"]))
        elif kind == "norm":
            modules.append(nn.BatchNorm2d(after[0], eps=NORM_EPSILON, momentum=NORM_MOMENTUM))
        elif kind == "global_pool":
            modules.append(GlobalPool())
        elif kind == "residual":
            inner, shortcut = (modules_of(layer[branch], before) for branch in ("layers", "shortcut"))
            modules.append(Residual(inner, shortcut))
        elif kind == "dropout":
            modules.append(nn.Dropout(layer["rate"]))
        else:
            made = {"relu": nn.ReLU(inplace=True), "sigmoid": nn.Sigmoid(), "flatten": nn.Flatten()}
            modules.append(made[kind])
    return modules


class Torch(StepByStep):
    """The benched program in PyTorch."""

    def __init__(
        self,
        place: Path,
        threads: int,
        layout: str = "contiguous",
        use_dropout: bool = True,
        keep_bytes: bool = False,
        pools_first: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.dtype = dtype
        self.bench, arrays = read(place, use_dropout)
        modules = build(self.bench)
        self.model = nn.Sequential(*(pool_first(modules) if pools_first else modules))
        with torch.no_grad():
            for parameter, array in zip(self.model.parameters(), arrays, strict=True):
                parameter.copy_(torch.from_numpy(array).reshape(parameter.shape))
        self.last = layout == "channels_last"
        self.model = self.model.to(dtype)
        if self.last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.train()
        self.x = self.images(np.load(place / "x.npy"), keep_bytes)
        targets = np.load(place / "y.npy")
        if self.bench.loss == "binary_cross_entropy":
            self.y = torch.from_numpy(targets.reshape(len(targets), -1))
            self.loss: nn.Module = nn.BCEWithLogitsLoss()
        else:
            self.y = torch.from_numpy(targets.astype(np.int64))
            self.loss = nn.CrossEntropyLoss()
        self.batches = Batches(torch.from_numpy(np.load(place / "order.npy")), self.bench.batch)
        self.samples = itertools.cycle(zip(self.x.split(1), self.y.split(1), strict=True))
        if self.bench.optimizer == "adam":
            self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
                self.model.parameters(), lr=self.bench.rate, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.bench.rate, fused=True)

    def images(self, x: np.ndarray, keep_bytes: bool) -> torch.Tensor:
        """The data as this layout wants it: (n, C, H, W), or (n, H, W, C) for channels_last."""
        x = x.reshape(len(x), *self.bench.input_shape)
        if self.last:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        images = torch.from_numpy(x)
        return images if keep_bytes or x.dtype != np.uint8 else images.to(self.dtype).div_(255)

    def input(self, images: torch.Tensor) -> torch.Tensor:
        """What the model takes, from rows of the data."""
        if images.dtype == torch.uint8:
            images = images.to(self.dtype).mul_(1 / 255)
        return images.permute(0, 3, 1, 2) if self.last else images

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch, gathered; single images, taken in the order given, need no gathering."""
        if self.bench.batch == 1:
            return next(self.samples)
        rows = self.batches.next()
        return self.x[rows], self.y[rows]

    def train_step(self) -> torch.Tensor:
        x, y = self.next()
        self.optimizer.zero_grad(set_to_none=True)
        loss: torch.Tensor = self.loss(self.model(self.input(x)), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss

    def loss_value(self, loss: torch.Tensor) -> float:
        return loss.item()

    def train(self, steps: int) -> None:
        self.model.train()
        super().train(steps)

    def predict(self, start: int, count: int) -> np.ndarray:
        self.model.eval()
        with torch.inference_mode():
            output = self.model(self.input(self.x[start : start + count]))
            return torch.softmax(output, 1).numpy()

    def describe(self) -> dict[str, Any]:
        return {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "capability": torch.backends.cpu.get_cpu_capability(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--bytes", action="store_true", help="keep bytes, scale each batch: less memory")
    parser.add_argument("--pool-first", action="store_true")
    parser.add_argument("--double", action="store_true", help="float64")
    given = parser.parse_args()
    program = Torch(
        given.place,
        given.threads,
        given.layout,
        use_dropout=not given.no_dropout,
        keep_bytes=given.bytes,
        pools_first=given.pool_first,
        dtype=torch.float64 if given.double else torch.float32,
    )
    serve(program)


if __name__ == "__main__":
    main()
