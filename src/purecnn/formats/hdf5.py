"""HDF5 reader, on h5py.

HDF5 files come from anywhere: only what lies in the file, and is as large as it says, is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import FileFormatError
from purecnn.formats.decoding import refused
from purecnn.formats.hdf5_bounds import Bounds
from purecnn.messages.extras import require_extra

#: Names in one group, and groups, arrays and texts that are looked at: links may run in circles.
MAX_NAMES, MAX_VISITS = 10_000, 20_000
#: So many characters of texts count as one more of these.
TEXT = 10_000


def readable() -> AbstractContextManager[None]:
    """Turn whatever h5py raises at a damaged file into this package's exception."""
    return refused("is damaged, wanted an HDF5 file")


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Group]:
    """Open an HDF5 file that is read through `file`.

    Raises
    ------
    MissingExtraError
        If h5py is not installed.
    FileFormatError
        If it is no HDF5 file.
    """
    h5py = require_extra("h5py", "keras", "reading Keras's files")
    bounds = Bounds(file)
    file.seek(0)
    with readable():
        whole = h5py.File(file, "r")
    try:
        yield Group(h5py, whole, bounds, "", [0])
    finally:
        with readable():
            whole.close()


class Group:
    """A group of an HDF5 file: links that lead out of the file, or nowhere, are not followed.

    Parameters
    ----------
    h5py : module
        The package that reads.
    held : h5py.Group
        The group.
    bounds : Bounds
        What is known of the whole file.
    path : str
        The group's name from the root, for messages.
    visits : list of int
        How much was looked at so far in this file, by all its groups.
    """

    def __init__(self, h5py: Any, held: Any, bounds: Bounds, path: str, visits: list[int]) -> None:
        self.h5py, self.held, self.bounds, self.path, self.visits = h5py, held, bounds, path, visits

    def where(self, name: str) -> str:
        """Return a member's whole name, short enough for a message."""
        return repr(f"{self.path}/{name}"[-100:])

    def names(self) -> list[str]:
        """Return the members' names, as they are stored."""
        with readable():
            if len(self.held) > MAX_NAMES:
                raise FileFormatError(
                    f"{self.where('')} has {len(self.held)} members, wanted at most {MAX_NAMES}"
                )
            self.visit(len(self.held))
            return [str(name) for name in self.held]

    def visit(self, count: int) -> None:
        """Count what is looked at: a small file may say the same thing over and over."""
        self.visits[0] += count
        if self.visits[0] > MAX_VISITS:
            raise FileFormatError(
                f"its groups never end, wanted at most {MAX_VISITS} groups, arrays and names in all"
            )

    def member(self, name: str, kind: str) -> Any:
        """Return a member of the kind wanted, "Group" or "Dataset"; None where there is none of this name."""
        self.visit(1)
        if "/" in name or name in ("", "."):
            return None
        with readable():
            link = self.held.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, self.h5py.HardLink):
                raise FileFormatError(
                    f"{self.where(name)} is a link to somewhere else, which is not followed: a member of the "
                    f"file itself is wanted"
                )
            found = self.held.get(name)
            return found if isinstance(found, getattr(self.h5py, kind)) else None

    def group(self, name: str) -> Group | None:
        """Return a group in this one, None where there is none."""
        found = self.member(name, "Group")
        return (
            None
            if found is None
            else Group(self.h5py, found, self.bounds, f"{self.path}/{name}", self.visits)
        )

    def variable(self, name: str) -> Variable | None:
        """Return an array in this group, checked but not read; None where there is none."""
        found = self.member(name, "Dataset")
        return None if found is None else Variable(self, name, found)

    def texts(self, name: str) -> list[str] | None:
        """Return an attribute that is a string, or an array of them, as a list; None where there is none."""
        with readable():
            if name not in self.held.attrs:
                return None
            told = self.held.attrs.get_id(name)
            count = math.prod(told.shape or ())
            if count > MAX_NAMES or count * max(1, told.dtype.itemsize) > self.bounds.size:
                raise FileFormatError(
                    f"attribute {name} of {self.where('')} has {count} texts, too many for its file"
                )
            self.visit(count)
            self.bounds.check_copies(count)
            values = np.asarray(self.held.attrs[name]).ravel().tolist()
        texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
        if not all(isinstance(text, str) for text in texts):
            raise FileFormatError(f"attribute {name} of {self.where('')} holds {texts!r:.60}, wanted text")
        self.visit(sum(map(len, texts)) // TEXT)
        return texts


class Variable:
    """An array of an HDF5 file, whose bytes are known to lie in it.

    Attributes
    ----------
    name : str
        Its whole name.
    shape : tuple of int
        As it is stored.
    """

    def __init__(self, group: Group, name: str, held: Any) -> None:
        self.held, self.name = held, group.where(name)
        with readable():
            shape = held.shape
            if shape is None or held.dtype.kind != "f":
                raise FileFormatError(f"{self.name} is of {held.dtype}, wanted an array of floats")
            plan = held.id.get_create_plist()
            how = ""
            if held.is_virtual or held.external:
                how = "kept in other files"
            elif plan.get_nfilters():
                how = "compressed"
            elif plan.get_layout() == group.h5py.h5d.CHUNKED:  # a tree of its own leads to them
                how = "cut into chunks"
            if how:
                raise FileFormatError(
                    f"{self.name} is {how}, wanted an array whose plain bytes the file holds"
                )
            self.shape: Shape = tuple(int(n) for n in shape)
            # as it is stored: h5py has no bfloat16, and widens it to float32
            bytes_wanted = math.prod(self.shape) * held.id.get_type().get_size()
            if bytes_wanted > group.bounds.size or held.id.get_storage_size() < bytes_wanted:
                raise FileFormatError(
                    f"{self.name} has shape {self.shape!r:.100}, which takes {bytes_wanted} bytes; the file "
                    f"holds {min(group.bounds.size, held.id.get_storage_size())} of them"
                )

    def read(self) -> Array:
        """Return the values, in the machine's own byte order."""
        with readable():
            array = np.asarray(self.held[()])
        return array.astype(array.dtype.newbyteorder("="), copy=False)
