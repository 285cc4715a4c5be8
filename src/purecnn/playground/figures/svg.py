"""Pictures in SVG of a few shapes, small files, in colours for light and dark pages."""

from __future__ import annotations

import itertools
from html import escape
from typing import Any

import numpy as np

from purecnn.backend.types import Array

Point = tuple[float, float]

#: Each is readable on white and on black, and between its cells a grid has its own ground.
INK, BLUE, ORANGE, GREEN = "#787878", "#2f7fc4", "#d2691e", "#3c9350"
PAPER = (247, 248, 250)


def number(value: float) -> str:
    """Return a coordinate as short text."""
    return f"{round(float(value), 1):g}"


def written(value: Any) -> str:
    """Return a value as a reader would write it, with a true minus sign."""
    return f"{round(float(value), 3) + 0:g}".replace("-", "\N{MINUS SIGN}")


def shade(value: float, most: float) -> str:
    """Return the colour of a value from -most, blue, by 0, near white, to most, orange, as on the page."""
    full = (210, 105, 30) if value > 0 else (47, 127, 196)
    share = 0.85 * min(abs(value) / most, 1) if most else 0
    return "#" + "".join(f"{round(p + share * (f - p)):02x}" for p, f in zip(PAPER, full, strict=True))


def element(tag: str, attributes: dict[str, str]) -> str:
    """Return how an element begins."""
    return f"<{tag}" + "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())


class Picture:
    """An SVG picture, `width` by `height` pixels; y grows downwards.

    `says` tells in words what it shows; a click on one of its `spots` chooses something, where it is live.

    Examples
    --------
    >>> paper = Picture(20, 10)
    >>> paper.line((0, 5), (20, 5))
    >>> "polyline" in str(paper)
    True
    """

    def __init__(self, width: float, height: float, says: str = "") -> None:
        self.says = says
        self.spots: list[dict[str, Any]] = []
        size = {"width": number(width), "height": number(height), "viewBox": f"0 0 {width} {height}"}
        font = {"font-family": "system-ui, sans-serif", "font-size": "14"}
        self.begin = element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **font})
        self.elements: list[str] = []

    def add(self, tag: str, words: str = "", **attributes: Any) -> None:
        """Add an element, whose attributes have _ for -, with words in it."""
        named = {name.replace("_", "-"): value for name, value in attributes.items() if value is not None}
        texts = {name: value if isinstance(value, str) else number(value) for name, value in named.items()}
        begin = element(tag, texts)
        self.elements.append(f"{begin}>{escape(words)}</{tag}>" if words else f"{begin} />")

    def text(
        self,
        x: float,
        y: float,
        words: str,
        color: str = INK,
        size: float | None = None,
        anchor: str = "middle",
        bold: bool = False,
    ) -> None:
        """Write words, y being their middle."""
        weight = "600" if bold else None
        place: dict[str, Any] = {"x": x, "y": y + (size or 14) * 0.35, "text_anchor": anchor}
        self.add("text", words, **place, fill=color, font_size=size, font_weight=weight)

    def line(self, *points: Point, color: str = INK, width: float = 1.5, dash: str | None = None) -> None:
        """Draw a line through points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add(
            "polyline", points=path, fill="none", stroke=color, stroke_width=width, stroke_dasharray=dash
        )

    def area(self, *points: Point, color: str) -> None:
        """Tint what lies between points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add("polygon", points=path, fill=color, fill_opacity=0.2)

    def arrow(self, start: Point, end: Point, color: str = INK, width: float = 1.5) -> None:
        """Draw an arrow."""
        first, last = np.array(start, float), np.array(end, float)
        along = (last - first) / np.linalg.norm(last - first)
        across = np.array([-along[1], along[0]])
        neck = last - 6 * along
        self.line(start, (neck[0], neck[1]), color=color, width=width)
        corners = (last, last - 9 * along + 4 * across, last - 9 * along - 4 * across)
        self.add("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in corners), fill=color)

    def circle(
        self, x: float, y: float, radius: float, color: str = INK, fill: str = "none", width: float = 1.5
    ) -> None:
        """Draw a circle."""
        self.add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=color, stroke_width=width)

    def ellipse(self, x: float, y: float, across: float, down: float, color: str = INK) -> None:
        """Draw an ellipse by its half axes."""
        self.add("ellipse", cx=x, cy=y, rx=across, ry=down, fill="none", stroke=color, stroke_width=0.75)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        color: str = INK,
        fill: str = "none",
        thick: float = 1.5,
        round: float = 0,
    ) -> None:
        """Draw a rectangle."""
        place: dict[str, Any] = {"x": x, "y": y, "width": width, "height": height, "rx": round or None}
        self.add("rect", **place, fill=fill, stroke=color, stroke_width=thick)

    def spot(self, x: float, y: float, width: float, height: float, **chosen: float) -> None:
        """Let a click on a rectangle choose values, by the names of the figure's controls."""
        self.spots.append({"box": [x, y, width, height], "chosen": chosen})

    def grid(
        self,
        x: float,
        y: float,
        values: Array,
        cell: float,
        most: float = 0,
        size: float | None = None,
        tall: float = 0,
    ) -> None:
        """Draw an array as cells, square if not said how `tall`, coloured and with their numbers."""
        most, tall = most or np.abs(values).max() or 1, tall or cell
        for (row, column), value in np.ndenumerate(values):
            left, top = x + column * cell, y + row * tall
            self.box(left, top, cell, tall, thick=0.75, fill=shade(value, most))
            self.text(left + cell / 2, top + tall / 2, written(value), "#1c1c1c", size)

    def image(self, x: float, y: float, values: Array, cell: float, most: float = 0) -> None:
        """Draw an array as small pixels without lines, as few shapes: one for each of eight shades."""
        most = most or np.abs(values).max() or 1
        height, width = values.shape
        self.add("rect", x=x, y=y, width=width * cell, height=height * cell, fill=shade(0, 1))
        levels = np.rint(4 * np.asarray(values) / most).astype(int)
        for level in (level for level in range(-4, 5) if level):
            runs = []
            for row in range(height):
                here = (levels[row] == level).tolist()
                for is_level, group in itertools.groupby(range(width), here.__getitem__):
                    columns = list(group)
                    if is_level:
                        left, top = number(x + columns[0] * cell), number(y + row * cell)
                        runs.append(f"M{left} {top}h{number(len(columns) * cell)}v{number(cell)}H{left}z")
            if runs:
                self.add("path", d="".join(runs), fill=shade(level, 4))
        self.box(x, y, width * cell, height * cell, thick=0.75)

    def __str__(self) -> str:
        return "\n ".join([f"{self.begin}>", *self.elements]) + "\n</svg>\n"
