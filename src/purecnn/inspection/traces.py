"""Traces: inputs, outputs and gradients of every layer.

To see what a network does, all that passes through it must be kept: inputs, outputs, gradients.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from purecnn.backend.checks import is_integer, positive
from purecnn.backend.overflow import without_warnings
from purecnn.backend.random import DROPOUT, stream
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.inspection import signal_cells, spatial_cells  # noqa: F401 - which add the rules of their layers
from purecnn.inspection.cells import Cell, explain, made
from purecnn.layers.activations.basic import Sigmoid, Softmax
from purecnn.layers.base import Layer, rule_for
from purecnn.layers.batchwise import trains
from purecnn.layers.composites.base import Composite
from purecnn.losses.base import Loss, LossFunction, LossPrime, columns
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.training.targets import Targets


def samples_first(array: Array) -> Array:
    """Return a copy whose first axis is the batch, which inside a network is the last."""
    return np.moveaxis(array, -1, 0).copy()


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer was given and gave.

    Attributes
    ----------
    name : str
        Its place in the network, "3"; of a layer inside another, the names of both, "3.0".
    layer : Layer
        A twin of the network's layer, as it was at work.
    input, output : ndarray
        Samples first: ``(n, *input_shape)``, ``(n, *output_shape)``.
    output_gradient, input_gradient : ndarray or None
        The loss's derivative by either, of its shape; None where no answers were given.
    parameters, gradients : dict of str to ndarray
        The parameters, and the loss's derivatives by them; the latter empty where no answers were given.
    inside : tuple of LayerTrace
        The layers that this one is made of.
    """

    name: str
    layer: Layer
    input: Array
    output: Array
    output_gradient: Array | None
    input_gradient: Array | None
    parameters: dict[str, Array]
    gradients: dict[str, Array]
    inside: tuple[LayerTrace, ...]

    @property
    def branches(self) -> tuple[tuple[LayerTrace, ...], ...]:
        """The layers that this one is made of, branch by branch; empty of one that is made of none."""
        if not isinstance(self.layer, Composite):
            return ()
        ends = np.cumsum([0, *(len(branch) for branch in self.layer.branches.values())])
        return tuple(self.inside[begin:end] for begin, end in itertools.pairwise(ends))

    def cell(self, *place: int, sample: int = 0) -> Cell:
        """Return what one cell of the output was made of.

        Parameters
        ----------
        *place : int
            Of the cell: map, row and column of an image, one number in a vector; from 0.
        sample : int
            Of which sample.

        Raises
        ------
        IndexError
            If the output has no such cell.
        """
        given, wanted = (sample, *place), self.output.shape
        if len(given) != len(wanted) or not all(
            is_integer(number) and 0 <= number < size for number, size in zip(given, wanted, strict=True)
        ):
            raise IndexError(
                f"layer {self.name}, {self.layer}, gave {wanted[0]} samples of {wanted[1:]}: a place in one "
                f"of them, from 0, is wanted, got {tuple(place)} in sample {sample}"
            )
        at, sample = tuple(map(int, place)), int(sample)
        if isinstance(self.layer, Composite):
            return self.cell_of_branches(self.layer, at, sample)
        rule: Any = rule_for(explain.registry, self.layer)
        return rule(self.layer, self.input, self.output, at, sample)  # type: ignore[no-any-return]

    def cell_of_branches(self, layer: Composite, at: tuple[int, ...], sample: int) -> Cell:
        """Return what a cell was made of: one cell at the end of each branch, or of the one it comes from."""
        if len(layer.branches) == 1:  # the last layer's own output
            return self.inside[-1].cell(*at, sample=sample)
        ends = [(branch[-1].output if branch else self.input)[sample] for branch in self.branches]
        if layer.merge == "concatenate":
            firsts = np.cumsum([0, *(len(end) for end in ends)])
            branch = int(np.searchsorted(firsts, at[0], side="right")) - 1
            held = ends[branch][at[0] - firsts[branch], *at[1:]]
            window, weights = np.array([held]), np.ones(1)
        else:
            values = np.array([end[at if end.ndim == len(at) else at[:1]] for end in ends])
            window, weights = values, np.ones(len(values))
            if layer.merge == "mean":
                weights /= len(values)
            elif layer.merge == "maximum":
                weights = (np.arange(len(values)) == values.argmax()).astype(float)
            elif layer.merge == "multiply":
                window, weights = values[:1], np.array([values[1:].prod()])
        return made(layer, self.output, at, sample, window=window, origin=at, weights=weights)


