"""One step of training: cut the batch into shards, run each, add their gradients in a tree, update."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from purecnn import blas
from purecnn.activation import Activation
from purecnn.crew import Crew, can_fork, shared_zeros
from purecnn.errors import DivergedError, ShapeError
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

#: Kinds of jobs.
SHARDS, STRETCHES = 0, 1


def is_own(part: object) -> bool:
    """Return whether `part` is of this package, and so safe to run in a process of its own.

    What users write may print, count or keep things, and so runs in threads, where they can see it.
    """
    kind = part if callable(part) and not isinstance(part, Layer) else type(part)
    return kind.__module__.startswith("purecnn.") and kind is not Activation


def leaves(layer: Layer, trained: bool = True) -> Iterator[tuple[int, bool]]:
    """Yield how many parameters a layer, or each one inside it, has, and whether training changes them."""
    trained, inside = trained and layer.trainable, layer.inside()
    if not inside:
        yield sum(parameter.size for parameter in layer.parameters.values()), trained
    for part in inside.values():
        yield from leaves(part, trained)


def trained_spans(layers: Iterable[Layer]) -> list[tuple[int, int]]:
    """Return where the flat vector holds parameters that training changes: first and last of each stretch.

    Examples
    --------
    >>> from purecnn import Dense
    >>> layers = [Dense(2, 3, rng=0), Dense(3, 1, rng=0), Dense(1, 1, rng=0)]
    >>> trained_spans(layers)
    [(0, 15)]
    >>> layers[1].trainable = False
    >>> trained_spans(layers)
    [(0, 9), (13, 15)]
    """
    found: list[tuple[int, int]] = []
    stop = 0
    for size, trained in (leaf for layer in layers for leaf in leaves(layer)):
        start, stop = stop, stop + size
        if not trained or not size:
            continue
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, stop))
    return found


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
        if not any(layer.parameters and layer.trainable for layer in network):
            frozen = any(layer.parameters for layer in network)
            raise ValueError(
                f"this network has no parameters to train{': its layers are all frozen' if frozen else ''}"
            )
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.x, self.y, self.seed = x, y, seed
        self.shards = shard_count(batch_size)
        self._blas = blas.single_threaded()
        told = self._blas.__enter__()
        try:
            workers = min(as_threads(threads), self.shards) if told else 1
            own = all(map(is_own, (*network, optimizer, loss.function, loss.prime)))
            self.team = self.gather_team(workers, batch_size, workers > 1 and own and can_fork())
        except BaseException:
            self._blas.__exit__(None, None, None)
            raise

    def gather_team(self, workers: int, batch_size: int, forks: bool) -> Crew | Team:
        """Lay out what a step needs, in shared memory where workers are processes, and gather the workers."""
        zeros, network = shared_zeros if forks else np.zeros, self.network
        if forks:
            network.move(shared_zeros(network.parameters.size, network.dtype))
        layers: list[Layer] = network.steps()
        self.joint = self.loss.joint is not None and type(layers[-1]).__name__ == self.loss.activation
        self.layers = layers[:-1] if self.joint else layers
        self.first = next(i for i, layer in enumerate(layers) if layer.parameters and layer.trainable)
        self.spans = trained_spans(network)
        self.parameters: Array = network.parameters
        self.optimizer.begin(self.parameters, zeros)
        self.gradients = [zeros(self.parameters.size, network.dtype) for _ in range(self.shards)]
        # What a frozen layer's backward pass writes goes nowhere: its stretch of the gradients stays zero.
        nowhere = self.by_step(network.views(np.zeros(self.parameters.size, network.dtype)))
        self.views = [
            [
                view if layer.trainable else unread
                for layer, view, unread in zip(
                    self.layers, self.by_step(network.views(gradient)), nowhere, strict=True
                )
            ]
            for gradient in self.gradients
        ]
        # What a step is about, for every worker to read, and what it found.
        self.rows, self.losses = zeros(batch_size, np.int64), zeros(self.shards, np.float64)
        self.numbers, self.factors = zeros(3, np.int64), zeros(8, np.float64)
        self.sessions: list[Session | None] = [None] * workers
        self.forks = forks
        if not forks:
            return Team(workers, self.work)
        try:
            return Crew(workers, self.work)
        except OSError:  # no process or no semaphore to be had: threads give the same bits
            self.forks = False
            return Team(workers, self.work)

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
        self.network.updates += 1
        self.carried = self.optimizer.learning_rate if self.optimizer.descends else 1.0
        if self.shards == 1:
            loss = self.run_shard(0, 0, np.asarray(rows), 1.0)
            self.check(loss)
            self.optimizer.advance()
            if not self.sweeps(rows):
                self.update(1, 0, self.parameters.size)
            return loss
        self.rows[: len(rows)] = rows
        shards = len(shard_bounds(len(rows), self.shards))
        self.numbers[:] = SHARDS, len(rows), self.network.updates
        self.factors[0] = self.carried
        self.team.run(shards)
        loss = math.fsum(self.losses[:shards])
        self.check(loss)
        self.optimizer.advance()
        if self.parameters.size <= LONG or len(self.sessions) == 1:
            self.update(shards, 0, self.parameters.size)
        else:
            self.numbers[:] = STRETCHES, shards, self.optimizer.steps
            if self.forks:
                settings = list(self.optimizer.configuration().values())
                self.factors[1 : 1 + len(settings)] = settings
            self.team.run(len(self.sessions))
        return loss

    def sweeps(self, rows: Sequence[int] | Array) -> bool:
        """Return whether the backward sweep takes the step on its way, as the original program's does.

        For one sample: then a dense layer's gradient, as large as the layer, need not go through memory.
        """
        return self.shards == 1 and len(rows) == 1 and self.optimizer.descends

    def check(self, loss: float) -> None:
        """Raise `DivergedError` if the loss is no longer finite."""
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at step {self.network.updates}: try a smaller learning rate than "
                f"{self.optimizer.learning_rate:g}"
            )

    def work(self, worker: int, number: int) -> None:
        """Do one job of a step in whatever thread or process this is: a shard, or a stretch of the update."""
        kind, count, step = map(int, self.numbers)
        self.carried = float(self.factors[0])
        if kind == SHARDS:
            first, last = shard_bounds(count, self.shards)[number]
            self.network.updates = step
            rows, weight = self.rows[first:last], (last - first) / count
            self.losses[number] = self.run_shard(worker, number, rows, weight)
        else:
            if worker and self.forks:  # there the optimizer is a copy
                for name, value in zip(self.optimizer.configuration(), self.factors[1:], strict=False):
                    setattr(self.optimizer, name, float(value))
                self.optimizer.steps = step
            size, parts = self.parameters.size, len(self.sessions)
            self.update(count, size * number // parts, size * (number + 1) // parts)

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
        sweeps = self.sweeps(rows)
        if sweeps:
            self.check(loss)
        g: Array | None = gradient
        for layer in session.layers[: self.first - 1 if self.first else None : -1]:
            g = layer.descend(g) if sweeps and layer.trainable else layer.backward(g)  # type: ignore[arg-type]
        return loss

    def judge(self, target: Array, output: Array, weight: float) -> tuple[float, Array]:
        """Return the loss of a shard's output times the shard's weight, and what to send back."""
        if self.joint and self.loss.joint is not None:
            loss, gradient = self.loss.joint(target, output)
        else:
            target = columns(target, output)
            loss, gradient = self.own(
                self.loss.function(target, output), self.loss.prime(target, output), output
            )
        factor = weight * self.carried
        if factor != 1.0:
            gradient *= output.dtype.type(factor)
        return loss * weight, gradient

    def own(self, loss: Any, gradient: Any, output: Array) -> tuple[float, Array]:
        """Check what the two functions of a loss returned: a user may have written them."""
        if np.ndim(loss) or not isinstance(loss, int | float | np.number):
            raise TypeError(f"loss must return a number, got {type(loss).__name__} {loss!r}")
        if np.shape(gradient) != output.shape:
            raise ShapeError(
                f"loss_prime must return an array like the prediction, {output.shape}, "
                f"got {np.shape(gradient)}"
            )
        found = np.array(gradient, output.dtype)
        if not is_own(self.loss.prime) and not np.isfinite(found).all():
            raise DivergedError(f"loss_prime returned a NaN or infinity at step {self.network.updates}")
        return float(loss), found

    def update(self, shards: int, start: int, stop: int) -> None:
        """Add a stretch of the shards' gradients in their tree, and let the optimizer do its work on it.

        Only what layers that are not frozen have of it: the others keep their parameters and their state.
        """
        terms = self.gradients[:shards]
        for span in self.spans:
            first, last = max(span[0], start), min(span[1], stop)
            if first < last:
                add_tree(terms, slice(first, last))
                self.optimizer.update(self.parameters, terms[0], first, last, self.carried)

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
