"""Overwriting: which finished runs a new one may take the place of."""

from __future__ import annotations

from pathlib import Path

from purecnn.errors import FileFormatError
from purecnn.runs.folder import MODEL
from purecnn.runs.run import Run


def check_overwritten(folder: Path, run: Run) -> None:
    """Refuse to write over a finished run of other settings; the same one again gives the same model."""
    if not (folder / MODEL).exists():
        return
    try:
        then = Run.recorded(folder).settings()
        changes = [f"{k} was {then.get(k)}, is {v}" for k, v in run.settings().items() if then.get(k) != v]
    except (FileFormatError, FileNotFoundError):
        changes = ["no record tells which"]
    if changes:
        raise ValueError(
            f"{folder}: holds a finished run of other settings ({'; '.join(changes)}): "
            f"name another --output, or --overwrite it"
        )
