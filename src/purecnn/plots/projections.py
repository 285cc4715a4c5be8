"""Samples as points in the plane: what a network makes of them, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.checks import choice
from purecnn.backend.types import Array
from purecnn.datasets.dataset import labels_of
from purecnn.inspection.projections import METHODS, pca, penultimate, tsne
from purecnn.layers.base import Layer
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.plots.style import give_room, graph_objects, new_figure, short, style

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def embedding(
    network: Network | Sequence[Layer],
    x: Any,
    y: Any = None,
    *,
    method: str = "pca",
    layer: int | None = None,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw samples where the last layer but one puts them, in two dimensions.

    Parameters
    ----------
    network : Network or list of Layer
        What to run.
    x : array_like
        Samples, as `Network.predict` takes them; some hundred.
    y : array_like
        Their answers, as `Network.fit` takes them; a data set's own labels if left out.
    method : {"pca", "tsne"}
        "pca": the directions in which the values vary most; "tsne": near ones near each other.
    layer : int, optional
        Whose input to draw, in place of that of the last layer with parameters.
    names : sequence of str
        Of the classes; those of the preprocessing, or numbers, if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        A trace for each class; one, coloured by their number, of several labels a sample, and by the first
        output of values.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ValueError
        If there is no such method or layer.

    Examples
    --------
    >>> from purecnn.networks import dense
    >>> x = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    >>> [trace.name for trace in embedding(dense((1, 4, 4), 2), x, [0, 1, 1, 0]).data]
    ['0', '1']
    """
    graph_objects("drawing an embedding")
    method = choice("method", method, METHODS)
    network = as_network(network)
    rows = network.as_rows(x)
    targets = network.targets(labels_of(x, y), len(rows))
    task = network.task_for(network.loss(None, None, targets), targets.values)
    values = penultimate(network, rows, layer)
    if not np.isfinite(values).all():
        raise ValueError("an embedding wants finite numbers, got NaN or infinity: has the network diverged?")
    if method == "tsne":
        points, axes = tsne(values), ("", "")
    else:
        points, shares = pca(values)
        first, second = (
            f"component {n}, {100 * share:.0f} % of the variance" for n, share in enumerate(shares, 1)
        )
        axes = first, second
    if task != "classification":
        several = task == "multilabel"
        colors = targets.values.sum(axis=1) if several else targets.values[:, 0]
        return values_figure(points, colors, axes, "labels" if several else "true", title)
    return points_figure(points, targets.classes(), names or network.preprocessing.classes, axes, title)


def points_figure(
    points: Array, classes: Array, names: Sequence[str], axes: Sequence[str], title: str = ""
) -> Figure:
    """Draw points, those of each class alike."""
    plotly = graph_objects()
    figure = new_figure(title)
    for label in np.unique(classes):
        color, _, symbol = style(int(label))
        (name,) = short([names[label] if label < len(names) else label])
        own = points[classes == label]
        # a short name is its own mark, which also tells the classes apart in grey
        mode: dict[str, Any] = {"mode": "markers", "marker": {"color": color, "symbol": symbol, "size": 7}}
        if len(name) <= 2:
            mode = {"mode": "text", "text": [name] * len(own), "textfont": {"color": color, "size": 12}}
        figure.add_trace(
            plotly.Scatter(
                x=own[:, 0], y=own[:, 1], name=name, hovertemplate=f"{name}<extra></extra>", **mode
            )
        )
    figure.update_xaxes(title={"text": axes[0]}, showticklabels=False, zeroline=False)
    figure.update_yaxes(
        title={"text": axes[1]}, showticklabels=False, zeroline=False, scaleanchor="x", constrain="domain"
    )
    give_room(figure, 34, 34)
    marked = [trace for trace in figure.data if trace.mode == "markers"]
    figure.update_layout(height=520, showlegend=0 < len(marked) <= 20)
    return figure


def values_figure(
    points: Array, wanted: Array, axes: Sequence[str], what: str = "wanted", title: str = ""
) -> Figure:
    """Draw points, each in the colour of the value that is wanted of its sample; `what` is its name."""
    figure = new_figure(title)
    marker = {
        "color": wanted,
        "colorscale": "Cividis",
        "size": 7,
        "showscale": True,
        "colorbar": {"thickness": 10},
    }
    figure.add_trace(
        graph_objects().Scatter(
            x=points[:, 0],
            y=points[:, 1],
            mode="markers",
            marker=marker,
            hovertemplate=f"{what} %{{marker.color:.4g}}<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": axes[0]}, showticklabels=False, zeroline=False)
    figure.update_yaxes(title={"text": axes[1]}, showticklabels=False, zeroline=False)
    return figure
