"""Live figures of the loss: softmax with the cross-entropy behind it, and the cross-entropy by itself."""

from __future__ import annotations

import math

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.activations.basic import Softmax
from purecnn.losses.classification import categorical_cross_entropy
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Grid, Slider, figure
from purecnn.playground.figures.svg import BLUE, INK, ORANGE, Picture, Point, written


@figure(
    first=Slider("Score of class 0", 0, -4, 4, 0.001),
    second=Slider("Score of class 1", math.log(2), -4, 4, 0.001),
    third=Slider("Score of class 2", math.log(5), -4, 4, 0.001),
    right=Slider("Right class", 1, 0, 2, 1),
)
def softmax(first: float, second: float, third: float, right: int) -> Picture:
    """Three scores, their exponentials, probabilities and slopes, and the loss."""
    scores = np.array([[first, second, third]])
    network = Network([Softmax()], input_shape=(3,), dtype="float64")
    found = trace(network, scores, np.eye(3)[[right]], loss="categorical_cross_entropy")
    slopes = np.asarray(found[0].input_gradient)[0]
    p, loss = found.output[0], f"loss \N{MINUS SIGN}ln {found.output[0, right]:.3g} = {written(found.loss)}"
    paper = Picture(470, 196, f"Probabilities {', '.join(map(written, p))}; {loss}")
    for x, words in (
        (26, "class"),
        (84, "score z"),
        (148, "exp(z)"),
        (248, "probability"),
        (400, "slope by z"),
    ):
        paper.text(x, 14, words, size=13)
    for row in range(3):
        y = 46 + 38 * row
        paper.text(26, y, f"{row}", BLUE if row == right else INK, bold=row == right)
        paper.text(84, y, written(scores[0, row]))
        paper.text(148, y, written(float(np.exp(scores[0, row]))))
        paper.box(196, y - 9, max(100 * p[row], 0.5), 18, BLUE, fill=BLUE, thick=0)
        paper.text(202 + 100 * p[row], y, written(p[row]), anchor="start")
        paper.line((400, y - 15), (400, y + 15), width=1)
        paper.box(
            400 + min(0, 40 * slopes[row]), y - 9, abs(40 * slopes[row]), 18, ORANGE, fill=ORANGE, thick=0
        )
        paper.text(
            400 + (-8 if slopes[row] > 0 else 8),
            y,
            written(slopes[row]),
            anchor="end" if slopes[row] > 0 else "start",
        )
    paper.text(148, 160, f"sum {written(float(np.exp(scores).sum()))}", bold=True)
    paper.text(400, 160, f"sum {written(float(slopes.sum()))}", bold=True)
    paper.text(26, 186, f"class {right} is right: {loss}", ORANGE, anchor="start")
    return paper


#: How the text writes some probabilities.
SPOKEN = {0.5: "1/2", 0.25: "1/4", 0.125: "1/8"}


@figure(chances=Grid("Probabilities of the right class", ((1, 0.5, 0.25, 0.125),), 0.02, 1, 0.005))
def cross_entropy(chances: Array) -> Picture:
    """The loss over the probability of the right class."""

    def loss(p: float) -> float:
        return float(categorical_cross_entropy(np.array([0]), np.array([[p], [1 - p]])))

    def place(p: float, height: float) -> Point:
        return 50 + 390 * p, 205 - 50 * height

    losses = [loss(p) for p in chances[0]]
    paper = Picture(470, 250, f"The losses: {', '.join(map(written, losses))}")
    paper.line(*(place(p, loss(p)) for p in np.geomspace(0.02, 1, 80)), color=BLUE, width=2)
    paper.line(place(0, 0), place(1, 0), width=1)
    paper.line(place(0, 0), place(0, 3.9), width=1)
    for p, height in zip(chances[0], losses, strict=True):
        across, up = place(p, height)
        paper.line((across, 205), (across, up), (50, up), width=0.75, dash="3 3")
        paper.circle(across, up, 4.5, ORANGE, fill=ORANGE)
        paper.text(across, 219, SPOKEN.get(p, written(p)), size=12)
        paper.text(30, up, written(height), size=12)
    paper.text(245, 240, "probability of the right class")
    paper.text(62, 14, "loss", anchor="start")
    return paper
