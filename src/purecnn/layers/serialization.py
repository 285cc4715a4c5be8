"""Serialization: a network as texts and arrays, and back.

A network as texts and arrays, and back: what a model's file holds, and what is believed of it.

The arrays are the layers' parameters, under names such as ``layers.0.kernels``. The texts are JSON, most of
them: the layers and their arguments, the input shape, the preprocessing, the task. A file can come from
anywhere, so nothing is believed: only layers that `LAYERS` names are built, nothing is drawn, and no
array is taken whose shape was not worked out here.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np

from purecnn.backend.arrays import to_host
from purecnn.backend.checks import is_number
from purecnn.backend.random import as_seed
from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError
from purecnn.formats.safetensors import SEAL, parse_safetensors, read_safetensors
from purecnn.kernels.cost import FREE, MAX_TIMES
from purecnn.layers.base import Layer
from purecnn.layers.composites.nesting import MAX_DEPTH
from purecnn.layers.file_checks import (
    FORMAT,
    VERSION,
    check_classes,
    check_counts,
    check_finite,
    check_shape,
    check_texts,
    decode,
    take,
)
from purecnn.layers.footprint import MAX_BYTES, footprint
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.registry import LAYERS
from purecnn.layers.shapes import exact_shape
from purecnn.version import __version__

#: The text that makes a model's file a checkpoint, and how the names of the arrays that belong to it begin.
CHECKPOINT, STATE = "checkpoint", "checkpoint."
#: Layers in all.
MAX_LAYERS = 2000
#: Arguments of layers that say how to draw parameters, and so have no place in a file.
NOT_SAVED = {"self", "rng", "dtype"}
#: What stands in a layer's entry beside its arguments.
BESIDE = ("type", "trainable", "learning_rate_factor")


@dataclass
class Contents:
    """What a model's file says of a network; its layers are bound and hold the arrays.

    Attributes
    ----------
    layers : list of Layer
        From input to output.
    input_shape : tuple of int
        Of one sample.
    dtype : dtype
        Of the parameters.
    seed : int
        Of the network.
    preprocessing : Preprocessing
        What is done to samples first.
    task : str or None
        The task's name.
    epochs, updates : int
        How many the network was trained for.
    """

    layers: list[Layer]
    input_shape: Shape
    dtype: np.dtype[Any]
    seed: int
    preprocessing: Preprocessing
    task: str | None
    epochs: int
    updates: int

    def texts(self) -> dict[str, str]:
        """Return the texts of a file."""
        return {
            "architecture": written(self.layers),
            "dtype": str(self.dtype),
            "epochs": written(self.epochs),
            "format": FORMAT,
            "input_shape": written(self.input_shape),
            "preprocessing": written(self.preprocessing.configuration()),
            "purecnn": __version__,
            "seed": written(self.seed),
            "task": written(self.task),
            "updates": written(self.updates),
            "version": VERSION,
        }

    def check(self) -> None:
        """Refuse a seed or counts that no training has, and more or fewer names of classes than outputs."""
        as_seed(self.seed)
        check_counts(epochs=self.epochs, updates=self.updates)
        check_classes(self.preprocessing.classes, self.layers[-1].output_shape)


def describe(contents: Contents) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the texts of a network's file; raises what `save` does."""
    layers = contents.layers
    own_layers(layers)
    count, deep = sum(1 + len(layer.parts()) for layer in layers), max(map(depth, layers))
    if count > MAX_LAYERS or deep > MAX_DEPTH:
        raise ValueError(
            f"this network can't be saved: it has {count} layers, {deep} deep within others, wanted at most "
            f"{MAX_LAYERS} and {MAX_DEPTH}"
        )
    tensors = {
        f"layers.{place}.{name}": to_host(array)
        for place, layer in enumerate(layers)
        for name, array in (layer.parameters | layer.buffers).items()
    }
    texts = contents.texts()
    try:
        check_texts(texts)
        check_shape("its input", contents.input_shape)
        for place, layer in enumerate(layers):
            for part in (layer, *layer.parts()):
                check_shape(f"the output of {part}, layer {place} or inside of it,", part.output_shape or ())
        contents.check()
        for name, array in tensors.items():
            check_finite(name, array)
    except FileFormatError as error:
        raise ValueError(f"this network can't be saved: {error}") from None
    return tensors, texts


