"""Training on one batch: single steps, for loops of one's own, on trainers that are kept between calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend import blas
from purecnn.backend.checks import positive
from purecnn.backend.cores import capacity
from purecnn.backend.overflow import unwarned
from purecnn.backend.sharding import shard_count
from purecnn.backend.threads import ThreadPool, check_threads
from purecnn.backend.types import Array
from purecnn.datasets.augmentation import Augmentation, as_augmentation
from purecnn.datasets.dataset import Dataset
from purecnn.layers.batchwise import Zeros
from purecnn.losses.base import Loss, LossFunction, LossPrime
from purecnn.messages.signatures import explained as explained_call
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.registry import as_optimizer
from purecnn.training.device import DeviceTrainer
from purecnn.training.host import HostTrainer
from purecnn.training.pixels import warn_of_pixels
from purecnn.training.runnable import RunnableNetwork
from purecnn.training.settings import FitSettings
from purecnn.training.targets import Targets
from purecnn.training.trainer import Trainer

#: How many trainers are kept: one for batches of the usual size, and one for a short last batch.
KEPT = 2


class BatchTrainer(HostTrainer):
    """A `HostTrainer` that is kept between steps, and holds neither threads nor BLAS meanwhile."""

    can_spawn = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._blas.__exit__(None, None, None)

    def find_memory(self) -> Zeros:
        """Return what makes the arrays of a step: workers are threads, so any will do."""
        return np.zeros

    def gather_workers(self) -> None:
        """Gather nobody yet."""
        if not self.is_told:
            blas.warn_untold()
            self.workers = 1

    def step(self, rows: Any, following: Any = ()) -> float:
        """Take one step, as `Trainer` does, with threads that end with it."""
        with blas.single_threaded(warns=False):
            if self.workers == 1:
                return super().step(rows, following)
            with ThreadPool(self.workers, self.work) as self.pool:
                try:
                    return super().step(rows, following)
                finally:
                    self.pool = None


@dataclass
class KeptTrainer:
    """A trainer, and what it was made for.

    Parameters
    ----------
    trainer : Trainer
        Of batches of one size.
    objects : list
        Which objects the steps are about: network vector, optimizer, preprocessing, layers.
    values : tuple
        What else decides them.
    """

    trainer: Trainer
    objects: list[object]
    values: tuple[Any, ...]

    def is_about(self, objects: list[object]) -> bool:
        """Return whether its steps are about exactly these."""
        return list(map(id, self.objects)) == list(map(id, objects))


class BatchTrainableNetwork(RunnableNetwork):
    """What a `Network` is but for `fit`: one that takes single steps on batches at hand."""

    _kept_trainers: tuple[KeptTrainer, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_kept_trainers"}

    def release(self) -> None:
        """Let the working memory go that predictions and `train_on_batch` keep for the next ones."""
        super().release()
        self._kept_trainers = ()

    @explained_call
    def train_on_batch(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        loss: str | Loss | LossFunction | None = None,
        loss_prime: LossPrime | None = None,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        augmentation: Augmentation | None = None,
        threads: int | None = None,
        shards: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        ignore_label: int | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> float:
        """Take one step on one batch, for a training loop of one's own; return its loss, before the step.

        The bits are those of ``fit(x, y, batch_size=len(x), shuffle=False)`` on the same samples. `updates`
        counts the step; `epochs` and `history` stay. A batch in which nothing counts, all of whose weights
        are 0 or all of whose pixels are to be ignored, changes nothing else, as in `fit`. What a step needs
        is made at the first call and kept for the next ones of as many samples; `release` lets it go.

        Parameters
        ----------
        x, y : array_like
            Samples and answers of one batch, as `fit` takes them.
        loss, loss_prime, learning_rate, augmentation, sample_weight, class_weight, ignore_label, l1, l2
            As `fit` takes them.
        optimizer : str or Optimizer
            As `fit` takes it. An object has its state, of which `steps` and `state` tell, and a rate that may
            be set between two calls; one named as in the last call goes on with that one's, which is
            `network.optimizer`.
        threads, shards : int, optional
            As `fit` takes them. Workers are threads.

        Returns
        -------
        float
            The mean loss of the batch, penalties included; 0 if nothing in it counts.

        Raises
        ------
        ValueError, TypeError, ShapeError
            For data that the network can't learn from, and arguments that are none, in one sentence.
        DivergedError
            If the loss is not finite; the parameters are those before this step.

        Notes
        -----
        Keras's method of this name returns metrics too, and takes loss and optimizer from ``compile``. As by
        `fit`, the task of a network that has none is decided by the first targets: where these mislead, such
        as values that happen to be zeros and ones, make it as ``Network(layers, task="regression")``.

        Examples
        --------
        >>> from purecnn import SGD, Dense, Network
        >>> network, optimizer = Network([Dense(1, 1)]), SGD(0.1)
        >>> losses = [
        ...     network.train_on_batch([[1.0], [2.0]], [[2.0], [4.0]], loss="mse", optimizer=optimizer)
        ...     for _ in range(20)
        ... ]
        >>> losses[-1] < losses[0] / 100, optimizer.steps, network.updates
        (True, 20, 20)
        """
        if isinstance(x, Dataset):
            raise TypeError(f"x must be an array of the samples of one batch, got {x!r:.100}; fit reads it")
        check_threads(threads, self.device)
        rows: Any = self.as_rows(x)  # no data set, so an array
        targets = self.targets(
            y,
            len(rows),
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_label=ignore_label,
            are_batch=True,
        )
        if self.updates == 0:
            warn_of_pixels(rows, self.input_shape or (), self.preprocessing, self.layers)
        chosen = self.loss(loss, loss_prime, targets)
        task = self.task_for(chosen, targets.values)
        if self._task != task:
            self._task, self._task_was_given = task, False
        samples = len(rows)
        asked = shard_count(samples, capacity().number) if shards is None else positive("shards", shards)
        settings = FitSettings(
            loss=chosen,
            optimizer=self.resolve_optimizer(optimizer, learning_rate),
            batch_size=samples,
            augmentation=as_augmentation(augmentation, self.input_shape, self.output_shape, chosen),
            threads=threads,
            shards=min(asked, samples),
            l1=l1,
            l2=l2,
        )
        with unwarned():
            found = self.batch_trainer(rows, targets, settings).step(np.arange(samples))
        self.sync()
        return found

    def batch_trainer(self, rows: Array, targets: Targets, settings: FitSettings) -> Trainer:
        """Return the trainer of such steps, on these samples: one that is kept, or a new one."""
        optimizer = settings.optimizer
        parts = [part for layer in self for part in (layer, *layer.parts())]
        objects = [self._parameters, self.steps(), optimizer, self.preprocessing, *parts]
        trained = [(part.trainable, part.learning_rate_factor) for part in parts]
        values = (settings, self.seed, optimizer.decay_biases, trained)
        kept = [one for one in self._kept_trainers if one.is_about(objects)]
        found = next((one for one in kept if one.values == values), None)
        if found is None or optimizer.state.keys() != set(optimizer.states):
            kind = BatchTrainer if self.device.is_host else DeviceTrainer
            found = KeptTrainer(kind(self, rows, targets, settings), objects, values)
        self._kept_trainers = (found, *[one for one in kept if one is not found][: KEPT - 1])
        trainer = found.trainer
        trainer.x = trainer.shards.x = rows
        trainer.y = trainer.shards.y = targets
        return trainer

    def resolve_optimizer(self, optimizer: str | Optimizer, learning_rate: float | None) -> Optimizer:
        """Return the optimizer to use: one named as in the last call keeps its state from there."""
        made, last = as_optimizer(optimizer, learning_rate), self.optimizer
        if isinstance(optimizer, Optimizer) or repr(made) != repr(last):
            self.optimizer = made
        found = self.optimizer or made
        found.serve(self)
        return found
