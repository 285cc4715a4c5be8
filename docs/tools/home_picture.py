"""Make the picture of the home page: a digit on its way through the playground's network.

python -m docs.tools.home_picture
"""

from pathlib import Path

import numpy as np

from purecnn import load, trace
from purecnn.datasets import mnist
from purecnn.playground.figures.svg import INK, ORANGE, Picture
from purecnn.runs.model_path import DIGITS

PLACE = Path(__file__).parents[1] / "home.svg"
#: Which of the test images: a four that is a little like a nine.
NUMBER = 740
SIZE, MIDDLE, GAP = 19, 140, 6
#: Of each column of pictures: the place of the layer whose output it shows, its left edge, a pixel's side.
COLUMNS = ((3, 168, 4), (7, 340, 6), (10, 460, 9))


def corners(x, cell, maps):
    """Return the left upper corners of maps in two columns, around the middle."""
    count, side = len(maps), maps.shape[-1] * cell
    rows = -(-count // 2)
    top = MIDDLE - (rows * side + (rows - 1) * GAP) / 2
    return [(x + (n % 2) * (side + GAP), top + n // 2 * (side + GAP)) for n in range(count)]


def cone(paper, origin, size, corner, cell, target, side):
    """Mark a window of a picture and the cell that is made of it, with lines between them."""
    left, top = corner[0] + origin[1] * cell, corner[1] + origin[0] * cell
    paper.box(left, top, size * cell, size * cell, ORANGE, thick=2)
    paper.line((left + size * cell, top), target, color=ORANGE, width=1)
    paper.line((left + size * cell, top + size * cell), (target[0], target[1] + side), color=ORANGE, width=1)
    paper.box(*target, side, side, ORANGE, thick=2)


def picture():
    """Draw the digit, the maps of each stage, and the answer."""
    found = trace(load(DIGITS), mnist.load_data()[1][0][NUMBER : NUMBER + 1])
    paper = Picture(720, 310)
    image, answers = found.input[0, 0], found.output[0]
    places = [[(6, MIDDLE - 14 * 4.5)]]
    paper.image(*places[0][0], image, 4.5)
    for layer, left, cell in COLUMNS:
        maps = found[layer].output[0]
        places.append(corners(left, cell, maps))
        for corner, values in zip(places[-1], maps, strict=True):
            paper.image(*corner, values, cell, np.abs(maps).max())
    # the window of one value after the pooling: 2 x 2 windows of 5 x 5 pixels, side by side, and so on
    sides = (4.5, *(cell for _, _, cell in COLUMNS))
    spots = ((5, 5), (2, 2), (1, 1))
    scales, windows = (2, 2, 1), (6, 4, 3)
    for n, (spot, scale, window) in enumerate(zip(spots, scales, windows, strict=True)):
        which = 0 if n == 0 else 1
        corner = places[n][which]
        chosen = places[n + 1][1 if n < 2 else 0]
        target = chosen[0] + spot[1] * sides[n + 1], chosen[1] + spot[0] * sides[n + 1]
        cone(paper, (spot[0] * scale, spot[1] * scale), window, corner, sides[n], target, sides[n + 1])
    best = int(answers.argmax())
    for label, share in enumerate(answers):
        y = MIDDLE + (label - 4.5) * 23
        color, is_best = (ORANGE, True) if label == best else (INK, False)
        paper.text(572, y, str(label), color, SIZE, bold=is_best)
        if share > 0.01:
            paper.box(588, y - 7, 76 * share, 14, color, fill=color, thick=0)
            paper.text(594 + 76 * share, y, f"{100 * share:.0f} %", color, SIZE, "start", bold=is_best)
    paper.arrow((530, MIDDLE), (558, MIDDLE))
    words = (("picture", 69), (f"{len(found[3].output[0])} maps", 219))
    words += ((f"{len(found[7].output[0])} maps", 373), (f"{len(found[10].output[0])} maps", 490))
    for text, x in (*words, ("answer", 616)):
        paper.text(x, 292, text, size=SIZE)
    return paper


def main():
    """Write the picture."""
    PLACE.write_text(str(picture()), encoding="utf-8")


if __name__ == "__main__":
    main()
