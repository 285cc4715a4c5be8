"""Facts about the machine: versions, processor and BLAS, which decide the bits of a result."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from purecnn.backend import blas
from purecnn.backend.arrays import CPU, Device
from purecnn.backend.cores import processors
from purecnn.version import __version__

#: What must be the same for two runs to have the same bits.
DECIDES_BITS = ("numpy", "blas", "features", "device")
#: What it means where a record does not say.
SILENT = {"device": "cpu"}


def machine(device: Device = CPU) -> dict[str, Any]:
    """Return the versions and the processor that this process computes with, as JSON values.

    Parameters
    ----------
    device : Device
        Where the network computes.

    Returns
    -------
    dict
        ``purecnn``, ``python``, ``numpy`` and ``system``; ``processor`` and how many of its ``cores`` this
        process may use; the ``features`` of the processor that NumPy uses; ``blas``, which library multiplies
        matrices, with the kernels that it chose for this processor. Where a network computes on a ``device``,
        that one's name, array module and version.

    Examples
    --------
    >>> machine()["numpy"] == np.__version__
    True
    """
    config: Any = np.show_config(mode="dicts") or {}
    simd, built = config.get("SIMD Extensions", {}), config.get("Build Dependencies", {}).get("blas", {})
    found = {
        "purecnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(processors()),
        "features": [platform.machine(), *simd.get("baseline", []), *simd.get("found", [])],
        "blas": blas.configuration() or f"{built.get('name', 'unknown')} {built.get('version', '')}".strip(),
    }
    if not device.is_host:
        found["device"] = f"{device}: {device.xp.__name__} {device.xp.__version__}"
    return found


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what differs between two machines, one phrase each.

    Examples
    --------
    >>> differences({"numpy": "2.0.0", "cores": 2}, {"numpy": "2.4.0", "cores": 2})
    ['numpy is 2.4.0, was 2.0.0']
    """

    def said(value: Any) -> str:
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    return [
        f"{name} is {said(now.get(name, 'unknown'))}, was {said(before.get(name, 'unknown'))}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


def decides_bits(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return those differences that may change the bits of a result."""
    return differences(
        *({name: side.get(name, SILENT.get(name)) for name in DECIDES_BITS} for side in (before, now))
    )


def _processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def commit() -> str | None:
    """Return the git commit of this package's checkout, with "-dirty" behind it if files have changed since.

    None where the package was installed from somewhere else, or git is missing.
    """
    here = Path(__file__).parent

    def git(*words: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True, timeout=30
        )
        return found.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else the folder merely lies in some checkout
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
