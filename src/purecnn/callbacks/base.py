"""Callbacks: objects that `fit` calls after each step and each epoch.

What may look on while a network trains: objects that `fit` calls after each step and each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from purecnn.backend.arrays import Device
from purecnn.backend.types import Array, Shape
from purecnn.callbacks.history import History
from purecnn.datasets.dataset import Data
from purecnn.layers.base import Layer
from purecnn.layers.preprocessing import Preprocessing
from purecnn.losses.base import Loss, LossFunction
from purecnn.losses.tasks import Task
from purecnn.messages.signatures import explain_constructor
from purecnn.metrics.registry import Metric
from purecnn.optimizers.base import Optimizer

if TYPE_CHECKING:
    from purecnn.layers.serialization import Contents  # which brings json


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

    def recompute_statistics(self) -> None:
        """Measure the running statistics of batch normalizations anew, by one pass over the training data.

        They become the means over the batches of an epoch, at the parameters as they are now. Only where no
        step runs: in `Callback.end`.
        """


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
    >>> len(as_callbacks(Callback()))
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
