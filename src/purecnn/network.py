"""A network: layers in order, their parameters in one flat vector, trained by mini-batches and asked."""

from __future__ import annotations

import copy
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from purecnn import blas
from purecnn.arguments import as_pair, choice, flag, positive
from purecnn.augmentation import Augmentation, as_augmentation
from purecnn.callbacks import Callback, History, PrintEpochs, as_callbacks
from purecnn.dataset import Data, Dataset, Rows, Subset, labels_of
from purecnn.device import Device, as_device, explained, to_host
from purecnn.errors import ShapeError
from purecnn.fitting import Fit
from purecnn.footprint import footprint
from purecnn.fusion import fuse, unfused
from purecnn.layer import Layer, Shape, ShapeLike
from purecnn.loss import Loss, LossFunction, LossPrime, columns
from purecnn.losses import as_loss, to_measure
from purecnn.measures import Metric, as_metrics, measure, of_task
from purecnn.optimizer import Optimizer
from purecnn.optimizers import as_optimizer
from purecnn.overflow import without_warnings
from purecnn.pairs import check_pair, check_targets, suitable_loss
from purecnn.parallel import Team, as_threads, check_threads
from purecnn.parameters import FlatParameters, as_layers, check_free, claim
from purecnn.pixels import warn_of_pixels
from purecnn.samples import (
    PREPARATIONS,
    Preprocessing,
    Targets,
    as_array,
    as_batch,
    infer_shape,
)
from purecnn.scratch import Array
from purecnn.session import Session
from purecnn.signatures import explained as explained_call
from purecnn.splits import check_fraction, strata, stratified_split
from purecnn.summaries import Summary, summary
from purecnn.tasks import Task, as_task, as_truth, check_last, check_task, decide, form_for, form_of
from purecnn.weighting import sample_weights

if TYPE_CHECKING:
    from purecnn.distributed import Ranks

#: Samples that inference runs at a time: fixed, so that a set's answers do not depend on the threads, and
#: wide, so that these wait less for the interpreter's lock (LeNet on 2 cores: 118,000 images a second at 128,
#: 130,000 at 256).
CHUNK = 256
#: On a device, which works on many at once.
DEVICE_CHUNK = 1024
#: Bytes that a chunk on its way may take; of large samples fewer are run at a time.
CHUNK_BYTES = 2**30