@dataclass(frozen=True, eq=False)
class Trace(Sequence[LayerTrace]):
    """All that `trace` kept, layer by layer.

    Attributes
    ----------
    layers : tuple of LayerTrace
        In the network's order.
    loss : float or None
        The mean over the samples; None where no answers were given.
    """

    layers: tuple[LayerTrace, ...]
    loss: float | None

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> LayerTrace: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LayerTrace, ...]: ...
    def __getitem__(self, index: int | slice) -> LayerTrace | tuple[LayerTrace, ...]:
        return self.layers[index]

    @property
    def input(self) -> Array:
        """What the first layer was given: the samples, after the preprocessing."""
        return self.layers[0].input

    @property
    def output(self) -> Array:
        """What the last layer gave."""
        return self.layers[-1].output

    def cell(self, layer: int, *place: int, sample: int = 0) -> Cell:
        """Return what one cell of a layer's output was made of: see `LayerTrace.cell`.

        Parameters
        ----------
        layer : int
            Which one; from -1 backwards.
        *place : int
            Of the cell: map, row and column of an image, one number in a vector.
        sample : int
            Of which sample.

        Examples
        --------
        >>> from purecnn import Convolutional, Network
        >>> network = Network([Convolutional((1, 3, 3), 2, 1, padding=1)])
        >>> network[0].parameters["kernels"][...] = [[[[1, 2], [3, 4]]]]
        >>> cell = trace(network, np.arange(9.0).reshape(1, 1, 3, 3)).cell(0, 0, 0, 1)
        >>> cell.window, cell.origin
        (array([[[0., 0.],
                [0., 1.]]], dtype=float32), (0, -1, 0))
        >>> cell.products
        array([[[0., 0.],
                [0., 4.]]], dtype=float32)
        >>> cell.total == cell.output == 4
        True
        """
        return self.layers[layer].cell(*place, sample=sample)


class Recorder:
    """Stands in the way of a layer's passes, and of those of the layers inside it, and keeps what passes.

    Parameters
    ----------
    layer : Layer
        One that nobody else uses.
    name : str
        Its place in the network.
    """

    def __init__(self, layer: Layer, name: str) -> None:
        self.layer, self.name = layer, name
        self.inside = [Recorder(part, f"{name}.{key}") for key, part in layer.inside().items()]
        self.input = self.output = np.zeros(0)
        self.output_gradient: Array | None = None
        self.input_gradient: Array | None = None
        self.gradients: dict[str, Array] = {}
        self.passes = layer.forward, layer.backward
        vars(layer).update(forward=self.forward, backward=self.backward)

    def forward(self, input: Array) -> Array:
        """Keep what enters and what leaves."""
        self.input = samples_first(input)
        output = self.passes[0](input)
        self.output = samples_first(output)
        return output

    def backward(self, output_gradient: Array) -> Array:
        """Keep what comes back, on both sides."""
        self.output_gradient = samples_first(output_gradient)
        found = self.passes[1](output_gradient)
        if found is None:
            raise ValueError(f"{self.layer} must return an input gradient while `propagate` is on, got None")
        self.input_gradient = samples_first(found)
        self.gradients = {name: array.copy() for name, array in self.layer.gradients.items()}
        return found

    def result(self) -> LayerTrace:
        """Return what was kept, and get out of the way."""
        del vars(self.layer)["forward"], vars(self.layer)["backward"]
        return LayerTrace(
            self.name,
            self.layer,
            self.input,
            self.output,
            self.output_gradient,
            self.input_gradient,
            {name: array.copy() for name, array in self.layer.parameters.items()},
            self.gradients,
            tuple(one.result() for one in self.inside),
        )


