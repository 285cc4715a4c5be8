"""The two environments of the benchmark: the one that runs it, and the one of Keras and JAX.

TensorFlow and JAX have an environment of their own, beside which nothing else needs them. `make bench` makes
both; a program whose packages are not there is left out, and its rows say so.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.harness.worker import ROOT

HERE = sys.executable
PEERS = str(ROOT / ".venv-peers" / "bin" / "python")
RECORDED = ("numpy", "tensorflow", "tensorflow-cpu", "keras", "jax", "jaxlib")

ASKED = """
import importlib.metadata, importlib.util, json, sys
versions = {}
for name in sys.argv[2].split(","):
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
there = all(importlib.util.find_spec(name) for name in sys.argv[1].split(",") if name)
print(json.dumps([there, versions]))
"""


@functools.cache
def asked(python: str, packages: tuple[str, ...]) -> tuple[bool, dict[str, str]]:
    """Whether a Python has all these packages, and the versions that are worth recording."""
    command = [python, "-c", ASKED, ",".join(packages), ",".join(RECORDED)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False, {}
    there, versions = json.loads(done.stdout)
    return there, versions


def has(python: str, packages: Sequence[str]) -> bool:
    """Whether this Python is there, and has all these packages."""
    return (python == HERE and not packages) or asked(python, tuple(packages))[0]


def peers_versions() -> dict[str, str]:
    """What the environment of Keras and JAX has installed; NumPy, too, may be another there."""
    return asked(PEERS, ())[1]
