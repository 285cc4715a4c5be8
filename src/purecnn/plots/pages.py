"""HTML pages for figures, which open offline.

A figure is for whoever has a browser: this writes it into pages that open offline, wide or narrow.
"""

from __future__ import annotations

import html
import json
import re
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from purecnn.backend.checks import file_name
from purecnn.backend.files import write_whole
from purecnn.messages.extras import require_extra

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


ASSETS = Path(__file__).parent / "assets"
#: The file that pages of one folder may share.
SHARED = "plotly.min.js"
#: How to look at a figure in space, and at another.
TURN, HOVER = "Drag to turn, scroll or pinch to zoom, hover to read a value.", "Hover to read a value."


def write_page(
    figure: Figure,
    path: str | PathLike[str],
    *,
    lang: str = "en",
    hint: str | None = None,
    share: bool = False,
) -> Path:
    """Write a figure as one HTML file that opens offline, with all that draws it inside (5 MB).

    The page fills the window, narrow or wide, and is dark where its reader's desktop is; a figure that is
    higher than the window keeps its height. The figure's title becomes the page's.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        What to show.
    path : str or os.PathLike
        The file, such as ``"xor.html"``; an existing one is overwritten.
    lang : str
        The language of the figure's words, as HTML names it.
    hint : str, optional
        Stands below the title; how to look at the figure if left out.
    share : bool
        Whether what draws the figure lies in a file of its own beside the page, ``plotly.min.js``, so that
        several pages need it once.

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
    shown = deepcopy(figure)
    title = html.escape(html.unescape(re.sub(r"<[^>]*>", " ", shown.layout.title.text or "Figure")).strip())
    tall = f' style="min-height:{int(shown.layout.height)}px"' if shown.layout.height else ""
    # words above its parts keep their room, the title needs none
    top = (shown.layout.margin.t or 30) if shown.layout.annotations else 30
    shown.update_layout(title={"text": ""}, margin={"t": top}, height=None)
    if hint is None:
        hint = TURN if any(hasattr(trace, "scene") for trace in shown.data) else HOVER
    file = Path(file_name(path)).absolute()
    script = plotly_script()
    if share:
        write_whole(file.parent / SHARED, [script.encode()])
    body = (
        f"<header>\n<h1>{title}</h1>\n<p>{html.escape(hint)}</p>\n{NOSCRIPT}\n</header>\n"
        f'<main aria-label="{title}"{tall}>\n{figure_block(shown, "figure", title)}\n</main>'
    )
    write_whole(file, [page(title, body, asset("figure.css"), None if share else script, lang)])
    return file


NOSCRIPT = "<noscript><p>What is drawn here is drawn by JavaScript, which is switched off.</p></noscript>"


def plotly_script() -> str:
    """Return the program that draws figures in a browser.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    """
    offline = require_extra("plotly.offline", "report", "writing a page")
    return str(offline.get_plotlyjs())


def asset(name: str) -> str:
    """Return the text of a file that goes into pages."""
    return (ASSETS / name).read_text(encoding="utf-8")


def page(title: str, body: str, style: str, script: str | None, lang: str = "en") -> bytes:
    """Return a whole page, as it is written; what is no text in it is escaped.

    Parameters
    ----------
    title, body, style : str
        HTML and CSS.
    script : str or None
        The plotting library, None for the file `SHARED` beside the page, empty where nothing is drawn.
    lang : str
        The language of the words.
    """
    library = f'<script src="{SHARED}"></script>' if script is None else f"<script>{script}</script>"
    draw = "" if script == "" else f"{library}\n<script>{asset('page.js')}</script>\n"
    whole = (
        f'<!DOCTYPE html>\n<html lang="{html.escape(lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{asset('colors.css')}{style}</style>\n</head>\n"
        f"<body>\n{body}\n{draw}</body>\n</html>\n"
    )
    return whole.encode("utf-8", "backslashreplace")


def figure_block(figure: Figure, name: str, label: str) -> str:
    """Return the place of a figure in a page, and its data, which the page's script draws.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Its height becomes that of its place; where it has none, the place's holds.
    name : str
        Of the place, an identifier in the page.
    label : str
        What it shows, for whoever can't see it; HTML already.
    """
    data: dict[str, Any] = json.loads(figure.to_json())
    data["layout"].pop("template", None)  # the page's own, light or dark
    height = data["layout"].pop("height", None)
    style = f' style="height:{int(height)}px"' if height else ""
    # no text in the data can end the element that holds it
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="plot" id="{name}" role="img" aria-label="{label}"{style}></div>\n'
        f'<script type="application/json" data-figure="{name}">{text}</script>'
    )
