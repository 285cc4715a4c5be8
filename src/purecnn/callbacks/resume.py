"""Resuming: what a run needs to go on, taken from it and given to another.

What a run needs to go on where it is, beside its network: taken from it, and given to another.

It is the text ``checkpoint`` of a file, JSON that says how far the run is and what it was asked for, and the
arrays ``checkpoint....``: the optimizer's, the history's, the running epoch's losses and the callbacks'.
Random draws need no state: their streams are keyed by seed, epoch and step.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from purecnn.backend import environment
from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.checks import file_name, is_integer, is_number
from purecnn.callbacks.base import Callback, Run
from purecnn.callbacks.history import History
from purecnn.callbacks.state import unpack
from purecnn.errors import CheckpointError, CheckpointWarning, FileFormatError
from purecnn.layers.base import Layer
from purecnn.layers.file_checks import check_counts
from purecnn.layers.registry import is_own
from purecnn.layers.serialization import read_contents
from purecnn.optimizers.base import Optimizer

#: Written into each file; another one is refused.
VERSION = 1
#: Of two networks that can go on from one another, these texts are the same.
ARCHITECTURE = ("architecture", "input_shape", "dtype", "preprocessing", "task")
#: What a history has of the metrics that `fit` was asked for: numbers, or arrays of them.
METRICS = ("metrics", "validation_metrics")


def said(place: tuple[int, int] | None) -> str:
    """Return a place in a run in words.

    Examples
    --------
    >>> said((2, 0)), said((2, 7))
    ('epoch 2', 'step 7 of epoch 3')
    """
    epoch, step = place or (0, 0)
    return f"step {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"


def snapshot(fit: Run, machine: dict[str, Any]) -> dict[str, Any]:
    """Return all that a run on some machine needs to go on, beside its network, as JSON values and arrays."""
    optimizer = fit.optimizer
    return {
        "version": VERSION,
        "arguments": fit.arguments,
        "machine": machine,
        "epochs": fit.epochs,
        "epoch": fit.epoch,
        "step": fit.step,
        "spent": fit.spent,
        "losses": fit.losses,
        # A matrix an epoch is more than a text should hold.
        "history": vars(fit.history)
        | {kind: {name: np.array(v) for name, v in vars(fit.history)[kind].items()} for kind in METRICS},
        "optimizer": {
            "configuration": optimizer.configuration(),
            "steps": optimizer.steps,
            "state": dict(optimizer.state),
        },
        "callbacks": {name: callback.state() for name, callback in stateful(fit).items()},
    }


def stateful(fit: Run) -> dict[str, Callback]:
    """Return the callbacks that have a state, named by class and by place among those of that class."""
    found: dict[str, Callback] = {}
    counts: Counter[str] = Counter()
    for callback in fit.callbacks:
        if not callback.last and callback.state() is not None:
            kind = type(callback).__name__
            found[f"{kind}.{counts[kind]}"] = callback
            counts[kind] += 1
    return found


def checked_history(found: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Return what a file says of a history, with lists of what was measured in each of so many epochs.

    Raises
    ------
    LookupError, TypeError, ValueError
        If no `History` of so many epochs is like it.
    """
    for name, value in found.items():
        if name != "samples" and hasattr(History, name):  # a method, or what Python itself reads
            raise ValueError(f"a History has no {name!s:.100}={value!r:.100}")
    if not is_integer(found["samples"]):
        raise TypeError(f"a History has no samples={found['samples']!r:.100}, wanted an integer")
    for name in ("loss", "seconds", "validation_loss", "validation_accuracy"):
        values, lengths = found[name], (epochs, 0 if name.startswith("validation") else epochs)
        numbers = isinstance(values, list) and all(isinstance(value, float) for value in values)
        if not numbers or len(values) not in lengths:
            raise ValueError(f"a History of {epochs} epochs has no {name}={values!r:.100}")
    return found | {kind: measured(found[kind], epochs) for kind in METRICS}


