"""The command line in tests: small data, and a run that is stopped."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from purecnn.callbacks.progress import ProgressBar

RANDOM = np.random.default_rng(0)


def idx(values: np.ndarray) -> bytes:
    shape = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def write_data(folder: Path, size: int = 16) -> Path:
    """Write a set of three classes, each a bright stripe of its own, that any network can learn."""
    folder.mkdir()
    for part, count in (("train", 60), ("t10k", 30)):
        y = (np.arange(count) % 3).astype(np.uint8)
        x = RANDOM.integers(0, 60, (count, size, size), dtype=np.uint8)
        for image, label in zip(x, y, strict=True):
            image[:, 5 * label : 5 * label + 3] += 150
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    return folder


# --- interrupted, diverged ----------------------------------------------------------------------------------


def stop_at(
    monkeypatch: pytest.MonkeyPatch, method: str, call: int, error: BaseException | signal.Signals
) -> None:
    """Raise an error, or a signal, from the given call of one of the progress bar's methods."""
    calls = []
    plain = getattr(ProgressBar, method)

    def patched(self: ProgressBar, *arguments: Any) -> None:
        plain(self, *arguments)
        calls.append(arguments)
        if len(calls) == call:
            if isinstance(error, signal.Signals):
                signal.raise_signal(error)
            else:
                raise error

    monkeypatch.setattr(ProgressBar, method, patched)
