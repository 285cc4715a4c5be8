"""Live figures of neurons: what one adds up, and what two of them can do that one can't."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.activations.basic import Sigmoid
from purecnn.layers.activations.rectified import ReLU
from purecnn.layers.dense import Dense
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Grid, Slider, figure, fill
from purecnn.playground.figures.svg import BLUE, GREEN, INK, ORANGE, Picture, Point, written


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
    z, p = written(cell.total), written(found.output[0, 0])
    paper = Picture(470, 404, f"z = {z}, and its sigmoid p = {p}")
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
    paper.text(420, 62, f"p = {p}", ORANGE)
    paper.text(30, 140, "inputs", BLUE)
    half_plane(paper, weights, bias, (first_input, second_input))
    return paper


def half_plane(paper: Picture, weights: Array, bias: float, point: Point) -> None:
    """Draw the plane of a neuron's inputs, the half in which its sum is positive, and a point of it."""
    limits = -3.2, 3.2
    place = plane(paper, (140, 204), 190, limits, ("x₁", "x₂"))
    ends = boundary(weights, -bias, limits)
    corners = [(a, b) for a in limits for b in limits if weights @ (a, b) + bias > 0]
    border = np.array([*corners, *ends]).reshape(-1, 2)
    if len(border):
        around = border - border.mean(
            axis=0
        )  # one after the other around the middle, as a polygon wants them
        border = border[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
        paper.area(*(place(a, b) for a, b in border), color=ORANGE)
    if ends:
        paper.line(*(place(*end) for end in ends), color=GREEN, width=2, dash="6 4")
    across, down = place(*point)
    paper.circle(across, down, 6, BLUE, fill=BLUE)
    paper.text(346, 244, "z > 0", ORANGE, anchor="start")
    paper.text(346, 270, "z = 0", GREEN, anchor="start")
    paper.text(346, 296, "the inputs", BLUE, anchor="start")


@figure(
    hidden_weights=Grid("Weights of the hidden layer", ((1, 1), (1, 1)), -3, 3, 0.5),
    hidden_biases=Grid("Its biases", ((0,), (-1,)), -3, 3, 0.5),
    weights=Grid("Weights of the last layer", ((1, -2),), -3, 3, 0.5),
)
def xor(hidden_weights: Array, hidden_biases: Array, weights: Array) -> Picture:
    """The four points of XOR before and after a hidden layer."""
    network = Network([Dense(2, 2), ReLU(), Dense(2, 1)], dtype="float64")
    fill(network[0], weights=hidden_weights, biases=hidden_biases)
    fill(network[2], weights=weights)
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    found = trace(network, inputs)
    answers, hidden = found.output[:, 0], found[1].output
    is_right = np.array_equal(answers > 0.5, [False, True, True, False])
    says = f"Of 00, 01, 10 and 11 it makes {', '.join(map(written, answers))}: "
    paper = Picture(470, 240, says + ("XOR" if is_right else "not XOR"))
    limits = -0.4, max(2.4, float(hidden.max()) + 0.4)
    places = (
        plane(paper, (20, 10), 190, (-0.4, 2.4), ("x₁", "x₂")),
        plane(paper, (265, 10), 190, limits, ("h₁", "h₂")),
    )
    for place, points in zip(places, (inputs, hidden), strict=True):
        for point, answer in zip(points, answers, strict=True):
            color = ORANGE if answer > 0.5 else BLUE
            x, y = place(*point)
            paper.circle(x, y, 7, color, fill=color if answer > 0.5 else "none", width=2.5)
    ends = boundary(weights[0], 0.5, limits)
    if ends:
        paper.line(*(places[1](*end) for end in ends), color=GREEN, width=2, dash="6 4")
    paper.text(115, 226, "no line parts them")
    paper.text(360, 226, "one line parts them" if is_right else "this line does not")
    return paper


def plane(
    paper: Picture, corner: Point, size: float, limits: Point, names: tuple[str, str]
) -> Callable[[float, float], Point]:
    """Draw two axes with whole numbers; return where a point of theirs lies."""
    (x, y), (low, high) = corner, limits

    def place(a: float, b: float) -> Point:
        return x + (a - low) / (high - low) * size, y + size - (b - low) / (high - low) * size

    paper.line(place(low, 0), place(high, 0), width=1)
    paper.line(place(0, low), place(0, high), width=1)
    for tick in range(math.ceil(low), int(high) + 1):
        if tick:
            across, down = place(tick, 0), place(0, tick)
            paper.text(across[0], across[1] + 17, written(tick), size=12)
            paper.text(down[0] - 16, down[1], written(tick), size=12)
    paper.text(place(high, 0)[0], place(high, 0)[1] - 12, names[0], anchor="end")
    paper.text(place(0, high)[0] + 8, place(0, high)[1] + 4, names[1], anchor="start")
    return place


def boundary(weights: Array, threshold: float, limits: Point) -> list[Point]:
    """Return where the line of the points whose weighted sum is the threshold meets the square's border.

    Examples
    --------
    >>> boundary(np.array([1.0, -2.0]), 0.5, (0.0, 2.0))
    [(0.5, 0.0), (2.0, 0.75)]
    """
    (u, v), (low, high) = weights.tolist(), limits
    met = [(bound, (threshold - u * bound) / v) for bound in limits] if v else []
    met += [((threshold - v * bound) / u, bound) for bound in limits] if u else []
    inside = sorted({point for point in met if all(low <= each <= high for each in point)})
    return [inside[0], inside[-1]] if len(inside) > 1 else []
