"""What may look on while a network trains: objects that `fit` calls after each step and each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from purecnn.arguments import choice, is_number, positive, suggestion, within
from purecnn.dataset import Data
from purecnn.device import Device, module_of, to_device
from purecnn.escapes import visible
from purecnn.layer import Layer, Shape
from purecnn.loss import Loss, LossFunction
from purecnn.measures import Metric
from purecnn.optimizer import Optimizer
from purecnn.samples import Preprocessing
from purecnn.scratch import Array
from purecnn.serialization import Contents
from purecnn.signatures import explain_constructor
from purecnn.tasks import Task


@dataclass
class History:
    """What `fit` measured, one value an epoch; of a run that was interrupted, of the epochs that it finished.

    Attributes
    ----------
    loss : list of float
        Mean training loss, each batch measured before its step.
    validation_loss : list of float
        On the validation set after the epoch; empty if there is none.
    validation_accuracy : list of float
        The same of a classification; what other tasks measure lies in `validation_metrics`.
    seconds : list of float
        Time of the epoch's training, without validation.
    samples : int
        In the training set.
    metrics, validation_metrics : dict of str to list
        What ``fit(metrics=...)`` asked for, on both sets after the epoch; a float each, or lists of them. The
        second also holds what `Network.evaluate` measures of several labels or values.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples: int = 0
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    validation_metrics: dict[str, list[Any]] = field(default_factory=dict)

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from purecnn.near_names import HISTORIES, missing_attribute  # here: for what is missing alone

            raise AttributeError(missing_attribute(type(self).__name__, name, HISTORIES))

    @property
    def images_per_second(self) -> list[float]:
        """Samples of the training set over the time of each epoch.

        Examples
        --------
        >>> History(seconds=[2.0, 4.0], samples=100).images_per_second
        [50.0, 25.0]
        """
        return [self.samples / max(seconds, 1e-9) for seconds in self.seconds]

    def values(self, name: str) -> list[float]:
        """Return what was measured under a name, one value an epoch.

        Raises
        ------
        ValueError
            If nothing is.

        Examples
        --------
        >>> History(loss=[0.5, 0.25]).values("loss")
        [0.5, 0.25]
        """
        lists = self.lists()
        if name not in lists:
            raise ValueError(f"what was measured is {', '.join(lists) or 'nothing yet'}; got {name!r}")
        return lists[name]

    def lists(self) -> dict[str, list[Any]]:
        """Return all that was measured by its name, of `validation_metrics` with ``validation_`` before.

        Examples
        --------
        >>> History(loss=[0.5], metrics={"f1": [0.8]}, validation_metrics={"f1": [0.7]}).lists()
        {'loss': [0.5], 'f1': [0.8], 'validation_f1': [0.7]}
        """
        found = {name: values for name, values in vars(self).items() if isinstance(values, list) and values}
        found |= self.metrics
        return found | {f"validation_{name}": values for name, values in self.validation_metrics.items()}

    def cut(self, epochs: int) -> None:
        """Keep so many epochs of what was measured, where there are more.

        Examples
        --------
        >>> history = History(loss=[0.5, 0.25], seconds=[1.0])
        >>> history.cut(1)
        >>> history.loss, history.seconds
        ([0.5], [1.0])
        """
        for values in (*vars(self).values(), *self.metrics.values(), *self.validation_metrics.values()):
            if isinstance(values, list):
                del values[epochs:]

    def _repr_html_(self) -> str:
        """Return a table of the epochs, the first and the last ones of many, as Jupyter shows it."""
        from purecnn.html_tables import html_table  # here, since few runs need it

        found = {
            name: values
            for name, values in self.lists().items()
            if all(isinstance(value, int | float) for value in values)
        }
        epochs = range(len(self.loss))
        rows = [[place + 1, *(f"{values[place]:.4f}" for values in found.values())] for place in epochs]
        if len(rows) > 12:
            rows[5:-6] = [["..."] * (1 + len(found))]
        return html_table(["epoch", *(name.replace("_", " ") for name in found)], rows)

    def line(self) -> str:
        """Return the last epoch in words.

        Examples
        --------
        >>> History(loss=[0.5], seconds=[2.0], samples=100).line()
        'loss 0.5000, 2.0 s, 50 images/s'
        """
        words = [f"loss {self.loss[-1]:.4f}", *spoken(self.metrics)]
        if self.validation_loss:
            words.append(f"validation loss {self.validation_loss[-1]:.4f}")
        if self.validation_accuracy:
            words.append(f"validation accuracy {100 * self.validation_accuracy[-1]:.2f} %")
        others = {name: values for name, values in self.validation_metrics.items() if name != "accuracy"}
        words += [f"validation {word}" for word in spoken(others)]
        speed = f"{self.images_per_second[-1]:,.0f} images/s"
        return visible(", ".join([*words, f"{self.seconds[-1]:.1f} s", speed]))


def spoken(metrics: dict[str, list[Any]]) -> list[str]:
    """Return the last value of each metric that is one number, in words."""
    return [
        f"{name.replace('_', ' ')} {values[-1]:.4f}"
        for name, values in metrics.items()
        if isinstance(values[-1], float)
    ]


