"""The static site: the page as a folder that any web server can show, with Python in the reader's browser.

It holds the page, this package, a network, digits to draw like and to train on, and Pyodide; nothing is asked
of any other place.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike
from pathlib import Path

from purecnn.backend.checks import file_name
from purecnn.backend.files import take_name
from purecnn.backend.locks import LOCK, folder_lock
from purecnn.networks.files import load
from purecnn.playground.bytecode import stored
from purecnn.playground.page import PAGE, SITE, read_page
from purecnn.playground.replies import Replies
from purecnn.playground.runtime import pruned, runtime
from purecnn.runs.model_path import DIGITS

#: Digits that the site carries, of 60,000 and 10,000.
KEPT = {"train": 12_000, "t10k": 1_000}
#: Files that the worker fetches and unpacks; the others are asked for by the browser itself.
PACKED = (".zip", ".whl", ".wasm", ".safetensors", "pyodide-lock.json")
#: How hard files are packed, from 1 to 9: 4 s of the processor for the most.
LEVEL = 9
#: What the page may load and run, as its `Content-Security-Policy` says.
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
#: What the page reads first: the network's description, the files with their sizes, what is familiar.
MANIFEST = "site.json"
#: What begins the name of the folder, inside of the site's, in which its files are written first.
BESIDE = ".purecnn-"


def write_site(
    folder: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    *,
    pyodide: str | PathLike[str] | None = None,
    documents: str | None = None,
) -> Path:
    """Write the playground's page as a folder that needs no server of its own.

    Parameters
    ----------
    folder : str or PathLike
        Where to write it: a folder that is not there yet, is empty, or holds a site, whose files are
        replaced; what else lies beside them stays.
    model : str or PathLike, optional
        A model's file; the network of digits that is part of this package if left out.
    pyodide : str or PathLike, optional
        A folder with Pyodide's files; they are fetched once, 9 MB, if left out.
    documents : str, optional
        The address of the built documents, to which each layer's card leads; no card does if left out.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    FileExistsError
        If the folder holds something else.
    FileNotFoundError
        If one of Pyodide's files is missing.
    FileFormatError
        If the model's file is none, or one of Pyodide's is not the one that is wanted.
    DownloadError
        If Pyodide can't be fetched.
    ValueError
        If the documents' address is none, or another process is writing into this folder.
    OSError
        If it can't be written; what was there stays.
    """
    place = Path(file_name(folder, "folder", "a folder"))
    if place.exists() and not place.is_dir():
        raise FileExistsError(f"{place}: a folder is wanted, this is a file")
    if former(place) is None:
        raise FileExistsError(f"{place}: this folder holds something else than a site; name another one")
    network = load(DIGITS if model is None else model)
    name = "digits" if model is None else Path(model).name
    replies = Replies(network, name, documents=documents)
    content = {**page(), **pruned(runtime(pyodide)), "purecnn.zip": package()}
    content["model.safetensors"] = Path(DIGITS if model is None else model).read_bytes()
    sent = {}
    for each in [each for each in content if each.endswith(PACKED)]:
        content[f"{each}.gz"] = gzip.compress(content.pop(each), LEVEL, mtime=0)
        sent[f"{each}.gz"] = len(content[f"{each}.gz"])
    familiarity = replies.reader.familiarity
    content[MANIFEST] = json.dumps(
        {
            "network": replies.describe({}) | {"examples": KEPT["t10k"] if replies.digits else 0},
            "least": familiarity.least if familiarity else None,
            "files": sent,
            "content": [*content, MANIFEST],
        },
        allow_nan=False,
    ).encode()
    replace(place, content)
    return place


def page() -> dict[str, bytes]:
    """Return the page's own files, told that its answers come from the browser."""
    found = {name: read_page(name) for name in (*PAGE, *SITE)}
    words = found["index.html"].decode()
    for old, new in (
        ('data-answers="server"', 'data-answers="browser"'),
        ("<head>", f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
    ):
        if words.count(old) != 1:
            raise RuntimeError(f"index.html must have {old} once")
        words = words.replace(old, new)
    return {**found, "index.html": words.encode()}


def package() -> bytes:
    """Return this package as a zip archive, with fewer digits and without the page."""

    def found(folder: Traversable, path: str) -> Iterable[tuple[str, bytes]]:
        for each in sorted(folder.iterdir(), key=lambda one: one.name):
            inner = f"{path}/{each.name}"
            if each.is_dir():
                if each.name != "__pycache__" and inner != "purecnn/playground/static":
                    yield from found(each, inner)
            else:
                yield inner, fewer(each) if each.name.endswith("ubyte.gz") else each.read_bytes()

    return stored(found(files("purecnn"), "purecnn"))


def fewer(file: Traversable) -> bytes:
    """Return one of MNIST's files with its first samples alone."""
    raw = gzip.decompress(file.read_bytes())
    axes = raw[3]
    shape = [int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes)]
    head, count = 4 + 4 * axes, KEPT[file.name.partition("-")[0]]
    size = (len(raw) - head) // shape[0]
    return gzip.compress(
        raw[:4] + count.to_bytes(4, "big") + raw[8:head] + raw[head : head + count * size], LEVEL, mtime=0
    )


def former(place: Path) -> Collection[str] | None:
    """Return the files of the site that a folder holds: none if there is none yet, None of another folder."""
    if not place.exists():
        return []
    if not (place / MANIFEST).is_file():  # a lock, and what was not finished, may be left of a killed writer
        names = [each.name for each in place.iterdir()]
        return [] if all(name == LOCK or name.startswith(BESIDE) for name in names) else None
    try:
        told = json.loads((place / MANIFEST).read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not {"network", "least", "files"} <= told.keys():
        return None  # other programs have a file of this name too
    content = told.get("content")
    return [each for each in content if isinstance(each, str)] if isinstance(content, list) else []


def replace(place: Path, content: dict[str, bytes]) -> None:
    """Write a site's files into their folder, in place of those of a former site.

    All are written within the folder first, so that a full disk leaves what was there, and then given their
    names. The folder itself stays: links lead to it, somebody's shell is in it, or it is a disk of its own.
    """
    where = place.resolve()
    made = not where.exists()
    where.mkdir(parents=True, exist_ok=True)
    try:
        with folder_lock(where, "writing into", "folder"):
            for left in where.glob(f"{BESIDE}*"):  # of a writer that was killed, for there is no other now
                shutil.rmtree(left, ignore_errors=True)
            old = former(where) or []
            with tempfile.TemporaryDirectory(prefix=BESIDE, dir=where) as beside:
                for name, each in content.items():
                    Path(beside, name).write_bytes(each)
                # the manifest first: a folder that has it is known as a site's, and written again
                for name in sorted(content, key=lambda each: each != MANIFEST):
                    take_name(Path(beside, name), where / name)
            for name in set(old) - set(content):
                if Path(name).name == name and (where / name).is_file():
                    (where / name).unlink()
    except OSError as error:
        if made and not any(where.iterdir()):
            where.rmdir()
        raise OSError(error.errno, error.strerror, str(place)) from error
