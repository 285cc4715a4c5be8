"""Decision boundary of a network with two inputs.

A network with two inputs can be seen whole, as a surface above a plane, and this draws that surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, is_integer
from purecnn.backend.types import Array
from purecnn.layers.base import Layer
from purecnn.networks.network import Network
from purecnn.plots.colors import SIGNED, SURE, css
from purecnn.plots.stages import Limits, Stages, around
from purecnn.plots.style import graph_objects, new_figure
from purecnn.training.samples import as_batch
from purecnn.training.targets import Targets

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: From the lowest answer to the highest, by way of the threshold.
COLORS = css(SIGNED, SURE)
LINE = "#e0218a"


def decision_boundary(
    network: Network | Sequence[Layer] | Stages,
    x: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    *,
    output: int = -1,
    threshold: float = 0.5,
    limits: Limits | None = None,
    resolution: int | tuple[int, int] | None = None,
    title: str = "Decision boundary",
) -> Figure:
    """Draw one output of a network over its two inputs as a surface, and the samples that it learns from.

    The line at the height of `threshold`, and its shadow on the floor, is the boundary between the classes.

    Parameters
    ----------
    network : Network, list of Layer or Stages
        What is drawn: a network as it is now, or the stages of its training, with a slider over them.
    x : array_like, optional
        Samples to show, ``(n, 2)`` or ``(n, 2, 1)``.
    y : array_like, optional
        Their answers, as `Network.fit` takes them.
    output : int
        Which output to draw; the last if left out: of two classes, class 1.
    threshold : float
        The answer at which one class ends and the other begins.
    limits : ((float, float), (float, float)), optional
        Where the grid begins and ends on either input: around the samples if left out, from 0 to 1 if there
        are none. Stages have their own.
    resolution : int or (int, int), optional
        Points of the grid along either input, 41 if left out. Stages have their own.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Call its ``show``, or give it to `plots.write_page`.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ShapeError
        If the network does not have two inputs, or `x` and `y` do not fit it.
    ValueError
        If `output` names none of its outputs, only one of `x` and `y` is given, or there is nothing to draw.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> figure = decision_boundary([Dense(2, 3), Tanh(), Dense(3, 1)], [[0, 0], [1, 1]], [0, 1])
    >>> [trace.type for trace in figure.data]
    ['surface', 'scatter3d']
    """
    plotly = graph_objects("drawing a decision boundary")
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together: the samples and their answers; got one of them")
    samples = None if x is None else as_batch(as_array("x", x), (2,))
    if not isinstance(network, Stages):
        stages = Stages(network, limits=limits or around(samples), resolution=resolution or 41)
        stages.take()
    elif limits is not None or resolution is not None:
        raise ValueError(
            f"stages have a grid of their own, got limits={limits} and resolution={resolution} beside it"
        )
    else:
        stages = network
    if not stages.epochs:
        raise ValueError("stages must hold at least one stage, got none: call take, or give them to fit")
    outputs = stages.answers[0].shape[-1]
    if not is_integer(output) or not -outputs <= output < outputs:
        raise ValueError(f"output must be an integer from {-outputs} to {outputs - 1}, got {output!r}")
    heights = [answers[:, :, output].astype(np.float64) for answers in stages.answers]
    points = None if samples is None else targets_of(y, len(samples), outputs, output)

    everything = np.concatenate([*(h.ravel() for h in heights), [0, 1] if points is None else points])
    low, high = float(everything.min()), float(everything.max())
    # the colours' middle is the threshold, their ends the samples' answers: a sure answer has a full colour
    sure = heights[-1] if points is None else points
    reach = max(float(np.abs(sure - threshold).max()), 1e-6)
    # the end is a little off, as plotly draws no line of its own where it equals the start
    boundary = {"start": threshold, "end": threshold + 1e-6 * reach, "size": reach, "color": LINE, "width": 6}
    surface = plotly.Surface(
        x=stages.first,
        y=stages.second,
        z=heights[-1],
        cmin=threshold - reach,
        cmax=threshold + reach,
        colorscale=COLORS,
        opacity=0.94,
        colorbar={"title": {"text": "answer"}, "thickness": 14, "len": 0.6, "outlinewidth": 0},
        contours={"z": {**boundary, "show": True, "project": {"z": True}}},
        lighting={"ambient": 0.85, "diffuse": 0.4, "specular": 0.05},
        hovertemplate="inputs %{x:.2f}, %{y:.2f}<br>answer %{z:.3f}<extra></extra>",
    )
    figure = new_figure(title)
    figure.add_trace(surface)
    if samples is not None and points is not None:
        figure.add_trace(
            plotly.Scatter3d(
                x=samples[:, 0],
                y=samples[:, 1],
                z=points,
                mode="markers",
                marker={
                    "size": 8 if len(samples) < 100 else 3,
                    "color": points,
                    "cmin": threshold - reach,
                    "cmax": threshold + reach,
                    "colorscale": COLORS,
                    "line": {"color": "#ffffff", "width": 2},
                },
                hovertemplate="sample %{x:.2f}, %{y:.2f}<br>wanted %{z:g}<extra></extra>",
                showlegend=False,
            )
        )
    margin = 0.05 * (high - low)
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 48, "b": 0},
        uirevision="keep the camera",
        scene={
            "xaxis": {"title": {"text": "first input"}},
            "yaxis": {"title": {"text": "second input"}},
            "zaxis": {"title": {"text": "answer"}, "range": [low - margin, high + margin]},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.75},
            "camera": {"eye": {"x": -1.12, "y": -1.55, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.1}},
        },
    )
    if len(heights) > 1:
        add_slider(figure, plotly, stages.epochs, heights)
    return figure


def add_slider(figure: Figure, plotly: Any, epochs: Sequence[int], heights: Sequence[Array]) -> None:
    """Give a figure, whose first trace is the surface of the last stage, a slider over all stages."""
    names = [f"{count:,}" for count in epochs]
    figure.frames = [
        plotly.Frame(name=name, data=[{"type": "surface", "z": height}], traces=[0])
        for name, height in zip(names, heights, strict=True)
    ]
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    play = {**now, "frame": {"duration": 400, "redraw": True}}
    figure.update_layout(
        sliders=[
            {
                "active": len(names) - 1,
                "steps": [{"label": name, "method": "animate", "args": [[name], now]} for name in names],
                "currentvalue": {"prefix": "epochs trained: ", "xanchor": "left"},
                "x": 0.16,
                "len": 0.8,
                "pad": {"t": 8, "b": 16},
            }
        ],
        updatemenus=[
            {
                "type": "buttons",
                "showactive": False,
                "x": 0.03,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 34},
                "buttons": [{"label": "Play", "method": "animate", "args": [names, play]}],
            }
        ],
    )


def targets_of(y: Any, samples: int, outputs: int, output: int) -> Array:
    """Return what one output shall answer to each sample: its value, or whether the label is its own."""
    targets = Targets.check(y, samples, (outputs,))
    if targets.are_labels:
        return np.equal(targets.values, output % outputs).astype(np.float64)
    return targets.values[:, output].astype(np.float64)
