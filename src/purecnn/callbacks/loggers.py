"""Loggers: callbacks that write a line an epoch as CSV, JSON or for TensorBoard.

A run's numbers outlive the run: callbacks that write a line an epoch, for scripts, sheets and charts.

Epochs are counted as the network counts them, over all its fits. When a run begins, a logger takes off what
an interrupted one wrote behind the place where this one goes on: half a line, and epochs that are trained
again. So a network trained from its first epoch begins its file anew; one resumed, or trained on, goes on.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import socket
import struct
import time
import warnings
from abc import abstractmethod
from typing import Any, BinaryIO

from purecnn.backend.checks import file_name
from purecnn.backend.files import append_whole
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.errors import FileFormatError, LogWarning
from purecnn.formats.regular_files import open_regular
from purecnn.messages.extras import require_extra

#: Bytes of a line that is still one of a log: metrics may be arrays.
MAX_LINE = 1 << 24


def measured(epoch: int, history: History) -> dict[str, Any]:
    """Return the last epoch's number and all that was measured in it, by name."""
    found = {name: values[-1] for name, values in history.lists().items()}
    return {"epoch": epoch, **found, "images_per_second": history.images_per_second[-1]}


class Log(Callback):
    """What all logs do: write what was measured after each epoch, or, on a full disk, as soon as they can.

    A log that can't be written warns of it and costs no training.

    Attributes
    ----------
    path : str
        The file.
    unwritten : list of dict
        What was measured and is not in the file yet, by epoch.
    """

    path: str
    unwritten: list[dict[str, Any]]

    def epoch(self, epoch: int, history: History) -> None:
        """Write the epoch's numbers, and those that could not be written before."""
        self.unwritten.append(measured(self.fit.network.epochs, history))
        self.write()

    def write(self) -> None:
        """Add all that is unwritten to the file, or warn that it can't be written."""
        try:
            append_whole(self.path, self.encoded())
        except OSError as error:
            first, last = (self.unwritten[place]["epoch"] for place in (0, -1))
            lacks = f"epoch {first}" if first == last else f"epochs {first} to {last}"
            warnings.warn(
                f"{error}: the log could not be written; it lacks {lacks}, to be written once there is room, "
                f"and the training goes on",
                LogWarning,
                stacklevel=2,
            )
        else:
            self.unwritten = []

    def end(self, history: History) -> None:
        """Try once more to write what could not be written."""
        if self.unwritten:
            self.write()

    @abstractmethod
    def encoded(self) -> bytes:
        """Return what is unwritten as it is added to the file."""


class FileLog(Log):
    """What both logs in files do: keep the lines of earlier epochs, add one an epoch.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists.
    """

    #: How every such file begins.
    opening: bytes

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self.unwritten = file_name(path), []

    def begin(self, epochs: int, steps: int) -> None:
        """Cut the file off behind the epochs that the network has been trained for.

        Raises
        ------
        OSError
            If the file can't be written: better now than after the first epoch.
        FileFormatError
            If there is another file of that name; it is left as it is.
        """
        self.unwritten = []
        with open_regular(self.path, self.wanted(), mode="a+b") as file:
            file.seek(0)
            file.truncate(self.kept(file, self.fit.network.epochs))

    def encoded(self) -> bytes:
        """Return a line an epoch."""
        with open_regular(self.path, self.wanted(), mode="a+b") as file:
            file.seek(0)
            first, lines = file.readline(MAX_LINE), b""
        for values in self.unwritten:
            lines += self.line(values, first)
            first = first or lines[: lines.index(b"\n") + 1]
        return lines

    def wanted(self) -> str:
        """Return what the file must be, for a sentence."""
        return f"the name of a {type(self).__name__}'s file, or of a new one"

    def kept(self, file: BinaryIO, epochs: int) -> int:
        """Return how many bytes of a file, read a line at a time, belong to the first `epochs` epochs."""
        size, number, line = 0, 1, b""
        try:
            start = file.read(len(self.opening))
            fits = start == self.opening[: len(start)]
            file.seek(0)
            # behind the last end is half a line
            while fits and (line := file.readline(MAX_LINE)).endswith(b"\n"):
                if self.epoch_of(line[:-1]) > epochs:
                    break
                size, number = size + len(line), number + 1
            fits = fits and len(line) < MAX_LINE
        except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError):
            fits = False
        if not fits:
            raise FileFormatError(
                f"{self.path}: line {number} is none that a {type(self).__name__} writes: "
                f"the name of such a log, or of a new file, is wanted"
            )
        return size if epochs else 0

    @abstractmethod
    def epoch_of(self, line: bytes) -> int:
        """Return the epoch that a line tells of; 0 for a header."""

    @abstractmethod
    def line(self, values: dict[str, Any], first: bytes) -> bytes:
        """Return what to add for these values to a file whose first line is `first`."""


