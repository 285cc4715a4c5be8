"""Pictures beside the images that are true and those that a network answers with: masks, or values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.checks import positive
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.inspection.answers import Answers, find
from purecnn.layers.base import Layer
from purecnn.messages.extras import require_extra
from purecnn.networks.network import Network
from purecnn.plots.colors import colored
from purecnn.plots.style import COLORS, graph_objects, new_figure, picture_of, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Pixels of the page that each picture has.
SIDE = 170
#: What the three columns show.
HEADS = ("picture", "true", "answer")
#: Where nothing counts.
GREY = 0.5


def class_colors(classes: int) -> Array:
    """Return a colour for each class, ``(classes, 3)`` from 0 to 1: of many classes from dark to bright.

    Examples
    --------
    >>> class_colors(2).shape, class_colors(100).shape
    ((2, 3), (100, 3))
    """
    if classes <= len(COLORS):
        return np.array([[int(name[k : k + 2], 16) / 255 for k in (1, 3, 5)] for name in COLORS[:classes]])
    return colored(np.arange(classes), 0, classes - 1)[:, :3]


def three(found: Answers, number: int) -> tuple[Array, Array, Array]:
    """Return a sample's picture, what is true and what the network answers, each from 0 to 1.

    Parameters
    ----------
    found : Answers
        With images as answers.
    number : int
        Which sample.

    Returns
    -------
    tuple of ndarray
        ``(height, width)`` or ``(height, width, 3)`` each; a grey picture where samples are none. Classes
        have colours, grey where no pixel counts; values are between the least and the largest true one.
    """
    height, width = (found.network.output_shape or ())[1:]
    picture = picture_of(found.sample(number)) if found.are_images else np.full((height, width), GREY)
    if found.are_maps:
        colors, counted = class_colors(len(found.names)), found.counted[number]
        true = np.where(counted, found.truth[number], 0)
        shown = np.where(counted[..., np.newaxis], colors[true], GREY)
        return picture, shown, colors[found.said[number]]
    shape = found.network.output_shape or ()
    low, high = float(found.truth[number].min()), float(found.truth[number].max())
    true, said = (
        np.clip((side[number].reshape(shape) - low) / ((high - low) or 1.0), 0, 1)
        for side in (found.truth, found.outputs)
    )
    return picture, as_picture(true), as_picture(said)


def as_picture(values: Array) -> Array:
    """Return values ``(channels, height, width)`` as a picture: of other than 3 channels the mean."""
    return values.transpose(1, 2, 0) if len(values) == 3 else np.asarray(values.mean(axis=0))


def image_answers(
    network: Network | Sequence[Layer] | Answers,
    x: Any = None,
    y: Any = None,
    *,
    count: int = 6,
    names: Sequence[str] = (),
    ignore_label: int | None = None,
    title: str = "",
) -> Figure:
    """Draw pictures beside the masks or images that are true, and beside those that a network answers with.

    Parameters
    ----------
    network : Network, list of Layer or Answers
        The network that answers, or what `find` returned.
    x, y : array_like
        Pictures, and label maps or images, as `Network.evaluate` takes them.
    count : int
        How many at most, evenly spread over the samples.
    names : sequence of str
        Of the classes; those of the preprocessing, or numbers, if left out.
    ignore_label : int, optional
        As `Network.evaluate` takes it; such pixels are grey.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ShapeError
        If the answers are no images.

    Examples
    --------
    >>> from purecnn import Convolutional, Softmax
    >>> network = Network([Convolutional(kernel_size=1, depth=2), Softmax()], input_shape=(1, 4, 4))
    >>> figure = image_answers(network, np.zeros((3, 4, 4)), np.zeros((3, 4, 4), int), count=2)
    >>> len([trace for trace in figure.data if trace.type == "image"])
    6
    """
    plotly = graph_objects("drawing answers")
    found = (
        network
        if isinstance(network, Answers)
        else find(network, x, y, names=names, ignore_label=ignore_label)
    )
    if not found.answers_are_images:
        raise ShapeError(
            f"answers that are images, (channels, height, width), are wanted, "
            f"got {found.network.output_shape}"
        )
    chosen = found.evenly_spread(positive("count", count))
    shown = len(chosen)
    figure = require_extra("plotly.subplots", "report", "drawing answers").make_subplots(
        rows=shown,
        cols=3,
        column_titles=list(HEADS),
        vertical_spacing=0.06 / shown,
        horizontal_spacing=0.03,
        figure=new_figure(title),
    )
    for row, number in enumerate(chosen, 1):
        for column, picture in enumerate(three(found, int(number)), 1):
            colors = picture if picture.ndim == 3 else np.repeat(picture[..., np.newaxis], 3, axis=2)
            image = plotly.Image(z=np.round(255 * colors).astype(np.uint8), hoverinfo="skip")
            figure.add_trace(image, row=row, col=column)
    if found.are_maps:
        for name, color in zip(found.names, class_colors(len(found.names)), strict=True):
            marker = {"color": f"rgb{tuple(round(255 * value) for value in color)}", "symbol": "square"}
            figure.add_trace(
                plotly.Scatter(x=[None], y=[None], mode="markers", name=plain(name), marker=marker)
            )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    top = 70 if title else 40
    figure.update_layout(height=top + SIDE * shown + 50, margin={"t": top, "l": 10, "r": 10, "b": 40})
    return figure
