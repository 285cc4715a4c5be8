"""A network: layers in order, their parameters in one flat vector, trained by mini-batches and asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_pair, choice, flag, positive
from purecnn.backend.threads import check_threads
from purecnn.callbacks.base import Callback, as_callbacks
from purecnn.callbacks.history import History
from purecnn.callbacks.progress import PrintEpochs, ProgressBar
from purecnn.datasets.augmentation import Augmentation, as_augmentation
from purecnn.datasets.dataset import Data, Dataset, Subset, labels_of
from purecnn.datasets.splits import check_fraction, stratified_split
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.layers.ranges import deciding_layer
from purecnn.layers.shapes import ShapeLike
from purecnn.layers.summaries import Summary, summary
from purecnn.losses.base import Loss, LossFunction, LossPrime
from purecnn.losses.tasks import check_task, form_for
from purecnn.messages.signatures import explained as explained_call
from purecnn.metrics.registry import Metric, as_metrics
from purecnn.networks.on_batch import BatchTrainableNetwork
from purecnn.optimizers.base import Optimizer
from purecnn.training.fit import Fit
from purecnn.training.pixels import warn_of_pixels
from purecnn.training.settings import FitSettings
from purecnn.training.targets import strata

if TYPE_CHECKING:
    from purecnn.training.distributed.ranks import Ranks


class Network(BatchTrainableNetwork):
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
    task : {"classification", "multilabel", "regression", "segmentation"}, optional
        What the outputs are: classes, several labels a sample, values, or a class for each pixel. Left out,
        the first `fit` decides it from the loss, the last layer and the targets (`tasks.decide`).

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

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from purecnn.messages.calls import METHODS
            from purecnn.messages.near_names import missing_attribute

            raise AttributeError(missing_attribute(type(self).__name__, name, METHODS))

    def summary(self, input_shape: ShapeLike | None = None) -> Summary:
        """Return output shape, parameters and multiply-adds of each layer: see `summary`.

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

    @explained_call
    def fit(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 128,
        accumulate: int = 1,
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
        shards: int | None = None,
        callbacks: Callback | Callable[[Fit], Any] | Sequence[Callback | Callable[[Fit], Any]] = (),
        verbose: bool = False,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        ignore_label: int | None = None,
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
            Integer labels ``(n,)``, or values ``(n, outputs)``; a data set's own labels if left out. Where
            the outputs are images ``(classes, H, W)``: label maps, integers ``(n, H, W)``, one class for each
            pixel (`targets.label_maps` has the forms), or images.
        epochs, batch_size : int
            How often to go over the set, 0 to train nothing, and how many samples a batch has; the last
            one may be short.
        accumulate : int
            How many batches a step takes: their gradients are added up, so that the step is that of one batch
            so many times as large, at the memory of the small one. Batch normalization sees the small ones,
            each by itself. The last step of an epoch takes the batches that are left, weighed by their
            samples. Callbacks, schedules and `updates` count steps. PyTorch Lightning's
            ``accumulate_grad_batches``; of Keras's optimizers ``gradient_accumulation_steps``.
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
            validation set: names of the task's in `registry.METRICS`, such as "f1" or "top_3_accuracy", or
            functions ``(y_true, y_pred)``, the samples first.
        shuffle : bool
            Whether each epoch has an order of its own, drawn from the network's seed.
        drop_last : bool
            Whether an epoch ends before a last batch that is short: other samples each time, if they are
            shuffled. `BatchNormalization` can't learn from a batch of one sample.
        threads : int, optional
            Number of worker threads, on which the bits do not depend. Left out, the physical cores that this
            process may use, at most its container's quota and OMP_NUM_THREADS; 1 outside of the main thread
            and in the processes of a pool. A device takes no such number.
        shards : int, optional
            Into how many parts each batch is cut, of which a worker takes one at a time. The bits depend on
            this number. Left out, it is that of `resume`, or enough for the cores of this machine and all
            ranks (`sharding.shard_count`): for the same bits on machines with other numbers of cores, give
            it.
        callbacks : Callback, function, or sequence of them
            Called after each step and epoch; a function after each epoch, with the running `Fit`.
        verbose : bool
            Whether to print a line an epoch and, on a terminal and in a notebook, to show a `ProgressBar`
            meanwhile.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, at least 0: a batch's loss is ``sum(w l) / sum(w)`` over
            its samples, so that 2 counts as the sample twice; a batch of zeros alone changes nothing, a set
            of them is refused. A loss of one's own must say that it takes them: ``Loss(function, prime,
            weighted=True)``.
        class_weight : dict or "balanced", optional
            From labels to factors of their samples' weights, 1 where left out; "balanced" has all classes
            count alike, as in scikit-learn. Of label maps they are those of pixels. Neither weighs the
            validation set.
        ignore_label : int, optional
            The label of pixels of label maps, in the validation set too, that count nothing in losses and
            metrics: none of the classes, often 255. A batch of such pixels alone changes nothing, a set of
            them is refused. PyTorch's ``ignore_index``.
        l1, l2 : float
            ``l1 sum |w| + l2 sum w^2`` over all `weights` and `kernels`, not biases, is added to each batch's
            loss, also as it is reported; not to that of the validation set, nor by `evaluate`.
        resume : str or path-like, optional
            A file that a `Checkpoint` wrote in a `fit` of this network, the same data and arguments: go on
            from there to the same bits. `epochs` is that of the whole run, as in Lightning, and may be more.
        ranks : Ranks, optional
            The processes of an MPI job that train together, all of which call this with the same arguments;
            rank 0 alone calls the callbacks, evaluates and reads `resume`. With the same `shards` the bits
            do not depend on it.

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
            from purecnn.training.distributed.ranks import Ranks  # here, since few runs need it

            if not self.device.is_host:
                raise ValueError(
                    f"ranks train on the processor: device must be 'cpu', got {self.device.name!r}"
                )
            if not isinstance(ranks, Ranks):
                raise TypeError(f"ranks must be a Ranks, got {ranks!r:.100}")
        saved = None
        if resume is not None:
            from purecnn.callbacks.resume import SavedRun  # here, since few runs need them
            from purecnn.layers.serialization import own_layers

            own = own_layers(self.layers)
            saved = SavedRun(resume, own) if ranks is None else ranks.first(lambda: SavedRun(resume, own))
        epochs, batch_size = positive("epochs", epochs, least=0), positive("batch_size", batch_size)
        check_threads(threads, self.device)
        rows = self.as_rows(x)
        if isinstance(x, Dataset) and self.preprocessing.preparation == "unknown":
            self.preprocessing.preparation = choice(
                "preparation", getattr(x, "preparation", "unknown"), PREPARATIONS
            )
        targets = self.targets(
            labels_of(x, y),
            len(rows),
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_label=ignore_label,
        )
        if self.updates == 0 and saved is None and (ranks is None or ranks.is_first):
            warn_of_pixels(rows, self.input_shape or (), self.preprocessing, self.layers)
        watchers = as_callbacks(callbacks)
        if flag("verbose", verbose) and not any(isinstance(one, PrintEpochs) for one in watchers):
            watchers = as_callbacks([*watchers, ProgressBar()])
        chosen = self.loss(loss, loss_prime, targets)
        task = self.task_for(chosen, targets.values)
        if validation_data is not None:
            x_validation, y_validation = as_pair("validation_data", validation_data)
            length = len(self.as_rows(x_validation, anew=False))
            others = self.targets(y_validation, length, ignore_label=ignore_label)
            check_task(task, chosen, deciding_layer(self.layers), form_for(chosen, others.values), known=True)
        kept = np.arange(len(rows))
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError(
                    "validation_split and validation_data both name the validation set; give one"
                )
            check_fraction("validation_split", validation_split)
            seed = self.seed if saved is None else saved.contents.seed  # which the run takes over
            kept, held = stratified_split(strata(targets), validation_split, seed)
            validation_data = Subset(rows, held, targets.values[held]), targets.values[held]
            if not targets.weight(kept):
                raise ValueError(
                    "the weights of the samples to train on must not all be 0: validation_split left none"
                )
        asked = as_metrics(metrics, task)
        if self._task != task:
            self._task, self._task_was_given = task, False
        settings = FitSettings(
            loss=chosen,
            optimizer=self.resolve_optimizer(optimizer, learning_rate),
            epochs=epochs,
            batch_size=batch_size,
            accumulate=positive("accumulate", accumulate),
            shuffle=flag("shuffle", shuffle),
            drop_last=flag("drop_last", drop_last),
            validation_data=validation_data,
            validation_split=validation_split,
            augmentation=as_augmentation(augmentation, self.input_shape, self.output_shape, chosen),
            metrics=asked,
            threads=threads,
            shards=None if shards is None else positive("shards", shards),
            l1=l1,
            l2=l2,
        )
        kind: Callable[..., Fit] = Fit
        if ranks is not None:
            from purecnn.training.distributed.fit import RankedFit

            kind = partial(RankedFit, ranks)
        return kind(self, rows, targets, settings, kept=kept, callbacks=watchers, saved=saved).run()