class CSVLog(FileLog):
    """Write a line an epoch to a CSV file: epoch, losses, metrics, seconds and images a second.

    Numbers are written so that reading them gives the same bits; a metric that is an array, as JSON. The
    first line has the names. Keras's ``CSVLogger`` counts epochs from 0 and appends only if asked to.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists.

    Raises
    ------
    OSError, FileFormatError
        As `fit` begins, if the file can't be written, or is no such log.
    ValueError
        After an epoch, if a file that is continued has other columns.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     _ = Network([Dense(1, 1)]).fit([[0.0]], [[0.0]], epochs=2, callbacks=[CSVLog(path)])
    ...     print(path.read_text())
    epoch,loss,seconds,images_per_second
    1,0.0,...
    2,0.0,...
    """

    opening = b"epoch,"

    def epoch_of(self, line: bytes) -> int:
        """Return the first cell."""
        return 0 if line.startswith(self.opening) else int(line.split(b",")[0])

    def line(self, values: dict[str, Any], first: bytes) -> bytes:
        """Return the values as a line, with the names before it in an empty file."""
        header = row(list(values))
        if first not in (b"", header):
            raise ValueError(
                f"{self.path}: has the columns {first.decode().strip()!r}, this run has "
                f"{header.decode().strip()!r}: wanted another file, or the metrics as they were"
            )
        cells = [json.dumps(value) if isinstance(value, list) else repr(value) for value in values.values()]
        return (header if not first else b"") + row(cells)


def row(cells: list[str]) -> bytes:
    r"""Return cells as a line of CSV.

    Examples
    --------
    >>> row(["1", "[1, 2]"])
    b'1,"[1, 2]"\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


class JSONLog(FileLog):
    """Write a JSON object an epoch, one a line: epoch, losses, metrics, seconds and images a second.

    A NaN or infinity, which JSON does not have, is written as null.

    Parameters
    ----------
    path : str or path-like
        The file, by custom ending in ``.jsonl``, in a folder that exists.

    Raises
    ------
    OSError, FileFormatError
        As `fit` begins, if the file can't be written, or is no such log.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.jsonl")
    ...     _ = Network([Dense(1, 1)]).fit([[0.0]], [[0.0]], callbacks=[JSONLog(path)])
    ...     print(path.read_text())
    {"epoch": 1, "loss": 0.0, "seconds": ..., "images_per_second": ...}
    """

    opening = b'{"epoch": '

    def epoch_of(self, line: bytes) -> int:
        """Return the object's epoch."""
        return int(json.loads(line)["epoch"])

    def line(self, values: dict[str, Any], first: bytes) -> bytes:
        """Return the values as an object."""
        return json.dumps(finite(values), allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """Return `value` with None in place of what JSON does not have.

    Examples
    --------
    >>> finite({"f1": [0.5, math.nan]})
    {'f1': [0.5, None]}
    """
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class TensorBoard(Log):
    """Write each epoch's numbers for TensorBoard: ``tensorboard --logdir FOLDER`` shows them.

    Takes the extra ``tensorboard`` of this package, which is tensorboardX: neither TensorFlow nor PyTorch.
    Each name of the history is a chart over the epochs; metrics that are arrays are left out. Of earlier runs
    in the same folder the epochs from this one's first are hidden.

    Parameters
    ----------
    folder : str or path-like
        Made where it is missing; one for each network that is trained.

    Raises
    ------
    MissingExtraError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder, self.unwritten = file_name(folder, "folder", "a folder"), []
        self.host = socket.gethostname()
        require_extra("tensorboardX", "tensorboard", "writing for TensorBoard")

    def begin(self, epochs: int, steps: int) -> None:
        """Begin a file of its own in the folder; hide what others tell of the epochs to come.

        Raises
        ------
        OSError
            If it can't be written: better now than after the first epoch.
        """
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # here, since it is an extra's

        self.unwritten, now = [], time.time_ns()
        os.makedirs(self.folder, exist_ok=True)
        # Files are told apart by the nanosecond at which they begin: another run's is not written over.
        name = f"events.out.tfevents.{now // 10**9}.{self.host}.{now}"
        self.path = os.path.join(self.folder, name)
        first = self.fit.network.epochs + 1
        events = [
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=first, session_log=SessionLog(status=SessionLog.START)),
        ]
        append_whole(self.path, b"".join(map(record, events)))

    def encoded(self) -> bytes:
        """Return an event a number."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        return b"".join(
            record(Event(wall_time=time.time(), step=values["epoch"], summary=scalar(name, value)))
            for values in self.unwritten
            for name, value in values.items()
            if isinstance(value, float)
        )


def record(event: Any) -> bytes:
    """Return an event as a TFRecord: its length and its bytes, each with their checksum."""
    from tensorboardX.record_writer import masked_crc32c

    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return b"".join(
        [length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))]
    )
