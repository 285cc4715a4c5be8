"""The training loop: what one call of `fit` was asked for, how far it is, and what it found so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from purecnn.backend.checks import full_name
from purecnn.backend.overflow import unwarned
from purecnn.backend.random import ORDER, stream
from purecnn.backend.sharding import shard_count
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.callbacks.learning_rate import LearningRate
from purecnn.datasets.augmentation import Augmentation
from purecnn.datasets.dataset import Subset
from purecnn.errors import DivergedError
from purecnn.layers.registry import is_own
from purecnn.losses.base import Loss
from purecnn.losses.tasks import as_truth
from purecnn.metrics.registry import Measure, measure, usual
from purecnn.optimizers.base import Optimizer
from purecnn.training.device import DeviceTrainer
from purecnn.training.host import HostTrainer
from purecnn.training.rows import Rows
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.single_sample import SingleSampleTrainer
from purecnn.training.targets import Targets
from purecnn.training.trainer import Trainer
from purecnn.training.update import is_plain

if TYPE_CHECKING:
    from purecnn.callbacks.resume import SavedRun


T = TypeVar("T")


class Fit:
    """One run of the training loop, and its place in it.

    Parameters
    ----------
    network : Network
        Bound, to be trained.
    rows : ndarray or Rows
        Raw samples ``(n, values)``.
    targets : Targets
        Their answers.
    loss : Loss
        The loss to minimize.
    optimizer : Optimizer
        Updates the parameters.
    kept : ndarray of int
        The numbers of the samples to train on.
    epochs, batch_size : int
        How often to go over them, and how many a step takes.
    shuffle : bool
        Whether each epoch has an order of its own.
    drop_last : bool
        Whether an epoch ends before a last batch that is short.
    validation_data : (array_like, array_like) or None
        Samples and answers to measure after each epoch.
    validation_split : float or None
        The share of all samples that they are, where they were set aside from them.
    augmentation : Augmentation or None
        How to change the images of each step.
    metrics : dict of str to Measure
        What to measure then, on both sets.
    threads : int or None
        Number of worker threads; the bits do not depend on it.
    callbacks : sequence of Callback
        Who looks on, in the order in which they are called.
    l1, l2 : float
        What the weights cost.
    saved : SavedRun or None
        The checkpoint to go on from.

    Attributes
    ----------
    history : History
        What was measured, one value for each epoch done.
    epoch, step : int
        How many epochs are done, and how many steps of the one that runs.
    losses : list of float
        Of those steps, each times what its samples weigh.
    stopped : str
        Why a callback asked for the end; empty while none did.
    error : BaseException or None
        What ends the run before its time.
    """

    def __init__(
        self,
        network: RunnableNetwork,
        rows: Array | Rows,
        targets: Targets,
        loss: Loss,
        optimizer: Optimizer,
        *,
        kept: Array,
        epochs: int,
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        validation_data: tuple[Any, Any] | None,
        validation_split: float | None,
        augmentation: Augmentation | None,
        metrics: Mapping[str, Measure],
        threads: int | None,
        callbacks: Sequence[Callback],
        saved: SavedRun | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        self.network, self.rows, self.targets = network, rows, targets
        self.loss, self.optimizer = loss, optimizer
        self.kept, self.epochs, self.batch_size, self.shuffle = kept, epochs, batch_size, shuffle
        self.validation_split, self.augmentation = validation_split, augmentation
        self.validation_data, self.threads, self.callbacks = validation_data, threads, callbacks
        self.metrics, self.l1, self.l2 = metrics, l1, l2
        self.drop_last = drop_last
        #: How many samples an epoch goes over.
        self.taken = len(kept) - (len(kept) % batch_size if drop_last else 0)
        if not self.taken:
            raise ValueError(
                f"drop_last leaves no batch at all: batch_size must be at most {len(kept)}, the number of "
                f"samples to train on, got {batch_size}"
            )
        self.starts = range(0, self.taken, batch_size)
        self.history = History(samples=self.taken)
        self.epoch = self.step = 0
        self.losses: list[float] = []
        self.spent = 0.0  # seconds, on the running epoch
        self.stopped = ""
        self.error: BaseException | None = None
        self.begun: list[Callback] = []
        self.runs = False
        self.saved = saved
        settings = {k: v for k, v in optimizer.configuration().items() if k != "learning_rate"}
        kind = type(optimizer)
        self.asked = {"type": kind.__name__ if is_own(optimizer) else full_name(kind), **settings}
        # The rate as it is given, before a callback moves it; where a schedule decides it, that says nothing.
        scheduled = any(isinstance(one, LearningRate) for one in callbacks)
        self.rate = None if scheduled else optimizer.learning_rate
        self.prepare()

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """What decides the bits beside the network, as JSON values: to be the same where a run is resumed."""
        from purecnn.backend.digests import digest  # here, since few runs ask for it

        validation = self.validation_data if self.validation_split is None else None
        return {
            "batch_size": self.batch_size,
            "shards": shard_count(self.largest_batch),
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "loss": [
                *map(full_name, (self.loss.function, self.loss.prime)),
                self.loss.smoothing,
            ],
            "optimizer": self.asked,
            "samples": len(self.kept),
            "data": digest(self.rows, whole_numbers(self.targets.values)),
            "weights": None if self.targets.weights is None else digest(self.targets.weights),
            "l1": self.l1,
            "l2": self.l2,
            "validation_data": validation
            and digest(self.network.as_rows(validation[0]), np.asarray(validation[1])),
            "validation_split": self.validation_split,
            "augmentation": self.augmentation and self.augmentation.configuration(),
            "metrics": list(self.metrics),
            "learning_rate": self.rate,
        }

    def prepare(self) -> None:
        """Take the place of the checkpoint to go on from, if there is one."""
        if self.saved is not None:
            self.saved.restore_network(self)

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return len(self.starts)

    @property
    def largest_batch(self) -> int:
        """How many samples a step takes, but for the last one of an epoch."""
        return min(self.batch_size, self.taken)

    def modes(self) -> dict[str, str | None]:
        """Return what will be measured: which value of each is better, "min" or "max", None where none is."""
        asked = {name: metric.mode for name, metric in self.metrics.items()}
        found: dict[str, str | None] = {"loss": "min", "seconds": "min", **asked}
        if self.validation_data is not None and self.network.task is not None:
            of_task = {name: metric.mode for name, metric in usual(self.network.task).items()}
            found["validation_loss"] = "min"
            found |= {f"validation_{name}": mode for name, mode in (of_task | asked).items()}
        return found

    def stop(self, reason: str) -> None:
        """Ask for the end: no step follows the one that runs. Callbacks call this."""
        self.stopped = reason

    def run(self) -> History:
        """Train until all epochs are done or a callback asks for the end; return what was measured.

        The network has the history too, from the start, so that it is there however the run ends.
        """
        self.network.history = self.history
        try:
            with unwarned(), self.trainer() as trainer:
                trainer.check_batch(self.taken % self.batch_size or self.batch_size)
                self.begin()
                while self.epoch < self.epochs and not self.stopped:
                    self.run_epoch(trainer)
        except BaseException as error:
            self.error = error
            self.history.cut(self.epoch)  # what was measured of an epoch that did not come to its end
        return self.end()

    def trainer(self) -> Trainer:
        """Return what takes the steps."""
        if not self.network.device.is_host:
            return self.make_trainer(DeviceTrainer)
        plain = is_plain(self.optimizer) and not (self.l1 or self.l2)
        return self.make_trainer(SingleSampleTrainer if plain and self.largest_batch == 1 else HostTrainer)

    def make_trainer(self, kind: Callable[..., T]) -> T:
        """Return a trainer of a kind."""
        return kind(
            self.network,
            self.loss,
            self.optimizer,
            self.rows,
            self.targets,
            self.largest_batch,
            self.threads,
            self.network.seed,
            self.augmentation,
            l1=self.l1,
            l2=self.l2,
        )

    def begin(self) -> None:
        """Let the callbacks begin, and go on where they were if this run is resumed."""
        self.runs = True
        for last in (False, True):
            for callback in (one for one in self.callbacks if one.last == last):
                other = vars(callback).get("fit")
                if other is not None and other is not self and other.runs:
                    raise ValueError(
                        f"{type(callback).__name__} looks on at a fit that still runs: each fit at the same "
                        f"time wants a callback of its own"
                    )
                callback.fit = self
                callback.begin(self.epochs, self.steps)
                self.begun.append(callback)
            if self.saved is not None and not last:
                self.saved.restore_callbacks(self)  # before anyone keeps what the others hold

    def run_epoch(self, trainer: Trainer) -> None:
        """Do the steps of one epoch that are left, then measure."""
        begin, order = time.perf_counter() - self.spent, self.order()
        while self.step < self.steps:
            start = self.starts[self.step]
            taken, following = np.split(order[start : start + 2 * self.batch_size], [self.batch_size])
            loss = trainer.step(taken, following)
            self.losses.append(loss * self.targets.weight(taken))
            self.step, self.spent = self.step + 1, time.perf_counter() - begin
            for callback in self.callbacks:
                callback.step(self.epoch + 1, self.step, loss)
            self.network.sync()  # a callback may have put an array into a layer
            if self.stopped and self.step < self.steps:
                return
        self.network.epochs += 1
        whole = self.targets.weight(order)
        self.history.loss.append(math.fsum(self.losses) / whole)  # `sum` differs between Pythons
        self.history.seconds.append(time.perf_counter() - begin)
        self.measure()
        self.epoch, self.step, self.losses, self.spent = self.epoch + 1, 0, [], 0.0
        for callback in self.callbacks:
            callback.epoch(self.epoch, self.history)

    def measure(self) -> None:
        """Measure both sets, and add what is found to the history.

        The training set in a forward pass of its own: then both are measured on one set of parameters, and a
        run resumed in the middle of an epoch finds the same.
        """
        history = self.history
        if self.metrics:
            rows, answers = self.rows, self.targets.values
            if len(self.kept) < len(rows):
                rows, answers = Rows(Subset(rows, self.kept, ())), answers[self.kept]
            seen = self.loss.probabilities(self.network.outputs(rows, self.threads))
            if not np.isfinite(seen).all():
                raise DivergedError(
                    f"the outputs are no longer finite behind epoch {self.network.epochs}, step "
                    f"{self.network.updates}: try a smaller learning rate"
                )
            found = measure(self.metrics, as_truth(self.loss, answers), seen)
            for name, value in found.items():
                history.metrics.setdefault(name, []).append(value)
        if self.validation_data is not None:
            found = self.network.evaluate(
                *self.validation_data, loss=self.loss, metrics=self.metrics, threads=self.threads
            )
            history.validation_loss.append(found.pop("loss"))
            if self.network.task == "classification":
                history.validation_accuracy.append(found["accuracy"])
                found = {name: found[name] for name in self.metrics}
            for name, value in found.items():
                history.validation_metrics.setdefault(name, []).append(value)

    def end(self) -> History:
        """Let the callbacks end, the last first, each whatever the others do; raise what ended the run."""
        self.runs = False
        for callback in reversed(self.begun):
            try:
                callback.end(self.history)
            except BaseException as error:
                self.error = self.error or error
        try:
            self.conclude()
            if self.error is None:
                return self.history
            raise self.error
        finally:
            self.error = None  # it holds this frame, and so all the arrays of the run

    def conclude(self) -> None:
        """Do what a run ends with, whether it failed or not; `RankedFit` has more to do."""

    def order(self) -> Array:
        """Return the samples of the epoch that runs, in order: a function of the seed and the epoch."""
        if not self.shuffle:
            return self.kept[: self.taken]
        moved: Array = stream(self.network.seed, ORDER, self.network.epochs).permutation(len(self.kept))
        return self.kept[moved[: self.taken]]


def whole_numbers(values: Array) -> Array:
    """Return labels as int64, so that their digest is the same on every system; values as they are."""
    return values.astype(np.int64, copy=False) if values.dtype.kind in "iu" else values
