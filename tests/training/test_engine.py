"""Counters that hold the engine's gains on a busy machine too: NumPy calls and bytes allocated a step."""

import tracemalloc
from collections import Counter
from functools import partial

import numpy as np
import pytest

from purecnn import Adam
from purecnn.backend import threads
from purecnn.kernels import cpu, pooled, products, tiles, unrolled, winograd, winograd_square
from purecnn.kernels import rows as rows_module
from purecnn.layers.activations import rectified
from purecnn.losses import as_loss, classification
from purecnn.networks import lenet
from purecnn.optimizers import adaptive, base
from purecnn.training import replica
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings

MODULES = (
    rectified,
    adaptive,
    classification,
    cpu,
    base,
    threads,
    replica,
    pooled,
    rows_module,
    unrolled,
    tiles,
    winograd,
    winograd_square,
)


class Counted:
    """NumPy, counting the calls that are made through it."""

    def __init__(self, calls):
        self.calls = calls

    def __getattr__(self, name):
        found = getattr(np, name)
        if not callable(found) or isinstance(found, type):
            return found

        self.calls[name] += 1  # asked for to be called, also as np.add.reduce
        return found


def counted(calls, *given, **named):
    """Multiply as the kernels do, which have that function by its name."""
    calls["matmul"] += 1
    return products.matmul(*given, **named)


@pytest.fixture
def trainer():
    """Return LeNet's trainer, warm, on one thread."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (256, 28, 28)).astype(np.uint8), rng.integers(0, 10, 256)
    network = lenet()
    rows = network.as_rows(x)
    settings = FitSettings(
        loss=as_loss("categorical_cross_entropy"), optimizer=Adam(), batch_size=128, threads=1
    )
    with HostTrainer(network, rows, network.targets(y, 256), settings) as made:
        for _ in range(3):
            made.step(range(128))
        yield made


def test_a_step_of_lenet_makes_few_numpy_calls(trainer, monkeypatch):
    calls = Counter()
    for module in MODULES:
        monkeypatch.setattr(module, "np", Counted(calls))
        if hasattr(module, "matmul"):
            monkeypatch.setattr(module, "matmul", partial(counted, calls))
    trainer.step(range(128))
    # Two shards. In each convolution one product forward and one for the kernels; in the second, by tiles,
    # four transforms, and nine products of rows for dx. Then the dense layer's three.
    assert calls["matmul"] == 2 * (2 + (2 + 4 + 9) + 3)
    assert calls.total() < 300  # 280 when this was written
    assert calls["zeros"] + calls["empty"] == 0


def test_a_step_of_lenet_allocates_little(trainer):
    tracemalloc.start()
    try:
        trainer.step(range(128))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        trainer.step(range(128))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 300_000  # one shard's activations alone are 4 MB
