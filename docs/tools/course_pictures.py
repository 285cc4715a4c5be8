"""Make the pictures of the course from what the package computes: python -m docs.tools.course_pictures."""

import sys
from pathlib import Path

import numpy as np

from docs.tools.svg import BLUE, GREEN, INK, ORANGE, Picture, shade, written
from purecnn import SGD, Adam, Convolutional, Dense, Network, ReLU, trace
from purecnn.datasets import mnist
from purecnn.losses import categorical_cross_entropy
from purecnn.playground.figures.table import FIGURES

FOLDER = Path(__file__).parents[1] / "course" / "pictures"
PICTURES = {name: figure.still for name, figure in FIGURES.items()}


def picture(function):
    """Have a function's picture made, under its name."""
    PICTURES[function.__name__.replace("_", "-")] = function
    return function


def fill(layer, **parameters):
    """Write the parameters of a layer."""
    for name, values in parameters.items():
        layer.parameters[name][...] = values


def plane(paper, x, y, size, limits, names):
    """Draw two axes with whole numbers; return where a point of theirs lies."""
    low, high = limits

    def place(a, b):
        return x + (a - low) / (high - low) * size, y + size - (b - low) / (high - low) * size

    paper.line(place(low, 0), place(high, 0), width=1)
    paper.line(place(0, low), place(0, high), width=1)
    for tick in range(int(np.ceil(low)), int(high) + 1):
        if tick:
            across, down = place(tick, 0), place(0, tick)
            paper.text(across[0], across[1] + 17, written(tick), size=12)
            paper.text(down[0] - 16, down[1], written(tick), size=12)
    paper.text(place(high, 0)[0], place(high, 0)[1] - 12, names[0], anchor="end")
    paper.text(place(0, high)[0] + 8, place(0, high)[1] + 4, names[1], anchor="start")
    return place


@picture
def xor():
    """The four points of XOR before and after a hidden layer."""
    network = Network([Dense(2, 2), ReLU(), Dense(2, 1)])
    fill(network[0], weights=1, biases=[[0], [-1]])
    fill(network[2], weights=[[1, -2]])
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    found = trace(network, inputs)
    paper = Picture(470, 240)
    for left, points, names in ((20, inputs, ("x₁", "x₂")), (265, found[1].output, ("h₁", "h₂"))):
        place = plane(paper, left, 10, 190, (-0.4, 2.4), names)
        for point, answer in zip(points, found.output[:, 0], strict=True):
            color = ORANGE if answer > 0.5 else BLUE
            paper.circle(*place(*point), 7, color, fill=color if answer > 0.5 else "none", width=2.5)
    # where h1 - 2 h2 is one half
    paper.line(place(0.5 - 0.6, -0.3), place(2.4, 0.95), color=GREEN, width=2, dash="6 4")
    paper.text(115, 226, "no line parts them")
    paper.text(360, 226, "one line parts them")
    return paper


@picture
def descent():
    """Gradient descent on a parabola at three rates."""
    paper = Picture(470, 215)
    for panel, rate in enumerate((0.02, 0.1, 0.24)):
        weight, path = np.array([3.0]), []
        optimizer = SGD(rate)
        for _ in range(7):
            path.append((weight[0], (2 * weight[0] - 10) ** 2))
            optimizer.step(weight, 2 * (2 * weight - 10) * 2)
        left = 8 + 156 * panel

        def place(w, loss, left=left):
            return left + (w - 2.8) / 4.4 * 146, 172 - loss / 20 * 165

        curve = [(w, (2 * w - 10) ** 2) for w in np.linspace(2.8, 7.2, 45)]
        paper.line(*(place(w, loss) for w, loss in curve), color=INK, width=1)
        paper.line(*(place(w, loss) for w, loss in path), color=ORANGE)
        for w, loss in path:
            paper.circle(*place(w, loss), 3.5, ORANGE, fill=ORANGE)
        paper.line((left, 172), (left + 146, 172), width=1)
        for w in (3, 5, 7):
            paper.text(place(w, 0)[0], 184, written(w), size=12)
        paper.text(left + 73, 204, f"rate {written(rate)}")
    return paper


