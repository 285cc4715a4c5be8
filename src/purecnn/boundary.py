"""A network with two inputs can be seen whole, as a surface above a plane, and this draws that surface."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from purecnn.arguments import is_integer, is_number, pair
from purecnn.callbacks import Callback, History
from purecnn.errors import ShapeError, require_extra
from purecnn.layer import Layer
from purecnn.lists import as_network
from purecnn.network import Network
from purecnn.samples import Targets, as_array, as_batch
from purecnn.scratch import Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Stages", "decision_boundary", "write_page"]

Limits = tuple[tuple[float, float], tuple[float, float]]

PURPOSE = "drawing a decision boundary"
#: From the lowest answer to the highest, by way of the threshold: blue, grey, orange, on white or on black.
COLORS = ((0.0, "#2166ac"), (0.3, "#67a9cf"), (0.5, "#c9c9c9"), (0.7, "#f0a860"), (1.0, "#d9660a"))
LINE = "#e0218a"
HINT = "Drag to turn, scroll or pinch to zoom, hover to read a value."


class Stages(Callback):
    """A network's answers on a grid over its two inputs, kept at several stages of its training.

    As a callback of `fit` it keeps the first stage before the training and one after each epoch in `at`;
    between two calls of `train`, `take` keeps one.

    Parameters
    ----------
    network : Network or list of Layer
        What is watched; it has two inputs.
    at : iterable of int, optional
        The epochs to keep, counted over all calls of `fit` and `train`; every one if left out.
    limits : ((float, float), (float, float))
        Where the grid begins and ends on the first and on the second input.
    resolution : int or (int, int)
        Points of the grid along the first and along the second input, at least 2.

    Attributes
    ----------
    epochs : list of int
        How many epochs the network had been trained for at each stage.
    answers : list of ndarray
        Its answers at each stage, ``(points on the second input, points on the first, outputs)``.
    first, second : ndarray
        Where the grid's points lie on the two inputs.

    Examples
    --------
    >>> from purecnn import Dense, Tanh, mse, mse_prime, train
    >>> network = [Dense(2, 3), Tanh(), Dense(3, 1)]
    >>> stages = Stages(network)
    >>> stages.take()
    >>> errors = train(network, mse, mse_prime, [[0, 1], [1, 0]], [[1], [0]], epochs=5, verbose=False)
    >>> stages.take()
    >>> stages.epochs, stages.answers[0].shape
    ([0, 5], (41, 41, 1))
    """

    def __init__(
        self,
        network: Network | Sequence[Layer],
        at: Iterable[int] | None = None,
        *,
        limits: Limits = ((0.0, 1.0), (0.0, 1.0)),
        resolution: int | tuple[int, int] = 41,
    ) -> None:
        self.network = as_network(network)
        self.at = None if at is None else frozenset(at)
        self.limits = check_limits(limits)
        columns, rows = pair("resolution", resolution, least=2)
        self.first: Array = np.linspace(*self.limits[0], columns)
        self.second: Array = np.linspace(*self.limits[1], rows)
        self.epochs: list[int] = []
        self.answers: list[Array] = []

    def take(self) -> None:
        """Keep what the network answers now; a second time at the same epoch replaces the first.

        Raises
        ------
        ShapeError
            If the network does not have two inputs.
        """
        if self.network.input_shape not in (None, (2,)):
            raise ShapeError(
                f"a decision boundary wants a network with inputs of shape (2,), "
                f"got {self.network.input_shape}"
            )
        grid = np.stack(np.meshgrid(self.first, self.second), axis=-1)
        answers = self.network.predict(grid.reshape(-1, 2)).reshape(*grid.shape[:2], -1)
        if self.epochs and self.epochs[-1] == self.network.epochs:
            self.epochs.pop()
            self.answers.pop()
        self.epochs.append(self.network.epochs)
        self.answers.append(answers)

    def begin(self, epochs: int, steps: int) -> None:
        """Keep what the network answers before it is trained."""
        if not self.epochs:
            self.take()

    def epoch(self, epoch: int, history: History) -> None:
        """Keep this epoch, if it is one of those wanted."""
        if self.at is None or self.network.epochs in self.at:
            self.take()


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
        Call its ``show``, or give it to `write_page`.

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
    plotly = require_extra("plotly.graph_objects", "report", PURPOSE)
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together: the samples and their answers; got one of them")
    samples = None if x is None else as_batch(as_array("x", x), (2,))[0]
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
    figure = plotly.Figure([surface])
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
        title={"text": title},
        margin={"l": 0, "r": 0, "t": 40, "b": 0},
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


def check_limits(limits: Any) -> Limits:
    """Return `limits` if they are two pairs of numbers, each in ascending order."""
    try:
        (a, b), (c, d) = limits
    except (TypeError, ValueError):
        a = b = c = d = None
    if not all(is_number(value) for value in (a, b, c, d)) or not (a < b and c < d):
        raise ValueError(f"limits must be two pairs (lowest, highest), one for each input, got {limits!r}")
    return (float(a), float(b)), (float(c), float(d))


def around(samples: Array | None) -> Limits:
    """Return limits a little wider than the samples, or from 0 to 1 if there are none."""
    if samples is None:
        return (0.0, 1.0), (0.0, 1.0)
    low, high = samples.min(axis=0).astype(float), samples.max(axis=0).astype(float)
    width = np.where(high > low, 0.15 * (high - low), 0.5)
    a, b = low - width, high + width
    return (float(a[0]), float(b[0])), (float(a[1]), float(b[1]))


def targets_of(y: Any, samples: int, outputs: int, output: int) -> Array:
    """Return what one output shall answer to each sample: its value, or whether the label is its own."""
    targets = Targets.check(y, samples, outputs)
    if targets.are_labels:
        return np.equal(targets.values, output % outputs).astype(np.float64)
    return targets.values[:, output].astype(np.float64)


#: The page around a figure: as wide as its window, and as dark as its reader's desktop.
PAGE = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --paper: #ffffff; --ink: #1f2328; --faint: #57606a; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #15181d; --ink: #e6e8eb; --faint: #a0a8b2; }} }}
html, body {{ height: 100%; margin: 0; }}
body {{ display: flex; height: 100dvh; flex-direction: column; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }}
header {{ padding: 1rem clamp(0.8rem, 3vw, 2rem) 0; }}
h1 {{ font-size: clamp(1.15rem, 4vw, 1.6rem); line-height: 1.25; margin: 0; }}
p {{ color: var(--faint); margin: 0.2rem 0 0; font-size: 0.92rem; }}
main {{ flex: 1; min-height: 24rem; width: 100%; max-width: 70rem; margin: 0 auto; }}
main > div {{ height: 100%; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{hint}</p>
<noscript><p>This figure is drawn by JavaScript, which is switched off here.</p></noscript>
</header>
<main aria-label="{title}">
{figure}
</main>
</body>
</html>
"""

