"""The inside of a network as a page is told of it: which layer follows which, and what made a cell."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.inspection.receptive_fields import receptive_fields
from purecnn.inspection.traces import LayerTrace, Trace
from purecnn.layers.base import Layer

#: Numbers of one cell's window that are told; of more, those with the largest products.
MOST_NUMBERS = 1024


def graph(layers: Sequence[LayerTrace], places: dict[str, int]) -> list[Any]:
    """Return a network's layers as they follow each other, one with branches as an object that holds these.

    Parameters
    ----------
    layers : sequence of LayerTrace
        One behind another.
    places : dict of str to int
        The number that stands for each layer, by its name.

    Returns
    -------
    list
        Of the numbers; of a layer with branches ``{"branches": [...], "join": number, "merge": ...}``, whose
        branches are such lists again. One of a single branch follows it as any layer would.
    """
    told: list[Any] = []
    for one in layers:
        branches = [graph(branch, places) for branch in one.branches]
        if len(branches) > 1:
            merge = getattr(one.layer, "merge", "")
            told.append({"branches": branches, "join": places[one.name], "merge": merge})
        else:
            told += [*(branches[0] if branches else []), places[one.name]]
    return told


def rule(layer: Layer) -> str:
    """Return the formula that the first line of a layer's description has, "" without one.

    Examples
    --------
    >>> from purecnn import ReLU
    >>> rule(ReLU())
    'y = max(x, 0)'
    """
    found = re.match(r"[^`\n]*``(y = [^`]+)``", inspect.getdoc(type(layer)) or "")
    return found[1] if found else ""


def cell_told(found: Trace, one: LayerTrace, place: Sequence[int], places: dict[str, int]) -> dict[str, Any]:
    """Return what one cell was made of, as numbers and lists.

    Parameters
    ----------
    found : Trace
        Of one sample.
    one : LayerTrace
        The cell's layer.
    place : sequence of int
        Of the cell: map, row and column, or one number.
    places : dict of str to int
        The number that stands for each layer, by its name; that of the input, -1, is under "".

    Raises
    ------
    IndexError, TypeError
        If there is no such cell.
    """
    cell = one.cell(*place)
    told = {
        "layer": places[one.name],
        "kind": cell.layer,
        "place": list(cell.place),
        "output": cell.output,
        "total": cell.total,
        "bias": cell.bias,
        "addend": cell.addend,
        "copied": cell.is_copy,
        "origin": list(cell.origin),
        "winner": cell.winner and list(cell.winner),
        "shape": list(cell.window.shape),
        "size": int(cell.window.size),
        "input": list(one.input.shape[1:]),
        # where it looks, in each layer before it and in the input
        "fields": [
            [places[name], [list(side) for side in box]]
            for name, box in receptive_fields(found, one.name, place).items()
        ],
    }
    arrays = {
        "window": cell.window,
        "weights": cell.weights,
        "products": cell.products,
        "exponentials": cell.exponentials,
    }
    if cell.exponentials is not None:
        told["powers"] = float(cell.exponentials.sum(dtype=np.float64))
    flat = {name: None if array is None else np.reshape(array, -1) for name, array in arrays.items()}
    if cell.window.size > MOST_NUMBERS:
        by = np.abs(cell.window if cell.products is None else cell.products).reshape(-1)
        top = np.argsort(-by, kind="stable")[:MOST_NUMBERS]
        told["numbers"] = top.tolist()
        flat = {name: None if array is None else array[top] for name, array in flat.items()}
    lists = {name: None if array is None else array.astype(float).tolist() for name, array in flat.items()}
    return {**told, **lists}
