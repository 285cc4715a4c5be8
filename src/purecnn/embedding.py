"""What a network makes of samples lies in many dimensions; in two of them one sees which it keeps apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.arguments import choice, is_integer, within
from purecnn.charts import give_room, graph_objects, new_figure, short, style
from purecnn.dataset import labels_of
from purecnn.layer import Layer
from purecnn.lists import as_network
from purecnn.network import Network
from purecnn.scratch import Array
from purecnn.traces import trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Samples that are traced at a time: all that passes through the network is kept so long.
PIECE = 64


def penultimate(network: Network | Sequence[Layer], x: Any, layer: int | None = None) -> Array:
    """Return what enters the last layer that has parameters, or another, for each sample: ``(n, features)``.

    Parameters
    ----------
    network : Network or list of Layer
        What to run.
    x : array_like
        Samples, as `Network.predict` takes them.
    layer : int, optional
        Whose input.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    network = as_network(network)
    rows = network.receive(x)
    if layer is None:
        layer = next((p for p in range(len(network) - 1, -1, -1) if network[p].parameters), len(network) - 1)
    elif not is_integer(layer) or not -len(network) <= layer < len(network):
        raise ValueError(
            f"layer must be an integer from {-len(network)} to {len(network) - 1}, got {layer!r}"
        )
    parts = [trace(network, rows[first : first + PIECE])[layer].input for first in range(0, len(rows), PIECE)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def pca(values: Array, dimensions: int = 2) -> tuple[Array, Array]:
    """Return points along the directions in which they vary most, and the share of the variance of each.

    Principal component analysis, by a singular value decomposition of the centred values. A direction's sign
    is that of its largest weight.

    Parameters
    ----------
    values : ndarray
        ``(n, features)``.
    dimensions : int
        How many directions.

    Returns
    -------
    points : ndarray
        ``(n, dimensions)`` float64.
    shares : ndarray
        ``(dimensions,)``.

    Examples
    --------
    >>> points, shares = pca(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    >>> points[:, 0].round(6).tolist(), shares.round(6).tolist()
    ([-5.0, 0.0, 5.0], [1.0, 0.0])
    """
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(v[np.arange(len(v)), np.abs(v).argmax(axis=1)])
    points = np.zeros((len(values), dimensions))
    shares = np.zeros(dimensions)
    count = min(dimensions, len(s))
    points[:, :count] = (u * s * signs)[:, :count]
    whole = float((s**2).sum())
    shares[:count] = s[:count] ** 2 / whole if whole else 0
    return points, shares


def tsne(values: Array, *, perplexity: float = 30.0, steps: int = 500) -> Array:
    """Return points in two dimensions whose near neighbours are those of the values: t-SNE.

    Exact, so for some hundred samples: each step takes their number squared. It begins at the two principal
    components, and so needs no random numbers. van der Maaten and Hinton 2008,
    https://jmlr.org/papers/v9/vandermaaten08a.html; the beginning after Kobak and Berens 2019,
    https://doi.org/10.1038/s41467-019-13056-x.

    Parameters
    ----------
    values : ndarray
        ``(n, features)``.
    perplexity : float
        How many neighbours count, about; at most a third of the samples are taken.
    steps : int
        Of gradient descent.

    Returns
    -------
    ndarray
        ``(n, 2)`` float64.

    Examples
    --------
    >>> near = np.repeat([[0.0] * 5, [9.0] * 5], 10, axis=0) + np.arange(20)[:, np.newaxis] / 100
    >>> points = tsne(near, steps=300)
    >>> bool(np.abs(points[:10].mean(0) - points[10:].mean(0)).max() > np.ptp(points[:10], axis=0).max())
    True
    """
    within("perplexity", perplexity, 1)
    start, _ = pca(values, min(50, *values.shape))
    n = len(start)
    if n < 4 or not np.ptp(start):
        return pca(values)[0]
    squares = (start**2).sum(axis=1)
    distances = np.maximum(squares[:, np.newaxis] + squares - 2 * start @ start.T, 0)
    p = neighbours(distances, min(perplexity, (n - 1) / 3))
    p = np.maximum((p + p.T) / (2 * n), 1e-12)
    points = np.zeros((n, 2))
    points[:, : start.shape[1]] = start[:, :2] / start[:, 0].std() * 1e-4
    # the first quarter pulls neighbours together twelve times as strongly, so that groups form
    # (the rate after Kobak and Berens; its floor at 50 left 100 digits at a divergence of 0.66, now 0.34)
    early, rate = steps // 4, max(n / 12, 5.0)
    speed, gains = np.zeros_like(points), np.ones_like(points)
    for step in range(steps):
        squares = (points**2).sum(axis=1)
        q = squares[:, np.newaxis] + squares - 2 * points @ points.T
        np.maximum(q, 0, out=q)
        q += 1
        np.reciprocal(q, out=q)
        np.fill_diagonal(q, 0)
        pulls = (p * (12 if step < early else 1) - q / q.sum()) * q
        gradient = 4 * (pulls.sum(axis=1)[:, np.newaxis] * points - pulls @ points)
        gains = np.maximum(np.where(np.sign(gradient) != np.sign(speed), gains + 0.2, gains * 0.8), 0.01)
        speed = (0.5 if step < early else 0.8) * speed - rate * gains * gradient
        points += speed
    found: Array = points - points.mean(axis=0)
    return found


def neighbours(distances: Array, perplexity: float) -> Array:
    """Return each sample's shares in the others, as wide as the perplexity asks: 50 halvings of the width."""
    n = len(distances)
    others = distances + np.diag(np.full(n, np.inf))
    others -= others.min(axis=1, keepdims=True)
    low, high, beta = np.zeros(n), np.full(n, np.inf), 1 / np.maximum(distances.mean(axis=1), 1e-12)
    p = np.zeros_like(distances)
    for _ in range(50):
        p = np.exp(-others * beta[:, np.newaxis])
        p /= p.sum(axis=1, keepdims=True)
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), 2 * beta, (low + high) / 2)
    return p


METHODS = ("pca", "tsne")


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
    rows = network.receive(x)
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
