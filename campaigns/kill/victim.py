"""The process that a campaign kills: a small training run whose checkpoints take their time.

    python -m campaigns.kill.victim '{"folder": "...", ...}'
    mpiexec -n 2 python -m mpi4py -m campaigns.kill.victim '{"folder": "...", ...}'

It trains, from the folder's checkpoint if there is one, and writes digests of all that it ended in.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from purecnn import (
    SGD,
    Adam,
    BatchNormalization,
    Checkpoint,
    Convolutional,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    LearningRate,
    MaxPooling,
    Network,
    Ranks,
    ReLU,
    Softmax,
    Tanh,
)
from purecnn.backend import files
from purecnn.backend.digests import digest
from purecnn.backend.processes import VARIABLE
from purecnn.errors import CheckpointError, CheckpointWarning
from purecnn.formats import safetensors
from purecnn.optimizers.schedules import OneCycle
from purecnn.training import Fit
from purecnn.training.distributed import sentinel

CHECKPOINT, RESULT = "checkpoint.safetensors", "result.json"
#: Samples; the last batch of each size here is a short one.
SAMPLES = 330


def build(kind: str) -> Network:
    """Return one of the networks, all with dropout, so that every step draws."""
    if kind == "dense":
        layers = [Flatten(), Dense(output_size=24), Tanh(), Dropout(0.5), Dense(output_size=3), Softmax()]
        return Network(layers, input_shape=(1, 8, 8), seed=11)
    layers = [
        Convolutional(kernel_size=3, depth=4),
        *([BatchNormalization()] if kind == "normalized" else []),
        ReLU(),
        MaxPooling(2),
        Dropout(0.2),
        Flatten(),
        Dense(output_size=16),
        ReLU(),
        Dropout(0.4),
        Dense(output_size=3),
        Softmax(),
    ]
    dtype = np.float64 if kind == "convolutional, float64" else np.float32
    return Network(layers, input_shape=(1, 8, 8), seed=12, dtype=dtype)


def slow_writes(seconds: float) -> None:
    """Spread each write of a checkpoint over some time, before, in and behind the renaming."""
    plain, replace = files.write_whole, os.replace

    def pieces(parts: Iterable[Any]) -> Iterator[Any]:
        for part in parts:
            view = memoryview(part)
            half = len(view) // 2
            for piece in (view[:half], view[half:]):
                yield piece
                time.sleep(seconds / 16)

    def slowly(source: Any, target: Any) -> None:
        time.sleep(seconds / 8)
        replace(source, target)
        time.sleep(seconds / 8)

    os.replace = slowly
    safetensors.write_whole = lambda path, parts: plain(path, pieces(parts))  # type: ignore[attr-defined]


def set_fault(folder: Path, fault: str, on: bool) -> None:
    """Let no checkpoint be written to a folder, or let it again.

    Parameters
    ----------
    folder : Path
        A small file system of its own for the first two faults.
    fault : {"full disk", "read-only disk", "folder without permission", "limit on the size of files"}
        How. The last is this process's own.
    on : bool
        Whether it begins or ends.
    """
    if fault == "full disk":
        filler = folder / "filler"
        if not on:
            filler.unlink(missing_ok=True)
            return
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(512)):
                pass
    elif fault == "read-only disk":
        subprocess.run(["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(folder)], check=True)
    elif fault == "folder without permission":
        folder.chmod(0o555 if on else 0o755)
    else:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if on else hard, hard))


def train(
    folder: str,
    kind: str,
    optimizer: str,
    epochs: int,
    batch_size: int,
    threads: int,
    every: int | None,
    slow: float,
    fault: str = "",
    fails: tuple[int, int] = (0, 0),
    silence: int = sentinel.SILENCE,
    workers: str = "",
) -> None:
    """Do the run, or what is left of it; a fault begins after one epoch and ends after another."""
    sentinel.SILENCE = silence
    if workers:
        os.environ[VARIABLE] = workers
    place = Path(folder)
    kept = place / CHECKPOINT
    random = np.random.default_rng(5)
    x = random.integers(0, 256, (SAMPLES, 8, 8), dtype=np.uint8)
    y = x.reshape(SAMPLES, -1).mean(axis=1).argsort().argsort() * 3 // SAMPLES
    if slow:
        slow_writes(slow)
    network, ranks = build(kind), Ranks.of_job()

    def disturb(fit: Fit) -> None:
        if fit.epoch in fails:
            set_fault(place, fault, fit.epoch == fails[0])

    how = {"adam": Adam(0.01), "sgd": SGD(0.05), "momentum": SGD(0.02, momentum=0.9)}[optimizer]
    stopping = EarlyStopping(patience=epochs)
    warnings.simplefilter("always", CheckpointWarning)
    with warnings.catch_warnings(record=True) as caught:
        try:
            network.fit(
                x,
                y,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=how,
                validation_data=(x[:40], y[:40]),
                threads=threads,
                shards=4,  # the same at any number of ranks
                callbacks=[
                    LearningRate(how, OneCycle(0.02)),
                    stopping,
                    disturb,
                    Checkpoint(kept, every=every),
                ],
                resume=kept if (ranks.share(kept.exists()) if ranks else kept.exists()) else None,
                ranks=ranks,
            )
            error = None
        except CheckpointError as failure:
            error = str(failure)
    if ranks and not ranks.is_first:
        return
    history = stopping.fit.history
    values = [history.loss, history.validation_loss, history.validation_accuracy]
    result = {
        "bits": {
            "parameters": digest(network.parameters),
            "optimizer": digest(*(how.state[name] for name in how.states)),
            "settings": [how.steps, how.learning_rate],
            "history": digest(*map(np.array, values)),
            "best": [stopping.best, stopping.best_epoch],
            "buffers": digest(*(buffer for layer in network for buffer in layer.buffers.values())),
            "counts": [network.epochs, network.updates],
        },
        "warnings": [str(one.message) for one in caught],
        "error": error,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    train(**json.loads(sys.argv[1]))
