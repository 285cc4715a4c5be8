"""Measures a work side by side: the same numbers first, then turn by turn in one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.comparisons import OURS, Comparison, Variant, Work, avx2_only
from benchmarks.harness.disturbance import Disturbance
from benchmarks.harness.environments import has
from benchmarks.harness.networks import BENCHES
from benchmarks.harness.rows import DISTURBED, Row, duration, rate
from benchmarks.harness.worker import Worker

PAUSE = (
    0.3  # seconds between turns, so that a thread pool that spins on after its last region has gone to sleep
)
SAME_STEPS, SAME_IMAGES, SAME_WITHIN = 20, 1000, 1e-4


#: Programs that can train without dropout, and in float64.
TRAINERS = ("purecnn_program", "torch_program", "keras_program", "jax_program")


def start(work: Work, variants: tuple[Variant, ...], place: Path, *more: str) -> list[Worker]:
    """The programs, each in its own process; `more` arguments go to those that know them."""
    extra = avx2_only() if work.avx2 else {}
    known = {v.label: more if v.module.endswith(TRAINERS) else () for v in variants}
    return [
        Worker(
            v.label,
            v.module,
            [str(place), *v.arguments, *known[v.label]],
            {**dict(v.environment), **extra},
            v.python,
        )
        for v in variants
    ]


def answers(work: Work, place: Path, *arguments: str, **request: Any) -> dict[str, np.ndarray]:
    """What every program, freshly started, answers to a request for losses or outputs."""
    workers = start(work, work.variants, place, *arguments)
    try:
        replies = {worker.label: worker.ask(**request) for worker in workers}
    finally:
        for worker in workers:
            worker.close()
    return {label: np.array(reply[request["what"]]) for label, reply in replies.items()}


def difference(work: Work, place: Path) -> tuple[float, str]:
    """The largest difference between ours and any peer, and what was compared.

    Training: the losses of the first 20 steps without dropout, relative to the larger of 1 and the loss.
    Where rounding grows too fast for that in float32, they are taken in float64, and the first 2 in float32.
    Inference: the probabilities of the first 1,000 images.
    """
    if work.what == "predict":
        return worst(
            f"probabilities of {SAME_IMAGES} images", answers(work, place, what="outputs", count=SAME_IMAGES)
        )
    runs: list[tuple[str, int, list[str]]] = [("", SAME_STEPS, [])]
    if BENCHES[work.network].rounding_grows:
        runs = [(" in float64", SAME_STEPS, ["--double"]), (" in float32", 2, [])]
    found = [
        worst(
            f"losses of the first {steps} steps{how}",
            answers(work, place, "--no-dropout", *more, what="losses", steps=steps),
        )
        for how, steps, more in runs
    ]
    return max(largest for largest, _ in found), "; ".join(said for _, said in found)


def worst(what: str, found: dict[str, np.ndarray]) -> tuple[float, str]:
    """The largest difference between ours and any peer's values, as a number and in words."""
    ours = found.pop(OURS)
    scale = np.maximum(1, np.abs(ours))
    largest, label = max(
        (float(np.max(np.abs(theirs - ours) / scale)), label) for label, theirs in found.items()
    )
    return largest, f"{what} differ by at most {largest:.1e} ({label})"


def turn(work: Work, worker: Worker) -> float:
    """Seconds a step or a prediction in one turn of one program."""
    time.sleep(PAUSE)
    if work.what == "train":
        reply = worker.ask("train", steps=work.count)
    else:
        reply = worker.ask("predict", count=work.count, repeats=work.repeats)
    return float(reply["seconds"])


@dataclass
class Turns:
    """What the rounds of one work gave.

    Attributes
    ----------
    seconds : dict
        By program, one for each round.
    shares : list of float
        The share of the cores that other programs took in each round.
    about : dict
        What each program says of itself.
    """

    seconds: dict[str, list[float]]
    shares: list[float]
    about: dict[str, dict[str, Any]]


def turns(work: Work, variants: tuple[Variant, ...], place: Path, rounds: int) -> Turns:
    """Measure the programs, each a process of its own that is started anew for each round.

    How fast a process is depends on what it happened to get, of memory above all: PyTorch's step differs more
    from process to process than within one. The order of the programs rotates from round to round. A round in
    which others took much is measured anew, as often as there are rounds to measure; after that it counts.
    """
    done = Turns({variant.label: [] for variant in variants}, [], {})
    spare = rounds
    while len(done.shares) < rounds:
        workers = start(work, variants, place)
        try:
            done.about = {worker.label: worker.ask("describe") for worker in workers}
            for worker in workers:
                turn(work, worker)  # warms up
            at = len(done.shares) % len(workers)
            watch = Disturbance([worker.process.pid for worker in workers])
            found = {worker.label: turn(work, worker) for worker in workers[at:] + workers[:at]}
            share = watch.share()
        finally:
            for worker in workers:
                worker.close()
        if share > DISTURBED and spare:
            spare -= 1
            continue
        done.shares.append(share)
        for label, value in found.items():
            done.seconds[label].append(value)
    return done


def side_by_side(work: Work, place: Path, rounds: int, peers: bool = True) -> list[Row]:
    """The rows of one work; without peers, ours alone. Peers that are not installed are left out."""
    missing = [v.label for v in work.variants if not has(v.python, v.needs)]
    work = replace(work, variants=tuple(v for v in work.variants if v.label not in missing))
    largest, same = difference(work, place) if peers and len(work.variants) > 1 else (0.0, "")
    variants = work.variants if peers else work.variants[:1]
    done = turns(work, variants, place, rounds)
    if not peers:
        first = work.comparisons[0]
        return [
            Row(
                first.name,
                first.title,
                text(work, done.seconds[OURS]),
                others=done.shares,
                measured=done.seconds,
                programs=done.about,
            )
        ]
    rows = [compare(work, comparison, done.seconds, missing) for comparison in work.comparisons]
    for row in rows:
        row.same, row.differs, row.programs, row.others = same, largest > SAME_WITHIN, done.about, done.shares
    return rows


def compare(
    work: Work, comparison: Comparison, seconds: dict[str, list[float]], missing: Sequence[str] = ()
) -> Row:
    """Ours against the fastest of the comparison's peers, ratio by ratio within each round."""
    row = Row(
        comparison.name,
        comparison.title,
        text(work, seconds[OURS]),
        bar=comparison.bar,
        reach=comparison.reach,
        missing=[label for label in comparison.peers if label in missing],
    )
    peers = [label for label in comparison.peers if label not in missing]
    row.measured = {label: seconds[label] for label in (OURS, *peers)}
    if peers:
        rounds = range(len(seconds[OURS]))
        fastest = [min(peers, key=lambda label: seconds[label][i]) for i in rounds]
        theirs = [seconds[label][i] for i, label in enumerate(fastest)]
        names = " or ".join(label for label, _ in Counter(fastest).most_common())
        row.peer = f"{names}: {text(work, theirs)}"
        row.figures = [a / b for a, b in zip(theirs, seconds[OURS], strict=True)]
    return row


def text(work: Work, seconds: list[float]) -> str:
    """The times as the table shows them."""
    if work.what == "predict" and work.count > 1:
        return rate(seconds, work.count)
    return duration(seconds)
