"""Errors of foreign decoders as one exception.

The decoders of others raise errors of many kinds at damaged files; a user shall meet one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from purecnn.errors import FileFormatError, PureCNNError


@contextmanager
def refused(sentence: str) -> Iterator[None]:
    """Turn whatever a decoder raises at a damaged file into a `FileFormatError`.

    Memory that ran out, and errors of the file system that name a file, stay what they are. Only reading
    belongs inside: what writing raises is not the file's fault.

    Parameters
    ----------
    sentence : str
        What is to be said; the decoder's reason follows in brackets.

    Examples
    --------
    >>> with refused("a.zip: is damaged"):
    ...     raise IndexError("index out of range")
    Traceback (most recent call last):
    purecnn.errors.FileFormatError: a.zip: is damaged (index out of range)
    """
    try:
        yield
    except (PureCNNError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        reason = f"{str(error).rstrip('.') or type(error).__name__:.200}"
        raise FileFormatError(f"{sentence} ({reason})") from error


def check_packing(member: zipfile.ZipInfo) -> None:
    """Raise a ValueError at a member of a zip archive that is packed by another way than deflate.

    The others shrink zeros by ten thousands, and are unpacked without a bound on what comes out.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{member.filename!r:.100} is packed by way {member.compress_type}, wanted "
            f"{zipfile.ZIP_DEFLATED}, deflate, or {zipfile.ZIP_STORED}, none"
        )
