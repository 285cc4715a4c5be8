"""Every argument of `fit` changes something, or is refused where it can't: none is taken and not used."""

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from purecnn import (
    SGD,
    Adam,
    Augmentation,
    Checkpoint,
    Convolutional,
    Dense,
    Flatten,
    LearningRate,
    Network,
    Softmax,
)
from purecnn.backend.threads import check_threads
from purecnn.errors import CheckpointError
from purecnn.metrics import accuracy
from purecnn.optimizers.schedules import OneCycle

RNG = np.random.default_rng(0)
X, Y = RNG.random((24, 1, 4, 4)).astype(np.float32), np.arange(24) % 3


def made(**options: Any) -> Network:
    return Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 4, 4), **options)


def outcome(x: Any = X, y: Any = Y, **options: Any) -> tuple[bytes, list[str]]:
    """Return the parameters that a training ends in, and what was measured."""
    network = made()
    history = network.fit(x, y, **{"epochs": 2, "batch_size": 7, **options})
    return network.parameters.tobytes(), sorted(history.lists())


#: Another value of each argument that must change the parameters, or what is measured.
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "x": {"x": X[::-1]},
    "y": {"y": Y[::-1]},
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 5},
    "accumulate": {"accumulate": 2},
    "loss": {"loss": "mse"},
    "optimizer": {"optimizer": "sgd"},
    "learning_rate": {"learning_rate": 0.1},
    "validation_data": {"validation_data": (X, Y)},
    "validation_split": {"validation_split": 0.25},
    "augmentation": {"augmentation": Augmentation(shift=1)},
    "metrics": {"metrics": ["f1"]},
    "shuffle": {"shuffle": False},
    "drop_last": {"drop_last": True},
    "sample_weight": {"sample_weight": np.arange(24) + 1},
    "class_weight": {"class_weight": {1: 5.0}},
    "l1": {"l1": 0.1},
    "l2": {"l2": 0.1},
    "shards": {"shards": 3},
}
#: Arguments that change no bits, with the tests that they do what they say.
OTHERS = {
    "self": "",
    "loss_prime": "test_a_derivative_beside_a_loss_that_has_one_is_refused",
    "threads": "test_threads_on_a_device_are_refused, and test_training's bits",
    "callbacks": "test_fitting",
    "verbose": "test_fitting",
    "ignore_label": "test_label_maps",
    "resume": "test_a_rate_given_to_a_resumed_run",
    "ranks": "test_distributed",
}


def test_every_argument_of_fit_is_looked_at() -> None:
    assert {*CHANGES, *OTHERS} == set(inspect.signature(Network.fit).parameters)


@pytest.mark.parametrize("name", CHANGES)
def test_an_argument_changes_something(name: str) -> None:
    assert outcome(**CHANGES[name]) != outcome()


def test_a_derivative_beside_a_loss_that_has_one_is_refused() -> None:
    with pytest.raises(ValueError, match="has its derivative already"):
        made().fit(X, Y, loss="mse", loss_prime=lambda y, p: p)
    with pytest.raises(ValueError, match="loss_prime was given without loss"):
        made().fit(X, Y, loss_prime=lambda y, p: p)
    with pytest.raises(TypeError, match="verbose must be True or False, got 2"):
        made().fit(X, Y, verbose=2)


def test_threads_on_a_device_are_refused() -> None:
    device: Any = SimpleNamespace(is_host=False, name="cuda")
    with pytest.raises(ValueError, match=r"threads are those of device='cpu', got threads=2 on 'cuda'"):
        check_threads(2, device)
    check_threads(None, device)
    check_threads(2, made().device)


def test_a_rate_given_to_a_resumed_run(tmp_path: Any) -> None:
    path, options = tmp_path / "run", {"batch_size": 8, "loss": "mse"}
    made().fit(X, Y, **options, optimizer=Adam(0.01), callbacks=[Checkpoint(path)])
    words = r"its run's learning_rate was 0\.01, this one's is 0\.1;"
    for given in ({"optimizer": Adam(0.1)}, {"learning_rate": 0.1}):
        with pytest.raises(CheckpointError, match=words):
            made().fit(X, Y, **options, **given, epochs=2, resume=path)
    optimizer = Adam(0.01)
    scheduled = LearningRate(optimizer, OneCycle(0.1))
    with pytest.raises(CheckpointError, match=r"its run's learning_rate was 0\.01, this one's is None"):
        made().fit(X, Y, **options, optimizer=optimizer, callbacks=[scheduled], epochs=2, resume=path)
    same, whole = made(), made()
    same.fit(X, Y, **options, learning_rate=0.01, epochs=2, resume=path)  # the same optimizer, by its name
    whole.fit(X, Y, **options, optimizer=Adam(0.01), epochs=2)
    assert np.array_equal(same.parameters, whole.parameters)


def test_a_rate_that_was_moved_in_the_run_goes_on(tmp_path: Any) -> None:
    def slower(fit: Any) -> None:
        fit.optimizer.learning_rate /= 2

    path, options = tmp_path / "run", {"batch_size": 8, "callbacks": [slower]}
    made().fit(X, Y, **options | {"callbacks": [slower, Checkpoint(path)]}, optimizer=SGD(0.1))
    resumed, whole = made(), made()
    resumed.fit(X, Y, **options, optimizer=SGD(0.1), epochs=3, resume=path)
    whole.fit(X, Y, **options, optimizer=SGD(0.1), epochs=3)
    assert np.array_equal(resumed.parameters, whole.parameters)


def test_a_schedule_of_another_optimizer_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"wants the optimizer that fit gets too, Adam\(.*, got another, SGD"
    ):
        made().fit(X, Y, callbacks=[LearningRate(SGD(), OneCycle(0.1))])


def test_weights_reach_every_metric_or_are_refused() -> None:
    network, weights = made(), np.where(Y == 0, 1.0, 0.0)
    found = network.evaluate(X, Y, metrics={"f1": "f1", "again": accuracy}, sample_weight=weights)
    assert found["again"] == found["accuracy"] == network.evaluate(X[Y == 0], Y[Y == 0])["accuracy"]
    assert found["f1"] != network.evaluate(X, Y, metrics=["f1"])["f1"]
    with pytest.raises(ValueError, match="sample_weight wants metrics that take it, got worst, which"):
        network.evaluate(X, Y, metrics={"worst": lambda t, p: 1.0}, sample_weight=weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(2, 3, dtype=np.float64),
        lambda: Convolutional((1, 4, 4), 3, 2, dtype="float64"),
    ],
)
def test_a_dtype_without_parameters_to_draw_is_refused(make: Any) -> None:
    with pytest.raises(
        ValueError, match=r"dtype is that of parameters drawn now, from rng, got .* without rng"
    ):
        make()
    assert Dense(2, 3, rng=0).parameters["weights"].dtype == np.float32
    assert Dense(2, 3, rng=0, dtype=np.float64).parameters["weights"].dtype == np.float64


def test_a_fill_without_free_places_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got fill=0\.5 without any of these"):
        Augmentation(fill=0.5, flip=True)
    assert Augmentation(fill=0.5, shift=1).fill == 0.5
