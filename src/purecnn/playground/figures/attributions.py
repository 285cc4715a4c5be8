"""The live figure of what an answer hangs on: the network of digits that is part of this package is read."""

from __future__ import annotations

from functools import cache

from purecnn.inspection.attribution import grad_cam_maps, saliency_maps
from purecnn.inspection.traces import trace
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.playground.figures.figure import Choice, Slider, figure
from purecnn.playground.figures.svg import Picture
from purecnn.playground.figures.windows import DIGITS as COUNT
from purecnn.playground.figures.windows import digits
from purecnn.runs.model_path import DIGITS


@cache
def reader() -> Network:
    """Return the network of digits that is part of this package."""
    return load(DIGITS)


@figure(
    number=Slider("Which test digit", 0, 0, COUNT - 1, 1),
    asked=Choice("Asked about", "its answer", ("its answer", *"0123456789")),
)
def saliency(number: int, asked: str) -> Picture:
    """A digit, its saliency and its Grad-CAM."""
    images, labels = digits(1)
    image, network = images[number : number + 1], reader()
    answer = int(network.predict(image, threads=1)[0].argmax())
    output = answer if asked == "its answer" else int(asked)
    found = trace(network, image, outputs=[output])
    paper, side = Picture(470, 178), 5.2
    paper.says = (
        f"A {labels[number]}, which the network takes for a {answer}: where its score of {output} hangs on"
    )
    for left, values, words in (
        (4, found.input[0, 0], f"a {labels[number]}"),
        (164, saliency_maps(found)[0], f"saliency of {output}"),
        (319, grad_cam_maps(found)[0], f"Grad-CAM of {output}"),
    ):
        paper.image(left, 4, values, side)
        paper.text(left + 73, 166, words)
    return paper
