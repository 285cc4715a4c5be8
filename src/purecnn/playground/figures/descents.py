"""Live figures of the way down: a parabola at several rates, and optimizers in a long valley."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from purecnn.backend.types import Array
from purecnn.optimizers import adaptive, sgd
from purecnn.optimizers.base import Optimizer
from purecnn.playground.figures.figure import Choice, Slider, figure
from purecnn.playground.figures.svg import BLUE, INK, ORANGE, Picture, Point, written


@figure(
    left=Slider("Left: learning rate", 0.02, 0.01, 0.3, 0.01),
    middle=Slider("Middle: learning rate", 0.1, 0.01, 0.3, 0.01),
    right=Slider("Right: learning rate", 0.24, 0.01, 0.3, 0.01),
    start=Slider("Weight at the start", 3, 2.9, 7.1),
    steps=Slider("Steps", 6, 1, 20, 1),
)
def descent(left: float, middle: float, right: float, start: float, steps: int) -> Picture:
    """Gradient descent on a parabola at three rates; a path ends where it leaves the picture."""
    ends = []
    paper = Picture(470, 215)
    for panel, rate in enumerate((left, middle, right)):
        weight, path = np.array([start]), []
        optimizer = sgd.SGD(rate)
        for _ in range(steps + 1):
            path.append((float(weight[0]), float((2 * weight[0] - 10) ** 2)))
            optimizer.step(weight, 2 * (2 * weight - 10) * 2)
        corner = 8 + 156 * panel

        def place(w: float, loss: float, corner: float = corner) -> Point:
            return corner + (w - 2.8) / 4.4 * 146, 172 - loss / 20 * 165

        paper.line(*(place(w, (2 * w - 10) ** 2) for w in np.linspace(2.8, 7.2, 45)), color=INK, width=1)
        outside = [number for number, (w, _) in enumerate(path) if not 2.8 <= w <= 7.2]
        seen = path[: outside[0]] if outside else path
        paper.line(*(place(*point) for point in seen), color=ORANGE)
        for point in seen:
            paper.circle(*place(*point), 3.5, ORANGE, fill=ORANGE)
        paper.line((corner, 172), (corner + 146, 172), width=1)
        for w in (3, 5, 7):
            paper.text(place(w, 0)[0], 184, written(w), size=12)
        paper.text(corner + 73, 204, f"rate {written(rate)}")
        ends.append("away" if outside else written(path[-1][0]))
    paper.says = f"The weight, which should be 5, at the end: {', '.join(ends)}"
    return paper


#: The optimizers that may be chosen, each made with a rate.
CHOSEN: dict[str, Callable[[float], Optimizer]] = {
    "SGD": sgd.SGD,
    "momentum 0.5": lambda rate: sgd.SGD(rate, momentum=0.5),
    "momentum 0.9": lambda rate: sgd.SGD(rate, momentum=0.9),
    "Nesterov 0.9": lambda rate: sgd.SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": adaptive.Adagrad,
    "RMSprop": adaptive.RMSprop,
    "Adam": adaptive.Adam,
}


def valley(optimizer: Optimizer, start: Point, steps: int) -> Array:
    """Return a path down L = (x^2 + 25 y^2) / 2, of shape ``(steps + 1, 2)``."""
    point = np.array(start, float)
    path = [point.copy()]
    for _ in range(steps):
        optimizer.step(point, np.array([1, 25]) * point)
        path.append(point.copy())
    return np.array(path)


@figure(
    first=Choice("Above", "SGD", tuple(CHOSEN)),
    first_rate=Slider("Above: learning rate", 0.07, 0.01, 1, 0.01),
    second=Choice("In the middle", "momentum 0.5", tuple(CHOSEN)),
    second_rate=Slider("In the middle: learning rate", 0.07, 0.01, 1, 0.01),
    third=Choice("Below", "Adam", tuple(CHOSEN)),
    third_rate=Slider("Below: learning rate", 0.5, 0.01, 1, 0.01),
    x=Slider("Start: x", 10, 1, 10),
    y=Slider("Start: y", 1, -1.4, 1.4),
    steps=Slider("Steps", 20, 1, 100, 1),
)
def optimizers(
    first: str,
    first_rate: float,
    second: str,
    second_rate: float,
    third: str,
    third_rate: float,
    x: float,
    y: float,
    steps: int,
) -> Picture:
    """The paths of three optimizers down a long valley; a path ends where it leaves the picture."""
    paper, ends = Picture(470, 396), []
    for panel, (name, rate) in enumerate(((first, first_rate), (second, second_rate), (third, third_rate))):
        top = 64 + 132 * panel

        def place(x: float, y: float, top: float = top) -> Point:
            return 70 + 38 * x, top + 38 * y

        for height in (0.5, 4, 16):
            across = np.sqrt(2 * height)
            if across < 2:
                paper.ellipse(*place(0, 0), 38 * across, 38 * across / 5)
                continue
            angles = np.linspace(-1, 1, 61) * np.arccos(max(-1, -1.7 / across))
            curve = np.stack([across * np.cos(angles), across / 5 * np.sin(angles)], axis=1)
            paper.line(*(place(*point) for point in curve if abs(point[1]) < 1.55), width=0.75)
        path = valley(CHOSEN[name](rate), (x, y), steps)
        outside = np.flatnonzero((np.abs(path[:, 1]) > 1.6) | (path[:, 0] < -1.8) | (path[:, 0] > 10.4))
        seen = path[: outside[0]] if len(outside) else path
        paper.line(*(place(*point) for point in seen), color=ORANGE)
        for point in seen:
            paper.circle(*place(*point), 2.5, ORANGE, fill=ORANGE)
        paper.circle(*place(0, 0), 3.5, BLUE, fill=BLUE)
        left = written(float((path[-1] ** 2 * [1, 25]).sum() / 2))
        paper.text(462, top + 52, f"{name}, rate {written(rate)}: {left} left", anchor="end")
        ends.append(f"{name} {left}")
    paper.says = f"The loss that is left: {', '.join(ends)}"
    return paper
