"""Keras models (.keras, .h5) become networks.

A model that Keras saved becomes a network: its config says which layers, its HDF5 file which weights.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.hdf5 import Group, Variable, opened
from purecnn.formats.hdf5_bounds import MAGIC
from purecnn.formats.regular_files import open_regular
from purecnn.interop.keras.builder import Built, build
from purecnn.interop.keras.graph import Entry, Opened
from purecnn.interop.keras.layouts import parts
from purecnn.interop.keras.weights import (
    CONFIG,
    KERAS,
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
from purecnn.layers.shapes import NamedShape
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network

#: Characters of a config.
MAX_CONFIG = 10_000_000


@explained
def load_keras(path: Path) -> Network:
    """Build a network from a model that Keras saved, with its weights; it gives the same outputs.

    Needs h5py, which the extra ``keras`` brings; Keras itself is not needed.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file, or an ``.h5`` file with a whole model. A ``Sequential`` model, or a functional one
        of one input and one output whose branches nest; models inside of it too.

    Returns
    -------
    Network
        It takes images with the channels first, ``(n, C, H, W)``, and can be trained further. ``Rescaling``
        at the beginning becomes its preprocessing; without one it takes numbers as they are, and refuses
        bytes.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds a layer that has no counterpart here, or branches whose paths cross; the
        message names both the class and the layer.
    MissingExtraError
        If h5py is not installed.
    OSError
        If the file can't be opened.

    Notes
    -----
    What acts in training alone and draws (``RandomFlip``, ``GaussianDropout``) is left out: `Augmentation`
    does such things here. The optimizer's state and the loss stay behind. ``Add``, ``Concatenate``,
    ``Multiply``, ``Maximum`` and ``Average`` become `Branches`, the sum of two a `Residual`, and what
    multiplies each channel by a number squeeze-and-excitation. Models may have their channels last or first.
    No code in the file is run: a ``Lambda`` is refused.
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
        built = build(Opened().steps(parsed(config)), version)
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
    places = {
        id(part.layer): part for part in parts(built.layers, plain=built.plain, is_first=built.is_first)
    }
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
        for place, layer in enumerate(translated.plain):
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
