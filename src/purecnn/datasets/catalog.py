"""The usual data sets by name.

The usual data sets by name: from a folder given, from a cache, and over the network if asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from purecnn.backend.checks import choice
from purecnn.datasets import mnist
from purecnn.datasets.sources import SOURCES, Source
from purecnn.errors import FileFormatError
from purecnn.formats.idx import Images, load_folder
from purecnn.formats.regular_files import open_regular
from purecnn.messages.signatures import explained


@dataclass(frozen=True)
class Sets:
    """A training and a test set, which unpack as two, and what their labels mean.

    Attributes
    ----------
    train, test : (ndarray, ndarray)
        Images uint8 ``(n, height, width)``, in colour ``(n, 3, height, width)``, and labels ``(n,)``.
    classes : tuple of str
        The name of each label from 0 on; empty if they have none.
    notes : tuple of str
        What was decided on the way, such as what was skipped.
    preparation : str
        How pictures were made these images, as `Preprocessing` names it.
    """

    train: Images
    test: Images
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preparation: str = "unknown"

    def __iter__(self) -> Iterator[Images]:
        return iter((self.train, self.test))


#: What `load` and ``purecnn download`` know.
NAMES = tuple(SOURCES)


@explained
def load(name: str, folder: str | os.PathLike[str] | None = None, *, download: bool = False) -> Sets:
    """Load a data set by its name.

    Parameters
    ----------
    name : str
        One of `NAMES`: "mnist", "fashion-mnist", "kmnist", "emnist-balanced" (or "-byclass", "-bymerge",
        "-digits", "-letters", "-mnist"), "cifar-10".
    folder : str or os.PathLike, optional
        Where its files are, as published. If left out: for MNIST the package itself, for the others a folder
        of their own in `cache_folder`.
    download : bool
        Whether to fetch what is missing there; without it no network is used.

    Returns
    -------
    Sets
        ``(x_train, y_train), (x_test, y_test)`` to unpack, and the names of the classes: images uint8
        ``(n, 28, 28)``, CIFAR-10's ``(n, 3, 32, 32)``, labels uint8 from 0. EMNIST's images, stored
        transposed, are turned, and the labels of its letters, stored from 1, begin with 0.

    Raises
    ------
    ValueError
        If there is no set of this name.
    FileNotFoundError
        If files are missing; the sentence says how to come by them.
    FileFormatError
        If a file is damaged or foreign.
    DownloadError
        If a file can't be fetched.

    Examples
    --------
    >>> sets = load("mnist")
    >>> (x_train, y_train), (x_test, y_test) = sets
    >>> x_test.shape, sets.classes[y_test[0]]
    ((10000, 28, 28), '7')
    """
    source = known(name)
    if folder is None and not source.files:
        return Sets(*mnist.load_data(), source.classes, preparation=source.preparation)
    place = Path(folder) if folder is not None else cache_folder() / source.folder
    if download:
        fetch(name, place)
    try:
        train, test = (read_cifar if name == "cifar-10" else read_files)(place, source)
    except FileNotFoundError as error:
        megabytes = sum(file.size for file in source.files) / 1e6
        how = f"; `purecnn download {name}` fetches it ({megabytes:.0f} MB), or name the folder that holds it"
        raise FileNotFoundError(f"{error}{how if source.files else ''}") from None
    for part, (_, y) in (("training", train), ("test", test)):
        if y.size and not 0 <= int(y.min()) <= int(y.max()) < len(source.classes):
            raise FileFormatError(
                f"{place}: its {part} labels go from {y.min()} to {y.max()}; "
                f"{name} has {len(source.classes)} classes"
            )
    return Sets(train, test, source.classes, preparation=source.preparation)


def known(name: str) -> Source:
    """Return the source of this name."""
    return SOURCES[choice("name", name, SOURCES)]


def cache_folder() -> Path:
    """Return where data sets are kept that were fetched.

    The folder that the environment variable ``PURECNN_DATA`` names, else ``purecnn`` in ``XDG_CACHE_HOME``,
    else in ``~/.cache``.

    Raises
    ------
    FileNotFoundError
        If none of them is set and the user has no home.
    """
    own, shared = os.environ.get("PURECNN_DATA"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "purecnn"
    except RuntimeError:
        raise FileNotFoundError(
            "there is no folder to keep data in: HOME is not set and this user has no home; name a folder, "
            "or set PURECNN_DATA to one"
        ) from None


def fetch(
    name: str, folder: str | os.PathLike[str] | None = None, *, base_url: str | None = None, **how: Any
) -> Path:
    """Fetch the files of a data set that are missing, over HTTPS, each checked against its SHA-256.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    folder : str or os.PathLike, optional
        Where to keep them; a folder of their own in `cache_folder` if left out. An archive that lies there
        already is unpacked in place of being fetched.
    base_url : str, optional
        Another server that has the same files.
    **how
        ``timeout``, ``tries`` and ``pause``, as `purecnn.formats.downloads.download` takes them.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If there is no set of this name.
    DownloadError
        If a file can't be fetched.
    FileFormatError
        If an archive is not what it should be.
    OSError
        If a file can't be written.
    """
    source = known(name)
    place = Path(folder) if folder is not None else cache_folder() / source.folder
    if not source.files:
        raise ValueError(f"name must be that of a set to fetch; {name} is part of the package")
    if all(_is_there(place / wanted) for wanted in source.wanted()):
        return place
    from purecnn.formats.archives import unpack
    from purecnn.formats.downloads import (  # here, since their imports take a while and few need them
        download,
        fits,
    )

    place.mkdir(parents=True, exist_ok=True)
    for file in source.files:
        path = place / file.name
        if file.members and fits(path, file.size, file.sha256):
            unpack(path, file.members, place)  # brought here by hand: it stays
        elif file.members or not _is_there(path):
            with transfer(file.name, file.size) as report:
                url = (base_url or source.url) + file.name
                download(url, path, size=file.size, sha256=file.sha256, report=report, **how)
            if file.members:
                unpack(path, file.members, place)
                path.unlink()
    return place


def _is_there(path: Path) -> bool:
    """Return whether a file is there, gunzipped perhaps: a file has its name only where it is whole."""
    return path.exists() or (path.suffix == ".gz" and path.with_suffix("").exists())


def transfer(name: str, size: int) -> AbstractContextManager[Any]:
    """Return a progress bar, where the package that draws it is there."""
    try:
        from purecnn.formats.transfers import transfer_bar
    except ImportError:
        return nullcontext()
    return transfer_bar(name, size)


def read_files(folder: Path, source: Source) -> tuple[Images, Images]:
    """Read four IDX files; turn EMNIST's images, and count its letters from 0."""
    train, test = load_folder(folder, source.prefix)
    if not source.prefix:
        return train, test
    first = np.uint8(source.prefix == "emnist-letters-")
    (x, y), (x_test, y_test) = train, test
    turned = [np.ascontiguousarray(images.swapaxes(1, 2)) for images in (x, x_test)]
    return (turned[0], y - first), (turned[1], y_test - first)


def read_cifar(folder: Path, source: Source) -> tuple[Images, Images]:
    """Read CIFAR-10's binary files: a byte for the label, then 1024 each for red, green and blue."""
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    record, parts = 1 + 3 * 32 * 32, []
    for name in source.wanted():
        path = folder / name
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file; {', '.join(source.wanted())} are wanted")
        with open_regular(path, "a file of CIFAR-10's binary version") as file:
            # all that is there now: another program may change it
            values = np.fromfile(file, np.uint8, os.fstat(file.fileno()).st_size)
        if values.size == 0 or values.size % record:
            raise FileFormatError(
                f"{path}: holds {values.size} bytes; a multiple of {record}, an image each, is wanted"
            )
        parts.append(values.reshape(-1, record))
    train = np.concatenate(parts[:-1])
    x, x_test = (np.ascontiguousarray(a[:, 1:]).reshape(-1, 3, 32, 32) for a in (train, parts[-1]))
    return (x, train[:, 0].copy()), (x_test, parts[-1][:, 0].copy())
