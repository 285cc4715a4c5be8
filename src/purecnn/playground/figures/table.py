"""The table of all live figures, and the reply to a page that shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from purecnn.playground.figures.attributions import saliency
from purecnn.playground.figures.blocks import normalization, residual
from purecnn.playground.figures.charts import initialization, overfitting
from purecnn.playground.figures.descents import descent, optimizers
from purecnn.playground.figures.losses import cross_entropy, softmax
from purecnn.playground.figures.memory import memory, unrolling
from purecnn.playground.figures.neurons import neuron, xor
from purecnn.playground.figures.passes import backpropagation
from purecnn.playground.figures.sizes import sizes
from purecnn.playground.figures.windows import convolution, edges, pooling

#: In the order of the chapters.
EVERY = (
    *(neuron, xor, descent, backpropagation, convolution, edges, pooling),
    *(softmax, cross_entropy, optimizers),
    *(overfitting, initialization, normalization, residual, saliency, memory, unrolling, sizes),
)

#: By name, which is that of the still picture in the documents.
FIGURES = {each.name: each for each in EVERY}


def reply(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a figure as a page asks for it: its ``figure``, a name in `FIGURES`, and its ``values``.

    Raises
    ------
    ValueError
        If there is no such figure, or a value may not be chosen.

    Examples
    --------
    >>> reply({"figure": "neuron", "values": {"bias": 2}})["says"]
    'z = 1, and its sigmoid p = 0.731'
    """
    name = asked.get("figure")
    if not isinstance(name, str) or name not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {name!r:.40}")
    return FIGURES[name].live(asked.get("values", {}))
