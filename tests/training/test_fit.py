"""The training loop as callbacks see it: its place, its end, early stopping, times."""

import math
from pathlib import Path

import numpy as np
import pytest

from purecnn import (
    SGD,
    BatchNormalization,
    Callback,
    Checkpoint,
    Dense,
    EarlyStopping,
    History,
    LearningRate,
    Network,
    Optimizer,
)
from purecnn.backend.types import Array
from purecnn.callbacks.progress import PrintEpochs
from purecnn.errors import CheckpointError, DivergedError

X = np.arange(10.0)[:, np.newaxis]


class Note(Callback):
    """Write down every call, and what the run says of itself at that moment."""

    def __init__(self, name: str = "", log: list[object] | None = None) -> None:
        self.name, self.log = name, [] if log is None else log

    def begin(self, epochs: int, steps: int) -> None:
        self.log.append((f"{self.name}begin", epochs, steps, self.fit.epoch, self.fit.step))

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.log.append((f"{self.name}step", epoch, step, self.fit.epoch, self.fit.step))

    def epoch(self, epoch: int, history: History) -> None:
        self.log.append((f"{self.name}epoch", epoch, len(history.loss), self.fit.epoch, self.fit.step))

    def end(self, history: History) -> None:
        self.log.append((f"{self.name}end", type(self.fit.error).__name__, self.fit.stopped))


class Walk(Optimizer):
    """Set the only weight to the next of some values, whatever the gradient."""

    def __init__(self, values: list[float]) -> None:
        super().__init__(1.0)
        self.values = values

    def change(self, parameters: Array, gradient: Array, *state: Array) -> None:
        parameters[...] = [self.values[self.steps - 1], 0.0]


def train(*callbacks: object, epochs: int = 2, batch_size: int = 4, **options: object) -> History:
    network = Network([Dense(1, 1)])
    return network.fit(
        X,
        X,
        epochs=epochs,
        batch_size=batch_size,
        loss="mse",
        callbacks=callbacks,  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )


def test_every_call_knows_its_place() -> None:
    note = Note()
    train(note)
    assert note.log == [
        ("begin", 2, 3, 0, 0),
        ("step", 1, 1, 0, 1),
        ("step", 1, 2, 0, 2),
        ("step", 1, 3, 0, 3),
        ("epoch", 1, 1, 1, 0),
        ("step", 2, 1, 1, 1),
        ("step", 2, 2, 1, 2),
        ("step", 2, 3, 1, 3),
        ("epoch", 2, 2, 2, 0),
        ("end", "NoneType", ""),
    ]


def test_whoever_keeps_is_called_last_and_ended_first() -> None:
    log: list[object] = []
    keeper, early, late = Note("k", log), Note("a", log), Note("b", log)
    keeper.last = True
    train(early, keeper, late, epochs=1, batch_size=10)
    names = [entry[0] for entry in log]  # type: ignore[index]
    assert names == [f"{who}{call}" for call in ("begin", "step", "epoch") for who in "abk"] + [
        f"{who}end" for who in "kba"
    ]


