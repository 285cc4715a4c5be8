"""One step of training: cut the batch into shards, run each, add their gradients in a tree, update."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from purecnn import blas
from purecnn.activation import Activation
from purecnn.augmentation import Augmentation
from purecnn.barrier import Zeros, is_barrier
from purecnn.crew import Crew, can_fork, shared_zeros
from purecnn.dataset import Rows
from purecnn.errors import DivergedError, ShapeError
from purecnn.freezing import trained_spans
from purecnn.layer import Layer
from purecnn.loss import Loss, columns
from purecnn.optimizer import BLOCK, Optimizer, write_squares
from purecnn.parallel import Team, add_tree, as_threads, shard_bounds, shard_count
from purecnn.penalties import Penalty, mark_weights
from purecnn.samples import Targets
from purecnn.scratch import Array
from purecnn.session import Session
from purecnn.streams import DROPOUT, stream

if TYPE_CHECKING:
    from purecnn.prefetch import Prefetcher

#: Vectors longer than this are added and updated by all threads, each its own stretch.
LONG = 1 << 17

#: Kinds of jobs: a shard, or a stretch of the vector: the sum of its gradients, its update, or both in one go
#: where nothing of the whole sum need be known before.
SHARDS, SUMS, UPDATES, STRETCHES = range(4)


def is_own(part: object) -> bool:
    """Return whether `part` is of this package, and so safe to run in a process of its own.

    What users write may print, count or keep things, and so runs in threads, where they can see it.
    """
    kind = part if callable(part) and not isinstance(part, Layer) else type(part)
    return kind.__module__.startswith("purecnn.") and kind is not Activation


class Trainer:
    """Trains a network a batch at a time.

    The gradient of a shard belongs to the shard; everything else that a step needs belongs to the worker
    that runs it. So the bits depend on the shards alone, and memory on the workers. Where a layer needs the
    whole batch, shards run from one meeting to the next, and what they need belongs to them.

    Parameters
    ----------
    network : Network
        Bound; its one flat vector of parameters is what changes.
    loss : Loss
        What to lower.
    optimizer : Optimizer
        How.
    x : ndarray or Rows
        Raw samples ``(n, values)``.
    y : Targets
        Their answers.
    batch_size : int
        Decides the number of shards.
    threads : int or None
        How many work; as many as this process may use processors where None.
    seed : int
        Of the draws in training.
    augmentation : Augmentation, optional
        How to change the images of each step.
    l1, l2 : float
        What the weights cost (`Penalty`).
    """

    def __init__(
        self,
        network: Any,
        loss: Loss,
        optimizer: Optimizer,
        x: Array | Rows,
        y: Targets,
        batch_size: int,
        threads: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        *,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        if not any(layer.parameters and layer.trainable for layer in network):
            frozen = any(layer.parameters for layer in network)
            raise ValueError(
                f"this network has no parameters to train{': its layers are all frozen' if frozen else ''}"
            )
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.x, self.y, self.seed, self.augmentation = x, y, seed, augmentation
        self.prefetcher: Prefetcher | None = None
        self.shards = shard_count(batch_size)
        self.weights: Array | None = None
        if l1 or l2 or not optimizer.decay_biases:
            self.weights = np.zeros(network.parameters.size, network.dtype)
            views = network.views(self.weights)
            mark_weights(view for layer, view in zip(network, views, strict=True) if layer.trainable)
        self.penalty = Penalty(l1, l2, self.weights) if self.weights is not None and (l1 or l2) else None
        self._blas = blas.single_threaded()
        told = self._blas.__enter__()
        try:
            workers = min(as_threads(threads), self.shards) if told else 1
            parts = [part for layer in network for part in (layer, *layer.parts())]
            own = all(map(is_own, (*parts, optimizer, loss.function, loss.prime)))
            self.barriers = [part for part in parts if is_barrier(part)]
            self.check_batch(batch_size)
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
        self.optimizer.begin(self.parameters, zeros, self.weights)
        self.settings = self.optimizer.numbers()
        self.squares = zeros(-(-self.parameters.size // BLOCK), np.float64)
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
        self.numbers, self.factors = zeros(3, np.int64), zeros(1 + len(self.settings), np.float64)
        self.places = zeros(batch_size, np.int64)
        if isinstance(self.x, Rows):
            from purecnn.prefetch import Prefetcher  # here, since few need it and its import takes a while

            self.prefetcher = Prefetcher(self.x, batch_size, zeros)
            self.x = self.prefetcher.buffer
        self.workers, self.forks = workers, forks
        self.plan_meetings(zeros)
        self.sessions: list[Session | None] = [None] * (self.shards if self.meetings else workers)
        if not forks:
            return Team(workers, self.work)
        try:
            return Crew(workers, self.work)
        except OSError:  # no process or no semaphore to be had: threads give the same bits
            self.forks = False
            return Team(workers, self.work)

    def check_batch(self, samples: int) -> None:
        """Raise `ValueError` if a batch of so many samples is too small for a layer."""
        for layer in self.barriers:
            layer.check_batch(samples)

    def plan_meetings(self, zeros: Zeros) -> None:
        """Lay out what the shards tell each other where a layer needs the whole batch, and in which order.

        Between two meetings shards run side by side. What a shard's replicas hold must last from one to the
        next, so with meetings a session belongs to a shard, not to a worker.
        """
        barriers = {i: layer for i, layer in enumerate(self.layers) if is_barrier(layer)}
        self.meetings = {place: layer.place(self.shards, zeros) for place, layer in barriers.items()}
        self.remembering = [(layer, self.meetings[place]) for place, layer in barriers.items()]
        back = [meeting.meet_back for place, meeting in self.meetings.items() if place > self.first]
        self.agenda = [meeting.meet for meeting in self.meetings.values()] + back[::-1]
        self.leg = zeros(1, np.int64)
        self.courses: dict[int, tuple[int, int, Iterator[None]]] = {}

    def by_step(self, views: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Return the views of the network's layers for the steps that stand for them."""
        arrays = (array for view in views for array in view.values())
        return [{name: next(arrays) for name in layer.parameters} for layer in self.layers]

    def step(self, rows: Sequence[int] | Array, following: Sequence[int] | Array = ()) -> float:
        """Take one step on the samples `rows`; return their mean loss, before the step.

        Those of the step after it, `following`, are read ahead where the data lie outside of memory.

        Raises
        ------
        DivergedError
            If the loss is no longer finite: the parameters are left as they were before this step.
        """
        rows = np.asarray(rows)
        places = self.prefetcher.places(rows, np.asarray(following)) if self.prefetcher else rows
        self.network.updates += 1
        if not self.y.weight(rows):
            return 0.0  # no sample of them counts, so there is nothing to learn
        self.carried = self.optimizer.learning_rate if self.descends else 1.0
        shards = 1
        if self.shards == 1 and not self.meetings:
            loss = self.run_shard(0, 0, rows, places, 1.0)
        else:
            loss, shards = self.run_shards(rows, places)
        if self.penalty:
            loss += self.penalty.cost(self.parameters)
        self.check(loss)
        for layer, meeting in self.remembering:
            layer.remember(meeting)
        if self.sweeps(rows):
            self.optimizer.advance()
        else:
            self.update(shards)
        return loss

    def run_shards(self, rows: Array, places: Array) -> tuple[float, int]:
        """Have all shards of a batch run, from one meeting to the next; return their loss and number."""
        self.rows[: len(rows)], self.places[: len(rows)] = rows, places
        shards = len(shard_bounds(len(rows), self.shards))
        self.numbers[:] = SHARDS, len(rows), self.network.updates
        self.factors[0], self.leg[0] = self.carried, 0
        self.team.run(shards)
        for meet in self.agenda:
            meet(shards)
            self.leg[0] += 1
            self.team.run(shards)
        return math.fsum(self.losses[:shards]), shards

    @property
    def descends(self) -> bool:
        """Whether the step is ``p -= rate g`` with the loss's own derivative g, and no more."""
        return self.optimizer.descends and self.penalty is None

    def sweeps(self, rows: Sequence[int] | Array) -> bool:
        """Return whether the backward sweep takes the step on its way, as the original program's does.

        For one sample: then a dense layer's gradient, as large as the layer, need not go through memory.
        """
        return self.shards == 1 and len(rows) == 1 and self.descends and not self.meetings

    def check(self, value: float, name: str = "loss") -> None:
        """Raise `DivergedError` if the loss, or what `name` says, is no longer finite."""
        if not math.isfinite(value):
            raise DivergedError(
                f"the {name} became {value} at step {self.network.updates}: try a smaller learning rate than "
                f"{self.optimizer.learning_rate:g}"
            )

    def work(self, worker: int, number: int) -> None:
        """Do one job of a step in whatever thread or process this is: a shard, or a stretch of the update."""
        kind, count, step = map(int, self.numbers)
        self.carried = float(self.factors[0])
        if kind == SHARDS:
            first, last = shard_bounds(count, self.shards)[number]
            self.network.updates = step
            rows, places = self.rows[first:last], self.places[first:last]
            weight = self.y.weight(rows) / self.y.weight(self.rows[:count])
            if self.meetings:
                self.go_on(number, rows, places, weight)
            else:
                self.run_shard(worker, number, rows, places, weight)
            return
        if worker and self.forks and kind != SUMS:  # there the optimizer is a copy
            for name, value in zip(self.settings, self.factors[1:], strict=True):
                setattr(self.optimizer, name, float(value))
            self.optimizer.steps = step
        blocks, parts = len(self.squares), self.workers
        start = blocks * number // parts * BLOCK
        stop = min(blocks * (number + 1) // parts * BLOCK, self.parameters.size)
        if kind != UPDATES:
            self.add(count, start, stop)
        if kind == SUMS:
            write_squares(self.gradients[0], start, stop, self.squares)
        else:
            self.descend(start, stop)

    def run_shard(self, worker: int, number: int, rows: Array, places: Array, weight: float) -> float:
        """Write the gradient of one shard, whose samples lie at `places`; return its part of the loss."""
        for _ in self.course(worker, number, rows, places, weight):
            pass
        return float(self.losses[number])

    def go_on(self, number: int, rows: Array, places: Array, weight: float) -> None:
        """Go on with a shard to its next meeting, or to the end."""
        step, leg = self.network.updates, int(self.leg[0])
        held, done, course = self.courses.get(number, (-1, 0, iter(())))
        if (held, done) != (step, leg):  # a new step, or a shard whose own worker failed
            done, course = 0, self.course(number, number, rows, places, weight)
        for _ in range(done, leg + 1):
            next(course, None)
        self.courses[number] = step, leg + 1, course

    def course(self, at: int, number: int, rows: Array, places: Array, weight: float) -> Iterator[None]:
        """Write the gradient of one shard and its part of the batch's loss; halt at each meeting."""
        session = self.sessions[at]
        if session is None:
            session = self.sessions[at] = self.network.session(self.layers, training=True)
            session.layers[self.first].propagate = False
            for step, meeting in self.meetings.items():
                session.barriers[step].attend(meeting, number)
        for layer, gradients in zip(session.layers, self.views[number], strict=True):
            layer.gradients = gradients
            if layer.draws:
                layer.random = stream(self.seed, DROPOUT + layer.position, self.network.updates, number)
        augment = None
        if self.augmentation is not None:
            augment = partial(
                self.augmentation.apply,
                samples=rows,
                seed=self.seed,
                step=self.network.updates,
                scratch=session.scratch,
            )
        output = session.take(self.x, places, augment)
        for step, layer in enumerate(session.layers):
            if step in self.meetings:
                session.barriers[step].survey(output)
                yield
            output = layer.forward(output)
        loss, gradient = self.judge(self.y.batch(rows, output.dtype), output, weight, self.y.weighting(rows))
        sweeps = self.sweeps(rows)
        if sweeps:
            self.check(loss)
        self.losses[number] = loss
        g: Any = gradient
        for step in range(len(session.layers) - 1, self.first - 1, -1):
            layer = session.layers[step]
            if step in self.meetings:
                session.barriers[step].survey_back(g)
                if step > self.first:
                    yield
            g = layer.descend(g) if sweeps and layer.trainable else layer.backward(g)

    def judge(
        self, target: Array, output: Array, weight: float, weights: dict[str, Array]
    ) -> tuple[float, Array]:
        """Return the loss of a shard's output times the shard's weight, and what to send back."""
        if self.joint and self.loss.joint is not None:
            loss, gradient = self.loss.joint(target, output, **weights)
        else:
            target = columns(target, output)
            loss, gradient = self.own(
                self.loss.function(target, output, **weights),
                self.loss.prime(target, output, **weights),
                output,
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

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what layers that are not frozen have of a stretch of the vector."""
        for span in self.spans:
            first, last = max(span[0], start), min(span[1], stop)
            if first < last:
                yield first, last

    def add(self, shards: int, start: int, stop: int) -> None:
        """Add a stretch of the shards' gradients in their tree, and the penalty's slope."""
        for first, last in self.within(start, stop):
            add_tree(self.gradients[:shards], slice(first, last))
            if self.penalty:
                self.penalty.add_slope(self.parameters, self.gradients[0], first, last)

    def descend(self, start: int, stop: int) -> None:
        """Let the optimizer change a stretch of the parameters by the gradients' sum."""
        for first, last in self.within(start, stop):
            self.optimizer.update(self.parameters, self.gradients[0], first, last, self.carried)

    def update(self, shards: int) -> None:
        """Add the shards' gradients and let the optimizer take its step: all workers, where that is long.

        Raises
        ------
        DivergedError
            If the gradient is to be clipped and its norm is no longer finite.
        """
        size, clips = self.parameters.size, self.optimizer.clip_norm is not None
        alone = size <= LONG or self.workers == 1
        if alone:
            self.add(shards, 0, size)
            if clips:
                write_squares(self.gradients[0], 0, size, self.squares)
        elif clips:
            self.numbers[:] = SUMS, shards, 0
            self.team.run(self.workers)
        norm = math.sqrt(math.fsum(self.squares)) if clips else 0.0
        self.check(norm, "gradient's norm")
        self.optimizer.clip(norm)
        self.optimizer.advance()
        if alone:
            self.descend(0, size)
        else:
            self.numbers[:] = UPDATES if clips else STRETCHES, shards, self.optimizer.steps
            self.factors[1:] = [getattr(self.optimizer, name) for name in self.settings]
            self.team.run(self.workers)

    def close(self) -> None:
        """Let the workers go and give BLAS its threads back."""
        self.team.close()
        if self.prefetcher is not None:
            self.prefetcher.close()
        self._blas.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
