"""JAX's side of the benchmark: one compiled function a step, as fast as an honest program writes it.

The data lies in memory as one scaled float32 array, (n, height, width, channels); a batch is gathered
within the compiled step, whose state is donated, so that the update works in place. Adam is written out.
Nothing asks for the loss's value between steps. A max pooling is a maximum over a reshaped array: its
derivative takes less time than that of `reduce_window`, and is the same, since only zeros behind a ReLU are
equal.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.harness.machine import cores
from benchmarks.harness.networks import NORM_EPSILON, NORM_MOMENTUM, Bench, Layer, padding, parts
from benchmarks.harness.setup import read
from benchmarks.harness.worker import Batches, StepByStep, serve
from benchmarks.peers.channels_last import arranged, images

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Pass:
    """One pass of a batch in training: takes the parameters and the running statistics in their order."""

    def __init__(self, parameters: Sequence[Any], running: Sequence[Any], key: Any) -> None:
        self.parameters, self.running, self.key = iter(parameters), iter(running), key
        self.moved: list[Any] = []  # the running statistics after this batch

    def through(self, layers: Sequence[Layer], x: Any) -> Any:
        """What layers make of a batch."""
        for layer in layers:
            x = getattr(self, layer["layer"])(layer, x)
        return x

    def conv(self, layer: Layer, x: Any) -> Any:
        kernels, bias = next(self.parameters), next(self.parameters)
        x = lax.conv_general_dilated(
            x,
            kernels,
            (layer.get("stride", 1),) * 2,
            [(padding(layer),) * 2] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return x + bias

    def dense(self, _layer: Layer, x: Any) -> Any:
        return x @ next(self.parameters) + next(self.parameters)

    def norm(self, _layer: Layer, x: Any) -> Any:
        gamma, beta = next(self.parameters), next(self.parameters)
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        unbiased = variance * (x[..., 0].size / (x[..., 0].size - 1))
        for value in (mean, unbiased):
            self.moved.append((1 - NORM_MOMENTUM) * next(self.running) + NORM_MOMENTUM * value)
        return (x - mean) * (gamma * lax.rsqrt(variance + NORM_EPSILON)) + beta

    def residual(self, layer: Layer, x: Any) -> Any:
        return self.through(layer["layers"], x) + self.through(layer["shortcut"], x)

    def relu(self, _layer: Layer, x: Any) -> Any:
        return jax.nn.relu(x)

    def pool(self, layer: Layer, x: Any) -> Any:
        size, (n, height, width, channels) = layer["size"], x.shape
        rows, columns = height // size, width // size
        x = x[:, : rows * size, : columns * size]
        return x.reshape(n, rows, size, columns, size, channels).max((2, 4))

    def global_pool(self, _layer: Layer, x: Any) -> Any:
        return x.mean((1, 2))

    def flatten(self, _layer: Layer, x: Any) -> Any:
        return x.reshape(len(x), -1)

    def dropout(self, layer: Layer, x: Any) -> Any:
        if not layer["rate"]:
            return x
        self.key, key = jax.random.split(self.key)
        kept = jax.random.bernoulli(key, 1 - layer["rate"], x.shape)
        return jnp.where(kept, x / (1 - layer["rate"]), 0)


def loss_of(bench: Bench, parameters: list[Any], running: list[Any], key: Any, x: Any, y: Any) -> Any:
    """The mean cross-entropy, and the running statistics after it."""
    run = Pass(parameters, running, key)
    scores = jax.nn.log_softmax(run.through(bench.layers, x))
    return -jnp.take_along_axis(scores, y[:, None], 1).mean(), run.moved


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def step(program: Jax, state: dict[str, Any], x: Any, y: Any, rows: Any) -> tuple[dict[str, Any], Any]:
    """One step of Adam on some rows of the data."""
    key, used = jax.random.split(state["key"])
    differentiated = jax.value_and_grad(partial(loss_of, program.bench), has_aux=True)
    (loss, running), gradients = differentiated(state["parameters"], state["running"], used, x[rows], y[rows])
    t = state["steps"] + 1
    means = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(state["means"], gradients, strict=True)]
    squares = [BETA_2 * v + (1 - BETA_2) * g * g for v, g in zip(state["squares"], gradients, strict=True)]
    rate, correction = program.bench.rate / (1 - BETA_1**t), 1 / (1 - BETA_2**t)
    parameters = [
        p - rate * m / (jnp.sqrt(v * correction) + EPSILON)
        for p, m, v in zip(state["parameters"], means, squares, strict=True)
    ]
    after = {"parameters": parameters, "means": means, "squares": squares}
    return {**after, "running": running, "key": key, "steps": t}, loss


class Jax(StepByStep):
    """The benched program in JAX."""

    def __init__(self, place: Path, use_dropout: bool, dtype: str) -> None:
        self.bench, arrays = read(place, use_dropout)
        # What is donated must be the program's own, hence copies.
        self.state = {
            name: [jnp.array(make(array.astype(dtype))) for array in arranged(self.bench, arrays)]
            for name, make in (("parameters", np.copy), ("means", np.zeros_like), ("squares", np.zeros_like))
        }
        self.state["running"] = [jnp.array(array) for array in self.statistics(dtype)]
        self.state |= {"key": jax.random.key(0, impl="rbg"), "steps": jnp.zeros((), dtype)}
        self.x = jnp.asarray(images(place, self.bench, dtype))
        self.y = jnp.asarray(np.load(place / "y.npy").astype(np.int32))
        self.batches = Batches(np.load(place / "order.npy").astype(np.int32), self.bench.batch)

    def statistics(self, dtype: str) -> Iterator[np.ndarray]:
        """The first running mean and variance of each batch normalization."""
        for layer, _, after in parts(self.bench.layers, self.bench.input_shape):
            if layer["layer"] == "norm":
                yield from (np.zeros(after[0], dtype), np.ones(after[0], dtype))

    def train_step(self) -> Any:
        self.state, loss = step(self, self.state, self.x, self.y, self.batches.next())
        return loss

    def train(self, steps: int) -> None:
        super().train(steps)
        jax.block_until_ready(self.state)

    def describe(self) -> dict[str, Any]:
        return {"jax": jax.__version__, "threads": cores()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--double", action="store_true", help="float64")
    given = parser.parse_args()
    # XLA takes a thread for each core that the process may use, and has no setting of its own.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    jax.config.update("jax_enable_x64", given.double)
    serve(Jax(given.place, not given.no_dropout, "float64" if given.double else "float32"))


if __name__ == "__main__":
    main()
