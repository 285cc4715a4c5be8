"""What a training step would take on 4, 8 and 16 cores: a prediction, checked on the cores that there are.

    python -m benchmarks.cores [--rounds 5] [--only lenet --only keras]

For more workers than this machine has cores, the critical path of a step runs alone on one core: the
caller's own work, one worker's shards, and its stretch of sums and update. To it are added the hand-overs,
as measured. It takes no less than the memory that all workers write and read, at this machine's speed of
copying on all its cores. On the machine's own numbers of cores the same model stands beside the time of a
real step.

A second table says what narrow shards cost: the time of a step in 8 and in 16 shards of that in 2, all on one
core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.networks import BENCHES, Bench
from benchmarks.harness.rows import keep, put_between
from benchmarks.harness.worker import ROOT
from benchmarks.peers.purecnn_program import build
from purecnn import Adam, Network
from purecnn.backend.processes import VARIABLE, ProcessPool, WorkerKind, shared_zeros
from purecnn.backend.sharding import shard_bounds, shard_count
from purecnn.backend.threads import ThreadPool, idle, narrow_buffer
from purecnn.backend.types import Array
from purecnn.losses import as_loss
from purecnn.training.host import LONG, HostTrainer
from purecnn.training.jobs import JobKind
from purecnn.training.settings import FitSettings

PAGE = ROOT / "docs" / "engine.md"
CORES = (1, 2, 4, 8, 16)
NARROW = (8, 16)
SAMPLES = 1024


@dataclass(frozen=True)
class Work:
    """A network to train, in a benchmark.

    Attributes
    ----------
    name : str
        Of its row.
    bench : Bench
        Its layers, the shape of one sample and the samples of a step.
    bar : float
        What a step on 8 cores may take of one on 2.
    narrow_bars : dict of int to float
        What a step in so many shards may take of one in 2, on one core.
    """

    name: str
    bench: Bench
    bar: float = 0.3
    narrow_bars: dict[int, float] = field(default_factory=dict)


WORKS = {
    "lenet": Work("LeNet 8-16", BENCHES["lenet"], 0.35, {8: 1.3, 16: 1.7}),
    "lenet-5": Work("LeNet-5", BENCHES["lenet-5"]),
    "keras": Work("Keras's MNIST convnet", BENCHES["keras"], 0.3, {8: 1.1, 16: 1.3}),
    "torch-example": Work("PyTorch's MNIST example, batch 64", BENCHES["torch-example"]),
    "cifar": Work("CIFAR-10-sized", BENCHES["cifar"], 0.3, {8: 1.05, 16: 1.2}),
    "vgg": Work("VGG with batch normalization", BENCHES["vgg"]),
    "resnet-20": Work("ResNet-20", BENCHES["resnet-20"]),
}


class CriticalPath(HostTrainer):
    """Takes that part of a step that one of many workers, the caller, is busy with.

    What the other workers would have written is what they wrote in one whole step before.
    """

    def __init__(self, workers: int, *given: Any) -> None:
        self.imagined, self.jobs, self.is_whole = workers, 0, True
        super().__init__(*given)

    def cut_batch(self) -> int:
        """Leave it to each worker to cut its own shards."""
        return len(shard_bounds(self.samples, self.count))

    def run_jobs(self, kind: JobKind, segment: int, numbers: range) -> None:
        """Take the caller's own shards through a segment."""
        self.jobs += 1
        run = self.shards.way(kind)
        with narrow_buffer():
            for number in numbers if self.is_whole else numbers[:: self.imagined]:
                run(segment, 0, self.shard(number, self.samples))

    def update(self, count: int) -> None:
        """Add and update the caller's stretch, or all where that is short."""
        size = self.parameter_update.parameters.size
        if size <= LONG or self.is_whole:
            super().update(count)
            return
        self.jobs += 1
        self.optimizer.advance()
        start, stop = self.parameter_update.stretch(0, self.imagined)
        self.parameter_update.add(count, start, stop)
        self.parameter_update.step(start, stop)


