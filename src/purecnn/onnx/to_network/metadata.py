"""What a file says of a network as a whole: a sample's shape and, where purecnn wrote it, its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from purecnn.backend.checks import choice
from purecnn.backend.types import Shape
from purecnn.errors import ShapeError
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.layers.shapes import NamedShape, ShapeLike, check_channels, sample_shape
from purecnn.losses.tasks import Task, as_task
from purecnn.onnx.runtime import Runtime


def sample_of(graph: Runtime, given: ShapeLike | None) -> Shape:
    """Return the shape of one sample of the input: as the file has it, or as given where it is open."""
    value = graph.inputs[0] if len(graph.inputs) == 1 else None
    stated = value.shape[1:] if value and value.shape is not None else None
    if given is not None:
        named = isinstance(given, Mapping)
        shape = sample_shape(given) if named else tuple(map(int, given))  # type: ignore[arg-type]
        if stated is not None and (
            len(stated) != len(shape)
            or any(isinstance(a, int) and a != b for a, b in zip(stated, shape, strict=True))
        ):
            raise ShapeError(f"input_shape must be {stated}, as the graph has it; got {shape}")
        check_channels("input_shape", NamedShape(shape) if stated == shape else shape)
        return shape
    if value is None:
        return ()
    if stated is None or not all(isinstance(size, int) for size in stated):
        raise ShapeError(
            f"the graph leaves the shape of its input open, {value.shape}: "
            "input_shape, that of one sample, is wanted"
        )
    return tuple(size for size in stated if isinstance(size, int))


def classes(graph: Runtime, shape: Shape) -> tuple[str, ...]:
    """Return the names of the outputs, if the file has them as purecnn writes them."""
    try:
        found = json.loads(graph.metadata.get("classes", "[]"))
    except (ValueError, RecursionError):
        return ()
    named = isinstance(found, list) and all(isinstance(name, str) for name in found)
    return tuple(found) if named and len(found) == int(np.prod(shape)) else ()


def preparation(graph: Runtime) -> str:
    """Return how the pictures were prepared, if the file has it as purecnn writes it."""
    try:
        given = json.loads(graph.metadata.get("preprocessing", "{}"))["preparation"]
        return choice("preparation", given, PREPARATIONS)
    except (LookupError, TypeError, ValueError, RecursionError):
        return "unknown"


def task(graph: Runtime) -> Task | None:
    """Return the task, if the file has one as purecnn writes it.

    Raises
    ------
    ValueError
        If there is another text in its place.
    """
    try:
        return as_task(json.loads(graph.metadata.get("task", "null")))
    except RecursionError:
        return None
