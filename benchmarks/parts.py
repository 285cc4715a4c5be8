"""Where LeNet's time goes: each part of a shard's step against its floor, on one core.

    python -m benchmarks.parts

The floor of a product is its flops at the core's own sgemm peak; that of everything else is the bytes it must
read and write at the speed of a copy between arrays that fit the cache. Times are medians within real steps.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import machine
from purecnn import Adam, Dense, Flatten, Optimizer, ReLU
from purecnn.backend import blas
from purecnn.datasets import mnist
from purecnn.kernels.pooled import PooledConvolution
from purecnn.kernels.unrolled import Unrolled
from purecnn.kernels.winograd import Winograd
from purecnn.losses import as_loss
from purecnn.networks import lenet
from purecnn.training.host import HostTrainer
from purecnn.training.replica import Replica
from purecnn.training.settings import FitSettings
from purecnn.training.shards import Shards

SAMPLES = 64


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
    """Times methods of classes while they are at work."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def on(self, kind: type, name: str, label: Callable[[Any], str]) -> None:
        """Time the method `name` of `kind` under a label that the object decides."""
        plain = getattr(kind, name)

        def timed(this: Any, *arguments: Any, **options: Any) -> Any:
            begin = time.thread_time()
            found = plain(this, *arguments, **options)
            self.times[label(this)].append(time.thread_time() - begin)
            return found

        setattr(kind, name, timed)


def floors() -> dict[str, tuple[float, float]]:
    """Return flops and bytes of each part, for one shard."""
    n, item = SAMPLES, 4
    first, second = 8 * 25 * 576 * n * 2, 16 * 200 * 64 * n * 2
    maps = {1: (8, 24, 12), 2: (16, 8, 4)}
    found = {"take: gather, turn, scale": (0.0, 784 * n * (1 + 2 * item))}
    for layer, flops in ((1, first), (2, second)):
        depth, high, low = maps[layer]
        wide, pooled = depth * high * high * n * item, depth * low * low * n * item
        channels, rows, columns = ((1, 28, 24), (8, 12, 8))[layer - 1]
        unrolled = rows * 5 * channels * columns * n * item
        found |= {
            f"convolution {layer}: lay out": (0, 2 * unrolled),
            f"convolution {layer}: product": (flops, 0),
            f"convolution {layer}: pool": (0, wide + 2 * pooled),
            f"convolution {layer}: unpool": (0, wide + pooled),
            f"convolution {layer}: kernels' gradient": (flops, 0),
        }
    found["convolution 2: input gradient"] = (second, 0)
    return found | {
        "ReLU": (0, 4 * item * n * (8 * 144 + 16 * 16)),
        "dense layer and flatten": (3 * 2 * 2560 * n, 0),
        "loss": (0, 6 * 10 * n * item),
        "update (half of it)": (0, 6 * 5_994 * item / 2),
    }


def measure(steps: int = 200) -> tuple[dict[str, float], float]:
    """Return the median time of each part within real steps, and that of a shard's whole step."""
    watch = Watch()

    def layer(this: Any) -> int:
        this = getattr(this, "convolution", this)
        return 1 if this.maps == 8 else 2

    def convolution(part: str) -> Callable[[Any], str]:
        return lambda this: f"convolution {layer(this)}: {part}"

    watch.on(Replica, "take", lambda _: "take: gather, turn, scale")
    for kind in (Unrolled, Winograd):
        watch.on(kind, "prepare", convolution("lay out"))
        watch.on(kind, "multiply", convolution("product"))
        watch.on(kind, "kernels_product", convolution("kernels' gradient"))
        watch.on(kind, "input_gradient", convolution("input gradient"))
    watch.on(PooledConvolution, "pool", convolution("pool"))
    watch.on(PooledConvolution, "unpool", convolution("unpool"))
    for kind, label in (
        (ReLU, "ReLU"),
        (Dense, "dense layer and flatten"),
        (Flatten, "dense layer and flatten"),
    ):
        for name in ("forward", "backward"):
            watch.on(kind, name, lambda _, label=label: label)  # type: ignore[misc]
    watch.on(Shards, "loss_and_gradient", lambda _: "loss")
    watch.on(Optimizer, "update", lambda _: "update (half of it)")
    watch.on(HostTrainer, "step", lambda _: "step")
    (x, y), _ = mnist.load_data()
    network = lenet()
    rows = network.as_rows(x)
    rng = np.random.default_rng(0)
    settings = FitSettings(
        loss=as_loss("categorical_cross_entropy"), optimizer=Adam(), batch_size=128, threads=1
    )
    with HostTrainer(network, rows, network.targets(y, len(x)), settings) as trainer:
        totals = defaultdict(list)
        for number in range(-20, steps):
            watch.times.clear()
            trainer.step(rng.permutation(len(x))[:128])
            for label, times in watch.times.items():
                if number >= 0:
                    totals[label].append(sum(times) / 2)  # two shards a step
    found = {label: statistics.median(times) for label, times in totals.items()}
    for number in (1, 2):
        found[f"convolution {number}: product"] -= found[f"convolution {number}: lay out"]
    return found, found.pop("step")


def main() -> None:
    """Print the table."""
    with blas.single_threaded():
        peak, copy = speeds()
    found, whole = measure()
    about = machine.describe()
    print(f"{about['date']}, commit {about['commit']}; {about['processor']}; `python -m benchmarks.parts`\n")
    print(f"One core: sgemm {peak / 1e9:.0f} GFLOP/s, copy {copy / 1e9:.0f} GB/s; {SAMPLES} images.\n")
    print("| part | us | floor, us | share of the step |")
    print("| --- | --- | --- | --- |")
    for label, (flops, moved) in floors().items():
        floor = max(flops / peak, moved / copy)
        print(
            f"| {label} | {found[label] * 1e6:.0f} | {floor * 1e6:.0f} | {100 * found[label] / whole:.0f} % |"
        )
    known = sum(found[label] for label in floors())
    rest = whole - known
    print(f"| the rest: calls, views, bookkeeping | {rest * 1e6:.0f} | | {100 * rest / whole:.0f} % |")
    print(f"| whole step, per shard | {whole * 1e6:.0f} | | |")


if __name__ == "__main__":
    main()