class RunNetwork(Protocol):
    """What a callback may ask of the network in training: `Network` is one."""

    seed: int
    epochs: int
    updates: int

    @property
    def layers(self) -> list[Layer]:
        """From input to output."""

    @property
    def parameters(self) -> Array:
        """The flat vector."""

    @property
    def input_shape(self) -> Shape | None:
        """Shape of one sample."""

    @property
    def output_shape(self) -> Shape | None:
        """Shape of one output."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters."""

    @property
    def device(self) -> Device:
        """Where it computes."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to samples first."""

    @property
    def task(self) -> Task | None:
        """What the outputs are."""

    def __iter__(self) -> Iterator[Layer]:
        """Its layers."""

    def contents(self) -> Contents:
        """What a model's file says of it."""

    def predict(self, x: Data, *, threads: int | None = None) -> Array:
        """Its outputs, as `Network.predict` gives them."""

    def evaluate(
        self,
        x: Data,
        y: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | LossFunction | None = None,
        metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric],
        threads: int | None = None,
    ) -> dict[str, Any]:
        """Loss and metrics, as `Network.evaluate` measures them."""


class Run(Protocol):
    """A run of the training loop, as callbacks see it: what `Network.fit` sets as their `fit`.

    Attributes
    ----------
    epoch, step : int
        How many epochs are done, and how many steps of the next one.
    losses : list of float
        Of those steps, each times what its samples weigh.
    spent : float
        Seconds that they took.
    stopped : str
        Why a callback asked for the end; empty while none did.
    error : BaseException or None
        What ends the run before its time.
    """

    epoch: int
    step: int
    losses: list[float]
    spent: float
    stopped: str
    error: BaseException | None

    @property
    def network(self) -> RunNetwork:
        """What is trained."""

    @property
    def history(self) -> History:
        """What was measured so far."""

    @property
    def optimizer(self) -> Optimizer:
        """What takes the steps."""

    @property
    def callbacks(self) -> Sequence[Callback]:
        """All that look on."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What decides the bits beside the network, as JSON values."""

    @property
    def epochs(self) -> int:
        """How many epochs were asked for."""

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""

    @property
    def validation_data(self) -> tuple[Any, Any] | None:
        """Samples and answers that are measured after each epoch."""

    def modes(self) -> dict[str, str | None]:
        """Names of what is measured, with "min" or "max", whichever is better."""

    def stop(self, reason: str) -> None:
        """Ask for the end: no step follows the one that runs."""


class Callback:
    """Looks on while a network trains. Override what is of interest; all do nothing here.

    Attributes
    ----------
    fit : Run
        The run that it looks on at, set before `begin`: its `network` and `history`, how far it is (`epoch`
        whole epochs and `step` steps of the next one), and `stop`, which asks for its end.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> class Enough(Callback):
    ...     def epoch(self, epoch, history):
    ...         if history.loss[-1] < 0.1:
    ...             self.fit.stop("the loss is low enough")
    >>> history = Network([Dense(1, 1)]).fit(
    ...     [[0.0], [1.0]], [[0.0], [1.0]], loss="mse", epochs=1000, learning_rate=0.1, callbacks=[Enough()]
    ... )
    >>> len(history.loss) < 1000
    True
    """

    fit: Run
    #: Whether it is called after all others, and ended before them, because it keeps what they hold.
    last = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        explain_constructor(cls)

    def begin(self, epochs: int, steps: int) -> None:
        """`fit` begins: so many epochs of so many steps."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Step number `step` of the epoch is done; both count from 1."""

    def epoch(self, epoch: int, history: History) -> None:
        """An epoch is done, validation included."""

    def end(self, history: History) -> None:
        """`fit` ends, for whatever reason: `fit.error` is the exception that ends it, if one does."""

    def state(self) -> dict[str, Any] | None:
        """Return what an interrupted run must find again: JSON values and arrays; None if nothing."""
        return None

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned, right after `begin`, in a run that is resumed."""
        raise NotImplementedError(f"{type(self).__name__} has a state and no restore")


class FunctionCallback(Callback):
    """Call a function after each epoch, with the run: what `fit` makes of a function among its callbacks.

    Parameters
    ----------
    function : callable
        Takes a `Run`: ``lambda fit: print(fit.history.line())``.
    """

    def __init__(self, function: Callable[[Run], Any]) -> None:
        self.function = function

    def epoch(self, epoch: int, history: History) -> None:
        """Call it."""
        self.function(self.fit)


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Return `callbacks`, one or a list of them, as a list in the order in which `fit` calls them.

    Examples
    --------
    >>> len(as_callbacks(EarlyStopping()))
    1
    """
    found: list[Callback] = []
    for one in callbacks if isinstance(callbacks, Iterable) else [callbacks]:
        if isinstance(one, Callback):
            found.append(one)
        elif callable(one) and not isinstance(one, type):
            found.append(FunctionCallback(one))
        else:
            raise TypeError(f"callbacks must be a Callback, a function or a list of them, got {callbacks!r}")
    if len(set(map(id, found))) < len(found):
        raise ValueError(f"callbacks must be different objects, got one of them twice: {callbacks!r}")
    return sorted(found, key=lambda one: one.last)


