"""Live figures of blocks of deep networks: batch normalization, and a way around."""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.composites.residual import Residual
from purecnn.layers.dense import Dense
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Grid, Slider, figure, fill
from purecnn.playground.figures.svg import BLUE, INK, ORANGE, Picture, written


@figure(
    values=Grid("Values of the batch", ((1, 7, 9, 15),), -2, 16),
    gamma=Slider("γ", 2, 0, 2),
    beta=Slider("β", 1, 0, 4),
)
def normalization(values: Array, gamma: float, beta: float) -> Picture:
    """Four numbers of a batch before a batch normalization, in it, and behind it."""
    layer = BatchNormalization()
    layer.training = True
    plain = layer.forward(values).copy()
    fill(layer, gamma=gamma, beta=beta)
    behind = layer.forward(values)
    mean, variance = written(values.mean()), written(values.var())
    rows = (
        (values, f"x: mean {mean}, variance {variance}", INK),
        (plain, "mean 0, variance 1", BLUE),
        (behind, f"γ = {written(gamma)}, β = {written(beta)}", ORANGE),
    )
    paper = Picture(
        470, 232, f"Mean {mean} and variance {variance} become " + ", ".join(map(written, behind[0]))
    )
    for row, (numbers, words, color) in enumerate(rows):
        y = 44 + 76 * row
        paper.line((14, y), (456, y), width=1)
        for tick in range(-4, 17, 2):
            place = 106 + 21 * tick
            paper.line((place, y - 3), (place, y + 3), width=1)
            if row == 2:
                paper.text(place, y + 30, written(tick), size=12)
        for number, value in enumerate(numbers[0]):
            place = 106 + 21 * value
            paper.circle(place, y, 5, color, fill=color)
            below = row == 0 or number % 2 == 1
            paper.text(place, y + (15 if below else -15), written(value), color, 12)
        paper.text(456, y - 26, words, color, anchor="end", size=13)
    return paper


@figure(
    x=Slider("What comes in", 1, -3, 3),
    weight=Slider("Weight of the block", 0.1, -2, 2),
)
def residual(x: float, weight: float) -> Picture:
    """A residual block with the numbers of both ways, forward and back."""
    network = Network([Residual([Dense(1, 1)])], dtype="float64")
    fill(network[0], **{"0.weights": weight})
    found = trace(network, np.array([[x]]), outputs=[0])[0]
    inner = found.inside[0]
    output, slope = written(found.output[0, 0]), written(np.asarray(found.input_gradient)[0, 0])
    paper = Picture(470, 190, f"{written(x)} becomes {output}; the slope 1 becomes {slope}")
    paper.line((30, 110), (90, 110))
    paper.arrow((90, 110), (150, 110))
    paper.box(152, 88, 96, 44, round=6)
    paper.text(200, 103, "f")
    paper.text(200, 120, f"× {written(inner.parameters['weights'][0, 0])}", size=12)
    paper.arrow((248, 110), (324, 110))
    paper.circle(341, 110, 16)
    paper.text(341, 109, "+", size=18)
    paper.arrow((358, 110), (440, 110))
    paper.line((90, 110), (90, 40), (341, 40))
    paper.arrow((341, 40), (341, 93))
    paper.circle(90, 110, 3, fill=INK)
    for across, y, forward, back in (
        (56, 110, found.input, found.input_gradient),
        (286, 110, inner.output, inner.output_gradient),
        (212, 40, found.input, found.output_gradient),
        (400, 110, found.output, found.output_gradient),
        (122, 110, inner.input, inner.input_gradient),
    ):
        paper.text(across, y - 12, written(forward[0, 0]), BLUE)
        paper.text(across, y + 14, written(np.asarray(back)[0, 0]), ORANGE)
    paper.text(10, 158, "Blue: what is computed forward.", BLUE, 13, "start")
    paper.text(10, 178, "Orange: the slope of the output by that number.", ORANGE, 13, "start")
    return paper
