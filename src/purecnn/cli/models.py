"""Models of any kind at the command line: what each takes and answers, and how pictures go in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.file_kinds import KINDS, START, Kind, kind_of
from purecnn.formats.pictures import picture_shape
from purecnn.formats.regular_files import open_regular
from purecnn.interop.keras.model import load_keras
from purecnn.layers import footprint
from purecnn.layers.preprocessing import Preprocessing
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.networks.pictures import framed, prepared
from purecnn.onnx import runtime
from purecnn.onnx.graph import Graph, load_onnx
from purecnn.onnx.model import Value

#: What the values of a picture become, by the name of the way: from 0 to 255; to 1; from -1 to 1; or by the
#: mean and the deviation of each colour in ImageNet, as torchvision's models want them.
PIXELS = ("bytes", "unit", "signed", "imagenet")
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Under which names programs keep the names of classes in an ONNX file.
NAMES = ("classes", "names", "labels", "class_names")
#: Bytes of a text of labels.
MAX_LABELS = 1 << 24


@dataclass(frozen=True)
class Framing:
    """How a picture becomes an array.

    Attributes
    ----------
    prepare : str or None
        One of `PREPARATIONS`; as the model says if None.
    pixels : str or None
        One of `PIXELS`; as the model says if None.
    size : tuple of int or None
        Height and width, where the model leaves them open; the picture's own if None.
    note : callable
        Is told what nothing says and was decided.
    """

    prepare: str | None
    pixels: str | None
    size: tuple[int, int] | None
    note: Callable[[str], None] = field(compare=False)


@dataclass(frozen=True)
class Model:
    """What answers.

    Attributes
    ----------
    path : Path
        Its file.
    inputs : dict of str to Value or None
        What it takes, by name; None where the model itself says what is wrong with an input.
    answer : callable
        Returns the outputs by name, of arrays by the names of the inputs, a number of threads and one of
        samples at a time.
    picture : callable
        Returns what goes in, a batch of one, of an input's name, a picture's and how it is framed.
    labels : tuple of str
        Names of what comes out.
    """

    path: Path
    inputs: Mapping[str, Value | None]
    answer: Callable[[dict[str, Array], int | None, int | None], dict[str, Any]]
    picture: Callable[[str, str, Framing], Array]
    labels: tuple[str, ...] = ()


#: Formats of models by how their names end.
ENDINGS = {".onnx": "onnx", ".keras": "keras", ".h5": "hdf5", ".pt": "pytorch", ".pth": "pytorch"}


def kind_of_file(path: Path) -> Kind | None:
    """Return the format of a model's file; that of its name, to be refused, where it holds no model."""
    with open_regular(path, "a model") as file:
        found = kind_of(file.read(START), ("onnx",))
    named = ENDINGS.get(path.suffix.lower())
    if named is None or (found is not None and found.name in (*ENDINGS.values(), "safetensors")):
        return found
    return next(kind for kind in KINDS if kind.name == named)


def open_model(path: Path, max_bytes: int | None = None) -> Model:
    """Return the model of a file: this package's, Keras's or ONNX's, with a bound on what it may take."""
    kind = kind_of_file(path)
    if kind is not None and kind.name == "onnx":
        return of_graph(path, load_onnx(path, max_bytes=max_bytes or runtime.MAX_BYTES))
    if kind is not None and kind.name in ("keras", "hdf5"):
        return of_network(path, load_keras(path))
    return of_network(path, load(path, max_bytes=max_bytes or footprint.MAX_BYTES))


def of_network(path: Path, network: Network) -> Model:
    """Return a network as a model."""

    def answer(arrays: dict[str, Array], threads: int | None, size: int | None) -> dict[str, Any]:
        return {"output": network.predict(arrays["input"], threads=threads)}

    def picture(name: str, file: str, framing: Framing) -> Array:
        if framing.pixels is not None or framing.size is not None:
            raise ValueError("--pixels and --size are for ONNX files: a network knows both itself")
        if framing.prepare is None and network.preprocessing.preparation == "unknown":
            framing.note("arrays do not tell how their pictures were prepared: each is cut and scaled")
        return prepared(network, file, framing.prepare)[np.newaxis]

    return Model(path, {"input": None}, answer, picture, network.preprocessing.classes)


def of_graph(path: Path, graph: Graph) -> Model:
    """Return an ONNX graph as a model."""
    inputs = {value.name: value for value in graph.inputs}
    stated = stated_preprocessing(graph.metadata)

    def answer(arrays: dict[str, Array], threads: int | None, size: int | None) -> dict[str, Any]:
        return dict(graph.predict(arrays, batch_size=size, threads=threads))

    def picture(name: str, file: str, framing: Framing) -> Array:
        value = inputs[name]
        shape, last = image_axes(value, file, framing)
        before = stated[0] if stated else Preprocessing()
        frame = framing.prepare or (before.preparation if stated else "crop")
        pixels = framed(file, shape, frame)[np.newaxis]
        found = scaled(pixels, value, stated, framing)
        return np.moveaxis(found, 1, -1) if last else found

    return Model(path, inputs, answer, picture, labels_in(graph.metadata))