def measured(found: dict[str, Any], epochs: int) -> dict[str, list[Any]]:
    """Return a file's arrays of metrics as lists, one value an epoch."""
    for name, array in found.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fi" or array.shape[:1] != (epochs,):
            raise ValueError(f"wanted {epochs} values of {name!r:.100}, got {array!r:.100}")
    return {name: array.tolist() for name, array in found.items()}


class SavedRun:
    """What a checkpoint holds: a network and a run's state.

    Parameters
    ----------
    path : str or path-like
        The file.
    layers : dict of str to type of Layer
        As `load` takes them.

    Raises
    ------
    FileFormatError
        If the file is damaged, or is no checkpoint.
    OSError
        If it can't be read.
    """

    def __init__(self, path: str | os.PathLike[str], layers: Mapping[str, type[Layer]] | None = None) -> None:
        self.path = file_name(path, "resume")
        self.contents, text, arrays = read_contents(path, None, layers)
        if not text:
            raise FileFormatError(f"{self.path}: a model, not a checkpoint: wanted what `Checkpoint` wrote")
        try:
            state = unpack(text, arrays)
            self.read(**state)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"{self.path}: its state is not what Checkpoint writes: {error!r:.500}"
            ) from None

    def read(
        self,
        *,
        version: int,
        arguments: dict[str, Any],
        machine: dict[str, Any],
        epochs: int,
        epoch: int,
        step: int,
        spent: float,
        losses: list[float],
        history: dict[str, Any],
        optimizer: dict[str, Any],
        callbacks: dict[str, dict[str, Any]],
    ) -> None:
        """Take in the state, once it makes sense."""
        if version != VERSION:
            raise ValueError(f"version {version!r}, wanted {VERSION}")
        self.arguments, self.machine, self.callbacks = dict(arguments), dict(machine), dict(callbacks)
        check_plain({**self.arguments, **self.machine})
        for count in (epochs, epoch, step, optimizer["steps"]):
            if not is_integer(count):
                raise TypeError(f"a count is {count!r:.100}, wanted an integer")
            check_counts(counts=count)
        if not is_number(spent) or spent < 0:
            raise ValueError(f"the seconds of an epoch are {spent!r:.100}, wanted a number of at least 0")
        self.epochs, self.epoch, self.step, self.spent = epochs, epoch, step, float(spent)
        self.losses, self.history = list(losses), checked_history(history, epoch)
        self.steps, self.state = optimizer["steps"], dict(optimizer["state"])
        self.configuration = dict(optimizer["configuration"])
        for name, array in self.state.items():
            if not isinstance(array, np.ndarray):
                raise TypeError(f"the optimizer's {name!s:.100} is {array!r:.100}, wanted an array")
        in_place = 0 <= self.epoch <= self.epochs and self.step == len(self.losses) and self.steps >= 0
        if not in_place or not all(isinstance(loss, float) for loss in self.losses):
            raise ValueError(f"step {step} of epoch {epoch} of {epochs}")
        if not math.isfinite(math.fsum(self.losses)):
            raise ValueError(f"the losses of the epoch are {losses!r:.100}, wanted finite numbers")

    def restore_network(self, fit: Run) -> None:
        """Give a run, before it begins, the network, the optimizer's state and the place that were kept.

        Raises
        ------
        CheckpointError
            If it is not the run that the checkpoint is of.
        """
        self.compare(fit)
        network, optimizer = fit.network, fit.optimizer
        contents = self.contents
        for layer, kept in zip(network.layers, contents.layers, strict=True):
            for name, array in (layer.parameters | layer.buffers).items():
                array[...] = to_device((kept.parameters | kept.buffers)[name], module_of(array))
        network.seed, network.epochs, network.updates = contents.seed, contents.epochs, contents.updates
        optimizer.state, optimizer.steps = self.state, self.steps
        fit.epoch, fit.step, fit.losses, fit.spent = self.epoch, self.step, self.losses, self.spent
        vars(fit.history).update(self.history)

    def compare(self, fit: Run) -> None:
        """Refuse a run that can't end as this one would have; warn of what may change its bits."""
        here, there = fit.network.contents().texts(), self.contents.texts()
        pairs: dict[str, tuple[Any, Any]] = {name: (there[name], here[name]) for name in ARCHITECTURE}
        pairs |= {
            name: (self.arguments.get(name), fit.arguments.get(name))
            for name in {**self.arguments, **fit.arguments}
        }
        for name, (was, now) in pairs.items():
            self.require_same(name, was, now)
        if fit.epochs < self.epoch + (self.step > 0):
            raise CheckpointError(
                f"{self.path}: holds {said((self.epoch, self.step))}, got epochs={fit.epochs}"
            )
        if self.step > fit.steps:
            raise FileFormatError(
                f"{self.path}: holds {said((self.epoch, self.step))}, wanted at most {fit.steps} steps"
            )
        self.compare_history(fit)
        like = (fit.network.parameters.shape, fit.network.dtype)
        wanted = dict.fromkeys(fit.optimizer.states, like)
        if {name: (array.shape, array.dtype) for name, array in self.state.items()} != wanted:
            raise FileFormatError(f"{self.path}: the optimizer's state is not one for these parameters")
        if changed := environment.decides_bits(self.machine, environment.machine(fit.network.device)):
            warnings.warn(
                f"{self.path}: the run may not end in the bits that it would have had, since "
                f"{'; '.join(changed)}",
                CheckpointWarning,
                stacklevel=2,
            )

    def compare_history(self, fit: Run) -> None:
        """Refuse a history that this run, with its data and metrics, can't have measured."""
        found, asked = self.history, set(fit.arguments["metrics"]) if self.epoch else set()
        validated = 0 if fit.validation_data is None else self.epoch
        for what, held, wanted in (
            ("samples", found["samples"], fit.history.samples),
            ("metrics", set(found["metrics"]), asked),
            ("losses on other data", len(found["validation_loss"]), validated),
        ):
            if held != wanted:
                raise FileFormatError(
                    f"{self.path}: the {what} of its history are {held!r:.100}, wanted {wanted!r:.100}"
                )

    def require_same(self, name: str, was: Any, now: Any) -> None:
        """Refuse a run that differs from the one that was kept."""
        if was != now:
            raise CheckpointError(
                f"{self.path}: its run's {name!s:.100} was {was!s:.200}, this one's is {now!s:.200}; "
                f"a run that is resumed wants all that decides its bits as it was"
            )

    def restore_callbacks(self, fit: Run) -> None:
        """Give the optimizer its settings back and the callbacks their states, once these have begun."""
        for name, value in self.settings(fit.optimizer).items():
            setattr(fit.optimizer, name, value)
        callbacks = stateful(fit)
        self.require_same("callbacks with a state", ", ".join(self.callbacks), ", ".join(callbacks))
        for name, callback in callbacks.items():
            try:
                callback.restore(self.callbacks[name])
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise CheckpointError(
                    f"{self.path}: {name} can't take its state back: {error!r:.500}"
                ) from error

    def settings(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the settings that an optimizer had, once they are such that it can have them."""
        held, kept = optimizer.configuration(), self.configuration
        for name in {**held, **kept}:
            kinds = {"number" if is_number(v) else type(v) for v in (held.get(name), kept.get(name))}
            if name not in held or name not in kept or len(kinds) > 1:
                value = repr(kept[name]) if name in kept else "nothing"
                raise FileFormatError(f"{self.path}: the optimizer has no {name!s:.100}={value:.100}")
        if not is_own(optimizer):
            return kept
        rate = float(kept["learning_rate"])  # which a schedule may have set to 0, as the constructor can't
        try:
            checked = type(optimizer)(**kept | {"learning_rate": 1.0})
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"{self.path}: its optimizer can't be made: {error!s:.500}") from None
        return checked.configuration() | {"learning_rate": rate}


def check_plain(value: Any) -> None:
    """Check that a value, which is compared with another, is made of JSON's kinds alone.

    Raises
    ------
    TypeError
        If an array lies in it.
    """
    if isinstance(value, np.ndarray):
        raise TypeError(f"an array of shape {value.shape} stands where a number or a text is wanted")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            check_plain(item)
