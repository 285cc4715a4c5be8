"""Networks as plain lists of layers: `train`, `fit` and `predict`, as the original program has them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy.typing as npt

from purecnn.backend.checks import as_array, within
from purecnn.backend.types import Array
from purecnn.callbacks.history import History
from purecnn.callbacks.progress import PrintEpochs
from purecnn.datasets.dataset import Data
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.shapes import sample_shape
from purecnn.layers.stack import as_layers, is_of_list, network_of, owner_of
from purecnn.losses.base import LossFunction, LossPrime
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network
from purecnn.optimizers.sgd import SGD

Options = ParamSpec("Options")
Found = TypeVar("Found")


def as_network(network: Network | Sequence[Layer], dtype: npt.DTypeLike | None = None) -> Network:
    """Return the network of a list of layers: the same one for the same list, so that training stays.

    Lists are as in the original program: their layers hold the parameters, and a list that shares layers with
    an earlier one takes them over. Those of a `Network` are its own.
    """
    if isinstance(network, Network):
        return network
    layers = as_layers(network)
    known = network_of(layers)
    if isinstance(known, Network):
        return known
    for part in (part for layer in layers for part in (layer, *layer.parts())):
        owner = owner_of(part)
        if owner is None or is_of_list(owner):
            vars(part).pop("owner", None)  # as in the original program, the parameters are the layers' own
    made = Network(layers, dtype=dtype)
    vars(layers[0])["network"] = made
    return made


def host_copy(network: Network | Sequence[Layer]) -> Network:
    """Return the network of a list of layers, of one on a device a copy on the host: to read its numbers."""
    found = as_network(network)
    return found if found.device.is_host else copy.deepcopy(found)


@contextmanager
def moved_to_host(network: Network) -> Iterator[None]:
    """Have a network lie on the host for a while: to write its numbers."""
    device = network.device
    network.to("cpu")
    try:
        yield
    finally:
        network.to(device)


@explained
def train(
    network: Network | Sequence[Layer],
    loss: LossFunction,
    loss_prime: LossPrime,
    x_train: Data,
    y_train: npt.ArrayLike,
    epochs: int = 1000,
    learning_rate: float = 0.01,
    verbose: bool = True,
    *,
    batch_size: int = 1,
) -> list[float]:
    """Train as the original program does: plain gradient descent, one sample at a time, in the given order.

    Parameters
    ----------
    network : Network or list of Layer
        What to train.
    loss, loss_prime : callable
        ``(y_true, y_pred)`` to a number, and its derivative by ``y_pred``.
    x_train, y_train : array_like
        Samples first: each in the network's input shape; each answer a column ``(outputs, 1)`` or a row.
    epochs : int
        How often to go over the samples; 0 trains nothing.
    learning_rate : float
        Size of a step.
    verbose : bool
        Whether to print ``epoch/epochs, error=mean loss`` after each epoch.
    batch_size : int
        Samples a step; 1 is the original's algorithm exactly.

    Returns
    -------
    list of float
        The mean loss of each epoch.
    """
    network = as_network(network)
    history = network.fit(
        x_train,
        y_train,
        epochs=epochs,
        batch_size=batch_size,
        loss=loss,
        loss_prime=loss_prime,
        optimizer=SGD(within("learning_rate", learning_rate, 0, open_low=True)),
        shuffle=False,
        callbacks=[PrintError()] if verbose else [],
    )
    return history.loss


class PrintError(PrintEpochs):
    """Print one line an epoch as the original program does."""

    def epoch(self, epoch: int, history: History) -> None:
        """Print ``epoch/epochs, error=mean loss``."""
        print(f"{epoch}/{self.epochs}, error={history.loss[-1]}", flush=True)


def _typed_as(
    _method: Callable[Concatenate[Network, Options], Found],
) -> Callable[[Any], Callable[Concatenate[Network | Sequence[Layer], Options], Found]]:
    """Return a decorator that gives a function the types of a method, a list of layers allowed too."""
    return lambda function: function


@_typed_as(Network.fit)
def fit(
    network: Network | Sequence[Layer], x: Data, y: npt.ArrayLike | None = None, **options: Any
) -> History:
    """Train a network or a list of layers by mini-batches: see `Network.fit`."""
    return as_network(network).fit(x, y, **options)


@explained
def predict(network: Network | Sequence[Layer], x: npt.ArrayLike) -> Array:
    """Return the output for one sample, as the original program does.

    For a batch there is `Network.predict`, the samples first.

    Parameters
    ----------
    network : Network or list of Layer
        What to ask.
    x : array_like
        One sample of exactly the network's input shape; a vector also as a column ``(n, 1)``.

    Returns
    -------
    ndarray
        A vector as a column, ``(outputs, 1)``; maps in the network's output shape.

    Raises
    ------
    ShapeError
        If `x` has another shape.

    Examples
    --------
    >>> from purecnn import Dense
    >>> predict([Dense(2, 3)], [[0], [1]]).shape
    (3, 1)
    """
    network, sample = as_network(network), as_array("x", x)
    if network.input_shape is None:
        network.bind(sample_shape(sample.shape))
    shape = network.input_shape or ()
    if sample.shape not in (shape, (*shape, 1) if len(shape) == 1 else shape):
        wanted = f"{shape} or {(*shape, 1)}" if len(shape) == 1 else f"{shape}"
        raise ShapeError(
            f"predict takes one sample of shape {wanted}, got {sample.shape}: "
            f"Network.predict takes many, the samples first"
        )
    output: Array = network.predict(sample.reshape(1, *shape), threads=1)[0]
    return output.reshape(-1, 1) if output.ndim == 1 else output
