"""Keras weights loaded into a network.

Weights that Keras saved, into a network of the same layers.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.checks import file_name
from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.decoding import check_packing, refused
from purecnn.formats.hdf5 import Group, Variable, opened
from purecnn.formats.hdf5_bounds import MAGIC
from purecnn.formats.regular_files import open_regular
from purecnn.interop.keras.arrays import layer_names, legacy_variables, numbered
from purecnn.interop.keras.config import MAX_DEPTH
from purecnn.interop.keras.layouts import MISSING, Part, parts
from purecnn.interop.keras.translated import Formed
from purecnn.interop.matching import Place, match, short
from purecnn.layers.base import Layer
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network

Path = str | os.PathLike[str]
#: The weights' name in a ``.keras`` file, the config's, and that of what is said of the whole.
WEIGHTS, CONFIG, METADATA = "model.weights.h5", "config.json", "metadata.json"
#: What is read here, for a sentence.
KERAS = "an HDF5 file or a .keras file"
#: How many times as large as packed a member may be; weights hardly shrink. And the bytes that are free.
MAX_RATIO, FREE_BYTES = 20, 1 << 20
#: What the files call a layer's arrays by number, for each class that has any.
NUMBERED = {
    "conv1d": ["kernel", "bias"],
    "conv2d": ["kernel", "bias"],
    "conv2d_transpose": ["kernel", "bias"],
    "dense": ["kernel", "bias"],
    "depthwise_conv1d": ["depthwise_kernel", "bias"],
    "depthwise_conv2d": ["depthwise_kernel", "bias"],
    "separable_conv2d": ["depthwise_kernel", "pointwise_kernel", "bias"],
    "p_re_lu": ["alpha"],
}
#: What normalizations have besides gamma and beta.
NORMALIZATIONS = {
    "batch_normalization": ["moving_mean", "moving_variance"],
    "group_normalization": [],
    "layer_normalization": [],
}


Variables = dict[str, Variable]


@explained
def load_keras_weights(
    network: Network | Sequence[Layer], path: Path, *, layers: Sequence[str] | None = None
) -> None:
    """Put weights that Keras saved into a network of the same layers, all of them or none.

    Needs h5py, which the extra ``keras`` brings.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape. It keeps its dtype, its preprocessing and what its layers were given.
    path : str or path-like
        A ``.weights.h5`` file, an ``.h5`` file as Keras 2 wrote them, or a ``.keras`` file.
    layers : sequence of str, optional
        The names that the file has for the layers that hold arrays (``"layers/conv2d_1"``), in the order of
        the layers here, where neither shapes nor numbers tell.

    Raises
    ------
    ShapeError
        If a layer lacks its arrays, an array its layer, or the shapes differ; the message names both.
    FileFormatError
        If the file is damaged, or a value is NaN, infinite or beyond the network's dtype.
    MissingExtraError
        If h5py is not installed.
    ValueError
        If the network has no input shape yet, or several orders fit: give `layers`.
    OSError
        If the file can't be opened.

    Notes
    -----
    Kernels are turned from ``(height, width, in, out)``, those of depthwise convolutions from ``(height,
    width, in, multiplier)``, dense weights from ``(in, out)``. Keras flattens an image with its channels
    last, so the columns of the `Dense` behind a `Flatten` are reordered, and with them what a
    `BatchNormalization` between the two holds. A missing bias is zeros.

    Not in such a file, so to be given here: Keras's ``epsilon`` of 1e-3, `BatchNormalization`'s default
    being 1e-5, its ``momentum`` (0.99 there is 0.01 here), slopes, strides and padding. `load_keras` builds
    all of it from a ``.keras`` file.
    """
    network = as_network(network)
    if network.input_shape is None:
        raise ValueError(
            "this network has no input shape yet, so the shapes of its parameters are not known: "
            "a network that was trained, used or given an input_shape is wanted"
        )
    network.sync()
    places = parts(list(network))
    with told(path), weights_of(path) as file, opened(file) as root:
        groups, ordered = groups_of(root, places)
        order = list(layers) if layers is not None else list(groups) if ordered else None
        wanted = [
            Place(part.label, "", part.wanted, frozenset(MISSING.keys() & part.wanted.keys()))
            for part in places
        ]
        shapes = {
            name: {end: variable.shape for end, variable in group.items()} for name, group in groups.items()
        }
        # What the file calls "conv2d" comes before its "conv2d_1".
        ranks = {ranked(name): name for name in groups}
        chosen = match(
            wanted,
            {ranked(name): found for name, found in shapes.items()},
            None if order is None else [ranked(name) for name in order],
            "the file",
            "layers",
        )
        values = [{end: v.read() for end, v in groups[ranks[name]].items()} for name in chosen]
        taken = [part.take(given, network.dtype) for part, given in zip(places, values, strict=True)]
    for part, arrays in zip(places, taken, strict=True):
        for name, array in arrays.items():
            held = part.layer.parameters if name in part.layer.parameters else part.layer.buffers
            held[name][...] = to_device(array, module_of(held[name]))


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Name the file in front of whatever is wrong with it."""
    file_name(path)
    try:
        yield
    except FileFormatError as error:
        if str(error).startswith(f"{os.fspath(path)}: "):
            raise
        raise FileFormatError(f"{os.fspath(path)}: {error}") from None
    except ValueError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from None


