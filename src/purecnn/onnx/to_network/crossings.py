"""Paths that cross: the values still wanted go on side by side in a vector, and layers take theirs out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from purecnn.backend.types import Shape
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import composite
from purecnn.layers.reshape import Flatten
from purecnn.layers.spatial.padding import Cropping
from purecnn.onnx.to_network.finder import LayerFinder, Step, Woven, refuse
from purecnn.onnx.to_network.layout import Layout, rename


class Maker(Protocol):
    """What makes layers of steps: the builder."""

    finder: LayerFinder

    def bind(self, layers: list[Layer], shape: Shape, step: Step | None = None) -> Shape:
        """Bind layers one after another; return the shape behind them."""

    def build(
        self, steps: list[Step], layout: Layout, before: Sequence[Layer] | None = None
    ) -> tuple[list[Layer], Layout]:
        """Return the layers of some steps, and how samples lie behind them."""

    def merged(
        self, step: Woven, merge: str, made: list[tuple[list[Layer], Layout]], value: str = ""
    ) -> tuple[list[Layer], Layout]:
        """Return the layer that merges paths whose layers are made, and how samples lie behind it."""


def shape_of(held: Mapping[str, Layout]) -> Shape:
    """Return the shape of the array that holds values: one as it is, or several as stretches of a vector."""
    shapes = [layout.held for layout in held.values()]
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def taken(held: Mapping[str, Layout], value: str, flat: bool = False) -> list[Layer]:
    """Return the layers that take one value out of that array, as a vector if it is to be `flat`."""
    shape = held[value].held
    size = math.prod(shape)
    if len(held) == 1:
        return [Flatten()] if flat and len(shape) > 1 else []
    names = list(held)
    start = sum(math.prod(held[name].held) for name in names[: names.index(value)])
    (whole,) = shape_of(held)
    # an image of one channel, each of whose rows is a number: what is cut is a view
    cut = Cropping(((start, whole - start - size), (0, 0)))
    return [*rename((whole,), (1, whole, 1)), cut, *rename((1, size, 1), (size,) if flat else shape)]


def woven(builder: Maker, step: Woven, layout: Layout, before: Sequence[Layer]) -> tuple[list[Layer], Layout]:
    """Return the layers of paths that cross: each makes a vector of the values held and the next one."""
    finder = builder.finder
    held = {step.start: layout}
    last = {source: place for place, segment in enumerate(step.segments) for source in segment.sources}
    layers: list[Layer] = []
    for place, segment in enumerate(step.segments):
        whole = shape_of(held)
        runs = [(taken(held, source), held[source]) for source in segment.sources]
        for path, _ in runs:
            builder.bind(path, whole, step)
        if segment.steps:
            path, behind = runs[0]
            more, after = builder.build(segment.steps, behind, [*before, *layers, *path])
            path = [*path, *more]
        else:
            merge = finder.merges.get(segment.value)
            if merge is None:
                call = finder.makers[segment.value]
                refuse(
                    call, f"{len(segment.sources)} of its inputs depend on the network's, and it merges none"
                )
            path, after = builder.merged(step, merge, runs, segment.value)
            after = replace(after, held=builder.bind(path, whole, step))
        kept = [value for value in held if last.get(value, -1) > place]
        if kept:
            ends = [*path, *([Flatten()] if len(after.held) > 1 else [])]
            path = [composite("concatenate", [*(taken(held, value, flat=True) for value in kept), ends])]
            builder.bind(path, whole, step)
        layers += path
        held = {**{value: held[value] for value in kept}, segment.value: after}
    return layers, held[step.value]
