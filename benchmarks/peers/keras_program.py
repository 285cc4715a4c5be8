"""Keras's side of the benchmark, on TensorFlow, as a user runs it: `Model.fit` on arrays in memory.

The data lies in memory as scaled float32, (n, height, width, channels). As with purecnn, a turn of training
is one call of `fit` on so many batches, in an order that it draws; its first epoch warms up, and a step is
the second epoch's time by its steps. With --jit the step is compiled by XLA, without it by TensorFlow alone.
Single losses are those of `train_on_batch`, with the samples in the order given.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.harness.networks import NORM_EPSILON, NORM_MOMENTUM, Bench, Layer, padding
from benchmarks.harness.setup import read
from benchmarks.harness.worker import Batches, serve
from benchmarks.peers.channels_last import arranged, images

EPSILON = 1e-8


class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's own, with epsilon where PyTorch has it.

    Keras adds it to the root before it corrects for the start at zero, PyTorch after: a factor of 0.03 in the
    first step, which decides what becomes of the smallest gradients.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        steps = keras.ops.cast(self.iterations + 1, variable.dtype)
        kept = keras.ops.power(keras.ops.cast(self.beta_2, variable.dtype), steps)
        self.epsilon = EPSILON * keras.ops.sqrt(1 - kept)
        super().update_step(gradient, variable, learning_rate)


class Builder:
    """Makes the layers, and keeps those that have parameters, in the order of these."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def through(self, layers: Sequence[Layer], x: Any) -> Any:
        """The output of layers on an input."""
        for layer in layers:
            x = self.one(layer, x)
        return x

    def one(self, layer: Layer, x: Any) -> Any:
        """The output of one layer."""
        kind = layer["layer"]
        if kind == "residual":
            return keras.layers.Add()([self.through(layer["layers"], x), self.through(layer["shortcut"], x)])
        if kind == "conv":
            zeros, stride = padding(layer), layer.get("stride", 1)
            same = zeros > 0 and stride == 1  # with a stride, Keras's "same" pads on one side
            if zeros and not same:
                x = keras.layers.ZeroPadding2D(zeros)(x)
            how = "same" if same else "valid"
            made = keras.layers.Conv2D(layer["depth"], layer["kernel"], strides=stride, padding=how)
        elif kind == "dense":
            made = keras.layers.Dense(layer["outputs"])
        elif kind == "norm":
            made = keras.layers.BatchNormalization(momentum=1 - NORM_MOMENTUM, epsilon=NORM_EPSILON)
        elif kind == "pool":
            made = keras.layers.MaxPooling2D(layer["size"])
        elif kind == "dropout":
            made = keras.layers.Dropout(layer["rate"], seed=0)
        else:
            made = {
                "relu": keras.layers.ReLU,
                "flatten": keras.layers.Flatten,
                "global_pool": keras.layers.GlobalAveragePooling2D,
            }[kind]()
        y = made(x)
        if made.weights and kind in ("conv", "dense", "norm"):
            self.made.append(made)
        return y


def build(bench: Bench, arrays: list[np.ndarray]) -> Any:
    """The model without its softmax, which belongs to the loss, with its first parameters."""
    channels, height, width = bench.input_shape
    builder, x = Builder(), keras.Input((height, width, channels))
    model = keras.Model(x, builder.through(bench.layers, x))
    given = iter(arranged(bench, arrays))
    for layer in builder.made:
        statistics = layer.get_weights()[2:]  # of a batch normalization
        layer.set_weights([next(given), next(given), *statistics])
    return model


class Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.begin)


class Keras:
    """The benched program in Keras."""

    def __init__(self, place: Path, compiled: bool, use_dropout: bool, dtype: str) -> None:
        keras.config.set_floatx(dtype)
        self.bench, arrays = read(place, use_dropout)
        self.model = build(self.bench, arrays)
        number = np.float64 if dtype == "float64" else float  # TensorFlow casts a float by way of float32
        self.model.compile(
            optimizer=Adam(self.bench.rate, beta_1=number(0.9), beta_2=number(0.999)),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=compiled,
        )
        self.x = images(place, self.bench, dtype)
        self.y = np.load(place / "y.npy").astype(np.int32)
        self.batches = Batches(np.load(place / "order.npy"), self.bench.batch)
        self.compiled = compiled

    def losses(self, steps: int) -> list[float]:
        found = []
        for _ in range(steps):
            rows = self.batches.next()
            self.model.reset_metrics()  # what is returned is a mean since then
            found.append(float(self.model.train_on_batch(self.x[rows], self.y[rows])))
        return found

    def train(self, steps: int) -> float:
        """An epoch that warms up, and one of so many steps, or of all samples if these are fewer."""
        size = self.bench.batch
        samples, clock = min(steps * size, len(self.x)), Epochs()
        self.model.fit(
            self.x[:samples],
            self.y[:samples],
            batch_size=size,
            epochs=2,
            verbose=0,
            callbacks=[clock],
        )
        return clock.seconds[1] / -(-samples // size)

    def describe(self) -> dict[str, Any]:
        return {
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "compiled by XLA": self.compiled,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jit", action="store_true", help="compile the step by XLA")
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--double", action="store_true", help="float64")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    keras.utils.set_random_seed(0)
    dtype = "float64" if given.double else "float32"
    serve(Keras(given.place, given.jit, not given.no_dropout, dtype))


if __name__ == "__main__":
    main()
