"""Learning-rate range test as a figure: the loss over the rate, and the rate that it suggests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from purecnn.inspection.learning_rates import LearningRateRange
from purecnn.plots.style import COLORS, MIDDLE, give_room, graph_objects, new_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def learning_rate_range(found: LearningRateRange, *, title: str = "") -> Figure:
    """Draw the loss over the learning rate: each batch's, the mean of those around it, and the suggestion.

    Parameters
    ----------
    found : LearningRateRange
        What `inspection.find_learning_rate` returned.
    title : str
        Stands above the figure; the suggestion does if left out.

    Returns
    -------
    plotly.graph_objects.Figure
        The rate on a logarithmic axis, and losses up to a little above those before the lowest; a double
        click shows the others, which the largest rates raised.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    TypeError
        If it is no such thing.

    Examples
    --------
    >>> import numpy as np
    >>> rates, losses = np.array([0.01, 0.1, 1.0]), np.array([3.0, 2.0, 4.0])
    >>> figure = learning_rate_range(LearningRateRange(rates, losses, losses, 0.1))
    >>> figure.layout.title.text, [trace.name for trace in figure.data]
    ('suggested learning rate 0.1', ['loss of a batch', 'mean of those around', 'suggestion'])
    """
    if not isinstance(found, LearningRateRange):
        raise TypeError(f"what find_learning_rate returns is wanted, got {found!r:.100}")
    plotly = graph_objects("drawing a learning-rate range test")
    rate = found.suggestion
    words = "no learning rate lets the loss fall" if rate is None else f"suggested learning rate {rate:.2g}"
    figure = new_figure(title or words)
    shown = "learning rate %{x:.2e}: %{y:.4f}<extra></extra>"
    for name, values, line in (
        ("loss of a batch", found.losses, {"color": MIDDLE, "width": 1}),
        ("mean of those around", found.smoothed, {"color": COLORS[0], "width": 2.2}),
    ):
        figure.add_trace(
            plotly.Scatter(x=found.rates, y=values, mode="lines", name=name, line=line, hovertemplate=shown)
        )
    if rate is not None:
        place = int(abs(found.rates - rate).argmin())
        figure.add_trace(
            plotly.Scatter(
                x=[rate],
                y=[found.smoothed[place]],
                mode="markers",
                name="suggestion",
                marker={"symbol": "diamond", "size": 11, "color": COLORS[1]},
                hovertemplate=shown,
            )
        )
    figure.update_xaxes(title={"text": "learning rate"}, type="log", exponentformat="power")
    figure.update_yaxes(title={"text": "loss"}, range=shown_losses(found))
    figure.update_layout(height=420)
    give_room(figure)
    return figure


def shown_losses(found: LearningRateRange) -> list[float] | None:
    """Return from which to which loss a figure shows; None where it is to show all.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.array([3.0, 2.0, 1.0, 50.0])
    >>> shown_losses(LearningRateRange(losses, losses, losses, None))
    [0.8, 3.6]
    """
    lowest, before = found.losses.min(), found.smoothed[: found.smoothed.argmin() + 1]
    span = before.max() - lowest
    return (
        [round(float(lowest - 0.1 * span), 6), round(float(before.max() + 0.3 * span), 6)] if span else None
    )
