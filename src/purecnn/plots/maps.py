"""Kernels and feature maps.

What a network has learnt to look for, its kernels, and what it finds in a sample, its feature maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.checks import is_integer
from purecnn.backend.types import Array
from purecnn.inspection.traces import LayerTrace, Trace, trace
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.summaries import written
from purecnn.messages.extras import require_extra
from purecnn.networks.functional import host_copy
from purecnn.networks.network import Network
from purecnn.plots.style import add_mosaic, graph_objects, new_figure, plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: Pictures of one layer that are shown at most.
MOST = 64


def every_layer(layers: Sequence[Layer], front: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield all layers by their names, as `trace` has them: "3", and "3.0" for one inside it."""
    for name, layer in ((f"{front}{place}", layer) for place, layer in enumerate(layers)):
        yield from with_parts(name, layer)


def with_parts(name: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Yield a layer and those that it is made of, by name."""
    yield name, layer
    for key, part in layer.inside().items():
        yield from with_parts(f"{name}.{key}", part)


def with_weights(network: Network) -> dict[str, tuple[Layer, Array]]:
    """Return each layer whose weights are pictures, ``(outputs, inputs, height, width)``, by its name.

    Convolutions have kernels; a dense layer right behind pictures has weights of their shape.
    """
    network.sync()
    found: dict[str, tuple[Layer, Array]] = {}
    shape = network.input_shape
    for name, layer in every_layer(network.layers):
        if isinstance(layer, Convolutional):
            found[name] = layer, layer.parameters["kernels"]
            shape = None
        elif isinstance(layer, Dense) and shape is not None and len(shape) == 3:
            found[name] = layer, layer.parameters["weights"].reshape(-1, *shape)
            shape = None
        elif not isinstance(layer, Flatten | Reshape):
            shape = None  # what follows no longer sees the samples as they are
    return found


def kernels(network: Network | Sequence[Layer], layer: str | int | None = None, *, title: str = "") -> Figure:
    """Draw the kernels of a convolution, or the weights of a dense layer that sees the pictures themselves.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to a shape.
    layer : str or int, optional
        Its place, or the name that `trace` gives it, such as "3.0"; the first one with kernels if left out.
    title : str
        Stands above the figure.

    Returns
    -------
    plotly.graph_objects.Figure
        A picture for each pair of an output and an input, the inputs of one output in a row.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    ValueError
        If this layer, or the network, has none.

    Examples
    --------
    >>> from purecnn.networks import lenet
    >>> kernels(lenet()).data[0].z.shape  # eight kernels of 5 x 5, in two rows
    (11, 23)
    """
    graph_objects("drawing kernels")
    found = with_weights(host_copy(network))
    name = next(iter(found), "") if layer is None else str(layer)
    if name not in found:
        raise ValueError(f"the layers with kernels are {', '.join(found) or 'none'}; got {layer!r}")
    weights = found[name][1]
    outputs, inputs = len(weights), len(weights[0])
    inside = min(inputs, MOST)
    shown = min(outputs, max(1, MOST // inside) if inputs > 1 else MOST)
    tiles = list(weights[:shown, :inside].reshape(-1, *weights.shape[2:]))
    names = [
        f"output {o}, input {i}" if inputs > 1 else f"output {o}" for o in range(shown) for i in range(inside)
    ]
    reach = max(float(np.abs(tile).max()) for tile in tiles)
    figure = new_figure(title or part_of(f"layer {name}", shown * inside, outputs * inputs, "kernels"))
    ratio = add_mosaic(figure, tiles, names, columns=inside if inputs > 1 else None, reach=reach)
    figure.update_layout(height=int(min(900, 90 + max(120, 600 * ratio))))
    return figure


def part_of(name: str, shown: int, all_of_it: int, what: str) -> str:
    """Return a title that says how much is shown."""
    return f"{name}: {all_of_it} {what}" if shown == all_of_it else f"{name}: {shown} of {all_of_it} {what}"


def pictures_in(passed: LayerTrace) -> bool:
    """Return whether a layer gives pictures."""
    return passed.output.ndim == 4


def feature_maps(
    network: Network | Sequence[Layer] | Trace,
    x: Any = None,
    layer: int | None = None,
    *,
    sample: int = 0,
    title: str = "",
) -> Figure:
    """Draw what each layer makes of one sample, map by map.

    Parameters
    ----------
    network : Network, list of Layer or Trace
        What to run, or what `trace` kept.
    x : array_like, optional
        Samples, as `trace` takes them.
    layer : int, optional
        Which one; every layer that gives pictures, below each other, if left out.
    sample : int
        Of which sample.
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
        If there is no such layer, no such sample, or no picture.

    Examples
    --------
    >>> from purecnn.networks import lenet
    >>> figure = feature_maps(lenet(), np.zeros((1, 28, 28), np.uint8), layer=2)
    >>> figure.data[0].z.shape  # eight maps of 12 x 12
    (12, 103)
    """
    graph_objects("drawing feature maps")
    passed = network if isinstance(network, Trace) else trace(network, x)
    if not is_integer(sample) or not -len(passed.input) <= sample < len(passed.input):
        raise ValueError(f"sample must be one of {len(passed.input)}, from 0, got {sample!r}")
    if layer is None:
        chosen = [one for one in passed if pictures_in(one)]
    elif not is_integer(layer) or not -len(passed) <= layer < len(passed):
        raise ValueError(f"layer must be an integer from {-len(passed)} to {len(passed) - 1}, got {layer!r}")
    else:
        chosen = [passed[layer]] if pictures_in(passed[layer]) else []
    if not chosen:
        what = "no layer of this network gives any" if layer is None else f"{passed[layer].layer} gives none"
        raise ValueError(f"feature maps are pictures, (maps, height, width); {what}")
    heads = [
        f"{one.name} {plain(type(one.layer).__name__)}, {written(one.output.shape[1:])}" for one in chosen
    ]
    figure = new_figure(title)
    if len(chosen) > 1:
        figure.update_layout(margin={"t": 80 if title else 38})  # of the first layer's name
        subplots = require_extra("plotly.subplots", "report", "drawing feature maps")
        figure = subplots.make_subplots(
            rows=len(chosen), subplot_titles=heads, vertical_spacing=0.36 / len(chosen), figure=figure
        )
    elif not title:
        figure.update_layout(title={"text": heads[0]}, margin={"t": 48})
    for row, one in enumerate(chosen, 1):
        tiles = list(one.output[sample][:MOST])
        ratio = add_mosaic(
            figure,
            tiles,
            [f"map {number}" for number in range(len(tiles))],
            columns=min(len(tiles), 8) if len(tiles) <= 16 else 16,
            row=row if len(chosen) > 1 else None,
        )
    figure.update_layout(height=80 + (190 * len(chosen) if len(chosen) > 1 else int(min(800, 600 * ratio))))
    return figure
