"""Where a step's time goes: each part of it against its floor, on one core.

    python -m benchmarks.parts [NETWORK ...]

The networks are those of `benchmarks.harness.networks`, LeNet if none is named. The floor of a product is the
flops of the direct convolution at the core's own sgemm peak, which tiles can go below; that of everything
else is the bytes it must read and write at the speed of a copy between arrays that fit the cache. Times are
medians within real steps.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.networks import BENCHES, Bench
from benchmarks.harness.setup import mnist, patterns
from benchmarks.peers.purecnn_program import build
from purecnn import Adam, Network, Optimizer
from purecnn.backend import blas
from purecnn.kernels.grouped import GroupedConvolution
from purecnn.kernels.pooled import PooledConvolution, Tournament
from purecnn.kernels.rows import RowConvolution
from purecnn.kernels.tiles import TiledConvolution
from purecnn.kernels.unrolled import Unrolled
from purecnn.layers.base import Layer
from purecnn.layers.batchwise import BatchwiseLayer
from purecnn.layers.dense import Dense
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.losses import as_loss
from purecnn.training.fusion import PhasedConvolutional, PooledConvolutional
from purecnn.training.host import HostTrainer
from purecnn.training.replica import Replica
from purecnn.training.settings import FitSettings
from purecnn.training.shards import Shards


class Part(NamedTuple):
    """What a part of a step must do at least."""

    flops: float = 0.0
    moved: float = 0.0


def fastest(work: Callable[[], object], repeats: int = 30) -> float:
    """Return the shortest time of several."""
    found = []
    for _ in range(repeats):
        begin = time.thread_time()
        work()
        found.append(time.thread_time() - begin)
    return min(found)


def speeds() -> tuple[float, float]:
    """Return one core's sgemm peak in flops a second, and its copy speed in bytes a second."""
    a, b, c = (np.ones((1024, 1024), np.float32) for _ in range(3))
    x, y = np.ones(1 << 16, np.float32), np.ones(1 << 16, np.float32)
    peak = 2 * 1024**3 / fastest(lambda: np.matmul(a, b, out=c))
    return peak, 2 * x.nbytes / fastest(lambda: np.copyto(y, x), 300)


class Watch:
    """Times methods of classes while they are at work, and adds up what they must do at least.

    Attributes
    ----------
    times : dict
        The seconds of each label in the step at hand, without what other watched methods took meanwhile.
    least : dict
        Its `Part` in that step.
    """

    def __init__(self) -> None:
        self.times: dict[str, float] = defaultdict(float)
        self.least: dict[str, Part] = defaultdict(Part)
        self.inner = [0.0]

    def on(self, kind: type, name: str, label: Callable[..., str], part: Callable[..., Part]) -> None:
        """Time the method `name` of `kind`; label and part are told of the object and the arguments."""
        plain = getattr(kind, name)

        def timed(this: Any, *arguments: Any, **options: Any) -> Any:
            self.inner.append(0.0)
            begin = time.thread_time()
            found = plain(this, *arguments, **options)
            seconds = time.thread_time() - begin
            inside = self.inner.pop()
            self.inner[-1] += seconds
            key, added = label(this), part(this, *arguments, **options)
            self.times[key] += seconds - inside
            held = self.least[key]
            self.least[key] = Part(held.flops + added.flops, held.moved + added.moved)
            return found

        setattr(kind, name, timed)

    def clear(self) -> None:
        """Begin a step."""
        self.times.clear()
        self.least.clear()


def plan_of(this: Any) -> str:
    """Return a convolution's geometry in short."""
    rows, columns = getattr(this, "rows", 0), getattr(this, "columns", 0) * getattr(this, "phases", 1)
    how = {"Winograd": "tiles along the rows", "WinogradSquare": "tiles", "Unrolled": "unrolled"}[
        type(this).__name__
    ]
    sizes = f"{this.channels} to {this.maps} maps, {this.size[0]}x{this.size[1]}, {rows} x {columns}"
    return f"convolution {sizes} ({how})"


def direct(this: Any, number: int) -> float:
    """Return the flops of the direct convolution for a block of output rows."""
    first, last = this.row_blocks[number]
    places = (last - first) * this.columns * this.phases * this.batch
    return 2.0 * places * this.maps * this.channels * math.prod(this.size)


