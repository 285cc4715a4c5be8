"""One worker's copy of a network at work: its layers' replicas and the buffer that its samples enter by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from purecnn.barrier import is_barrier, trains
from purecnn.dataset import Rows
from purecnn.layer import Layer, Shape
from purecnn.residual import pair_up
from purecnn.samples import Preprocessing
from purecnn.scratch import Array, Scratch


class Session:
    """Replicas of layers that share a network's parameters and own all else.

    Parameters
    ----------
    layers : sequence of Layer
        What to run; replicated here.
    shape : tuple of int
        Shape of one input sample.
    dtype : dtype
        Of the parameters.
    preprocessing : Preprocessing
        From raw values to the first layer's input.
    training : bool
        Whether the replicas run in training.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        shape: Shape,
        dtype: np.dtype[Any],
        preprocessing: Preprocessing,
        training: bool,
    ) -> None:
        self.layers = [layer.replica() for layer in layers]
        self.barriers = {i: layer for i, layer in enumerate(self.layers) if is_barrier(layer)}
        pair_up(self.layers)
        for layer in self.layers:
            layer.training = training and trains(layer)
        for layer, follower in itertools.pairwise(self.layers):
            follower.in_place = follower.overwrites and layer.output_is_free
        self.shape, self.dtype, self.preprocessing = shape, dtype, preprocessing
        self.values = int(np.prod(shape))
        self.scratch = Scratch()

    def take(self, x: Array | Rows, rows: Any, augment: Callable[[Array], None] | None = None) -> Array:
        """Return the samples ``x[rows]`` of ``(n, values)`` as the first layer wants them, the batch last.

        `augment` may change the raw values, in place.
        """
        taken = x[rows]
        input = self.scratch.array("input", (*self.shape, len(taken)), self.dtype)
        np.copyto(input.reshape(self.values, -1), taken.T, casting="unsafe")
        if augment is not None:
            augment(input)
        self.preprocessing.apply_in_place(input)
        return input

    def forward(self, input: Array) -> Array:
        """Run the layers in order."""
        for layer in self.layers:
            input = layer.forward(input)
        return input