def stated_preprocessing(metadata: Mapping[str, str]) -> tuple[Preprocessing, str] | None:
    """Return what `export_onnx` says of a network's inputs, and which of them go in; None of other files."""
    if "purecnn" not in metadata:
        return None
    try:
        said = json.loads(metadata["preprocessing"])
        return Preprocessing(**said), metadata["input"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def image_axes(value: Value, file: str, framing: Framing) -> tuple[tuple[int, int, int], bool]:
    """Return channels, height and width of the pictures that an input takes, and if channels are the last."""
    shape = value.shape or ()
    last = len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)
    channels = shape[3 if last else 1] if len(shape) == 4 else 0
    if channels not in (1, 3):
        sizes = ", ".join("?" if size is None else str(size) for size in shape)
        raise ShapeError(
            f"the input {value.name!r} has shape ({sizes}); for pictures (N, 1 or 3, height, width) or "
            f"(N, height, width, 1 or 3) is wanted: give it an array"
        )
    sides = shape[1:3] if last else shape[2:]
    fixed = [side for side in sides if isinstance(side, int)]
    given = framing.size or (fixed if len(fixed) == 2 else picture_shape(file)[1:])
    found = [side if isinstance(side, int) else other for side, other in zip(sides, given, strict=True)]
    if framing.size is not None and tuple(found) != framing.size:
        raise ShapeError(
            f"the input {value.name!r} takes pictures of {found[0]} x {found[1]}, --size is another"
        )
    return (int(channels or 0), found[0], found[1]), last


def scaled(pixels: Array, value: Value, stated: tuple[Preprocessing, str] | None, framing: Framing) -> Array:
    """Return bytes of pictures as what an input takes."""
    dtype, way = value.dtype or np.dtype(np.float32), framing.pixels
    if dtype.kind in "iu":
        if way not in (None, "bytes"):
            raise ValueError(f"--pixels {way} makes floats, and the input {value.name!r} is {dtype}")
        return pixels.astype(dtype)
    if way is None and stated is not None:
        return stated[0].apply(pixels, dtype) if stated[1] == "scaled" else pixels.astype(dtype)
    if way is None:
        framing.note("the file does not say how pixels become numbers: they are taken from 0 to 1")
    found = pixels.astype(np.float64)
    if way in (None, "unit"):
        found /= 255
    elif way == "signed":
        found = found / 127.5 - 1
    elif way == "imagenet":
        if pixels.shape[1] != 3:
            raise ShapeError(f"--pixels imagenet is for colours, and the input {value.name!r} is grey")
        means, deviations = (np.reshape(numbers, (1, 3, 1, 1)) for numbers in (MEANS, DEVIATIONS))
        found = (found / 255 - means) / deviations
    return found.astype(dtype)


# Labels -------------------------------------------------------------------------------------------------


def labels_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of classes that an ONNX file has among what it says; none where it has none."""
    for name in NAMES:
        if name in metadata and (found := parsed(metadata[name])):
            return found
    return ()


def parsed(text: str) -> tuple[str, ...]:
    """Return names that are a list or a dict by numbers, as JSON or as Python writes it; none of other text.

    Examples
    --------
    >>> parsed('["cat", "dog"]'), parsed("{0: 'cat', 1: 'dog'}"), parsed('{"0": ["n1", "cat"]}')
    (('cat', 'dog'), ('cat', 'dog'), ('cat',))
    """
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        pairs = re.findall(r"""(\d{1,9}): (?:'([^']*)'|"([^"]*)")""", text) if text.startswith("{") else ()
        held = {number: one or other for number, one, other in pairs}
    if isinstance(held, dict) and [*held] == [str(number) for number in range(len(held))]:
        held = list(held.values())
    if not isinstance(held, list):
        return ()
    names = [item[-1] if isinstance(item, list) and item else item for item in held]
    return tuple(map(str, names)) if all(isinstance(name, str | int) for name in names) else ()


def read_labels(path: str) -> tuple[str, ...]:
    """Return the names of classes in a text file: a line each, or a list or dict by numbers as JSON.

    Raises
    ------
    FileFormatError
        If it is no text, or holds none.
    """
    with open_regular(path, "a text of labels") as file:
        data = file.read(MAX_LABELS + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: is no text in UTF-8, wanted a label in each line") from None
    if len(data) > MAX_LABELS:
        raise FileFormatError(f"{path}: has more than {MAX_LABELS:,} bytes, wanted a label in each line")
    labels = parsed(text) or tuple(line.strip() for line in text.rstrip().splitlines())
    if not labels:
        raise FileFormatError(f"{path}: is empty, wanted a label in each line")
    return labels