def watched() -> Watch:
    """Return a watch on all that a step consists of."""
    watch = Watch()

    def convolution(name: str) -> Callable[..., str]:
        return lambda this, *_: f"{plan_of(this)}: {name}"

    def products(this: Any, *given: Any) -> Part:
        return Part(flops=direct(this, next(one for one in given if isinstance(one, int))))

    def laid_out(this: Any, number: int) -> Part:
        begin, end = this.fresh_rows(number)
        return Part(moved=2.0 * this.x[:, begin:end].nbytes)

    for kind in (Unrolled, TiledConvolution):
        within = kind is TiledConvolution  # there what lays out is among the product's calls
        if not within:
            watch.on(kind, "prepare", convolution("lay out"), laid_out)
        watch.on(kind, "multiply", convolution("lay out and product" if within else "product"), products)
        watch.on(kind, "kernels_product", convolution("kernels' gradient"), products)
        watch.on(kind, "input_gradient", convolution("input gradient"), products)

    def pooled(this: Any, *_: Any) -> Part:
        return Part(moved=float((len(this.games) + 3) * this.best.nbytes))

    for name in ("pool", "unpool"):
        watch.on(Tournament, name, lambda this, *_, n=name: f"max pooling: {n}", pooled)
    for kind in (RowConvolution, PooledConvolution, GroupedConvolution):
        for name in ("forward", "backward"):
            watch.on(
                kind, name, lambda this, *_: "biases of convolutions, and their calls", lambda *_: Part()
            )
    for kind in layer_kinds():
        if kind in (Convolutional, PooledConvolutional, PhasedConvolutional):
            continue
        for name in ("forward", "backward", "measure", "measure_back"):
            if name in vars(kind):
                watch.on(kind, name, lambda this, *_, n=name: f"{type(this).__name__}: {n}", moved_by)
    watch.on(Replica, "take", lambda *_: "take: gather, turn, scale", taken)
    watch.on(Shards, "loss_and_gradient", lambda *_: "loss", lambda *_: Part())
    watch.on(
        Optimizer,
        "update",
        lambda *_: "update",
        lambda _, p, g, start, stop: Part(moved=6.0 * 4 * (stop - start)),
    )
    watch.on(HostTrainer, "step", lambda *_: "calls, views, bookkeeping", lambda *_: Part())
    return watch


def layer_kinds() -> list[type[Layer]]:
    """Return every kind of layer that is imported."""
    found, rest = [], [Layer]
    while rest:
        kind = rest.pop()
        rest += kind.__subclasses__()
        found.append(kind)
    return found


def moved_by(this: Layer, given: np.ndarray, *_: Any) -> Part:
    """Return what a layer must do with what it is given: a product, or one sweep over memory."""
    if isinstance(this, Dense):
        products = 1 if given.shape[0] == this.parameters["weights"].shape[1] else 2
        return Part(flops=2.0 * products * this.parameters["weights"].size * given.shape[-1])
    sweeps = 1 if isinstance(this, BatchwiseLayer) and given is not None else 2
    return Part(moved=float(sweeps * given.nbytes))


def taken(this: Replica, x: Any, rows: np.ndarray, *_: Any) -> Part:
    """Return what gathering samples must move: bytes read, floats written and scaled."""
    return Part(moved=float(this.values * len(rows) * 9))


def measure(watch: Watch, bench: Bench, steps: int) -> tuple[dict[str, float], dict[str, Part]]:
    """Return the median time of each part within real steps on one core, and what it must do at least."""
    x, y = mnist()[0] if bench.data == "mnist" else patterns(bench.input_shape)
    network = Network(build(bench), seed=0)
    network.bind(bench.input_shape)
    network.preprocessing.learn(x)
    rows, rng = network.as_rows(x), np.random.default_rng(0)
    settings = FitSettings(loss=as_loss(bench.loss), optimizer=Adam(), batch_size=bench.batch, threads=1)
    totals: dict[str, list[float]] = defaultdict(list)
    with HostTrainer(network, rows, network.targets(y, len(x)), settings) as trainer:
        for number in range(-3, steps):
            watch.clear()
            trainer.step(rng.permutation(len(x))[: bench.batch])
            for label, seconds in watch.times.items():
                if number >= 0:
                    totals[label].append(seconds)
    return {label: statistics.median(times) for label, times in totals.items()}, dict(watch.least)


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [name for name, bench in BENCHES.items() if bench.batch > 1]
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"one of {', '.join(known)}")
    names = parser.parse_args().networks or ["lenet"]
    if wrong := [name for name in names if name not in known]:
        parser.error(f"NETWORK must be one of {', '.join(known)}, got {', '.join(wrong)}")
    with blas.single_threaded():
        peak, copy = speeds()
    about, watch = machine.describe(), watched()
    command = " ".join(["python -m benchmarks.parts", *sys.argv[1:]])
    print(f"{about['date']}, commit {about['commit']}; {about['processor']}; `{command}`")
    print(f"\nOne core: sgemm {peak / 1e9:.0f} GFLOP/s, copy {copy / 1e9:.0f} GB/s.")
    for name in names:
        bench = BENCHES[name]
        found, least = measure(watch, bench, 20 if len(names) > 1 or name != "lenet" else 200)
        whole = sum(found.values())
        print(f"\n{name}: {whole * 1e3:.2f} ms for a step of {bench.batch}\n")
        print("| part | us | floor, us | share of the step |\n| --- | --- | --- | --- |")
        for label, seconds in sorted(found.items(), key=lambda item: -item[1]):
            flops, moved = least[label]
            floor = max(flops / peak, moved / copy) * 1e6
            print(
                f"| {label} | {seconds * 1e6:.0f} | {floor or '':.0f} | {100 * seconds / whole:.1f} % |"
                if floor
                else f"| {label} | {seconds * 1e6:.0f} | | {100 * seconds / whole:.1f} % |"
            )


if __name__ == "__main__":
    main()
