"""Live figures of memory: where the numbers of a batch and of a window lie."""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.playground.figures.figure import Slider, figure
from purecnn.playground.figures.svg import BLUE, ORANGE, Picture, shade


@figure(
    count=Slider("Images in the batch", 3, 1, 6, 1),
    step=Slider("Every so many pixels one is marked", 2, 1, 4, 1),
)
def memory(count: int, step: int) -> Picture:
    """Images of four pixels in memory, the batch first and last, some pixels marked."""
    paper, side = Picture(470, 196), 456 / (4 * count)
    images = np.arange(count)[:, np.newaxis] + np.zeros(4)  # whose pixel it is
    pixels = np.arange(4) + np.zeros((count, 1))
    marked = np.zeros((count, 4), bool)
    marked[:, ::step] = True
    told = []
    for top, words, batch_is_last in ((30, "batch first", False), (126, "batch last", True)):

        def lay(array: Array, batch_is_last: bool = batch_is_last) -> Array:
            return np.asarray(array.T if batch_is_last else array).ravel()

        paper.text(6, top - 16, words, anchor="start")
        shades = (shade(1, 1.3), shade(-1, 1.6), shade(1, 4), shade(-1, 4), shade(1, 2), shade(-1, 2.6))
        for place, (image, pixel) in enumerate(zip(lay(images), lay(pixels), strict=True)):
            paper.box(6 + place * side, top, side, 38, thick=0.75, fill=shades[int(image)])
            name = f"{'abcdef'[int(image)]}{int(pixel)}"
            paper.text(6 + (place + 0.5) * side, top + 19, name, "#1c1c1c", 12 if side < 30 else None)
        ends = np.flatnonzero(np.diff([False, *lay(marked), False])).reshape(-1, 2)
        for start, end in ends:
            paper.line((9 + start * side, top + 46), (3 + end * side, top + 46), color=ORANGE, width=5)
        runs = "1 run" if len(ends) == 1 else f"{len(ends)} runs"
        told.append(f"{words} in {runs}")
    paper.says = f"What is marked lies {', '.join(told)}."
    return paper


@figure(width=Slider("Width of the window", 2, 1, 3, 1))
def unrolling(width: int) -> Picture:
    """An image of 4 x 4 unrolled for a square window, the matrices of two output rows marked."""
    image, columns = np.arange(1.0, 17).reshape(4, 4), 5 - width
    unrolled = np.stack([image[:, first : first + columns] for first in range(width)], axis=1)
    unrolled = unrolled.reshape(4 * width, columns)
    says = f"Of 16 pixels the copy has {unrolled.size}; an output row is made of {width * width} rows of it."
    paper, side = Picture(470, 268, says), 28
    tall = 224 / (4 * width)
    paper.grid(10, 64, image, side, 24)
    paper.text(66, 200, "image")
    paper.arrow((136, 120), (188, 120))
    paper.grid(204, 8, unrolled, side, 24, 12 if tall < 20 else None, tall)
    paper.text(204 + side * columns / 2, 252, "unrolled")
    right = 204 + side * columns + 8
    for row, color, left in ((0, ORANGE, right), (1, BLUE, right + 16)):
        top, end = 8 + row * width * tall, 8 + (row + width) * width * tall
        corners = ((left, top + 2), (left + 8, top + 2), (left + 8, end - 2), (left, end - 2))
        paper.line(*corners, color=color, width=2.5)
        paper.text(
            left + 18, top + (1.2 + 1.6 * row) * 28, f"for output row {row}", color, anchor="start", size=13
        )
    return paper
