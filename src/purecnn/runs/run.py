"""A training run: what it was asked for, and the folder in which its checkpoint, model and record lie."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend import environment
from purecnn.backend.arrays import Device
from purecnn.backend.checks import flag, is_integer, positive
from purecnn.backend.cores import Workers, capacity
from purecnn.backend.digests import digest
from purecnn.backend.files import remove_leftovers
from purecnn.backend.random import as_seed
from purecnn.backend.sharding import shard_count
from purecnn.backend.types import Array
from purecnn.callbacks.base import Callback
from purecnn.callbacks.checkpoint import Checkpoint
from purecnn.callbacks.early_stopping import EarlyStopping
from purecnn.callbacks.evaluations import Evaluations
from purecnn.callbacks.history import History
from purecnn.callbacks.learning_rate import LearningRate
from purecnn.datasets.augmentation import as_augmentation
from purecnn.datasets.catalog import NAMES, Sets
from purecnn.datasets.data_path import check_alike, for_task, read_data, task_of_answers
from purecnn.datasets.splits import stratified_split
from purecnn.errors import CheckpointError, DivergedError, FileFormatError, ShapeError
from purecnn.formats.idx import Samples
from purecnn.layers.batchwise import drops_last
from purecnn.losses.tasks import Task, as_task
from purecnn.metrics.target_scaling import TargetScaling
from purecnn.networks import zoo
from purecnn.networks.files import save
from purecnn.networks.network import Network
from purecnn.networks.zoo import NETWORKS
from purecnn.optimizers.schedules import OneCycle, Schedule
from purecnn.runs.folder import CHECKPOINT, MODEL
from purecnn.runs.image_sizes import unfit
from purecnn.runs.recipes import Cycles, Recipe
from purecnn.runs.record import RECORD, VERSION, digests, read_record, write_record
from purecnn.runs.workers import workers_of
from purecnn.training.samples import refuse_channels_last
from purecnn.training.targets import Targets, strata
from purecnn.training.weights import sample_weights

if TYPE_CHECKING:
    from purecnn.training.distributed.ranks import Ranks


@dataclass(frozen=True)
class Run:
    """What a run was asked for: all that decides its bits, beside the machine.

    Parameters
    ----------
    name : str
        Of the recipe, or of the network that took the place of the recipe's.
    recipe : Recipe
        What to train, and how.
    seed : int
        Decides first parameters, order and dropout.
    data : str
        Name of a data set, or a path to one.
    image_size : int or None
        Side of the pictures of a folder; the medians of their own where None, at most 64.
    skip_damaged : bool
        Whether damaged pictures are left out in place of an error.
    task : {"classification", "multilabel", "regression"} or None
        What to learn; what the answers say (`data_path.task_of_answers`) where None.
    shards : int or None
        Into how many parts a batch is cut; None until `with_shards` says how many are enough for the cores.
    extended : tuple of int
        The epochs after which it was complete, and was then asked to go on to more; ascending.
    """

    name: str
    recipe: Recipe
    seed: int = 0
    data: str = "mnist"
    image_size: int | None = None
    skip_damaged: bool = False
    task: Task | None = None
    shards: int | None = None
    extended: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        ends = (0, *self.extended, self.recipe.epochs)
        if not all(map(is_integer, ends)) or any(end <= before for before, end in pairwise(ends)):
            raise ValueError(
                f"extended must hold ascending epochs below {self.recipe.epochs}, got {self.extended!r:.100}"
            )
        object.__setattr__(self, "extended", tuple(self.extended))
        for name, text in (("name", self.name), ("data", self.data)):
            if not isinstance(text, str):
                raise TypeError(f"{name} must be a string, got {text!r}")
        if as_seed(self.seed) != self.seed:
            raise TypeError(f"seed must be an integer, got {self.seed!r}")
        if self.image_size is not None:
            positive("image_size", self.image_size)
        if self.shards is not None:
            positive("shards", self.shards)
        flag("skip_damaged", self.skip_damaged)
        as_task(self.task)

    def arguments(self) -> dict[str, Any]:
        """Return the run as JSON values, wherever it is read again."""
        data = self.data if self.data in NAMES else os.path.abspath(self.data)
        return {**asdict(self), "data": data}

    def settings(self) -> dict[str, Any]:
        """Return all that the run was asked for, by name, the recipe's own settings among them."""
        asked = self.arguments()
        recipe = asked.pop("recipe")
        found = {**recipe, **{name: value for name, value in asked.items() if name != "name"}}
        return {name: "none" if value in (None, ()) else value for name, value in found.items()}

    def extend(self, epochs: int) -> Run:
        """Return the run that goes on, once this one is complete, to more epochs."""
        if epochs <= self.recipe.epochs:
            raise ValueError(
                f"epochs must be more than the {self.recipe.epochs} of this run to extend it, got {epochs}"
            )
        recipe = replace(self.recipe, epochs=epochs)
        return replace(self, recipe=recipe, extended=(*self.extended, self.recipe.epochs))

    def with_shards(self, samples: int, ranks: Ranks | None = None) -> Run:
        """Return the run with a number of shards: enough for the cores, to train on so many samples."""
        if self.shards is not None:
            return self
        together = capacity().number if ranks is None else ranks.total_capacity()
        return replace(self, shards=shard_count(min(self.recipe.batch_size, samples), together))

    def read(self) -> Sets:
        """Return the data to train on and to test on."""
        shape = None if self.image_size is None else (self.image_size, self.image_size)
        sets = read_data(self.data, shape=shape, on_error="skip" if self.skip_damaged else "raise")
        sets, task = for_task(self.data, sets, self.task)
        check_alike(self.data, sets, task)
        return sets

    def read_together(self, ranks: Ranks) -> Sets:
        """Return the same on all ranks, read once on each machine."""

        def read() -> list[Any]:
            sets = self.read()
            words = json.dumps([sets.classes, sets.notes, sets.preparation]).encode()
            return [*sets.train, *sets.test, np.frombuffer(words, np.uint8)]

        x, y, x_test, y_test, words = ranks.once_a_node(read)
        classes, notes, preparation = json.loads(words.tobytes())
        return Sets((x, y), (x_test, y_test), tuple(classes), tuple(notes), preparation)

    def build(self, sets: Sets) -> Network:
        """Return the network, its first parameters drawn."""
        (x, y), (_, y_test) = sets
        task = self.task or task_of_answers(y)
        if task == "classification":
            outputs = len(sets.classes) or (
                y.shape[1] if y.ndim == 2 else int(max(y.max(), y_test.max())) + 1
            )
            if outputs < 2:
                raise ValueError(f"{self.data}: holds one class; two or more are wanted")
        else:
            outputs = y[0].size
        refuse_channels_last("x", x.shape)
        shape = x.shape[1:] if x.ndim == 4 else (1, *x.shape[1:])
        try:
            network = zoo.for_task(self.recipe.network, shape, outputs, as_seed(self.seed), task)
        except ShapeError as error:
            raise ShapeError(unfit(self.data, self.recipe.network, shape)) from error
        network.preprocessing.classes = sets.classes
        network.preprocessing.preparation = sets.preparation
        self.recipe.loss(task), as_augmentation(self.recipe.augmentation, network.input_shape)  # not later
        if self.recipe.class_weight is not None:
            if task != "classification":
                raise ValueError(
                    f"{self.data}: class_weight {self.recipe.class_weight!r} is for classes, not for {task}"
                )
            sample_weights(network.targets(y, len(y)), outputs, class_weight=self.recipe.class_weight)
        return network

    def divide(self, sets: Sets) -> tuple[Samples, Samples | None]:
        """Return the samples to train on, and those that the recipe sets aside from them, if it does."""
        x, y = sets.train
        if self.recipe.validation is None:
            return (x, y), None
        kept, aside = self.split(y)
        return (x[kept], y[kept]), (x[aside], y[aside])

    def split(self, y: Array) -> tuple[Array, Array]:
        """Return the numbers of the samples to train on, and of those set aside to validate."""
        if self.recipe.validation is None:
            return np.arange(len(y)), np.arange(0)
        return stratified_split(strata(Targets(y)), self.recipe.validation, as_seed(self.seed))

    def schedule(self, steps: int) -> Schedule:
        """Return the schedule of the learning rate, for so many steps an epoch.

        One cycle, and another each time that the run was extended.
        """
        if not self.extended:
            return OneCycle(self.recipe.learning_rate)
        ends = (*self.extended, self.recipe.epochs)
        return Cycles(self.recipe.learning_rate, tuple(steps * end for end in ends))

    def train(
        self,
        folder: Path,
        network: Network,
        sets: Sets,
        *,
        threads: int | None = None,
        every: int | None = None,
        resume: bool = False,
        callbacks: Sequence[Callback] = (),
        ranks: Ranks | None = None,
    ) -> dict[str, Any]:
        """Train, test and save. The checkpoint stays, for whoever wants more epochs.

        Parameters
        ----------
        folder : Path
            Where all is kept; there already.
        network : Network
            What `build` returned.
        sets : tuple
            What `read` returned.
        threads : int, optional
            Number of worker threads.
        every : int, optional
            Steps between checkpoints; after each epoch if left out.
        resume : bool
            Whether to go on from the folder's checkpoint, if it got as far as having one.
        callbacks : sequence of Callback
            Who looks on.
        ranks : Ranks, optional
            The processes that train together, of which rank 0 does all the rest.

        Returns
        -------
        dict
            ``task``, ``epochs``, the ``loss`` and ``seconds`` of each, the ``curves`` of the loss and the
            task's metrics on samples of the training set and of the test set, or of what was set aside in
            its place, ``test_loss``, such as ``test_accuracy``, and ``parameters``, the SHA-256 of the flat
            vector; with patience ``best_epoch`` and, where it was at its end, ``stopped``. Nothing on ranks
            other than 0. Where values are learnt, losses are those of values with mean 0 and variance 1.

        Raises
        ------
        CheckpointError
            If the checkpoint is of another run. One that can't be written in the end is no error here:
            what counts then is the model.
        DivergedError
            If the loss, or in the end that on the test set, is no finite number; no model is written then.
        OSError
            If the model or the record can't be written.
        """
        recipe, test, kept = self.recipe, sets.test, folder / CHECKPOINT
        (x, y), aside = self.divide(sets)
        run = self.with_shards(len(x), ranks)
        told = workers_of(run.shards or 1, threads, network.device, ranks)
        if ranks is None:
            record = run.begin(folder, sets, network.device, told, resume)
        else:
            record = ranks.first(lambda: run.begin(folder, sets, network.device, told, resume)) or {}
        goes_on = resume and kept.exists()
        resume = goes_on if ranks is None else ranks.share(goes_on)
        task = network.task or "classification"
        loss, scaling = recipe.loss(task), None
        if task == "regression":
            scaling = TargetScaling.of(y)
            y, test = scaling.apply(y), (test[0], scaling.apply(test[1]))
            aside = aside and (aside[0], scaling.apply(aside[1]))
        others = {"test": test} if aside is None else {"validation": aside}
        watch = Evaluations({"training": (x, y), **others}, loss=loss, unit=scaling, threads=threads)
        optimizer = recipe.new_optimizer()
        drop_last = drops_last(network, len(x), recipe.batch_size)
        taken = len(x) - (len(x) % recipe.batch_size if drop_last else 0)
        schedule = LearningRate(optimizer, self.schedule(-(-taken // recipe.step_size)))
        chosen = recipe.new_callbacks()
        try:
            network.fit(
                x,
                y,
                epochs=recipe.epochs,
                batch_size=recipe.batch_size,
                accumulate=recipe.accumulate,
                drop_last=drop_last,
                loss=loss,
                optimizer=optimizer,
                augmentation=recipe.augmentation,
                validation_data=aside,
                class_weight=recipe.class_weight,
                threads=threads,
                shards=run.shards,
                callbacks=[schedule, watch, *chosen, *callbacks, Checkpoint(kept, every=every)],
                resume=kept if resume else None,
                ranks=ranks,
            )
        except CheckpointError:
            if network.epochs < recipe.epochs or chosen:  # their parameters were not given to it
                raise
        history = network.history or History()
        if ranks is not None and not ranks.is_first:
            return {}
        with np.errstate(all="ignore"):  # what overflows is told of in a sentence
            found = network.evaluate(*test, threads=threads)
            if scaling is not None:
                scaling.fold(network[-1])
                found = network.evaluate(*sets.test, threads=threads) | {"loss": found["loss"]}
        if not np.isfinite(found["loss"]):
            raise DivergedError(
                f"the loss on the test set is {found['loss']}: try a smaller learning rate than "
                f"{recipe.learning_rate:g}"
            )
        save(network, folder / MODEL)
        result = record["result"] = {
            "task": task,
            "epochs": network.epochs,
            "loss": history.loss,
            "seconds": history.seconds,
            "curves": {
                name: {"samples": watch.samples[name], **curve} for name, curve in watch.found.items()
            },
            **{f"test_{name}": value for name, value in found.items()},
            "parameters": digest(network.parameters),
        }
        for one in chosen:
            if isinstance(one, EarlyStopping):
                result["best_epoch"] = one.best_epoch
                if schedule.fit.stopped:
                    result["stopped"] = schedule.fit.stopped
        write_record(folder, record)
        return result

    def begin(
        self, folder: Path, sets: Sets, device: Device, workers: Workers | None, resume: bool
    ) -> dict[str, Any]:
        """Write the record of a run that begins or goes on, this machine and its workers in it; return it."""
        for name in (MODEL, RECORD):
            remove_leftovers(folder / name)
        if resume and (folder / CHECKPOINT).exists():
            record = read_record(folder)
            mine = self.arguments()
            record["arguments"] |= {name: mine[name] for name in ("recipe", "extended")}
            record["result"] = None
        else:
            (folder / CHECKPOINT).unlink(missing_ok=True)  # of another run
            record = self.record(sets)
        if (here := environment.machine(device)) not in record["machines"]:
            record["machines"].append(here)
        if workers is not None and (told := workers._asdict()) not in record["workers"]:
            record["workers"].append(told)
        write_record(folder, record)
        return record

    def record(self, sets: Sets) -> dict[str, Any]:
        """Return the record of a run that begins."""
        return {
            "version": VERSION,
            "arguments": self.arguments(),
            "commit": environment.commit(),
            "machines": [],
            "workers": [],
            "data": digests(sets),
            "result": None,
        }

    @classmethod
    def recorded(cls, folder: Path) -> Run:
        """Return the run that a folder's record is of.

        Raises
        ------
        FileFormatError
            If the record is damaged.
        FileNotFoundError
            If there is none.
        """
        given = read_record(folder)["arguments"]
        try:
            return cls.made(given)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise FileFormatError(f"{folder / RECORD}: its arguments make no run: {error!s:.500}") from None

    @classmethod
    def made(cls, given: dict[str, Any]) -> Run:
        """Return the run whose `arguments` are given."""
        recipe = Recipe(**given["recipe"])
        if recipe.network not in NETWORKS:
            raise ValueError(f"network {recipe.network!r}, wanted one of {', '.join(NETWORKS)}")
        recipe.new_optimizer(), recipe.loss(given.get("task") or "classification")  # which check theirs
        return cls(**{**given, "recipe": recipe})
