"""Live figures of neurons: what one adds up, and what two of them can do that one can't."""

from __future__ import annotations

import numpy as np

from purecnn.inspection.traces import trace
from purecnn.layers.activations.basic import Sigmoid
from purecnn.layers.dense import Dense
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Slider, figure, fill
from purecnn.playground.figures.svg import BLUE, INK, ORANGE, Picture, written


@figure(
    first_input=Slider("Input x₁", 2, -3, 3),
    second_input=Slider("Input x₂", 1, -3, 3),
    first_weight=Slider("Weight w₁", 1, -5, 5),
    second_weight=Slider("Weight w₂", -3, -5, 5),
    bias=Slider("Bias b", 1, -5, 5),
)
def neuron(
    first_input: float, second_input: float, first_weight: float, second_weight: float, bias: float
) -> Picture:
    """A neuron with its numbers, from the trace."""
    network = Network([Dense(2, 1), Sigmoid()], dtype="float64")
    fill(network[0], weights=[[first_weight, second_weight]], biases=bias)
    found = trace(network, np.array([[first_input, second_input]]))
    cell = found.cell(0, 0)
    weights = np.asarray(cell.weights)
    z, y = written(cell.total), written(found.output[0, 0])
    paper = Picture(470, 190, f"z = {z}, and its sigmoid y = {y}")
    for row, (x, weight, product) in enumerate(zip(cell.window, weights, cell.window * weights, strict=True)):
        top = 40 + 70 * row
        paper.circle(30, top, 19, BLUE)
        paper.text(30, top, written(x), BLUE)
        paper.arrow((50, top), (172, 75 + 0.25 * (top - 75)), INK)
        paper.text(104, top + (-12 if row == 0 else 12), f"× {written(weight)}")
        paper.text(152, 75 + 38 * (2 * row - 1), written(product), ORANGE)
    paper.arrow((200, 165), (200, 104))
    paper.text(200, 176, f"bias {written(cell.bias)}")
    paper.circle(200, 75, 27)
    paper.text(200, 75, "sum")
    paper.arrow((228, 75), (312, 75))
    paper.text(268, 62, f"z = {z}", ORANGE)
    paper.box(314, 52, 66, 46, round=6)
    paper.text(347, 75, "sigmoid")
    paper.arrow((381, 75), (464, 75))
    paper.text(420, 62, f"y = {y}", ORANGE)
    paper.text(30, 140, "inputs", BLUE)
    return paper
