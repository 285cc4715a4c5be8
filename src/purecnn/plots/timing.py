"""Time by layer, drawn as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from purecnn.inspection.timing import LayerTime, time_layers
from purecnn.layers.base import Layer
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.plots.style import COLORS, give_room, graph_objects, new_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


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
    >>> import numpy as np
    >>> from purecnn import Dense, ReLU
    >>> [trace.name for trace in layer_times([Dense(2, 3), ReLU()], np.ones((8, 2))).data]
    ['forward', 'backward']
    """
    graph_objects("drawing times")
    network = as_network(network)
    return times_figure(time_layers(network, x), len(network.as_rows(x)), title)


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