class EarlyStopping(Callback):
    """End a fit once a measured value has not improved for some epochs.

    Of the package's metrics it knows which value is better; Keras guesses it from the name, and Lightning
    wants to be told.

    Parameters
    ----------
    monitor : str
        What to watch: "loss", the name of a metric that `fit` was asked for, or either on the validation set,
        such as "validation_loss", "validation_accuracy" of classes or "validation_r2" of values.
    patience : int
        Epochs without an improvement after which training ends, at least 1.
    min_delta : float
        A smaller change is no improvement; at least 0.
    mode : {"min", "max"}, optional
        What an improvement is; wanted for a metric of one's own, whose direction nobody else knows.
    restore_best : bool
        Whether the network gets the parameters and buffers of its best epoch back in the end. The
        optimizer's state and the counts of epochs and updates stay those of the last.

    Attributes
    ----------
    best : float
        The best value, NaN before the first epoch.
    best_epoch : int
        The epoch that it belongs to, counted from 1 in this fit; 0 before the first.
    waited : int
        Epochs since then.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument, and when `fit` begins, for a name that it will not measure, or one without a
        direction.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> stopping = EarlyStopping("loss", patience=2, min_delta=10.0)
    >>> x = [[0.0], [1.0]]
    >>> history = Network([Dense(1, 1)]).fit(x, x, loss="mse", epochs=9, callbacks=[stopping])
    >>> len(history.loss), stopping.best_epoch
    (3, 1)
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor must be the name of a measured value, got {monitor!r}")
        mode = None if mode is None else choice("mode", mode, ("min", "max"))
        self.monitor, self.patience = monitor, positive("patience", patience)
        self.min_delta = within("min_delta", min_delta, 0)
        self.mode = mode
        self.restore_best = restore_best

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit, and see that this one measures what is watched."""
        modes = self.fit.modes()
        if self.monitor not in modes:
            lacking = self.monitor.startswith("validation_") and self.fit.validation_data is None
            raise ValueError(
                f"to watch {self.monitor}, fit wants "
                + (
                    "validation_data, got none"
                    if lacking
                    else f"it among its metrics, which are {', '.join(modes)}"
                    + suggestion(self.monitor, [*modes, *(f"validation_{name}" for name in modes)])
                )
            )
        better = self.mode or modes[self.monitor]
        if better is None:
            raise ValueError(
                f"to watch {self.monitor}, EarlyStopping wants mode='min' or mode='max', for it can't "
                f"know which values of it are better; got None"
            )
        self.sign = 1 if better == "max" else -1
        self.best, self.best_epoch, self.waited = math.nan, 0, 0
        self.kept: dict[str, Array] = {}

    def epoch(self, epoch: int, history: History) -> None:
        """Keep the parameters if this is the best epoch so far; ask for the end if it was too long ago."""
        value = history.values(self.monitor)[-1]
        if not is_number(value) and not isinstance(value, float):
            raise ValueError(f"to watch {self.monitor}, it must be one number an epoch, got {value!r:.100}")
        change = self.sign * (value - self.best)
        if change > self.min_delta or (math.isnan(self.best) and not math.isnan(value)):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            if self.restore_best:
                self.kept = {name: array.copy() for name, array in self.arrays().items()}
        else:
            self.waited += 1
        self.decide()

    def decide(self) -> None:
        """Ask for the end, if patience is at an end."""
        if self.waited >= self.patience:
            self.fit.stop(f"{self.monitor} has not improved for {self.waited} epochs")

    def end(self, history: History) -> None:
        """Give the network its best epoch back, unless an error ends the fit."""
        if self.fit.error is None:
            for name, array in self.arrays().items() if self.kept else ():
                array[...] = to_device(self.kept[name], module_of(array))

    def arrays(self) -> dict[str, Array]:
        """Return the network's own arrays: its parameters, and each layer's buffers."""
        network = self.fit.network
        return {"parameters": network.parameters} | {
            f"buffers.{place}.{name}": buffer
            for place, layer in enumerate(network)
            for name, buffer in layer.buffers.items()
        }

    def state(self) -> dict[str, Any]:
        """Return the best value and the arrays that belong to it."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "kept": self.kept,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take them back, and ask for the end where it had been asked for."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
        wanted = {name: (array.shape, array.dtype) for name, array in self.arrays().items()}
        if self.best_epoch and self.restore_best:
            if {name: (array.shape, array.dtype) for name, array in state["kept"].items()} != wanted:
                raise ValueError("the best epoch's arrays are not those of this network")
            self.kept = state["kept"]
        self.decide()


class PrintEpochs(Callback):
    """Print one line an epoch: what ``fit(verbose=True)`` does."""

    def begin(self, epochs: int, steps: int) -> None:
        """Keep the number of epochs."""
        self.epochs = epochs

    def epoch(self, epoch: int, history: History) -> None:
        """Print the line."""
        print(f"epoch {epoch}/{self.epochs}: {history.line()}", flush=True)
