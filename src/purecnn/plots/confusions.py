"""Confusion matrix and mistakes.

A network is best known by its mistakes: which classes it takes for each other, and which samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import positive
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.inspection.answers import Answers, find
from purecnn.layers.base import Layer
from purecnn.messages.extras import require_extra
from purecnn.metrics import classification
from purecnn.metrics.inputs import listed
from purecnn.networks.network import Network
from purecnn.plots.style import give_room, graph_objects, new_figure, picture_of, plain, short

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: Classes up to which each number is written into its cell.
WRITTEN = 15
#: Pictures in a row, the height of each in pixels, and the letters in a line of its caption: so that captions
#: stand apart in a window of 390 pixels too.
COLUMNS, PICTURE, LINE = 3, 130, 18
#: From the paper, whatever its colour, to a blue on which ink of either kind can be read.
TINT = ((0.0, "rgba(42, 127, 192, 0.12)"), (1.0, "rgba(42, 127, 192, 0.8)"))


def confusion_matrix(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, names: Sequence[str] = (), title: str = ""
) -> Figure:
    """Draw how many samples of each class, a row, were taken for each class, a column.

    What is right, on the diagonal, stays uncoloured: else it would outshine every mistake. The fuller the
    colour of another cell, the larger its share of the row.

    Parameters
    ----------
    y_true, y_pred : array_like
        Labels or rows, as `metrics` takes them.
    names : sequence of str
        Of the classes; their numbers if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ValueError
        If there are not as many names as classes.

    Examples
    --------
    >>> figure = confusion_matrix([0, 1, 1], [0, 1, 0], names=["ant", "bee"])
    >>> figure.data[0].z.tolist()
    [[nan, nan], [0.5, nan]]
    """
    plotly = graph_objects("drawing a confusion matrix")
    counts = classification.confusion_matrix(y_true, y_pred, classes=len(names) or None)
    called = short(names or range(len(counts)))
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.where(counts > 0, counts / totals, np.nan)
    np.fill_diagonal(shares, np.nan)
    largest = float(np.nanmax(shares, initial=0.0))
    hover = [
        [
            f"{called[row]} taken for {called[column]}" if row != column else f"{called[row]}, rightly"
            for column in range(len(counts))
        ]
        for row in range(len(counts))
    ]
    figure = new_figure(title)
    figure.add_trace(
        plotly.Heatmap(
            z=shares,
            zmin=0,
            zmax=largest or 1,
            colorscale=TINT,
            customdata=np.dstack([np.array(hover, object), counts.astype(object), counts / totals]),
            hoverongaps=False,
            hovertemplate="%{customdata[0]}<br>%{customdata[1]:,}, %{customdata[2]:.2%}<extra></extra>",
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    rows, columns = np.nonzero(counts) if len(counts) <= WRITTEN else np.diag_indices(len(counts))
    figure.add_trace(
        plotly.Scatter(
            x=columns,
            y=rows,
            mode="text",
            text=[
                f"<b>{counts[n, m]:,}</b>" if n == m else f"{counts[n, m]:,}"
                for n, m in zip(rows, columns, strict=True)
            ]
            if len(counts) <= WRITTEN
            else ["·"] * len(counts),
            hovertext=[
                f"{hover[n][m]}<br>{counts[n, m]:,}, {counts[n, m] / totals[n, 0]:.2%}"
                for n, m in zip(rows, columns, strict=True)
            ],
            hoverinfo="text",
            showlegend=False,
        )
    )
    ticks: dict[str, Any] = {"tickvals": np.arange(len(counts)), "ticktext": called, "showgrid": False}
    if len(counts) > 2 * WRITTEN:
        ticks["tickfont"] = {"size": 9}
    longest = max(len(str(name)) for name in names or range(len(counts)))
    room = 46 + 7 * min(longest, 20)
    edge = [-0.5, len(counts) - 0.5]
    figure.update_xaxes(
        title={"text": "what the network says"}, constrain="domain", zeroline=False, range=edge, **ticks
    )
    figure.update_yaxes(
        title={"text": "what it is"},
        scaleanchor="x",
        zeroline=False,
        range=edge[::-1],
        constrain="domain",
        **ticks,
    )
    figure.update_xaxes(tickangle=-90 if longest > 3 else 0)
    give_room(figure, room, room)
    figure.update_layout(height=min(900, 200 + 40 * len(counts)))
    return figure


def confused(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, classes: int) -> list[tuple[int, int, int]]:
    """Return (class, what it is taken for, how often), the most frequent first.

    Examples
    --------
    >>> confused([0, 1, 1, 1], [1, 0, 0, 1], 2)
    [(1, 0, 2), (0, 1, 1)]
    """
    counts = classification.confusion_matrix(y_true, y_pred, classes=classes)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    return [
        (int(row), int(column), int(counts[row, column]))
        for row, column in zip(*np.unravel_index(order, counts.shape), strict=True)
    ]


def mistakes(
    network: Network | Sequence[Layer] | Answers,
    x: Any = None,
    y: Any = None,
    *,
    count: int = 12,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw the pictures that a network is most wrong about, each with what it says and what is true.

    Parameters
    ----------
    network : Network, list of Layer or Answers
        The network that answers, or what `find` returned.
    x, y : array_like
        Pictures and their answers, as `Network.evaluate` takes them.
    count : int
        How many at most.
    names : sequence of str
        Of the classes; those of the preprocessing, or numbers, if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Without pictures, where there is no mistake.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ShapeError
        If the samples are no pictures.

    Examples
    --------
    >>> from purecnn.networks import dense
    >>> x = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    >>> figure = mistakes(dense((1, 4, 4), 2), x, [0, 1])
    >>> len(figure.data)
    1
    """
    plotly = graph_objects("drawing mistakes")
    found = network if isinstance(network, Answers) else find(network, x, y, names=names)
    if not found.are_images:
        raise ShapeError(f"pictures, samples of (channels, height, width), are wanted; got {found.shape}")
    worst = found.worst(positive("count", count))
    if not len(worst):
        return new_figure(title or "no mistake")
    columns = min(COLUMNS, len(worst))
    rows = -(-len(worst) // columns)
    captions = [caption(found, number) for number in worst]
    room = 14 * max(lines.count("<br>") + 1 for lines in captions) + 14  # above each picture, for its caption
    height = rows * PICTURE + (rows - 1) * room
    figure = require_extra("plotly.subplots", "report", "drawing mistakes").make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=captions,
        vertical_spacing=room / height,
        horizontal_spacing=0.03,
        figure=new_figure(title),
    )
    for place, picture in enumerate(picture_of(sample) for sample in found.samples(worst)):
        row, column = divmod(place, columns)
        colors = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
        figure.add_trace(
            plotly.Image(z=np.round(255 * colors).astype(np.uint8), hoverinfo="skip"),
            row=row + 1,
            col=column + 1,
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_annotations(font={"size": 11})
    top = room + (40 if title else 10)
    figure.update_layout(height=top + height + 10, margin={"t": top, "l": 10, "r": 10, "b": 10})
    return figure


def caption(found: Answers, number: int) -> str:
    """Return the verdict in lines that are no wider than a third of a telephone, a few for each half."""
    halves = verdict(found, number).replace(" %", "\N{NO-BREAK SPACE}%").split("; ")
    lines = (line for half in halves for line in wrap(half, LINE, max_lines=3, placeholder="…"))
    return "<br>".join(plain(line.replace("\N{NO-BREAK SPACE}", " ")) for line in lines)


def verdict(found: Answers, number: int) -> str:
    """Return in words what was said of a sample, and what is true, each class with its score.

    Of images, how far the answer is from what is true.
    """
    if found.are_maps:
        counted = found.counted[number]
        right = (found.said[number] == found.truth[number])[counted]
        share = f"{100 * right.mean():.1f} %" if right.size else "none"
        return f"{share} of {right.size:,} pixels are right"
    if found.answers_are_images:
        error = np.sqrt(((found.outputs[number] - found.truth[number]) ** 2).mean())
        return f"root of the mean squared error {error:.4g}"
    if found.task == "multilabel":
        sides = (found.said[number], found.truth[number] > 0.5)
        return "says {}; is {}".format(*(listed(found.names, side) for side in sides))
    if not found.are_classes:
        values = (" ".join(f"{value:.4g}" for value in side[number]) for side in (found.outputs, found.truth))
        return "says {}; wanted is {}".format(*values)
    said, true = int(found.said[number]), int(found.truth[number])
    if said == true:
        return f"says {found.names[said]}, rightly ({score(found, number, said)})"
    return (
        f"says {found.names[said]} ({score(found, number, said)}); "
        f"is {found.names[true]} ({score(found, number, true)})"
    )


def score(found: Answers, number: int, label: int) -> str:
    """Return the score of a class: a share where it is a probability."""
    value: Array = found.outputs[number, label]
    return f"{100 * value:.1f} %" if found.are_probabilities else f"{value:.3g}"
