"""The pictures of the course's chapters about training deep networks and reading them."""

import copy
import functools

import numpy as np

from docs.tools.svg import BLUE, GREEN, INK, ORANGE, Picture, written
from purecnn import (
    BatchNormalization,
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
from purecnn.inspection import grad_cam_maps, pca, saliency_maps
from purecnn.networks import dense, densenet, inception_small, lenet, mobilenet_v2, resnet, vgg_small

#: Images that the chapters' networks learn from, and as many that they are judged by.
IMAGES = 600
#: The pictures by their names.
PICTURES = {}
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def picture(function):
    """Have a function's picture made once, under its name."""
    PICTURES[function.__name__.replace("_", "-")] = functools.cache(function)
    return function


def fill(layer, **parameters):
    """Write the parameters of a layer."""
    for name, values in parameters.items():
        layer.parameters[name][...] = values


def digits():
    """Return the images and labels that the chapters learn from, and those that they judge by."""
    return tuple((x[:IMAGES], y[:IMAGES]) for x, y in mnist.load_data())


def axes(paper, box, across, up, ticks=((), ())):
    """Draw two axes at the left and the bottom of a box; return where a point of theirs lies.

    `ticks` are pairs of a value and its words, of either axis.
    """
    left, top, width, height = box

    def place(x, y):
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


def power(exponent):
    """Return a power of ten as a reader would write it."""
    return f"10{str(exponent).translate(POWERS)}"


@picture
def overfitting():
    """Three readings, the line near them and the parabola through them."""
    x, y = np.array([-1.0, 0, 1]), np.array([-1.0, 1, 1])
    paper = Picture(470, 262)
    ticks = [(value, written(value)) for value in (-1, 0, 1, 2)]
    place = axes(paper, (40, 12, 300, 220), (-1.5, 2.4), (-1.6, 2.6), (ticks, ticks))
    paper.line(place(-1.5, -1.5), place(2.4, 2.4), width=1, dash="3 4")
    for degree, color, name in ((1, BLUE, "line"), (2, ORANGE, "parabola")):
        found = np.polyfit(x, y, degree)
        along = np.linspace(-1.5, 2.4, 80)
        along = along[(np.polyval(found, along) > -1.6) & (np.polyval(found, along) < 2.6)]
        paper.line(*(place(value, np.polyval(found, value)) for value in along), color=color, width=2)
        says = np.polyval(found, 2)
        paper.circle(*place(2, says), 5, color, fill="none", width=2)
        paper.text(352, place(0, says)[1], f"{name}: {written(says)} at 2", color, anchor="start", size=13)
    paper.text(352, place(0, 2)[1] + 16, "truth: 2", anchor="start", size=13)
    for point in zip(x, y, strict=True):
        paper.circle(*place(*point), 5, INK, fill=INK)
    return paper


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


@picture
def initialization():
    """The size of what leaves each of thirty layers, for four sizes of weights."""
    paper = Picture(470, 270)
    across = [(layer, str(layer)) for layer in (1, 10, 20, 30)]
    up = [(exponent, power(exponent)) for exponent in (-9, -6, -3, 0, 3, 6, 9)]
    place = axes(paper, (48, 10, 320, 222), (1, 30), (-10, 10), (across, up))
    x = np.random.default_rng(1).standard_normal((50, 100))
    for scale, color, name in (
        (2.0, ORANGE, "twice He's"),
        (1.0, GREEN, "He's"),
        (0.5**0.5, BLUE, "Glorot's"),
        (0.5, INK, "half of He's"),
    ):
        layers = [layer for _ in range(30) for layer in (Dense(100, initialization="he"), ReLU())]
        network = Network(layers, input_shape=100, dtype="float64")
        for layer in network.layers[::2]:
            layer.parameters["weights"] *= scale
        sizes = [np.sqrt(np.mean(layer.output**2)) for layer in trace(network, x)[1::2]]
        points = [place(number, np.log10(size)) for number, size in enumerate(sizes, 1)]
        paper.line(*points, color=color, width=2)
        paper.text(374, points[-1][1], name, color, anchor="start", size=13)
    paper.text(205, 262, "layer")
    return paper


@picture
def normalization():
    """Four numbers of a batch before a batch normalization, in it, and behind it."""
    x = np.array([[1.0, 7, 9, 15]])
    layer = BatchNormalization()
    layer.training = True
    plain = layer.forward(x).copy()
    fill(layer, gamma=2, beta=1)
    rows = (
        (x, "x: mean 8, variance 25", INK),
        (plain, "mean 0, variance 1", BLUE),
        (layer.forward(x), "γ = 2, β = 1", ORANGE),
    )
    paper = Picture(470, 232)
    for row, (values, words, color) in enumerate(rows):
        y = 44 + 76 * row
        paper.line((10, y), (450, y), width=1)
        for tick in range(-2, 17, 2):
            place = 60 + 22.5 * tick
            paper.line((place, y - 3), (place, y + 3), width=1)
            if row == 2:
                paper.text(place, y + 30, written(tick), size=12)
        for number, value in enumerate(values[0]):
            place = 60 + 22.5 * value
            paper.circle(place, y, 5, color, fill=color)
            is_crowded = row > 0
            height = 15 if not is_crowded or number % 2 else -15
            paper.text(place, y + (15 if not is_crowded else -height), written(value), color, 12)
        paper.text(448, y - 26, words, color, anchor="end", size=13)
    return paper


@picture
def residual():
    """A residual block with the numbers of both ways, forward and back."""
    network = Network([Residual([Dense(1, 1)])], dtype="float64")
    fill(network[0], **{"0.weights": 0.1})
    found = trace(network, [[1.0]], outputs=[0])[0]
    inner = found.inside[0]
    paper = Picture(470, 190)
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
    for x, y, forward, back in (
        (56, 110, found.input, found.input_gradient),
        (286, 110, inner.output, inner.output_gradient),
        (212, 40, found.input, found.output_gradient),
        (400, 110, found.output, found.output_gradient),
        (122, 110, inner.input, inner.input_gradient),
    ):
        paper.text(x, y - 12, written(forward[0, 0]), BLUE)
        paper.text(x, y + 14, written(back[0, 0]), ORANGE)
    paper.text(10, 158, "Blue: what is computed forward.", BLUE, 13, "start")
    paper.text(10, 178, "Orange: the slope of the output by that number.", ORANGE, 13, "start")
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
def saliency():
    """A digit, its saliency and its Grad-CAM."""
    _, (x, y) = digits()
    network = trained()
    said = network.predict(x[:100]).argmax(axis=1)
    place = int(np.flatnonzero((said == y[:100]) & (y[:100] == 7))[0])
    passed = trace(network, x[place : place + 1], outputs=said[place : place + 1])
    paper, side = Picture(470, 178), 5.2
    for left, values, words in (
        (4, passed.input[0, 0], f"a {said[place]}"),
        (164, saliency_maps(passed)[0], "saliency"),
        (319, grad_cam_maps(passed)[0], "Grad-CAM"),
    ):
        paper.image(left, 4, values, side)
        paper.text(left + 73, 166, words)
    return paper


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


@picture
def table():
    """Networks by their parameters and multiply-adds."""
    networks = {
        "XOR": Network([Dense(2, 2), ReLU(), Dense(2, 1)]),
        "dense": dense(),
        "LeNet": lenet(),
        "VGG-Small": vgg_small(),
        "Inception-Small": inception_small(),
        "ResNet-20": resnet(depth=20),
        "ResNet-56": resnet(depth=56),
        "DenseNet-40": densenet(depth=40, growth=12),
        "MobileNetV2": mobilenet_v2(),
    }
    paper = Picture(470, 292)
    #: Where the name ends of a point that has neighbours, as seen from the point.
    beside = {
        "VGG-Small": (-90, -12),
        "Inception-Small": (-70, -5),
        "DenseNet-40": (-60, 12),
        "ResNet-56": (-57, 20),
        "ResNet-20": (34, 22),
        "MobileNetV2": (45, 36),
    }
    across = [(exponent, power(exponent)) for exponent in range(1, 8)]
    up = [(exponent, power(exponent)) for exponent in range(1, 10)]
    place = axes(paper, (52, 10, 400, 236), (0.5, 7.3), (0.2, 9.4), (across, up))
    for name, network in networks.items():
        size = network.summary()
        point = place(np.log10(size.parameters), np.log10(size.multiply_adds))
        paper.circle(*point, 4.5, ORANGE, fill=ORANGE)
        away, height = beside.get(name, (9, 0))
        if away < 0:
            paper.line(point, (point[0] + away + 3, point[1] + height), color=BLUE, width=0.75)
        anchor = "end" if name in beside else "start"
        paper.text(point[0] + away, point[1] + height, name, BLUE, 13, anchor)
    paper.text(252, 284, "parameters")
    paper.text(60, 16, "multiply-adds", anchor="start")
    return paper
