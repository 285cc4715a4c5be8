"""The rows that need whole processes: import time, memory, and the share of the sgemm peak."""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import purecnn
from benchmarks.harness.comparisons import NHWC_PLAIN, OURS, TORCH_LAST, Variant, ours
from benchmarks.harness.disturbance import Disturbance, family_megabytes
from benchmarks.harness.environments import has
from benchmarks.harness.measure import PAUSE
from benchmarks.harness.networks import BENCHES, training_flops
from benchmarks.harness.rows import Row, duration, number
from benchmarks.harness.worker import ROOT, Worker, environment


def run(*arguments: str) -> str:
    """What this Python prints when run with these arguments."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def seconds_of(*arguments: str) -> float:
    """How long this Python takes, from start to end, with these arguments."""
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def import_row(rounds: int) -> Row:
    """Whole processes that import the package, against those that import NumPy alone."""
    compileall.compile_dir(Path(purecnn.__file__).parent, quiet=1)  # as an installation does
    ours, numpy = [], []
    watch = Disturbance([])
    for i in range(-1, rounds):
        a, b = seconds_of("-c", "import purecnn"), seconds_of("-c", "import numpy")
        if i >= 0:
            ours.append(a)
            numpy.append(b)
    return Row(
        "import",
        "Import, whole process, against `import numpy`",
        duration(ours),
        f"NumPy: {duration(numpy)}",
        [a / b for a, b in zip(ours, numpy, strict=True)],
        bar=1.3,
        reach=1.15,
        less_is_better=True,
        others=[watch.share()],
        measured={OURS: ours, "numpy": numpy},
    )


def epoch_memory(variant: Variant, place: Path, *more: str) -> float:
    """The peak memory, in MB, of a program that trains on all of MNIST, its worker processes included."""
    bench = BENCHES["lenet"]
    worker = Worker(variant.label, variant.module, [str(place), *variant.arguments, *more], {})
    with ThreadPoolExecutor(1) as waiting:
        try:
            done = waiting.submit(worker.ask, "train", steps=-(-60_000 // bench.batch))
            together = 0.0
            while not done.done():
                together = max(together, family_megabytes(worker.process.pid))
                time.sleep(0.05)
            done.result()
            return max(together, float(worker.ask("memory")["megabytes"]))
        finally:
            worker.close()


def memory_row(place: Path, peers: bool) -> Row:
    """Peak memory of one epoch of LeNet; PyTorch's data as scaled floats, and as bytes."""
    measured = {OURS: [epoch_memory(ours(), place, "--packaged")]}
    text = ""
    missing = [] if not peers or has(NHWC_PLAIN.python, NHWC_PLAIN.needs) else ["PyTorch"]
    if peers and not missing:
        floats = epoch_memory(NHWC_PLAIN, place)
        octets = epoch_memory(NHWC_PLAIN, place, "--bytes")
        measured |= {TORCH_LAST: [floats], f"{TORCH_LAST}, data kept as bytes": [octets]}
        text = f"PyTorch: {number([floats], 'MB')}; data kept as bytes: {number([octets], 'MB')}"
    return Row(
        "memory",
        "Peak memory, LeNet, one epoch of MNIST, whole process",
        number(measured[OURS], "MB"),
        text,
        measured[OURS],
        unit="MB",
        bar=200,
        reach=120,
        less_is_better=True,
        measured=measured,
        missing=missing,
    )


def share_row(place: Path, rounds: int) -> Row:
    """LeNet's direct flops by the time of its epoch, as a share of the sgemm peak measured in between."""
    bench = BENCHES["lenet"]
    figures, epochs, peaks, others = [], [], [], []
    steps = -(-60_000 // bench.batch)
    flops = training_flops(bench) * 60_000
    variant = ours()
    worker = Worker(variant.label, variant.module, [str(place), *variant.arguments], {})
    try:
        worker.ask("train", steps=20)
        for _ in range(rounds):
            watch = Disturbance([worker.process.pid])
            time.sleep(PAUSE)
            peak = float(run("-m", "benchmarks.harness.machine")) * 1e9
            time.sleep(PAUSE)
            epoch = worker.ask("train", steps=steps)["seconds"] * steps
            figures.append(100 * flops / epoch / peak)
            epochs.append(epoch)
            peaks.append(peak / 1e9)
            others.append(watch.share())
    finally:
        worker.close()
    return Row(
        "share",
        "Share of the machine's sgemm peak over a LeNet epoch (direct flops)",
        duration(epochs),
        f"sgemm: {number(peaks, 'GFLOP/s')}",
        figures,
        unit="%",
        bar=35,
        reach=55,
        others=others,
        measured={OURS: epochs, "sgemm GFLOP/s": peaks},
    )
