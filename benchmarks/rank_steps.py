"""What `benchmarks.ranks` runs on each rank: steps of training, messages alone, overlapped and in pieces.

    mpiexec -n 2 python -m mpi4py -m benchmarks.rank_steps

Rank 0 prints JSON: seconds, each the median of many.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from purecnn import Dense, Flatten, Network, Ranks, ReLU, Softmax
from purecnn.backend import blas
from purecnn.backend.sharding import shard_count
from purecnn.datasets import mnist
from purecnn.networks import lenet
from purecnn.training.distributed.trainer import RankTrainer

#: Steps of an epoch, of which there are three; the first warms up.
STEPS = 20
#: Values in a message.
SIZES = (1, 1_000, 10_000, 100_000, 1_000_000)
#: Pieces that one message is cut into.
BUCKETS = (1, 2, 4, 8)


def wide() -> Network:
    """Return a network whose gradient is large for what it computes: 814,090 parameters."""
    layers = [Flatten(), Dense(output_size=1024), ReLU(), Dense(output_size=10), Softmax()]
    return Network(layers, input_shape=(1, 28, 28))


NETWORKS: dict[str, Callable[[], Network]] = {"lenet": lenet, "wide": wide}
CASES = (("lenet", 128), ("lenet", 512), ("lenet", 2048), ("wide", 512))


def steps(ranks: Ranks, network: str, batch: int) -> dict[str, float]:
    """Return how long a step takes on one thread a rank, and how much of it rank 0 spends in messages."""
    (x, y), _ = mnist.load_data()
    place = np.arange(STEPS * batch) % len(x)
    made, spent = NETWORKS[network](), {"exchange": 0.0, "update": 0.0}

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return method(*given)
            finally:
                spent[name] += time.perf_counter() - begin

        return run

    with (
        mock.patch.object(Ranks, "exchange", timed("exchange", Ranks.exchange)),
        mock.patch.object(RankTrainer, "update", timed("update", RankTrainer.update)),
    ):
        history = made.fit(x[place], y[place], epochs=3, batch_size=batch, threads=1, ranks=ranks)
    return {
        "step": statistics.median(history.seconds[1:]) / STEPS,
        "messages": spent["exchange"] / 3 / STEPS,
        "update": spent["update"] / 3 / STEPS,
        "parameters": made.parameters.size,
        "shards": shard_count(batch),
    }


def median(job: Callable[[], Any], ranks: Ranks, turns: int = 100) -> float:
    """Return the median time of what all ranks do, from when all begin to when all have ended."""
    found = []
    for _ in range(turns):
        ranks.communicator.Barrier()
        begin = time.perf_counter()
        job()
        ranks.communicator.Barrier()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def messages(ranks: Ranks) -> dict[str, list[float]]:
    """Return how long it takes, by size: nothing, rank 0's word to all, and one way from rank 1 to rank 0."""
    found: dict[str, list[float]] = {"barrier": [median(lambda: None, ranks)], "broadcast": [], "one way": []}
    for size in SIZES:
        values, turns = np.zeros(size, np.float32), 200 if size <= 10_000 else 30

        def send(values: Any = values) -> None:
            if ranks.rank == 1:
                ranks.communicator.Send(values, 0)
            elif ranks.rank == 0:
                ranks.communicator.Recv(values, 1)

        found["broadcast"].append(
            median(lambda values=values: ranks.communicator.Bcast(values), ranks, turns)
        )
        found["one way"].append(median(send, ranks, turns))
    return found


def overlap(ranks: Ranks) -> list[dict[str, float]]:
    """Return how long a message, products, both in turn, and the message during products take, by size."""
    a = np.ones((256, 256), np.float32)
    out, found = np.empty_like(a), []
    for size in SIZES[2:]:
        values, products = np.zeros(size, np.float32), max(1, size // 20_000)

        def compute(products: int = products) -> None:
            for _ in range(products):
                np.matmul(a, a, out=out)

        def begin(values: Any = values) -> Any:
            if ranks.rank == 1:
                return ranks.communicator.Isend(values, 0)
            return ranks.communicator.Irecv(values, 1) if ranks.rank == 0 else None

        def during(begin: Any = begin, compute: Any = compute) -> None:
            request = begin()
            compute()
            if request:
                request.Wait()

        def in_turn(begin: Any = begin, compute: Any = compute) -> None:
            compute()
            if request := begin():
                request.Wait()

        def alone(begin: Any = begin) -> None:
            if request := begin():
                request.Wait()

        jobs = {"message": alone, "product": compute, "in turn": in_turn, "during": during}
        found.append({"size": size, **{name: median(job, ranks, 40) for name, job in jobs.items()}})
    return found


def buckets(ranks: Ranks) -> list[dict[str, float]]:
    """Return, by size and number of pieces, how long the sum of two ranks' vectors takes at rank 0."""
    found = []
    for size in SIZES[1:]:
        values, total = np.zeros(size, np.float32), np.zeros(size, np.float32)
        for pieces in BUCKETS:
            edges = [size * piece // pieces for piece in range(pieces + 1)]

            def job(values: Any = values, total: Any = total, edges: Any = edges) -> None:
                for first, last in itertools.pairwise(edges):
                    if ranks.rank == 1:
                        ranks.communicator.Send(values[first:last], 0)
                    elif ranks.rank == 0:
                        ranks.communicator.Recv(values[first:last], 1)
                        total[first:last] += values[first:last]

            found.append({"size": size, "pieces": pieces, "seconds": median(job, ranks, 50)})
    return found


def come_first() -> None:
    """Have this process go before others on a shared machine, where it may: as root, on Linux.

    A launcher gives each rank a session of its own, which the kernel then treats as one of many users.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("-15", encoding="ascii")
        os.nice(-15)


def main() -> None:
    """Measure, and print on rank 0."""
    come_first()
    ranks = Ranks()
    found: dict[str, Any] = {
        "steps": {f"{network}, {batch}": steps(ranks, network, batch) for network, batch in CASES},
        "messages": messages(ranks) if ranks.size > 1 else {},
    }
    with blas.single_threaded():
        found["overlap"] = overlap(ranks) if ranks.size == 2 else []
        found["buckets"] = buckets(ranks) if ranks.size == 2 else []
    if ranks.is_first:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
