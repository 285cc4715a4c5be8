"""What the figures were measured on: processor, versions, commit, and the peak of its matrix product.

    python -m benchmarks.harness.machine

prints the peak of float32 matrix products on all cores, in GFLOP/s.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.worker import ROOT

PACKAGES = ("numpy", "scipy", "torch", "onnx", "onnxruntime")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas_core() -> str | None:
    """The name of the kernels that NumPy's bundled OpenBLAS chose, or None if it is another BLAS."""
    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        try:
            name = ctypes.CDLL(str(path)).scipy_openblas_get_corename64_
        except (OSError, AttributeError):
            continue
        name.restype = ctypes.c_char_p
        return str(name().decode())
    return None


def git(*arguments: str) -> str:
    """What git answers in this repository, or nothing."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The short name of the commit, with "-dirty" if files outside the benchmark's results differ from it."""
    name = git("rev-parse", "--short", "HEAD") or "uncommitted"
    changes = git("status", "--porcelain", "--", ".", ":!benchmarks/results", ":!benchmarks/README.md")
    return name + ("-dirty" if changes and name != "uncommitted" else "")


def processor() -> tuple[str, list[str]]:
    """The processor's name, and which of AVX2 and AVX-512 it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    fields = dict(part for line in lines if len(part := [x.strip() for x in line.split(":", 1)]) == 2)
    flags = fields.get("flags", "").split()
    name = f"{fields.get('model name', platform.machine())} (model {fields.get('model', '?')})"
    return name, [flag for flag in ("avx2", "avx512f") if flag in flags]


def describe() -> dict[str, Any]:
    """Machine, versions, commit and date, to be recorded with the figures."""
    name, flags = processor()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": name,
        "flags": flags,
        "cores": cores(),
        "system": platform.system(),
        "versions": versions,
    }


def sgemm_peak(size: int = 2048, repeats: int = 8) -> float:
    """The most that float32 matrix products reach here on all cores BLAS takes, in GFLOP/s."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), np.float32) for _ in range(2))
    out, best = np.empty_like(a), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


if __name__ == "__main__":
    print(f"{sgemm_peak():.1f}")