def own_layers(layers: Iterable[Layer]) -> dict[str, type[Layer]]:
    """Return the classes of layers that are not this package's, by name.

    Raises
    ------
    TypeError
        If a file can't say what such a layer is.
    """
    found: dict[str, type[Layer]] = {}
    for place, layer in enumerate(layers):
        for part in (layer, *layer.parts()):
            kind, name = type(part), type(part).__name__
            if LAYERS.get(name) is kind:
                continue
            words = f"layer {place}, {name}, can't be saved"
            if name in LAYERS or found.setdefault(name, kind) is not kind:
                raise TypeError(
                    f"{words}: another class has the same name, and a file knows classes by their names "
                    f"alone; a name of its own is wanted"
                )
            given, wanted = part.configuration(), arguments_of(kind)
            if given.keys() != wanted.keys():
                raise TypeError(
                    f"{words}: its configuration() must give the arguments of its constructor, "
                    f"{', '.join(wanted) or 'none'}, got {', '.join(given) or 'none'}"
                )
            try:
                written(given)
            except (TypeError, ValueError):
                raise TypeError(
                    f"{words}: its configuration() must give plain numbers, strings and lists, since a file "
                    f"holds no code, got {given!r:.200}: a class with these written in it is wanted"
                ) from None
    return found


def arguments_of(kind: type[Layer]) -> dict[str, inspect.Parameter]:
    """Return what a file must say to have a layer of a class made."""
    parameters = inspect.signature(kind.__init__).parameters.items()
    return {
        name: parameter
        for name, parameter in parameters
        if name not in NOT_SAVED
        and (parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name in kind.holds)
    }


def known_layers(layers: Mapping[str, type[Layer]] | None) -> dict[str, type[Layer]]:
    """Return the classes that a file may name: this package's, and those of `layers`."""
    if not isinstance(layers, Mapping | None):
        raise TypeError(f"layers must be a dict of names to classes, got {layers!r:.200}")
    for name, kind in (layers or {}).items():
        if not isinstance(kind, type) or not issubclass(kind, Layer):
            raise TypeError(
                f"layers must be a dict of names to classes of layers, got {name!r}: {kind!r:.200}"
            )
        if LAYERS.get(name, kind) is not kind:
            raise ValueError(f"layers must have names of their own, got {name!r}, a layer of this package")
    return {**LAYERS, **(layers or {})}


@contextmanager
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give errors in building what a file says the file's name."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)}: {error}") from None
    # What layers say about their arguments comes in these.
    except (ArithmeticError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{os.fspath(path)}: the network in it can't be built: {error!s:.500}"
        ) from None


def read_contents(
    path: str | os.PathLike[str],
    max_bytes: int | None = MAX_BYTES,
    layers: Mapping[str, type[Layer]] | None = None,
    *,
    data: bytes | None = None,
) -> tuple[Contents, str, dict[str, Array]]:
    """Read what a file says of a network, and a checkpoint's text, "" in a model, and arrays beside it.

    Where its bytes are given as `data`, no file is read, and the path is what errors call it.
    """
    kinds = known_layers(layers)
    tensors, texts = read_safetensors(path) if data is None else ({}, {})
    with refusing(path):
        if data is not None:
            tensors, texts = parse_safetensors(data)
        state = {name: tensors.pop(name) for name in list(tensors) if name.startswith(STATE)}
        if (CHECKPOINT in texts or state) and not {CHECKPOINT, SEAL} <= texts.keys():
            raise FileFormatError(
                "the file is damaged: a checkpoint, yet its state or its SHA-256 is missing"
            )
        contents = build(tensors, texts, kinds)
        check_footprint(contents, max_bytes)
        return contents, texts.get(CHECKPOINT, ""), state


def build(
    tensors: dict[str, Array], texts: dict[str, str], kinds: Mapping[str, type[Layer]] = LAYERS
) -> Contents:
    """Return what a file's arrays and metadata say; takes the arrays out of `tensors`."""
    check_texts(texts)
    numbers = iter(range(MAX_LAYERS))
    entries = decode(texts, "architecture", list)
    layers = [build_layer(place, entry, numbers, kinds) for place, entry in enumerate(entries)]
    if not layers:
        raise FileFormatError("its architecture has no layers, wanted at least 1")
    dtype = np.dtype(texts["dtype"])
    shape: Shape = check_shape("its input", exact_shape(decode(texts, "input_shape", list)))
    input_shape = shape
    for place, layer in enumerate(layers):
        shape = check_shape(f"the output of layer {place}, {layer},", layer.bind(shape))
        held = layer.parameters  # a Residual puts it together anew each time
        for name, wanted in layer.parameter_shapes().items():
            held[name] = take(tensors, f"layers.{place}.{name}", wanted, dtype)
        for part in layer.parts():
            check_shape(f"the output of {part}, inside of layer {place},", part.output_shape or ())
        buffers = layer.buffers
        for name, wanted in layer.buffer_shapes().items():
            kind = buffers[name].dtype if name in buffers else np.dtype(np.float64)
            stored = f"layers.{place}.{name}"
            if name not in buffers and type(layer) not in LAYERS.values() and stored in tensors:
                kind = tensors[stored].dtype  # its `begin`, which would have made it, did not run
            buffers[name] = take(tensors, stored, wanted, kind)
    if tensors:
        raise FileFormatError(f"holds the tensor {next(iter(tensors))!r:.100}, which no layer of it wants")
    contents = Contents(
        layers,
        input_shape,
        dtype,
        decode(texts, "seed", int),
        build_preprocessing(decode(texts, "preprocessing", dict)),
        decode(texts, "task", str, NoneType),
        decode(texts, "epochs", int),
        decode(texts, "updates", int),
    )
    contents.check()
    return contents