@explained
@without_warnings
def trace(
    network: Network | Sequence[Layer],
    x: Any,
    y: Any = None,
    *,
    loss: str | Loss | LossFunction | None = None,
    loss_prime: LossPrime | None = None,
    outputs: Any = None,
    training: bool = False,
    step: int | None = None,
) -> Trace:
    """Run a network on samples, layer by layer as they stand, and keep all that passes.

    The network is left as it is: a copy of it runs, without the shortcuts of training and `predict`, whose
    results may differ by rounding.

    Parameters
    ----------
    network : Network or list of Layer
        What to run. Of one that was never used the copy alone is bound, and draws what it will draw.
    x : array_like
        Samples, as `Network.predict` takes them. All that passes is kept, so a few will do.
    y : array_like, optional
        Their answers, as `Network.fit` takes them: then the loss's derivatives are kept too.
    loss, loss_prime : str, Loss or callable, optional
        As `Network.fit` takes them.
    outputs : array_like of int, optional
        In place of answers: the number of an output for each sample, whose derivative is sent back; the
        score that a last Softmax or Sigmoid makes it of, where there is one. Each sample has its own, not a
        share in a mean.
    training : bool
        Whether to run as in a step of training: dropout hides, with the masks of step `step`. A batch of
        fewer than 32 samples, which is one shard, sees there exactly these.
    step : int, optional
        Which step, from 1; the next one if left out.

    Returns
    -------
    Trace
        ``trace[2].output``, ``trace[2].input_gradient``, ``trace.cell(0, map, row, column)`` and so on.

    Raises
    ------
    ValueError, TypeError, ShapeError
        For samples or answers that the network can't take, or a loss without answers.

    Notes
    -----
    The derivatives are those of the mean loss over these samples, of frozen layers too. Where a last Softmax
    or Sigmoid and its cross-entropy have a joint derivative, that is the last layer's input gradient, as in
    training. A layer made of others tells of them in `Layer.inside`: what passes through these is kept too.

    Examples
    --------
    >>> from purecnn import Dense, Network, Tanh
    >>> found = trace(Network([Dense(2, 3), Tanh(), Dense(3, 1)]), [[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]])
    >>> [layer.output.shape for layer in found]
    [(2, 3), (2, 3), (2, 1)]
    >>> found[0].gradients["weights"].shape, found[0].input_gradient.shape
    ((3, 2), (2, 2))
    >>> print(found.cell(2, 0))
    Dense (0,) = ...: 3 products, ..., + 0
    """
    if y is None and (loss is not None or loss_prime is not None):
        raise ValueError("a loss wants the answers y beside it, got none")
    if y is not None and outputs is not None:
        raise ValueError("give y or outputs, not both: each selects what is propagated back")
    if step is not None and not training:
        raise ValueError(f"step={step} wants training=True: outside training nothing depends on it")
    key = 0 if step is None else positive("step", step)
    network = as_network(network)
    network.sync()
    # The optimizer's state may be twice as large as all that is wanted of it here, which is nothing.
    network = copy.deepcopy(network, {id(network.optimizer): None})
    rows = network.as_rows(x)
    targets = None if y is None else network.targets(y, len(rows))
    chosen = None if targets is None else network.loss(loss, loss_prime, targets)
    named = None if outputs is None else check_outputs(outputs, len(rows), network.output_shape or ())
    recorders = [Recorder(layer, str(place)) for place, layer in enumerate(network)]
    for part in (part for layer in network for part in (layer, *layer.parts())):
        part.training = training and trains(part)
        if training and part.draws and not part.inside():  # a layer made of others leaves them their own
            part.random = stream(network.seed, DROPOUT + part.position, key or network.updates + 1, 0)
    values = network.replica((), training).take(rows, slice(None))
    for layer in network:
        values = layer.forward(values)
    found = None
    if targets is not None and chosen is not None:
        found = float(chosen.function(columns(targets.batch(slice(None), values.dtype), values), values))
        send_back(recorders, chosen, targets, values)
    if named is not None:
        send_score(recorders, named, values)
    return Trace(tuple(recorder.result() for recorder in recorders), found)


def send_back(recorders: Sequence[Recorder], loss: Loss, targets: Targets, output: Array) -> None:
    """Run the backward passes, from the loss's derivative on."""
    target, last = targets.batch(slice(None), output.dtype), recorders[-1]
    g = np.asarray(loss.prime(columns(target, output), output), output.dtype)
    rest = list(recorders)
    if loss.joint is not None and loss.joins(last.layer):
        rest.pop()
        last.output_gradient = samples_first(g)
        _, g = loss.joint(target, np.moveaxis(last.input, 0, -1).copy())
        last.input_gradient = samples_first(g)
    for recorder in reversed(rest):
        g = recorder.backward(g)


def check_outputs(outputs: Any, samples: int, shape: Shape) -> Array:
    """Return the number of an output for each sample."""
    named, count = np.asarray(outputs), int(np.prod(shape))
    if named.shape != (samples,) or named.dtype.kind not in "iu" or len(shape) != 1:
        raise ShapeError(
            f"outputs must be an integer for each of {samples} samples, and the network's output a vector; "
            f"got {named.dtype} of shape {named.shape} for outputs of shape {shape}"
        )
    if named.min() < 0 or named.max() >= count:
        wrong = named.min() if named.min() < 0 else named.max()
        raise ValueError(f"outputs must be from 0 to {count - 1}, got {wrong}")
    return named


def send_score(recorders: Sequence[Recorder], named: Array, output: Array) -> None:
    """Run the backward passes, from one output of each sample on."""
    g = np.zeros_like(output)
    g[named, np.arange(len(named))] = 1
    rest = list(recorders)
    if type(rest[-1].layer) in (Softmax, Sigmoid) and len(rest) > 1:
        rest.pop().input_gradient = samples_first(g)
    for recorder in reversed(rest):
        g = recorder.backward(g)
