"""The pictures of the course's chapters about training deep networks and reading them."""

import copy
import functools

import numpy as np

from purecnn import (
    Dense,
    Flatten,
    Network,
    ReLU,
    Residual,
    Softmax,
    Tanh,
    trace,
)
from purecnn.datasets import mnist
from purecnn.inspection import pca
from purecnn.networks import lenet
from purecnn.playground.figures.charts import axes
from purecnn.playground.figures.svg import BLUE, GREEN, ORANGE, Picture, written

#: Images that the chapters' networks learn from, and as many that they are judged by.
IMAGES = 600
#: The pictures by their names.
PICTURES = {}


def picture(function):
    """Have a function's picture made once, under its name."""
    PICTURES[function.__name__.replace("_", "-")] = functools.cache(function)
    return function


def digits():
    """Return the images and labels that the chapters learn from, and those that they judge by."""
    return tuple((x[:IMAGES], y[:IMAGES]) for x, y in mnist.load_data())


@picture
def validation():
    """The training loss and the validation loss of one training, epoch by epoch."""
    (x, y), _ = digits()
    labels = y[:100].copy()
    labels[:20] = np.random.default_rng(0).integers(10, size=20)
    layers = [Flatten(), Dense(output_size=64), ReLU(), Dense(output_size=10), Softmax()]
    found = Network(layers, dtype="float64").fit(
        *(x[:100], labels),
        validation_data=(x[100:], y[100:]),
        epochs=40,
        batch_size=20,
        learning_rate=0.003,
    )
    paper = Picture(470, 250)
    across = [(epoch, str(epoch)) for epoch in (1, 10, 20, 30, 40)]
    up = [(value, written(value)) for value in (0, 0.5, 1, 1.5, 2)]
    place = axes(paper, (40, 12, 330, 200), (1, 40), (0, 2.3), (across, up))
    best = int(np.argmin(found.validation_loss)) + 1
    paper.line(place(best, 0), place(best, 2.3), color=GREEN, width=1, dash="4 4")
    paper.text(place(best, 0)[0] + 6, 20, f"smallest: epoch {best}", GREEN, anchor="start", size=13)
    for losses, color, name in (
        (found.loss, BLUE, "training"),
        (found.validation_loss, ORANGE, "validation"),
    ):
        paper.line(*(place(epoch, loss) for epoch, loss in enumerate(losses, 1)), color=color, width=2)
        paper.text(378, place(40, losses[-1])[1], name, color, anchor="start")
    paper.text(205, 242, "epoch")
    return paper


def same_digit(values, labels):
    """Return the share of samples whose nearest other one, by their values, has the same label."""
    squares = (values**2).sum(axis=1)
    distances = squares[:, np.newaxis] + squares - 2 * values @ values.T
    np.fill_diagonal(distances, np.inf)
    return (labels[distances.argmin(axis=1)] == labels).mean()


@picture
def ways():
    """How much of the digits each layer of a deep chain keeps, and of one with ways around."""
    (x, y), _ = digits()

    def pair(initialization):
        return [Dense(32, initialization="lecun"), Tanh(), Dense(32, initialization=initialization), Tanh()]

    chain = [layer for _ in range(20) for layer in pair("lecun")]
    blocks = [Residual(pair("zeros")) for _ in range(20)]
    paper = Picture(470, 250)
    across = [(layer, str(layer)) for layer in (0, 10, 20, 30, 40)]
    up = [(share, f"{share:.0%}") for share in (0, 0.1, 0.2, 0.4, 0.6)]
    place = axes(paper, (48, 10, 300, 202), (0, 40), (0, 0.7), (across, up))
    paper.line(place(0, 0.1), place(40, 0.1), width=1, dash="3 4")
    paper.text(354, place(40, 0.1)[1], "by lot", anchor="start", size=13)
    for middle, color, name in ((blocks, BLUE, "ways around"), (chain, ORANGE, "chain")):
        ends = [Flatten(), Dense(32), ReLU()], [Dense(10), Softmax()]
        network = Network([*ends[0], *middle, *ends[1]], input_shape=(1, 28, 28), dtype="float64")
        found, pairs = trace(network, x[:200]), len(middle) // 20
        shares = [same_digit(found[2 + pairs * number].output, y[:200]) for number in range(21)]
        points = [place(2 * number, share) for number, share in enumerate(shares)]
        paper.line(*points, color=color, width=2)
        paper.text(354, points[-1][1], name, color, anchor="start", size=13)
    paper.text(198, 242, "layers")
    return paper


@functools.cache
def trained():
    """Return the network that chapter 12 reads."""
    (x, y), _ = digits()
    network = Network(copy.deepcopy(lenet().layers), dtype="float64")
    network.fit(x, y, epochs=8, batch_size=32, learning_rate=0.004)
    return network


@picture
def embedding():
    """Digits of three classes in the first two principal directions, by pixels and by the embedding."""
    _, (x, y) = digits()
    chosen = np.flatnonzero(np.isin(y, (4, 7, 9)))[:120]
    x, y = x[chosen], y[chosen]
    inner = trace(trained(), x)[-2].input
    paper = Picture(470, 252)
    for left, values, words in ((6, x.reshape(len(x), -1) / 255, "by pixels"), (243, inner, "by embedding")):
        points = pca(values)[0]
        low, high = points.min(axis=0), points.max(axis=0)
        spread = (points - low) / (high - low)
        paper.box(left, 4, 220, 200, thick=0.75)
        for (across, up), digit in zip(spread, y, strict=True):
            color = {4: BLUE, 7: ORANGE, 9: GREEN}[int(digit)]
            paper.text(left + 12 + 196 * across, 192 - 176 * up, str(digit), color, 13, bold=True)
        paper.text(left + 110, 224, words)
    return paper