@pytest.mark.parametrize(("at", "steps", "epochs"), [((1, 1), 1, 0), ((1, 3), 3, 1), ((2, 2), 5, 1)])
def test_a_step_may_ask_for_the_end(at: tuple[int, int], steps: int, epochs: int) -> None:
    class Stop(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            if (epoch, step) == at:
                self.fit.stop("enough")

    note = Note()
    history = train(Stop(), note, epochs=3)
    assert sum(entry[0] == "step" for entry in note.log) == steps  # type: ignore[index]
    assert len(history.loss) == epochs  # an epoch counts once its last step is done
    assert note.log[-1] == ("end", "NoneType", "enough")


def test_a_function_is_called_after_each_epoch_and_may_ask_for_the_end() -> None:
    seen = []

    def look(fit: object) -> None:
        seen.append((fit.epoch, fit.network.epochs, fit.history.loss[-1]))  # type: ignore[attr-defined]
        if len(seen) == 2:
            fit.stop("seen enough")  # type: ignore[attr-defined]

    history = train(look, epochs=5)
    assert seen == [(1, 1, history.loss[0]), (2, 2, history.loss[1])]


def test_an_error_reaches_every_callback_that_began_and_then_the_caller() -> None:
    class Fail(Callback):
        def begin(self, epochs: int, steps: int) -> None:
            raise ZeroDivisionError("at the start")

    first, never = Note(), Note()
    with pytest.raises(ZeroDivisionError, match="at the start"):
        train(first, Fail(), never)
    assert first.log[-1] == ("end", "ZeroDivisionError", "")
    assert never.log == []


def test_a_callback_that_fails_in_the_end_does_not_keep_the_others_from_theirs() -> None:
    class Fail(Callback):
        def __init__(self, word: str) -> None:
            self.word = word

        def end(self, history: History) -> None:
            raise KeyError(self.word)

    note = Note()
    with pytest.raises(KeyError, match="second"):
        train(note, Fail("first"), Fail("second"))
    assert note.log[-1] == ("end", "KeyError", "")


def test_an_error_outlives_those_of_the_end() -> None:
    class Fail(Callback):
        def step(self, epoch: int, step: int, loss: float) -> None:
            raise ZeroDivisionError("the cause")

        def end(self, history: History) -> None:
            raise KeyError("the consequence")

    with pytest.raises(ZeroDivisionError, match="the cause"):
        train(Fail())


def test_times_and_speeds_of_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    history = train(PrintEpochs(), epochs=3)
    assert history.samples == 10
    assert len(history.seconds) == len(history.images_per_second) == 3
    assert all(
        speed == pytest.approx(10 / seconds)
        for speed, seconds in zip(history.images_per_second, history.seconds, strict=True)
    )
    assert all(line.endswith(" images/s") for line in capsys.readouterr().out.splitlines())


def test_a_state_wants_its_restore() -> None:
    assert Callback().state() is None
    with pytest.raises(NotImplementedError, match="Note has a state and no restore"):
        Note().restore({})


def test_a_schedule_goes_on_where_it_was() -> None:
    optimizer = Walk([0.0] * 9)
    schedule = LearningRate(optimizer, lambda progress: 1 + progress)
    schedule.begin(2, 4)
    schedule.step(1, 1, 0.0)
    state = schedule.state()
    schedule.begin(2, 4)
    schedule.restore(state)
    assert optimizer.learning_rate == 1.125
    optimizer.learning_rate = 7.0
    schedule.restore({"done": 8})
    assert optimizer.learning_rate == 7.0  # no step is left


# --- early stopping -----------------------------------------------------------------------------------------

# One step an epoch; the weight w gives the validation loss mean((w x - x)^2) = 28.5 (w - 1)^2.
WALK = [3.0, 2.0, 1.5, 1.75, 1.25, 1.3, 1.4, 1.1, 1.0]


def walk(stopping: EarlyStopping, values: list[float] = WALK) -> tuple[Network, History]:
    network = Network([Dense(1, 1)])
    history = network.fit(
        X,
        X,
        epochs=len(values),
        batch_size=10,
        loss="mse",
        optimizer=Walk(values),
        validation_data=(X, X),
        callbacks=[stopping],
    )
    return network, history


def test_patience_counts_epochs_without_an_improvement() -> None:
    stopping = EarlyStopping(patience=2)
    network, history = walk(stopping)
    assert history.validation_loss == pytest.approx([28.5 * (w - 1) ** 2 for w in WALK[:7]])
    assert (stopping.best_epoch, stopping.waited) == (5, 2)
    assert stopping.best == pytest.approx(28.5 / 16)
    assert network.parameters.tolist() == [1.25, 0.0]
    assert stopping.fit.stopped == "validation_loss has not improved for 2 epochs"


def test_without_patience_at_an_end_the_best_comes_back_too() -> None:
    network, history = walk(EarlyStopping(patience=9), [3.0, 1.5, 2.0])
    assert len(history.loss) == 3
    assert network.parameters.tolist() == [1.5, 0.0]


def test_the_last_parameters_stay_where_that_is_asked_for() -> None:
    stopping = EarlyStopping(patience=1, restore_best=False)
    network, _ = walk(stopping)
    assert network.parameters.tolist() == [1.75, 0.0]
    assert stopping.kept == {}


def test_min_delta_is_what_an_improvement_must_exceed() -> None:
    # 114, 28.5, 7.125: the second step is smaller than 30
    stopping = EarlyStopping(patience=1, min_delta=30)
    walk(stopping)
    assert (stopping.best_epoch, stopping.waited) == (2, 1)


def test_a_value_to_raise_and_a_nan_that_never_improves() -> None:
    stopping = EarlyStopping("measured", patience=3, mode="max")
    values = iter([math.nan, 1.0, 3.0, math.nan, 3.0, 2.0])
    history = train(stopping, epochs=9, metrics={"measured": lambda y_true, y_pred: next(values)})
    assert len(history.loss) == 6
    assert (stopping.best, stopping.best_epoch) == (3.0, 3)


@pytest.mark.parametrize("monitor", ["validation_mean_absolute_error", "validation_r2"])
def test_each_metric_knows_which_of_its_values_is_better(monitor: str) -> None:
    network, _ = walk(EarlyStopping(monitor, patience=9), [3.0, 1.25, 2.0])
    assert network.parameters.tolist() == [1.25, 0.0]


def test_a_given_mode_decides() -> None:
    network, _ = walk(EarlyStopping("validation_r2", patience=9, mode="min"), [3.0, 1.25, 2.0])
    assert network.parameters.tolist() == [3.0, 0.0]


def test_an_error_leaves_the_parameters_as_they_are() -> None:
    network = Network([Dense(1, 1)])

    def fail(fit: object) -> None:
        if fit.epoch == 2:  # type: ignore[attr-defined]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        network.fit(
            X,
            X,
            epochs=3,
            batch_size=10,
            loss="mse",
            optimizer=Walk([1.0, 2.0]),
            callbacks=[EarlyStopping("loss"), fail],
        )
    assert network.parameters.tolist() == [2.0, 0.0]


