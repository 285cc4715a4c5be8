"""Predictions on files of pictures: which files, what a network says of each, as text, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from purecnn.backend.types import Array
from purecnn.datasets.folders import SUFFIXES, is_leftover
from purecnn.errors import FileFormatError
from purecnn.escapes import visible
from purecnn.layers.ranges import ends_in_probabilities
from purecnn.metrics.inputs import answers
from purecnn.networks.network import Network
from purecnn.networks.pictures import prepared

#: What predictions are written as.
FORMATS = ("text", "csv", "json")
#: Pictures that are looked at together.
BATCH = 256


def pictures_in(names: Sequence[str]) -> list[str]:
    """Return the files that names stand for: those of pictures in a folder, and in the folders in it.

    Raises
    ------
    FileFormatError
        If a folder holds no picture by its name.
    """
    found: list[str] = []
    for name in names:
        if not os.path.isdir(name):
            found.append(name)
            continue
        before = len(found)
        for place, folders, files in os.walk(name):
            folders[:] = sorted(one for one in folders if not is_leftover(one))
            found += [
                os.path.join(place, file)
                for file in sorted(files)
                if Path(file).suffix.lower() in SUFFIXES and not is_leftover(file)
            ]
        if len(found) == before:
            raise FileFormatError(
                f"{name}: holds no picture by its name; one that ends in {', '.join(SUFFIXES)} is wanted"
            )
    return found


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one picture.

    Attributes
    ----------
    file : str
        The picture's.
    labels : tuple of int
        The class; of a network that gives several labels, those that it gives; none of values.
    outputs : ndarray
        The network's, ``(outputs,)``.
    """

    file: str
    labels: tuple[int, ...]
    outputs: Array


def predictions(
    network: Network, files: Sequence[str], prepare: str | None, refuse: Callable[[str, Exception], None]
) -> Iterator[Prediction]:
    """Yield what a network says of pictures, in their order; `refuse` is told of those that can't be read."""
    for first in range(0, len(files), BATCH):
        names, images = [], []
        for name in files[first : first + BATCH]:
            try:
                images.append(prepared(network, name, prepare))
            except (FileFormatError, OSError) as error:
                refuse(name, error)
            else:
                names.append(name)
        if images:
            outputs = network.predict(np.stack(images)).reshape(len(images), -1)
            for name, row in zip(names, outputs, strict=True):
                yield Prediction(name, labels_of(network, row), row)


def labels_of(network: Network, outputs: Array) -> tuple[int, ...]:
    """Return the labels that one row of outputs gives, as the network's task has them."""
    if network.task == "regression":
        return ()
    if network.task == "multilabel":
        return tuple(np.flatnonzero(outputs > (0.5 if ends_in_probabilities(network) else 0.0)).tolist())
    return (int(answers(outputs[np.newaxis])[0]),)


def name_of(network: Network, label: int) -> str:
    """Return the name of a class or of an output, or its number."""
    names = network.preprocessing.classes
    return names[label] if label < len(names) else str(label)


def are_shares(network: Network) -> bool:
    """Return whether the outputs are probabilities."""
    return network.task != "regression" and ends_in_probabilities(network)


def in_a_line(network: Network, one: Prediction) -> str:
    """Return a prediction in one line: the class and its probability, the labels, or the values."""
    if network.task == "regression":
        return f"{visible(one.file)}: {', '.join(f'{value:.6g}' for value in one.outputs)}"
    names = ", ".join(visible(name_of(network, label)) for label in one.labels) or "no label"
    if network.task == "multilabel" or not are_shares(network) or len(one.outputs) == 1:
        return f"{visible(one.file)}: {names}"
    return f"{visible(one.file)}: {names}, {100 * one.outputs[one.labels[0]]:.2f} %"


def in_full(network: Network, one: Prediction) -> str:
    """Return a prediction with every output on a line of its own, and a bar where it is a probability."""
    names = [visible(name_of(network, label)) for label in range(len(one.outputs))]
    room, shares = max(3, *map(len, names)), are_shares(network)
    lines = [in_a_line(network, one).partition(", ")[0] if shares and one.labels else in_a_line(network, one)]
    for name, value in zip(names, one.outputs, strict=True):
        shown = f"{100 * value:6.2f} %" if shares else f"{value:9.4f}"
        bar = "#" * round(40 * float(value)) if shares else ""
        lines.append(f"  {name:>{room}} {shown}  {bar}".rstrip())
    return "\n".join(lines)


def as_csv(network: Network, found: Sequence[Prediction]) -> str:
    """Return predictions as a table: the file, what it shows, and a column for each output."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    width = int(np.prod(network.output_shape or ()))
    head = [] if network.task == "regression" else ["labels" if network.task == "multilabel" else "class"]
    writer.writerow(["file", *head, *(name_of(network, label) for label in range(width))])
    for one in found:
        said = [";".join(name_of(network, label) for label in one.labels)] if head else []
        writer.writerow([one.file, *said, *map(float, one.outputs)])
    return text.getvalue()


def as_json(network: Network, found: Sequence[Prediction]) -> str:
    """Return predictions as a JSON array of objects: the file, what it shows, and the outputs by name."""
    width = int(np.prod(network.output_shape or ()))
    names = [name_of(network, label) for label in range(width)]
    rows = []
    for one in found:
        row: dict[str, object] = {"file": one.file}
        if network.task == "multilabel":
            row["labels"] = [name_of(network, label) for label in one.labels]
        elif network.task != "regression":
            row["class"] = name_of(network, one.labels[0])
        rows.append(row | {"outputs": dict(zip(names, map(float, one.outputs), strict=True))})
    return json.dumps(rows, indent=1) + "\n"
