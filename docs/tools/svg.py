"""A few shapes of SVG, as Python's own XML writes them: small files, in colours for light and dark pages."""

import itertools
from xml.etree import ElementTree

import numpy as np

#: Each is readable on white and on black, and between its cells a grid has its own ground.
INK, BLUE, ORANGE, GREEN = "#787878", "#2f7fc4", "#d2691e", "#3c9350"
PAPER = (247, 248, 250)


def number(value):
    """Return a coordinate as short text."""
    return f"{round(float(value), 1):g}"


def written(value):
    """Return a value as a reader would write it, with a true minus sign."""
    return f"{round(float(value), 3) + 0:g}".replace("-", "\N{MINUS SIGN}")


def shade(value, most):
    """Return the colour of a value from -most, orange, by 0, near white, to most, blue."""
    full = (47, 127, 196) if value > 0 else (210, 105, 30)
    share = 0.85 * min(abs(value) / most, 1) if most else 0
    return "#" + "".join(f"{round(p + share * (f - p)):02x}" for p, f in zip(PAPER, full, strict=True))


class Picture:
    """An SVG picture, `width` by `height` pixels; y grows downwards."""

    def __init__(self, width, height):
        size = {"width": number(width), "height": number(height), "viewBox": f"0 0 {width} {height}"}
        font = {"font-family": "system-ui, sans-serif", "font-size": "14"}
        self.root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", **size, **font)

    def add(self, tag, **attributes):
        """Add an element, whose names have _ for -, and return it."""
        named = {name.replace("_", "-"): value for name, value in attributes.items() if value is not None}
        texts = {name: value if isinstance(value, str) else number(value) for name, value in named.items()}
        return ElementTree.SubElement(self.root, tag, texts)

    def text(self, x, y, words, color=INK, size=None, anchor="middle", bold=False):
        """Write words, y being their middle."""
        weight = "600" if bold else None
        place = {"x": x, "y": y + (size or 14) * 0.35, "text_anchor": anchor}
        self.add("text", **place, fill=color, font_size=size, font_weight=weight).text = words

    def line(self, *points, color=INK, width=1.5, dash=None):
        """Draw a line through points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add(
            "polyline", points=path, fill="none", stroke=color, stroke_width=width, stroke_dasharray=dash
        )

    def arrow(self, start, end, color=INK, width=1.5):
        """Draw an arrow."""
        start, end = np.array(start, float), np.array(end, float)
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]])
        self.line(start, end - 6 * along, color=color, width=width)
        corners = (end, end - 9 * along + 4 * across, end - 9 * along - 4 * across)
        self.add("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in corners), fill=color)

    def circle(self, x, y, radius, color=INK, fill="none", width=1.5):
        """Draw a circle."""
        self.add("circle", cx=x, cy=y, r=radius, fill=fill, stroke=color, stroke_width=width)

    def ellipse(self, x, y, across, down, color=INK):
        """Draw an ellipse by its half axes."""
        self.add("ellipse", cx=x, cy=y, rx=across, ry=down, fill="none", stroke=color, stroke_width=0.75)

    def box(self, x, y, width, height, color=INK, fill="none", thick=1.5, round=0):
        """Draw a rectangle."""
        place = {"x": x, "y": y, "width": width, "height": height, "rx": round or None}
        self.add("rect", **place, fill=fill, stroke=color, stroke_width=thick)

    def grid(self, x, y, values, cell, most=None, size=None):
        """Draw an array as cells, coloured and with their numbers."""
        most = most or np.abs(values).max() or 1
        for (row, column), value in np.ndenumerate(values):
            left, top = x + column * cell, y + row * cell
            self.box(left, top, cell, cell, thick=0.75, fill=shade(value, most))
            self.text(left + cell / 2, top + cell / 2, written(value), "#1c1c1c", size)

    def image(self, x, y, values, cell, most=None):
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

    def __str__(self):
        ElementTree.indent(self.root, " ")
        return ElementTree.tostring(self.root, encoding="unicode") + "\n"
