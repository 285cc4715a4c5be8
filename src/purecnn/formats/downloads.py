"""Downloads: resumed, checked by SHA-256, named once they are whole.

A download may stall, break off, or bring something else: a file gets its name once all of it is right.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from purecnn.backend.files import take_name, to_disk
from purecnn.errors import DownloadError
from purecnn.formats.regular_files import open_regular

_CHUNK = 1 << 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Answers that may be others a little later.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


Report = Callable[[int, int], object]


class _LostError(Exception):
    """A try that broke off; the next one may go on where it ended, unless it brought the wrong bytes."""

    def __init__(self, reason: str, anew: bool = False) -> None:
        super().__init__(reason)
        self.anew = anew


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirection only to where the first request might have gone."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check(newurl, plain=req.type == "http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str, plain: bool = True) -> None:
    """Raise unless `url` is HTTPS, or `plain` HTTP on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (plain and parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise DownloadError(f"{url}: an address that begins with https:// is wanted")


def download(
    url: str,
    path: str | os.PathLike[str],
    *,
    size: int,
    sha256: str,
    timeout: float = 30.0,
    tries: int = 4,
    pause: float = 1.0,
    report: Report | None = None,
) -> None:
    """Fetch a file whose size and checksum are known.

    It is written under another name, hidden, in the same folder, and renamed when its checksum is right; that
    other file is gone whatever happens. A try that breaks off is followed by another, which asks for the rest
    and takes the whole where the server can't send a part.

    Parameters
    ----------
    url : str
        HTTPS, and so wherever it redirects to; plain HTTP from this machine alone.
    path : str or os.PathLike
        Where to keep it; the folder must be there.
    size : int
        Its bytes.
    sha256 : str
        Its SHA-256, 64 hexadecimal digits.
    timeout : float
        Seconds without a byte after which a try ends.
    tries : int
        How often to try.
    pause : float
        Seconds before the second try; twice as many before each further one.
    report : callable, optional
        ``report(done, size)`` is told the bytes so far, now and then.

    Raises
    ------
    DownloadError
        If the server refuses, or after the last try; the sentence says what the last one met.
    OSError
        If the file can't be written.
    """
    _check(url)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with part.open("w+b") as file:
            for attempt in range(1, tries + 1):
                try:
                    _attempt(url, file, size, sha256, timeout, report)
                    break
                except _LostError as error:
                    if error.anew:
                        file.truncate(0)
                    if attempt == tries:
                        raise DownloadError(
                            f"{url}: {error}, the last of {tries} tries; nothing of it was kept"
                        ) from error
                time.sleep(pause * 2 ** (attempt - 1))
            to_disk(file)
        take_name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _attempt(
    url: str, file: IO[bytes], size: int, sha256: str, timeout: float, report: Report | None
) -> None:
    """Fetch what is missing of a file, and check the whole."""
    done = file.seek(0, os.SEEK_END)
    for start, piece in _pieces(url, done, size, timeout):
        if start != done:
            file.truncate(start)
        file.seek(start)
        file.write(piece)
        done = start + len(piece)
        if report is not None:
            report(done, size)
        if done > size:
            raise _LostError(f"it sends more than the {size:,} bytes wanted", anew=True)
    if done < size:
        raise _LostError(f"it ends after {done:,} of {size:,} bytes")
    file.seek(0)
    found = _digest(file)
    if found != sha256:
        raise _LostError(f"its SHA-256 is {found}, and {sha256} is wanted", anew=True)


def fits(path: Path, size: int, sha256: str) -> bool:
    """Return whether a file is there and is the one known by its size and checksum."""
    if not path.is_file() or path.stat().st_size != size:
        return False
    with open_regular(path, "a file of a data set") as file:
        return _digest(file) == sha256


def _digest(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _pieces(url: str, done: int, size: int, timeout: float) -> Iterator[tuple[int, bytes]]:
    """Yield where each piece that comes belongs, and its bytes: from `done` on, or from the beginning."""
    if done == size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "purecnn"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=timeout) as response:
            if response.status != 206:
                done = 0
            while piece := response.read(_CHUNK):
                yield done, piece
                done += len(piece)
    except DownloadError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        words = f"the server answers {error.code} {error.reason}"
        if error.code not in (*_PASSING, 416):
            raise DownloadError(f"{url}: {words}") from error
        raise _LostError(words, anew=error.code == 416) from error
    except TimeoutError as error:
        raise _LostError(f"not a byte came for {timeout:g} s") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _LostError(f"no answer came for {timeout:g} s") from error
        raise _LostError(f"the server can't be reached ({error.reason})") from error
    except (http.client.HTTPException, OSError) as error:
        raise _LostError(f"the connection broke off ({error or type(error).__name__})") from error
