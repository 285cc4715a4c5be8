"""The folder of a run: made, found complete, or found to be another's."""

from __future__ import annotations

import os
from pathlib import Path

from purecnn.errors import FileFormatError
from purecnn.networks.files import load
from purecnn.runs.record import read_record

MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"


def make_folder(folder: Path) -> None:
    """Make a run's folder, if need be: better to fail before the training than behind it.

    Raises
    ------
    OSError
        If it can't be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: there is a file of this name; a folder is wanted")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder}: a folder that can be written to is wanted")


def is_complete(folder: Path) -> bool:
    """Return whether the run of a folder came to its end."""
    try:
        return read_record(folder)["result"] is not None
    except FileNotFoundError:
        return (folder / MODEL).exists()
    except FileFormatError:
        return False


def check_interrupted(folder: Path) -> None:
    """Refuse to write a new run over one that was interrupted.

    Raises
    ------
    ValueError
        If something could go on from its checkpoint.
    """
    kept = folder / CHECKPOINT
    if not kept.exists() or is_complete(folder):
        return
    try:
        updates = load(kept, max_bytes=None).updates
    except FileFormatError:
        return  # nothing could go on from it
    if updates:
        raise ValueError(
            f"{folder}: holds a run that was interrupted after {updates} steps: `purecnn train --resume "
            f"{folder}` goes on with it; to begin anew, remove {kept} or name another --output"
        )
