"""Shards of a batch on their way through the network.

A shard's way through the network, a segment at a time: forward, the loss, and back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from purecnn.backend.arrays import module_of, to_device, to_host
from purecnn.backend.random import DROPOUT, Drawn, stream
from purecnn.backend.types import Array
from purecnn.datasets.augmentation import Augmentation
from purecnn.datasets.mixing import Mixture, draw_mixture, next_ones
from purecnn.errors import DivergedError, ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import Zeros, is_barrier
from purecnn.layers.registry import is_own
from purecnn.losses.base import columns
from purecnn.training.jobs import JobKind
from purecnn.training.replica import Replica
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.targets import Targets
from purecnn.training.update import ParameterUpdate


class Shard(NamedTuple):
    """Some samples of a batch, which one worker takes through the network.

    Attributes
    ----------
    number : int
        Which shard of its batch it is.
    rows, places : ndarray of int
        The numbers of its samples, and where they lie in `x`.
    weight : float
        How much it counts in the batch.
    """

    number: int
    rows: Array
    places: Array
    weight: float


class Segment(NamedTuple):
    """Layers that a shard goes through without the others.

    A batchwise layer belongs to the segment behind it on the way forward, and to the one before it on the way
    back: there it has been told what it needs of the other shards.

    Attributes
    ----------
    forward, backward : slice
        Of the layers, in order: those that run on the way forward, and on the way back.
    before, behind : int or None
        The batchwise layers at its two ends, which measure what leaves it.
    """

    forward: slice
    backward: slice
    before: int | None
    behind: int | None


def cut(barriers: list[int], layers: int, first: int) -> list[Segment]:
    """Cut so many layers at the batchwise ones into segments; nothing runs back before the layer `first`.

    Examples
    --------
    >>> for segment in cut([2], layers=5, first=0):
    ...     segment.forward, segment.backward, segment.before, segment.behind
    (slice(0, 2, None), slice(0, 3, None), None, 2)
    (slice(2, 5, None), slice(3, 5, None), 2, None)
    """
    segments = []
    for before, behind in itertools.pairwise([None, *barriers, None]):
        begin, end = before or 0, layers if behind is None else behind
        inner = 0 if before is None else before + 1
        backward = slice(max(inner, first), layers if behind is None else behind + 1)
        segments.append(Segment(slice(begin, end), backward, before, behind))
    return segments


class Shards:
    """The shards of a batch: each has a gradient of its own, and a replica of the worker that runs it.

    Where a layer needs the whole batch, shards run side by side, a segment at a time. What a shard's replicas
    hold must last that long, so then a replica belongs to a shard.

    Parameters
    ----------
    network : Network
        Bound, to be trained.
    x : ndarray
        Raw samples, as rows.
    y : Targets
        Their answers.
    settings : FitSettings
        Loss, augmentation and batch size.
    parameter_update : ParameterUpdate
        Where the gradients go.
    workers : int
        Number of worker threads.
    zeros : callable
        Makes arrays that all workers see.

    Attributes
    ----------
    losses : ndarray
        Each shard's part of the batch's loss.
    segments : list of Segment
        The layers, cut at those that need the whole batch.
    batchwise : list of BatchwiseLayer
        These, in order: number i lies between the segments i and i + 1.
    exchanges : list of Exchange
        What the shards tell each other there.
    last, last_back : int
        The segments in which the way forward and the way back end.
    passing : list of ndarray
        What left the last segment of each shard: its output, or the loss's derivative by its input.
    """

    def __init__(
        self,
        network: RunnableNetwork,
        x: Array,
        y: Targets,
        settings: FitSettings,
        parameter_update: ParameterUpdate,
        workers: int,
        zeros: Zeros,
    ) -> None:
        self.network, self.x, self.y, self.parameter_update = network, x, y, parameter_update
        self.loss, self.augmentation = settings.loss, settings.augmentation
        self.mixes = self.augmentation is not None and self.augmentation.mixes
        #: A loss of this package returns a number and a new array like the output: those need no check.
        self.is_own_loss = is_own(self.loss.function) and is_own(self.loss.prime)
        self.seed, self.count = network.seed, settings.shard_count
        layers: list[Layer] = network.steps()
        self.joint = self.loss.joins(layers[-1])
        self.layers = layers[:-1] if self.joint else layers
        self.first = next(i for i, layer in enumerate(layers) if layer.parameters and layer.trainable)
        count = len(parameter_update.gradients)
        # What a frozen layer's backward pass writes goes nowhere: its stretch of the gradients stays zero.
        nowhere = self.by_step(
            network.views(module_of(parameter_update.parameters).zeros_like(parameter_update.parameters))
        )
        self.views = [
            [
                view if layer.trainable else unread
                for layer, view, unread in zip(
                    self.layers, self.by_step(network.views(gradient)), nowhere, strict=True
                )
            ]
            for gradient in parameter_update.gradients
        ]
        barriers = {i: layer for i, layer in enumerate(self.layers) if is_barrier(layer)}
        self.segments = cut([*barriers], len(self.layers), self.first)
        self.batchwise = [*barriers.values()]
        self.exchanges = [layer.place(count, parameter_update.zeros) for layer in self.batchwise]
        self.last, self.last_back = len(barriers), sum(place <= self.first for place in barriers)
        self.losses = zeros(count, np.float64)
        self.passing: list[Any] = [None] * count
        self.replicas: list[Replica | None] = [None] * (count if barriers else workers)

    def by_step(self, views: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Return the views of the network's layers for the steps that stand for them, in their shapes."""
        arrays = (array for view in views for array in view.values())
        return [
            {name: next(arrays).reshape(own.shape) for name, own in layer.parameters.items()}
            for layer in self.layers
        ]

    def way(self, kind: JobKind) -> Callable[[int, int, Shard], None]:
        """Return what takes a shard through a segment, forward or back: ``(segment, worker, shard)``."""
        return self.backward if kind == JobKind.BACKWARD else self.forward

    def forward(self, segment: int, worker: int, shard: Shard) -> None:
        """Run the layers of a segment; let the batchwise layer behind it measure what they give.

        Behind the last one find the loss, and go back through it.
        """
        replica = self.replica(worker, shard)
        if segment == 0:
            x = self.begin(replica, shard)
        else:
            if self.passing[shard.number] is None:  # it was another worker's, which failed
                self.forward(segment - 1, worker, shard)
            x = self.passing[shard.number]
        at = self.segments[segment]
        for layer in replica.layers[at.forward]:
            x = layer.forward(x)
        self.passing[shard.number] = x
        if at.behind is not None:
            replica.barriers[at.behind].measure(x)
        else:
            self.find_loss(replica, shard)
            self.backward(segment, worker, shard)

    def find_loss(self, replica: Replica, shard: Shard) -> None:
        """Write a shard's part of the batch's loss; its derivative goes back in the output's place."""
        number, rows, _, weight = shard
        output = self.passing[number]
        target, weights, kept = self.wanted(replica, rows, output)
        weight *= kept
        loss, gradient = self.loss_and_gradient(target, output, weights)
        self.losses[number] = loss * weight
        factor = weight * self.parameter_update.scale
        if factor != 1.0:
            gradient *= output.dtype.type(factor)
        self.passing[number] = gradient

    def wanted(self, replica: Replica, rows: Array, output: Array) -> tuple[Array, dict[str, Array], float]:
        """Return the targets of samples, what a loss gets beside them, and the share of them that counts.

        Where they are images, they are moved as the samples were. Pixels that come from beyond the border
        count nothing, and the loss is divided by as many as if nothing had been moved: so it does not depend
        on how the batch is cut.
        """
        if self.augmentation is None or output.ndim != 4:
            target = self.y.batch(rows, output.dtype)
            if self.mixes:
                target = np.array(columns(target, np.empty(output.shape, output.dtype)))
                self.mixture().mix(target, self.partners(len(rows)))
            return target, self.y.weighting(rows), 1.0
        augmentation, preparation = self.augmentation, self.network.preprocessing
        beyond = augmentation.fill * preparation.scale + preparation.shift

        def move(images: Array, labels: bool) -> None:
            augmentation.apply_to_targets(
                images,
                samples=rows,
                seed=self.seed,
                step=self.network.updates,
                workspace=replica.targets,
                fill=-1.0 if labels else beyond,
                nearest=labels,
            )

        return self.y.moved(rows, output, move)

    def backward(self, segment: int, worker: int, shard: Shard) -> None:
        """Run the layers of a segment back; let the batchwise layer before it measure what they give."""
        if self.passing[shard.number] is None:  # it was another worker's, which failed
            before = self.forward if segment + 1 == self.last else self.backward
            before(segment + 1, worker, shard)
        replica, at = self.replica(worker, shard), self.segments[segment]
        g = self.passing[shard.number]
        for layer in reversed(replica.layers[at.backward]):
            g = layer.backward(g)
        if at.before is not None and at.before >= self.first:
            replica.barriers[at.before].measure_back(g)
        self.passing[shard.number] = g

    def forget(self) -> None:
        """Let the replicas go, where other workers go on: they make their own."""
        self.replicas = [None] * len(self.replicas)
        self.passing = [None] * len(self.passing)

    def replica(self, worker: int, shard: Shard) -> Replica:
        """Return the replica of a worker, or of a shard where shards meet, made at its first use."""
        at = shard.number if self.exchanges else worker
        replica = self.replicas[at]
        if replica is None:
            replica = self.replicas[at] = self.network.replica(self.layers, training=True)
            replica.layers[self.first].propagate = False
            for exchange, barrier in zip(self.exchanges, replica.barriers.values(), strict=True):
                barrier.join(exchange, shard.number)
        return replica

    def begin(self, replica: Replica, shard: Shard) -> Array:
        """Make a replica ready for a shard of this step; return its samples as the first layer's input."""
        number, rows, places, _ = shard
        for layer, gradients in zip(replica.layers, self.views[number], strict=True):
            layer.gradients = gradients
            if layer.draws:
                layer.random = self.draws(layer, number, len(rows))
        augment = None
        if self.augmentation is not None:
            augment = partial(
                self.augmentation.apply,
                samples=rows,
                seed=self.seed,
                step=self.network.updates,
                workspace=replica.workspace.host,
                most=255.0 if self.network.preprocessing.kind == "bytes" else None,
            )
        x = replica.take(self.x, places, augment)
        if self.mixes:
            self.mixture().mix_images(x, self.partners(len(rows)))
        return x

    def partners(self, samples: int) -> Array:
        """Return the places of the samples that those of a shard are mixed with."""
        return next_ones([(0, samples)])

    def mixture(self) -> Mixture:
        """Return how the samples of the batch at hand are mixed."""
        asked, (_, height, width) = self.augmentation or Augmentation(), self.network.input_shape or (0, 0, 0)
        step, batch = self.network.updates, self.parameter_update.batch
        return draw_mixture(asked.mixup, asked.cutmix, (height, width), self.seed, step, batch)

    def draws(self, layer: Layer, number: int, samples: int) -> Drawn:
        """Return where a layer's draws for the so many samples of a shard of this step come from."""
        before = self.parameter_update.batch * self.count  # shards of the step's batches before this one
        return stream(self.seed, DROPOUT + layer.position, self.network.updates, before + number)

    def check(self, value: float, name: str = "loss") -> None:
        """Raise `DivergedError` if the loss, or what `name` says, is no longer finite."""
        if not math.isfinite(value):
            raise DivergedError(
                f"the {name} became {value} at step {self.network.updates}: try a smaller learning rate than "
                f"{self.parameter_update.optimizer.learning_rate:g}"
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
        if self.is_own_loss:
            return loss, gradient
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
