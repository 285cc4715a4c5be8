"""Live figures that are charts: a line and a parabola through readings, and sizes from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.activations.basic import Sigmoid, Tanh
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Choice, Grid, Slider, figure
from purecnn.playground.figures.svg import BLUE, GREEN, INK, ORANGE, Picture, Point, written

POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Ticks = Sequence[tuple[float, str]]


def axes(
    paper: Picture,
    box: tuple[float, float, float, float],
    across: Point,
    up: Point,
    ticks: tuple[Ticks, Ticks] = ((), ()),
) -> Callable[[float, float], Point]:
    """Draw two axes at the left and the bottom of a box; return where a point of theirs lies.

    `ticks` are pairs of a value and its words, of either axis.
    """
    left, top, width, height = box

    def place(x: float, y: float) -> Point:
        return (
            left + (x - across[0]) / (across[1] - across[0]) * width,
            top + height - (y - up[0]) / (up[1] - up[0]) * height,
        )

    paper.line((left, top), (left, top + height), (left + width, top + height), width=1)
    for value, words in ticks[0]:
        paper.text(place(value, up[0])[0], top + height + 14, words, size=12)
    for value, words in ticks[1]:
        paper.text(left - 7, place(across[0], value)[1], words, size=12, anchor="end")
    return place


def power(exponent: int) -> str:
    """Return a power of ten as a reader would write it."""
    return f"10{str(exponent).translate(POWERS)}"


@figure(
    readings=Grid(
        "Readings at −1, 0 and 1; the truth is −1, 0 and 1".replace("−", "\N{MINUS SIGN}"),
        ((-1, 1, 1),),
        -1.5,
        2.5,
        0.25,
    )
)
def overfitting(readings: Array) -> Picture:
    """Three readings, the line near them and the parabola through them."""
    x, y = np.array([-1.0, 0, 1]), readings[0]
    paper, told = Picture(470, 262), []
    ticks = [(value, written(value)) for value in (-1, 0, 1, 2)]
    place = axes(paper, (40, 12, 300, 220), (-1.5, 2.4), (-1.6, 2.6), (ticks, ticks))
    paper.line(place(-1.5, -1.5), place(2.4, 2.4), width=1, dash="3 4")
    rows = [place(0, 2)[1] + 16]  # of the words that are there
    for degree, color, name in ((1, BLUE, "line"), (2, ORANGE, "parabola")):
        found = np.polyfit(x, y, degree)
        along = np.linspace(-1.5, 2.4, 80)
        seen = [(a, b) for a, b in zip(along, np.polyval(found, along), strict=True) if -1.6 < b < 2.6]
        paper.line(*(place(*point) for point in seen), color=color, width=2)
        says = float(np.polyval(found, 2))
        row = place(0, min(max(says, -1.6), 2.6))[1]
        while any(abs(row - other) < 16 for other in rows):
            row += 4
        rows.append(row)
        if -1.6 < says < 2.6:
            paper.circle(*place(2, says), 5, color, fill="none", width=2)
        paper.text(352, row, f"{name}: {written(says)} at 2", color, anchor="start", size=13)
        told.append(f"the {name} says {written(says)}")
    paper.text(352, place(0, 2)[1] + 16, "truth: 2", anchor="start", size=13)
    for point in zip(x, y, strict=True):
        paper.circle(*place(*point), 5, INK, fill=INK)
    paper.says = f"At 2, where the truth is 2, {' and '.join(told)}."
    return paper


#: The activations of which the layers may be, and their layers.
BENDS: dict[str, Callable[[], list[Layer]]] = {
    "ReLU": lambda: [ReLU()],
    "Tanh": lambda: [Tanh()],
    "Sigmoid": lambda: [Sigmoid()],
    "none": list,
}


@figure(
    activation=Choice("Activation", "ReLU", tuple(BENDS)),
    own=Slider("Green: times He's weights", 1, 0.5, 2, 0.05),
)
def initialization(activation: str, own: float) -> Picture:
    """The size of what leaves each of thirty layers, for four sizes of weights."""
    paper, told = Picture(470, 270), []
    across = [(layer, str(layer)) for layer in (1, 10, 20, 30)]
    up = [(exponent, power(exponent)) for exponent in (-9, -6, -3, 0, 3, 6, 9)]
    place = axes(paper, (48, 10, 320, 222), (1, 30), (-10, 10), (across, up))
    x = np.random.default_rng(1).standard_normal((50, 100))
    rows: list[float] = []
    for scale, color, name in (
        (2.0, ORANGE, "twice He's"),
        (own, GREEN, "He's" if own == 1 else f"{written(own)} times He's"),
        (0.5**0.5, BLUE, "Glorot's"),
        (0.5, INK, "half of He's"),
    ):
        bend = BENDS[activation]
        layers = [layer for _ in range(30) for layer in (Dense(100, initialization="he"), *bend())]
        network = Network(layers, input_shape=100, dtype="float64")
        each = 1 + len(bend())
        for layer in network.layers[::each]:
            layer.parameters["weights"] *= scale
        sizes = [np.sqrt(np.mean(layer.output**2)) for layer in trace(network, x)[each - 1 :: each]]
        points = [(number, float(np.log10(size))) for number, size in enumerate(sizes, 1)]
        seen = [place(*point) for point in points if abs(point[1]) <= 10]
        paper.line(*seen, color=color, width=2)
        row = seen[-1][1]
        while any(abs(row - other) < 14 for other in rows):
            row += 2
        rows.append(row)
        paper.text(374, row, name, color, anchor="start", size=13)
        told.append(f"{name} {sizes[-1]:.2g}")
    paper.text(205, 262, "layer")
    paper.says = f"What leaves the thirtieth layer has the size: {', '.join(told)}."
    return paper