class Network(FlatParameters):
    """Layers in order, their parameters in one flat vector, and the preprocessing of what enters.

    Parameters
    ----------
    layers : iterable of Layer
        From input to output. A layer is part of one network alone; a copy may be part of another, and keeps
        the parameters that it has.
    input_shape : tuple of int or dict, optional
        Shape of one sample, such as ``(1, 28, 28)``; taken from the layers or the first data if left out.
        Channels that seem to be last are refused; to mean them, name the axes of an image:
        ``{"channels": 28, "height": 28, "width": 1}``.
    seed : int or None
        Decides every draw: first parameters, order, dropout. None takes a new one and keeps it in `seed`.
    dtype : dtype
        Of the parameters, and so of all arithmetic: float32 or float64. Left out, it is that of parameters
        that layers already have, else float32.
    preprocessing : Preprocessing, optional
        What happens to raw values; learnt from the first data if left out.
    device : {"cpu", "cuda", "sycl"}
        Where the network lies and computes: NumPy; CuPy on an NVIDIA GPU; dpnp on an Intel one (see `to`).
        What goes in and comes out are NumPy's arrays everywhere.
    task : {"classification", "multilabel", "regression"}, optional
        What the outputs are: classes, several labels a sample, or values. Left out, the first `fit` decides
        it from the loss, the last layer and the targets (`tasks.decide`).

    Attributes
    ----------
    parameters : ndarray
        The flat vector; every layer's parameters are views of it. On a device it is an array of that
        device, which `to_host` brings back.
    epochs, updates : int
        How many epochs and steps it was trained.
    history : History or None
        What the last `fit` measured, also while it runs and however it ended.
    max_bytes : int or None
        How much the samples that one worker predicts at a time may take on their way through the layers; None
        where it is not bounded. A network of a file has the bound that `load` was given.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> network = Network([Dense(2, 3), Tanh(), Dense(3, 1), Tanh()])
    >>> network.predict([[0, 0], [0, 1], [1, 0]]).shape
    (3, 1)
    """

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
        self._idle: deque[Session] = deque(maxlen=16)
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
        return {k: v for k, v in super().__getstate__().items() if k not in ("_idle", "_steps")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_idle": deque(maxlen=16), "_steps": None})
        claim(self.layers, self)
        if self.optimizer is not None:
            self.optimizer.serve(self)

    def bind(self, input_shape: ShapeLike) -> Shape:
        """Fix the shape of one sample, as `FlatParameters.bind`; layers put in by hand become this network's.

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

    def move(self, home: Array, values: Array | None = None) -> None:
        """Keep the parameters in the flat array `home`; what was made for the old one is let go."""
        super().move(home, values)
        self._steps = self._sample_bytes = None
        self._idle.clear()

    def release(self) -> None:
        """Let the working memory go that predictions keep for the next ones."""
        self._idle.clear()

    def steps(self) -> list[Layer]:
        """Return the layers to run, some standing for several of this network's."""
        if self._steps is None:
            self._steps = fuse(self.layers) if self.device.is_host else unfused(self.layers)
        return self._steps

    def session(self, layers: Sequence[Layer], training: bool) -> Session:
        """Return one worker's replicas of `layers`."""
        if self.input_shape is None:
            raise ValueError("this network has no input shape yet: bind it, or give it data")
        return Session(layers, self.input_shape, self.dtype, self.preprocessing, training, self.device.xp)

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
            check_last(given, self.layers[-1])
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
        last = self.layers[-1]
        if self._task is None or not (self._task_was_given or self.updates):
            return decide(loss, last, y)
        check_task(self._task, loss, last, form_for(loss, y), known=True)
        return self._task

    @property
    def output_shape(self) -> Shape | None:
        """Shape of one output sample, None before the network is bound."""
        return self.layers[-1].output_shape if self.input_shape else None

    def receive(self, x: Any, anew: bool = True) -> Array | Rows:
        """Check raw samples and bind to them at first sight; return rows ``(n, values)``.

        `anew` lets the first data of training take the place of those that the network was only asked about.
        """
        if not isinstance(x, np.ndarray) and isinstance(x, Dataset):
            rows = Rows(x)
            self.receive(rows.first, anew)
            return rows
        array = as_array("x", x)
        if array.dtype.kind == "f" and array.dtype.itemsize > self.dtype.itemsize:
            least, most = float(array.min()), float(array.max())
            limit = float(np.finfo(self.dtype).max)
            if max(-least, most) > limit:
                raise ValueError(
                    f"x must hold numbers within {self.dtype}'s range, at most {limit:.3g} in size; "
                    f"got {least if -least > most else most:.3g}"
                )
        if self.input_shape is None:
            axes = next((f.sample_axes for f in self.layers if f.sample_axes is not None), None)
            self.bind(infer_shape(array, wants_images=axes == 3))
        else:
            self.gather()
        batch = as_batch(array, self.input_shape or ())
        self.preprocessing.learn(array, anew=anew and self.updates == 0)
        self.preprocessing.check(array)
        return batch

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from purecnn.near_names import METHODS, missing_attribute  # here: for what is missing alone

            raise AttributeError(missing_attribute(type(self).__name__, name, METHODS))

    def summary(self, input_shape: ShapeLike | None = None) -> Summary:
        """Return output shape, parameters and multiply-adds of each layer: see `summaries.summary`.

        Examples
        --------
        >>> from purecnn import Dense
        >>> Network([Dense(2, 3)]).summary().parameters
        9
        """
        return summary(self, input_shape)

    def __str__(self) -> str:
        """Return the summary's table; before there is an input shape, what `repr` returns."""
        try:
            return str(self.summary())
        except ValueError:
            return repr(self)

    def _repr_html_(self) -> str | None:
        """Return the summary's table, as Jupyter shows it; None before there is an input shape."""
        return None if self.input_shape is None else self.summary()._repr_html_()

    # Training ---------------------------------------------------------------------------------------------

    @explained_call
    def fit(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 128,
        loss: str | Loss | LossFunction | None = None,
        loss_prime: LossPrime | None = None,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | None = None,
        validation_data: tuple[Data, npt.ArrayLike] | None = None,
        validation_split: float | None = None,
        augmentation: Augmentation | None = None,
        metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric] = (),
        shuffle: bool = True,
        drop_last: bool = False,
        threads: int | None = None,
        callbacks: Callback | Callable[[Fit], Any] | Sequence[Callback | Callable[[Fit], Any]] = (),
        verbose: bool = False,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        resume: str | os.PathLike[str] | None = None,
        ranks: Ranks | None = None,
    ) -> History:
        """Train by mini-batches. A second call goes on where the first ended.

        Parameters
        ----------
        x : array_like
            Samples first: ``(n, *input_shape)``, images without their channel axis, or flat rows. uint8 stays
            uint8 in memory and is scaled a mini-batch at a time. Or a `Dataset`, read a mini-batch at a time.
        y : array_like
            Integer labels ``(n,)``, or values ``(n, outputs)``; a data set's own labels if left out.
        epochs, batch_size : int
            How often to go over the set, 0 to train nothing, and how many samples a step takes; the last
            batch may be short.
        loss : str, Loss or callable
            One of `losses.LOSSES`, or a function ``(y_true, y_pred)`` with its derivative as `loss_prime`.
            Left out: the cross-entropy that belongs to a last Softmax or Sigmoid, else
            "softmax_cross_entropy" for labels, "sigmoid_binary_cross_entropy" for several labels a sample and
            "mse" for values.
        loss_prime : callable, optional
            The derivative of a loss of one's own.
        optimizer : str or Optimizer
            "adam", "sgd" or another name, in any case, or an object.
        learning_rate : float, optional
            For an optimizer given by name.
        validation_data : (array_like, array_like), optional
            Samples and answers to measure after each epoch.
        validation_split : float, optional
            The share of the samples to measure in its place, of each class as many (`stratified_split`); they
            are not trained on, whatever the number of calls.
        augmentation : Augmentation, optional
            How to change the training images, anew in every step.
        metrics : str, callable, sequence of them, or dict of names to them
            What to measure after each epoch on the training set, in a forward pass of its own, and on the
            validation set: names of the task's in `measures.METRICS`, such as "f1" or "top_3_accuracy", or
            functions ``(y_true, y_pred)``, the samples first.
        shuffle : bool
            Whether each epoch has an order of its own, drawn from the network's seed.
        drop_last : bool
            Whether an epoch ends before a last batch that is short: other samples each time, if they are
            shuffled. `BatchNormalization` can't learn from a batch of one sample.
        threads : int, optional
            How many work; the processors this process may use if left out. The bits do not depend on it. A
            device takes no such number.
        callbacks : Callback, function, or sequence of them
            Called after each step and epoch; a function after each epoch, with the running `Fit`.
        verbose : bool
            Whether to print a line an epoch.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, at least 0: a batch's loss is ``sum(w l) / sum(w)`` over
            its samples, so that 2 counts as the sample twice; a batch of zeros alone changes nothing. A
            loss of one's own must say that it takes them: ``Loss(function, prime, weighted=True)``.
        class_weight : dict or "balanced", optional
            From labels to factors of their samples' weights, 1 where left out; "balanced" has all classes
            count alike, as in scikit-learn. Neither weighs the validation set.
        l1, l2 : float
            ``l1 sum |w| + l2 sum w^2`` over all `weights` and `kernels`, not biases, is added to each batch's
            loss, also as it is reported; not to that of the validation set, nor by `evaluate`.
        resume : str or path-like, optional
            A file that a `Checkpoint` wrote in a `fit` of this network, the same data and arguments: go on
            from there to the same bits. `epochs` is that of the whole run, as in Lightning, and may be more.
        ranks : Ranks, optional
            The processes of an MPI job that train together, all of which call this with the same arguments;
            rank 0 alone calls the callbacks, evaluates and reads `resume`. The bits do not depend on it.

        Returns
        -------
        History
            Loss, validation and time of each epoch; also in `history`, which a run that was interrupted or
            diverged leaves behind.

        Warns
        -----
        PreprocessingWarning
            If the first data are pixels that nothing scales (`pixels.warn_of_pixels` has the rule).

        Raises
        ------
        ValueError, TypeError, ShapeError
            For data that the network can't learn from, and arguments that are none, in one sentence.
        DivergedError
            If the loss is no longer finite; the parameters are those before that step.
        FileFormatError
            If `resume` is damaged, or no checkpoint.
        CheckpointError
            If it is one of another run.
        RankError
            If the ranks differ in what decides the bits, or one of them fails.
        """
        if ranks is not None:
            from purecnn import distributed  # here, since few runs need it

            if not self.device.is_host:
                raise ValueError(
                    f"ranks train on the processor: device must be 'cpu', got {self.device.name!r}"
                )
            if not isinstance(ranks, distributed.Ranks):
                raise TypeError(f"ranks must be a Ranks, got {ranks!r:.100}")
        saved = None
        if resume is not None:
            from purecnn.model_file import own_layers  # here, since few runs need it
            from purecnn.snapshot import Saved

            own = own_layers(self)
            saved = Saved(resume, own) if ranks is None else ranks.first(lambda: Saved(resume, own))
        epochs, batch_size = positive("epochs", epochs, least=0), positive("batch_size", batch_size)
        check_threads(threads, self.device)
        rows = self.receive(x)
        if isinstance(x, Dataset) and self.preprocessing.preparation == "unknown":
            self.preprocessing.preparation = choice(
                "preparation", getattr(x, "preparation", "unknown"), PREPARATIONS
            )
        targets = self.targets(labels_of(x, y), len(rows), sample_weight, class_weight)
        if self.updates == 0 and saved is None and (ranks is None or ranks.is_first):
            warn_of_pixels(rows, self.input_shape or (), self.preprocessing, self.layers)
        watchers = as_callbacks(
            [*as_callbacks(callbacks), *([PrintEpochs()] if flag("verbose", verbose) else [])]
        )
        chosen = self.loss(loss, loss_prime, targets)
        task = self.task_for(chosen, targets.values)
        if validation_data is not None:
            x_validation, y_validation = as_pair("validation_data", validation_data)
            others = self.targets(y_validation, len(self.receive(x_validation, anew=False)))
            check_task(task, chosen, self.layers[-1], form_for(chosen, others.values), known=True)
        kept = np.arange(len(rows))
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError(
                    "validation_split and validation_data both name the validation set; give one"
                )
            check_fraction("validation_split", validation_split)
            seed = self.seed if saved is None else saved.network.seed  # which the run takes over
            kept, held = stratified_split(strata(targets), validation_split, seed)
            validation_data = Subset(rows, held, targets.values[held]), targets.values[held]
            if not targets.weight(kept):
                raise ValueError(
                    "the weights of the samples to train on must not all be 0: validation_split left none"
                )
        asked = as_metrics(metrics, task)
        if self._task != task:
            self._task, self._task_was_given = task, False
        return Fit(
            self,
            rows,
            targets,
            chosen,
            self.continued(optimizer, learning_rate),
            kept=kept,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=flag("shuffle", shuffle),
            drop_last=flag("drop_last", drop_last),
            validation_data=validation_data,
            validation_split=validation_split,
            augmentation=as_augmentation(augmentation, self.input_shape),
            metrics=asked,
            threads=threads,
            callbacks=watchers,
            saved=saved,
            l1=l1,
            l2=l2,
            ranks=ranks,
        ).run()

    def continued(self, optimizer: str | Optimizer, learning_rate: float | None) -> Optimizer:
        """Return the optimizer to use: one named as in the last `fit` keeps its state from there."""
        made, last = as_optimizer(optimizer, learning_rate), self.optimizer
        if isinstance(optimizer, Optimizer) or repr(made) != repr(last):
            self.optimizer = made
        found = self.optimizer or made
        found.serve(self)
        return found

    def loss(self, loss: str | Loss | LossFunction | None, prime: LossPrime | None, targets: Targets) -> Loss:
        """Return the loss asked for, or the one that suits the last layer and the targets."""
        if loss is None and prime is not None:
            raise ValueError("loss_prime wants the loss that it is the derivative of beside it, got none")
        if loss is None:
            several = self._task == "multilabel" or (
                self._task is None and form_of(targets.values) == "multi-hot"
            )
            loss = suitable_loss(self.layers, targets.are_labels, several)
        found = as_loss(loss, prime)
        check_pair(found, self.layers)
        check_targets(found, targets.values, self.layers, self.output_shape or ())
        if targets.weights is not None and not found.weighted:
            raise ValueError(
                "weights of samples or classes want a loss that takes sample_weight: one of this package, or "
                "Loss(function, prime, weighted=True) of one's own"
            )
        return found

    def targets(self, y: Any, samples: int, sample_weight: Any = None, class_weight: Any = None) -> Targets:
        """Check the answers to `samples` samples, and how much each counts."""
        outputs, classes = int(np.prod(self.output_shape or ())), self.preprocessing.classes
        if len(classes) not in (0, outputs):
            raise ValueError(
                f"preprocessing must name no classes or one for each of {outputs} outputs, got {len(classes)}"
            )
        found = Targets.check(y, samples, outputs)
        found.weights = sample_weights(found, outputs, sample_weight, class_weight)
        return found

    # Use --------------------------------------------------------------------------------------------------

    @explained_call
    def predict(self, x: Data, *, threads: int | None = None) -> Array:
        """Return the network's outputs.

        Parameters
        ----------
        x : array_like
            Samples first, as `fit` takes them; a lone one is a batch of one, ``x[np.newaxis]``.
        threads : int, optional
            How many work; the processors this process may use if left out.

        Returns
        -------
        ndarray
            The outputs of each sample, ``(n, outputs)``, or ``(n, *output_shape)`` where they are maps.

        See Also
        --------
        lists.predict : one sample of a plain list of layers, as the original program has it.
        """
        return self.outputs(self.receive(x), threads)

    def chunk(self) -> int:
        """Return how many samples inference runs at a time: fewer where they are large.

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

    def outputs(self, rows: Array | Rows, threads: int | None = None) -> Array:
        """Return the outputs ``(n, outputs)`` of checked rows, a fixed number of samples at a time."""
        check_threads(threads, self.device)
        size = self.chunk() if self.device.is_host else DEVICE_CHUNK
        starts = range(0, len(rows), size)
        found = np.empty((len(rows), *(self.output_shape or ())), self.dtype)

        def chunk(_worker: int, number: int) -> None:
            own = slice(starts[number], starts[number] + size)
            # A short last chunk is filled from before: another size would be laid out anew each time.
            first = max(0, min(own.start, len(rows) - size))
            try:
                session = self._idle.pop()
            except IndexError:
                session = self.session(self.steps(), training=False)
            with np.errstate(all="ignore"):  # what overflows is infinite, as it is in a graph
                outputs = session.forward(session.take(rows, slice(first, first + size)))
            found[own] = np.moveaxis(to_host(outputs)[..., own.start - first :], -1, 0)
            self._idle.append(session)

        with blas.single_threaded() as told, explained(self.device):
            workers = min(as_threads(threads), len(starts)) if told and self.device.is_host else 1
            if workers == 1:
                for number in range(len(starts)):
                    chunk(0, number)
            else:
                with Team(workers, chunk) as team:
                    team.run(len(starts))
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
            How many work.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, in the loss and in all metrics; one of one's own then must
            take `sample_weight`.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}`` of classes; of several labels a sample "subset_accuracy",
            "label_accuracy" and "f1" beside the loss, of values "mean_absolute_error",
            "root_mean_squared_error" and "r2"; and each metric asked for by its name. A lone output of
            classes and each of several labels, or its sigmoid where the loss takes scores, counts as 1 above
            0.5.
        """
        rows = self.receive(x)
        targets = self.targets(labels_of(x, y), len(rows), sample_weight)
        chosen = self.loss(to_measure(loss), None, targets)
        task = self.task_for(chosen, targets.values)
        asked = as_metrics(metrics, task)
        found = self.outputs(rows, threads)
        inside, every = np.moveaxis(found, 0, -1), slice(None)
        wanted, seen = columns(targets.batch(every, found.dtype), inside), chosen.probabilities(found)
        truth = as_truth(chosen, targets.values)
        return {
            "loss": float(chosen.function(wanted, inside, **targets.weighting(every))),
            **of_task(task, truth, seen, targets.weights),
            **measure(asked, truth, seen, targets.weights),
        }
