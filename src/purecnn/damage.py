"""The decoders of others raise errors of many kinds at damaged files; a user shall meet one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from purecnn.errors import FileFormatError, PureCNNError

__all__ = ["refused"]


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
