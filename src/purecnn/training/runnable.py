"""A network that runs: its layers fused and replicated for workers, asked, measured, and taken to a file."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from purecnn.backend import blas
from purecnn.backend.arrays import Device, to_host
from purecnn.backend.checks import as_array, check_range
from purecnn.backend.cores import as_threads
from purecnn.backend.devices import as_device, explained
from purecnn.backend.overflow import without_warnings
from purecnn.backend.threads import ThreadPool, check_threads
from purecnn.backend.types import Array, Shape
from purecnn.callbacks.history import History
from purecnn.datasets.dataset import Data, Dataset, labels_of
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.footprint import footprint
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.ranges import deciding_layer
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.stack import LayerStack, as_layers, check_free, claim
from purecnn.losses.base import Loss, LossFunction, LossPrime, columns
from purecnn.losses.pairs import check_pair, check_targets, kind_of, suitable_loss
from purecnn.losses.registry import as_loss, to_measure
from purecnn.losses.tasks import Task, as_task, as_truth, check_last, check_task, decide, form_for
from purecnn.messages.signatures import explained as explained_call
from purecnn.metrics.registry import Metric, as_metrics, measure, of_task
from purecnn.optimizers.base import Optimizer
from purecnn.training.fusion import fuse, unfused
from purecnn.training.inference import CHUNK, CHUNK_BYTES, DEVICE_CHUNK, Plan, piece
from purecnn.training.replica import Replica
from purecnn.training.rows import Rows
from purecnn.training.samples import as_batch, infer_shape, wanted_axes
from purecnn.training.targets import Targets
from purecnn.training.weights import weighted_targets

if TYPE_CHECKING:
    from purecnn.layers.serialization import Contents


class RunnableNetwork(LayerStack):
    """What a `Network` is but for its training, which takes one; parameters and attributes are the same."""

    @explained_call
    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        input_shape: ShapeLike | None = None,
        seed: int | None = 0,
        dtype: npt.DTypeLike | None = None,
        preprocessing: Preprocessing | None = None,
        device: str | Device = "cpu",
        task: Task | None = None,
    ) -> None:
        self._steps: list[Layer] | None = None
        self._plan: Plan | None = None
        self._idle: deque[Replica] = deque(maxlen=16)
        self._sample_bytes: int | None = None
        layers, task, device = as_layers(layers), as_task(task), as_device(device)
        if not isinstance(preprocessing, Preprocessing | None):
            raise TypeError(f"preprocessing must be a Preprocessing, got {preprocessing!r}")
        check_free(layers, self, seed)
        super().__init__(layers, input_shape=input_shape, seed=seed, dtype=dtype)
        self.task = task
        claim(self.layers, self)
        # A network learns what it does, so that two can't have the same.
        self.preprocessing = copy.copy(preprocessing) if preprocessing else Preprocessing()
        self.epochs = self.updates = 0
        self.history: History | None = None
        self.max_bytes: int | None = None
        self.optimizer: Optimizer | None = None
        self.to(device)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k not in ("_idle", "_steps", "_plan")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_idle": deque(maxlen=16), "_steps": None, "_plan": None})
        claim(self.layers, self)
        if self.optimizer is not None:
            self.optimizer.serve(self)

    def bind(self, input_shape: ShapeLike) -> Shape:
        """Fix the shape of one sample, as `LayerStack.bind`; layers put in by hand become this network's.

        Raises
        ------
        ValueError
            If one of them is part of another network.
        ShapeError
            If a layer can't take what the layer before it gives, or the last one gives no vector.
        """
        check_free(as_layers(self.layers), self, self.seed)
        shape = super().bind(input_shape)
        claim(self.layers, self)
        return shape

    def attach(self, home: Array) -> None:
        """Keep the parameters in the flat array `home`; what was made for the old one is let go."""
        super().attach(home)
        self._steps = self._plan = self._sample_bytes = None
        self._idle.clear()

    def release(self) -> None:
        """Let the working memory go that predictions keep for the next ones."""
        self._idle.clear()

    def steps(self) -> list[Layer]:
        """Return the layers to run, some standing for several of this network's."""
        if self._steps is None:
            self._steps = fuse(self.layers) if self.device.is_host else unfused(self.layers)
        return self._steps

    def inference_steps(self) -> list[Layer]:
        """Return the layers to run where nothing is trained, as their parameters are now."""
        if not self.device.is_host:
            return self.steps()
        if self._plan is None:
            self._plan = Plan(self.layers, self.input_shape or (), self.parameters)
        self._plan.refresh()
        return self._plan.steps

    def replica(self, layers: Sequence[Layer], training: bool) -> Replica:
        """Return one worker's replicas of `layers`."""
        if self.input_shape is None:
            raise ValueError("this network has no input shape yet: bind it, or give it data")
        return Replica(layers, self.input_shape, self.dtype, self.preprocessing, training, self.device.xp)

    @property
    def task(self) -> Task | None:
        """The task: given, or decided by the first `fit`; None before. Set to None, the next `fit` decides.

        It is saved with the network, and decides what `evaluate`, `fit`, reports and commands say of it.
        """
        return self._task

    @task.setter
    def task(self, task: Task | None) -> None:
        given = as_task(task)
        if given is not None:
            check_last(given, deciding_layer(self.layers))
        self._task, self._task_was_given = given, given is not None

    def task_for(self, loss: Loss, y: Array) -> Task:
        """Return the task of targets: the network's own, or the one that `tasks.decide` says.

        Parameters
        ----------
        loss : Loss
            As `loss` returns it.
        y : ndarray
            Labels ``(n,)``, or rows ``(n, outputs)``.

        Raises
        ------
        ValueError
            If they are none of the network's task.
        """
        last = deciding_layer(self.layers)
        if self._task is None or not (self._task_was_given or self.updates):
            return decide(loss, last, y)
        check_task(self._task, loss, last, form_for(loss, y), known=True)
        return self._task

    @property
    def output_shape(self) -> Shape | None:
        """Shape of one output sample, None before the network is bound."""
        return self.layers[-1].output_shape if self.input_shape else None

    def as_rows(self, x: Any, anew: bool = True) -> Array | Rows:
        """Check raw samples and bind to them at first sight; return rows ``(n, values)``.

        `anew` lets the first data of training take the place of those that the network was only asked about.
        """
        if not isinstance(x, np.ndarray) and isinstance(x, Dataset):
            rows = Rows(x)
            self.as_rows(rows.first, anew)
            return rows
        array = as_array("x", x)
        check_range("x", array, self.dtype)
        if self.input_shape is None:
            self.bind(infer_shape(array, wanted_axes(self.layers)))
        else:
            self.sync()
        batch = as_batch(array, self.input_shape or ())
        self.preprocessing.learn(array, anew=anew and self.updates == 0)
        self.preprocessing.check(array)
        return batch

    def loss(self, loss: str | Loss | LossFunction | None, prime: LossPrime | None, targets: Targets) -> Loss:
        """Return the loss asked for, or the one that suits the last layer and the targets."""
        if loss is None and prime is not None:
            raise ValueError("loss_prime was given without loss: give both")
        if loss is None:
            loss = suitable_loss(self.layers, kind_of(targets.values, self.output_shape or (), self._task))
        found = as_loss(loss, prime)
        check_pair(found, self.layers)
        check_targets(found, targets.values, self.layers, self.output_shape or ())
        if targets.weights is not None and not found.weighted:
            raise ValueError(
                "weights of samples or classes want a loss that takes sample_weight: one of this package, or "
                "Loss(function, prime, weighted=True) of one's own"
            )
        return found

    def targets(self, y: Any, samples: int, **counts: Any) -> Targets:
        """Check the answers to `samples` samples, and how much each counts (see `weighted_targets`)."""
        task = self._task if self._task_was_given or self.updates else None
        shape, names = self.output_shape or (), self.preprocessing.classes
        return weighted_targets(y, samples, shape, self.dtype, task=task, names=names, **counts)

    @explained_call
    def predict(self, x: Data, *, threads: int | None = None) -> Array:
        """Return the network's outputs.

        Parameters
        ----------
        x : array_like
            Samples first, as `fit` takes them; a lone one is a batch of one, ``x[np.newaxis]``.
        threads : int, optional
            Number of worker threads; as many as `Network.fit` takes if left out.

        Returns
        -------
        ndarray
            The outputs of each sample, ``(n, outputs)``, or ``(n, *output_shape)`` where they are maps.

        See Also
        --------
        lists.predict : one sample of a plain list of layers, as the original program has it.
        """
        return self.outputs(self.as_rows(x), threads)

    def chunk(self) -> int:
        """Return how many samples inference runs at a time at most: fewer where they are large.

        Raises
        ------
        ShapeError
            If one alone takes more than `max_bytes`.
        """
        if self._sample_bytes is None:
            found = footprint(self.layers, self.input_shape or ())
            self._sample_bytes = found.memory(self.dtype.itemsize)
        if self.max_bytes is not None and self._sample_bytes > self.max_bytes:
            raise ShapeError(
                f"one sample takes {self._sample_bytes} bytes on its way through the layers; max_bytes "
                f"allows {self.max_bytes}"
            )
        size, room = CHUNK, CHUNK_BYTES if self.max_bytes is None else self.max_bytes
        while size > 1 and size * self._sample_bytes > room:
            size //= 2
        return size

    def contents(self) -> Contents:
        """Return what a model's file says of the network.

        Raises
        ------
        ValueError
            If it has no input shape yet.
        """
        if self.input_shape is None:
            raise ValueError(
                "this network has no input shape yet, so it has no parameters to save: "
                "a network that was trained, used or given an input_shape is wanted"
            )
        from purecnn.layers.serialization import Contents  # here, since few programs save

        self.sync()
        counts = self.epochs, self.updates
        found = self.layers, self.input_shape, self.dtype, self.seed, self.preprocessing, self.task
        return Contents(*found, *counts)

    def outputs(self, rows: Array | Rows, threads: int | None = None) -> Array:
        """Return the outputs ``(n, outputs)`` of checked rows, as many samples at a time as `piece` says."""
        check_threads(threads, self.device)
        steps = self.inference_steps()
        size = piece(len(rows), self._plan.work, self.chunk()) if self._plan else DEVICE_CHUNK
        starts = range(0, len(rows), size)
        found = np.empty((len(rows), *(self.output_shape or ())), self.dtype)

        def chunk(_worker: int, number: int) -> None:
            own = slice(starts[number], starts[number] + size)
            # A short last chunk is filled from before: another size would be laid out anew each time.
            first = max(0, min(own.start, len(rows) - size))
            try:
                replica = self._idle.pop()
            except IndexError:
                replica = self.replica(steps, training=False)
            with np.errstate(all="ignore"):  # what overflows is infinite, as it is in a graph
                outputs = replica.forward(replica.take(rows, slice(first, first + size)))
            outputs = to_host(outputs)[..., own.start - first :]
            found[own] = outputs.transpose(-1, *range(outputs.ndim - 1))  # `moveaxis` takes 10 us
            self._idle.append(replica)

        with blas.single_threaded() as told, explained(self.device):
            workers = as_threads(threads, len(starts)) if told and self.device.is_host else 1
            if workers == 1:
                for number in range(len(starts)):
                    chunk(0, number)
            else:
                with ThreadPool(workers, chunk) as pool:
                    pool.run(len(starts))
        return found

    @overload
    def evaluate(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | LossFunction | None = None,
        metrics: tuple[()] = (),
        threads: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        ignore_label: int | None = None,
    ) -> dict[str, float]: ...

    @overload
    def evaluate(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | LossFunction | None = None,
        metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric],
        threads: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        ignore_label: int | None = None,
    ) -> dict[str, Any]: ...

    @explained_call
    @without_warnings
    def evaluate(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | LossFunction | None = None,
        metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric] = (),
        threads: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        ignore_label: int | None = None,
    ) -> dict[str, Any]:
        """Return the mean loss and the metrics of the network's task on samples with known answers.

        Parameters
        ----------
        x, y : array_like
            As `fit` takes them.
        loss : str, Loss or callable
            As `fit` takes it.
        metrics : str, callable, sequence of them, or dict of names to them
            As `fit` takes them. They see probabilities, also where the network gives the scores that
            "softmax_cross_entropy" and "sigmoid_binary_cross_entropy" take.
        threads : int, optional
            Number of worker threads.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, in the loss and in all metrics; one of one's own then must
            take `sample_weight`. A set of zeros is refused: it has no mean.
        ignore_label : int, optional
            The label of pixels that count nothing, as `fit` takes it; likewise.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}`` of classes; of several labels a sample "subset_accuracy",
            "label_accuracy" and "f1" beside the loss, of values "mean_absolute_error",
            "root_mean_squared_error" and "r2", of label maps "pixel_accuracy" and "mean_iou"; and each metric
            asked for by its name. A lone output of
            classes and each of several labels, or its sigmoid where the loss takes scores, counts as 1 above
            0.5.
        """
        rows = self.as_rows(x)
        targets = self.targets(
            labels_of(x, y), len(rows), sample_weight=sample_weight, ignore_label=ignore_label
        )
        chosen = self.loss(to_measure(loss), None, targets)
        task = self.task_for(chosen, targets.values)
        asked = as_metrics(metrics, task)
        found = self.outputs(rows, threads)
        inside, every = np.moveaxis(found, 0, -1), slice(None)
        wanted, seen = columns(targets.batch(every, found.dtype), inside), chosen.probabilities(found)
        told = as_truth(chosen, targets.values), seen, targets.sample_weight, ignore_label
        return {
            "loss": float(chosen.function(wanted, inside, **targets.weighting(every))),
            **of_task(task, *told),
            **measure(asked, *told),
        }
