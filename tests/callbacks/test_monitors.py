"""What watches one measured value: the rate that falls on a plateau, and the best model in a file."""

import errno
import math
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
    BestModel,
    Callback,
    Checkpoint,
    Dense,
    Layer,
    LearningRate,
    Network,
    ReduceOnPlateau,
    Tanh,
    load,
)
from purecnn.errors import CheckpointError, CheckpointWarning
from purecnn.optimizers.schedules import Cosine

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 3))
Y = np.tanh(X[:, :1] - X[:, 1:2])


def network(seed: int = 1) -> Network:
    return Network([Dense(3, 4), BatchNormalization(), Tanh(), Dense(4, 1)], seed=seed)


def measured(values: list[float]) -> Any:
    """Return a metric that gives these values, one an epoch."""
    left = iter(values)
    return {"measured": lambda y_true, y_pred: next(left)}


def rates(values: list[float], **options: Any) -> list[float]:
    """Return the rate behind each epoch, from 1."""
    found, optimizer = [], SGD(1.0)
    watch = ReduceOnPlateau("measured", **{"mode": "min", "factor": 0.5, "patience": 2} | options)
    Network([Dense(1, 1)]).fit(
        [[0.0]],
        [[0.0]],
        loss="mse",
        epochs=len(values),
        optimizer=optimizer,
        metrics=measured(values),
        callbacks=[watch, lambda fit: found.append(optimizer.learning_rate)],
    )
    return found


# --- the rate on a plateau ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "options", "wanted"),
    [
        ([3, 2, 2, 2, 2, 2], {}, [1, 1, 1, 0.5, 0.5, 0.25]),
        ([3, 2, 2, 1, 1, 1], {}, [1, 1, 1, 1, 1, 0.5]),
        ([3, 2, 2, 1], {"patience": 1}, [1, 1, 0.5, 0.5]),
        # an improvement of less than min_delta is none
        ([3, 2.95, 2.91, 2.7, 2.4], {"min_delta": 0.2}, [1, 1, 0.5, 0.5, 0.5]),
        # two epochs of cooldown: the first does not count, that in which it ends does
        ([1, 1, 1, 1, 1, 1, 1], {"cooldown": 2}, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        ([1, 1, 1, 1, 1], {"patience": 1, "min_rate": 0.4}, [1, 0.5, 0.4, 0.4, 0.4]),
        # a bound above the rate does not raise it
        ([1, 1, 1], {"patience": 1, "min_rate": 2}, [1, 1, 1]),
        ([1, 2, 2, 2], {"mode": "max"}, [1, 1, 1, 0.5]),
        ([math.nan, math.nan, 1, 1, 1], {}, [1, 0.5, 0.5, 0.5, 0.25]),
    ],
)
def test_the_rate_falls_where_the_value_stands_still(
    values: list[float], options: dict[str, Any], wanted: list[float]
) -> None:
    assert rates(values, **options) == wanted


def trained(*callbacks: Callback, resume: Path | None = None, **options: Any) -> tuple[Any, ...]:
    """Return all that an interruption may not change, of a run whose rate falls more than once."""
    made, optimizer = network(), Adam(0.1)
    plateau = ReduceOnPlateau("validation_loss", factor=0.5, patience=1, cooldown=1, min_delta=0.05)
    history = made.fit(
        X,
        Y,
        epochs=8,
        batch_size=16,
        loss="mse",
        optimizer=optimizer,
        validation_data=(X[:10], Y[:10]),
        callbacks=[plateau, *callbacks],
        resume=resume,
        shards=2,
        **options,
    )
    watched = plateau.best, plateau.best_epoch, plateau.waited, plateau.cooling
    return made.parameters.tobytes(), optimizer.learning_rate, history.validation_loss, watched


