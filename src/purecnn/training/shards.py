"""A shard's way through the network: forward, the loss and back, meeting the others where that is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from purecnn.backend.arrays import module_of, to_device, to_host
from purecnn.backend.random import DROPOUT, Drawn, stream
from purecnn.backend.types import Array
from purecnn.datasets.augmentation import Augmentation
from purecnn.errors import DivergedError, ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import Zeros, is_barrier
from purecnn.layers.registry import is_own
from purecnn.losses.base import Loss, columns
from purecnn.training.replica import Replica
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.targets import Targets
from purecnn.training.update import ParameterUpdate


class Shards:
    """The shards of a batch: each has a gradient of its own, and a session of the worker that runs it.

    Where a layer needs the whole batch, shards run side by side from one meeting to the next. What a shard's
    replicas hold must last that long, so then a session belongs to a shard.

    Parameters
    ----------
    network : Network
        Bound, to be trained.
    loss : Loss
        What to lower.
    x : ndarray
        Raw samples, as rows.
    y : Targets
        Their answers.
    seed : int
        Of the draws.
    augmentation : Augmentation or None
        How to change the images.
    descent : ParameterUpdate
        Where the gradients go.
    workers : int
        How many work.
    zeros : callable
        Makes arrays that all workers see.

    Attributes
    ----------
    losses : ndarray
        Each shard's part of the batch's loss.
    agenda : list of (callable, callable)
        Of what stands between two legs of the way, where the shards told it, and what the caller does: put
        it together.
    """

    def __init__(
        self,
        network: RunnableNetwork,
        loss: Loss,
        x: Array,
        y: Targets,
        seed: int,
        augmentation: Augmentation | None,
        descent: ParameterUpdate,
        workers: int,
        zeros: Zeros,
    ) -> None:
        self.network, self.loss, self.x, self.y = network, loss, x, y
        self.seed, self.augmentation, self.descent = seed, augmentation, descent
        layers: list[Layer] = network.steps()
        self.joint = loss.joins(layers[-1])
        self.layers = layers[:-1] if self.joint else layers
        self.first = next(i for i, layer in enumerate(layers) if layer.parameters and layer.trainable)
        count = len(descent.gradients)
        # What a frozen layer's backward pass writes goes nowhere: its stretch of the gradients stays zero.
        nowhere = self.by_step(network.views(module_of(descent.parameters).zeros_like(descent.parameters)))
        self.views = [
            [
                view if layer.trainable else unread
                for layer, view, unread in zip(
                    self.layers, self.by_step(network.views(gradient)), nowhere, strict=True
                )
            ]
            for gradient in descent.gradients
        ]
        barriers = {i: layer for i, layer in enumerate(self.layers) if is_barrier(layer)}
        self.meetings = {place: layer.place(count, descent.zeros) for place, layer in barriers.items()}
        self.remembering = [(layer, self.meetings[place]) for place, layer in barriers.items()]
        back = [
            (meeting.told_back, meeting.meet_back)
            for place, meeting in self.meetings.items()
            if place > self.first
        ]
        self.agenda = [(meeting.told, meeting.meet) for meeting in self.meetings.values()] + back[::-1]
        self.losses, self.leg = zeros(count, np.float64), zeros(1, np.int64)
        self.sessions: list[Replica | None] = [None] * (count if self.meetings else workers)
        self.courses: dict[int, tuple[int, int, Iterator[None]]] = {}

    def by_step(self, views: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Return the views of the network's layers for the steps that stand for them."""
        arrays = (array for view in views for array in view.values())
        return [{name: next(arrays) for name in layer.parameters} for layer in self.layers]

    def sweeps(self, rows: Sequence[int] | Array) -> bool:
        """Return whether the backward sweep takes the step on its way, as the original program's does.

        For one sample: then a dense layer's gradient, as large as the layer, need not go through memory.
        """
        alone = len(self.views) == 1 and len(rows) == 1
        return alone and self.descent.is_plain and not self.meetings

    def run(self, worker: int, number: int, rows: Array, places: Array, weight: float) -> None:
        """Do a shard's part of a step: whole, or to the next meeting.

        Parameters
        ----------
        worker, number : int
            Who runs which shard.
        rows, places : ndarray
            The numbers of its samples, and where they lie in `x`.
        weight : float
            How much it counts in the batch.
        """
        if self.meetings:
            self.go_on(number, rows, places, weight)
            return
        for _ in self.course(worker, number, rows, places, weight):
            pass

    def go_on(self, number: int, rows: Array, places: Array, weight: float) -> None:
        """Go on with a shard to its next meeting, or to the end."""
        step, leg = self.network.updates, int(self.leg[0])
        held, done, course = self.courses.get(number, (-1, 0, iter(())))
        if (held, done) != (step, leg):  # a new step, or a shard whose own worker failed
            done, course = 0, self.course(number, number, rows, places, weight)
        for _ in range(done, leg + 1):
            next(course, None)
        self.courses[number] = step, leg + 1, course

    def session(self, at: int, number: int, samples: int) -> Replica:
        """Return the session at a place, made at its first use, ready for a shard of this step."""
        session = self.sessions[at]
        if session is None:
            session = self.sessions[at] = self.network.session(self.layers, training=True)
            session.layers[self.first].propagate = False
            for step, meeting in self.meetings.items():
                session.barriers[step].join(meeting, number)
        for layer, gradients in zip(session.layers, self.views[number], strict=True):
            layer.gradients = gradients
            if layer.draws:
                layer.random = self.draws(layer, number, samples)
        return session

    def draws(self, layer: Layer, number: int, samples: int) -> Drawn:
        """Return where a layer's draws for the so many samples of a shard of this step come from."""
        return stream(self.seed, DROPOUT + layer.position, self.network.updates, number)

    def course(self, at: int, number: int, rows: Array, places: Array, weight: float) -> Iterator[None]:
        """Write the gradient of one shard and its part of the batch's loss; halt at each meeting."""
        session, augment = self.session(at, number, len(rows)), None
        if self.augmentation is not None:
            augment = partial(
                self.augmentation.apply,
                samples=rows,
                seed=self.seed,
                step=self.network.updates,
                workspace=session.workspace.host,
            )
        output = session.take(self.x, places, augment)
        for step, layer in enumerate(session.layers):
            if step in self.meetings:
                session.barriers[step].measure(output)
                yield
            output = layer.forward(output)
        loss, gradient = self.loss_and_gradient(
            self.y.batch(rows, output.dtype), output, self.y.weighting(rows)
        )
        self.losses[number] = loss * weight
        sweeps = self.sweeps(rows)
        if sweeps:
            self.check(loss)
        factor = weight * self.descent.carried
        if factor != 1.0:
            gradient *= output.dtype.type(factor)
        g: Any = gradient
        for step in range(len(session.layers) - 1, self.first - 1, -1):
            layer = session.layers[step]
            if step in self.meetings:
                session.barriers[step].measure_back(g)
                if step > self.first:
                    yield
            g = layer.descend(g) if sweeps and layer.trainable else layer.backward(g)

    def check(self, value: float, name: str = "loss") -> None:
        """Raise `DivergedError` if the loss, or what `name` says, is no longer finite."""
        if not math.isfinite(value):
            raise DivergedError(
                f"the {name} became {value} at step {self.network.updates}: try a smaller learning rate than "
                f"{self.descent.optimizer.learning_rate:g}"
            )

    def loss_and_gradient(
        self, target: Array, output: Array, weights: dict[str, Array]
    ) -> tuple[float, Array]:
        """Return the loss of a shard's output, and its derivative."""
        xp = module_of(output)
        if weights:
            weights = {name: to_device(weight, xp) for name, weight in weights.items()}
        if self.joint and self.loss.joint is not None:
            return self.loss.joint(to_device(target, xp), output, **weights)
        target = to_device(columns(target, output), xp)
        loss: Any = self.loss.function(target, output, **weights)
        gradient: Any = self.loss.prime(target, output, **weights)
        # A user may have written these two.
        if np.ndim(loss) or not isinstance(loss, int | float | np.number):
            raise TypeError(f"loss must return a number, got {type(loss).__name__} {loss!r}")
        if np.shape(gradient) != output.shape:
            raise ShapeError(
                f"loss_prime must return an array like the prediction, {output.shape}, "
                f"got {np.shape(gradient)}"
            )
        found = xp.array(gradient, dtype=output.dtype)
        if not is_own(self.loss.prime) and not to_host(xp.isfinite(found).all()):
            raise DivergedError(f"loss_prime returned a NaN or infinity at step {self.network.updates}")
        return float(loss), found
