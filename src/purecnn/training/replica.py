"""Replicas: one worker's copy of the layers.

One worker's copy of a network at work: its layers' replicas and the buffer that its samples enter by.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from purecnn.backend.arrays import to_device
from purecnn.backend.memory import Workspace
from purecnn.backend.types import Array, Shape
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import is_barrier, trains
from purecnn.layers.composites.steps import pair_up
from purecnn.layers.preprocessing import Preprocessing
from purecnn.training.rows import Rows


class Replica:
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
    xp : module
        The array module of the parameters.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        shape: Shape,
        dtype: np.dtype[Any],
        preprocessing: Preprocessing,
        training: bool,
        xp: Any = np,
    ) -> None:
        self.layers = [layer.replica(xp) for layer in layers]
        self.xp, self.workspace, self.targets = xp, Workspace(xp), Workspace()
        self.barriers = {i: layer for i, layer in enumerate(self.layers) if is_barrier(layer)}
        pair_up(self.layers)
        for layer in self.layers:
            layer.training = training and trains(layer)
        for layer, follower in itertools.pairwise(self.layers):
            follower.in_place = xp is np and follower.overwrites and layer.output_is_free
        self.shape, self.dtype, self.preprocessing = shape, dtype, preprocessing
        self.values = int(np.prod(shape))

    def take(self, x: Array | Rows, rows: Any, augment: Callable[[Array], None] | None = None) -> Array:
        """Return the samples ``x[rows]`` of ``(n, values)`` as the first layer wants them, the batch last.

        `augment` may change the raw values, in place, on the host. A device is sent these raw values, often
        bytes, and turns them itself, or else what became of them.
        """
        taken = x[rows]
        workspace = self.workspace
        if augment is None:
            taken = to_device(taken, self.xp)
        else:
            workspace = workspace.host
        input = workspace.array("input", (*self.shape, len(taken)), self.dtype)
        workspace.xp.copyto(input.reshape(self.values, -1), taken.T, casting="unsafe")
        if augment is not None:
            augment(input)
            input = to_device(input, self.xp)
        self.preprocessing.apply_in_place(input)
        return input

    def forward(self, input: Array) -> Array:
        """Run the layers in order."""
        for layer in self.layers:
            input = layer.forward(input)
        return input
