"""The base of the scikit-learn estimators.

What the scikit-learn estimators share: samples checked and shaped, a network made, trained and asked.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias

import numpy as np

from purecnn.backend.checks import flag, positive, within
from purecnn.backend.types import Array, Shape
from purecnn.callbacks.base import Callback, Run, as_callbacks
from purecnn.callbacks.early_stopping import EarlyStopping
from purecnn.callbacks.history import History
from purecnn.callbacks.learning_rate import LearningRate
from purecnn.datasets.augmentation import Augmentation
from purecnn.datasets.splits import check_fraction, share_of
from purecnn.errors import ShapeError
from purecnn.interop.sklearn.bases import BaseEstimator, sklearn
from purecnn.interop.sklearn.plans import Plan, planned, usual_epochs
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import drops_last
from purecnn.layers.shapes import NamedShape, ShapeLike, check_channels, sample_shape
from purecnn.losses.base import Loss
from purecnn.losses.tasks import Task
from purecnn.metrics.inputs import as_weights
from purecnn.networks.network import Network
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.registry import as_optimizer
from purecnn.optimizers.schedules import Schedule
from purecnn.training.samples import as_batch, infer_signal, refuse_channels_last, wanted_axes

#: Who looks on at a fit: one or several, functions of the running fit among them.
Watchers: TypeAlias = Callback | Callable[[Run], Any] | Sequence[Callback | Callable[[Run], Any]]


class Estimator(BaseEstimator):
    """A network behind scikit-learn's methods; `CNNClassifier` and `CNNRegressor` say what it learns."""

    network_: Network
    history_: History
    loss_curve_: list[float]
    n_iter_: int

    def __init__(
        self,
        network: Plan = "auto",
        *,
        input_shape: ShapeLike | None = None,
        epochs: int | None = None,
        batch_size: int = 128,
        accumulate: int = 1,
        optimizer: str | Optimizer = "adam",
        learning_rate: float | Schedule | None = None,
        loss: str | Loss | None = None,
        l2: float = 0.0,
        augmentation: Augmentation | None = None,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float | None = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        threads: int | None = None,
        shards: int | None = None,
        device: str = "cpu",
        callbacks: Watchers | None = None,
        verbose: bool = False,
    ) -> None:
        self.network = network
        self.input_shape = input_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.l2 = l2
        self.augmentation = augmentation
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.threads = threads
        self.shards = shards
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    # Samples ----------------------------------------------------------------------------------------------

    def receive(self, X: Any, anew: bool = False) -> tuple[Array, Shape]:
        """Return checked samples as rows ``(n, values)``, and the shape of one.

        Parameters
        ----------
        X : array_like or DataFrame
            As `fit` takes them.
        anew : bool
            Whether they may be others than the network knows.
        """
        array = sklearn("utils.validation").check_array(X, allow_nd=True, estimator=self, input_name="X")
        if not anew:
            self.check_features(X, array)
        shape = self.wanted_shape(array) if anew else self.network_.input_shape or ()
        return as_batch(array, shape, "X"), shape

    def check_features(self, X: Any, array: Array, reset: bool = False) -> None:
        """Hold `X` to the features that were learnt, by number and name; `reset`, learn them."""
        named = X if hasattr(X, "columns") else array.reshape(len(array), -1)
        validation = sklearn("utils.validation")
        if hasattr(validation, "validate_data"):
            validation.validate_data(self, named, reset=reset, skip_check_array=True)
        else:  # scikit-learn 1.5
            base: Any = self
            base._check_feature_names(named, reset=reset)
            base._check_n_features(named, reset=reset)

    def wanted_shape(self, array: Array) -> Shape:
        """Return the shape of one sample of an array: the one asked for, or what it says."""
        given, plan = array.shape, self.network
        takes_signals = isinstance(plan, Sequence) and not isinstance(plan, str) and wanted_axes(plan) == 2
        if self.input_shape is not None:
            shape = sample_shape(self.input_shape)
            check_channels("input_shape", shape)
            is_image = not takes_signals and not isinstance(shape, NamedShape)
            return (1, *shape) if len(shape) == 2 and is_image else shape
        if takes_signals:
            return infer_signal(array, "X")
        if len(given) > 4:
            raise ShapeError(
                f"X must have shape (n, values), (n, height, width) or (n, channels, height, width), "
                f"got {given}"
            )
        refuse_channels_last("X", given)
        return (1, *given[1:]) if len(given) == 3 else given[1:]

    # Training ---------------------------------------------------------------------------------------------

    @abstractmethod
    def teach(
        self, y: Any, anew: bool, sample_weight: Array | None, classes: Any = None
    ) -> tuple[Array, int, dict[str, Any]]:
        """Return the answers as `Network.fit` takes them, how many outputs they want, and what was learnt."""

    @abstractmethod
    def task_of(self, targets: Array) -> Task:
        """Return the task of a network that learns these answers."""

    @abstractmethod
    def head(self, targets: Array) -> list[Layer]:
        """Return what a named network ends in."""

    def loss_for(self, network: Network, targets: Array) -> str | Loss | None:
        """Return the loss for a network and its answers: the one asked for."""
        return self.loss

    def run(self, X: Any, y: Any, sample_weight: Any, once: bool = False, classes: Any = None) -> Self:
        """Do what `fit` does or, over the samples `once` and from where it is, `partial_fit`."""
        if once and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it sees no whole set")
        if once and callable(self.learning_rate):
            raise ValueError(
                f"partial_fit wants a number as learning_rate, got {self.learning_rate!r}: "
                f"a schedule must know the end"
            )
        if y is None:
            name = type(self).__name__
            raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
        anew = not ((once or self.warm_start) and self.__sklearn_is_fitted__())
        rows, shape = self.receive(X, anew)
        sklearn("utils").check_consistent_length(rows, y)
        weights = None if sample_weight is None else as_weights(sample_weight, len(rows))
        targets, outputs, learnt = self.teach(y, anew, weights, classes)
        if anew:
            network = self.start(rows, shape, outputs, self.head(targets))
            network.task = self.task_of(targets)
            names = learnt.get("classes_", ())
            if (len(names),) == network.output_shape:  # a file of the network then knows them too
                network.preprocessing.classes = tuple(map(str, names))
            for name in [name for name in vars(self) if name.endswith("_")]:
                delattr(self, name)  # what an earlier fit found
            self.check_features(X, rows, reset=True)
        else:
            network = self.network_
        vars(self).update(learnt)
        if weights is not None and not weights.all():
            counts = weights > 0  # the others have no part in the training, not even a place in a batch
            rows, targets, weights = rows[counts], targets[counts], weights[counts]
        self.train(network, rows, targets, weights, once)
        return self

    def start(self, rows: Array, shape: Shape, outputs: int, head: list[Layer]) -> Network:
        """Return a new network for these samples."""
        random = sklearn("utils").check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        # As NumPy joins them: bytes and halves compute in float32, wider integers and float64 in float64.
        wide = np.result_type(rows.dtype, np.float32).itemsize > 4
        return planned(self.network, shape, outputs, head, seed, np.float64 if wide else np.float32)

    def train(
        self, network: Network, rows: Array, targets: Array, sample_weight: Array | None, once: bool
    ) -> None:
        """Train a network, this estimator's or a new one, and keep it and what was measured."""
        goes_on = self.__sklearn_is_fitted__()
        epochs, batch_size = 1, positive("batch_size", self.batch_size)
        accumulate = positive("accumulate", self.accumulate)
        optimizer = self.resolve_optimizer(network)
        callbacks: list[Callback] = []
        if callable(self.learning_rate):
            callbacks.append(LearningRate(optimizer, self.learning_rate))
        if not once:
            epochs = (
                usual_epochs(len(rows), batch_size * accumulate)
                if self.epochs is None
                else positive("epochs", self.epochs)
            )
            callbacks += self.stopping()
        if self.callbacks is not None:
            callbacks += as_callbacks(copied(self.callbacks))
        aside = share_of(len(rows), self.validation_fraction) if self.early_stopping else 0
        history = network.to(self.device).fit(
            rows,
            targets,
            epochs=epochs,
            batch_size=batch_size,
            accumulate=accumulate,
            loss=self.loss_for(network, targets),
            optimizer=optimizer,
            validation_split=self.validation_fraction if self.early_stopping else None,
            augmentation=self.augmentation,
            shuffle=self.shuffle,
            drop_last=drops_last(network, len(rows) - aside, batch_size),
            threads=self.threads,
            shards=self.shards,
            callbacks=callbacks,
            verbose=bool(self.verbose),
            sample_weight=sample_weight,
            class_weight=self.weights_of_classes(once),
            l2=self.l2,
        )
        self.loss_curve_ = [*(self.loss_curve_ if goes_on else ()), *history.loss]
        self.network_, self.history_, self.n_iter_ = network, history, network.epochs

    def watched(self) -> str:
        """Return what must improve on the samples that `early_stopping` sets aside."""
        return "validation_loss"

    def weights_of_classes(self, once: bool) -> Mapping[int, float] | str | None:
        """Return what each class's samples weigh, as `Network.fit` takes it."""
        return None

    def resolve_optimizer(self, network: Network) -> Optimizer:
        """Return the optimizer: the one of the network's last fit, if it is what was asked for."""
        rate = None if callable(self.learning_rate) else self.learning_rate
        made, last = as_optimizer(copy.deepcopy(self.optimizer), rate), network.optimizer
        return last if last is not None and repr(made) == repr(last) else made

    def stopping(self) -> list[Callback]:
        """Return what ends the training before its last epoch.

        A schedule of the learning rate must come to its end, so the training loss alone ends nothing then.
        """
        patience = positive("n_iter_no_change", self.n_iter_no_change)
        tol = 0.0 if self.tol is None else within("tol", self.tol, 0)
        if flag("early_stopping", self.early_stopping):
            check_fraction("validation_fraction", self.validation_fraction)
            return [EarlyStopping(self.watched(), patience=patience, min_delta=tol)]
        if self.tol is None or callable(self.learning_rate):
            return []
        return [EarlyStopping("loss", patience=patience, min_delta=tol, restore_best=False)]

    def ask(self, X: Any) -> Array:
        """Return the network's outputs ``(n, outputs)``.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        """
        sklearn("utils.validation").check_is_fitted(self)
        rows, _ = self.receive(X)
        found = self.network_.predict(rows, threads=self.threads)
        return found.reshape(len(rows), -1)


def copied(callbacks: Watchers) -> Watchers:
    """Return copies of an estimator's callbacks, so that its parameters stay as they are given."""
    try:
        return copy.deepcopy(callbacks)
    except TypeError as error:  # a generator, an open file
        raise TypeError(
            f"callbacks must be such as can be copied for each fit, got {callbacks!r:.200}: {error}"
        ) from None
