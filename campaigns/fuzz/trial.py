"""One hostile file, read as a user's program would read it, and what is asked of its reader."""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
import warnings
from dataclasses import dataclass
from pathlib import Path

from campaigns.fuzz.fence import fenced, listing, remove
from campaigns.fuzz.table import FORMATS, case
from purecnn import PureCNNError

#: Seconds of the processor that one file may take, and for each of its bytes besides.
SECONDS, SECONDS_PER_BYTE = 2.0, 1e-6


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes
    ----------
    found : str
        "accepted", or the class of the exception.
    problems : tuple of str
        What the reader should not have done.
    seconds : float
        Of the processor.
    memory : int
        Bytes at the peak, as Python and NumPy were given them, or the process, if that is more.
    size : int
        Bytes of the file.
    """

    found: str
    problems: tuple[str, ...]
    seconds: float
    memory: int
    size: int


def attempt(name: str, data: bytes, folder: Path) -> Outcome:
    """Read a case in an empty folder, in which nothing is left."""
    inside = folder / "inside"
    inside.mkdir()
    try:
        return read(name, data, inside)
    finally:
        with fenced(folder):
            remove(inside)


def read(name: str, data: bytes, inside: Path) -> Outcome:
    """Read a case in an empty folder, and look at what it took and left."""
    format = FORMATS[name]
    with fenced(inside):
        given = format.place(data, inside / format.name)
    before = listing(inside)
    problems: list[str] = []
    found, reached = "accepted", peak_of_process(reset=True)
    tracemalloc.start()
    begin = time.process_time()
    with warnings.catch_warnings(record=True) as caught, fenced(inside) as beyond:
        warnings.simplefilter("always")
        try:
            format.read(given)
        except PureCNNError as error:
            found = type(error).__name__
            if len(str(error)) > 3000:
                problems.append(f"a sentence of {len(str(error))} characters")
        except OSError as error:
            found = type(error).__name__
            if error.filename is None:  # no error of the file system
                problems.append(f"raised {error!r:.200}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            found = type(error).__name__
            problems.append(f"raised {error!r:.200}")
    seconds = time.process_time() - begin
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    problems[:0] = [f"wrote outside of its folder: {what}" for what in beyond[:3]]
    memory = max(memory, peak_of_process() - reached)
    problems += [f"warned {w.message!r:.200}" for w in caught if not issubclass(w.category, format.warns)]
    if seconds > SECONDS + SECONDS_PER_BYTE * len(data):
        problems.append(f"took {seconds:.1f} s")
    if memory > format.memory(len(data)):
        problems.append(f"took {memory / 2**20:.0f} MiB for {len(data)} bytes")
    after = listing(inside)
    if not format.writes and after != before:
        problems.append("wrote files")
    if format.writes and any(os.path.islink(path) for path, _ in after):
        problems.append("made a link")
    return Outcome(found, tuple(problems), seconds, memory, len(data))


def peak_of_process(reset: bool = False) -> int:
    """Return the most bytes that this process had in memory since the last reset; 0 where nobody knows."""
    if sys.platform != "linux":
        return 0
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run(name: str, number: int, folder: Path) -> Outcome:
    """Make and read the case of a number."""
    return attempt(name, case(name, number), folder)


def again(name: str, number: int) -> str:
    """Return the command that repeats a case."""
    return f"python -m campaigns.fuzz --format {name} --case {number}"
