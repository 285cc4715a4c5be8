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

from purecnn.backend.types import Shape
from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.hdf5 import Variable, opened
from purecnn.formats.hdf5_bounds import MAGIC
from purecnn.formats.regular_files import open_regular
from purecnn.interop.keras.arrays import LayerArrays
from purecnn.interop.keras.builder import Built, build, told_of
from purecnn.interop.keras.fixed import MAX_FIXED
from purecnn.interop.keras.graph import Opened
from purecnn.interop.keras.layouts import parts
from purecnn.interop.keras.translated import Formed, Translated
from purecnn.interop.keras.weights import (
    CONFIG,
    METADATA,
    Path,
    member,
    read_all,
    told,
    weights_of,
)
from purecnn.layers.reshape import Flatten, Reshape
from purecnn.layers.shapes import NamedShape, ShapeLike, sample_shape
from purecnn.messages.signatures import explained
from purecnn.networks.network import Network

#: Characters of a config.
MAX_CONFIG = 10_000_000
#: How many times as many values layers may want that stand in several places.
MAX_USES = 8
#: Values of images that are flattened, which stand in another order in Keras: so many, or the weights' bytes.
MAX_MOVED = 1 << 22


@explained
def load_keras(path: Path, *, weights: Path | None = None, input_shape: ShapeLike | None = None) -> Network:
    """Build a network from a model that Keras saved, with its weights; it gives the same outputs.

    Needs h5py, which the extra ``keras`` brings; Keras itself is not needed.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file, an ``.h5`` file with a whole model, or a text file of what ``model.to_json()``
        returns. A ``Sequential`` model, or a functional one of one input and one output, whose branches may
        nest and cross; models inside of it too.
    weights : str or path-like, optional
        Where the weights are, if not in that file: a ``.weights.h5`` file of the same model, an ``.h5`` file
        of its weights, or a whole model. A text file without them gives a network whose weights are drawn.
    input_shape : tuple of int, optional
        Of one sample, the channels first, for a model that leaves sizes open: ``(3, 64, 64)`` where Keras has
        ``Input((None, None, 3))``.

    Returns
    -------
    Network
        It takes images with the channels first, ``(n, C, H, W)``, and can be trained further. ``Rescaling``
        at the beginning becomes its preprocessing; without one it takes numbers as they are, and refuses
        bytes.

    Raises
    ------
    FileFormatError
        If the file is damaged or holds a layer that has no counterpart here; the message names both the class
        and the layer.
    MissingExtraError
        If h5py is not installed.
    ValueError
        If the file leaves sizes open and `input_shape` is not given, or is another one than the file's.
    OSError
        If the file can't be opened.

    Notes
    -----
    What acts in training alone and draws (``RandomFlip``, ``GaussianDropout``) is left out: `Augmentation`
    does such things here. The optimizer's state and the loss stay behind. ``Add``, ``Concatenate``,
    ``Multiply``, ``Maximum`` and ``Average`` become `Branches`, the sum of two a `Residual`, and what
    multiplies each channel by a number squeeze-and-excitation. Models may have their channels last or first.
    No code in the file is run: a ``Lambda`` is refused.

    What no layer here does alone is made of several, the numbers that the config gives frozen:
    ``Normalization`` and a ``Rescaling`` behind other layers are a `BatchNormalization` with fixed
    statistics, ``Resizing`` a convolution along each axis, ``Permute`` a `ChannelShuffle` between reshapes. A
    layer with weights that stands in several places becomes one for each, with the same weights until they
    are trained. Where paths cross, the values that are still wanted go through `Branches` side by side, as
    stretches of a vector.
    """
    shape = None if input_shape is None else sample_shape(input_shape)
    with told(path):
        try:
            return read(path, weights, shape)
        except (FileFormatError, ShapeError):
            raise
        # What layers say about their arguments comes in these.
        except (ArithmeticError, TypeError, ValueError) as error:
            raise FileFormatError(f"the model in it can't be built here: {error!s:.500}") from None


