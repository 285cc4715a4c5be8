"""What task a network has is decided once, and nothing takes numbers for classes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from purecnn import (
    Checkpoint,
    CNNClassifier,
    CNNRegressor,
    Dense,
    Flatten,
    Identity,
    Network,
    ReLU,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    export_onnx,
    load,
    load_onnx,
    save,
)
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.inspection import find
from purecnn.inspection.attribution import explained
from purecnn.losses import LOSSES
from purecnn.losses.tasks import decide
from purecnn.metrics import (
    label_accuracy,
    mean_absolute_error,
    multilabel_f1,
    multilabel_precision,
    r2,
    subset_accuracy,
)
from purecnn.metrics.registry import METRICS, as_metrics, measure
from purecnn.playground.reader import Reader
from purecnn.plots import embedding
from purecnn.plots.confusions import verdict
from purecnn.training.targets import Targets, strata

RNG = np.random.default_rng(5)
X = RNG.normal(size=(24, 4))
LABELS = np.arange(24) % 3
ONE_HOT = np.eye(3)[LABELS]
MULTI_HOT = (X[:, :3] > 0).astype(np.float64)
VALUES = 3 * X[:, :2] - X[:, 2:]
ZEROS_AND_ONES = (X[:, :1] > 0).astype(np.float64)


def network(*last: Any, outputs: int = 3, **options: Any) -> Network:
    return Network([Dense(4, 8), ReLU(), Dense(8, outputs), *last], **options)


# --- what is decided ----------------------------------------------------------------------------------------


def test_several_labels_want_no_softmax_whatever_passes_it_on():
    for behind in (Flatten(), ReLU(), Identity()):
        with pytest.raises(ValueError, match=r"several labels a sample want Sigmoid .*, got Softmax"):
            network(Softmax(), behind).fit(X, MULTI_HOT, loss="binary_cross_entropy")


@pytest.mark.parametrize(
    ("loss", "last", "y", "task"),
    [
        ("softmax_cross_entropy", Dense(4, 3), LABELS, "classification"),
        ("mse", Tanh(), LABELS, "classification"),
        ("mse", Tanh(), ONE_HOT, "classification"),  # the original's MNIST experiments
        ("binary_cross_entropy", Sigmoid(), ONE_HOT, "classification"),
        ("mse", Tanh(), ZEROS_AND_ONES, "classification"),  # the original's XOR
        ("binary_cross_entropy", Sigmoid(), ZEROS_AND_ONES, "classification"),
        ("hinge", Dense(4, 1), 2 * ZEROS_AND_ONES - 1, "classification"),
        ("hinge", Dense(4, 3), 2 * MULTI_HOT - 1, "multilabel"),
        ("binary_cross_entropy", Sigmoid(), MULTI_HOT, "multilabel"),
        ("sigmoid_binary_cross_entropy", Dense(4, 3), MULTI_HOT.astype(np.int64), "multilabel"),
        ("mse", Sigmoid(), MULTI_HOT, "multilabel"),
        ("categorical_cross_entropy", Softmax(), np.full((2, 4), 0.25), "classification"),
        ("mse", Softmax(), np.full((2, 4), 0.25), "classification"),
        ("mse", Dense(4, 4), np.full((2, 4), 0.25), "regression"),
        ("binary_cross_entropy", Sigmoid(), np.array([[0.1], [0.9]]), "classification"),
        ("binary_cross_entropy", Sigmoid(), np.array([[0.1, 0.3], [0.9, 0.8]]), "regression"),
        ("mse", Sigmoid(), np.array([[0.1], [0.9]]), "regression"),
        ("mse", Dense(4, 2), VALUES, "regression"),
        ("huber", Dense(4, 1), np.array([[0], [1], [2]]), "regression"),
    ],
)
def test_loss_last_layer_and_targets_say_the_task(loss: str, last: Any, y: Any, task: str) -> None:
    assert decide(LOSSES[loss], last, y) == task


def test_a_late_value_decides_as_an_early_one() -> None:
    y = np.zeros((1000, 2))
    y[-1, 1] = 0.5
    assert decide(LOSSES["mse"], Dense(1, 2), y) == "regression"
    y[:, 0], y[-1] = 1, 1
    assert decide(LOSSES["mse"], Dense(1, 2), y) == "multilabel"


def test_values_are_no_classes_where_samples_are_set_aside() -> None:
    y = np.arange(100.0)
    assert not strata(Targets(y)).any()
    assert not strata(Targets(y[:, np.newaxis])).any()
    assert strata(Targets(y.astype(int) % 3)).tolist() == (y % 3).tolist()


@pytest.mark.parametrize(
    ("last", "outputs", "y", "task", "measured"),
    [
        ([Softmax()], 3, LABELS, "classification", ["loss", "accuracy"]),
        ([Sigmoid()], 3, MULTI_HOT, "multilabel", ["loss", "subset_accuracy", "label_accuracy", "f1"]),
        (
            [],
            2,
            VALUES,
            "regression",
            ["loss", "r2", "mean_absolute_error", "root_mean_squared_error"],
        ),
    ],
)
def test_a_fit_decides_and_all_ask(
    tmp_path: Path, capsys: Any, last: Any, outputs: int, y: Any, task: str, measured: list[str]
) -> None:
    net = network(*last, outputs=outputs)
    assert net.task is None
    assert list(net.evaluate(X, y)) == measured
    assert net.task is None  # nothing was decided by asking
    history = net.fit(X, y, epochs=2, validation_data=(X, y), verbose=True)
    assert (net.task, copy.deepcopy(net).task) == (task, task)
    found = net.evaluate(X, y)
    assert list(found) == measured
    assert bool(history.validation_accuracy) == (task == "classification")
    for name in measured[1:]:
        assert history.values(f"validation_{name}")[-1] == found[name]
    printed = capsys.readouterr().out
    assert ("%" in printed) == (task == "classification")
    assert f"validation {measured[-1].replace('_', ' ')} " in printed
    save(net, tmp_path / "net")
    assert load(tmp_path / "net").task == task
    assert find(net, X, y).task == task


def test_a_perfect_network_of_several_labels_is_all_right() -> None:
    net = Network([Dense(3, 3), Sigmoid()])
    net.bind(3)
    net.parameters = np.r_[40 * np.eye(3).reshape(-1), [-20.0] * 3]
    found = net.evaluate(MULTI_HOT, MULTI_HOT)
    assert [found[name] for name in ("subset_accuracy", "label_accuracy", "f1")] == [1.0, 1.0, 1.0]
    found = net.evaluate(MULTI_HOT, MULTI_HOT, metrics=["f1_per_label", "accuracy_per_label"])
    assert found["f1_per_label"] == found["accuracy_per_label"] == [1.0, 1.0, 1.0]


def test_the_hinge_divides_at_0() -> None:
    net = Network([Dense(1, 1)])
    net.bind(1)
    net.parameters = [1.0, 0.0]
    assert net.evaluate([[0.25], [-0.25]], [[1.0], [-1.0]], loss="hinge")["accuracy"] == 1.0


def test_several_labels_on_plain_scores_get_the_loss_that_suits_them() -> None:
    net, other = network(), network()
    net.fit(X, MULTI_HOT, epochs=2)
    other.fit(X, MULTI_HOT, epochs=2, loss="sigmoid_binary_cross_entropy")
    assert np.array_equal(net.parameters, other.parameters)
    above = (net.predict(X) > 0) == (MULTI_HOT > 0)
    assert net.evaluate(X, MULTI_HOT)["label_accuracy"] == pytest.approx(above.mean())


def test_a_task_may_be_given() -> None:
    net = network(Sigmoid(), task="multilabel")
    net.fit(X, ONE_HOT)
    assert (net.task, "subset_accuracy" in net.evaluate(X, ONE_HOT)) == ("multilabel", True)
    net = network(outputs=1, task="regression")
    net.fit(X, ZEROS_AND_ONES, loss="mse")
    assert "r2" in net.evaluate(X, ZEROS_AND_ONES)


def test_a_task_once_decided_stays_until_it_is_taken_away() -> None:
    net = network(Sigmoid())
    net.fit(X, MULTI_HOT)
    with pytest.raises(ValueError, match=r"multilabel wants zeros and ones, .* as y, got values; .* to None"):
        net.fit(X, MULTI_HOT / 3, loss="mse")
    with pytest.raises(ValueError, match=r"multilabel wants .*, got integer labels"):
        net.evaluate(X, LABELS)
    net.fit(X, ONE_HOT)
    assert net.task == "multilabel"
    net.task = None
    net.fit(X, ONE_HOT)
    assert net.task == "classification"


@pytest.mark.parametrize(
    ("last", "y", "name"),
    [([Softmax()], LABELS, "accuracy"), ([Sigmoid()], MULTI_HOT, "f1"), ([], VALUES, "r2")],
)
def test_what_is_measured_anyway_may_be_asked_for(last: Any, y: Any, name: str) -> None:
    net = network(*last, outputs=2 if y is VALUES else 3)
    history = net.fit(X, y, metrics=[name.upper()], validation_data=(X, y))
    assert history.metrics[name] == history.validation_metrics[name] == [net.evaluate(X, y)[name]]


def test_a_fit_that_did_not_begin_decides_nothing() -> None:
    net = network(Sigmoid())
    with pytest.raises(ValueError, match="metrics of multilabel"):
        net.fit(X, MULTI_HOT, metrics=["r2"])
    assert net.task is None
    net.fit(X, ONE_HOT)
    assert net.task == "classification"


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: network(task="classes"), "task must be one of classification, .* or None, got 'classes'"),
        (lambda: network(Softmax(), task="multilabel"), "want Sigmoid as the last layer, got Softmax"),
        (
            lambda: network(Softmax()).fit(X, MULTI_HOT),
            "a cross-entropy over classes wants .*, got rows of zeros and ones that are not one-hot: several",
        ),
        (lambda: network(Softmax()).fit(X, np.ones((24, 3)) / 2), "over classes wants .*, got values"),
        (lambda: network(Softmax()).fit(X, MULTI_HOT, loss="mse"), "want Sigmoid as the last layer, got"),
        (
            lambda: network(task="regression").fit(X, LABELS, loss="mse"),
            "regression wants zeros and ones, .* or values as y, got integer labels",
        ),
        (
            lambda: network(task="regression").fit(X, ONE_HOT, loss="softmax_cross_entropy"),
            "regression wants a loss of values, such as 'mse', got softmax_cross_entropy",
        ),
        (
            lambda: network(task="multilabel").fit(X, ONE_HOT, loss="softmax_cross_entropy"),
            "want Sigmoid with 'binary_cross_entropy', got softmax_cross_entropy, of which the classes",
        ),
        (
            lambda: network(Sigmoid(), task="classification").fit(X, MULTI_HOT, loss="mse"),
            "classification wants integer labels, .* as y, got rows of zeros and ones that are not one-hot",
        ),
        (
            lambda: network(outputs=2).fit(X, VALUES, validation_data=(X, np.arange(24) % 2)),
            "regression wants .*, got integer labels",
        ),
        (
            lambda: network(outputs=2).fit(X, VALUES, metrics=["accuracy"]),
            "metrics of regression must be of mean_absolute_error, .*, got 'accuracy', which is of classific",
        ),
        (
            lambda: network(Sigmoid()).evaluate(X, MULTI_HOT, metrics=["top_2_accuracy"]),
            "metrics of multilabel must be of .*, got 'top_2_accuracy', which is of classification",
        ),
        (
            lambda: network(outputs=2).fit(X, VALUES, metrics={"r2": lambda t, p: 1.0}),
            "'r2' is already taken by regression",
        ),
    ],
)
def test_what_does_not_suit_the_task_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("text", ['"classes"', "7", "[]", "x", '"multilabel"', None])
def test_a_file_with_another_task_is_refused(tmp_path: Path, text: str | None) -> None:
    net = network(Softmax())
    net.fit(X, LABELS)
    save(net, tmp_path / "net")
    tensors, texts = read_safetensors(tmp_path / "net")
    texts = {name: value for name, value in texts.items() if name != "task"}
    write_safetensors(tmp_path / "net", tensors, texts | ({} if text is None else {"task": text}))
    with pytest.raises(FileFormatError, match=r"task|Softmax"):
        load(tmp_path / "net")


def test_a_checkpoint_keeps_the_task(tmp_path: Path) -> None:
    path, net = tmp_path / "run", network(outputs=2)
    net.fit(X, VALUES, validation_data=(X, VALUES), callbacks=[Checkpoint(path)])
    assert load(path).task == "regression"
    again = network(outputs=2)
    history = again.fit(X, VALUES, validation_data=(X, VALUES), epochs=2, resume=path)
    assert [len(v) for v in history.validation_metrics.values()] == [2, 2, 2]


# --- who asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "y"), [([Sigmoid()], MULTI_HOT), ([], VALUES), ([Softmax()], LABELS)])
def test_onnx_keeps_the_task(tmp_path: Path, last: Any, y: Any) -> None:
    net = network(*last, outputs=2 if y is VALUES else 3)
    net.fit(X, y)
    export_onnx(net, tmp_path / "net.onnx")
    assert load_onnx(tmp_path / "net.onnx").network().task == net.task


def test_estimators_say_the_task_of_their_networks() -> None:
    for estimator, y, task in (
        (CNNClassifier(epochs=1), LABELS, "classification"),
        (CNNClassifier(epochs=1), np.eye(3, dtype=int)[LABELS], "multilabel"),
        (CNNRegressor(epochs=1), LABELS, "regression"),
    ):
        assert estimator.fit(X, y).network_.task == task


def pictures_of(task: str | None, *last: Any) -> Network:
    """Return a network of three outputs, of which the second is large and the third a little above 0.5."""
    net = Network([Flatten(), Dense(64, 3), *last], input_shape=(1, 8, 8), task=task)  # type: ignore[arg-type]
    net.parameters = np.r_[np.zeros(3 * 64), [-4.0, 4.0, 0.2]]
    net.preprocessing.classes = ("red", "round", "large")
    return net


def test_the_playground_tells_no_classes_of_values_and_all_of_several_labels() -> None:
    raw = np.zeros((1, 8, 8), np.uint8)
    told = Reader(pictures_of("regression")).look(raw)
    assert (told["label"], told["name"], told["probabilities"]) == (-1, "-4 4 0.2", None)
    told = Reader(pictures_of("multilabel", Sigmoid())).look(raw)
    assert (told["label"], told["name"], told["sure"]) == (-1, "round, large", False)
    assert told["why"] == "it gives large 55 %, 70 % or at most 30 % is wanted"
    assert Reader(pictures_of("multilabel")).look(raw)["name"] == "round, large"
    assert Reader(pictures_of("classification", Softmax())).look(raw)["name"] == "round"
    lone = Network([Flatten(), Dense(output_size=1)], input_shape=(1, 8, 8), task="regression")
    assert Reader(lone).describe()["classes"] == ["0"]


def test_pictures_of_several_labels_or_values_are_explained_and_laid_out() -> None:
    pytest.importorskip("plotly")
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    several, values = pictures_of("multilabel", Sigmoid()), pictures_of("regression")
    assert explained(several, x)[2].tolist() == [1] * 6
    assert explained(values, x)[2].tolist() == [0] * 6
    lone = Network([Flatten(), Dense(output_size=1)], input_shape=(1, 8, 8), task="regression")
    assert explained(lone, x)[3].tolist() == [1] * 6  # no output speaks for a class 0
    labels = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert embedding(several, x, labels).data[0].marker.color.tolist() == [2, 0, 3, 1, 1, 1]
    assert embedding(values, x, labels / 4).data[0].marker.color.tolist() == (labels[:, 0] / 4).tolist()


def test_mistakes_of_several_labels_and_of_values() -> None:
    x = np.zeros((3, 8, 8), np.uint8)
    found = find(pictures_of("multilabel", Sigmoid()), x, [[0, 1, 1], [1, 1, 1], [0, 0, 0]])
    assert found.worst(9).tolist() == [2, 1]
    assert verdict(found, 2) == "says round, large; is no label"
    assert found.measured()["subset_accuracy"] == pytest.approx(1 / 3)
    found = find(pictures_of("regression"), x, [[-4, 4, 0.2], [0, 0, 0], [-4, 4, 1]])
    assert found.worst(2).tolist() == [1, 2]
    assert verdict(found, 1) == "says -4 4 0.2; wanted is 0 0 0"


# --- metrics beside scikit-learn's --------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_values_are_scikit_learns(outputs: int, weighted: bool) -> None:
    t, p = RNG.normal(size=(2, 50, outputs))
    t[:, 0] = 7 if outputs == 3 else t[:, 0]  # an output that is always the same
    weights = RNG.random(50) if weighted else None
    options = {} if weights is None else {"sample_weight": weights}
    oracles = {
        "mean_absolute_error": theirs.mean_absolute_error,
        "mean_squared_error": theirs.mean_squared_error,
        "root_mean_squared_error": theirs.root_mean_squared_error,
        "r2": theirs.r2_score,
    }
    assert METRICS["regression"].keys() == oracles.keys()
    for name, oracle in oracles.items():
        found = METRICS["regression"][name](t, p, **options)
        assert found == pytest.approx(oracle(t, p, **options), rel=1e-12)
    measured = Network([Dense(1, outputs)], dtype="float64", task="regression")
    x = np.arange(50.0)[:, None]
    found = measured.evaluate(x, t, **options)
    for name in ("mean_absolute_error", "root_mean_squared_error", "r2"):
        assert found[name] == pytest.approx(oracles[name](t, measured.predict(x), **options), rel=1e-9)


def test_r2_where_scikit_learn_has_a_rule_or_none() -> None:
    assert r2([3.0, 3.0], [3.0, 3.0]) == theirs.r2_score([3.0, 3.0], [3.0, 3.0]) == 1.0
    assert r2([3.0, 3.0], [3.0, 4.0]) == theirs.r2_score([3.0, 3.0], [3.0, 4.0]) == 0.0
    assert (r2([3.0], [3.0]), r2([3.0], [4.0])) == (1.0, 0.0)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_several_labels_are_scikit_learns(weighted: bool) -> None:
    t, p = (RNG.random((60, 4)) > 0.6).astype(float), RNG.random((60, 4))
    t[:, 2], p[:, 3] = 0, 0  # a label that none has, and one that none is given
    said, options = (p > 0.5).astype(int), {"sample_weight": RNG.random(60)} if weighted else {}
    ours = METRICS["multilabel"]
    assert ours["subset_accuracy"](t, p, **options) == pytest.approx(
        theirs.accuracy_score(t, said, **options)
    )
    assert ours["label_accuracy"](t, p, **options) == pytest.approx(
        1 - theirs.hamming_loss(t, said, **options)
    )
    each = [theirs.accuracy_score(t[:, place], said[:, place], **options) for place in range(4)]
    np.testing.assert_allclose(ours["accuracy_per_label"](t, p, **options), each)
    for kind in ("precision", "recall", "f1"):
        for average in ("macro", "micro", "weighted", None):
            oracle = getattr(theirs, f"{kind}_score")
            wanted = oracle(t, said, average=average, zero_division=0, **options)
            found = ours[f"{kind}_{average or 'per_label'}"](t, p, **options)
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert ours[kind](t, p) == ours[f"{kind}_macro"](t, p)


@pytest.mark.parametrize("task", METRICS)
def test_every_metric_by_its_name_is_a_number_or_a_list_and_knows_its_direction(task: Any) -> None:
    maps = (np.arange(24 * 6) % 2).reshape(24, 2, 3)
    truths = {"classification": LABELS % 2, "multilabel": MULTI_HOT[:, :2], "regression": VALUES}
    t = maps if task == "segmentation" else truths[task]
    p = np.random.default_rng(1).dirichlet(np.ones(2), t.shape if task == "segmentation" else 24)
    p = np.moveaxis(p, -1, 1)
    asked = as_metrics(list(METRICS[task]), task)
    for name, value in measure(asked, t, p).items():
        assert (type(value) is float) == (asked[name].mode in ("min", "max"))
    # a better answer is never worse
    best = np.moveaxis(np.eye(2)[t], -1, 1) if task in ("classification", "segmentation") else t.astype(float)
    for name, value in measure(asked, t, best).items():
        if asked[name].mode is not None:
            sign = 1 if asked[name].mode == "max" else -1
            assert sign * value >= sign * measure(asked, t, p)[name]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mean_absolute_error([[1.0, 2.0]], [1.0]), ShapeError, r"got \(1, 2\) and \(1, 1\)"),
        (lambda: r2([[[1.0]]], [1.0]), ShapeError, r"\(n, outputs\), got shape \(1, 1, 1\)"),
        (lambda: r2([np.nan], [1.0]), ValueError, "y_true must be finite"),
        (lambda: subset_accuracy([0, 1], [0, 1]), ShapeError, r"\(n, labels\), got \(2,\)"),
        (lambda: label_accuracy([[0, 2]], [[0, 1]]), ValueError, "zeros and ones, one a label, got 2"),
        (lambda: label_accuracy([[0, 1]], [[0, 1]], average="micro"), ValueError, "got 'micro'"),
        (lambda: multilabel_f1([[0, 1]], [[0, 1]], average="binary"), ValueError, "got 'binary'"),
    ],
)
def test_each_refusal_of_a_metric_is_one_sentence(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_label_that_none_has_counts_0() -> None:
    assert multilabel_precision([[0]], [[0]], average="weighted") == 0.0
