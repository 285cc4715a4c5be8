"""Archives (zip, tar, gzip): members taken out by name.

An archive from outside may hold anything, so only the files asked for are taken out of it, by name.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from purecnn.backend.files import take_name, to_disk
from purecnn.errors import FileFormatError
from purecnn.formats.decoding import check_packing, refused
from purecnn.formats.regular_files import open_regular

#: No deflate stream grows by more than this.
MAX_RATIO = 1032
#: Bytes of a header in a tar archive that holds a long name; and how many files an archive may hold.
MAX_HEADER, MAX_FILES = 1 << 20, 10_000
PIECE = 1 << 20


Pieces = Iterator[bytes]


def unpack(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Write the members wanted of a tar or zip archive into a folder, and nothing else anywhere else.

    They are known by their whole names and written under the last part of those; links, folders and whatever
    else the archive holds are passed over. They get their names once the whole archive was read.

    Raises
    ------
    FileFormatError
        If the archive is damaged, packed in a way that no data set is, or a member is missing.
    OSError
        If it can't be opened, or a member can't be written.
    """
    parts: dict[str, Path] = {}
    with open_regular(archive, "a tar or zip archive") as opened:
        room = MAX_RATIO * os.fstat(opened.fileno()).st_size
        _take_out(opened, archive, members, folder, parts, room)


def _take_out(
    opened: BinaryIO, archive: Path, members: tuple[str, ...], folder: Path, parts: dict[str, Path], room: int
) -> None:
    """Write the members wanted, each into a part of its own until all are there."""
    try:
        for name, pieces in _regular_files(opened, archive):
            if name not in members or name in parts:
                continue
            parts[name] = folder / f".{Path(name).name}.{os.getpid()}.part"
            with parts[name].open("wb") as file:
                for piece in pieces:
                    room -= len(piece)
                    if room < 0:
                        raise FileFormatError(
                            f"{archive}: {name} is {MAX_RATIO} times as large as the archive"
                        )
                    file.write(piece)
                to_disk(file)
        if missing := sorted(set(members) - set(parts)):
            raise FileFormatError(
                f"{archive}: holds no file {missing[0]}; {len(members)} such files are wanted"
            )
        for name, part in parts.items():
            take_name(part, folder / Path(name).name)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _regular_files(opened: BinaryIO, archive: Path) -> Iterator[tuple[str, Pieces]]:
    """Yield the files of an archive; errors of writing do not come in here."""
    with refused(f"{archive}: is damaged"):
        if archive.suffix == ".zip":
            yield from _zipped(opened, archive)
        else:
            yield from _tarred(opened, archive)


def _zipped(opened: BinaryIO, archive: Path) -> Iterator[tuple[str, Pieces]]:
    with zipfile.ZipFile(opened) as held:
        for info in held.infolist():
            if info.is_dir():
                continue
            check_packing(info)
            with held.open(info) as stream:
                yield info.filename, _pieces(stream, archive)


def _tarred(packed: BinaryIO, archive: Path) -> Iterator[tuple[str, Pieces]]:
    with gzip.GzipFile(fileobj=packed) as whole:
        forward: Any = _Forward(whole)
        with tarfile.open(fileobj=forward, mode="r:") as opened:
            tar: Any = opened
            reached = -1
            for number, member in enumerate(tar):
                # a size may be negative, and the next header then one that was read before
                if member.offset <= reached or member.size < 0 or number >= MAX_FILES:
                    raise FileFormatError(f"{archive}: its headers never end, wanted at most {MAX_FILES}")
                reached = member.offset
                tar.members = []  # which would keep what is passed over in memory
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name, _pieces(content, archive)
        while whole.read(PIECE):
            pass  # to the checksum at the end


def _pieces(stream: IO[bytes], archive: Path) -> Pieces:
    with refused(f"{archive}: is damaged"):
        while piece := stream.read(PIECE):
            yield piece


class _Forward:
    """A stream for `tarfile`, which takes a header's word for its length: here no read is long."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self.stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes, wanted at most {MAX_HEADER}")
        return self.stream.read(size)
