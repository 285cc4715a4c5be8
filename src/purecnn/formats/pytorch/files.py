"""PyTorch files: the tensors that ``torch.save`` wrote, read without PyTorch and without unpickling.

A ``.pt`` or ``.pth`` file is a zip archive with a pickle, ``data.pkl``, and a member for each storage, whose
numbers tensors are views of; before PyTorch 1.6 it was a row of pickles with the storages behind. The pickle
is read as data, by `PickleReader`; what it says of sizes is held against the file before memory is taken.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections import OrderedDict
from io import BufferedReader
from typing import Any, TypeGuard

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.decoding import refused
from purecnn.formats.pytorch.pickle_reader import Pairs, PickleReader
from purecnn.formats.pytorch.tensors import NAMES, Storage, Storages, is_tensor
from purecnn.formats.regular_files import open_regular

Path = str | os.PathLike[str]

#: Under which programs usually keep a state dict among other things.
USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
#: What files in the format before PyTorch 1.6 begin with.
MAGIC, OLD_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_PICKLE = 32 << 20


def read_torch(path: Path, key: str | None = None) -> OrderedDict[str, Array]:
    """Read the tensors of a file that PyTorch saved: a state dict, or a checkpoint that holds one.

    Parameters
    ----------
    path : str or path-like
        The file, by custom ending in ``.pt`` or ``.pth``, of either of PyTorch's formats.
    key : str, optional
        Under which the checkpoint has the tensors that are wanted; where it is left out, they are the whole
        file, or the one dict of tensors in it, or that with one of the usual names: ``state_dict``,
        ``model_state_dict``, ``model``, ``net``, ``network``, ``weights``, ``params``.

    Returns
    -------
    OrderedDict of str to ndarray
        In the file's order; writable, C-contiguous, in the machine's own byte order. Tensors that share
        memory in the file do so here. ``bfloat16`` is widened to float32, which holds each of its values
        exactly.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds no dict of tensors or more than one, or anything that only a program
        could make: a whole module, TorchScript, classes of one's own.
    OSError
        If it can't be opened.

    Notes
    -----
    Nothing in the file is run or imported: of its pickle, the opcodes that describe a state dict are read as
    data, and any other ends the reading. What stands beside the tensors, an optimizer's state or arguments,
    is passed over. No more memory is taken than the file's size justifies.

    Examples
    --------
    >>> read_torch("no such file.pth")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.pth'
    """
    with open_regular(path, "a PyTorch file of tensors", "pytorch", "zip", "pickle") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with refused("the file is damaged"):
                start = file.read(2)
                file.seek(0)
                if start == b"PK":
                    return _zipped(file, size, key)
                if start[:1] == b"\x80":
                    return _in_a_row(file, size, key)
                raise FileFormatError(
                    f"the file begins with {start!r}, wanted a zip archive or a pickle, as torch.save writes"
                )
        except FileFormatError as error:
            raise FileFormatError(f"{os.fspath(path)}: {error}") from None


# Files ----------------------------------------------------------------------------------------------------


def _zipped(file: BufferedReader, size: int, key: str | None) -> OrderedDict[str, Array]:
    """Return the tensors of a zip archive."""
    with zipfile.ZipFile(file) as archive:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.filename in members:
                raise FileFormatError(f"the archive has {info.filename[:60]!r} twice, wanted it once")
            members[info.filename] = info
        fronts = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
        if len(fronts) != 1:
            raise FileFormatError(f"the archive has {len(fronts)} members data.pkl, wanted one")
        (front,) = fronts
        if f"{front}constants.pkl" in members:
            advice = convert("torch.jit.load(FILE)")
            raise FileFormatError(f"the file is a program of TorchScript, wanted tensors; {advice}")
        room = size

        def member(name: str, most: int) -> bytearray:
            """Return one member's bytes, once for all of them within the file's size."""
            nonlocal room
            info = members.get(front + name)
            if info is None:
                raise FileFormatError(f"the archive has no {(front + name)[:60]!r}")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise FileFormatError(f"{info.filename[:60]!r} is packed, wanted it as PyTorch stores it")
            room -= info.file_size
            if room < 0 or info.file_size > most:
                raise FileFormatError(
                    f"{info.filename[:60]!r} has {info.file_size} bytes, wanted at most {most}, and all "
                    f"members together at most the file's {size}"
                )
            data = bytearray(info.file_size)
            with archive.open(info) as stream:
                got = 0
                while part := stream.read(min(1 << 20, len(data) - got)):
                    data[got : got + len(part)] = part
                    got += len(part)
            if got != len(data):
                raise FileFormatError(f"{info.filename[:60]!r} gave {got} bytes, wanted {len(data)}")
            return data

        reader = PickleReader(bytes(member("data.pkl", MAX_PICKLE)), 0, NAMES)
        found = tensors_of(_described(reader), key)
        order = bytes(member("byteorder", 6)).decode() if f"{front}byteorder" in members else "little"
        if order not in ("little", "big"):
            raise FileFormatError(f"the order of bytes is {order!r}, wanted little or big")
        return Storages(order, size, lambda storage: member(f"data/{storage.key}", size)).arrays(found)


def _in_a_row(file: BufferedReader, size: int, key: str | None) -> OrderedDict[str, Array]:
    """Return the tensors of a file in the format before PyTorch 1.6: five pickles, then the storages."""
    data, at = file.read(MAX_PICKLE), 0
    held = []
    for _ in range(5):
        reader = PickleReader(data, at, NAMES)
        held.append(_described(reader))
        at = reader.at
        if len(held) == 1 and held[0] != MAGIC:
            raise FileFormatError(f"the file is a pickle, but none that torch.save wrote; {convert()}")
        if len(held) == 4:
            stored = reader.stored
    _, protocol, system, value, keys = held
    if protocol != OLD_PROTOCOL or not isinstance(system, Pairs) or not isinstance(keys, list):
        raise FileFormatError("the file begins as PyTorch's before 1.6 do, and goes on otherwise")
    order = "big" if any(k == "little_endian" and v is False for k, v in system) else "little"
    known: dict[str, Storage] = {}
    for one in stored:
        storage = Storage.of(one)
        if known.setdefault(storage.key, storage) != storage:
            raise FileFormatError(f"storage {storage.key!r} is described in two ways")
    places: dict[str, int] = {}
    for name in keys:
        if not isinstance(name, str) or name not in known or name in places:
            raise FileFormatError("the file lists storages that its tensors do not name, or one twice")
        file.seek(at)
        (count,) = struct.unpack("<q" if order == "little" else ">q", file.read(8).ljust(8, b"\xff"))
        places[name] = at + 8
        at += 8 + known[name].size
        if count != known[name].count or at > size:
            raise FileFormatError(
                f"storage {name[:60]!r} has {count} elements up to byte {at}, wanted {known[name].count} "
                f"within the file's {size} bytes"
            )

    def part(storage: Storage) -> bytearray:
        if storage.key not in places:
            raise FileFormatError(f"the file has no storage {storage.key[:60]!r}")
        file.seek(places[storage.key])
        data = bytearray(storage.size)
        if file.readinto(data) != len(data):
            raise FileFormatError("the file shrank while it was read")
        return data

    return Storages(order, size, part).arrays(tensors_of(value, key))


def _described(reader: PickleReader) -> Any:
    """Return what a pickle describes; where it is more than data, the sentence says how to convert it."""
    try:
        return reader.read()
    except FileFormatError as error:
        raise FileFormatError(f"{error}; nothing in a file is run here, and {convert()}") from None


def convert(load: str = "torch.load(FILE, weights_only=False)") -> str:
    """Return the two lines of PyTorch that make a file that can be read."""
    return (
        f"where you trust it, two lines of PyTorch convert it: state = {load} and "
        f"safetensors.torch.save_file(state, 'weights.safetensors'), or state.state_dict() of a whole module"
    )


# Which tensors ----------------------------------------------------------------------------------------------


def is_state_dict(value: Any) -> TypeGuard[Pairs]:
    """Return whether a pickle describes a dict of tensors there."""
    return (
        isinstance(value, Pairs)
        and bool(value)
        and all(isinstance(name, str) and is_tensor(held) for name, held in value)
    )


def tensors_of(value: Any, key: str | None) -> Pairs:
    """Return the names and tensors that are wanted of all that a file holds."""
    if not isinstance(value, Pairs):
        kind = "a lone tensor" if is_tensor(value) else f"a {type(value).__name__.lower()}"
        raise FileFormatError(f"the file holds {kind}, wanted a dict of tensors by name")
    listed = ", ".join(name[:40] for name, _ in value[:12] if isinstance(name, str)) or "nothing"
    if key is not None:
        for name, held in value:
            if isinstance(name, str) and name == key and is_state_dict(held):
                return held
        raise FileFormatError(f"the file holds {listed}, wanted a dict of tensors under {key!r:.60}")
    if is_state_dict(value):
        return value
    found = {name: held for name, held in value if isinstance(name, str) and is_state_dict(held)}
    usual = [name for name in USUAL if name in found] if len(found) > 1 else list(found)
    if len(usual) == 1:
        return found[usual[0]]
    if found:
        several = ", ".join(name[:40] for name in found)
        raise FileFormatError(
            f"the file holds several dicts of tensors, {several:.200}: read_torch(FILE, key=...) names one"
        )
    lone = Pairs((name, held) for name, held in value if isinstance(name, str) and is_tensor(held))
    if not lone:
        raise FileFormatError(f"the file holds {listed}, wanted a dict of tensors by name")
    return lone
