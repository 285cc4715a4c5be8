"""The best model to a file: what a training had at its best, whatever came after."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

from purecnn.backend.checks import file_name
from purecnn.backend.files import remove_leftovers
from purecnn.callbacks.history import History
from purecnn.callbacks.monitor import Monitor
from purecnn.errors import CheckpointWarning
from purecnn.formats.safetensors import write_safetensors
from purecnn.layers.serialization import describe


class BestModel(Monitor):
    """Write the network to a file after each epoch that is the best so far: all of it or nothing.

    `load` reads it, as what `save` writes. Keras's ``ModelCheckpoint(save_best_only=True)``.

    Parameters
    ----------
    path : str or path-like
        The file, by custom ending in ``.safetensors``. One that exists is replaced at the first epoch.
    monitor : str
        What to watch: "loss", the name of a metric that `fit` was asked for, or either on the validation set,
        such as "validation_loss" or "validation_accuracy".
    min_delta : float
        A smaller change is no improvement; at least 0.
    mode : {"min", "max"}, optional
        What an improvement is; wanted for a metric of one's own, whose direction nobody else knows.

    Attributes
    ----------
    best : float
        The best value, that of the model in the file; NaN before there is one.
    best_epoch : int
        The epoch that it belongs to, counted from 1 in this fit; 0 before the first.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument; and as `fit` begins, for a name that it will not measure, or a network that a
        file can't hold (see `save`).
    OSError
        As `fit` begins, if there is no such folder: better then than behind the training.

    Warns
    -----
    CheckpointWarning
        If the file can't be written, on a full disk say: it stays as it was, the training goes on, and the
        next epoch that is better than the file is written. Also if a resumed run finds its file gone.

    Notes
    -----
    The weights are those that are trained, beside a `WeightAverage` too, which gives the network its average
    in the end. A network's own state alone is kept; `Checkpoint` keeps what a run needs to go on, and
    `EarlyStopping` gives the best epoch back to the network in memory.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from purecnn import Dense, Network, load
    >>> x, network = [[0.0], [1.0]], Network([Dense(1, 1)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     best = BestModel(pathlib.Path(folder, "best.safetensors"), "loss")
    ...     history = network.fit(x, x, loss="mse", epochs=3, callbacks=[best])
    ...     best.best_epoch, load(best.path).epochs
    (3, 3)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        *,
        min_delta: float = 0.0,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        self.path = file_name(path)

    def begin(self, epochs: int, steps: int) -> None:
        """Forget an earlier fit, and see that what is watched is measured and the network can be written."""
        super().begin(epochs, steps)
        describe(self.fit.network.contents())
        remove_leftovers(self.path)

    def epoch(self, epoch: int, history: History) -> None:
        """Write the file, if this is the best epoch so far."""
        value = self.value(history)
        if not self.is_better(value):
            return
        try:
            write_safetensors(self.path, *describe(self.fit.network.contents()))
        except OSError as error:
            held = f"still holds epoch {self.best_epoch}" if self.best_epoch else "holds no model of this run"
            warnings.warn(
                f"{error}: the model of epoch {epoch}, the best so far, could not be written; the file "
                f"{held}, and the training goes on",
                CheckpointWarning,
                stacklevel=2,
            )
        else:
            self.best, self.best_epoch = value, epoch

    def restore(self, state: dict[str, Any]) -> None:
        """Take the best value back, where its file is there."""
        super().restore(state)
        if self.best_epoch and not os.path.exists(self.path):
            warnings.warn(
                f"{self.path}, which held the best model so far, of epoch {self.best_epoch}, is gone: it "
                f"will hold the best of the epochs that follow",
                CheckpointWarning,
                stacklevel=2,
            )
            self.best, self.best_epoch = math.nan, 0
