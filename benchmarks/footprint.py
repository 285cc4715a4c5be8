"""How small it is: purecnn and its peers installed alone, imported, and asked about one image.

    python -m benchmarks.footprint [NAME ...] [--rounds 9] [--tries 18]

Each program is installed into a fresh virtual environment of its own. Install size is what pip adds to the
empty environment, compiled Python files included. Times are of whole processes, in turns, an order that
rotates, the first round discarded: `import` is the median over that of `python -c pass`, the first prediction
(`benchmarks.cold_start`) is from the start of the process to its end. The programs must give the same
probabilities to 1e-5; scikit-learn's is another network. Peak memory is of the process that predicts.

Of all tries, those rounds count in which other programs took the least of the machine; their share is kept.

pip must be set to find PyTorch's CPU build: on Linux, PyPI's own has CUDA's libraries. Writes
benchmarks/results/DATE-COMMIT-footprint.json and the table in README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.disturbance import Disturbance
from benchmarks.harness.measure import PAUSE
from benchmarks.harness.networks import BENCHES, initial_parameters
from benchmarks.harness.rows import heading, keep, put_between, short
from benchmarks.harness.worker import ROOT

BEGIN, END = "<!-- footprint: begin -->", "<!-- footprint: end -->"
HEADINGS = "| | installed | packages, itself included | import | first prediction | peak memory |"
SAME_WITHIN = 1e-5
#: Packages whose versions the table tells.
NAMED = (
    "purecnn",
    "numpy",
    "onnxruntime",
    "scikit-learn",
    "torch",
    "tensorflow-cpu",
    "tensorflow_cpu",
    "keras",
)
BARE = "python -c pass"
PARAMETERS = ("w1", "b1", "w2", "b2", "w3", "b3")


@dataclass(frozen=True)
class Peer:
    """A program as its user installs it.

    Parameters
    ----------
    title : str
        For the table.
    requirement : str
        What pip is told.
    module : str
        What is imported.
    extra : tuple of str
        Packages that make its model file, in an environment of their own.
    same : bool
        Whether it computes the same network.
    """

    title: str
    requirement: str
    module: str
    extra: tuple[str, ...] = ()
    same: bool = True


PEERS = {
    "purecnn": Peer("purecnn", str(ROOT), "purecnn"),
    "onnxruntime": Peer("onnxruntime (predicts only)", "onnxruntime", "onnxruntime", ("onnx",)),
    "sklearn": Peer("scikit-learn (`MLPClassifier`)", "scikit-learn", "sklearn.neural_network", same=False),
    "torch": Peer("PyTorch (CPU build)", "torch==2.13.0", "torch"),
    "keras": Peer("TensorFlow (CPU build) with Keras", "tensorflow-cpu", "keras"),
}


class Environment:
    """A fresh virtual environment."""

    def __init__(self, place: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        self.place = place
        self.python = str(place / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    def run(self, *arguments: str) -> str:
        """What its Python prints when run with these arguments, this repository's packages out of reach."""
        hidden = ("PYTHONPATH", "PYTHONHOME")
        known = {name: value for name, value in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [self.python, *arguments], cwd=ROOT, env=known, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def install(self, *requirements: str) -> None:
        self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)

    def packages(self) -> dict[str, str]:
        """The versions of what is installed, by name."""
        found = json.loads(self.run("-m", "pip", "list", "--format=json", "--disable-pip-version-check"))
        return {one["name"].lower(): one["version"] for one in found}

    def size(self) -> float:
        """The MB of all files, links to the interpreter left out."""
        files = (path for path in self.place.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files) / 1e6

    def seconds(self, *arguments: str) -> float:
        """How long a process takes, from start to end."""
        time.sleep(PAUSE)
        start = time.perf_counter()
        self.run(*arguments)
        return time.perf_counter() - start


def lay_out(folder: Path) -> None:
    """Draw the parameters and the image that every program is given."""
    parameters = initial_parameters(BENCHES["lenet"])
    given = {name: array.tolist() for name, array in zip(PARAMETERS, parameters, strict=True)}
    (folder / "network.json").write_text(json.dumps(given), encoding="utf-8")
    image = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    (folder / "image.bin").write_bytes(image.tobytes())


