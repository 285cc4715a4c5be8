"""`CNNClassifier`, a scikit-learn classifier.

A network as a scikit-learn classifier: labels of any kind in, labels and probabilities out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from purecnn.backend.types import Array
from purecnn.datasets.augmentation import Augmentation
from purecnn.interop.sklearn.base import Estimator, Watchers
from purecnn.interop.sklearn.bases import ClassifierMixin, sklearn
from purecnn.interop.sklearn.plans import Plan
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.base import Layer
from purecnn.layers.ranges import ends_in_probabilities
from purecnn.layers.shapes import ShapeLike
from purecnn.losses.base import Loss
from purecnn.losses.registry import LOSSES, as_loss
from purecnn.losses.tasks import Task
from purecnn.messages.signatures import explained_class
from purecnn.metrics.inputs import as_scores
from purecnn.networks.network import Network
from purecnn.optimizers.base import Optimizer
from purecnn.optimizers.schedules import Schedule


@explained_class
class CNNClassifier(ClassifierMixin, Estimator):
    """A convolutional network as a scikit-learn classifier.

    Names are those of scikit-learn's `MLPClassifier` where they mean the same, else this package's.

    Parameters
    ----------
    network : str, sequence of Layer or callable
        "auto", small and for any samples: two convolutions and two dense layers for images, the dense layers
        alone for rows; a name in `networks.NETWORKS`; layers, or a `Network`, whose copy keeps the parameters
        that it has; or a function ``(input_shape, outputs, seed)`` that returns one of these, such as
        `networks.lenet`.
    input_shape : tuple of int, optional
        Of one sample, ``(channels, height, width)`` or ``(height, width)``: wanted for images in flat rows,
        which are else only rows. Of signals ``(channels, length)``, by names where a function makes the
        layers.
    epochs : int, optional
        How often to go over the samples at most; left out, as often as takes about 2,000 steps, from 10 to
        200 times.
    batch_size : int
        How many samples a batch has.
    accumulate : int
        How many batches a step takes, as `Network.fit` has it.
    optimizer : str or Optimizer
        "adam", "sgd"... or an object, which is copied.
    learning_rate : float or schedule, optional
        The optimizer's own if left out; a schedule such as ``OneCycle(0.01)`` is followed to its end, so that
        training then stops early with `early_stopping` alone.
    loss : str or Loss, optional
        As `Network.fit` takes it.
    l2 : float
        As `Network.fit` takes it; not `MLPClassifier`'s `alpha`, which is halved and shared by the samples.
    augmentation : Augmentation, optional
        How to change the training images, anew in every step.
    class_weight : dict or "balanced", optional
        From classes to factors of their samples' weights, 1 where left out.
    shuffle : bool
        Whether each epoch has an order of its own.
    early_stopping : bool
        Whether to set `validation_fraction` of the samples aside, of each class as many, to stop once the
        accuracy on them (the loss, where several labels go together) has not improved by `tol` for
        `n_iter_no_change` epochs, and to keep the best epoch. Otherwise the training loss decides.
    validation_fraction : float
        The share that is set aside.
    n_iter_no_change : int
        Epochs without an improvement after which training stops.
    tol : float, optional
        A smaller change is no improvement. None: the training loss never ends training.
    warm_start : bool
        Whether `fit` goes on with the network that there is.
    random_state : int, RandomState or None
        Decides first parameters, order, dropout, augmentation and what is set aside: the same int, the same
        bits. None draws from NumPy's global generator, as in scikit-learn.
    threads : int, optional
        Number of worker threads; the bits do not depend on it. Left out, as many as `Network.fit` takes:
        joblib, Dask and Ray tell their workers by OMP_NUM_THREADS, and in a worker of another pool, and in
        any thread but the main one, it is 1.
    shards : int, optional
        As `Network.fit` takes it: the bits depend on it.
    device : {"cpu", "cuda", "sycl"}
        Where the network computes: see `Network`. Copies and files lie on the host.
    callbacks : Callback, function, or sequence of them, optional
        As `Network.fit` takes them. Each call of `fit` and `partial_fit` takes copies, so that these
        parameters stay as they are given and a search may train many at once; a function stays itself.
    verbose : bool
        Whether to print a line an epoch and show a `ProgressBar`, as `Network.fit` does.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted; the labels' numbers, where several go together.
    network_ : Network
        What was trained: `save` keeps it, with the classes' names.
    history_ : History
        What the last call measured.
    loss_curve_ : list of float
        The training loss after each epoch, of all calls since the network was made.
    n_iter_ : int
        How many epochs it was trained.
    n_features_in_ : int
        Values a sample.
    feature_names_in_ : ndarray of str
        Of a DataFrame's columns, where all are strings.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.

    Notes
    -----
    The parameters' dtype is what NumPy joins the samples' with float32 to: float32 for uint8, int16, float16
    and float32, float64 for int32, int64 and float64. uint8 is scaled to 0 to 1, and then bytes are what the
    classifier wants; all others are taken as they are.

    A sample that weighs 0 is left out. One that weighs 2 counts as the same sample twice, up to rounding,
    where a step takes the whole set: with `batch_size` at least the number of samples, repeated ones
    included, and no layer that draws or looks at the batch (`Dropout`, `BatchNormalization`), no
    `augmentation`, and no `early_stopping`, which sets others aside. In smaller batches a copy may come in
    another step than its original, and both runs differ as two orders of the same set do.

    `score`, the accuracy, `get_params`, `set_params` and all else that an estimator has are scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.eye(3).repeat(20, axis=0)
    >>> y = np.repeat(["left", "middle", "right"], 20)
    >>> CNNClassifier(random_state=0).fit(x, y).predict(np.eye(3)).tolist()
    ['left', 'middle', 'right']
    """

    classes_: Array
    multilabel_: bool

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
        class_weight: Mapping[Any, float] | str | None = None,
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
        super().__init__(
            network,
            input_shape=input_shape,
            epochs=epochs,
            batch_size=batch_size,
            accumulate=accumulate,
            optimizer=optimizer,
            learning_rate=learning_rate,
            loss=loss,
            l2=l2,
            augmentation=augmentation,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            random_state=random_state,
            threads=threads,
            shards=shards,
            device=device,
            callbacks=callbacks,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _more_tags(self) -> dict[str, bool]:  # scikit-learn 1.5
        return {"multilabel": True}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from samples and their classes.

        Parameters
        ----------
        X : array_like or DataFrame
            Rows ``(n, values)`` or images, ``(n, height, width)`` or ``(n, channels, height, width)``, of
            finite numbers.
        y : array_like
            Classes ``(n,)`` of any kind that can be sorted, such as strings; or zeros and ones
            ``(n, labels)`` where several labels may go together, also sparse.
        sample_weight : array_like, optional
            How much each sample counts, ``(n,)``, at least 0.

        Returns
        -------
        CNNClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError, ShapeError
            For data that the network can't learn from, in one sentence.
        DivergedError
            If the loss is no longer finite.
        """
        return self.run(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go over some samples once, from where the network is.

        So often over the same set, it is what `fit` with so many `epochs` does, to the same bits.

        Parameters
        ----------
        X, y, sample_weight : array_like
            As `fit` takes them.
        classes : array_like, optional
            All classes that will ever come; wanted in the first call.

        Returns
        -------
        CNNClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError, ShapeError, DivergedError
            As `fit`, and with `early_stopping`, a schedule as `learning_rate` or "balanced" as
            `class_weight`, which want to know the whole set or the end.
        """
        if classes is None and not self.__sklearn_is_fitted__():
            raise ValueError("classes must be passed on the first call to partial_fit, got none")
        return self.run(X, y, sample_weight, once=True, classes=classes)

    # What it learns ---------------------------------------------------------------------------------------

    def teach(
        self, y: Any, anew: bool, sample_weight: Array | None, classes: Any = None
    ) -> tuple[Array, int, dict[str, Any]]:
        """Return classes as numbers ``(n,)``, or labels as zeros and ones ``(n, labels)``; how many; what."""
        checks, kinds = sklearn("utils.validation"), sklearn("utils.multiclass")
        y = y.toarray() if hasattr(y, "toarray") else y
        y = checks.check_array(y, ensure_2d=False, dtype=None, estimator=self, input_name="y")
        multilabel = y.ndim == 2 and y.shape[1] > 1
        if anew and classes is None:
            kinds.check_classification_targets(y)
        if multilabel and not np.isin(y, (0, 1)).all():
            raise ValueError(f"y of shape {y.shape} must hold zeros and ones, one a label, got other values")
        y = y.astype(np.int64) if multilabel else checks.column_or_1d(y, warn=True)
        known = np.arange(y.shape[1]) if multilabel else np.unique(y if classes is None else classes)
        if not anew:
            told = classes is not None or multilabel  # a part of the set need not hold every class
            if multilabel != self.multilabel_ or (told and not np.array_equal(known, self.classes_)):
                raise ValueError(
                    f"the classes must stay those of the first call, {self.classes_}, got {known}"
                )
            known = self.classes_
        if len(known) < 2:
            raise ValueError(f"y must have at least 2 classes to tell apart, got 1 class, {known[0]!r}")
        learnt = {"classes_": known, "multilabel_": multilabel}
        if multilabel:
            return y, len(known), learnt
        numbers = np.searchsorted(known, y).clip(max=len(known) - 1)
        wrong = known[numbers] != y
        if wrong.any():
            raise ValueError(f"y must be of the classes {known}, got {y[wrong][0]!r}")
        return numbers, len(known), learnt

    def task_of(self, targets: Array) -> Task:
        """Return whether a sample has one class or several labels."""
        return "classification" if targets.ndim == 1 else "multilabel"

    def head(self, targets: Array) -> list[Layer]:
        """Return a distribution over the classes or, of labels that go together, each one's probability."""
        return [Softmax() if targets.ndim == 1 else Sigmoid()]

    def loss_for(self, network: Network, targets: Array) -> str | Loss | None:
        """Return the loss asked for, or the cross-entropy of the classes or of each label."""
        if self.loss is not None or targets.ndim == 1:
            return super().loss_for(network, targets)
        return "binary_cross_entropy" if isinstance(network[-1], Sigmoid) else "sigmoid_binary_cross_entropy"

    def watched(self) -> str:
        """Return the accuracy, which a row of labels that go together does not have."""
        return super().watched() if self.multilabel_ else "validation_accuracy"

    def weights_of_classes(self, once: bool) -> Mapping[int, float] | str | None:
        """Return `class_weight` by the classes' numbers."""
        given = self.class_weight
        if given is None:
            return None
        if self.multilabel_:
            raise ValueError("class_weight wants one class a sample, got labels that go together")
        if given == "balanced" and once:
            raise ValueError('partial_fit wants a dict as class_weight, got "balanced": it sees no whole set')
        if not isinstance(given, Mapping):
            return given
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        for label in given:
            if label not in numbers:
                raise ValueError(f"class_weight must name classes of y, {list(numbers)}, got {label!r}")
        return {numbers[label]: weight for label, weight in given.items()}

    # What it says -----------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """Return the class of each sample.

        Parameters
        ----------
        X : array_like or DataFrame
            Samples as `fit` takes them; images also as flat rows.

        Returns
        -------
        ndarray
            ``(n,)``, the most probable classes; or zeros and ones ``(n, labels)``.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        """
        p = self.predict_proba(X)
        if self.multilabel_:
            return np.asarray(p > 0.5, np.int64)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like or DataFrame
            Samples as `fit` takes them; images also as flat rows.

        Returns
        -------
        ndarray
            ``(n, classes)`` in the order of `classes_`, each row summing to 1; or of each label by itself.

        Raises
        ------
        NotFittedError
            If there is no network yet.
        """
        outputs = self.ask(X)
        loss = as_loss(self.loss or "mse")
        if loss.predictions == "values" and not ends_in_probabilities(self.network_):
            loss = LOSSES["sigmoid_binary_cross_entropy" if self.multilabel_ else "softmax_cross_entropy"]
        outputs = loss.probabilities(outputs)
        if self.multilabel_ or isinstance(self.network_[-1], Softmax) or loss.activation is Softmax:
            return outputs
        p = as_scores(outputs)
        shares: Array = p / np.maximum(p.sum(axis=1, keepdims=True), np.finfo(p.dtype).tiny)
        return shares
