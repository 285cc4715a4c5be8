"""Time by layer, forward and backward.

To make a network faster one must know where its time goes: each layer's passes, measured by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.checks import positive
from purecnn.backend.random import DROPOUT, stream
from purecnn.layers.base import Layer
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.training.fusion import PhasedConvolutional, PhasedMaxPooling, PooledConvolutional


@dataclass(frozen=True)
class LayerTime:
    """How long one step of the engine takes.

    Attributes
    ----------
    name : str
        The layers that it stands for.
    forward, backward : float
        Median seconds of a batch.
    """

    name: str
    forward: float
    backward: float


def time_layers(
    network: Network | Sequence[Layer], x: Any, *, least: int = 5, most: int = 50, budget: float = 0.5
) -> list[LayerTime]:
    """Measure the forward and backward pass of each step, on one thread, as in training.

    A convolution and the pooling behind it run as one step.

    Parameters
    ----------
    network : Network or list of Layer
        What to run.
    x : array_like
        A batch of samples.
    least, most : int
        How often to run it.
    budget : float
        Seconds after which no further run begins.

    Examples
    --------
    >>> from purecnn import Dense, ReLU
    >>> [one.name for one in time_layers([Dense(2, 3), ReLU()], np.ones((8, 2)))]
    ['Dense', 'ReLU']
    """
    network, least = as_network(network), positive("least", least)
    rows = network.as_rows(x)
    replica = network.replica(network.steps(), training=True)
    for layer in replica.layers:
        if layer.draws:
            layer.random = stream(network.seed, DROPOUT + layer.position, 1, 0)
    spent: list[list[tuple[float, float]]] = [[] for _ in replica.layers]
    begin, clock = time.perf_counter(), time.perf_counter
    with blas.single_threaded():
        for run in range(max(most, least)):
            values = replica.take(rows, slice(None))
            forward = []
            for layer in replica.layers:
                start = clock()
                values = layer.forward(values)
                forward.append(clock() - start)
            gradient = np.full_like(values, 1e-3)
            for place in range(len(replica.layers) - 1, -1, -1):
                start = clock()
                found = replica.layers[place].backward(gradient)
                spent[place].append((forward[place], clock() - start))
                if found is None:
                    break
                gradient = found
            if run + 1 >= least and clock() - begin > budget:
                break
    return [
        LayerTime(step_name(layer), *map(float, np.median(times, axis=0) if times else (forward[place], 0.0)))
        for place, (layer, times) in enumerate(zip(replica.layers, spent, strict=True))
    ]


def step_name(layer: Layer) -> str:
    """Return the names of the layers that a step stands for."""
    if isinstance(layer, PhasedConvolutional):
        return type(layer.convolution).__name__
    if isinstance(layer, PhasedMaxPooling):
        return type(layer.pool).__name__
    if isinstance(layer, PooledConvolutional):
        return f"{type(layer.convolution).__name__} + {type(layer.pool).__name__}"
    return type(layer).__name__
