"""The command line learns classes, several labels and values from one file of arrays, and says which."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn import metrics as theirs

from purecnn import load, save
from purecnn.cli.app import purecnn
from purecnn.datasets.data_path import read_data
from purecnn.runs import Run
from purecnn.runs.reproduction import near


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def pictures(count: int = 160, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures with three fields that are bright or dark, and how bright each is, from 0 to 1."""
    rng = np.random.default_rng(seed)
    bright = rng.random((count, 3))
    x = rng.integers(0, 20, (count, 16, 16))
    for place in range(3):
        x[:, 5 * place : 5 * place + 5, 2:14] += (200 * bright[:, place]).astype(int)[:, None, None]
    return x.astype(np.uint8), bright


X, BRIGHT = pictures()
ANSWERS = {
    "multilabel": (BRIGHT > 0.5).astype(np.uint8),
    "regression": 5000 + 300 * BRIGHT.sum(axis=1),
    "classification": BRIGHT.argmax(axis=1),
}
OPTIONS = ("--epochs", 12, "--batch-size", 16, "--threads", 1, "--network", "dense", "--output", "out")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(y: np.ndarray, name: str = "data.npz") -> str:
    np.savez(name, x=X[:120], y=y[:120], x_test=X[120:], y_test=y[120:])
    return name


def test_values_are_learnt_in_their_own_unit(place: Path) -> None:
    said = run("train", "--data", written(ANSWERS["regression"]), *OPTIONS, "--no-report")
    assert "task: regression, values: 1" in said
    network = load("out/model.safetensors")
    assert network.task == "regression"
    true, predicted = ANSWERS["regression"][120:], network.predict(X[120:])[:, 0]
    score = theirs.r2_score(true, predicted)
    assert score > 0.8
    wanted = (
        f"R2 {score:.4f}, mean absolute error {theirs.mean_absolute_error(true, predicted):.4g}, "
        f"root mean squared error {theirs.root_mean_squared_error(true, predicted):.4g} on 40 images, loss "
    )
    assert f"test {wanted}0." in said  # the loss of values with variance 1
    assert "accuracy" not in said
    result = json.loads(Path("out/run.json").read_text(encoding="utf-8"))["result"]
    assert result["task"] == "regression"
    assert result["curves"]["test"]["mean_absolute_error"][-1] == pytest.approx(
        result["test_mean_absolute_error"], rel=1e-3
    )
    assert wanted in run("evaluate", "out/model.safetensors", "--data", "data.npz")


def test_several_labels_are_learnt(place: Path) -> None:
    said = run("train", "--data", written(ANSWERS["multilabel"]), *OPTIONS, "--no-report")
    assert "task: multilabel, labels: 3" in said
    network = load("out/model.safetensors")
    true, predicted = ANSWERS["multilabel"][120:], network.predict(X[120:]) > 0.5
    assert theirs.accuracy_score(true, predicted) > 0.6
    wanted = (
        f"subset accuracy {100 * theirs.accuracy_score(true, predicted):.2f} %, label accuracy "
        f"{100 * (1 - theirs.hamming_loss(true, predicted)):.2f} %, "
        f"F1 {theirs.f1_score(true, predicted, average='macro'):.4f} on 40 images, loss 0."
    )
    assert f"test {wanted}" in said
    found = run("evaluate", "out/model.safetensors", "--data", "data.npz")
    assert wanted in found
    assert f"{theirs.recall_score(true[:, 1], predicted[:, 1]):.4f}" in found


def test_classes_go_on_as_they_were(place: Path) -> None:
    said = run("train", "--data", written(np.eye(3)[ANSWERS["classification"]]), *OPTIONS, "--no-report")
    assert "task: classification, classes: 3" in said
    assert "test accuracy " in said


