"""Live figures of windows that slide over images: convolution and pooling."""

from __future__ import annotations

from functools import cache

import numpy as np

from purecnn.backend.types import Array
from purecnn.datasets import mnist
from purecnn.inspection.traces import trace
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.pooling import AveragePooling, MaxPooling
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Choice, Grid, Slider, figure, fill
from purecnn.playground.figures.svg import GREEN, INK, Picture, written


@figure(
    kernel=Grid("Kernel", ((-1, 1), (-1, 1))),
    row=Slider("Row of the window", 1, 0, 2, 1),
    column=Slider("Column of the window", 1, 0, 2, 1),
    image=Grid("Image", ((0, 0, 3, 3),) * 4, 0, 9),
)
def convolution(kernel: Array, row: int, column: int, image: Array) -> Picture:
    """A kernel on an image of 4 x 4, one of its windows marked."""
    network = Network([Convolutional((1, 4, 4), 2, 1)], dtype="float64")
    fill(network[0], kernels=kernel)
    found = trace(network, image[np.newaxis])
    cell = found.cell(0, 0, row, column)
    pairs = zip(kernel.ravel(), cell.window.ravel(), strict=True)
    products = " + ".join(f"{written(weight)} · {written(pixel)}" for weight, pixel in pairs)
    paper, side = Picture(470, 190, f"{products} = {written(cell.output)}".replace("+ −", "− ")), 34
    most = max(6.0, float(np.abs(found.output).max()))
    paper.grid(6, 10, found.input[0, 0], side, 6)
    paper.box(6 + column * side, 10 + row * side, 2 * side, 2 * side, GREEN, thick=3)
    paper.text(167, 78, "∗", size=22)
    paper.grid(192, 44, kernel, side, 6)
    paper.text(286, 78, "=", size=22)
    paper.grid(314, 27, found.output[0, 0], side, most)
    paper.box(314 + column * side, 27 + row * side, side, side, GREEN, thick=3)
    for r, c in np.ndindex(3, 3):
        paper.spot(314 + c * side, 27 + r * side, side, side, row=r, column=c)
    for x, words in ((74, "image"), (226, "kernel"), (365, "feature map")):
        paper.text(x, 164, words)
    return paper


#: Of MNIST's digits, how many may be chosen.
DIGITS = 100


@cache
def digits(part: int) -> tuple[Array, Array]:
    """Return the first of MNIST's digits and their labels, those to train on, 0, or to test with, 1."""
    images, labels = mnist.load_data()[part]
    return images[:DIGITS], labels[:DIGITS]


@figure(
    number=Slider("Which digit", 0, 0, DIGITS - 1, 1),
    left=Grid("Kernel of the left map", ((-1, 1), (-1, 1))),
    right=Grid("Kernel of the right map", ((-1, -1), (1, 1))),
)
def edges(number: int, left: Array, right: Array) -> Picture:
    """A digit of MNIST and the maps of two kernels that look for edges."""
    images, labels = digits(0)
    network = Network([Convolutional((1, 28, 28), 2, 2)], dtype="float64")
    fill(network[0], kernels=np.stack([left, right])[:, np.newaxis])
    found = trace(network, images[number : number + 1] / 255)
    names = [EDGES.get(str(kernel.tolist()), "a kernel's map") for kernel in (left, right)]
    paper, side = Picture(470, 178, f"A {labels[number]}, {names[0]} and {names[1]}"), 5.2
    paper.image(4, 4, found.input[0, 0], side)
    for place, values in ((164, found.output[0, 0]), (319, found.output[0, 1])):
        paper.image(place, 4, values, side, 2)
    for x, words in ((77, f"a {labels[number]}"), (234, names[0]), (389, names[1])):
        paper.text(x, 166, words)
    return paper


#: What is said of the maps of the text's kernels.
EDGES = {"[[-1.0, 1.0], [-1.0, 1.0]]": "vertical edges", "[[-1.0, -1.0], [1.0, 1.0]]": "horizontal edges"}


@figure(
    values=Grid("Map", ((1, 3, 2, 0), (4, 2, 0, 1), (0, 0, 5, 5), (0, 0, 5, 5))),
    slopes=Grid("Slopes by the pooled map", ((1, 2), (3, 4))),
    kind=Choice("Kept of each window", "the largest", ("the largest", "the mean")),
)
def pooling(values: Array, slopes: Array, kind: str) -> Picture:
    """Pooling of a map of 4 x 4, forward and back."""
    keeps_largest = kind == "the largest"
    layer = MaxPooling(2) if keeps_largest else AveragePooling(2)
    found = trace(Network([layer], input_shape=(1, 4, 4), dtype="float64"), values[np.newaxis])
    layer.forward(values.reshape(1, 4, 4, 1))
    back = np.asarray(layer.backward(slopes.reshape(1, 2, 2, 1)))
    pooled = found.output[0, 0]
    says = f"Of each window {kind}: {', '.join(map(written, pooled.ravel()))}. " + (
        "Each slope goes back to the cell that won."
        if keeps_largest
        else "Each slope goes back in four parts."
    )
    paper, side = Picture(470, 352, says), 34
    for top, left_values, right_values, words in (
        (8, values, pooled, ("map", "pooled")),
        (182, back[0, :, :, 0], slopes, ("slopes by the map", "slopes by the pooled map")),
    ):
        paper.grid(50, top, left_values, side, 6)
        paper.grid(320, top + side, right_values, side, 6)
        for window in np.ndindex(2, 2):
            paper.box(50 + window[1] * 68, top + window[0] * 68, 68, 68, INK, thick=2.5)
            winner = found.cell(0, 0, *window).winner
            if winner is not None:
                row, column = np.add(winner, np.multiply(window, 2))
                paper.box(52 + column * side, top + 2 + row * side, side - 4, side - 4, GREEN, thick=2.5)
        paper.text(118, top + 150, words[0])
        paper.text(354, top + 150, words[1])
    paper.arrow((200, 76), (306, 76))
    paper.text(253, 64, "forward")
    paper.arrow((306, 250), (200, 250))
    paper.text(253, 238, "backward")
    return paper