@picture
def backpropagation():
    """Every number of one forward and one backward pass."""
    network = Network([Dense(2, 2), ReLU(), Dense(2, 1)])
    fill(network[0], weights=[[2, 1], [1, -1]])
    fill(network[2], weights=[[1, 3]], biases=-1)
    found = trace(network, [[1.0, 2.0]], [[1.0]], loss="mse")
    paper = Picture(470, 272)
    columns = [
        ("x", found[0].input[0], found[0].input_gradient[0]),
        ("z", found[0].output[0], found[0].output_gradient[0]),
        ("h", found[1].output[0], found[1].output_gradient[0]),
        ("p", found[2].output[0], found[2].output_gradient[0]),
    ]
    centres, rows, middle = (45, 185, 285, 415), (60, 180), 120
    for layer, (column, aim) in ((0, (0, 1)), (2, (2, 3))):
        weights, gradient = found[layer].parameters["weights"], found[layer].gradients["weights"]
        for (j, i), weight in np.ndenumerate(weights):
            start, end = rows[i], rows[j] if len(weights) > 1 else middle
            paper.line((centres[column] + 21, start), (centres[aim] - 22, end), width=1)
            share = 0.5 if i == j or len(weights) == 1 else 0.17
            x = centres[column] + 21 + share * (centres[aim] - centres[column] - 43)
            y = start + share * (end - start)
            paper.text(x, y - 9, written(weight), BLUE, 12)
            paper.text(x, y + 10, written(gradient[j, i]), ORANGE, 12)
    for row in rows:
        paper.line((centres[1] + 21, row), (centres[2] - 21, row), width=1)
        paper.text(235, row - 12, "ReLU", size=12)
    for centre, (name, values, gradients) in zip(centres, columns, strict=True):
        places = rows if len(values) > 1 else (middle,)
        for y, value, gradient in zip(places, values, gradients, strict=True):
            paper.circle(centre, y, 21)
            paper.text(centre, y - 7, written(value), BLUE)
            paper.text(centre, y + 8, written(gradient), ORANGE)
        paper.text(centre, 20, name, bold=True)
    paper.text(415, 162, f"L = {written(found.loss)}", BLUE)
    paper.text(10, 236, "Blue: what is computed forward, and the weights.", BLUE, 13, "start")
    paper.text(10, 258, "Orange: the slope of the loss by that number, found backward.", ORANGE, 13, "start")
    return paper


@picture
def edges():
    """A digit of MNIST and the maps of two kernels that look for edges."""
    image = mnist.load_data()[0][0][:1] / 255
    network = Network([Convolutional((1, 28, 28), 2, 2)])
    fill(network[0], kernels=[[[[-1, 1], [-1, 1]]], [[[-1, -1], [1, 1]]]])
    found = trace(network, image)
    paper, side = Picture(470, 178), 5.2
    paper.image(4, 4, found.input[0, 0], side)
    for left, values in ((164, found.output[0, 0]), (319, found.output[0, 1])):
        paper.image(left, 4, values, side, 2)
    for x, words in ((77, "a 5"), (234, "vertical edges"), (389, "horizontal edges")):
        paper.text(x, 166, words)
    return paper


@picture
def cross_entropy():
    """The loss over the probability of the right class."""
    paper = Picture(470, 250)

    def loss(p):
        return categorical_cross_entropy(np.array([0]), np.array([[p], [1 - p]]))

    def place(p, height):
        return 50 + 390 * p, 205 - 50 * height

    paper.line(*(place(p, loss(p)) for p in np.geomspace(0.02, 1, 80)), color=BLUE, width=2)
    paper.line(place(0, 0), place(1, 0), width=1)
    paper.line(place(0, 0), place(0, 3.9), width=1)
    for power, name in enumerate(("1", "1/2", "1/4", "1/8")):
        p = 0.5**power
        across, up = place(p, loss(p))
        paper.line((across, 205), (across, up), (50, up), width=0.75, dash="3 3")
        paper.circle(across, up, 4.5, ORANGE, fill=ORANGE)
        paper.text(across, 219, name, size=12)
        paper.text(30, up, written(loss(p)), size=12)
    paper.text(245, 240, "probability of the right class")
    paper.text(62, 14, "loss", anchor="start")
    return paper


