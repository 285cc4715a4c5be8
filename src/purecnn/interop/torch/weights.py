"""PyTorch state dicts: read from safetensors and PyTorch's own files, written as safetensors.

Weights go to PyTorch and come from there as a state dict in a file, which needs no PyTorch.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from purecnn.backend.checks import file_name
from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.formats.file_kinds import START, kind_of
from purecnn.formats.pytorch.files import read_torch
from purecnn.formats.regular_files import open_regular
from purecnn.formats.safetensors import read_safetensors, write_safetensors
from purecnn.interop.matching import Place, Shapes, match
from purecnn.interop.torch.modules import modules, named, tensor
from purecnn.interop.torch.pairs import together
from purecnn.interop.torch.program import torch_code
from purecnn.layers.base import Layer
from purecnn.layers.file_checks import check_finite
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network, host_copy, moved_to_host
from purecnn.networks.network import Network

Path = str | os.PathLike[str]
#: What a state dict counts in a batch normalization, and no layer here wants.
COUNT = "num_batches_tracked"


def state_dict(network: Network | Sequence[Layer]) -> dict[str, Array]:
    """Return a network's arrays as a PyTorch ``state_dict`` has them.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape.

    Returns
    -------
    dict of str to ndarray
        Copies, under the names of the module that `torch_code` writes; running statistics in the parameters'
        dtype, as PyTorch keeps them.

    Raises
    ------
    TypeError
        If a layer has no counterpart.
    ValueError
        If the network has no input shape yet, or a value that is NaN, infinite or beyond the dtype.

    Examples
    --------
    >>> from purecnn import Dense, Tanh
    >>> {name: array.shape for name, array in state_dict([Dense(2, 3), Tanh()]).items()}
    {'0.weight': (3, 2), '0.bias': (3,)}
    """
    network = host_copy(network)
    found: dict[str, Array] = {}
    for name, module in named(modules(network)):
        for end in module.tensors:
            found[f"{name}.{end}"] = cast(f"{name}.{end}", tensor(module, end), network.dtype)
        if "running_mean" in module.tensors:
            found[f"{name}.{COUNT}"] = np.array(network.updates, np.int64)
    return found


@explained
def save_state_dict(network: Network | Sequence[Layer], path: Path) -> str:
    """Write a network's weights as a PyTorch ``state_dict``, in a safetensors file; return its code.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape.
    path : str or path-like
        The file; one that exists is replaced.

    Returns
    -------
    str
        A PyTorch program that builds the same network and loads the file: see `torch_code`.

    Raises
    ------
    TypeError
        If a layer has no counterpart in PyTorch.
    ValueError
        If the network has no input shape yet, or holds a value that is NaN or infinite.
    OSError
        If the file can't be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Tanh
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     code = save_state_dict([Dense(2, 3), Tanh()], pathlib.Path(folder, "weights.safetensors"))
    >>> code.splitlines()[-1]
    'model.eval()'
    """
    tensors = state_dict(network)
    code = torch_code(network, file_name(path))
    write_safetensors(path, tensors, {"format": "pt"})
    return code


@explained
def load_state_dict(
    network: Network | Sequence[Layer],
    source: Path | Mapping[str, Any],
    *,
    modules: Sequence[str] | None = None,
) -> None:
    """Put the weights of a PyTorch ``state_dict`` into a network of the same layers, all of them or none.

    A state dict holds arrays alone, no strides, activations or epsilons: build the network first, with the
    same layers and an `input_shape`.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape. It keeps its dtype, its preprocessing and what its layers were given.
    source : str, path-like or mapping of str to tensor
        A safetensors file, one that ``torch.save`` wrote (see `formats.read_torch`, whose `key` chooses among
        several state dicts), or a ``state_dict()`` whose tensors NumPy can take.
    modules : sequence of str, optional
        The names of the modules that hold tensors (``"conv1"``, ``"features.0"``), in the order of the
        layers here, where the names do not tell.

    Raises
    ------
    ShapeError
        If a layer lacks its tensor, a tensor its layer, or the shapes differ; the message names both.
    FileFormatError
        If the file is neither, or damaged, or a value is NaN, infinite or beyond the network's dtype.
    ValueError
        If the network has no input shape yet, or several orders fit: give `modules`.
    TypeError
        If a tensor holds no floats, or a layer has no counterpart in PyTorch.
    OSError
        If the file can't be opened.

    Notes
    -----
    A safetensors file keeps tensors by dtype and name, not in the model's order. So modules are matched by
    the shapes of their tensors and by their names: ``features.0`` comes before ``features.3``,
    ``layer1.1.conv1`` before ``layer2.0.conv1`` and ``inception3a`` before ``inception3b``; ``bn1`` stands
    next to ``conv1``, and ``downsample.1`` behind ``downsample.0``. If that leaves two orders open, neither
    is taken. An ``OrderedDict``, as ``model.state_dict()`` gives and PyTorch's own files hold, is taken in
    its own order where that fits.

    The layouts are alike: linear weights ``(out, in)``, kernels ``(out, in / groups, height, width)``, images
    flattened by channel, row and column, and the running variance unbiased. A missing bias is zeros. A dense
    layer takes a convolution of 1 x 1, as squeeze-and-excitation has in torchvision, and the other way round.
    What lies outside of a state dict must be given here: PyTorch's ``eps`` and ``momentum`` are `epsilon` and
    `momentum` of `BatchNormalization`, with the same defaults. Give the network the preprocessing that the
    model was trained behind, or uint8 images are scaled by 1/255, as ``ToTensor`` does.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> network = Network([Dense(2, 1)])
    >>> load_state_dict(network, {"fc.weight": np.array([[2.0, 3.0]]), "fc.bias": np.array([1.0])})
    >>> network.predict([[10, 20]])
    array([[81.]], dtype=float32)
    """
    network = as_network(network)
    if isinstance(source, Mapping):
        with moved_to_host(network):
            put(network, source, modules)
        return
    try:
        tensors = read_tensors(source)
        for name, array in tensors.items():
            if array.dtype.kind != "f" and not name.endswith(f".{COUNT}"):
                raise FileFormatError(f"{name!r:.100} holds {array.dtype}, wanted floats")
        with moved_to_host(network):
            put(network, tensors, modules)
    except (FileFormatError, TypeError, ValueError) as error:
        where = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
        told = str(error)
        raise type(error)(told if not where or told.startswith(where) else f"{where}: {told}") from None


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a file, safetensors or PyTorch's own, by its first bytes."""
    with open_regular(path, "a state dict of PyTorch's") as file:
        kind = kind_of(file.read(START), ("safetensors", "pytorch"))
    if kind is not None and kind.name in ("pytorch", "zip", "pickle"):
        return read_torch(path)
    return read_safetensors(path)[0]


