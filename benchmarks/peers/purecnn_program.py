"""purecnn's side of the benchmark, as a user runs it: `Network.fit`, `predict`, and `train` on one image.

A turn of training is one call of `fit` on so many batches, in an order that it draws. Its first epoch, in
which workers start and memory is taken, does not count; a step is the second epoch's time, as the history has
it, by its steps. Single losses are those that a callback is told, with the samples in the order given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import purecnn
from benchmarks.harness.machine import blas_core
from benchmarks.harness.networks import NORM_EPSILON, NORM_MOMENTUM, Bench, Layer
from benchmarks.harness.setup import mnist, read
from benchmarks.harness.worker import StepByStep, serve
from purecnn import (
    BatchNormalization,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
    Tanh,
    predict,
    train,
)
from purecnn.losses import LOSSES


def build(bench: Bench) -> list[Any]:
    """The network's layers, with the softmax that the loss categorical_cross_entropy expects."""
    layers = layers_of(bench.layers)
    if bench.loss == "categorical_cross_entropy":
        layers.append(Softmax())
    return layers


def layers_of(described: Sequence[Layer]) -> list[Any]:
    """A layer of purecnn for each that is described."""
    layers: list[Any] = []
    for layer in described:
        kind = layer["layer"]
        if kind == "conv":
            options: dict[str, Any] = {"kernel_size": layer["kernel"], "depth": layer["depth"]}
            if layer.get("same"):
                options["padding"] = "same"
            for option in ("padding", "stride", "groups", "per_position_bias"):
                if layer.get(option):
                    options[option] = layer[option]
            layers.append(Convolutional(**options))
        elif kind == "residual":
            shortcut = layers_of(layer["shortcut"]) or None
            layers.append(Residual(layers_of(layer["layers"]), shortcut))
        elif kind == "norm":
            layers.append(BatchNormalization(epsilon=NORM_EPSILON, momentum=NORM_MOMENTUM))
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
                    "global_pool": GlobalAveragePooling,
                }[kind]()
            )
    return layers


def set_parameters(layers: list[Any], arrays: list[np.ndarray]) -> None:
    """Write the given initial parameters into the bound layers."""
    given = iter(arrays)
    for layer in layers:
        for parameter in layer.parameters.values():
            parameter[...] = next(given).reshape(parameter.shape)


class Losses(Callback):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.found.append(loss)


class PureCNN:
    """The benched program in purecnn: `fit` for mini-batches, `predict` for inference."""

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
        self.order = np.load(place / "order.npy", mmap_mode="r")

    def fit(self, x: np.ndarray, y: np.ndarray, **options: Any) -> list[float]:
        """Train as a user does; returns the seconds of each epoch."""
        history = self.network.fit(
            x,
            y,
            batch_size=self.bench.batch,
            learning_rate=self.bench.rate,
            threads=self.threads,
            **options,
        )
        return history.seconds

    def losses(self, steps: int) -> list[float]:
        rows, seen = self.order[0][: steps * self.bench.batch], Losses()
        self.fit(self.x[rows], self.y[rows], shuffle=False, callbacks=seen)
        return seen.found

    def train(self, steps: int) -> float:
        """An epoch that warms up, and one of so many steps, or of all samples if these are fewer."""
        size = self.bench.batch
        samples = min(steps * size, len(self.x))
        return self.fit(self.x[:samples], self.y[:samples], epochs=2)[1] / -(-samples // size)

    def predict(self, start: int, count: int) -> np.ndarray:
        output: np.ndarray = self.network.predict(self.x[start : start + count], threads=self.threads)
        return output

    def describe(self) -> dict[str, Any]:
        return describe()


class SingleImage(StepByStep):
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