#: Runs in the page, once the figure is drawn: colours for light or dark, room for a wide or narrow window.
SCRIPT = """
(function () {
  var figure = document.getElementById('{plot_id}');
  var scene = figure.layout.scene;
  var sliders = figure.layout.sliders || [], menus = figure.layout.updatemenus || [];
  var colors = COLORS_OF_PAGE;
  var dark = window.matchMedia('(prefers-color-scheme: dark)');
  var narrow = window.matchMedia('(max-width: 600px)');
  var eye = scene && scene.camera && scene.camera.eye;
  var starts = sliders.map(function (s) { return s.x; });
  var lengths = sliders.map(function (s) { return s.len; });
  function color() {
    var c = dark.matches ? colors.dark : colors.light, clear = 'rgba(0,0,0,0)';
    var change = {'font.color': c.ink, 'paper_bgcolor': clear, 'plot_bgcolor': clear,
      'modebar.bgcolor': clear, 'modebar.color': c.faint, 'modebar.activecolor': c.ink};
    if (scene) ['xaxis', 'yaxis', 'zaxis'].forEach(function (name) {
      var axis = 'scene.' + name + '.';
      change[axis + 'showbackground'] = true;
      change[axis + 'backgroundcolor'] = c.wall;
      change[axis + 'gridcolor'] = change[axis + 'zerolinecolor'] = change[axis + 'linecolor'] = c.line;
    });
    sliders.forEach(function (_, i) {
      var slider = 'sliders[' + i + '].';
      change[slider + 'bgcolor'] = c.wall;
      change[slider + 'activebgcolor'] = c.press;
      change[slider + 'bordercolor'] = change[slider + 'tickcolor'] = c.line;
    });
    menus.forEach(function (_, i) {
      change['updatemenus[' + i + '].bgcolor'] = c.wall;
      change['updatemenus[' + i + '].bordercolor'] = c.line;
    });
    window.Plotly.relayout(figure, change);
  }
  function fit() {
    var step = narrow.matches ? 1.45 : 1, change = {};
    if (eye) change['scene.camera.eye'] = {x: eye.x * step, y: eye.y * step, z: eye.z * step};
    sliders.forEach(function (_, i) {
      change['sliders[' + i + '].x'] = narrow.matches ? 0.26 : starts[i];
      change['sliders[' + i + '].len'] = narrow.matches ? 0.66 : lengths[i];
    });
    window.Plotly.relayout(figure, change);
    figure.data.forEach(function (trace, i) {
      if (trace.type === 'surface') window.Plotly.restyle(figure, {showscale: !narrow.matches}, [i]);
    });
    color();
  }
  fit();
  dark.addEventListener('change', color);
  narrow.addEventListener('change', fit);
})();
"""

COLORS_OF_PAGE = {
    "light": {"ink": "#1f2328", "faint": "#8b949e", "wall": "#f3f5f7", "line": "#c4cad1", "press": "#dfe4ea"},
    "dark": {"ink": "#e6e8eb", "faint": "#7d8590", "wall": "#1d2229", "line": "#4a525d", "press": "#39424e"},
}


def write_page(figure: Figure, path: str | PathLike[str], *, lang: str = "en") -> Path:
    """Write a figure as one HTML file that opens offline, with all that draws it inside (5 MB).

    The page fills the window, narrow or wide, and is dark where its reader's desktop is. The figure's title
    becomes the page's.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        What to show.
    path : str or os.PathLike
        The file, such as ``"xor.html"``; an existing one is overwritten.
    lang : str
        The language of the figure's words, as HTML names it.

    Returns
    -------
    pathlib.Path
        The file's absolute path.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    OSError
        If the file can't be written.
    """
    plotly = require_extra("plotly.io", "report", "writing a figure's page")
    shown = deepcopy(figure)
    title = html.escape(re.sub(r"<[^>]*>", " ", shown.layout.title.text or "Figure").strip())
    shown.update_layout(title={"text": ""}, margin={"t": 30}, autosize=True)
    drawn = plotly.to_html(
        shown,
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        auto_play=False,
        default_height="100%",
        config={"responsive": True, "displaylogo": False},
        post_script=SCRIPT.replace("COLORS_OF_PAGE", json.dumps(COLORS_OF_PAGE)),
    )
    page = PAGE.format(lang=html.escape(lang), title=title, hint=HINT, figure=drawn)
    file = Path(path).absolute()
    file.write_text(page, encoding="utf-8")
    return file
