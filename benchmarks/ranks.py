"""The time of a step against ranks, a model of it, and what the model says of clusters.

    python -m benchmarks.ranks [--rounds 5]

Starts jobs of 1, 2 and 4 ranks (`benchmarks.rank_steps`) in turns, fits the model of docs/scaling.md to what
they say, and writes its tables there and all figures into benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.disturbance import Disturbance
from benchmarks.harness.rows import duration, heading, keep, put_between, short
from benchmarks.harness.worker import ROOT, environment
from benchmarks.rank_steps import SIZES

PAGE = ROOT / "docs" / "scaling.md"
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
RANKS = (1, 2, 4)
#: Networks between machines: seconds of one message, and bytes a second, as they are usually given.
CLUSTERS = {"10 Gbit/s Ethernet, TCP": (25e-6, 1.1e9), "100 Gbit/s InfiniBand": (2e-6, 11e9)}


def job(ranks: int) -> dict[str, Any]:
    """Return what a job of so many ranks says."""
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-m", "mpi4py", "-m", "benchmarks.rank_steps"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def middle(values: Any) -> Any:
    """Return the medians of the rounds: of numbers, and of numbers within lists and dicts alike."""
    first = values[0]
    if isinstance(first, dict):
        return {name: middle([value[name] for value in values]) for name in first}
    if isinstance(first, list):
        return [middle(list(each)) for each in zip(*values, strict=True)]
    return statistics.median(values)


def fit(pair: dict[str, Any]) -> tuple[float, float]:
    """Return latency in seconds and bandwidth in bytes a second of messages between two ranks here.

    The smallest message has the latency, beside the barrier that ends each turn; what the largest takes more
    is the bandwidth's.
    """
    one_way = pair["one way"]
    latency = max(one_way[0] - pair["barrier"][0], 1e-7)
    return latency, 4 * (SIZES[-1] - SIZES[0]) / (one_way[-1] - one_way[0])


def messages(ranks: int, parameters: int, latency: float, bandwidth: float) -> float:
    """Return the model's seconds of a step's messages: header, parameters, sums and losses, by level."""
    levels = math.ceil(math.log2(ranks))
    return levels * (4 * latency + 2 * 4 * parameters / bandwidth)


def predicted(
    alone: dict[str, float], ranks: int, latency: float, bandwidth: float, cores: float = math.inf
) -> float:
    """Return the model's seconds of a step: the busiest rank's shards, the messages, and rank 0's update."""
    shards, parameters = int(alone["shards"]), int(alone["parameters"])
    working = min(ranks, shards)
    share = max(math.ceil(shards / working) / shards, 1 / min(working, cores))
    compute = alone["step"] - alone["update"] - alone["messages"]
    return compute * share + messages(ranks, parameters, latency, bandwidth) + alone["update"]


def tables(found: dict[int, Any], rounds: dict[int, list[Any]], cores: int) -> list[str]:
    """Return the page's tables."""
    latency, bandwidth = fit(found[2]["messages"])
    lines = [
        f"Between two ranks here: {latency * 1e6:.1f} us a message, {bandwidth / 1e9:.1f} GB/s.",
        "",
        "| network, batch | ranks | a step, measured (range) | of it rank 0 in messages | the model |",
        "| --- | --- | --- | --- | --- |",
    ]
    for case, alone in found[1]["steps"].items():
        for ranks in RANKS:
            seen = [one["steps"][case] for one in rounds[ranks]]
            times = (
                [one["step"] for one in seen],
                [statistics.median([one["messages"] for one in seen])],
                [predicted(alone, ranks, latency, bandwidth, cores)],
            )
            lines.append(f"| {case} | {ranks} | {' | '.join(map(duration, times))} |")
    lines += [
        "",
        "| values | message | product | one after the other | message during the product | hidden |",
    ]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for one in found[2]["overlap"]:
        times = [one[name] for name in ("message", "product", "in turn", "during")]
        hidden = (one["in turn"] - one["during"]) / one["message"]
        lines.append(
            f"| {int(one['size']):,} | {' | '.join(duration([t]) for t in times)} | {100 * hidden:.0f} % |"
        )
    sizes = sorted({int(one["size"]) for one in found[2]["buckets"]})
    pieces = sorted({int(one["pieces"]) for one in found[2]["buckets"]})
    lines += ["", f"| values | {' | '.join(f'{p} pieces' if p > 1 else 'whole' for p in pieces)} |"]
    lines += ["|" + " --- |" * (1 + len(pieces))]
    seconds = {(int(one["size"]), int(one["pieces"])): one["seconds"] for one in found[2]["buckets"]}
    lines += [f"| {s:,} | {' | '.join(duration([seconds[s, p]]) for p in pieces)} |" for s in sizes]
    lines += ["", "| network, batch | between machines | 2 | 4 | 8 | 16 | 32 |", "|" + " --- |" * 7]
    for case, alone in found[1]["steps"].items():
        for name, numbers in CLUSTERS.items():
            times = [alone["step"] / predicted(alone, ranks, *numbers) for ranks in (2, 4, 8, 16, 32)]
            lines.append(f"| {case} | {name} | {' | '.join(short(t) for t in times)} |")
    return lines


def main() -> None:
    """Measure in turns, fit, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    about = {**machine.describe(), "command": " ".join(sys.argv[1:])}
    rounds: dict[int, list[Any]] = {ranks: [] for ranks in RANKS}
    shares = []
    for _ in range(given.rounds):
        for ranks in RANKS:
            watch = Disturbance([])
            rounds[ranks].append(job(ranks))
            shares.append(watch.share())
            print(f"{ranks} ranks, others took {100 * shares[-1]:.0f} % of the cores", flush=True)
            time.sleep(0.3)
    found = {ranks: middle(rounds[ranks]) for ranks in RANKS}
    said = (
        f"{heading(about, 'benchmarks.ranks')} Medians of {given.rounds} rounds; the machine was shared, and "
    )
    said += f"others took {100 * min(shares):.0f} to {100 * max(shares):.0f} % of its cores meanwhile."
    lines = [said, "", *tables(found, rounds, about["cores"])]
    print("\n".join(lines))
    put_between("<!-- ranks: begin -->", "<!-- ranks: end -->", "\n".join(lines), PAGE)
    keep(about, {**about, "others": shares, "rounds": rounds}, "ranks")


if __name__ == "__main__":
    main()