def install(name: str, folder: Path) -> tuple[Environment, dict[str, Any]]:
    """Install a program; return its environment, and how much that is. Its model file is made, too."""
    peer, environment = PEERS[name], Environment(folder / name)
    before, there = environment.size(), environment.packages()
    environment.install(peer.requirement)
    found = {key: value for key, value in environment.packages().items() if key not in there}
    about = {"title": peer.title, "megabytes": environment.size() - before, "packages": found}
    maker = environment
    if peer.extra:
        maker = Environment(folder / f"{name}-maker")
        maker.install(peer.requirement, *peer.extra)
    maker.run("-m", "benchmarks.cold_start", name, "make", str(folder))
    print(f"{name}: {about['megabytes']:.0f} MB, {', '.join(found)}", flush=True)
    return environment, about


def measure(names: list[str], folder: Path, rounds: int, tries: int) -> dict[str, dict[str, Any]]:
    """Install and measure the programs; return the figures of each, of a bare Python, and others' share."""
    lay_out(folder)
    installed = {name: install(name, folder) for name in names}
    bare = Environment(folder / "bare")
    answers: dict[str, list[float]] = {}
    found: list[tuple[float, dict[str, dict[str, float]]]] = []
    for i in range(-1, tries):  # one round to warm the disk's cache
        watch = Disturbance([])
        at = i % len(names)
        once = {BARE: {"seconds": bare.seconds("-c", "pass")}}
        for name in names[at:] + names[:at]:
            environment = installed[name][0]
            loading = environment.seconds("-c", f"import {PEERS[name].module}")
            time.sleep(PAUSE)
            start = time.perf_counter()
            reply = json.loads(environment.run("-m", "benchmarks.cold_start", name, "ask", str(folder)))
            first = time.perf_counter() - start
            answers[name] = reply["answers"]
            once[name] = {"import": loading, "first": first, "memory": reply["megabytes"]}
        found += [(watch.share(), once)] if i >= 0 else []
        print(f"round {i + 1} of {tries}: others took {100 * watch.share():.0f} %", flush=True)
    check({name: found for name, found in answers.items() if PEERS[name].same})
    kept = sorted(found, key=lambda pair: pair[0])[:rounds]
    figures: dict[str, dict[str, Any]] = {name: about for name, (_, about) in installed.items()}
    figures |= {BARE: {}, "others": {"share": [share for share, _ in kept]}}
    for _, once in kept:
        for name, values in once.items():
            for key, value in values.items():
                figures[name].setdefault(key, []).append(value)
    return figures


def check(answers: dict[str, list[float]]) -> None:
    """Refuse programs that do not compute the same."""
    ours = next(iter(answers.values()))
    for name, theirs in answers.items():
        differs = float(np.abs(np.subtract(ours, theirs)).max())
        if differs > SAME_WITHIN:
            raise SystemExit(f"{name} differs from {next(iter(answers))} by {differs:.1e}")


def line(found: dict[str, Any], nothing: float) -> str:
    """A program's line of the table."""
    loading = max(0.0, statistics.median(found["import"]) - nothing)
    first, memory = statistics.median(found["first"]), statistics.median(found["memory"])
    cells = (f"{short(found['megabytes'])} MB", str(len(found["packages"])), f"{loading:.2f} s")
    return f"| {found['title']} | {' | '.join(cells)} | {first:.2f} s | {short(memory)} MB |"


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(PEERS)}; all if none")
    parser.add_argument("--rounds", type=int, default=9, help="how many count")
    parser.add_argument("--tries", type=int, default=18, help="how many are run")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in PEERS]:
        raise SystemExit(f"no program named {', '.join(unknown)}; there are {', '.join(PEERS)}")
    about = {**machine.describe(), "command": " ".join(sys.argv[1:])}
    names = given.names or list(PEERS)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(names, Path(folder), given.rounds, max(given.rounds, given.tries))
    nothing = statistics.median(figures[BARE]["seconds"])
    about["versions"] = {"python": about["versions"]["python"]}
    for name in names:
        packages = figures[name]["packages"]
        about["versions"] |= {key: packages[key] for key in NAMED if key in packages}
    rows = [HEADINGS, "|" + " --- |" * (HEADINGS.count("|") - 1)]
    rows += [line(figures[name], nothing) for name in names]
    others = f"others took {100 * statistics.median(figures['others']['share']):.0f} % of the cores."
    text = "\n".join([*rows, "", f"{heading(about, 'benchmarks.footprint')}; {others}"])
    print(text)
    keep(about, {**about, "footprint": figures}, "footprint")
    if names == list(PEERS):
        put_between(BEGIN, END, text, ROOT / "docs" / "guides" / "installation.md")


if __name__ == "__main__":
    main()
