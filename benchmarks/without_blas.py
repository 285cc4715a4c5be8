"""Products and convolutions where NumPy has no BLAS, in Pyodide under Node, from the root of the repository.

    node tests/package/webassembly/run.mjs PYODIDE benchmarks/without_blas.py '[]' src

Prints the tables of docs/engine.md: nanoseconds a multiply-add, milliseconds of both passes. Times are the
processor's, the least of some, since other programs may run beside.
"""

from __future__ import annotations

from collections.abc import Callable

import js
import numpy as np

from purecnn.backend.memory import Workspace
from purecnn.kernels import cpu, products, winograd
from purecnn.kernels.geometry import Window

#: Stacks of products: how many, (M, K) @ (K, L); whether both have K in runs, as the kernels' gradient has.
PRODUCTS = [
    (48, 6, 25, 384, False),
    (20, 8, 54, 160, False),
    (20, 8, 54, 1280, False),
    (12, 16, 144, 384, False),
    (1, 10, 200, 1280, False),
    (20, 8, 54, 5, False),
    (48, 25, 384, 6, True),
    (12, 144, 160, 16, True),
    (20, 54, 32, 8, True),
]
#: Convolutions of 12 x 12 pixels and 32 samples, pooled: maps of the input and the output, window.
CONVOLUTIONS = [(4, 8, 3), (6, 8, 3), (8, 16, 3), (6, 16, 5), (16, 16, 3)]


def spent() -> float:
    """Return the seconds of the processor that this process has used."""
    used = js.process.cpuUsage()
    return float(used.user + used.system) / 1e6


def least(function: Callable[[], object], rounds: int = 15, window: float = 0.01) -> float:
    """Return the least seconds that a call took, as a mean over a window of them."""
    function()
    times, calls = [float("inf")], 1
    while len(times) <= rounds:
        begin = spent()
        for _ in range(calls):
            function()
        seconds = spent() - begin
        if seconds < window:
            calls *= 2
        else:
            times.append(seconds / calls)
    return min(times)


def table(head: str, rows: list[list[str]]) -> None:
    """Print a table."""
    print(f"| {head} |\n{'| --- ' * (head.count('|') + 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def multiply() -> None:
    """Print what a multiply-add takes by each way of multiplying."""
    rng, rows = np.random.default_rng(0), []
    for stack, maps, depth, line, turned in PRODUCTS:
        left = rng.standard_normal((maps, depth) if not turned else (stack, maps, depth)).astype(np.float32)
        right = rng.standard_normal((stack, line, depth) if turned else (stack, depth, line)).astype(
            np.float32
        )
        right = right.swapaxes(-1, -2) if turned else right
        out = np.zeros((stack, maps, line), np.float32)
        ways = [
            lambda left=left, right=right, out=out: np.matmul(left, right, out=out),
            lambda left=left, right=right, out=out: np.einsum("...mk,...kl->...ml", left, right, out=out),
            lambda left=left, right=right, out=out: products.one_by_one(left, right, out),
            lambda left=left, right=right, out=out: products.in_loops(left, right, out),
        ]
        work = stack * maps * depth * line
        name = f"{maps} x {depth} by {depth} x {line}{', turned' if turned else ''}, {stack}"
        rows.append([name, *(f"{1e9 * least(way) / work:.2f}" for way in ways)])
    table("product | `matmul` | `einsum`, a stack | one by one | chosen", rows)


def convolve() -> None:
    """Print what both passes of a convolution take, unrolled and by tiles along the rows."""
    rng, rows = np.random.default_rng(0), []
    for channels, maps, side in CONVOLUTIONS:
        x = rng.standard_normal((channels, 12, 12, 32)).astype(np.float32)
        kernels = rng.standard_normal((maps, channels, side, side)).astype(np.float32)
        gradient, window, times = np.zeros_like(kernels), Window((side, side)), []
        saved = maps * channels * side * (side - 6 / (7 - side)) / (maps + channels)
        for worth in (float("inf"), 0):
            winograd.WORTH, workspace = worth, Workspace()  # type: ignore[assignment]
            y = cpu.conv2d_max_pool_forward(x, kernels, None, window, (2, 2), workspace)
            g = np.ones_like(y)

            def both(x=x, kernels=kernels, window=window, workspace=workspace, g=g, gradient=gradient):
                cpu.conv2d_max_pool_forward(x, kernels, None, window, (2, 2), workspace)
                cpu.conv2d_max_pool_backward(g, x, kernels, gradient, None, window, (2, 2), workspace)

            times.append(1000 * least(both))
        rows.append(
            [f"{channels} to {maps} maps, {side}x{side}", f"{saved:.0f}", *(f"{t:.2f}" for t in times)]
        )
    table("convolution | saved for each value | unrolled | tiles", rows)


multiply()
convolve()
