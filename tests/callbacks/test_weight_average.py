"""Averages of the weights along a training: values, the statistics that belong to them, and bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import torch_numbers
from helpers.interruptions import Kill, Killed
from helpers.torch_numbers import close, part
from helpers.workers import PROCESSES, use
from purecnn import (
    SGD,
    BatchNormalization,
    Callback,
    Checkpoint,
    Convolutional,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    Network,
    ReLU,
    Softmax,
    Tanh,
    WeightAverage,
    load,
    save,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((30, 3))
Y = np.tanh(X[:, :1] - X[:, 1:2])
IMAGES = RANDOM.integers(0, 256, (100, 6, 6), dtype=np.uint8)
LABELS = RANDOM.integers(0, 3, 100)


class Record(Callback):
    """Keep the parameters behind each step and each epoch."""

    def __init__(self) -> None:
        self.steps: list[np.ndarray] = []
        self.epochs: list[np.ndarray] = []

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.steps.append(self.fit.network.parameters.astype(np.float64))

    def epoch(self, epoch: int, history: Any) -> None:
        self.epochs.append(self.fit.network.parameters.astype(np.float64))


def plain() -> Network:
    return Network([Dense(3, 4), Tanh(), Dense(4, 1)], seed=2, dtype=np.float64)


def normalized() -> Network:
    layers = [Convolutional(kernel_size=3, depth=2), BatchNormalization(), ReLU(), Flatten(), Dropout(0.3)]
    return Network([*layers, Dense(output_size=3), Softmax()], seed=3)


def trained(average: WeightAverage, *callbacks: Any, **options: Any) -> Network:
    made = normalized()
    options = {"epochs": 3, "batch_size": 32, "shards": 4, "optimizer": SGD(0.1, momentum=0.9)} | options
    made.fit(IMAGES, LABELS, callbacks=[average, *callbacks], **options)
    return made


def bits(made: Network) -> tuple[bytes, ...]:
    """Return parameters, running statistics and counts."""
    return (
        made.parameters.tobytes(),
        *(buffer.tobytes() for buffer in made[1].buffers.values()),
        bytes([made.epochs, made.updates]),
    )


@pytest.mark.parametrize("kind", ["exponential", "equal"])
def test_pytorchs_averages_parameter_groups_and_statistics(kind: str) -> None:
    """Of `AveragedModel` and `update_bn`, the first layer in a parameter group of its own."""
    held, before, after = (torch_numbers.load("averages"), *(part("averages", p) for p in ("before", kind)))
    made = Network([Dense(3, 4), BatchNormalization(), Tanh(), Dense(4, 2)], dtype=np.float64)
    places = {"1": made[0], "2": made[3]}
    for name, values in before.items():
        array = places[name[-1]].parameters[name[:-1]]
        array[...] = values.reshape(array.shape)
    made[0].learning_rate_factor = 0.2
    average = WeightAverage(kind, decay=0.9 if kind == "exponential" else None)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 8, "shuffle": False, "loss": "mse"}
    made.fit(held["x"], held["y"], **options, optimizer=SGD(0.1, momentum=0.9), callbacks=[average])
    found = {f"{name}{place}": p for place, layer in places.items() for name, p in layer.parameters.items()}
    found |= made[1].parameters | made[1].buffers
    assert found.keys() == after.keys()
    for name, values in after.items():
        close(found[name].reshape(values.shape), values)


@pytest.mark.parametrize("start", [1, 2, 3])
def test_the_exponential_average_of_each_step(start: int) -> None:
    made, record, average = plain(), Record(), WeightAverage(decay=0.8, start=start)
    made.fit(X, Y, loss="mse", epochs=3, batch_size=10, learning_rate=0.1, callbacks=[record, average])
    taken = record.steps[3 * (start - 1) :]
    wanted = taken[0]
    for parameters in taken[1:]:
        wanted = 0.8 * wanted + 0.2 * parameters
    np.testing.assert_allclose(average.average, wanted, rtol=1e-12)
    np.testing.assert_array_equal(made.parameters, average.average)
    assert average.count == len(taken)
    assert abs(made.parameters - record.steps[-1]).max() > 1e-3


def test_its_usual_decay() -> None:
    record, average = Record(), WeightAverage()
    plain().fit(X, Y, loss="mse", batch_size=15, learning_rate=0.1, callbacks=[record, average])
    first, second = record.steps
    np.testing.assert_allclose(average.average, 0.999 * first + 0.001 * second, rtol=1e-12)


@pytest.mark.parametrize("start", [1, 3])
def test_the_equal_average_of_each_epoch(start: int) -> None:
    made, record, average = plain(), Record(), WeightAverage("equal", start=start)
    made.fit(X, Y, loss="mse", epochs=4, batch_size=10, learning_rate=0.1, callbacks=[record, average])
    wanted = np.mean(record.epochs[start - 1 :], axis=0)
    np.testing.assert_allclose(made.parameters, wanted, rtol=1e-12)


def test_a_copy_has_the_average_while_the_network_trains_on() -> None:
    made, average, record, seen = plain(), WeightAverage(decay=0.5, apply=False), Record(), []

    def look(fit: Any) -> None:
        twin = average.network()
        seen.append((twin.parameters.copy(), twin.evaluate(X, Y, loss="mse")["loss"]))

    made.fit(X, Y, loss="mse", epochs=2, batch_size=10, learning_rate=0.1, callbacks=[record, average, look])
    np.testing.assert_array_equal(seen[-1][0], average.average)
    np.testing.assert_array_equal(made.parameters, record.steps[-1])
    assert seen[0][1] != seen[1][1] != made.evaluate(X, Y, loss="mse")["loss"]


@pytest.mark.parametrize("kind", ["exponential", "equal"])
@pytest.mark.parametrize("batch_size", [30, 12])
def test_running_statistics_are_those_of_the_averaged_weights(kind: str, batch_size: int) -> None:
    made = Network([Dense(3, 4), BatchNormalization(), Tanh(), Dense(4, 1)], seed=2, dtype=np.float64)
    options: dict[str, Any] = {"loss": "mse", "epochs": 3, "batch_size": batch_size, "shuffle": False}
    made.fit(X, Y, **options, shards=2, learning_rate=0.1, callbacks=[WeightAverage(kind)])
    seen = X @ made[0].parameters["weights"].T + made[0].parameters["biases"].ravel()
    batches = [seen[first : first + batch_size] for first in range(0, 30, batch_size)]
    variances = [len(batch) * batch.var(axis=0, ddof=1) for batch in batches]
    np.testing.assert_allclose(made[1].buffers["running_mean"], seen.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(made[1].buffers["running_variance"], sum(variances) / 30, rtol=1e-10)
    assert made.updates == 3 * len(batches)


def test_statistics_stay_where_that_is_asked_for_and_where_the_layer_is_frozen() -> None:
    def statistics(frozen: bool = False, **options: Any) -> list[float]:
        made = normalized()
        made[1].trainable = not frozen
        made.fit(IMAGES, LABELS, callbacks=[WeightAverage(**options)])
        found: list[float] = made[1].buffers["running_mean"].tolist()
        return found

    kept = statistics(recompute=False)
    assert kept == statistics(apply=False) != statistics()
    assert statistics(frozen=True) == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["exponential", "equal"])
def test_bits_are_the_same_at_any_number_of_workers(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    wanted = bits(trained(WeightAverage(kind), threads=1))
    assert bits(trained(WeightAverage(kind), threads=2)) == wanted
    for workers in PROCESSES:
        use(monkeypatch, workers)
        assert bits(trained(WeightAverage(kind), threads=2)) == wanted


@pytest.mark.parametrize(("kind", "kill"), [("exponential", Kill(6)), ("equal", Kill(7)), ("equal", Kill(4))])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, kind: str, kill: Kill) -> None:
    path = tmp_path / "c"
    wanted = bits(trained(WeightAverage(kind), threads=1))
    with pytest.raises(Killed):
        trained(WeightAverage(kind), Checkpoint(path, every=1), kill, threads=2)
    assert bits(trained(WeightAverage(kind), resume=path, threads=2)) == wanted


def test_a_finished_run_that_is_given_more_epochs_goes_on_from_the_trained_weights(tmp_path: Path) -> None:
    path = tmp_path / "c"
    wanted = bits(trained(WeightAverage("equal", start=2), epochs=4))
    trained(WeightAverage("equal", start=2), Checkpoint(path), epochs=3)
    assert bits(trained(WeightAverage("equal", start=2), resume=path, epochs=4)) == wanted


def test_the_averaged_network_is_saved_like_any_other(tmp_path: Path) -> None:
    made = trained(WeightAverage("equal"))
    save(made, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(IMAGES), made.predict(IMAGES))


def test_an_average_that_has_not_begun_changes_nothing() -> None:
    average, record = WeightAverage("equal", start=2), Record()
    made = plain()
    made.fit(X, Y, loss="mse", epochs=2, callbacks=[average, record, lambda fit: fit.stop("enough")])
    np.testing.assert_array_equal(made.parameters, record.steps[-1])
    with pytest.raises(ValueError, match="nothing is averaged yet: wanted a fit that has come to epoch 2"):
        average.network()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "mean"}, "kind must be one of exponential, equal, got 'mean'"),
        ({"decay": 1}, "decay must be a number at least 0 and below 1, got 1"),
        ({"kind": "equal", "decay": 0.9}, r"decay belongs to an exponential average, got 0\.9 for an equal"),
        ({"start": 0}, "start must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WeightAverage(**options)


def test_what_does_not_go_together_is_refused() -> None:
    def run(*callbacks: Callback) -> None:
        plain().fit(X, Y, loss="mse", callbacks=callbacks)

    with pytest.raises(ValueError, match="start must be at most the number of epochs, 1, got 2"):
        run(WeightAverage(start=2))
    with pytest.raises(
        ValueError, match="EarlyStopping and WeightAverage both give the network other weights"
    ):
        run(WeightAverage(), EarlyStopping("loss"))
    run(WeightAverage(apply=False), EarlyStopping("loss"))
    run(WeightAverage(), EarlyStopping("loss", restore_best=False))


def test_a_state_that_makes_no_sense_is_refused() -> None:
    average = WeightAverage()
    plain().fit(X, Y, loss="mse", callbacks=[average])
    state = average.state()
    with pytest.raises(ValueError, match="count is -1, wanted an integer of at least 0"):
        average.restore(state | {"count": -1})
    with pytest.raises(ValueError, match="the average is no vector of 21 float64"):
        average.restore(state | {"average": np.zeros(3)})
    with pytest.raises(ValueError, match="the average holds numbers that are not finite"):
        average.restore(state | {"average": np.full(21, np.nan)})