def valley(optimizer, steps):
    """Return a path down L = (x^2 + 25 y^2) / 2 from (10, 1)."""
    point = np.array([10.0, 1.0])
    path = [point.copy()]
    for _ in range(steps):
        optimizer.step(point, np.array([1, 25]) * point)
        path.append(point.copy())
    return path


@picture
def optimizers():
    """The paths of three optimizers down a long valley."""
    paper = Picture(470, 396)
    named = (("SGD, rate 0.07", SGD(0.07)), ("with momentum 0.5", SGD(0.07, momentum=0.5)))
    for panel, (name, optimizer) in enumerate((*named, ("Adam, rate 0.5", Adam(0.5)))):
        top = 64 + 132 * panel

        def place(x, y, top=top):
            return 70 + 38 * x, top + 38 * y

        for height in (0.5, 4, 16):
            across = np.sqrt(2 * height)
            if across < 2:
                paper.ellipse(*place(0, 0), 38 * across, 38 * across / 5)
                continue
            angles = np.linspace(-1, 1, 61) * np.arccos(max(-1, -1.7 / across))
            curve = np.stack([across * np.cos(angles), across / 5 * np.sin(angles)], axis=1)
            paper.line(*(place(*point) for point in curve if abs(point[1]) < 1.55), width=0.75)
        path = valley(optimizer, 20)
        paper.line(*(place(*point) for point in path), color=ORANGE)
        for point in path:
            paper.circle(*place(*point), 2.5, ORANGE, fill=ORANGE)
        paper.circle(*place(0, 0), 3.5, BLUE, fill=BLUE)
        paper.text(462, top + 52, f"{name}: {written(sum(path[-1] ** 2 * [1, 25]) / 2)} left", anchor="end")
    return paper


@picture
def memory():
    """Three images of four pixels in memory, the batch first and last, every second pixel marked."""
    paper, side = Picture(470, 196), 38
    images = np.arange(3)[:, None] + np.zeros(4)  # whose pixel it is
    pixels = np.arange(4) + np.zeros((3, 1))
    marked = np.zeros((3, 4), bool)
    marked[:, ::2] = True
    for top, words, lay in (
        (30, "batch first", lambda array: array.ravel()),
        (126, "batch last", lambda array: array.T.ravel()),
    ):
        paper.text(6, top - 16, words, anchor="start")
        for place, (image, pixel) in enumerate(zip(lay(images), lay(pixels), strict=True)):
            fill = (shade(1, 1.3), shade(-1, 1.6), shade(1, 4))[int(image)]
            paper.box(6 + place * side, top, side, side, thick=0.75, fill=fill)
            paper.text(
                6 + (place + 0.5) * side, top + side / 2, f"{'abc'[int(image)]}{int(pixel)}", "#1c1c1c"
            )
        ends = np.flatnonzero(np.diff([False, *lay(marked), False])).reshape(-1, 2)
        for start, end in ends:
            paper.line((9 + start * side, top + 46), (3 + end * side, top + 46), color=ORANGE, width=5)
    return paper


@picture
def unrolling():
    """An image of 4 x 4 unrolled for a window of 2 x 2, the matrices of two output rows marked."""
    image = np.arange(1.0, 17).reshape(4, 4)
    unrolled = np.stack([image[:, :3], image[:, 1:]], axis=1).reshape(8, 3)
    paper, side = Picture(470, 268), 28
    paper.grid(10, 64, image, side, 24)
    paper.text(66, 200, "image")
    paper.arrow((136, 120), (188, 120))
    paper.grid(204, 8, unrolled, side, 24)
    paper.text(246, 252, "unrolled")
    for row, color, left in ((0, ORANGE, 296), (1, BLUE, 312)):
        top = 8 + 2 * row * side
        paper.line(
            (left, top + 2),
            (left + 8, top + 2),
            (left + 8, top + 4 * side - 2),
            (left, top + 4 * side - 2),
            color=color,
            width=2.5,
        )
        paper.text(
            left + 18,
            top + (1.2 + 1.6 * row) * side,
            f"for output row {row}",
            color,
            anchor="start",
            size=13,
        )
    return paper


def main(folder):
    """Write all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in PICTURES.items():
        (folder / f"{name}.svg").write_text(str(made()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