def settings(work: Work, threads: int, shards: int) -> FitSettings:
    """Return what `fit` would be told."""
    return FitSettings(
        loss=as_loss("categorical_cross_entropy"),
        optimizer=Adam(),
        batch_size=work.bench.batch,
        threads=threads,
        shards=shards,
    )


def ready(work: Work) -> tuple[Network, Array, Any]:
    """Return a network, its rows and its targets."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (SAMPLES, *work.bench.input_shape), np.uint8)
    network = Network(build(work.bench), seed=0)
    rows = network.as_rows(x)
    return network, rows, network.targets(rng.integers(0, 10, SAMPLES), SAMPLES)


def timed(trainer: HostTrainer, batch: int, seconds: float) -> float:
    """Return the median time of a step, over so many seconds."""
    order, times, until = np.arange(SAMPLES), [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < until:
        rows = order[len(times) * batch % SAMPLES :][:batch]
        begin = time.perf_counter()
        trainer.step(rows)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def hand_over(workers: int, repeats: int = 2000) -> float:
    """Return what it takes to begin and end a job that all workers share, beside the job.

    Two processes hand over to and fro; each further one costs the caller two semaphores, released and taken.
    """
    if workers == 1:
        return 0.0
    pool = ProcessPool(2, idle)
    try:
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            pool.run(2)
            times.append(time.perf_counter() - begin)
    finally:
        pool.close()
    import multiprocessing

    semaphore = multiprocessing.get_context("fork").Semaphore(0)
    begin = time.perf_counter()
    for _ in range(repeats):
        semaphore.release()
        semaphore.acquire(False)
    return statistics.median(times) + (workers - 2) * (time.perf_counter() - begin) / repeats


def copy_speed(cores: int) -> float:
    """Return how many bytes a second all cores together read and write, beyond their caches."""
    size = 1 << 24
    source, target = shared_zeros((cores, size), np.uint8), shared_zeros((cores, size), np.uint8)

    def job(_worker: int, number: int) -> None:
        np.copyto(target[number], source[number])

    pool = ProcessPool(cores, job) if cores > 1 else None
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        if pool is None:
            job(0, 0)
        else:
            pool.run(cores)
        times.append(time.perf_counter() - begin)
    if pool is not None:
        pool.close()
    return 2 * cores * size / min(times)


def traffic(work: Work, network: Network, shards: int) -> float:
    """Return the bytes that a step must move even where caches hold all else.

    The samples and the first layer's input; each shard's gradient, written and read; the parameters, read by
    each shard; and the optimizer's update, which reads and writes parameters and two states.
    """
    values, parameters = int(np.prod(work.bench.input_shape)), network.parameters.size
    return work.bench.batch * values * 5 + 4 * parameters * (3 * shards + 6)


def measure(work: Work, rounds: int, seconds: float) -> dict[int, dict[str, float]]:
    """Return the predicted time of a step on each number of cores, and a real one where there are so many."""
    here = machine.cores()
    found: dict[int, dict[str, list[float]]] = {cores: {"predicted": [], "measured": []} for cores in CORES}
    bandwidth, handing = copy_speed(here), {cores: hand_over(cores) for cores in CORES}
    for _ in range(rounds):
        for cores in CORES:
            shards = shard_count(work.bench.batch, cores)
            network, rows, targets = ready(work)
            with CriticalPath(min(cores, shards), network, rows, targets, settings(work, 1, shards)) as path:
                timed(path, work.bench.batch, 0.0)
                path.is_whole = path.imagined == 1
                path.jobs = 0
                path.step(np.arange(work.bench.batch))
                handed = path.jobs * handing[min(cores, shards)]
                alone = timed(path, work.bench.batch, seconds)
            bound = traffic(work, network, shards) / bandwidth
            found[cores]["predicted"].append(max(alone + handed, bound))
            if cores <= here:
                network, rows, targets = ready(work)
                with HostTrainer(network, rows, targets, settings(work, cores, shards)) as trainer:
                    if isinstance(trainer.pool, ThreadPool):  # as where BLAS is told one thread around this
                        raise RuntimeError("the workers are to be processes, and are threads")
                    timed(trainer, work.bench.batch, 0.0)
                    found[cores]["measured"].append(timed(trainer, work.bench.batch, seconds))
    return {
        cores: {name: statistics.median(values) for name, values in each.items() if values}
        for cores, each in found.items()
    }


def measure_narrow(work: Work, rounds: int, seconds: float) -> dict[int, float]:
    """Return the time of a step in each of these numbers of shards, of that in 2, on one core."""
    ratios: dict[int, list[float]] = {shards: [] for shards in NARROW}
    for _ in range(rounds):
        times = {}
        for shards in (2, *NARROW):
            network, rows, targets = ready(work)
            with HostTrainer(network, rows, targets, settings(work, 1, shards)) as trainer:
                timed(trainer, work.bench.batch, 0.0)
                times[shards] = timed(trainer, work.bench.batch, seconds)
        for shards, ratio in ratios.items():
            ratio.append(times[shards] / times[2])
    return {shards: statistics.median(ratio) for shards, ratio in ratios.items()}


def narrow_table(results: dict[str, dict[int, float]]) -> str:
    """Return what narrow shards cost as a Markdown table, each beside its bar."""
    heads = [text for shards in NARROW for text in (f"{shards} shards / 2", "bar", "met")]
    lines = [["network", *heads], ["---"] * (len(heads) + 1)]
    for key, result in results.items():
        cells = [WORKS[key].name]
        for shards, ratio in result.items():
            bar = WORKS[key].narrow_bars.get(shards)
            verdict = "" if bar is None else "yes" if ratio <= bar else "no"
            cells += [f"{ratio:.2f}", "" if bar is None else f"{bar:.2f}", verdict]
        lines.append(cells)
    return as_markdown(lines)


def as_markdown(lines: list[list[str]]) -> str:
    """Return the lines of a table, heads and rule first, as Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def table(results: dict[str, dict[int, dict[str, float]]]) -> str:
    """Return the results as a Markdown table, in milliseconds."""
    here = [cores for cores in CORES if cores <= machine.cores()]
    heads = [
        "network",
        *(f"{cores}, measured" for cores in here),
        *(f"{cores}, predicted" for cores in CORES),
    ]
    lines = [[*heads, "8 cores / 2", "bar", "met"], ["---"] * (len(heads) + 3)]
    for key, result in results.items():
        ratio, bar = result[8]["predicted"] / result[2]["predicted"], WORKS[key].bar
        figures = [result[cores]["measured"] for cores in here]
        figures += [result[cores]["predicted"] for cores in CORES]
        cells = [f"{1e3 * figure:.2f}" if figure < 0.1 else f"{1e3 * figure:.0f}" for figure in figures]
        verdict = "yes" if ratio <= bar else "no"
        lines.append([WORKS[key].name, *cells, f"{ratio:.2f}", f"{bar:.2f}", verdict])
    return as_markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="of steps a turn")
    parser.add_argument("--only", action="append", choices=list(WORKS))
    given = parser.parse_args()
    results, narrow = {}, {}
    os.environ.setdefault(VARIABLE, WorkerKind.FORK)  # at once, as a long fit has them
    for name in given.only or WORKS:
        results[name] = measure(WORKS[name], given.rounds, given.seconds)
        print(table({name: results[name]}).splitlines()[-1], flush=True)
        narrow[name] = measure_narrow(WORKS[name], given.rounds, given.seconds)
        print(narrow_table({name: narrow[name]}).splitlines()[-1], flush=True)
    about = machine.describe()
    tables = f"{table(results)}\n\n{narrow_table(narrow)}"
    print(tables)
    if not given.only:
        words = f"`python -m benchmarks.cores --rounds {given.rounds}`, commit {about['commit']}"
        text = f"{about['processor']}, {machine.cores()} cores; {words}\n\n{tables}"
        put_between("<!-- cores: begin -->", "<!-- cores: end -->", text, PAGE)
        keep(about, {"machine": about, "results": results, "narrow": narrow}, "cores")


if __name__ == "__main__":
    main()
