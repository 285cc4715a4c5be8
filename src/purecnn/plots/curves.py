"""Learning curves and calibration.

What was measured while a network learnt, epoch by epoch, is easier seen than read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import positive
from purecnn.callbacks.history import History
from purecnn.messages.extras import require_extra
from purecnn.metrics.classification import calibration_error
from purecnn.metrics.inputs import checked_probabilities, tally, true_among
from purecnn.plots.style import COLORS, MIDDLE, give_room, graph_objects, new_figure, plain, style

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: What the two lines of a plot are called, and how the first words of what was measured tell them apart.
TRAINING, VALIDATION = "training set", "validation set"


def history(
    history: History | Mapping[str, History], *, title: str = "", held_out: str = VALIDATION
) -> Figure:
    """Draw what `fit` measured over the epochs: the loss, and each metric that is one number, on both sets.

    Parameters
    ----------
    history : History, or dict of str to History
        What `fit` returned; of several fits, each under its name, the curves lie over each other.
    title : str
        Stands above the figure.
    held_out : str
        What the set that is not trained on is called.

    Returns
    -------
    plotly.graph_objects.Figure
        A plot for each thing measured, below each other.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    TypeError
        If it is no history.
    ValueError
        If nothing has been measured yet.

    Examples
    --------
    >>> from purecnn import History
    >>> [trace.name for trace in history(History(loss=[0.5, 0.3], validation_loss=[0.6, 0.4])).data]
    ['training set', 'validation set']
    """
    plotly = graph_objects("drawing a history")
    histories = dict(history) if isinstance(history, Mapping) else {"": history}
    for one in histories.values():
        if not isinstance(one, History):
            raise TypeError(f"a History, or a dict of names to them, is wanted; got {one!r:.100}")
    measured = {name: curves_of(one) for name, one in histories.items()}
    kinds = list(dict.fromkeys(kind for curves in measured.values() for kind, _ in curves))
    if not kinds:
        raise ValueError("a history of at least one epoch is wanted, got one of none")
    figure = require_extra("plotly.subplots", "report", "drawing a history").make_subplots(
        rows=len(kinds), shared_xaxes=True, vertical_spacing=0.08, figure=new_figure(title)
    )
    shown: set[str] = set()
    for number, (run, curves) in enumerate(measured.items()):
        for (kind, is_held_out), values in curves.items():
            side = held_out if is_held_out else TRAINING
            name = side if not run else f"{plain(run)}, {side}"
            color, dash, symbol = style(number if run else int(is_held_out))
            figure.add_trace(
                plotly.Scatter(
                    x=np.arange(1, len(values) + 1),
                    y=values,
                    name=name,
                    legendgroup=name,
                    showlegend=name not in shown,
                    mode="lines+markers" if len(values) <= 60 else "lines",
                    line={"color": color, "dash": "dash" if is_held_out and not run else dash, "width": 2.2},
                    marker={"symbol": f"{symbol}-open" if run and not is_held_out else symbol, "size": 7},
                    opacity=0.6 if run and not is_held_out else 1,
                    hovertemplate=f"{name}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
                ),
                row=kinds.index(kind) + 1,
                col=1,
            )
            shown.add(name)
    for row, kind in enumerate(kinds, 1):
        figure.update_yaxes(title={"text": plain(kind.replace("_", " "))}, row=row, col=1)
        if kind.endswith("accuracy"):
            figure.update_yaxes(tickformat=".2~%", row=row, col=1)
    most = max(len(values) for curves in measured.values() for values in curves.values())
    figure.update_xaxes(title={"text": "epoch"}, row=len(kinds), col=1)
    figure.update_xaxes(**({"dtick": 1} if most <= 12 else {"rangemode": "tozero"}))
    figure.update_layout(height=110 + 240 * len(kinds))
    give_room(figure)
    return figure


def curves_of(history: History) -> dict[tuple[str, bool], list[float]]:
    """Return each curve by what was measured and whether on the set held out, the loss first."""
    found: dict[tuple[str, bool], list[float]] = {}
    for name, values in history.lists().items():
        kind = name.removeprefix("validation_")
        if kind != "seconds" and all(isinstance(value, int | float) for value in values):
            found[kind, kind != name] = values
    return dict(sorted(found.items(), key=lambda one: (one[0][0] != "loss", one[0])))


def calibration(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    bins: int = 15,
    title: str = "",
) -> Figure:
    """Draw how often a network is right where it is so and so sure: a reliability diagram.

    Below the diagonal it is surer than it should be. Guo et al. 2017, https://arxiv.org/abs/1706.04599.

    Parameters
    ----------
    y_true : array_like
        Labels or rows, as `metrics` takes them.
    y_pred : array_like
        Probabilities ``(n, classes)``, or those of class 1.
    bins : int
        Of the confidence, of equal width; those of `metrics.calibration_error`.
    title : str
        Stands above the figure; the calibration error does if left out.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ValueError
        If they are no probabilities.

    Examples
    --------
    >>> figure = calibration([0, 0], [[0.8, 0.2], [0.2, 0.8]], bins=5)
    >>> figure.layout.title.text, figure.data[0].y.tolist()
    ('expected calibration error 30.00 %', [0.5])
    """
    plotly = graph_objects("drawing a calibration")
    count = positive("bins", bins)
    p = checked_probabilities(y_pred).astype(np.float64)
    right, confidence = p.argmax(axis=1) == true_among(y_true, p), p.max(axis=1)
    place = np.searchsorted(np.arange(1, count) / count, confidence, side="left")
    samples = tally(place, count)
    used = np.flatnonzero(samples)
    sure, hits = (
        tally(place, count, values)[used] / samples[used] for values in (confidence, right.astype(float))
    )
    error = calibration_error(y_true, y_pred, bins=count)
    figure = new_figure(title or f"expected calibration error {100 * error:.2f} %")
    figure.add_trace(
        plotly.Bar(
            x=(used + 0.5) / count,
            y=hits,
            width=0.94 / count,
            marker={"color": COLORS[0], "opacity": 0.75},
            name="accuracy",
            customdata=np.stack([samples[used], sure], axis=1),
            hovertemplate="%{customdata[0]:,} samples, %{customdata[1]:.1%} sure<br>"
            "%{y:.1%} of them right<extra></extra>",
        )
    )
    marks: dict[str, Any] = {"symbol": "diamond", "size": 9, "color": COLORS[1]}
    figure.add_trace(
        plotly.Scatter(
            x=sure, y=hits, mode="markers", marker=marks, name="mean confidence of a bin", hoverinfo="skip"
        )
    )
    figure.add_trace(
        plotly.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            line={"color": MIDDLE, "dash": "dash"},
            name="as sure as right",
            hoverinfo="skip",
        )
    )
    share = {"range": [0, 1.02], "tickformat": ".0%"}
    figure.update_xaxes(title={"text": "confidence"}, **share)
    figure.update_yaxes(title={"text": "share that is right"}, **share)
    figure.update_layout(height=420)
    give_room(figure)
    return figure