@contextmanager
def weights_of(path: Path) -> Iterator[IO[bytes]]:
    """Open the HDF5 file at `path`, or the one inside of the ``.keras`` file there."""
    with open_regular(path, KERAS, "hdf5", "keras", "zip") as file:
        start = file.read(8)
        file.seek(0)
        if start == MAGIC:
            yield file
        elif start[:4] == b"PK\x03\x04":
            yield io.BytesIO(member(file, WEIGHTS))
        else:
            raise FileFormatError(f"begins with {start!r}, wanted an HDF5 file or a .keras file")


def member(file: IO[bytes], name: str) -> bytes:
    """Return one member of a zip archive, by its whole name; nothing is written anywhere.

    Raises
    ------
    FileFormatError
        If there is none, it is damaged, or much larger than packed.
    """
    with refused("is damaged, wanted a .keras file"), zipfile.ZipFile(file) as archive:
        if name not in archive.namelist():
            raise FileFormatError(f"holds no {name}; a model that Keras 3 saved in one file is wanted")
        info = archive.getinfo(name)
        check_packing(info)
        limit = MAX_RATIO * min(info.compress_size, file.seek(0, 2)) + FREE_BYTES
        if info.file_size > limit:
            raise FileFormatError(
                f"{name} grows from {info.compress_size} bytes to {info.file_size}; at most {limit} is wanted"
            )
        with archive.open(info) as stream:
            found = stream.read(limit + 1)
        if len(found) != info.file_size:
            raise FileFormatError(f"{name} has {len(found)} bytes, wanted {info.file_size} as it states")
        return found


def groups_of(root: Group, places: Sequence[Part]) -> tuple[dict[str, Variables], bool]:
    """Return a file's arrays by layer, and whether the layers stand in the model's order."""
    legacy = root.group("model_weights") or root
    if names := layer_names(legacy):
        return legacy_groups(legacy, names, places), True
    groups: dict[str, Variables] = {}
    for name, variables in numbered_groups(root, ""):
        for end, found in split(variables).items():
            groups[f"{name}{end}"] = found
    if not groups:
        raise FileFormatError("holds no layer with arrays, wanted weights that Keras saved")
    return groups, False


