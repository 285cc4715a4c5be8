"""Keras models (.keras, .h5) become networks.

A model that Keras saved becomes a network: its config says which layers, its HDF5 file which weights.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.hdf5 import Group, Variable, opened
from purecnn.formats.hdf5_bounds import MAGIC
from purecnn.formats.regular_files import open_regular
from purecnn.interop.keras.config import Config, is_old, number, sample_shape
from purecnn.interop.keras.layers import Translated, in_new_words, translate
from purecnn.interop.keras.layouts import parts
from purecnn.interop.keras.weights import (
    CONFIG,
    KERAS,
    MAX_DEPTH,
    METADATA,
    Path,
    layer_names,
    legacy_variables,
    member,
    numbered,
    read_all,
    told,
    weights_of,
)
from purecnn.interop.matching import short
from purecnn.layers.base import Layer
from purecnn.layers.file_checks import check_shape
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.serialization import MAX_LAYERS
from purecnn.layers.shapes import NamedShape
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network

#: Characters of a config.
MAX_CONFIG = 10_000_000
#: Classes that are made of layers.
MODELS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True)
class Entry:
    """One layer of a config, those that are models opened up.

    Attributes
    ----------
    kind, name : str
        Its class and its name.
    config : dict
        Its arguments.
    path : tuple of str
        Where Keras 3 keeps its arrays: the names of the groups, below ``layers`` each.
    """

    kind: str
    name: str
    config: Config
    path: tuple[str, ...]

    @property
    def label(self) -> str:
        """What a message calls it."""
        return f"layer {short(repr(self.name))}, {short(self.kind)},"


@dataclass
class Built:
    """What a config was turned into.

    Attributes
    ----------
    layers : list of Layer
        Bound, without arrays.
    input_shape : tuple of int
        Of one sample, channels first.
    preprocessing : Preprocessing
        Of ``Rescaling`` at the beginning.
    sources : list
        The entries that hold arrays, each with what it became.
    """

    layers: list[Layer] = field(default_factory=list)
    input_shape: Shape = ()
    preprocessing: Preprocessing = field(default_factory=lambda: Preprocessing(kind="numbers"))
    sources: list[tuple[Entry, Translated]] = field(default_factory=list)


@explained
def load_keras(path: Path) -> Network:
    """Build a network from a model that Keras saved, with its weights; it gives the same outputs.

    Needs h5py, which the extra ``keras`` brings; Keras itself is not needed.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file, or an ``.h5`` file with a whole model. A ``Sequential`` model, or a functional one
        that is a chain; models inside of it too.

    Returns
    -------
    Network
        It takes images with the channels first, ``(n, C, H, W)``, and can be trained further. ``Rescaling``
        at the beginning becomes its preprocessing; without one it takes numbers as they are, and refuses
        bytes.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds a layer that has no counterpart here; the message names both the
        class and the layer.
    MissingExtraError
        If h5py is not installed.
    OSError
        If the file can't be opened.

    Notes
    -----
    A ``SeparableConv2D`` becomes a depthwise convolution and one of 1 x 1. What acts in training alone and
    draws (``RandomFlip``, ``GaussianNoise``) is left out: `Augmentation` does such things here. The
    optimizer's state and the loss stay behind. No code in the file is run: a ``Lambda`` is refused.
    """
    with told(path):
        try:
            return read(path)
        except (FileFormatError, ShapeError):
            raise
        # What layers say about their arguments comes in these.
        except (ArithmeticError, TypeError, ValueError) as error:
            raise FileFormatError(f"the model in it can't be built here: {error!s:.500}") from None


def read(path: Path) -> Network:
    """Return the network of a file; errors do not name it yet."""
    with open_regular(path, KERAS, "hdf5", "keras", "zip") as whole:
        zipped = whole.read(8) != MAGIC
        config = member(whole, CONFIG).decode("utf-8", "replace") if zipped else ""
        version = stated_version(whole) if zipped else ""
    with weights_of(path) as file, opened(file) as root:
        if not zipped:
            config = "".join(root.texts("model_config") or [])
            if not config:
                raise FileFormatError(
                    "holds weights alone, no layers: build the network and give both to load_keras_weights"
                )
            version = "".join(root.texts("keras_version") or [])
        built = build(entries(parsed(config)), version)
        size = file.seek(0, 2)
        wanted = sum(math.prod(s) for layer in built.layers for s in layer.parameter_shapes().values())
        if 2 * wanted > size:
            raise FileFormatError(
                f"its layers want {wanted} values, which {size} bytes of weights can't hold"
            )
        home = root.group("model_weights") or root
        given = {id(entry): arrays(home, entry) for entry, _ in built.sources}
        return filled(built, given)


def filled(built: Built, given: Mapping[int, list[Variable]]) -> Network:
    """Return the network, its layers with their arrays."""
    places = {id(part.layer): part for part in parts(built.layers)}
    every = [v.held.dtype for variables in given.values() for v in variables]
    dtype = np.result_type(np.float32, *every) if every else np.dtype(np.float32)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    for entry, translated in built.sources:
        variables = given[id(entry)]
        if len(variables) != len(translated.variables):
            raise FileFormatError(
                f"{entry.label} has {len(variables)} arrays, wanted {', '.join(translated.variables)}"
            )
        named = dict(zip(translated.variables, variables, strict=True))
        for place, layer in enumerate(translated.layers):
            if (part := places.get(id(layer))) is None:
                continue
            part.label = entry.label.rstrip(",")
            own = {ours: named[theirs] for ours, theirs in translated.of(place).items()}
            shapes = layer.parameter_shapes()
            for name, array in read_all(part, own, dtype).items():
                (layer.parameters if name in shapes else layer.buffers)[name] = array
    return Network(
        built.layers,
        input_shape=NamedShape(built.input_shape),
        dtype=dtype,
        preprocessing=built.preprocessing,
    )


def stated_version(file: IO[bytes]) -> str:
    """Return which version of Keras says that it wrote a ``.keras`` file."""
    found = parsed(member(file, METADATA).decode("utf-8", "replace")).get("keras_version")
    if not isinstance(found, str) or not re.match(r"\d+\.", found):
        raise FileFormatError(
            f"{METADATA} states the version {found!r:.60} of Keras, wanted such as '3.10.0'"
        )
    return found


def arrays(home: Group, entry: Entry) -> list[Variable]:
    """Return what a file holds of one layer, in order."""
    if layer_names(home) is not None:
        if len(entry.path) > 1:
            raise FileFormatError(
                f"{entry.label} lies in a model within a model, which .h5 files do not keep apart: a .keras "
                f"file is wanted"
            )
        return [variable for _, variable in legacy_variables(home, entry.name)]
    group: Group | None = home
    for step in entry.path:
        inside = group.group("layers") or group.group("_layer_checkpoint_dependencies") if group else None
        group = inside.group(step) if inside else None
    if group is None:
        raise FileFormatError(f"{entry.label} has no arrays in the file, in {'/'.join(entry.path)!r:.100}")
    return numbered(group)


def parsed(text: str) -> dict[str, Any]:
    """Return a config's JSON object."""
    if len(text) > MAX_CONFIG:
        raise FileFormatError(f"its config takes {len(text)} characters, wanted at most {MAX_CONFIG}")
    try:
        found = json.loads(text)
    except (RecursionError, ValueError) as error:
        raise FileFormatError(f"its config is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise FileFormatError(f"its config is {found!r:.100}, wanted an object")
    return found


def entries(model: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Yield a model's layers from input to output, in place of each model inside its layers."""
    kind, config = model.get("class_name"), model.get("config")
    if kind not in MODELS:
        raise FileFormatError(f"its model is a {kind!r:.60}, wanted one of {', '.join(MODELS)}")
    listed = config.get("layers") if isinstance(config, dict) else config  # a list in the oldest files
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_LAYERS or len(path) > MAX_DEPTH:
        raise FileFormatError(
            f"its model has layers {listed!r:.60}, wanted a list of 1 to {MAX_LAYERS} layers"
        )
    used: dict[str, int] = {}
    groups = []
    for layer in listed:
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            raise FileFormatError(
                f"its model has the layer {layer!r:.100}, wanted an object with a class_name"
            )
        if not isinstance(layer.get("config"), dict | list):
            raise FileFormatError(f"its layer {layer['class_name']!r:.60} has no config, wanted an object")
        snake = snake_case(layer["class_name"])
        used[snake] = used.get(snake, -1) + 1
        groups.append(f"{snake}_{used[snake]}" if used[snake] else snake)
    order = range(len(listed)) if kind == "Sequential" else chain(listed)
    for k in order:
        layer, own = listed[k], (*path, groups[k])
        kind, config = layer["class_name"], layer["config"]
        if kind in MODELS:
            yield from entries(layer, own)
            continue
        name = config.get("name", layer.get("name", "")) if isinstance(config, dict) else ""
        if layer.get("registered_name") not in (None, kind) or not isinstance(config, dict):
            kind = str(layer.get("registered_name", kind))
        yield Entry(kind, str(name), config if isinstance(config, dict) else {}, own)


def snake_case(name: str) -> str:
    """Return what Keras calls a group of a class: ``conv2d``, ``p_re_lu``."""
    name = re.sub(r"\W+", "", name[:200])
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def chain(listed: list[dict[str, Any]]) -> list[int]:
    """Return the order of a functional model's layers, each of which must feed one other."""
    names = {str(layer.get("name")): k for k, layer in enumerate(listed)}
    behind: dict[int, int] = {}
    starts = []
    for k, layer in enumerate(listed):
        label = f"layer {short(repr(layer.get('name')))}, {short(layer['class_name'])},"
        nodes = layer.get("inbound_nodes", [])
        if not isinstance(nodes, list) or len(nodes) > 1:
            raise FileFormatError(f"{label} is used more than once, wanted a chain of layers")
        sources = [name for node in nodes for name in inputs(node)]
        if not sources:
            starts.append(k)
            continue
        if len(sources) > 1 or sources[0] not in names:
            raise FileFormatError(
                f"{label} has {len(sources)} inputs, wanted a chain of layers, of one input each"
            )
        before = names[sources[0]]
        if before in behind:
            raise FileFormatError(
                f"layer {short(repr(sources[0]))} feeds two layers, {label} one of them; wanted a chain"
            )
        behind[before] = k
    order = starts[:1]
    while order and order[-1] in behind and len(order) <= len(listed):
        order.append(behind[order[-1]])
    if len(order) != len(listed) or len(starts) != 1:
        raise FileFormatError(
            f"its model has {len(starts)} inputs, and {len(order)} of its {len(listed)} layers follow on the "
            f"first; wanted a chain of layers"
        )
    return order


def inputs(node: Any) -> list[str]:
    """Return the names of the layers that one node of a functional config takes its inputs from."""
    found: list[str] = []
    waiting = [node]
    for _ in range(1000):
        if not waiting:
            return found
        item = waiting.pop()
        if isinstance(item, dict):
            history = (
                item.get("config", {}).get("keras_history") if isinstance(item.get("config"), dict) else None
            )
            if isinstance(history, list) and history:
                found.append(str(history[0]))
            else:
                waiting += item.values()
        elif isinstance(item, list) and item and isinstance(item[0], str):
            found.append(item[0])  # as Keras 2 has it: [name, node, tensor, arguments]
        elif isinstance(item, list):
            waiting += item
    raise FileFormatError("its model has a layer with hundreds of inputs, wanted a chain of layers")


def build(layers: Iterator[Entry], version: str) -> Built:
    """Return the layers here of a config's, bound one after the other to the input's shape."""
    built = Built()
    shape: Shape = ()
    for place, entry in enumerate(layers):
        if place > MAX_LAYERS:
            raise FileFormatError(f"its model has more than {MAX_LAYERS} layers, wanted at most as many")
        try:
            if entry.kind == "InputLayer" or not shape:
                found = sample_shape(entry.config)
                if shape and found not in (None, shape):
                    raise FileFormatError(f"takes samples of shape {found}, and gets {shape}")
                if not shape:
                    if found is None:
                        raise FileFormatError("comes first and has no batch_shape, wanted the input's shape")
                    shape = built.input_shape = check_shape("its input", found)
            if entry.kind == "InputLayer":
                continue
            if entry.kind == "Rescaling":
                rescale(entry.config, built)
                continue
            config = in_new_words(entry.config) if is_old(version) else entry.config
            translated = translate(entry.kind, config, shape)
            for layer in translated.layers:
                shape = check_shape("its output", layer.bind(shape))
                if entry.config.get("trainable") is False:
                    layer.trainable = False
        except (ArithmeticError, TypeError, ValueError) as error:
            raise FileFormatError(f"{entry.label} {error!s:.500}") from None
        built.layers += translated.layers
        if translated.variables:
            built.sources.append((entry, translated))
    if not built.layers:
        raise FileFormatError("its model has no layers that compute, wanted at least 1")
    return built


def rescale(config: Config, built: Built) -> None:
    """Take a ``Rescaling`` into the preprocessing."""
    if built.layers:
        raise FileFormatError(
            "stands behind other layers, wanted at the beginning, where it is preprocessing"
        )
    scale, offset = number(config, "scale"), number(config, "offset", 0.0)
    before = built.preprocessing
    built.preprocessing = Preprocessing(before.scale * scale, before.shift * scale + offset, "any")
