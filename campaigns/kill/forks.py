"""Fit beside threads that multiply matrices: nothing may hang, neither the fits nor what the threads do.

    python -m campaigns.kill.forks [--fits 1000] [--interrupts 10] [--output campaigns/results]

Each company of threads gets a process of its own, which fits, predicts and evaluates beside them, under a
watchdog that needs no interpreter lock. The threads must go on in between, and the bits must be those of a
network trained alone. Then Ctrl-C must end such a process at once.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib.util
import json
import os
import queue
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.kill.resume import ROOT, write_outcome
from purecnn import Dense, Network, ReLU, Softmax
from purecnn.backend.processes import VARIABLE
from purecnn.backend.types import Array

#: Seconds in which a fit, and a product beside it, must end; more where others use the machine.
WATCH = 60.0
#: Seconds in which Ctrl-C must end a process.
AT_ONCE = 20.0

Work = Callable[[], object]


def repeat(work: Work, pause: float) -> list[Callable[[], int]]:
    """Begin a thread that works again and again, with pauses of at most so many seconds; return its count."""
    done, choose = [0], random.Random(0)

    def run() -> None:
        while True:
            work()
            done[0] += 1
            if pause:
                time.sleep(choose.uniform(0, pause))

    threading.Thread(target=run, daemon=True).start()
    return [lambda: done[0]]


def pool(work: Work) -> list[Callable[[], int]]:
    """Begin a pool of two threads that work again and again."""
    done = [0]

    def run(_: int) -> None:
        work()
        done[0] += 1

    workers = ThreadPool(2)

    def feed() -> None:
        while True:
            workers.map(run, range(8))

    threading.Thread(target=feed, daemon=True).start()
    return [lambda: done[0]]


def square(size: int) -> Array:
    """Return a matrix."""
    return np.random.default_rng(0).standard_normal((size, size))


def multiplying(size: int, pause: float = 0.0) -> list[Callable[[], int]]:
    """Begin a thread that multiplies."""
    matrix = square(size)
    return repeat(lambda: matrix @ matrix, pause)


def multiplying_with_scipy() -> list[Callable[[], int]]:
    """Begin a thread that decomposes by SciPy's own BLAS, then sleeps."""
    linalg: Any = importlib.import_module("scipy.linalg")
    matrix = square(150)
    return repeat(lambda: linalg.lu_factor(matrix), 0.005)


def analysing() -> list[Callable[[], int]]:
    """Begin a pool of scikit-learn's principal component analyses."""
    decomposition: Any = importlib.import_module("sklearn.decomposition")
    matrix = square(60)
    return pool(lambda: decomposition.PCA(10).fit(matrix))


def decomposing() -> list[Callable[[], int]]:
    """Begin a pool of NumPy's singular value decompositions."""
    matrix = square(80)
    return pool(lambda: np.linalg.svd(matrix))


def waiting() -> list[Callable[[], int]]:
    """Begin threads that wait as those of a notebook's kernel do: for an event, a message, time."""
    near, far = socket.socketpair()
    works: list[Work] = [
        threading.Event().wait,
        queue.Queue[int]().get,
        lambda: near.recv(1),
        lambda: select.select([far], [], []),
        lambda: time.sleep(1e6),
    ]
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.1)
    return []


#: Who is beside the fits, and the module that it takes.
COMPANIES: dict[str, tuple[Callable[[], list[Callable[[], int]]], str]] = {
    "a thread that multiplies": (lambda: multiplying(700), "numpy"),
    "a thread that multiplies small matrices": (lambda: multiplying(130), "numpy"),
    "a thread that multiplies and sleeps": (lambda: multiplying(130, 0.003), "numpy"),
    "a thread that multiplies longer and sleeps": (lambda: multiplying(400, 0.02), "numpy"),
    "a thread that decomposes with SciPy and sleeps": (multiplying_with_scipy, "scipy"),
    "a pool that decomposes": (decomposing, "numpy"),
    "a pool of scikit-learn's PCA": (analysing, "sklearn"),
    "threads that wait": (waiting, "numpy"),
}


def trained(x: Array, y: Array) -> Network:
    """Return a network after two epochs of its own worker's and another's."""
    network = Network([Dense(8, 16), ReLU(), Dense(16, 3), Softmax()])
    network.fit(x, y, epochs=2, batch_size=64, threads=2)
    return network


