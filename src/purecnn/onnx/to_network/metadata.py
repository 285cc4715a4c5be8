"""What a file's metadata say of a network, where purecnn wrote it: names of classes, preparation, task."""

from __future__ import annotations

import json

import numpy as np

from purecnn.backend.checks import choice
from purecnn.backend.types import Shape
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.losses.tasks import Task, as_task
from purecnn.onnx.runtime import Runtime


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