def check_footprint(contents: Contents, max_bytes: int | None) -> None:
    """Refuse a network that takes too much memory or time for one sample."""
    if max_bytes is None:
        return
    size, found = contents.dtype.itemsize, footprint(contents.layers, contents.input_shape)
    for taken, allowed, what in (
        (found.memory(size), max_bytes, "takes {} bytes on its way through the layers, wanted at most {}"),
        (found.cost(size), MAX_TIMES * max(max_bytes, FREE), "goes over {} bytes, wanted at most {}"),
    ):
        if taken > allowed:
            raise FileFormatError(f"one sample {what.format(taken, allowed)}: max_bytes of load raises it")


def depth(layer: Layer) -> int:
    """Return how deep layers lie within this one: 0 for a plain layer."""
    return max((1 + depth(part) for part in layer.inside().values()), default=0)


def build_layer(
    place: int, entry: Any, numbers: Iterator[int], kinds: Mapping[str, type[Layer]], level: int = 0
) -> Layer:
    """Return the layer that one entry of an architecture describes, itself inside of `level` others.

    `numbers` has one for each layer that a file may have.
    """
    if next(numbers, None) is None:
        raise FileFormatError(f"its architecture has more than {MAX_LAYERS} layers, wanted at most as many")
    if level > MAX_DEPTH:
        raise FileFormatError(f"layer {place} holds layers within layers, wanted at most {MAX_DEPTH} deep")
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise FileFormatError(f"layer {place} is {entry!r:.100}, wanted an object with a type")
    given = {name: value for name, value in entry.items() if name not in BESIDE}
    trainable = entry.get("trainable", True)
    if not isinstance(trainable, bool):
        raise FileFormatError(f"layer {place} has trainable {trainable!r:.100}, wanted true or false")
    factor = entry.get("learning_rate_factor", 1.0)
    if not is_number(factor) or factor <= 0:
        raise FileFormatError(
            f"layer {place} has learning_rate_factor {factor!r:.100}, wanted a number above 0"
        )
    kind = kinds.get(entry["type"])
    if kind is None:
        name = f"{entry['type']:.100}"
        own = (
            f"; load(path, layers={{{name!r}: {name}}}) reads one of your own" if name.isidentifier() else ""
        )
        raise FileFormatError(f"layer {place} is of type {name!r}, wanted one of {', '.join(LAYERS)}{own}")
    known = arguments_of(kind)
    for name in given:
        if name not in known:
            wanted = ", ".join(known) or "none"
            raise FileFormatError(
                f"layer {place}, {entry['type']}, has an argument {name!r:.100}, wanted {wanted}"
            )
    for name, parameter in known.items():
        if name not in given and parameter.default is inspect.Parameter.empty:
            raise FileFormatError(f"layer {place}, {entry['type']}, lacks its argument {name}")
    for name in kind.holds:
        if isinstance(given.get(name), list):
            given[name] = [
                [build_layer(place, one, numbers, kinds, level + 1) for one in inner]
                if isinstance(inner, list)
                else build_layer(place, inner, numbers, kinds, level + 1)
                for inner in given[name]
            ]
    raised = (ArithmeticError, TypeError, ValueError) if kind in LAYERS.values() else (Exception,)
    try:
        layer = kind.from_configuration(given)
    except raised as error:
        raise FileFormatError(f"layer {place}: {error!s:.500}") from None
    if not trainable:  # a layer made of layers would set it in all of them, also in those that are frozen
        layer.trainable = False
    if factor != 1:
        layer.learning_rate_factor = float(factor)
    return layer


def build_preprocessing(fields: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing that a file describes."""
    wanted = Preprocessing().configuration()
    if fields.keys() != wanted.keys():
        raise FileFormatError(f"its preprocessing has {list(fields)!r:.100}, wanted {', '.join(wanted)}")
    classes = fields["classes"]
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise FileFormatError(f"its classes are {classes!r:.100}, wanted a list of strings")
    return Preprocessing(**fields)


def written(value: Any) -> str:
    """Return `value` as JSON, which knows no NaN."""
    return json.dumps(value, allow_nan=False, default=described)


def described(layer: Layer) -> dict[str, Any]:
    """Return a layer's entry in an architecture: its type, its arguments and what else was set of it."""
    if not isinstance(layer, Layer):
        raise TypeError(f"{layer!r:.100} is no JSON")
    frozen = {} if layer.trainable else {"trainable": False}
    factor = layer.learning_rate_factor
    rated = {} if factor == 1 else {"learning_rate_factor": float(factor)}
    return {"type": type(layer).__name__, **layer.configuration(), **frozen, **rated}
