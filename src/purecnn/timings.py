"""To make a network faster one must know where its time goes: each layer's passes, measured by themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn import blas
from purecnn.arguments import positive
from purecnn.charts import COLORS, give_room, graph_objects, new_figure
from purecnn.fusion import PooledConvolutional
from purecnn.layer import Layer
from purecnn.lists import as_network
from purecnn.network import Network
from purecnn.streams import DROPOUT, stream

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


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
    rows = network.receive(x)
    session = network.session(network.steps(), training=True)
    for layer in session.layers:
        if layer.draws:
            layer.random = stream(network.seed, DROPOUT + layer.position, 1, 0)
    spent: list[list[tuple[float, float]]] = [[] for _ in session.layers]
    begin, clock = time.perf_counter(), time.perf_counter
    with blas.single_threaded():
        for run in range(max(most, least)):
            values = session.take(rows, slice(None))
            forward = []
            for layer in session.layers:
                start = clock()
                values = layer.forward(values)
                forward.append(clock() - start)
            gradient = np.full_like(values, 1e-3)
            for place in range(len(session.layers) - 1, -1, -1):
                start = clock()
                found = session.layers[place].backward(gradient)
                spent[place].append((forward[place], clock() - start))
                if found is None:
                    break
                gradient = found
            if run + 1 >= least and clock() - begin > budget:
                break
    return [
        LayerTime(step_name(layer), *map(float, np.median(times, axis=0) if times else (forward[place], 0.0)))
        for place, (layer, times) in enumerate(zip(session.layers, spent, strict=True))
    ]


def step_name(layer: Layer) -> str:
    """Return the names of the layers that a step stands for."""
    if isinstance(layer, PooledConvolutional):
        return f"{type(layer.convolution).__name__} + {type(layer.pool).__name__}"
    return type(layer).__name__


def layer_times(network: Network | Sequence[Layer], x: Any, *, title: str = "") -> Figure:
    """Measure and draw how long each layer takes, forward and backward, on one thread of this machine.

    A convolution and the pooling behind it run as one step, and stand in one row.

    Parameters
    ----------
    network : Network or list of Layer
        What to run.
    x : array_like
        A batch of samples, as `Network.predict` takes them; 128, say.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Microseconds a sample, the median of several runs.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.

    Examples
    --------
    >>> from purecnn import Dense, ReLU
    >>> [trace.name for trace in layer_times([Dense(2, 3), ReLU()], np.ones((8, 2))).data]
    ['forward', 'backward']
    """
    graph_objects("drawing times")
    network = as_network(network)
    return times_figure(time_layers(network, x), len(network.receive(x)), title)


def times_figure(times: Sequence[LayerTime], samples: int, title: str = "") -> Figure:
    """Draw each step's passes as bars, in microseconds a sample."""
    plotly = graph_objects()
    figure = new_figure(title, barmode="stack", legend_traceorder="normal")
    names = [f"{place}. {one.name.replace(' + ', '<br>+ ')}" for place, one in enumerate(times, 1)]
    for name, color, pattern in (("forward", COLORS[0], ""), ("backward", COLORS[1], "/")):
        figure.add_trace(
            plotly.Bar(
                y=names,
                x=[1e6 * getattr(one, name) / samples for one in times],
                orientation="h",
                name=name,
                marker={"color": color, "pattern": {"shape": pattern, "solidity": 0.35}},
                hovertemplate=f"%{{y}}, {name}<br>%{{x:.2f}} µs a sample<extra></extra>",
            )
        )
    longest = max(len(line) for name in names for line in name.split("<br>"))
    figure.update_xaxes(title={"text": "µs a sample"}, tickangle=0, nticks=6)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=130 + 36 * len(times))
    give_room(figure, 24 + 7 * longest)
    return figure