def train_beside(company: str, fits: int, watch: float) -> dict[str, Any]:
    """Fit so many times beside some threads; return what was counted."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((640, 8)), rng.integers(0, 3, 640)
    wanted = trained(x, y).parameters.tobytes()
    forked, slowest, same = [0], 0.0, 0

    def note() -> None:
        forked[0] += 1

    counts = COMPANIES[company][0]()
    os.register_at_fork(after_in_parent=note)
    for fit in range(fits):
        faulthandler.dump_traceback_later(watch, exit=True)
        begin = time.monotonic()
        network = trained(x, y)
        network.predict(x, threads=2)
        network.evaluate(x, y, threads=2)
        slowest = max(slowest, time.monotonic() - begin)
        same += network.parameters.tobytes() == wanted
        if fit == 0:
            print("begun", flush=True)
        if fit % 20 == 19 or fit == fits - 1:
            for count in counts:
                before = count()
                while count() < before + 2:
                    time.sleep(1e-3)
    faulthandler.cancel_dump_traceback_later()
    return {"fits": fits, "with processes": forked[0], "same bits": same, "slowest": slowest}


def start(company: str, fits: int, watch: float) -> subprocess.Popen[str]:
    """Start the process that fits beside some threads."""
    # so short a fit would have threads alone, were its workers not asked for
    asked = {VARIABLE: "fork", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    environment = {**os.environ, **asked}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "campaigns.kill.forks"),
            *("--company", company, "--fits", str(fits), "--watch", str(watch)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def beside(company: str, fits: int, watch: float) -> tuple[str, bool]:
    """Fit beside some threads in a process of their own; return a line on it, and whether nothing hung."""
    with start(company, fits, watch) as process:
        output, errors = process.communicate()
    if process.returncode:
        return f"{company}: FAILED with status {process.returncode}\n{errors}", False
    found = json.loads(output.splitlines()[-1])
    line = (
        f"{found['fits']:6,} fits beside {company}: none hung, {found['with processes']:,} with a worker "
        f"process, {found['same bits']:,} with the bits of one alone, the slowest {found['slowest']:.2f} s"
    )
    return line, found["same bits"] == fits


def interrupted(company: str, wait: float, at_once: float) -> bool:
    """Send Ctrl-C to fits beside some threads; return whether it ended them at once."""
    with start(company, 1_000_000, WATCH) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=at_once)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    return process.returncode != 0 and "KeyboardInterrupt" in errors


def main() -> None:
    """Run the campaign, print what was survived, write it down; end with status 1 if anything was not."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--fits", type=int, default=1000, help="beside each company of threads")
    parser.add_argument("--interrupts", type=int, default=10, help="how many Ctrl-C")
    parser.add_argument("--seed", type=int, default=0, help="of their moments")
    parser.add_argument("--watch", type=float, default=WATCH, help="seconds that a fit may take")
    parser.add_argument(
        "--at-once", type=float, default=AT_ONCE, help="seconds in which Ctrl-C must end a fit"
    )
    parser.add_argument("--company", choices=COMPANIES, help="fit in this process, beside these threads")
    parser.add_argument("--output", type=Path, help="a folder for the outcome")
    asked = parser.parse_args()
    if asked.company:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        print(json.dumps(train_beside(asked.company, asked.fits, asked.watch)), flush=True)
        return
    begin, lines, good = time.monotonic(), [], True
    for company, (_, module) in COMPANIES.items():
        if importlib.util.find_spec(module) is None:
            continue
        line, held = beside(company, asked.fits, asked.watch)
        print(line, flush=True)
        lines.append(line)
        good &= held
    choose = random.Random(asked.seed)
    ended = sum(
        interrupted(choose.choice([*COMPANIES][:4]), choose.uniform(0, 1), asked.at_once)
        for _ in range(asked.interrupts)
    )
    lines.append(f"{ended:6,} of {asked.interrupts} Ctrl-C ended such fits at once")
    good &= ended == asked.interrupts
    lines.append(f"{'all survived' if good else 'FAILED'}, in {time.monotonic() - begin:.0f} s")
    print(*lines[-2:], sep="\n")
    if asked.output is not None:
        command = f"python -m campaigns.kill.forks --fits {asked.fits} --interrupts {asked.interrupts}"
        write_outcome(asked.output, "forks", "Fit beside other threads", command, "\n".join(lines))
    sys.exit(not good)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