def test_a_picture_is_answered_by_labels_or_by_a_value(place: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(X[0]).save("one.png")
    prepare = ("--prepare", "stretch")
    for task, answer in (("multilabel", "no label"), ("regression", "0")):
        run(
            "train",
            "--data",
            written(ANSWERS[task]),
            *OPTIONS[2:],
            "--epochs",
            1,
            "--no-report",
            "--overwrite",
        )
        network = load("out/model.safetensors")
        network.parameters = np.zeros(network.parameters.size)
        save(network, "model.safetensors")
        said = run("predict", "model.safetensors", "one.png", *prepare).splitlines()
        assert said[0] == f"one.png: {answer}"
        assert ("%" in said[1]) == (task == "multilabel")


@pytest.mark.parametrize(
    ("y", "task", "words"),
    [
        (
            np.arange(160) / 2,
            "classification",
            "labels are float64 with fractions; integers from 0 are wanted",
        ),
        (np.arange(160), "multilabel", "multilabel wants rows of zeros and ones, got int64 of shape"),
        (
            np.eye(3)[ANSWERS["classification"]] / 2,
            "classification",
            "wants labels .*or one-hot rows, got fl",
        ),
        (np.arange(160) * 1000, None, "labels go up to 159,000; .* or the task regression"),
        (np.zeros((160, 2, 2)), "regression", "or .n, outputs. are wanted, got answers of shape"),
        (np.eye(2, dtype=np.uint8)[None].repeat(160, 0), None, "for label maps, classes of pixels, call Net"),
        (np.zeros((160, 1, 2, 2), np.uint8), None, "or .n, outputs. are wanted, got answers of shape"),
    ],
)
def test_answers_of_another_task_are_refused(place: Path, y: np.ndarray, task: Any, words: str) -> None:
    asked = () if task is None else ("--task", task)
    said = " ".join(run("train", "--data", written(y), *asked, *OPTIONS, code=2).split())
    assert re.search(words, said)
    assert not Path("out").exists()


def test_a_task_that_is_named_decides(place: Path) -> None:
    data = written(ANSWERS["classification"].astype(np.float64))
    assert "task: regression, values: 1" in run("train", "--data", data, *OPTIONS[2:], "--epochs", 1)
    said = run("train", "--data", data, "--task", "classification", *OPTIONS, "--overwrite", "--no-report")
    assert "task: classification, classes: 3" in said
    assert Run.recorded(Path("out")).task == "classification"
    assert "reproduced: the same bits" in run("reproduce", "out", "--threads", 1)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_a_run_of_each_task_stops_early_and_is_extended(place: Path, task: str) -> None:
    data = written(ANSWERS[task])
    options = ("--data", data, *OPTIONS[2:], "--validation", 0.25, "--no-report")
    run("train", "--epochs", 2, *options)
    first = json.loads(Path("out/run.json").read_text(encoding="utf-8"))["result"]
    run("train", "--resume", "out", "--epochs", 8, "--no-report", "--threads", 1)
    then = json.loads(Path("out/run.json").read_text(encoding="utf-8"))["result"]
    assert then["epochs"] == 8
    assert then["test_loss"] < first["test_loss"]
    assert list(then["curves"]) == ["training", "validation"]
    if task == "regression":  # in the unit of the file again
        predicted = load("out/model.safetensors").predict(X[120:])[:, 0]
        assert theirs.r2_score(ANSWERS[task][120:], predicted) == pytest.approx(then["test_r2"], abs=1e-3)
    run("train", "--epochs", 4, "--patience", 1, *options, "--overwrite")
    assert 1 <= json.loads(Path("out/run.json").read_text(encoding="utf-8"))["result"]["best_epoch"] <= 4


def test_a_set_without_a_test_set_is_divided_for_each_task(place: Path) -> None:
    for task, y in ANSWERS.items():
        np.savez(f"{task}.npz", x=X, y=y)
        (x, y_kept), (x_test, y_test) = read_data(f"{task}.npz")
        assert (len(x), len(x_test)) == (128, 32)
        assert sorted(map(tuple, np.r_[y_kept, y_test].reshape(160, -1))) == sorted(
            map(tuple, np.asarray(y).reshape(160, -1))
        )


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_a_report_shows_what_belongs_to_the_task(place: Path, task: str) -> None:
    pytest.importorskip("plotly")
    run("train", "--data", written(ANSWERS[task]), *OPTIONS)
    run("report", "out")
    text = Path("out/report.html").read_text(encoding="utf-8")
    for words, belongs in {
        "Predicted and true": "regression",
        "Residuals": "regression",
        "root mean squared error": "regression",
        "Label by label": "multilabel",
        "subset accuracy": "multilabel",
        "What it takes for what": "classification",
        "calibration error": "classification",
    }.items():
        assert (words in text) == (belongs == task), words


def test_runs_of_other_tasks_are_reproduced_and_compared(place: Path) -> None:
    pytest.importorskip("plotly")
    for task, words in (("multilabel", "subset accuracy"), ("regression", "R2")):
        options = (*OPTIONS[2:-1], task, "--epochs", 1)
        run("train", "--data", written(ANSWERS[task], f"{task}.npz"), *options)
        again = run("reproduce", task, "--threads", 1)
        assert "reproduced: the same bits" in again
        assert f"test {words} " in again
    run("report", "multilabel", "regression")
    page = Path("comparison.html").read_text(encoding="utf-8")
    assert "Subset accuracy and R2 on the test set" in page


@pytest.mark.parametrize(
    ("task", "change", "near_enough"),
    [
        ("regression", {"test_mean_absolute_error": 1.05}, True),
        ("regression", {"test_mean_absolute_error": 1.2}, False),
        ("multilabel", {"test_subset_accuracy": 0.995}, True),
        ("multilabel", {"test_subset_accuracy": 0.9}, False),
    ],
)
def test_the_tolerance_of_each_task(task: str, change: dict[str, float], near_enough: bool) -> None:
    was = {"task": task, **dict.fromkeys(change, 1.0)}
    assert near(was, {**was, **change}, 200) is near_enough
