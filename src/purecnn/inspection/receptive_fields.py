"""Receptive fields through all layers: which part of each output before, and of the input, made a cell."""

from __future__ import annotations

from collections.abc import Sequence

from purecnn.backend.types import Array
from purecnn.inspection.traces import LayerTrace, Trace

#: From where to where, exclusive, along each axis of one sample.
Box = tuple[tuple[int, int], ...]


def receptive_fields(found: Trace, name: str, place: Sequence[int], sample: int = 0) -> dict[str, Box]:
    """Return the part of each layer's output that one cell of a later layer was made of.

    A part is the smallest box around all that counts: of windows one behind another, those of its first and
    its last cell span it, and of branches the box is around all. A dilated window that begins in a padding
    is cut at the edge, between two of its values.

    Parameters
    ----------
    found : Trace
        What `trace` kept.
    name : str
        Of the cell's layer, as in `LayerTrace.name`.
    place : sequence of int
        Of the cell: map, row and column, or one number.
    sample : int
        Of which sample.

    Returns
    -------
    dict of str to tuple of (int, int)
        For each layer on the way, nearest first, from where to where, exclusive, along each axis; under
        ``""`` of the network's input. What lies in a padding alone is left out.

    Raises
    ------
    ValueError
        If there is no such layer.
    IndexError
        If it has no such cell.

    Examples
    --------
    >>> import numpy as np
    >>> from purecnn import Convolutional, MaxPooling, Network, trace
    >>> network = Network([Convolutional(kernel_size=3, depth=2), MaxPooling(2)], input_shape=(1, 8, 8))
    >>> receptive_fields(trace(network, np.zeros((1, 1, 8, 8))), "1", (1, 0, 2))
    {'0': ((1, 2), (0, 2), (4, 6)), '': ((0, 1), (0, 4), (4, 8))}
    """
    boxes: dict[str, Box] = {}
    layer = next((one for one in every(found) if one.name == name), None)
    if layer is None:
        raise ValueError(f"a layer is one of {', '.join(one.name for one in every(found))}, got {name!r}")
    layer.cell(*place, sample=sample)  # which refuses what is no cell
    start = walk_from(found.layers, name, tuple((number, number + 1) for number in place), sample, boxes)
    if start is not None:
        boxes[""] = start
    return boxes


def every(layers: Sequence[LayerTrace]) -> list[LayerTrace]:
    """Return all layers, those inside of others too."""
    return [found for one in layers for found in (one, *every(one.inside))]


def walk_from(
    layers: Sequence[LayerTrace], name: str, box: Box, sample: int, boxes: dict[str, Box]
) -> Box | None:
    """Return what of the layers' input reaches a box of the output of the one with that name."""
    for number, one in enumerate(layers):
        if one.name == name:
            return walk(layers[:number], through(one, box, sample, boxes), sample, boxes)
        for branch in one.branches:
            if any(inner.name == name for inner in every(branch)):
                return walk(layers[:number], walk_from(branch, name, box, sample, boxes), sample, boxes)
    return None


def walk(layers: Sequence[LayerTrace], box: Box | None, sample: int, boxes: dict[str, Box]) -> Box | None:
    """Return what of the layers' input reaches a box of their output, and note it for each on the way."""
    for one in reversed(layers):
        if box is None:
            return None
        boxes[one.name] = box
        box = through(one, box, sample, boxes)
    return box


def through(one: LayerTrace, box: Box, sample: int, boxes: dict[str, Box]) -> Box | None:
    """Return what of one layer's input reaches a box of its output, None where that is padding alone."""
    if one.branches:
        ends = [branch[-1].output[sample] if branch else one.input[sample] for branch in one.branches]
        parts = at_ends(getattr(one.layer, "merge", ""), ends, box)
        reached = [
            walk(branch, part, sample, boxes) for branch, part in zip(one.branches, parts, strict=True)
        ]
        return around([part for part in reached if part is not None])
    cells = [one.cell(*corner, sample=sample) for corner in ([a for a, _ in box], [b - 1 for _, b in box])]
    spans = around([cell.box for cell in cells])
    if spans is None:
        return None
    clipped = tuple(
        (max(a, 0), min(b, size)) for (a, b), size in zip(spans, one.input.shape[1:], strict=True)
    )
    return clipped if all(a < b for a, b in clipped) else None


def at_ends(merge: str, ends: Sequence[Array], box: Box) -> list[Box | None]:
    """Return what of each branch's end is in a box of what they were put together to."""
    if merge != "concatenate":  # a vector beside images has a number for each map
        return [box if end.ndim == len(box) else box[:1] for end in ends]
    parts: list[Box | None] = []
    first = 0
    for end in ends:
        a, b = (min(max(side - first, 0), len(end)) for side in box[0])
        parts.append(((a, b), *box[1:]) if a < b else None)
        first += len(end)
    return parts


def around(boxes: Sequence[Box]) -> Box | None:
    """Return the smallest box around others, None around none."""
    if not boxes:
        return None
    return tuple((min(a for a, _ in axis), max(b for _, b in axis)) for axis in zip(*boxes, strict=True))
