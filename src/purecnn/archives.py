"""An archive from outside may hold anything, so only the files asked for are taken out of it, by name."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from purecnn.errors import FileFormatError
from purecnn.whole_files import take_name, to_disk

__all__ = ["unpack"]

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,  # a way of packing that Python does not know
)


def unpack(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Write the members wanted of a tar or zip archive into a folder, and nothing else anywhere else.

    They are known by their whole names and written under the last part of those; links, folders and whatever
    else the archive holds are passed over. They get their names once the whole archive was read.

    Raises
    ------
    FileFormatError
        If the archive is damaged, or a member is missing.
    """
    parts: dict[str, Path] = {}
    try:
        for name, stream in _regular_files(archive):
            if name not in members or name in parts:
                continue
            parts[name] = folder / f".{Path(name).name}.{os.getpid()}.part"
            with parts[name].open("wb") as file:
                while piece := stream.read(1 << 20):
                    file.write(piece)
                to_disk(file)
        if missing := sorted(set(members) - set(parts)):
            raise FileFormatError(
                f"{archive}: holds no file {missing[0]}; {len(members)} such files are wanted"
            )
        for name, part in parts.items():
            take_name(part, folder / Path(name).name)
    except FileFormatError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"{archive}: is damaged ({error or type(error).__name__})") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _regular_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as held:
            for info in held.infolist():
                if not info.is_dir():
                    with held.open(info) as stream:
                        yield info.filename, stream
        return
    with gzip.open(archive) as whole:
        with tarfile.open(fileobj=whole, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name, content
        while whole.read(1 << 20):
            pass  # to the checksum at the end