@pytest.mark.parametrize("kill", [Kill(3), Kill(epoch=4), Kill(epoch=6), Kill(17)])
def test_a_run_on_a_plateau_is_resumed_to_the_same_bits(tmp_path: Path, kill: Kill) -> None:
    wanted, path = trained(threads=1), tmp_path / "c"
    assert wanted[1] <= 0.025
    with pytest.raises(Killed):
        trained(Checkpoint(path, every=1), kill, threads=2)
    assert trained(resume=path, threads=2) == wanted


@pytest.mark.parametrize("kind", PROCESSES)
def test_processes_take_steps_of_the_rate_that_fell(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    wanted = trained(threads=1)
    use(monkeypatch, kind)
    assert trained(threads=2) == wanted


def test_a_schedule_beside_it_is_refused() -> None:
    optimizer = SGD(0.1)
    both = [ReduceOnPlateau("loss"), LearningRate(optimizer, Cosine(0.1))]
    with pytest.raises(ValueError, match="ReduceOnPlateau and LearningRate both set the learning rate"):
        network().fit(X, Y, loss="mse", optimizer=optimizer, callbacks=both)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"factor": 1}, "factor must be a number above 0 and below 1, got 1"),
        ({"patience": 0}, "patience must be an integer of at least 1, got 0"),
        ({"cooldown": -1}, "cooldown must be an integer of at least 0, got -1"),
        ({"min_rate": -1}, "min_rate must be a number at least 0, got -1"),
        ({"min_delta": -1}, "min_delta must be a number at least 0, got -1"),
        ({"mode": "most"}, "mode must be one of min, max, got 'most'"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ReduceOnPlateau(**options)


def test_a_state_that_makes_no_sense_is_refused() -> None:
    plateau = ReduceOnPlateau("loss", cooldown=2)
    network().fit(X, Y, loss="mse", callbacks=[plateau])
    with pytest.raises(ValueError, match="cooling is 3, wanted a number of epochs from 0 to 2"):
        plateau.restore(plateau.state() | {"cooling": 3})
    with pytest.raises(ValueError, match="waited is -1, wanted a number of epochs up to this one"):
        plateau.restore(plateau.state() | {"waited": -1})


# --- the best model -----------------------------------------------------------------------------------------


def fit(
    made: Network, best: BestModel, values: list[float], *others: Any, resume: Path | None = None
) -> list[bytes]:
    """Train with such a metric; return the file's bytes behind each epoch."""
    found: list[bytes] = []

    def keep(_: object) -> None:
        path = Path(best.path)
        found.append(path.read_bytes() if path.exists() else b"")

    made.fit(
        X,
        Y,
        loss="mse",
        epochs=len(values),
        metrics=measured(values),
        callbacks=[best, keep, *others],
        resume=resume,
        shards=2,
    )
    return found


def test_the_file_holds_the_best_epoch_and_no_other(tmp_path: Path) -> None:
    made, best = network(), BestModel(tmp_path / "best", "measured", mode="max")
    states: list[np.ndarray] = []
    files = fit(made, best, [1, 3, 2, 3, 4, 0], lambda fit: states.append(fit.network.parameters.copy()))
    assert [files[k] != files[k - 1] for k in range(1, 6)] == [True, False, False, True, False]
    loaded = load(tmp_path / "best")
    assert (best.best, best.best_epoch, loaded.epochs) == (4, 5, 5)
    np.testing.assert_array_equal(loaded.parameters, states[4])
    assert not np.array_equal(made.parameters, states[4])
    assert [found.name for found in tmp_path.iterdir()] == ["best"]


def test_an_improvement_must_exceed_min_delta(tmp_path: Path) -> None:
    best = BestModel(tmp_path / "best", "measured", mode="min", min_delta=0.5)
    fit(network(), best, [3, 2.75, 2.25, math.nan])
    assert (best.best, best.best_epoch) == (2.25, 3)


@pytest.mark.parametrize("kill", [Kill(epoch=2), Kill(epoch=3), Kill(epoch=4)])
def test_a_resumed_run_writes_the_same_file(tmp_path: Path, kill: Kill) -> None:
    values, path, run = [3.0, 2.0, 2.5, 1.0, 1.5], tmp_path / "best", tmp_path / "run"
    wanted = fit(network(), BestModel(tmp_path / "whole", "measured", mode="min"), values)
    with pytest.raises(Killed):
        fit(network(), BestModel(path, "measured", mode="min"), values, Checkpoint(run), kill)
    done = load(run).epochs
    best = BestModel(path, "measured", mode="min")
    left = iter(values[done:])
    network().fit(
        X,
        Y,
        loss="mse",
        epochs=5,
        metrics={"measured": lambda y_true, y_pred: next(left)},
        callbacks=[best],
        resume=run,
        shards=2,
    )
    assert path.read_bytes() == wanted[-1]
    assert (best.best, best.best_epoch) == (1.0, 4)


def test_a_file_that_is_gone_is_told_and_written_anew(tmp_path: Path) -> None:
    path, run = tmp_path / "best", tmp_path / "run"
    options: dict[str, Any] = {"loss": "mse", "shards": 2}
    network().fit(X, Y, epochs=2, callbacks=[BestModel(path, "loss"), Checkpoint(run)], **options)
    path.unlink()
    best = BestModel(path, "loss")
    with pytest.warns(CheckpointWarning, match="which held the best model so far, of epoch 2, is gone"):
        network().fit(X, Y, epochs=3, callbacks=[best], resume=run, **options)
    assert (best.best_epoch, load(path).epochs) == (3, 3)


def test_a_full_disk_leaves_the_file_and_the_next_better_epoch_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from purecnn.callbacks import best_model

    write, path = best_model.write_safetensors, tmp_path / "best"

    def write_but_third(*given: Any) -> None:
        if load(path).epochs == 2 if path.exists() else False:
            monkeypatch.setattr(best_model, "write_safetensors", write)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(*given)

    monkeypatch.setattr(best_model, "write_safetensors", write_but_third)
    best = BestModel(path, "measured", mode="min")
    with pytest.warns(CheckpointWarning, match="model of epoch 3, .* the file still holds epoch 2"):
        fit(network(), best, [5, 4, 1, 3, 2.5, 3])
    assert (best.best, best.best_epoch, load(path).epochs) == (2.5, 5, 5)


def test_what_can_not_be_written_is_told_before_the_training(tmp_path: Path) -> None:
    class Own(Layer):
        def __init__(self, size: int) -> None:
            super().__init__()

        def forward(self, input: Any) -> Any:
            return self.receive(input)

        def backward(self, output_gradient: Any) -> Any:
            return self.receive_gradient(output_gradient)

    made = network()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made.fit(X, Y, loss="mse", callbacks=[BestModel(tmp_path / "nowhere" / "best", "loss")])
    with pytest.raises(TypeError, match=r"Own, can't be saved: its configuration\(\) must give"):
        Network([Dense(3, 1), Own(1)]).fit(X, Y, loss="mse", callbacks=[BestModel(tmp_path / "best", "loss")])
    assert made.updates == 0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: BestModel(3), TypeError, "path must be the name of a file, got 3"),
        (lambda: BestModel("a", 3), TypeError, "monitor must be the name of a measured value, got 3"),
        (
            lambda: network().fit(X, Y, loss="mse", callbacks=[BestModel("a")]),
            ValueError,
            "to watch validation_loss, fit wants validation_data, got none",
        ),
        (
            lambda: network().fit(
                X, Y, loss="mse", metrics=measured([1.0]), callbacks=[BestModel("a", "measured")]
            ),
            ValueError,
            "to watch measured, BestModel wants mode='min' or mode='max'",
        ),
    ],
)
def test_refusals(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_the_best_of_no_number_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    best = BestModel(tmp_path / "best", "loss")
    network().fit(X, Y, loss="mse", callbacks=[best, Checkpoint(run)])
    with pytest.raises(TypeError, match="best is 'x', wanted a number"):
        best.restore({"best": "x", "best_epoch": 1})
    with pytest.raises(CheckpointError, match="callbacks with a state"):
        network().fit(X, Y, loss="mse", resume=run)
