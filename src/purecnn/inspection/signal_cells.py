"""The receptive field of one cell of a layer of signals: that of its layer of images, without the row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.inspection.cells import Cell, explain
from purecnn.layers.signals.base import SignalLayer


@explain.register
def _(layer: SignalLayer, input: Array, output: Array, place: tuple[int, ...], sample: int) -> Cell:
    """What the layer of images of one row looks at, without the row."""
    images = output[:, :, np.newaxis] if output.ndim == 3 else output
    where = (place[0], 0, *place[1:]) if output.ndim == 3 else place
    cell = explain(layer.image_layer, input[:, :, np.newaxis], images, where, sample)
    row: Any = (..., 0, slice(None)) if cell.window.ndim > 1 else ...
    return replace(
        cell,
        layer=type(layer).__name__,
        place=place,
        window=cell.window[row],
        origin=(cell.origin[0], *cell.origin[2:]),
        weights=None if cell.weights is None else cell.weights[row],
        winner=cell.winner and cell.winner[1:],
        step=cell.step and (cell.step[0], *cell.step[2:]),
    )