def test_buffers_come_back_with_the_parameters() -> None:
    class Counting(Dense):
        """Keeps a buffer, as a layer with running statistics does."""

        def bind(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
            self.buffers.setdefault("count", np.zeros(1))
            return super().bind(input_shape)

    network = Network([Counting(1, 1)])

    def count(fit: object) -> None:
        network[0].buffers["count"] += 1

    network.fit(
        X,
        X,
        epochs=3,
        batch_size=10,
        loss="mse",
        optimizer=Walk([2.0, 1.5, 3.0]),
        validation_data=(X, X),
        callbacks=[count, EarlyStopping()],
    )
    assert network.parameters.tolist() == [1.5, 0.0]
    assert network[0].buffers["count"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: EarlyStopping(3), TypeError, "monitor must be the name of a measured value, got 3"),
        (lambda: EarlyStopping(patience=0), ValueError, "patience must be an integer of at least 1, got 0"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta must be a number at least 0, got -1"),
        (lambda: EarlyStopping(mode="best"), ValueError, "mode must be one of min, max, got 'best'"),
        (lambda: train(EarlyStopping()), ValueError, "to watch validation_loss, fit wants validation_data"),
        (
            lambda: train(EarlyStopping("accuracy")),
            ValueError,
            "to watch accuracy, fit wants it among its metrics, which are loss, seconds",
        ),
        (
            lambda: train(EarlyStopping("validation_loss "), validation_data=(X, X)),
            ValueError,
            "among its metrics, which are loss, seconds, validation_loss, validation_r2, "
            "validation_mean_absolute_error, validation_root_mean_squared_error: "
            "did you mean 'validation_loss'",
        ),
        (
            lambda: train(EarlyStopping("validation_seconds"), validation_data=(X, X)),
            ValueError,
            "validation_root_mean_squared_error: did you mean 'validation_loss'",
        ),
        (
            lambda: train(EarlyStopping("mine"), metrics={"mine": lambda y_true, y_pred: 1.0}),
            ValueError,
            "to watch mine, EarlyStopping wants mode='min' or mode='max', .* got None",
        ),
        (lambda: History().values("loss"), ValueError, "what was measured is nothing yet; got 'loss'"),
    ],
)
def test_refusals(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_network_that_diverges_at_the_last_step_says_so_when_it_is_measured():
    network = Network([Dense(1, 2)])
    with pytest.raises(DivergedError, match="outputs are no longer finite behind epoch 1, step 1: try a sm"):
        network.fit(
            [[1e3], [2e3]], [0, 1], loss="softmax_cross_entropy", learning_rate=1e38, metrics=["accuracy"]
        )


class Interrupt(Callback):
    """Press Ctrl-C in the middle of an epoch."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        if (epoch, step) == (3, 2):
            raise KeyboardInterrupt


def test_the_history_of_an_interrupted_run_stays_on_the_network() -> None:
    network, options = Network([Dense(1, 1)]), {"loss": "mse", "batch_size": 4, "validation_data": (X, X)}
    assert network.history is None
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, X, epochs=9, **options, callbacks=[Interrupt()])
    kept = network.history
    assert kept is not None
    assert len(kept.loss) == len(kept.validation_loss) == len(kept.seconds) == 2
    assert kept.loss == Network([Dense(1, 1)]).fit(X, X, epochs=2, **options).loss
    with pytest.raises(ValueError, match="batch_size"):
        network.fit(X, X, batch_size=0)
    assert network.history is kept  # nothing began
    assert network.fit(X, X, loss="mse") is network.history is not kept


def test_an_epoch_that_could_not_be_measured_is_not_in_the_history() -> None:
    def fails(y_true: object, y_pred: object) -> float:
        if len(network.history.loss) > 1:
            raise OSError("a disk is full")
        return 1.0

    network = Network([Dense(1, 1)])
    with pytest.raises(OSError, match="a disk is full"):
        network.fit(X, X, epochs=3, loss="mse", metrics=[fails], validation_data=(X, X))
    assert (len(network.history.loss), network.history.metrics) == (1, {"fails": [1.0]})
    diverged = Network([Dense(1, 1)])
    with np.errstate(over="ignore"), pytest.raises(DivergedError):
        diverged.fit(X, X, epochs=500, loss="mse", optimizer=SGD(5.0))
    assert 0 < len(diverged.history.loss) < 500


def test_a_running_fit_is_seen_on_the_network() -> None:
    network, seen = Network([Dense(1, 1)]), []
    network.fit(X, X, epochs=2, loss="mse", callbacks=[lambda fit: seen.append(len(network.history.loss))])
    assert seen == [1, 2]


# The last batch --------------------------------------------------------------------------------------------


def normalized() -> Network:
    return Network([Dense(1, 4), BatchNormalization(), Dense(4, 1)])


def test_a_short_last_batch_may_be_left_out() -> None:
    log: list[object] = []
    network, data = Network([Dense(1, 1)]), np.arange(9.0)[:, np.newaxis]
    history = network.fit(data, data, loss="mse", batch_size=4, drop_last=True, callbacks=[Note(log=log)])
    assert (network.updates, history.samples) == (2, 8)
    same = Network([Dense(1, 1)])
    same.fit(data[:8], data[:8], loss="mse", batch_size=4, shuffle=False)
    network = Network([Dense(1, 1)])
    network.fit(data, data, loss="mse", batch_size=4, shuffle=False, drop_last=True)
    assert np.array_equal(network.parameters, same.parameters)
    with pytest.raises(ValueError, match=r"no batch .*batch_size must be at most 9, .*, got 10"):
        network.fit(data, data, loss="mse", batch_size=10, drop_last=True)
    with pytest.raises(TypeError, match="drop_last must be True or False, got 'yes'"):
        network.fit(data, data, loss="mse", drop_last="yes")


def test_a_batch_of_one_may_be_dropped_where_a_layer_needs_several() -> None:
    data = np.arange(9.0)[:, np.newaxis]
    with pytest.raises(ValueError, match="or drop_last=True"):
        normalized().fit(data, data, loss="mse", batch_size=4)
    history = normalized().fit(data, data, loss="mse", batch_size=4, epochs=3, drop_last=True)
    assert np.isfinite(history.loss).all()


def test_what_is_dropped_belongs_to_the_run(tmp_path: Path) -> None:
    options = {"loss": "mse", "batch_size": 4, "epochs": 3}
    network = Network([Dense(1, 1)])
    network.fit(X, X, **options | {"epochs": 1}, drop_last=True, callbacks=[Checkpoint(tmp_path / "run")])
    with pytest.raises(CheckpointError, match="its run's drop_last was True, this one's is False"):
        Network([Dense(1, 1)]).fit(X, X, **options, resume=tmp_path / "run")
    resumed, whole = Network([Dense(1, 1)]), Network([Dense(1, 1)])
    resumed.fit(X, X, **options, drop_last=True, resume=tmp_path / "run")
    whole.fit(X, X, **options, drop_last=True)
    assert np.array_equal(resumed.parameters, whole.parameters)
