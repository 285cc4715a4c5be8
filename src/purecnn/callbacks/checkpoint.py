"""Checkpoints: files from which a run that was killed goes on to the same bits.

A run that is killed goes on where it was: what decides its bits lies in a file that is never half written.

A checkpoint is a model's file (`serialization`) with more in it (`resume`), so that `load` reads its
network. A SHA-256 seals it.

One file is enough. It takes its name once all of it is on the disk, so that the one before is the last good
one until that moment, whatever happens; an older generation would only be more steps to do again.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings

import numpy as np

from purecnn.backend import environment
from purecnn.backend.arrays import to_host
from purecnn.backend.checks import file_name, positive
from purecnn.backend.files import remove_leftovers
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History
from purecnn.callbacks.resume import said, snapshot
from purecnn.callbacks.state import pack
from purecnn.errors import CheckpointError, CheckpointWarning, DivergedError
from purecnn.formats.safetensors import write_safetensors
from purecnn.layers.file_checks import MAX_TEXT
from purecnn.layers.serialization import CHECKPOINT, describe


class Checkpoint(Callback):
    """Keep a run in a file, from which ``fit(..., resume=path)`` goes on to the same bits.

    A run killed at any instant and resumed ends in the same parameters, optimizer state and losses as one
    that never was, at any number of threads, also another one. What is lost is the steps since the last
    checkpoint. The file is a model too: `load` reads its network.

    Parameters
    ----------
    path : str or path-like
        The file, by custom ending in ``.safetensors``. One that exists is replaced as `fit` begins: to go on
        from it, give it as `resume` too.
    every : int, optional
        Steps between checkpoints; after each epoch if left out. Each takes as long as writing three times the
        parameters and waiting for the disk. One is written at the start, and one in the end.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument; and as `fit` begins, for a network that a file can't hold (see `save`).
    OSError
        As `fit` begins, if the file can't be written: better then than behind the training.
    CheckpointError
        As `fit` ends, if the last checkpoint could not be written. The network is trained.
    DivergedError
        If a parameter is no longer finite: the last good checkpoint stays.
    KeyboardInterrupt
        After Ctrl-C: the first lets the running step end, and a checkpoint is written; a second one ends the
        run at once. Only where nothing else handles the signal.

    Notes
    -----
    A checkpoint that can't be written in the middle of a run, on a full disk say, leaves the one before as
    it is and raises a `CheckpointWarning`, each time; the training goes on, for the disk may have room again
    before it ends. Whatever decides the bits must be given to the resumed `fit` as it was, the learning rate
    too where no `LearningRate` decides it; it goes on at the rate in the file, and with the file's seed.
    Keras's ``BackupAndRestore`` keeps no place in the epoch and no order of the samples; Lightning's
    checkpoints can run code as they are read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Network, load
    >>> x, y = [[0.0], [1.0], [2.0]], [[0.0], [1.0], [4.0]]
    >>> options = {"loss": "mse", "batch_size": 1, "epochs": 4}
    >>> whole, half, resumed = (Network([Dense(1, 1)]) for _ in range(3))
    >>> _ = whole.fit(x, y, **options)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "run.safetensors")
    ...     _ = half.fit(x, y, **options | {"epochs": 2}, callbacks=[Checkpoint(path)])
    ...     _ = resumed.fit(x, y, **options, resume=path)
    ...     load(path).epochs
    2
    >>> bool((resumed.parameters == whole.parameters).all())
    True
    """

    last = True

    def __init__(self, path: str | os.PathLike[str], *, every: int | None = None) -> None:
        self.path, self.every = file_name(path), None if every is None else positive("every", every)
        self.written: tuple[int, int] | None = None
        self.interrupts = Interrupts()

    def begin(self, epochs: int, steps: int) -> None:
        """Write the first checkpoint, and take over Ctrl-C."""
        remove_leftovers(self.path)
        self.written, self.machine = None, environment.machine(self.fit.network.device)
        self.write()
        self.interrupts.begin()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Write one, if it is time."""
        if self.every is not None and (self.fit.epoch * self.fit.steps + step) % self.every == 0:
            self.keep()
        self.heed()

    def epoch(self, epoch: int, history: History) -> None:
        """Write one, if it is time."""
        if self.every is None:
            self.keep()
        self.heed()

    def end(self, history: History) -> None:
        """Write the last one, and give Ctrl-C back; where the run diverged, say which checkpoint is good."""
        self.interrupts.end()
        place = (self.fit.epoch, self.fit.step)
        if isinstance(self.fit.error, DivergedError):
            self.fit.error.add_note(f"the last good checkpoint, {said(self.written)}, is {self.path}")
        if self.fit.error is None and self.written != place:
            try:
                self.write()
            except OSError as error:
                raise CheckpointError(
                    f"{error}: the last checkpoint could not be written; the file holds "
                    f"{said(self.written)}, the network is trained to {said(place)}"
                ) from error
        if self.fit.error is None and self.interrupts.asked:
            raise KeyboardInterrupt  # it came too late for the last step

    def heed(self) -> None:
        """End the run, if Ctrl-C asked for it, once its place is kept."""
        if self.interrupts.asked:
            self.keep()
            raise KeyboardInterrupt

    def keep(self) -> None:
        """Write a checkpoint, or warn that it can't be written."""
        try:
            self.write()
        except OSError as error:
            warnings.warn(
                f"{error}: the checkpoint of {said((self.fit.epoch, self.fit.step))} could not be written; "
                f"the last good one is of {said(self.written)}, and the training goes on",
                CheckpointWarning,
                stacklevel=2,
            )

    def write(self) -> None:
        """Write a checkpoint of the place where the run is, unless that is what the file holds."""
        place = (self.fit.epoch, self.fit.step)
        if self.written == place:
            return
        network = self.fit.network
        contents = network.contents()
        arrays = [network.parameters, *(buffer for layer in network for buffer in layer.buffers.values())]
        if not all(np.isfinite(to_host(array)).all() for array in arrays):
            raise DivergedError(
                f"a parameter is no longer finite at step {network.updates}: try a smaller learning rate "
                f"than {self.fit.optimizer.learning_rate:g}"
            )
        tensors, texts = describe(contents)
        text, states = pack(snapshot(self.fit, self.machine), CHECKPOINT)
        if len(text) > MAX_TEXT:
            raise ValueError(
                f"the state of this run takes {len(text)} characters, wanted at most {MAX_TEXT}: "
                f"a callback should keep long lists as arrays"
            )
        texts = {**texts, CHECKPOINT: text}
        write_safetensors(self.path, tensors | states, texts, sealed=True)
        self.written = place


class Interrupts:
    """The first Ctrl-C only asks; the second is obeyed at once."""

    def __init__(self) -> None:
        self.asked = self.installed = False

    def begin(self) -> None:
        """Take the signal over, where Python's own handler has it."""
        self.asked = False
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self.note)
            self.installed = True

    def note(self, *_: object) -> None:
        """Handle one signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def end(self) -> None:
        """Give the signal back."""
        if self.installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.installed = False
