"""purecnn's side of the benchmark, through its public layers and its trainer."""

from __future__ import annotations

import argparse
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import purecnn
from benchmarks.harness.machine import blas_core
from benchmarks.harness.networks import Bench
from benchmarks.harness.setup import mnist, read
from benchmarks.harness.worker import Batches, serve
from purecnn import (
    Adam,
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    predict,
    train,
)
from purecnn.backend.processes import VARIABLE, WorkerKind, can_fork
from purecnn.losses import LOSSES, as_loss
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings


def build(bench: Bench) -> list[Any]:
    """The network's layers, with the softmax that the loss categorical_cross_entropy expects."""
    layers: list[Any] = []
    for layer in bench.layers:
        kind = layer["layer"]
        if kind == "conv":
            options: dict[str, Any] = {"kernel_size": layer["kernel"], "depth": layer["depth"]}
            if layer.get("same"):
                options["padding"] = "same"
            if layer.get("groups"):
                options["groups"] = layer["groups"]
            if layer.get("per_position_bias"):
                options["per_position_bias"] = True
            layers.append(Convolutional(**options))
        elif kind == "dense":
            layers.append(Dense(output_size=layer["outputs"]))
        elif kind == "pool":
            layers.append(MaxPooling(layer["size"]))
        elif kind == "dropout":
            layers.append(Dropout(layer["rate"]))
        else:
            layers.append(
                {
                    "relu": ReLU,
                    "sigmoid": Sigmoid,
                    "tanh": Tanh,
                    "flatten": Flatten,
                    "norm": BatchNormalization,
                }[kind]()
            )
    if bench.loss == "categorical_cross_entropy":
        layers.append(Softmax())
    return layers


def set_parameters(layers: list[Any], arrays: list[np.ndarray]) -> None:
    """Write the given initial parameters into the bound layers."""
    given = iter(arrays)
    for layer in layers:
        for parameter in layer.parameters.values():
            parameter[...] = next(given).reshape(parameter.shape)


class PureCNN:
    """The benched program in purecnn: a `HostTrainer` for mini-batches, `predict` for inference."""

    def __init__(self, place: Path, threads: int, use_dropout: bool, packaged: bool, dtype: str) -> None:
        self.bench, arrays = read(place, use_dropout)
        self.threads = threads
        if packaged:
            (self.x, self.y), _ = mnist()
        else:
            self.x, self.y = np.load(place / "x.npy"), np.load(place / "y.npy")
        self.network = Network(build(self.bench), seed=0, dtype=dtype)
        self.network.bind(self.bench.input_shape)
        self.network.preprocessing.learn(self.x)
        set_parameters(list(self.network), arrays)
        self.batches = Batches(np.load(place / "order.npy"), self.bench.batch)

    @cached_property
    def trainer(self) -> HostTrainer:
        """What `fit` trains with; made when training is first asked for, since it sets BLAS's threads."""
        if can_fork():  # at once, as a long fit has them
            os.environ.setdefault(VARIABLE, WorkerKind.FORK)
        rows = self.network.as_rows(self.x)
        settings = FitSettings(
            loss=as_loss(self.bench.loss),
            optimizer=Adam(learning_rate=self.bench.rate),
            batch_size=self.bench.batch,
            threads=self.threads,
        )
        return HostTrainer(self.network, rows, self.network.targets(self.y, len(rows)), settings)

    def train_step(self) -> float:
        return float(self.trainer.step(self.batches.next()))

    def loss_value(self, loss: float) -> float:
        return loss

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.trainer.step(self.batches.next())

    def predict(self, start: int, count: int) -> np.ndarray:
        output: np.ndarray = self.network.predict(self.x[start : start + count], threads=self.threads)
        return output

    def describe(self) -> dict[str, Any]:
        return describe()


class SingleImage:
    """The original's training: `train` on a list of layers, one image at a time, plain SGD."""

    def __init__(self, place: Path) -> None:
        self.bench, arrays = read(place)
        self.x, self.y = np.load(place / "x.npy"), np.load(place / "y.npy")
        self.layers, self.at = build(self.bench), 0
        predict(self.layers, self.x[0])  # binds the layers to their shapes
        set_parameters(self.layers, arrays)

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
        loss, rate = LOSSES[self.bench.loss], self.bench.rate
        train(self.layers, loss.function, loss.prime, x, y, epochs, learning_rate=rate, verbose=False)

    def train_step(self) -> float:
        x, y = self.x[self.at], self.y[self.at]
        self.at = (self.at + 1) % len(self.x)
        loss = float(LOSSES[self.bench.loss].function(y, predict(self.layers, x)))
        self.fit(x[None], y[None], 1)
        return loss

    def loss_value(self, loss: float) -> float:
        return loss

    def train(self, steps: int) -> None:
        """Whole epochs, as the original trains; `steps` is a multiple of the number of images."""
        self.fit(self.x, self.y, steps // len(self.x))

    def describe(self) -> dict[str, Any]:
        return describe()


def describe() -> dict[str, Any]:
    """Versions and the BLAS kernels in use."""
    versions = {"purecnn": purecnn.__version__, "numpy": np.__version__}
    return {**versions, "blas core": blas_core()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--packaged", action="store_true", help="train on MNIST as the package carries it")
    parser.add_argument("--double", action="store_true", help="float64")
    given = parser.parse_args()
    if read(given.place)[0].batch == 1:
        serve(SingleImage(given.place))
    else:
        dtype = "float64" if given.double else "float32"
        serve(PureCNN(given.place, given.threads, not given.no_dropout, given.packaged, dtype))


if __name__ == "__main__":
    main()
