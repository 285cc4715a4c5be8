"""Metrics in `fit` and `evaluate`: on both sets after each epoch, as probabilities, in History."""

import json
from dataclasses import asdict, fields

import numpy as np
import pytest

from purecnn import (
    Checkpoint,
    CSVLog,
    Dense,
    EarlyStopping,
    Flatten,
    History,
    Network,
    Sigmoid,
    Softmax,
    Tanh,
    metrics,
)
from purecnn.callbacks.resume import measured
from purecnn.errors import CheckpointError
from purecnn.metrics.registry import RESERVED, as_metrics


def samples(count, seed=0):
    """Return images of three kinds and their labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 4, 4)).astype(np.float32)
    x[np.arange(count), y] += 1
    return x, y


def network(*last):
    return Network([Flatten(), Dense(output_size=3), *last])


def test_fit_measures_both_sets_after_each_epoch():
    (x, y), (x_test, y_test), seen = samples(150), samples(40, seed=1), []

    def spread(y_true, y_pred):
        seen.append((y_true.shape, y_pred.shape))
        return float(y_pred.max())

    net = network(Softmax())
    asked = ["f1", "confusion_matrix", spread]
    history = net.fit(
        x,
        y,
        epochs=2,
        learning_rate=0.1,
        validation_data=(x_test, y_test),
        metrics=asked,
    )
    for found, (data, truth) in (
        (history.metrics, (x, y)),
        (history.validation_metrics, (x_test, y_test)),
    ):
        assert list(found) == ["f1", "confusion_matrix", "spread"]
        assert all(len(values) == 2 for values in found.values())
        said = net.predict(data)
        assert found["f1"][-1] == metrics.f1(truth, said) != found["f1"][0]
        assert found["confusion_matrix"][-1] == metrics.confusion_matrix(truth, said).tolist()
        assert found["spread"][-1] == said.max()
    assert seen == [((150,), (150, 3)), ((40,), (40, 3))] * 2
    assert json.loads(json.dumps(asdict(history))) == asdict(history)


def test_measuring_changes_nothing_in_training():
    x, y = samples(150)
    plain, measured = network(Softmax()), network(Softmax())
    assert plain.fit(x, y, epochs=2).loss == measured.fit(x, y, epochs=2, metrics=["accuracy"]).loss
    assert np.array_equal(plain.parameters, measured.parameters)


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluate_measures_what_it_is_asked_for(threads):
    x, y = samples(300)
    net = network(Softmax())
    net.fit(x, y)
    found = net.evaluate(x, y, metrics=["log_loss", "top_2_accuracy"], threads=threads)
    assert list(found) == ["loss", "accuracy", "log_loss", "top_2_accuracy"]
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert found["top_2_accuracy"] == metrics.top_k_accuracy(y, net.predict(x), k=2) > found["accuracy"]


def test_scores_are_measured_as_probabilities():
    x, y = samples(100)
    net = network()  # softmax_cross_entropy takes its scores
    net.fit(x, y, epochs=2)
    found = net.evaluate(x, y, metrics=["log_loss"])
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_a_lone_score_is_class_1_above_0_where_the_loss_takes_scores():
    x, y = samples(100)
    x, y = x[y < 2], y[y < 2]
    net = Network([Flatten(), Dense(output_size=1)])
    history = net.fit(x, y, epochs=3, loss="sigmoid_binary_cross_entropy", metrics=["accuracy", "log_loss"])
    right = np.mean((net.predict(x)[:, 0] > 0) == y)
    assert right != np.mean((net.predict(x)[:, 0] > 0.5) == y)
    found = net.evaluate(x, y, loss="sigmoid_binary_cross_entropy")
    assert found["accuracy"] == history.metrics["accuracy"][-1] == right
    assert history.metrics["log_loss"][-1] == pytest.approx(found["loss"], rel=1e-5)


def test_a_lone_sigmoid_and_a_lone_tanh():
    x, y = samples(60)
    for last in (Sigmoid(), Tanh()):
        net = Network([Flatten(), Dense(output_size=1), last])
        history = net.fit(x, y % 2, metrics=["f1_binary"])
        assert history.metrics["f1_binary"] == [metrics.f1(y % 2, net.predict(x), average="binary")]


def test_a_wrong_name_is_refused_before_training():
    x, y = samples(20)
    net = network(Softmax())
    with pytest.raises(ValueError, match="got 'acc'"):
        net.fit(x, y, metrics=["acc"])
    assert net.updates == 0
    with pytest.raises(ValueError, match="got 'acc'"):
        net.evaluate(x, y, metrics=["acc"])


def test_the_line_tells_every_number_once():
    history = History(
        loss=[0.5],
        validation_loss=[0.6],
        validation_accuracy=[0.75],
        seconds=[2.0],
        samples=100,
        metrics={"accuracy": [0.8], "confusion_matrix": [[[1, 0], [0, 1]]]},
        validation_metrics={"accuracy": [0.75], "confusion_matrix": [[[1, 0], [0, 1]]], "f1": [0.7]},
    )
    assert history.line() == (
        "loss 0.5000, accuracy 0.8000, validation loss 0.6000, validation accuracy 75.00 %, "
        "validation f1 0.7000, 2.0 s, 50 images/s"
    )
    assert history.lists() == {
        "loss": [0.5],
        "validation_loss": [0.6],
        "validation_accuracy": [0.75],
        "seconds": [2.0],
        "accuracy": [0.8],
        "confusion_matrix": [[[1, 0], [0, 1]]],
        "validation_confusion_matrix": [[[1, 0], [0, 1]]],
        "validation_f1": [0.7],
    }
    assert history.values("validation_f1") == [0.7]


def test_early_stopping_may_watch_a_metric():
    (x, y), validation = samples(150), samples(40, seed=1)
    watching = EarlyStopping("validation_f1", patience=1, min_delta=2.0)
    history = network(Softmax()).fit(
        x, y, epochs=5, validation_data=validation, metrics=["f1"], callbacks=[watching]
    )
    assert len(history.loss) == 2
    assert watching.best == history.validation_metrics["f1"][0]


@pytest.mark.parametrize("until", [1, 2])
def test_a_resumed_run_has_the_whole_history(until, tmp_path):
    (x, y), validation = samples(60), samples(20, seed=1)
    log, path = CSVLog(tmp_path / "log.csv"), tmp_path / "run.safetensors"
    options = {"metrics": ["f1", "confusion_matrix"], "validation_data": validation, "batch_size": 20}
    whole = network(Softmax()).fit(x, y, epochs=3, **options)
    network(Softmax()).fit(x, y, epochs=until, callbacks=[Checkpoint(path), log], **options)
    resumed = network(Softmax()).fit(x, y, epochs=3, resume=path, callbacks=[CSVLog(log.path)], **options)
    assert resumed.metrics == whole.metrics
    assert resumed.validation_metrics == whole.validation_metrics
    assert type(resumed.metrics["confusion_matrix"][0][0][0]) is int
    lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3"]
    assert [float(line.split(",")[1]) for line in lines[1:]] == whole.loss
    with pytest.raises(CheckpointError, match=r"its run's metrics was \['f1', 'confusion_matrix'\]"):
        network(Softmax()).fit(x, y, epochs=3, resume=path, **options | {"metrics": ["f1"]})


@pytest.mark.parametrize("value", [np.zeros(2), np.array(["a"]), [0.5], 3])
def test_damaged_metrics_in_a_checkpoint_are_refused(value):
    with pytest.raises(ValueError, match="wanted 1 values of 'f1', got"):
        measured({"f1": value}, 1)


def test_the_names_that_a_history_has_are_reserved():
    own = {field.name for field in fields(History)} | {
        name for name, value in vars(History).items() if isinstance(value, property)
    }
    assert own <= RESERVED
    for name in RESERVED:
        with pytest.raises(ValueError, match="is already taken: choose another"):
            as_metrics({name: "accuracy"}, "classification")
