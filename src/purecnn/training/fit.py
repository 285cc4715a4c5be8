"""The training loop: what one call of `fit` was asked for, how far it is, and what it found so far."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.blas import can_be_told
from purecnn.backend.checks import full_name, is_integer
from purecnn.backend.cores import capacity
from purecnn.backend.overflow import unwarned
from purecnn.backend.random import ORDER, stream
from purecnn.backend.sharding import shard_count
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.callbacks.learning_rate import LearningRate
from purecnn.datasets.dataset import Subset
from purecnn.errors import DivergedError
from purecnn.layers.batchwise import is_barrier
from purecnn.layers.registry import is_own
from purecnn.losses.tasks import as_truth
from purecnn.metrics.registry import measure, usual
from purecnn.optimizers.base import Optimizer
from purecnn.training.device import DeviceTrainer
from purecnn.training.host import HostTrainer
from purecnn.training.rows import Rows
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.single_sample import SingleSampleTrainer
from purecnn.training.targets import Targets
from purecnn.training.trainer import Trainer
from purecnn.training.update import is_plain

if TYPE_CHECKING:
    from purecnn.callbacks.resume import SavedRun


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
    settings : FitSettings
        What was asked for.
    kept : ndarray of int
        The numbers of the samples to train on.
    callbacks : sequence of Callback
        Who looks on, in the order in which they are called.
    saved : SavedRun or None
        The checkpoint to go on from.

    Attributes
    ----------
    history : History
        What was measured, one value for each epoch done.
    shards : int
        Into how many parts a batch is cut.
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
        settings: FitSettings,
        *,
        kept: Array,
        callbacks: Sequence[Callback] = (),
        saved: SavedRun | None = None,
    ) -> None:
        self.network, self.rows, self.targets, self.settings = network, rows, targets, settings
        self.kept, self.callbacks, self.saved = kept, callbacks, saved
        batch_size, optimizer = settings.batch_size, settings.optimizer
        #: How many samples an epoch goes over.
        self.taken = len(kept) - (len(kept) % batch_size if settings.drop_last else 0)
        if not self.taken:
            raise ValueError(
                f"drop_last leaves no batch at all: batch_size must be at most {len(kept)}, the number of "
                f"samples to train on, got {batch_size}"
            )
        self.starts = range(0, self.taken, batch_size * settings.accumulate)
        self.history = History(samples=self.taken)
        self.epoch = self.step = 0
        self.losses: list[float] = []
        self.spent = 0.0  # seconds, on the running epoch
        self.stopped = ""
        self.error: BaseException | None = None
        self.begun: list[Callback] = []
        self.runs = False
        configuration = {k: v for k, v in optimizer.configuration().items() if k != "learning_rate"}
        kind = type(optimizer)
        self.asked = {"type": kind.__name__ if is_own(optimizer) else full_name(kind), **configuration}
        # The rate as it is given, before a callback moves it; where a schedule decides it, that says nothing.
        scheduled = any(isinstance(one, LearningRate) for one in callbacks)
        self.rate = None if scheduled else optimizer.learning_rate
        self.shards = self.count_shards()
        self.prepare()

    def capacity(self) -> int:
        """Return how many workers find room here, whatever number is asked for."""
        return capacity().number

    def count_shards(self) -> int:
        """Return the number of shards asked for, that of the run that goes on, or enough for the cores."""
        asked = self.settings.shards
        if asked is None and self.saved is not None:
            kept: Any = self.saved.arguments.get("shards")
            asked = kept if is_integer(kept) and kept > 0 else None
        return min(asked or shard_count(self.largest_batch, self.capacity()), self.largest_batch)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """What decides the bits beside the network, as JSON values: to be the same where a run is resumed."""
        from purecnn.backend.digests import digest  # here, since few runs ask for it

        asked, weights = self.settings, self.targets.decisive()
        validation = asked.validation_data if asked.validation_split is None else None
        return {
            "batch_size": asked.batch_size,
            "accumulate": asked.accumulate,
            "shards": self.shards,
            "shuffle": asked.shuffle,
            "drop_last": asked.drop_last,
            "loss": [*map(full_name, (asked.loss.function, asked.loss.prime)), asked.loss.smoothing],
            "optimizer": self.asked,
            "samples": len(self.kept),
            "data": digest(self.rows, whole_numbers(self.targets.values)),
            "weights": digest(*weights) if weights else None,
            "l1": asked.l1,
            "l2": asked.l2,
            "validation_data": validation
            and digest(self.network.as_rows(validation[0]), np.asarray(validation[1])),
            "validation_split": asked.validation_split,
            "augmentation": asked.augmentation and asked.augmentation.configuration(),
            "metrics": list(asked.metrics),
            "learning_rate": self.rate,
        }

    @property
    def optimizer(self) -> Optimizer:
        """What takes the steps."""
        return self.settings.optimizer

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""
        return self.settings.epochs

    @property
    def validation_data(self) -> tuple[Any, Any] | None:
        """Samples and answers that are measured after each epoch."""
        return self.settings.validation_data

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
        """How many samples a batch has, but for the last one of an epoch."""
        return min(self.settings.batch_size, self.taken)

    def modes(self) -> dict[str, str | None]:
        """Return what will be measured: which value of each is better, "min" or "max", None where none is."""
        asked = {name: metric.mode for name, metric in self.settings.metrics.items()}
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
                trainer.check_batch(self.taken % self.settings.batch_size or self.settings.batch_size)
                self.begin()
                while self.epoch < self.epochs and not self.stopped:
                    self.run_epoch(trainer)
        except BaseException as error:
            self.error = error
            self.history.cut(self.epoch)  # what was measured of an epoch that did not come to its end
        return self.end()

    def recompute_statistics(self) -> None:
        """Measure running statistics anew, by one pass over the training data: see `Run`.

        In the order of the epoch that would follow, and drawing as its steps would. By this process alone.
        """
        network, size, seen = self.network, self.settings.batch_size, 0.0
        if not any(is_barrier(part) for layer in network for part in (layer, *layer.parts())):
            return
        order, updates = self.order(), network.updates
        with unwarned(), self.own_trainer() as trainer:
            for start in range(0, self.taken, size):
                taken, following = order[start : start + size], order[start + size : start + 2 * size]
                seen = trainer.measure_statistics(taken, following, seen)
        network.updates = updates

    def trainer(self) -> Trainer:
        """Return what takes the steps."""
        return self.own_trainer()

    def own_trainer(self) -> Trainer:
        """Return what takes the steps in this process."""
        kind: type[HostTrainer | DeviceTrainer] = HostTrainer
        if not self.network.device.is_host:
            kind = DeviceTrainer
        elif (
            self.largest_batch == self.settings.accumulate == 1 and is_plain(self.settings) and can_be_told()
        ):
            kind = SingleSampleTrainer
        return kind(self.network, self.rows, self.targets, self.trainer_settings())

    def trainer_settings(self) -> FitSettings:
        """Return the settings for the trainer, whose memory is that of the largest batch there is."""
        return replace(self.settings, batch_size=self.largest_batch, shards=self.shards)

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
        steps, looks_on = self.steps, bool(self.callbacks)
        size = self.settings.batch_size * self.settings.accumulate
        while self.step < steps:
            start = self.starts[self.step]
            taken, following = order[start : start + size], order[start + size : start + 2 * size]
            started = time.perf_counter()
            loss = trainer.step(taken, following)
            self.losses.append(loss * self.targets.weight(taken))
            ended, self.step = time.perf_counter(), self.step + 1
            self.spent = ended - begin
            trainer.after_step(ended - started, (self.epochs - self.epoch) * self.steps - self.step)
            for callback in self.callbacks:
                callback.step(self.epoch + 1, self.step, loss)
            if looks_on or not trainer.is_own:
                self.network.sync()  # they may have put an array into a layer
            if self.stopped and self.step < steps:
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
        history, asked = self.history, self.settings
        if asked.metrics:
            rows, answers = self.rows, self.targets.values
            if len(self.kept) < len(rows):
                rows, answers = Rows(Subset(rows, self.kept, ())), answers[self.kept]
            seen = asked.loss.probabilities(self.network.outputs(rows, asked.threads))
            if not np.isfinite(seen).all():
                raise DivergedError(
                    f"the outputs are no longer finite behind epoch {self.network.epochs}, step "
                    f"{self.network.updates}: try a smaller learning rate"
                )
            truth, ignored = as_truth(asked.loss, answers), self.targets.ignore_label
            found = measure(asked.metrics, truth, seen, ignore_label=ignored)
            for name, value in found.items():
                history.metrics.setdefault(name, []).append(value)
        if asked.validation_data is not None:
            found = self.network.evaluate(
                *asked.validation_data,
                loss=asked.loss,
                metrics=asked.metrics,
                threads=asked.threads,
                ignore_label=self.targets.ignore_label,
            )
            history.validation_loss.append(found.pop("loss"))
            if self.network.task == "classification":
                history.validation_accuracy.append(found["accuracy"])
                found = {name: found[name] for name in asked.metrics}
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
        if not self.settings.shuffle:
            return self.kept[: self.taken]
        moved: Array = stream(self.network.seed, ORDER, self.network.epochs).permutation(len(self.kept))
        return self.kept[moved[: self.taken]]


def whole_numbers(values: Array) -> Array:
    """Return labels as int64, so that their digest is the same on every system; others as they are."""
    return values.astype(np.int64, copy=False) if values.dtype.kind in "iu" and values.ndim < 3 else values
