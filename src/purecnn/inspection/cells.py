"""The receptive field of one cell: of which numbers it was made, for each kind of layer.

One number of a feature map is made of few others: this says of which, for each kind of layer.

What a layer of one's own does is told by ``@explain.register``, as the functions below tell it for this
package's; a layer that nothing here knows is said to look at its whole input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.activations.basic import LogSoftmax, Softmax
from purecnn.layers.activations.custom import Activation
from purecnn.layers.activations.elementwise import ElementWise
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.dropout import Dropout
from purecnn.layers.noise import GaussianNoise
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import SampleNormalization
from purecnn.layers.reshape import ChannelShuffle, Flatten, Reshape


@dataclass(frozen=True, eq=False)
class Cell:
    """What one cell of a layer's output was made of.

    Attributes
    ----------
    layer : str
        The name of the layer's class.
    place : tuple of int
        Of the cell, in one sample of the output: (map, row, column) of an image.
    output : float
        What the layer gave there.
    window : ndarray
        The part of the input that the cell looks at, with the zeros of a padding: (C, KH, KW) for a
        convolution, (height, width) for a pooling, () for an activation.
    origin : tuple of int
        Where in the input the window begins; row and column are negative where it begins in the padding.
    weights : ndarray or None
        What each value of the window is multiplied by, of its shape: the kernel of a convolution, a row of a
        dense layer's weights; None where the cell is no weighted sum.
    bias : float
        What is added to the products.
    addend : str
        What the bias is: "bias" where it is one; "shift" of a normalization, "noise"; empty where nothing is
        added.
    winner : tuple of int or None
        The place in the window of a max pooling's largest value.
    step : tuple of int
        How far apart in the input the window's values lie along each of its last axes: the dilation. Empty
        where they are neighbours.
    is_copy : bool
        Whether the layer only puts a value elsewhere, as it is.
    exponentials : ndarray or None
        Of a softmax, of the window's shape: ``exp(z - max z)``. The largest score is taken off first, so that
        none overflows; it changes no share.
    """

    layer: str
    place: tuple[int, ...]
    output: float
    window: Array
    origin: tuple[int, ...]
    weights: Array | None = None
    bias: float = 0.0
    winner: tuple[int, ...] | None = None
    addend: str = ""
    step: tuple[int, ...] = ()
    is_copy: bool = False
    exponentials: Array | None = None

    @property
    def box(self) -> tuple[tuple[int, int], ...]:
        """From where to where, exclusive, the window lies along each axis of the input, borders included."""
        sizes = (1,) * (len(self.origin) - self.window.ndim) + self.window.shape
        steps = (1,) * (len(self.origin) - len(self.step)) + self.step
        return tuple(
            (start, start + (size - 1) * step + 1 if size else start)
            for start, size, step in zip(self.origin, sizes, steps, strict=True)
        )

    @property
    def products(self) -> Array | None:
        """``window * weights``, None where there are no weights."""
        return None if self.weights is None else self.window * self.weights

    @property
    def total(self) -> float:
        """The output, made anew: the products' sum and the bias; the winner; the share; else as it is.

        The sum is taken in float64, so it may differ from `output` by the rounding of the layer's own sum.
        """
        if self.products is not None:
            return float(self.products.sum(dtype=np.float64)) + self.bias
        if self.exponentials is not None:
            number = self.place[0]
            share = self.exponentials.reshape(-1)[number] / self.exponentials.sum(dtype=np.float64)
            return float(np.log(share) if self.layer == "LogSoftmax" else share)
        return self.output if self.winner is None else float(self.window[self.winner])

    def __str__(self) -> str:
        head = f"{self.layer} {self.place} = {self.output:.6g}"
        if self.products is not None:
            return f"{head}: {self.products.size} products, {self.total - self.bias:.6g}, + {self.bias:.6g}"
        if self.winner is not None:
            return f"{head}: the largest of {self.window.size}, at {self.winner}"
        if self.exponentials is not None:
            own, sum_ = self.exponentials.reshape(-1)[self.place[0]], self.exponentials.sum()
            return f"{head}: {own:.6g} of {sum_:.6g}, the sum of {self.window.size} exponentials"
        if self.window.size == 1:
            return f"{head}: of {float(self.window):.6g}"
        return f"{head}: of {self.window.size} values"


@singledispatch
def explain(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """Return what a cell was made of.

    Parameters
    ----------
    layer : Layer
        As it was when it computed `output` from `input`.
    input, output : ndarray
        Samples first.
    place : tuple of int
        Of the cell, in one sample of the output.
    sample : int
        Which one.
    """
    return made(layer, output, place, sample, window=input[sample], origin=(0,) * (input.ndim - 1))


def scaled(
    layer: Layer,
    input: Array,
    output: Array,
    place: tuple[int, ...],
    sample: int,
    scale: Any,
    added: Any,
    addend: str,
) -> Cell:
    """Return a cell that is the input at its place, times a number, and another added to that."""
    return made(
        layer,
        output,
        place,
        sample,
        window=input[sample][place],
        origin=place,
        weights=np.asarray(scale),
        bias=added,
        addend=addend,
    )


def made(
    layer: Layer,
    output: Array,
    place: tuple[int, ...],
    sample: int,
    *,
    window: Array,
    origin: tuple[int, ...],
    weights: Array | None = None,
    bias: float = 0.0,
    winner: tuple[int, ...] | None = None,
    addend: str = "",
    step: tuple[int, ...] = (),
    is_copy: bool = False,
    exponentials: Array | None = None,
) -> Cell:
    """Return the cell of `output` at a place, with its window."""
    return Cell(
        type(layer).__name__,
        place,
        float(output[sample][place]),
        np.array(window),
        tuple(map(int, origin)),
        None if weights is None else np.array(weights, window.dtype),
        float(bias),
        winner,
        addend,
        tuple(map(int, step)),
        is_copy,
        exponentials,
    )


def moved(
    layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int, origin: tuple[int, ...]
) -> Cell:
    """Return the cell of a layer that puts one value of its input there, as it is."""
    value = input[sample][origin]
    ones = np.ones(())
    return made(layer, output, place, sample, window=value, origin=origin, weights=ones, is_copy=True)


@explain.register(Softmax)
@explain.register(LogSoftmax)
def _(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The scores at its place, and the exponential of each, as far as it is below the largest."""
    at: Any = (sample, slice(None), *place[1:])
    window = input[at].reshape(-1, *[1] * len(place[1:]))
    with np.errstate(invalid="ignore"):  # of infinite scores
        powers = np.exp(window - window.max())
    return made(layer, output, place, sample, window=window, origin=(0, *place[1:]), exponentials=powers)


