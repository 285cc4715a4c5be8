"""Saliency and Grad-CAM, drawn beside the pictures that they explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.attribution import explained, grad_cam_maps, saliency_maps
from purecnn.layers.base import Layer
from purecnn.messages.extras import require_extra
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.plots.style import SCALE, graph_objects, new_figure, picture_of, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def saliency(
    network: Network | Sequence[Layer],
    x: Any,
    outputs: Any = None,
    *,
    title: str = "Saliency",
) -> Figure:
    """Draw which pixels the answers to some pictures hang on: the size of the score's derivative by each.

    Parameters
    ----------
    network : Network or list of Layer
        The network that answers.
    x : array_like
        One picture or a few, as `Network.predict` takes them.
    outputs : array_like of int, optional
        The class to ask about, for each; the one that the network names if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Each picture above its map; the lighter, the more the answer hangs on a pixel.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ShapeError
        If the samples are no pictures.

    Examples
    --------
    >>> from purecnn.networks import lenet
    >>> len(saliency(lenet(), np.zeros((2, 28, 28), np.uint8)).data)
    4
    """
    graph_objects("drawing a saliency map")
    passed, pictures, classes, _ = explained(network, x, outputs)
    return beside(pictures, saliency_maps(passed), classes, as_network(network), title)


def grad_cam(
    network: Network | Sequence[Layer],
    x: Any,
    outputs: Any = None,
    *,
    layer: int | None = None,
    title: str = "Grad-CAM",
) -> Figure:
    """Draw where the maps of a convolution speak for the answers to some pictures.

    Parameters
    ----------
    network : Network or list of Layer
        The network that answers.
    x : array_like
        One picture or a few, as `Network.predict` takes them.
    outputs : array_like of int, optional
        The class to ask about, for each; the one that the network names if left out.
    layer : int, optional
        Whose maps; those of the last convolution and its activation if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        Each picture above its map; the lighter, the more it speaks for the class.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ShapeError, ValueError
        If the samples are no pictures, or there are no feature maps.

    Examples
    --------
    >>> from purecnn.networks import lenet
    >>> len(grad_cam(lenet(), np.zeros((2, 28, 28), np.uint8)).data)
    4
    """
    graph_objects("drawing a Grad-CAM")
    passed, pictures, classes, signs = explained(network, x, outputs)
    return beside(pictures, grad_cam_maps(passed, layer, signs), classes, as_network(network), title)


def beside(pictures: Array, maps: Array, classes: Array, network: Network, title: str) -> Figure:
    """Draw each picture above its map."""
    plotly = graph_objects()
    names = network.preprocessing.classes
    heads = [plain(names[label]) if label < len(names) else str(label) for label in classes]
    figure = require_extra("plotly.subplots", "report", "drawing pictures").make_subplots(
        rows=2,
        cols=len(pictures),
        subplot_titles=heads,
        vertical_spacing=0.04,
        horizontal_spacing=0.03 / len(pictures),
        figure=new_figure(title),
    )
    for column, (sample, map_) in enumerate(zip(pictures, maps, strict=True), 1):
        shown = picture_of(sample)
        colors = shown if shown.ndim == 3 else np.repeat(shown[..., np.newaxis], 3, axis=2)
        figure.add_trace(
            plotly.Image(z=np.round(255 * colors).astype(np.uint8), hoverinfo="skip"), row=1, col=column
        )
        figure.add_trace(
            plotly.Heatmap(
                z=map_.astype(np.float32),
                colorscale=SCALE,
                showscale=False,
                hovertemplate="%{z:.4g}<extra></extra>",
            ),
            row=2,
            col=column,
        )
        anchor = "" if column == 1 else str(column)
        figure.update_yaxes(scaleanchor=f"x{anchor}", autorange="reversed", row=1, col=column)
        below = len(pictures) + column
        figure.update_yaxes(scaleanchor=f"x{below}", autorange="reversed", row=2, col=column)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    figure.update_layout(height=110 + 2 * min(240, 900 // len(pictures)), margin={"t": 80})
    return figure
