"""One step of training: cut the batch into shards, run each, add their gradients in a tree, update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from purecnn import blas
from purecnn.errors import DivergedError
from purecnn.layer import Layer
from purecnn.losses import Loss, columns
from purecnn.optimizers import Optimizer
from purecnn.parallel import Team, add_tree, as_threads, shard_bounds, shard_count
from purecnn.samples import Targets
from purecnn.scratch import Array
from purecnn.session import Session
from purecnn.streams import DROPOUT, stream

#: Vectors longer than this are added and updated by all threads, each its own stretch.
LONG = 1 << 17


class Trainer:
    """Trains a network a batch at a time.

    The gradient of a shard belongs to the shard; everything else that a step needs belongs to the worker
    that runs it. So the bits depend on the shards alone, and memory on the workers.

    Parameters
    ----------
    network : Network
        Bound; its one flat vector of parameters is what changes.
    loss : Loss
        What to lower.
    optimizer : Optimizer
        How.
    x : ndarray
        Raw samples ``(n, values)``.
    y : Targets
        Their answers.
    batch_size : int
        Decides the number of shards.
    threads : int or None
        How many work; as many as this process may use processors where None.
    seed : int
        Of the draws in training.
    """

    def __init__(
        self,
        network: Any,
        loss: Loss,
        optimizer: Optimizer,
        x: Array,
        y: Targets,
        batch_size: int,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        layers: list[Layer] = network.steps()
        self.loss = loss
        self.joint = loss.joint is not None and type(layers[-1]).__name__ == loss.activation
        if self.joint:
            layers = layers[:-1]
        trained = [i for i, layer in enumerate(layers) if layer.parameters]
        if not trained:
            raise ValueError("this network has no parameters to train")
        self.first, self.layers = trained[0], layers
        self.network, self.optimizer, self.x, self.y, self.seed = network, optimizer, x, y, seed
        self.parameters: Array = network.parameters
        optimizer.begin(self.parameters)
        self.carried = 1.0
        self.shards = shard_count(batch_size)
        self.gradients = [np.zeros_like(self.parameters) for _ in range(self.shards)]
        self.views = [self.by_step(network.views(gradient)) for gradient in self.gradients]
        self._blas = blas.single_threaded()
        told = self._blas.__enter__()
        wanted = min(as_threads(threads), self.shards) if told else 1
        self.sessions: list[Session | None] = [None] * wanted
        self.team = Team(wanted)

    def by_step(self, views: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Return the views of the network's layers for the steps that stand for them."""
        held = iter([view for view in views if view])
        return [next(held) if layer.parameters else {} for layer in self.layers]

    def step(self, rows: Sequence[int] | Array) -> float:
        """Take one step on the samples `rows`; return their mean loss, before the step.

        Raises
        ------
        DivergedError
            If the loss is no longer finite: the parameters are left as they were before this step.
        """
        rows = np.asarray(rows)
        self.network.updates += 1
        bounds = shard_bounds(len(rows), self.shards)
        losses = [0.0] * len(bounds)
        self.carried = self.optimizer.carries

        def shard(worker: int, number: int) -> None:
            first, last = bounds[number]
            losses[number] = self.run_shard(worker, number, rows[first:last], (last - first) / len(rows))

        self.team.run(shard, len(bounds))
        loss = math.fsum(losses)
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at step {self.network.updates}: try a smaller learning rate than "
                f"{self.optimizer.learning_rate:g}"
            )
        self.update(len(bounds))
        return loss

    def run_shard(self, worker: int, number: int, rows: Array, weight: float) -> float:
        """Write the gradient of one shard; return its part of the batch's loss."""
        session = self.sessions[worker]
        if session is None:
            session = self.sessions[worker] = self.network.session(self.layers, training=True)
            session.layers[self.first].propagate = False
        for layer, gradients in zip(session.layers, self.views[number], strict=True):
            layer.gradients = gradients
            if layer.draws:
                layer.random = stream(self.seed, DROPOUT + layer.position, self.network.updates, number)
        output = session.forward(session.take(self.x, rows))
        loss, gradient = self.judge(self.y.batch(rows, output.dtype), output, weight)
        g: Array | None = gradient
        for layer in session.layers[: self.first - 1 if self.first else None : -1]:
            g = layer.backward(g)  # type: ignore[arg-type]
        return loss

    def judge(self, target: Array, output: Array, weight: float) -> tuple[float, Array]:
        """Return the loss of a shard's output times the shard's weight, and what to send back."""
        if self.joint and self.loss.joint is not None:
            loss, gradient = self.loss.joint(target, output)
        else:
            target = columns(target, output)
            loss, gradient = self.loss.function(target, output), self.loss.prime(target, output)
            gradient = np.array(gradient, output.dtype)  # a loss of one's own may return anything like it
        factor = weight * self.carried
        if factor != 1.0:
            gradient *= output.dtype.type(factor)
        return loss * weight, gradient

    def update(self, shards: int) -> None:
        """Add the shards' gradients in their tree, and let the optimizer change the parameters."""
        self.optimizer.advance()
        size, terms = self.parameters.size, self.gradients[:shards]
        parts = self.team.threads if size > LONG else 1
        edges = [size * part // parts for part in range(parts + 1)]

        def stretch(worker: int, part: int) -> None:
            add_tree(terms, slice(edges[part], edges[part + 1]))
            self.optimizer.update(self.parameters, terms[0], edges[part], edges[part + 1], self.carried)

        self.team.run(stretch, parts)

    def close(self) -> None:
        """Let the workers go and give BLAS its threads back."""
        self.team.close()
        self._blas.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