@explain.register
def _(layer: Dense, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """All inputs, and the row of the weights."""
    weights, bias = layer.parameters["weights"][place], 0.0
    if layer.bias:
        bias = layer.parameters["biases"][place][0]
    return made(
        layer,
        output,
        place,
        sample,
        window=input[sample],
        origin=(0,),
        weights=weights,
        bias=bias,
        addend="bias" if layer.bias else "",
    )


@explain.register
def _(layer: BatchNormalization, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The input at the same place, times ``gamma / sqrt(variance + epsilon)``, and what is added to that."""
    scale, shift = (each[place[0]] for each in layer.scale_and_shift())
    return scaled(layer, input, output, place, sample, scale, shift, "shift")


@explain.register
def _(layer: SampleNormalization, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The input at the same place, times ``gamma / sqrt(variance + epsilon)``, and what is added to that."""
    return scaled(layer, input, output, place, sample, *layer.scale_and_shift(place, sample), "shift")


@explain.register
def _(layer: GaussianNoise, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The input at the same place, and the noise there."""
    noise = float(output[sample][place] - input[sample][place])
    return scaled(layer, input, output, place, sample, 1.0, noise, "noise")


@explain.register(ElementWise)
@explain.register(Activation)
def _(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The input at the same place."""
    return made(layer, output, place, sample, window=input[sample][place], origin=place)


@explain.register
def _(layer: Dropout, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The input at the same place, times what the mask has there."""
    share = np.ones(())
    if layer.hides:  # spatial dropout has one share for a whole map
        share = np.broadcast_to(layer.mask, (*output.shape[1:], len(output)))[(*place, sample)]
    return made(layer, output, place, sample, window=input[sample][place], origin=place, weights=share)


@explain.register
def _(layer: ChannelShuffle, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The one value, in the channel that came there."""
    number, group = divmod(place[0], layer.groups)
    channel = group * (input.shape[1] // layer.groups) + number
    return moved(layer, input, output, place, sample, (channel, *place[1:]))


@explain.register(Reshape)
@explain.register(Flatten)
def _(layer: Layer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """The one value, wherever it was."""
    number = np.ravel_multi_index(place, output.shape[1:])
    return moved(
        layer, input, output, place, sample, tuple(map(int, np.unravel_index(number, input.shape[1:])))
    )
