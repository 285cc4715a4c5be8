"""Image sizes: what to say of samples that a network does not take."""

from __future__ import annotations

from purecnn.backend.types import Shape
from purecnn.datasets.data_path import holds_pictures
from purecnn.networks import zoo


def unfit(data: str, network: str, shape: Shape) -> str:
    """Return the sentence on samples of a shape that a network does not take, and what to do.

    Parameters
    ----------
    data : str
        Name of a data set, or a path to one.
    network : str
        Name of the network.
    shape : tuple of int
        Of one sample: channels, height, width.
    """
    words = f"rows of {shape[-1]} numbers are no images"
    if len(shape) == 3:
        words = f"images of {shape[1]} x {shape[2]} are too small"
    enlarged = ""
    if holds_pictures(data):
        sides = range(max(shape[1:]) + 1, 65)
        least = next((side for side in sides if zoo.takes(network, (shape[0], side, side))), 65)
        enlarged = f"--image-size {least} enlarges them, and "
    return f"{data}: {words} for the network {network}: {enlarged}--network dense takes any"