def put(network: Network, tensors: Mapping[str, Any], order: Sequence[str] | None) -> None:
    """Check all tensors of a state dict, then write them into a network's arrays."""
    groups: dict[str, dict[str, Array]] = {}
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise TypeError(f"a state dict has strings as names, got {name!r}")
        front, _, end = name.rpartition(".")
        if end != COUNT:
            groups.setdefault(front, {})[end] = as_tensor(name, value)
    found = modules(network)
    held, every = list(named(found)), list(network)
    tops = (found[int(name.partition(".")[0])].layer for name, _ in held)
    places = [
        Place(
            f"layer {next(k for k, layer in enumerate(every) if top in (layer, *layer.parts()))} "
            f"({type(module.layer).__name__})",
            name,
            {end: wanted.shape for end, wanted in module.tensors.items()},
            module.optional,
        )
        for (name, module), top in zip(held, tops, strict=True)
    ]
    shapes = {name: {end: array.shape for end, array in group.items()} for name, group in groups.items()}
    chosen = matched(places, shapes, order, list(groups) if isinstance(tensors, OrderedDict) else None)
    ready: list[tuple[Array, Array]] = []
    for (_, module), name in zip(held, chosen, strict=True):
        for end in module.tensors:
            view = tensor(module, end)
            value = groups[name].get(end)
            array = np.zeros_like(view) if value is None else cast(f"{name}.{end}", value, view.dtype)
            array = array.reshape(view.shape)
            if end == "running_var" and array.min(initial=0) < 0:
                raise FileFormatError(f"{name}.{end} holds {array.min():g}, wanted at least 0")
            ready.append((view, array))
    for view, value in ready:
        view[...] = value


def matched(
    places: Sequence[Place],
    groups: Mapping[str, Shapes],
    order: Sequence[str] | None,
    own: Sequence[str] | None,
) -> list[str]:
    """Return the module for each place: as `order` has them, or as their `own` does, or by their names."""
    orders = [own, None] if order is None and own is not None else [order]
    dense = [replace(place, wanted=as_dense(place.wanted)) for place in places]
    shapes = {name: as_dense(found) for name, found in groups.items()}
    refusals: list[ValueError] = []
    for (wanted, found), given in product([(places, groups), (dense, shapes)], orders):
        try:
            return match(wanted, found, given, "the state dict", "modules", together(found))
        except ValueError as error:
            refusals.append(error)
            if not isinstance(error, ShapeError):
                break
    raise refusals[0]


def as_dense(shapes: Shapes) -> Shapes:
    """Return shapes in which a convolution of 1 x 1 is a dense layer, as which it acts on a lone pixel."""
    found = dict(shapes)
    if found.get("weight", ())[2:] == (1, 1):
        found["weight"] = found["weight"][:2]
    return found


def as_tensor(name: str, value: Any) -> Array:
    """Return a tensor as an array of floats."""
    try:
        array = np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be a tensor that NumPy can take, got {type(value).__name__}: {error}"
        ) from None
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must hold floats, got dtype {array.dtype}")
    return check_finite(name, array)


def cast(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return a copy in another dtype, in which every value must be finite too."""
    with np.errstate(over="ignore"):
        return check_finite(name, array.astype(dtype))