def split(variables: Variables) -> dict[str, Variables]:
    """Return a layer's arrays as those of the layers that it is here: two for a separable convolution."""
    if not {"depthwise_kernel", "pointwise_kernel"} <= variables.keys():
        return {"": variables}
    second = {"kernel": variables["pointwise_kernel"]}
    second |= {"bias": variables["bias"]} if "bias" in variables else {}
    return {"/depthwise_0": {"depthwise_kernel": variables["depthwise_kernel"]}, "/pointwise_1": second}


def numbered_groups(group: Group, front: str, depth: int = 0) -> Iterator[tuple[str, Variables]]:
    """Yield the layers of a file of Keras 3 and their arrays, those of models within models too."""
    if depth > MAX_DEPTH:
        raise FileFormatError(f"holds models within models, wanted at most {MAX_DEPTH} deep")
    for home in ("layers", "_layer_checkpoint_dependencies"):
        layers = group.group(home)
        for name in layers.names() if layers else ():
            layer = layers.group(name) if layers else None
            if layer is None:
                continue
            found = numbered(layer)
            if found:
                yield f"{front}{home}/{name}", named(name, found)
            yield from numbered_groups(layer, f"{front}{home}/{name}/", depth + 1)


def named(name: str, found: Sequence[Variable]) -> Variables:
    """Return a layer's arrays by Keras's names for them, which follow from the layer's class."""
    kind = re.sub(r"_[0-9]+$", "", name)
    ends = NUMBERED.get(kind, [])
    if kind in NORMALIZATIONS:
        others = NORMALIZATIONS[kind]
        if len(found) == len(others) + 1:
            raise FileFormatError(
                f"{short(repr(name))} lacks gamma or beta, and does not say which: load_keras, which "
                f"reads a .keras file, is wanted"
            )
        ends = ["gamma", "beta", *others] if len(found) == len(others) + 2 else others
    if len(found) > len(ends):
        raise FileFormatError(
            f"{short(repr(name))} has {len(found)} arrays, which no layer here takes; wanted are those of "
            f"{', '.join([*NUMBERED, *NORMALIZATIONS])}"
        )
    return dict(zip(ends, found, strict=False))


def ranked(name: str) -> str:
    """Return a name of Keras 3 with the number 0 where it has none.

    Examples
    --------
    >>> ranked("layers/conv2d"), ranked("layers/conv2d_1")
    ('layers/conv2d_0', 'layers/conv2d_1')
    """
    return "/".join(
        part if part == "layers" or re.search(r"_[0-9]+$", part) else f"{part}_0" for part in name.split("/")
    )


def legacy_groups(group: Group, names: Sequence[str], places: Sequence[Part]) -> dict[str, Variables]:
    """Return the layers of a file of Keras 2 and their arrays, in the model's order."""
    found: dict[str, Variables] = {}
    for layer in names:
        own: dict[str, Variables] = {}
        for name, variable in legacy_variables(group, layer):
            front, _, end = name.rpartition("/")
            own.setdefault(front, {})[end.partition(":")[0]] = variable
        for front, variables in own.items():
            for end, piece in split(variables).items():
                key = layer if len(own) == 1 else f"{layer}/{front}"
                found[f"{key}{end}"] = piece
    if len(found) == len(places):  # Keras 3 calls a depthwise kernel there as any other
        for part, variables in zip(places, found.values(), strict=True):
            if "depthwise_kernel" in part.wanted and "kernel" in variables:
                variables["depthwise_kernel"] = variables.pop("kernel")
    return found


def read_all(part: Part, given: Mapping[str, Variable | Formed], dtype: np.dtype[Any]) -> dict[str, Array]:
    """Return one layer's arrays, of Keras's, whose shapes must be those wanted."""
    for name, shape in part.wanted.items():
        if name in given and given[name].shape != shape:
            raise FileFormatError(f"{given[name].name} has shape {given[name].shape!r:.100}, wanted {shape}")
        if name not in given and name not in MISSING:
            raise FileFormatError(f"{part.label} lacks its {name}, wanted {shape}")
    return part.take({name: variable.read() for name, variable in given.items()}, dtype)
