"""Pyodide's files, for tests of what runs in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.tools.static_server import PYODIDE


def pyodide() -> Path:
    """Return the folder with Pyodide's files, or skip the test where there is none."""
    if not (PYODIDE / "pyodide.mjs").is_file():
        pytest.skip(f"Pyodide is not in {PYODIDE}; PURECNN_PYODIDE names the folder that has it")
    return PYODIDE
