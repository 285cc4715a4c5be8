"""Live figures of passes through a network: every number forward, every slope backward."""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.dense import Dense
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Grid, Slider, figure, fill
from purecnn.playground.figures.svg import BLUE, ORANGE, Picture, written


@figure(
    inputs=Grid("Inputs x", ((1,), (2,)), -3, 3, 0.5),
    hidden=Grid("Weights of the hidden layer", ((2, 1), (1, -1)), -3, 3, 0.5),
    weights=Grid("Weights of the last layer", ((1, 3),), -3, 3, 0.5),
    bias=Slider("Its bias", -1, -3, 3, 0.5),
    target=Slider("What p should be", 1, -9, 9, 0.5),
)
def backpropagation(inputs: Array, hidden: Array, weights: Array, bias: float, target: float) -> Picture:
    """Every number of one forward and one backward pass."""
    network = Network([Dense(2, 2), ReLU(), Dense(2, 1)], dtype="float64")
    fill(network[0], weights=hidden)
    fill(network[2], weights=weights, biases=bias)
    found = trace(network, inputs.T, np.array([[target]]), loss="mse")
    answer = written(found.output[0, 0])
    paper = Picture(
        470, 272, f"It says {answer}, {written(target)} would be right: L = {written(found.loss)}"
    )
    columns = [
        ("x", found[0].input, found[0].input_gradient),
        ("z", found[0].output, found[0].output_gradient),
        ("h", found[1].output, found[1].output_gradient),
        ("p", found[2].output, found[2].output_gradient),
    ]
    centres, rows, middle = (45, 185, 285, 415), (60, 180), 120
    for layer, (column, aim) in ((0, (0, 1)), (2, (2, 3))):
        shown, gradient = found[layer].parameters["weights"], found[layer].gradients["weights"]
        for (j, i), weight in np.ndenumerate(shown):
            start, end = rows[i], rows[j] if len(shown) > 1 else middle
            paper.line((centres[column] + 21, start), (centres[aim] - 22, end), width=1)
            share = 0.5 if i == j or len(shown) == 1 else 0.17
            x = centres[column] + 21 + share * (centres[aim] - centres[column] - 43)
            y = start + share * (end - start)
            paper.text(x, y - 9, written(weight), BLUE, 12)
            paper.text(x, y + 10, written(gradient[j, i]), ORANGE, 12)
    for row in rows:
        paper.line((centres[1] + 21, row), (centres[2] - 21, row), width=1)
        paper.text(235, row - 12, "ReLU", size=12)
    for centre, (name, values, slopes) in zip(centres, columns, strict=True):
        places = rows if values.shape[1] > 1 else (middle,)
        for y, value, slope in zip(places, values[0], np.asarray(slopes)[0], strict=True):
            paper.circle(centre, y, 21)
            paper.text(centre, y - 7, written(value), BLUE)
            paper.text(centre, y + 8, written(slope), ORANGE)
        paper.text(centre, 20, name, bold=True)
    paper.text(415, 162, f"L = {written(found.loss)}", BLUE)
    paper.text(10, 236, "Blue: what is computed forward, and the weights.", BLUE, 13, "start")
    paper.text(10, 258, "Orange: the slope of the loss by that number, found backward.", ORANGE, 13, "start")
    return paper
