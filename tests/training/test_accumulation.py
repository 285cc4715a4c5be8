"""Gradient accumulation: steps of several batches are those of one large batch, at any number of workers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.interruptions import Kill, Killed
from helpers.workers import PROCESSES, use
from purecnn import (
    SGD,
    Adam,
    BatchNormalization,
    Checkpoint,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
)
from purecnn.datasets.dataset import Subset
from purecnn.errors import CheckpointError
from purecnn.training import host

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (128, 8, 8), dtype=np.uint8)
LABELS = RANDOM.integers(0, 3, 128)
WEIGHTS = RANDOM.random(128)


def network(*inside: Any, dtype: type = np.float32) -> Network:
    layers = [Convolutional(kernel_size=3, depth=4), *inside, ReLU(), MaxPooling(2), Flatten()]
    return Network([*layers, Dropout(0.3), Dense(output_size=3), Softmax()], seed=3, dtype=dtype)


def trained(made: Network | None = None, samples: int = 128, **options: Any) -> Network:
    made = made or network()
    options = {"optimizer": SGD(0.1, momentum=0.9), "epochs": 2} | options
    made.fit(IMAGES[:samples], LABELS[:samples], **options)
    return made


def plain(dtype: type = np.float64) -> Network:
    """Return a network that draws nothing, so that shards of any number see the same."""
    return Network([Flatten(), Dense(output_size=5), ReLU(), Dense(output_size=3), Softmax()], dtype=dtype)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"optimizer": SGD(0.1)},
    {"optimizer": Adam(0.01, clip_norm=0.5, weight_decay=0.01), "l1": 1e-3, "l2": 1e-3},
    {"sample_weight": WEIGHTS},
    {"class_weight": "balanced", "loss": "mse"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_batches_make_the_bits_of_one_twice_as_large(options: dict[str, Any], dtype: type) -> None:
    """Also with dropout: its masks belong to the shards, of which the large batch has as many."""
    import copy

    few, large = (copy.deepcopy(options.get("optimizer", SGD(0.1, momentum=0.9))) for _ in range(2))
    found = trained(
        network(dtype=dtype), **options | {"optimizer": few}, batch_size=32, accumulate=2, shards=2
    )
    wanted = trained(network(dtype=dtype), **options | {"optimizer": large}, batch_size=64, shards=4)
    np.testing.assert_array_equal(found.parameters, wanted.parameters)
    assert found.history is not None
    assert wanted.history is not None
    np.testing.assert_allclose(found.history.loss, wanted.history.loss, rtol=1e-12)
    assert found.updates == wanted.updates == few.steps == 4


@pytest.mark.parametrize("samples", [128, 100, 97, 65])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(16, 4), (1, 64), (64, 1), (21, 3), (200, 3)])
def test_the_last_step_takes_what_is_left(samples: int, batch_size: int, accumulate: int) -> None:
    optimizer = Adam(0.01)
    found = trained(
        plain(), samples, optimizer=optimizer, batch_size=batch_size, accumulate=accumulate, l2=1e-3
    )
    wanted = trained(plain(), samples, optimizer=Adam(0.01), batch_size=batch_size * accumulate, l2=1e-3)
    np.testing.assert_allclose(found.parameters, wanted.parameters, rtol=1e-9, atol=1e-12)
    assert found.history is not None
    assert wanted.history is not None
    np.testing.assert_allclose(found.history.loss, wanted.history.loss, rtol=1e-9)
    assert optimizer.steps == 2 * -(-samples // (batch_size * accumulate))


def test_weights_count_over_the_whole_step() -> None:
    weights = np.zeros(128)
    weights[10:16], weights[40:50] = 1.0, 3.0  # most batches of 8 have none
    options: dict[str, Any] = {"sample_weight": weights, "shuffle": False}
    found = trained(plain(), batch_size=8, accumulate=4, **options)
    wanted = trained(plain(), batch_size=32, **options)
    np.testing.assert_allclose(found.parameters, wanted.parameters, rtol=1e-9, atol=1e-12)


def test_a_short_last_batch_may_be_left_out() -> None:
    found = trained(plain(), 100, batch_size=16, accumulate=4, drop_last=True, epochs=1, shuffle=False)
    wanted = trained(plain(), 96, batch_size=64, epochs=1, shuffle=False)
    np.testing.assert_allclose(found.parameters, wanted.parameters, rtol=1e-9, atol=1e-12)


def test_normalization_sees_each_batch_by_itself() -> None:
    inside = BatchNormalization(momentum=0.5)
    made = Network([inside, Dense(output_size=1)], input_shape=3, dtype=np.float64)
    x = RANDOM.standard_normal((12, 3))
    made.fit(x, x[:, :1], loss="mse", batch_size=4, accumulate=3, shuffle=False)
    mean = np.zeros(3)
    for first in (0, 4, 8):
        mean = 0.5 * mean + 0.5 * x[first : first + 4].mean(axis=0)
    np.testing.assert_allclose(inside.buffers["running_mean"], mean, rtol=1e-12)
    assert made.updates == 1


def bits(made: Network) -> tuple[Any, ...]:
    assert made.history is not None
    buffers = [b.tobytes() for layer in made for b in layer.buffers.values()]
    return made.parameters.tobytes(), *buffers, made.history.loss


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("long", [False, True])
def test_bits_do_not_depend_on_the_workers(
    monkeypatch: pytest.MonkeyPatch, clip_norm: float | None, long: bool
) -> None:
    if long:  # then vectors are added by all workers
        monkeypatch.setattr(host, "LONG", 10)

    def run(threads: int) -> tuple[Any, ...]:
        optimizer = Adam(0.01, clip_norm=clip_norm)
        made = network(BatchNormalization())
        return bits(
            trained(made, 100, optimizer=optimizer, batch_size=16, accumulate=3, shards=2, threads=threads)
        )

    wanted = run(1)
    assert run(2) == wanted
    for kind in PROCESSES:
        if long and kind == "spawn":  # whose workers import the module anew
            continue
        use(monkeypatch, kind)
        assert run(2) == wanted


@pytest.mark.parametrize("kill", [Kill(1), Kill(3), Kill(5)])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, kill: Kill) -> None:
    path, options = tmp_path / "c", {"batch_size": 16, "accumulate": 3, "shards": 2}
    wanted = bits(trained(network(BatchNormalization()), **options))
    with pytest.raises(Killed):
        trained(network(BatchNormalization()), callbacks=[Checkpoint(path, every=1), kill], **options)
    assert bits(trained(network(BatchNormalization()), resume=path, **options)) == wanted
    with pytest.raises(CheckpointError, match="its run's accumulate was 3, this one's is 6"):
        trained(network(BatchNormalization()), resume=path, **options | {"accumulate": 6})


def test_data_outside_of_memory_are_read_a_batch_at_a_time() -> None:
    asked: list[int] = []

    class Counted(Subset):
        def batch(self, rows: Any) -> Any:
            asked.append(len(rows))
            return super().batch(rows)

    options: dict[str, Any] = {"batch_size": 16, "accumulate": 2, "epochs": 2}
    found, wanted = network(), network()
    flat = IMAGES.reshape(128, 1, 8, 8)
    found.fit(Counted(flat, np.arange(128), LABELS), **options)
    wanted.fit(flat, LABELS, **options)
    np.testing.assert_array_equal(found.parameters, wanted.parameters)
    assert max(asked) == 16
    assert sum(asked) == 2 * 128 + 1


@pytest.mark.parametrize("accumulate", [0, -1, 1.5, True])
def test_other_numbers_are_refused(accumulate: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="accumulate must be an integer"):
        trained(accumulate=accumulate)
