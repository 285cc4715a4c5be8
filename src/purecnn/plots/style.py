"""Style of all charts.

All charts look alike: in colours that hold on white, on black and in grey, and in how each begins.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.escapes import visible
from purecnn.messages.extras import require_extra
from purecnn.plots.colors import SIGNED, css

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


#: Of lines and marks, of about the same contrast on white and on black; with them go dashes and symbols, so
#: that none is told by its colour alone.
COLORS = ("#2a7fc0", "#db7420", "#2f9e72", "#b455a0", "#96821e", "#6c70cf", "#c2504b", "#4f93a8", "#7d7d7d")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "triangle-down", "pentagon")
#: Between ink and paper, wherever the page is light or dark.
MIDDLE = "#8a9099"
#: From small to large: its lightness rises evenly, so that it also reads in grey and by the colour-blind.
#: Nuñez, Anderton and Renslow 2018, https://doi.org/10.1371/journal.pone.0199239
SCALE = "Cividis"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def graph_objects(purpose: str = "drawing a chart") -> Any:
    """Return the plotting library.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return require_extra("plotly.graph_objects", "report", purpose)


def new_figure(title: str = "", **layout: Any) -> Figure:
    """Return a figure without traces, styled as all are.

    Parameters
    ----------
    title : str
        Plain text.
    **layout
        What else `plotly.graph_objects.Layout` takes.
    """
    plotly = graph_objects()
    axis = {"gridcolor": "#e3e6ea", "zerolinecolor": "#c9ced5", "linecolor": "#c9ced5", "automargin": True}
    template = {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": "#2b3138"},
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "colorway": list(COLORS),
            "hoverlabel": {"align": "left", "font": {"family": FONT}},
            "xaxis": axis,
            "yaxis": axis,
        }
    }
    figure: Figure = plotly.Figure(layout={"template": template})
    figure.update_layout(
        title={
            **{"text": plain(title), "font": {"size": 16}, "pad": {"t": 14}},
            **{"x": 0.02, "xanchor": "left", "yref": "container", "y": 1, "yanchor": "top"},
        },
        # room for the title and, below it, the legend
        margin={"l": 10, "r": 10, "t": 72 if title else 14, "b": 10},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_layout(**layout)
    return figure


def give_room(figure: Figure, left: int = 70, below: int = 48) -> None:
    """Give the axes room of their own: the library's search for it may end in a warning at some widths."""
    figure.update_xaxes(automargin=False)
    figure.update_yaxes(automargin=False)
    figure.update_layout(margin={"l": left, "b": below})


def plain(text: object) -> str:
    """Return a text that is shown as it is, where the library would read tags in it.

    Examples
    --------
    >>> plain("<b>")
    '&lt;b&gt;'
    """
    return html.escape(visible(str(text), lines=True))


def short(texts: Sequence[object], most: int = 20) -> list[str]:
    """Return each text as `plain` does, cut where it is longer: room beside a chart is scarce.

    Examples
    --------
    >>> short(["ant", "a" * 30], 5)
    ['ant', 'aaaa…']
    """
    words = [str(text) for text in texts]
    return [plain(word if len(word) <= most else f"{word[: most - 1]}…") for word in words]


def style(number: int) -> tuple[str, str, str]:
    """Return the colour, dash and symbol of the line of this number: no two alike among the first 18."""
    return COLORS[number % len(COLORS)], DASHES[number % len(DASHES)], SYMBOLS[number % len(SYMBOLS)]


def mosaic(tiles: Sequence[Array], columns: int | None = None, gap: int = 1) -> tuple[Array, Array]:
    """Lay small pictures of one shape out in rows.

    Parameters
    ----------
    tiles : sequence of ndarray
        Each ``(height, width)``.
    columns : int, optional
        Pictures in a row; about twice as many as rows if left out.
    gap : int
        Pixels between them.

    Returns
    -------
    picture : ndarray
        Float, NaN between the tiles.
    corners : ndarray of int
        ``(tiles, 2)``: the row and column in which each begins.

    Examples
    --------
    >>> picture, corners = mosaic([np.zeros((2, 2)), np.ones((2, 2))])
    >>> picture
    array([[ 0.,  0., nan,  1.,  1.],
           [ 0.,  0., nan,  1.,  1.]])
    >>> corners.tolist()
    [[0, 0], [0, 3]]
    """
    height, width = tiles[0].shape
    columns = min(len(tiles), columns or max(1, round(np.sqrt(2 * len(tiles) * height / width))))
    rows = -(-len(tiles) // columns)
    picture = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    corners = np.array([divmod(number, columns) for number in range(len(tiles))]) * (
        height + gap,
        width + gap,
    )
    for tile, (row, column) in zip(tiles, corners, strict=True):
        picture[row : row + height, column : column + width] = tile
    return picture, corners


def add_mosaic(
    figure: Figure,
    tiles: Sequence[Array],
    names: Sequence[str],
    *,
    columns: int | None = None,
    reach: float | None = None,
    row: int | None = None,
) -> float:
    """Draw small pictures side by side, blue below zero and orange above, each named where the mouse is.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        To draw into.
    tiles : sequence of ndarray
        Each ``(height, width)``.
    names : sequence of str
        One for each.
    columns : int, optional
        Pictures in a row.
    reach : float, optional
        How far from zero the colours go to both sides; as far as any value if left out.
    row : int, optional
        Of a figure of several plots below each other.
    """
    plotly = graph_objects()
    picture, corners = mosaic(tiles, columns)
    height, width = tiles[0].shape
    words = np.full(picture.shape, "", object)
    for name, (top, left) in zip(short(names, 60), corners, strict=True):
        words[top : top + height, left : left + width] = name
    reach = max(float(np.nanmax(np.abs(picture))) if reach is None else reach, 1e-12)
    place = {} if row is None else {"row": row, "col": 1}
    figure.add_trace(
        plotly.Heatmap(
            z=picture.astype(np.float32),
            zmin=-reach,
            zmax=reach,
            colorscale=css(SIGNED),
            showscale=row is None,
            colorbar={"thickness": 12, "len": 0.8, "outlinewidth": 0},
            text=words,
            hoverongaps=False,
            hovertemplate="%{text}<br>%{z:.4g}<extra></extra>",
        ),
        **place,
    )
    number = "" if row in (None, 1) else str(row)
    figure.update_xaxes(visible=False, constrain="domain", **place)
    figure.update_yaxes(visible=False, scaleanchor=f"x{number}", autorange="reversed", **place)
    return float(picture.shape[0] / picture.shape[1])


def picture_of(sample: Array) -> Array:
    """Return a sample's picture, ``(height, width)`` or ``(height, width, 3)``, from 0 to 1.

    Parameters
    ----------
    sample : ndarray
        ``(channels, height, width)``, raw; bytes are divided by 255, other values stretched. Of other than 1
        or 3 channels the mean is shown.
    """
    values = sample.astype(np.float64)
    if sample.dtype == np.uint8:
        values /= 255
    else:
        low, high = values.min(), values.max()
        values = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return values.transpose(1, 2, 0) if len(values) == 3 else values.mean(axis=0)
