"""What no part promises by itself: features of different parts, used together."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from purecnn import (
    BatchNormalization,
    Checkpoint,
    Convolutional,
    CSVLog,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    JSONLog,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    load,
    save,
    stratified_split,
    trace,
)
from purecnn.cli.app import purecnn
from purecnn.losses import label_smoothing

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 255, (200, 1, 8, 8)).astype(np.uint8)
LABELS = RANDOM.integers(0, 3, 200)


def small(seed: int = 0) -> Network:
    """Return a small network of images."""
    layers = [Convolutional(kernel_size=3, depth=4), ReLU(), MaxPooling(2), Flatten()]
    return Network([*layers, Dense(output_size=3), Softmax()], seed=seed)


def skipping(*inside: Any) -> Network:
    """Return a network of vectors with a skip connection."""
    layers = [Flatten(), Dense(output_size=8), Residual([*inside, Dense(output_size=8), ReLU()])]
    return Network([*layers, Dense(output_size=3), Softmax()], input_shape=(1, 8, 8), seed=3)


def half_frozen() -> Network:
    """Return one whose skip connection is frozen in part."""
    made = skipping(Dense(output_size=8))
    made[2].parts()[0].trainable = False
    return made


def test_validation_data_of_another_kind_do_not_unlearn_that_of_the_training_data() -> None:
    made = small()
    with pytest.raises(TypeError, match="knows bytes"):
        made.fit(IMAGES, LABELS, validation_data=(IMAGES / 255.0, LABELS))
    assert made.preprocessing.kind == "bytes"
    made.fit(IMAGES / 255.0, LABELS)  # nothing was trained on bytes
    assert made.preprocessing.kind == "numbers"


def test_a_file_keeps_what_is_frozen_inside_of_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "model"
    save(half_frozen(), path)
    assert [part.trainable for part in load(path)[2].parts()] == [False, True, True]


def test_a_run_partly_frozen_inside_of_a_layer_is_resumed(tmp_path: Path) -> None:
    path, whole, resumed = tmp_path / "checkpoint", half_frozen(), half_frozen()
    whole.fit(IMAGES, LABELS, epochs=2)
    half_frozen().fit(IMAGES, LABELS, epochs=1, callbacks=[Checkpoint(path)])
    resumed.fit(IMAGES, LABELS, epochs=2, resume=path)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_a_resumed_run_validates_on_the_samples_that_its_own_seed_set_aside(tmp_path: Path) -> None:
    path, whole, resumed = tmp_path / "checkpoint", small(1), small(2)
    options: dict[str, Any] = {"batch_size": 32, "validation_split": 0.2}
    history = whole.fit(IMAGES, LABELS, epochs=2, **options)
    small(1).fit(IMAGES, LABELS, epochs=1, callbacks=[Checkpoint(path)], **options)
    again = resumed.fit(IMAGES, LABELS, epochs=2, resume=path, **options)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    assert again.validation_loss == history.validation_loss


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_binary_cross_entropy"])
def test_a_smoothed_loss_of_scores_measures_probabilities_too(name: str) -> None:
    lone = name.startswith("sigmoid")
    made = Network([Flatten(), Dense(output_size=1 if lone else 3)], input_shape=(1, 8, 8))
    labels = LABELS % 2 if lone else LABELS
    made.fit(IMAGES, labels, loss=label_smoothing(name, 0.1), metrics=["log_loss"])
    plain, soft = (
        made.evaluate(IMAGES, labels, loss=loss, metrics=["log_loss"])
        for loss in (name, label_smoothing(name, 0.1))
    )
    assert (soft["accuracy"], soft["log_loss"]) == (plain["accuracy"], plain["log_loss"])


def test_logs_take_a_loss_of_ones_own(tmp_path: Path) -> None:
    def loss(y: Any, p: Any) -> Any:
        return np.mean((y - p) ** 2)

    def prime(y: Any, p: Any) -> Any:
        return 2 * (p - y) / p.size

    x = RANDOM.normal(size=(40, 3))
    logs = [CSVLog(tmp_path / "log.csv"), JSONLog(tmp_path / "log.jsonl")]
    found = Network([Dense(3, 1)]).fit(
        x, x[:, :1], loss=loss, loss_prime=prime, validation_data=(x, x[:, :1]), callbacks=logs
    )
    line = json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"))
    names, values = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    row = dict(zip(names.split(","), map(float, values.split(",")), strict=True))
    assert line["validation_loss"] == row["validation_loss"] == found.validation_loss[0]


def test_early_stopping_wants_a_number() -> None:
    stopping = EarlyStopping("confusion_matrix", mode="max")
    with pytest.raises(ValueError, match="to watch confusion_matrix, it must be one number an epoch, got"):
        small().fit(IMAGES, LABELS, metrics=["confusion_matrix"], callbacks=[stopping])


def test_a_split_that_leaves_no_weight_is_refused() -> None:
    weights = np.zeros(200)
    weights[stratified_split(LABELS, 0.2)[1]] = 1
    with pytest.raises(ValueError, match="validation_split left none"):
        small().fit(IMAGES, LABELS, sample_weight=weights, validation_split=0.2)


@pytest.mark.parametrize("inside", [(Dropout(0.5),), (BatchNormalization(),), (Residual([Dropout(0.5)]),)])
def test_a_trace_in_training_sees_what_a_step_does(inside: Any) -> None:
    made = skipping(*copy.deepcopy(inside), Dropout(0.5))
    made.fit(IMAGES, LABELS)
    for part in made[2].parts():
        part.trainable = not isinstance(part, BatchNormalization)  # a frozen one uses its running statistics
    found = trace(made, IMAGES[:20], LABELS[:20], training=True)
    history = made.fit(IMAGES[:20], LABELS[:20], shuffle=False)
    assert found.loss == pytest.approx(history.loss[0], rel=1e-6)


# --- The command line ---------------------------------------------------------------------------------------


def run(status: int, *arguments: str) -> str:
    """Run a command that ends with this status, and return what it says."""
    result = CliRunner().invoke(purecnn, arguments, prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which files of data lie: a good one, and others."""
    monkeypatch.chdir(tmp_path)
    x, y = np.tile(IMAGES[:60, 0], (1, 3, 3)), LABELS[:60]
    hot = np.eye(3)[y]
    files: dict[str, dict[str, Any]] = {
        "good": {},
        "one-hot": {"y": hot, "y_test": hot[:20]},
        "shape": {"x_test": x[:20, :16]},
        "kind": {"x_test": x[:20] / 255},
        "answers": {"y_test": hot[:20]},
        "empty": {"x_test": x[:0], "y_test": y[:0]},
        "labels": {"y": y + 10**14},
    }
    for name, changed in files.items():
        arrays = {"x": x, "y": y, "x_test": x[:20], "y_test": y[:20], **changed}
        np.savez(tmp_path / f"{name}.npz", **arrays)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shape", "the samples to test on must be like those to train on, uint8 of shape (24, 24); got"),
        ("kind", "the samples to test on must be like those to train on, uint8 of"),
        ("answers", "the answers to test on must be like those to train on, int64 of shape ()"),
        ("empty", "60 samples to train on and 0 to test on; some of both are wanted"),
        ("labels", "labels go up to 100,000,000,000,002; classes numbered from 0 are wanted"),
    ],
)
def test_data_that_can_not_be_used_are_refused_before_the_training(
    folder: Path, name: str, words: str
) -> None:
    said = run(2, "train", "--data", f"{name}.npz", "--output", "out")
    assert words in said
    assert "epoch" not in said
    assert not (folder / "out").exists()


@pytest.mark.usefixtures("folder")
def test_one_hot_answers_are_trained_on_and_evaluated() -> None:
    said = []
    for name in ("good", "one-hot"):
        run(0, "train", "--data", f"{name}.npz", "--epochs", "1", "--output", name)
        said.append(run(0, "evaluate", f"{name}/model.safetensors", "--data", f"{name}.npz"))
    assert said[0] == said[1]
    assert "on 20 images" in said[0]


@pytest.mark.usefixtures("folder")
def test_a_model_is_not_measured_by_labels_of_other_classes() -> None:
    made = small()
    made.preprocessing.classes = ("cat", "dog", "fox")
    made.bind((1, 28, 28))
    save(made, "model")
    assert "model knows the classes cat, dog, fox; mnist has 0, 1, " in run(2, "evaluate", "model")


@pytest.mark.usefixtures("folder")
def test_a_record_without_a_result_is_refused() -> None:
    run(0, "train", "--data", "good.npz", "--epochs", "1", "--output", "out")
    path = Path("out/run.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["result"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert "its result is missing" in run(2, "train", "--resume", "out")