def read(path: Path, weights: Path | None, shape: Shape | None) -> Network:
    """Return the network of a file; errors do not name it yet."""
    with open_regular(path, "a .keras, .h5 or .json file", "hdf5", "keras", "zip", "json") as whole:
        start = whole.read(8)
        whole.seek(0)
        is_text = start.lstrip()[:1] == b"{"
        if is_text:
            config = whole.read(MAX_CONFIG + 1).decode("utf-8", "replace")
            version = str(parsed(config).get("keras_version", ""))
        elif start != MAGIC:
            config, version = member(whole, CONFIG).decode("utf-8", "replace"), stated_version(whole)
        else:
            with opened(whole) as root:
                config = "".join(root.texts("model_config") or [])
                version = "".join(root.texts("keras_version") or [])
            if not config:
                raise FileFormatError(
                    "holds weights alone, no layers: build the network and give both to load_keras_weights"
                )
    model = parsed(config)
    if is_text and weights is None:
        return filled(made(model, version, shape), {})
    if weights is not None:
        with told(weights):
            return with_weights(weights, model, version, shape)
    return with_weights(path, model, version, shape)


def made(model: dict[str, Any], version: str, shape: Shape | None, size: int | None = None) -> Built:
    """Return the layers of a config, their arrays' places known, if so many bytes can hold the arrays."""
    steps = Opened().steps(model)
    built = build(steps, version, shape)
    check_size(built, size)
    try:
        built.parts = parts(built.layers, plain=built.plain, is_first=built.is_first)
    except ShapeError:
        built = build(steps, version, shape, is_turned=True)
        check_size(built, size)
        built.parts = parts(built.layers, plain=built.plain, is_first=built.is_first)
    return built


def check_size(built: Built, size: int | None) -> None:
    """Refuse layers that so many bytes of weights can't be those of, before memory is taken for them."""
    each = [(entry.path, *counts(translated)) for entry, translated in built.sources]
    wanted = sum(here for _, here, _ in each)
    stored = sum({path: there for path, _, there in each}.values())
    if size is not None and (2 * stored > size or wanted > MAX_USES * stored + MAX_FIXED):
        raise FileFormatError(
            f"its layers want {wanted} values, {stored} of them different, which {size} bytes of weights "
            f"can't hold"
        )
    every = (part for layer in built.layers for part in (layer, *layer.parts()))
    renamed = [part for part in every if isinstance(part, Flatten | Reshape) and id(part) not in built.plain]
    moved = sum(math.prod(part.input_shape or ()) for part in renamed)
    if moved > (most := max(MAX_MOVED, size or 0)):
        raise FileFormatError(
            f"it flattens images of {moved} values in all, wanted at most {most} beside {size or 0} bytes "
            f"of weights"
        )


def with_weights(path: Path, model: dict[str, Any], version: str, shape: Shape | None) -> Network:
    """Return the network of a config with the arrays of a file."""
    with weights_of(path) as file, opened(file) as root:
        built = made(model, version, shape, file.seek(0, 2))
        held = LayerArrays(root.group("model_weights") or root)
        given = {id(entry): held.of(entry, translated.counted) for entry, translated in built.sources}
        return filled(built, given)


def counts(translated: Translated) -> tuple[int, int]:
    """Return how many values a layer has here, and how many a file has of it."""
    here = sum(math.prod(shape) for layer in translated.plain for shape in layer.parameter_shapes().values())
    forms = translated.forms.values()
    return here, max(0, here + sum(math.prod(form.shape) - math.prod(form.result) for form in forms))


def filled(built: Built, given: Mapping[int, list[Variable]]) -> Network:
    """Return the network, its layers with their arrays; drawn, where none are given."""
    places = {id(part.layer): part for part in built.parts}
    every = [v.held.dtype for variables in given.values() for v in variables]
    dtype = np.result_type(np.float32, *every) if every else np.dtype(np.float32)
    dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
    for entry, translated in built.sources:
        if id(entry) not in given:
            continue
        variables = given[id(entry)]
        if len(variables) != len(translated.variables):
            raise FileFormatError(
                f"{entry.label} has {len(variables)} arrays, wanted {', '.join(translated.variables)}"
            )
        with told_of(entry):
            named = {
                name: Formed(variable, translated.forms[name]) if name in translated.forms else variable
                for name, variable in zip(translated.variables, variables, strict=True)
            }
        for place, layer in enumerate(translated.plain):
            if (part := places.get(id(layer))) is None:
                continue
            part.label = entry.label.rstrip(",")
            own = {ours: named[theirs] for ours, theirs in translated.of(place).items()}
            shapes = layer.parameter_shapes()
            for name, array in read_all(part, own, dtype).items():
                (layer.parameters if name in shapes else layer.buffers)[name] = array
    for layer in built.fixed.values():
        for name, array in layer.parameters.items():
            layer.parameters[name] = array.astype(dtype)
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
