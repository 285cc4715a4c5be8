"""Parts of a report: charts, tables, pictures, bars.

A report is made of sections, and these of a few kinds of things: charts, tables, pictures, bars.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from purecnn.backend.html import html_table
from purecnn.backend.types import Array
from purecnn.escapes import visible
from purecnn.formats.png_writer import address
from purecnn.plots.colors import SIGNED, colored
from purecnn.plots.pages import figure_block

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    name : str
        Its identifier in the page.
    title : str
        Plain text.
    lead : str
        One or two sentences on what it shows, plain text.
    body : str
        HTML; empty where there is nothing to show.
    """

    name: str
    title: str
    lead: str
    body: str = ""

    def html(self) -> str:
        """Return the section as HTML."""
        empty = "" if self.body else ' class="empty"'
        return (
            f'<section id="{self.name}" aria-labelledby="{self.name}-title"{empty}>\n'
            f'<h2 id="{self.name}-title">{text(self.title)}</h2>\n<p class="lead">{text(self.lead)}</p>\n'
            f"{self.body}\n</section>"
        )


def text(words: object) -> str:
    """Return plain text as HTML, harmless whatever it is."""
    return html.escape(visible(str(words), lines=True))


def chart(figure: Figure, name: str, label: str, kind: str = "") -> str:
    """Return a chart: `label`, plain text, says what it shows; `kind` is "square" for one as high as wide."""
    if kind:
        figure.update_layout(height=None)
    block = figure_block(figure, name, text(label))
    return f'<div class="chart {kind}">{block}</div>'


def image(picture: Array, alt: str = "", width: int | None = None) -> str:
    """Return a small picture, values from 0 to 1, each of its pixels sharp.

    Parameters
    ----------
    picture : ndarray
        ``(height, width)`` or with channels behind.
    alt : str
        What it shows; empty where a text beside it says so.
    width : int, optional
        In pixels of the page.
    """
    size = "" if width is None else f' style="width:{width}px"'
    return f'<img src="{address(picture)}" alt="{text(alt)}"{size}>'


def tiles(
    values: Sequence[Array],
    label: str,
    *,
    reach: float | None = None,
    width: int = 64,
    apart: bool = False,
) -> str:
    """Return pictures in rows that break where the window ends: blue below zero, orange above.

    Parameters
    ----------
    values : sequence of ndarray
        Each ``(height, width)`` of any values, or ``(height, width, 3)`` of colours from 0 to 1.
    label : str
        What they show, plain text.
    reach : float, optional
        How far from zero the colours go to both sides; as far as any value if left out.
    width : int
        Of each, in pixels of the page.
    apart : bool
        Whether they stand further apart, as those do that are made of several.
    """
    if reach is None:
        reach = max(float(np.nanmax(np.abs(value))) for value in values) or 1.0
    shown = [value if value.ndim == 3 else colored(value, -reach, reach, SIGNED) for value in values]
    pictures = "".join(image(picture, width=width) for picture in shown)
    kind = "tiles apart" if apart else "tiles"
    return f'<div class="{kind}" role="img" aria-label="{text(label)}">{pictures}</div>'


def bar(share: float, kind: str = "") -> str:
    """Return a bar that is filled so far."""
    filled = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="bar {kind}" aria-hidden="true"><i style="width:{filled:.1f}%"></i></span>'


def table(head: Sequence[object], rows: Sequence[Sequence[object]], *, left: int = 1, totals: int = 0) -> str:
    """Return a table that scrolls by itself where the window is narrow."""
    inner = html_table(head, rows, left=left, totals=totals)
    return f'<div class="table" tabindex="0" role="region" aria-label="{text(head[0])}: table">{inner}</div>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and what they stand for, below each other."""
    lines = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="facts">{lines}</dl>'


def numbers(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a few numbers that matter most, large."""
    lines = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="numbers">{lines}</dl>'


def document(eyebrow: str, title: str, subtitle: str, top: str, sections: Sequence[Section]) -> str:
    """Return a report's body: head, contents, sections.

    Parameters
    ----------
    eyebrow, title, subtitle : str
        Plain text.
    top : str
        HTML, below these.
    sections : sequence of Section
        In order.
    """
    links = "\n".join(f'<li><a href="#{one.name}">{text(one.title)}</a></li>' for one in sections)
    return (
        '<a class="skip" href="#content">Skip to the content</a>\n<header class="top">\n'
        f'<p class="eyebrow">{text(eyebrow)}</p>\n<h1>{text(title)}</h1>\n'
        f'<p class="subtitle">{text(subtitle)}</p>\n{top}\n'
        "<noscript><p>The charts are drawn by JavaScript, which is switched off here; tables and pictures "
        "are all there.</p></noscript>\n</header>\n"
        f'<div class="columns">\n<nav aria-label="Contents"><h2>Contents</h2><ol>\n{links}\n</ol></nav>\n'
        f'<main id="content" tabindex="-1">\n'
        + "\n".join(one.html() for one in sections)
        + "\n</main>\n</div>"
    )
