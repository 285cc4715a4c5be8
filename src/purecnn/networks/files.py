"""Saving and loading: one safetensors file holds all that a trained network takes to go on.

What lies in the file, and what is believed of it, is in `serialization`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from purecnn.formats.safetensors import safetensors_bytes, write_safetensors
from purecnn.layers.base import Layer
from purecnn.layers.footprint import MAX_BYTES
from purecnn.layers.serialization import Contents, describe, read_contents, refusing
from purecnn.losses.tasks import as_task
from purecnn.messages.signatures import explained
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network


@explained
def save(network: Network | Sequence[Layer], path: str | os.PathLike[str]) -> None:
    """Write a network to one file, all of it or nothing; an older file of that name is replaced.

    Parameters
    ----------
    network : Network or list of Layer
        Bound to an input shape: trained, used, or declared with one.
    path : str or path-like
        The file, by custom ending in ``.safetensors``.

    Raises
    ------
    TypeError
        If a layer of your own can't be made anew from what a file holds: its `configuration` must give its
        constructor's arguments as plain numbers, strings and lists. An `Activation` of your own functions
        becomes one as a class derived from it.
    ValueError
        If the network has no input shape yet, or holds a parameter that is NaN or infinite.
    OSError
        If the file can't be written.

    Notes
    -----
    The state of an optimizer is not part of a model; a `Checkpoint` has it. Of a layer of your own the file
    has the name of its class, its arguments and its arrays, no code: ``load(path, layers=...)`` is given the
    class.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Tanh
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save([Dense(2, 3), Tanh()], pathlib.Path(folder, "model.safetensors"))
    ...     load(pathlib.Path(folder, "model.safetensors")).input_shape
    (2,)
    """
    write_safetensors(path, *describe(as_network(network).contents()))


@explained
def load(
    path: str | os.PathLike[str],
    *,
    layers: Mapping[str, type[Layer]] | None = None,
    max_bytes: int | None = MAX_BYTES,
) -> Network:
    """Read a network that `save` or a `Checkpoint` wrote; it predicts the same bits and can go on training.

    Parameters
    ----------
    path : str or path-like
        The file.
    layers : dict of str to type of Layer, optional
        The classes of layers of your own, by the names under which the file has them:
        ``{"Scale": Scale}``. A file holds no code, so they come from your program.
    max_bytes : int or None
        How much one sample may take on its way through the layers, which a file of a few bytes can make
        any size; the time it takes is bounded in proportion. It is the network's `max_bytes` from then on,
        within which `predict` takes as many samples at a time as fit. None: no bound, for files of your own.

    Returns
    -------
    Network
        Its parameters, preprocessing, task, seed and counts of epochs and updates as they were.

    Raises
    ------
    FileFormatError
        If the file is damaged, or holds anything that `save` would not have written.
    OSError
        If the file can't be opened.

    Notes
    -----
    Nothing in a file is ever run; a class in `layers` is called with the arguments that the file has. No
    array takes more memory than the file itself. What the layers make of a sample is known from their shapes,
    and refused where it is more than `max_bytes`.
    """
    return as_loaded(read_contents(path, max_bytes, layers)[0], path, max_bytes)


def to_bytes(network: Network | Sequence[Layer]) -> bytes:
    """Return the bytes of the file that `save` writes, without writing one; errors are those of `save`.

    Examples
    --------
    >>> from purecnn import Dense
    >>> from_bytes(to_bytes([Dense(2, 3)]), "mine").output_shape
    (3,)
    """
    return safetensors_bytes(*describe(as_network(network).contents()))


def from_bytes(data: bytes, name: str, *, max_bytes: int | None = MAX_BYTES) -> Network:
    """Return the network of a file's bytes, as `load` does of a file.

    Parameters
    ----------
    data : bytes
        All of the file.
    name : str
        What errors call it.
    max_bytes : int or None
        As for `load`.

    Raises
    ------
    FileFormatError
        As by `load`.
    """
    return as_loaded(read_contents(name, max_bytes, data=data)[0], name, max_bytes)


def as_loaded(contents: Contents, path: str | os.PathLike[str], max_bytes: int | None) -> Network:
    """Return the network that a file says."""
    with refusing(path):
        network = Network(
            contents.layers,
            input_shape=contents.input_shape,
            seed=contents.seed,
            dtype=contents.dtype,
            preprocessing=contents.preprocessing,
            task=as_task(contents.task),
        )
    network.epochs, network.updates = contents.epochs, contents.updates
    network.max_bytes = max_bytes
    return network
