"""What `purecnn train` is asked for decides the run, stands in its record, and is repeated to the bit."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from purecnn import Augmentation, load
from purecnn.backend import cores
from purecnn.callbacks import Callback, ProgressBar
from purecnn.cli.app import purecnn
from purecnn.datasets.data_path import read_data
from purecnn.networks.zoo import takes
from purecnn.runs import RECIPES, Recipe, Run
from purecnn.runs.recipes import RATES, read_changes, written_changes
from purecnn.runs.report import command_of

RANDOM = np.random.default_rng(0)
RUN = Path("runs", "set-dense-0")
BASE = ("--data", "set.npz", "--network", "dense", "--threads", 1, "--batch-size", 16)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripes of three kinds, ten times as many of the first."""
    monkeypatch.chdir(tmp_path)
    y = np.array([0] * 40 + [1] * 8 + [2] * 8)
    x = RANDOM.integers(0, 60, (len(y), 12, 12), dtype=np.uint8)
    for image, label in zip(x, y, strict=True):
        image[:, 4 * label : 4 * label + 3] += 100
    np.savez("set.npz", x=x, y=y, x_test=x[::2], y_test=y[::2])


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def train(*options: object, status: int = 0) -> str:
    result = run("train", *options)
    assert result.exit_code == status, result.output
    return result.output


def record(folder: Path = RUN) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


def bits(folder: Path | str = RUN) -> bytes:
    return (Path(folder) / "model.safetensors").read_bytes()


# --- options that decide the bits ---------------------------------------------------------------------------

OPTIONS: dict[str, tuple[Any, ...]] = {
    "accumulate": ("--accumulate", 2),
    "augment": ("--augment", "shift=1,flip"),
    "average": ("--average", 0.75),
    "optimizer": ("--optimizer", "sgd"),
    "class_weight": ("--class-weight", "balanced"),
    "validation": ("--validation", 0.2),
    "patience": ("--validation", 0.2, "--patience", 2),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_recorded_reproduced_and_resumed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (*BASE, "--epochs", 3, *OPTIONS[name])
    train(*BASE, "--epochs", 3, "--output", "plain")
    train(*options)
    assert bits() != bits("plain"), "it changes the training"
    asked = record()["arguments"]["recipe"]
    wanted = {
        "accumulate": ("accumulate", 2),
        "augment": ("augmentation", {**vars(Augmentation(shift=1, flip=True))}),
        "average": ("average", 0.75),
        "optimizer": ("optimizer", "sgd"),
        "class_weight": ("class_weight", "balanced"),
        "validation": ("validation", 0.2),
        "patience": ("patience", 2),
    }
    assert asked[wanted[name][0]] == wanted[name][1]
    assert "reproduced: the same bits" in run("reproduce", RUN).output
    # the command that a report names does it again
    command = command_of(Run.recorded(RUN)).split()[2:]
    train(*command, "--output", "again")
    assert bits("again") == bits()
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        train(*options, "--output", "half", status=130)
    train("--resume", "half")
    assert bits("half") == bits()


def test_the_model_of_an_averaged_run_holds_the_average_and_is_extended_to_the_same_bits(
    tmp_path: Path,
) -> None:
    class Collected(Callback):
        def __init__(self) -> None:
            self.found: list[Any] = []

        def step(self, epoch: int, step: int, loss: float) -> None:
            self.found.append(self.fit.network.parameters.astype(np.float64))

    train(*BASE, "--epochs", 2, "--average", 0.75)
    steps, asked = Collected(), Run.recorded(RUN)
    sets = asked.read()
    asked.train(tmp_path, asked.build(sets), sets, callbacks=[steps])
    average = steps.found[0]
    for parameters in steps.found[1:]:
        average = 0.75 * average + 0.25 * parameters
    kept = load(RUN / "model.safetensors").parameters
    np.testing.assert_allclose(kept, average, rtol=1e-4, atol=1e-6)
    assert abs(kept - steps.found[-1]).max() > 1e-3, "the last parameters are others"
    train("--resume", RUN, "--epochs", 4)
    assert "reproduced: the same bits" in run("reproduce", RUN).output


def interrupt(patch: pytest.MonkeyPatch, step: int) -> None:
    """End a training in the middle, as a second Ctrl-C does."""
    calls = []
    plain = ProgressBar.step

    def stop(self: ProgressBar, *given: Any) -> None:
        plain(self, *given)
        calls.append(given)
        if len(calls) == step:
            raise KeyboardInterrupt

    patch.setattr(ProgressBar, "step", stop)


def test_verbose_says_how_many_workers_and_why_as_the_record_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(cores, "cores", lambda *_: cores.Cores(("a", "b"), 4))
    options = ("--data", "set.npz", "--network", "dense", "--epochs", 1, "--batch-size", 32)
    assert "workers" not in train(*options, "--no-report")
    assert record()["workers"] == [{"number": 1, "reason": "OMP_NUM_THREADS=1"}]
    monkeypatch.delenv("OMP_NUM_THREADS")
    said = train("--resume", RUN, "--epochs", 2, "--verbose")
    assert re.findall("^workers: .*", said, re.M) == ["workers: 2 (2 physical cores of 4 processors)"]
    train("--resume", RUN, "--epochs", 3, "--threads", 2, "--verbose")
    assert [one["reason"] for one in record()["workers"]] == [
        "OMP_NUM_THREADS=1",
        "2 physical cores of 4 processors",
        "threads=2",
    ]
    pytest.importorskip("plotly")
    assert run("report", RUN).exit_code == 0
    page = (RUN / "report.html").read_text(encoding="utf-8")
    assert "1 (OMP_NUM_THREADS=1)" in page
    assert "2 (2 physical cores of 4 processors)" in page


def test_a_step_takes_as_many_batches_as_asked_for() -> None:
    said = train(*BASE, "--accumulate", 2, "--epochs", 3, "--no-report")
    assert "epoch 3/3" in said
    assert load(RUN / "model.safetensors").updates == 3 * 2  # 56 samples: 32 and 24
    assert "accumulate must be an integer of at least 1, got 0" in train("--accumulate", 0, status=2)


def test_a_small_batch_keeps_few_workers_busy() -> None:
    said = train(*BASE[:4], "--epochs", 1, "--batch-size", 16, "--threads", 4, "--verbose")
    assert "\nworkers: 1 (a batch has 1 shard)\n" in f"\n{said}"


def test_a_record_from_before_names_no_workers() -> None:
    train(*BASE, "--epochs", 1)
    old = record()
    del old["workers"]
    (RUN / "run.json").write_text(json.dumps(old), encoding="utf-8")
    assert "reproduced: the same bits" in run("reproduce", RUN).output
    assert run("report", RUN).exit_code in (0, 2)
    train("--resume", RUN, "--epochs", 2, "--threads", 1)
    assert len(record()["workers"]) == 1


def test_validation_is_told_of_and_takes_the_place_of_the_test_set_in_the_curves() -> None:
    said = train(*BASE, "--epochs", 2, "--validation", 0.25)
    assert "42 training images, 14 to validate, seed 0, epochs: 2" in said
    assert "validation loss" in said
    curves = record()["result"]["curves"]
    assert (curves["training"]["samples"], curves["validation"]["samples"]) == (42, 14)
    assert "test" not in curves
    assert "best_epoch" not in record()["result"]


def test_patience_ends_a_training_and_keeps_its_best_epoch() -> None:
    options = ("--validation", 0.25, "--patience", 1, "--epochs", 50, "--learning-rate", 0.5)
    said = train(*BASE, *options)
    result = record()["result"]
    assert result["epochs"] < 50
    assert f"ended after epoch {result['epochs']}: validation_loss has not improved for 1 epoch" in said
    best = result["best_epoch"]
    assert f"the model is that of epoch {best}, the best on the 14 to validate" in said
    assert best == 1 + int(np.argmin(result["curves"]["validation"]["loss"]))
    assert load(RUN / "model.safetensors").predict(read_data("set.npz").test[0]).shape == (28, 3)
    words = train("--resume", RUN, "--epochs", 60, status=2)
    assert "this run ended before its last epoch, since validation_loss has not improved" in words


def test_a_report_of_a_validated_run_says_so() -> None:
    pytest.importorskip("plotly")
    train(*BASE, "--epochs", 2, "--validation", 0.25)
    assert run("report", RUN).exit_code == 0
    page = (RUN / "report.html").read_text(encoding="utf-8")
    assert "and 14 of the validation set" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--average", 1], "average must be a number at least 0 and below 1, got 1"),
        (
            ["--average", 0.9, "--validation", 0.2, "--patience", 2],
            "wanted one of them, got patience 2 and average 0.9",
        ),
        (["--patience", 3], "--patience wants --validation, a share of the training set such as 0.1"),
        (["--validation", 0.2, "--patience", 0], "patience must be an integer of at least 1, got 0"),
        (["--validation", 1], "validation must be a number above 0 and below 1, got 1.0"),
        (
            ["--augment", "shift"],
            "--augment must be settings such as shift=2,rotate=10,scale=0.1,flip, or none",
        ),
        (["--augment", "turn=3"], "or none, got 'turn=3'; settings are shift, rotate, scale,"),
        (["--augment", "shift=far"], "or none, got 'shift=far'"),
        (["--augment", "flip=1"], "or none, got 'flip=1'"),
        (["--augment", "shift=1,shift=2"], "or none, got 'shift=1,shift=2'"),
        (["--augment", "scale=2"], "scale must be a number of at least 0 and below 1, got 2"),
        (["--optimizer", "lion"], "'lion' is not one of"),
        (["--class-weight", "mine"], "'mine' is not"),
    ],
)
def test_what_is_refused_before_anything_is_written(options: list[Any], words: str) -> None:
    assert words in train(*BASE, *options, status=2)
    assert not Path("runs").exists()


def test_weights_of_classes_are_refused_where_there_are_none() -> None:
    x = np.zeros((12, 8, 8), np.float32)
    y = RANDOM.normal(size=(12, 2))
    np.savez("set.npz", x=x, y=y, x_test=x, y_test=y)
    assert "class_weight 'balanced' is for classes, not for regression" in train(
        *BASE, "--class-weight", "balanced", status=2
    )
    assert not Path("runs").exists()


def test_augmentation_as_it_is_written() -> None:
    assert read_changes("none") is None
    assert written_changes(None) == "none"
    for recipe in RECIPES.values():
        assert read_changes(written_changes(recipe.augmentation)) == recipe.augmentation
    said = train(*BASE, "--augment", "--epochs", 1)
    assert "test accuracy" in said
    words = train("--resume", RUN, "--augment", "none", status=2)
    assert "--augment has no place beside it" in words
    assert record()["arguments"]["recipe"]["augmentation"]["rotate"] == 10
    train(
        *BASE[:2],
        "--recipe",
        "tiny",
        "--network",
        "dense",
        "--augment",
        "none",
        "--epochs",
        1,
        *BASE[4:],
        "--overwrite",
    )
    assert record()["arguments"]["recipe"]["augmentation"] is None


def test_optimizers_have_rates_of_their_own() -> None:
    train(*BASE, "--optimizer", "sgd", "--epochs", 1)
    assert record()["arguments"]["recipe"]["learning_rate"] == RATES["sgd"]
    assert "--optimizer sgd --learning-rate 0.1" in command_of(Run.recorded(RUN))
    for name in ("rmsprop", "adagrad", "adamw"):
        assert type(Recipe("dense", 1, 1, 0.1, optimizer=name).new_optimizer()).__name__.lower() == name
    assert Recipe("dense", 1, 1, 0.1, optimizer="sgd", weight_decay=0.1).new_optimizer().weight_decay == 0.1


def test_an_optimizer_in_place_of_a_recipes_own_takes_no_decay_from_it() -> None:
    train(*BASE, "--recipe", "fashion", "--optimizer", "sgd", "--epochs", 1)
    asked = record()["arguments"]["recipe"]
    assert (asked["optimizer"], asked["learning_rate"], asked["weight_decay"]) == ("sgd", RATES["sgd"], 0)
    assert (asked["smoothing"], asked["average"]) == (
        RECIPES["fashion"].smoothing,
        RECIPES["fashion"].average,
    )
    command = command_of(Run.recorded(RUN))
    assert "--recipe fashion" in command
    train(*command.split()[2:], "--output", "again")
    assert bits("again") == bits()


def test_smoothed_labels_are_refused_where_values_are_learnt() -> None:
    np.savez("values.npz", x=np.zeros((6, 4)), y=np.zeros(6), x_test=np.zeros((2, 4)), y_test=np.zeros(2))
    words = train("--data", "values.npz", "--recipe", "fashion", "--network", "dense", status=2)
    assert "label smoothing is for labels: values want a recipe without it, such as lenet, got" in words
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of sgd, rmsprop, adagrad, adam, adamw, got 'lion'"),
        ({"patience": 2}, "patience wants a share of the training set as validation"),
        ({"average": -0.1}, "average must be a number at least 0 and below 1, got -0.1"),
        ({"validation": 2}, "validation must be a number above 0 and below 1, got 2"),
        ({"class_weight": "mine"}, "class_weight must be 'balanced' or None, got 'mine'"),
    ],
)
def test_recipes_refuse(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Recipe("dense", 1, 1, 0.1, **change)


# --- the number of epochs -----------------------------------------------------------------------------------


def test_a_small_set_gets_enough_steps_and_a_large_one_those_of_the_recipe() -> None:
    for recipe in RECIPES.values():
        assert recipe.suited(60_000) == recipe
    assert RECIPES["fast"].suited(6_000).epochs == 29
    assert RECIPES["lenet"].suited(180).epochs == 200
    assert RECIPES["lenet"].suited(10**6).epochs == 8
    said = train("--data", "set.npz", "--network", "dense", "--batch-size", 2)
    assert "56 training images, seed 0, epochs: 71, batch size: 2" in said
    assert "--epochs 71 " in command_of(Run.recorded(RUN))


def test_a_complete_run_is_extended_by_a_cycle_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    train(*BASE, "--epochs", 2)
    two = bits()
    assert "this run is complete; more --epochs than it has extend it" in train("--resume", RUN)
    assert "epochs must be more than the 2 of this run" in train("--resume", RUN, "--epochs", 2, status=2)
    with monkeypatch.context() as patch:
        interrupt(patch, 3)
        train("--resume", RUN, "--epochs", 4, status=130)
    assert bits() == two, "the model of before stays until the new one is whole"
    words = train("--resume", RUN, "--epochs", 6, status=2)
    assert "this run is not complete" in words
    assert "epoch 4/4" in train("--resume", RUN)
    assert record()["arguments"]["extended"] == [2]
    assert len(record()["result"]["curves"]["test"]["loss"]) == 4
    assert "epoch 7/7" in train("--resume", RUN / "model.safetensors", "--epochs", 7)
    assert record()["arguments"]["extended"] == [2, 4]
    assert "reproduced: the same bits" in run("reproduce", RUN).output
    lines = command_of(Run.recorded(RUN)).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["4", "7"]
    assert "--epochs 2 " in lines[0]
    (RUN / "checkpoint.safetensors").unlink()
    assert "it is wanted to extend a run" in train("--resume", RUN, "--epochs", 9, status=2)


def test_a_new_run_never_goes_on_from_the_checkpoint_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    train(*BASE, "--epochs", 2)
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "begin", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        train(*BASE, "--epochs", 2, "--seed", 1, "--output", RUN, "--overwrite", status=130)
    assert not (RUN / "checkpoint.safetensors").exists()
    train("--resume", RUN)
    train(*BASE, "--epochs", 2, "--seed", 1, "--output", "other")
    assert bits() == bits("other")


@pytest.mark.parametrize("extended", [[3], [2, 2], [0], ["a"], [4]])
def test_a_record_whose_extensions_make_no_run_is_refused(extended: list[Any]) -> None:
    train(*BASE, "--epochs", 3)
    changed = record()
    changed["arguments"]["extended"] = extended
    (RUN / "run.json").write_text(json.dumps(changed), encoding="utf-8")
    assert "its arguments make no run" in train("--resume", RUN, status=2)


# --- data ---------------------------------------------------------------------------------------------------


def test_labels_in_a_column_are_labels() -> None:
    with np.load("set.npz") as arrays:
        flat = dict(arrays)
    np.savez("set.npz", **{name: a[:, None] if name[0] == "y" else a for name, a in flat.items()})
    assert "task: classification, classes: 3" in train(*BASE, "--epochs", 1)
    network = load(RUN / "model.safetensors")
    columns = network.evaluate(flat["x"], flat["y"][:, None])
    assert columns == network.evaluate(flat["x"], flat["y"])
    np.savez("lone.npz", x=flat["x"], y=flat["y"][:, None])
    assert np.bincount(read_data("lone.npz").test[1][:, 0]).tolist() == [8, 2, 1], "of each class a fifth"


def test_large_pictures_are_brought_to_a_sensible_size() -> None:
    pillow = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        Path("in", name).mkdir(parents=True)
        for number in range(3):
            pillow.new("L", (160, 120), 50).save(f"in/{name}/{number}.png")
    sets = read_data("in")
    assert sets.train[0].shape[2:] == (48, 64)
    assert (
        "in holds pictures of 120 x 160: all are brought to 48 x 64; --image-size takes another size"
        in sets.notes
    )
    assert read_data("in", shape=(96, 96)).train[0].shape[2:] == (96, 96)


@pytest.mark.parametrize("network", ["lenet", "tiny", "accurate", "clothes", "original", "quick"])
def test_pictures_too_small_for_the_network_are_told_of_with_what_enlarges_them(network: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        Path("in", name).mkdir(parents=True)
        for number in range(3):
            pillow.new("L", (2, 2), 50).save(f"in/{name}/{number}.png")
    options = ("--network", network, "--epochs", 1, "--no-report")
    words = train("--data", "in", *options, status=2).splitlines()[-1]
    found = re.fullmatch(
        rf"Error: in: images of 2 x 2 are too small for the network {network}: "
        r"--image-size (\d+) enlarges them, and --network dense takes any",
        words,
    )
    assert found, words
    least = int(found[1])
    assert takes(network, (1, least, least))
    assert not takes(network, (1, least - 1, least - 1))
    if network == "lenet":
        assert "test accuracy" in train("--data", "in", *options, "--image-size", least)
    x, y = np.zeros((12, 2, 2), np.uint8), np.arange(12) % 2
    for samples, what in (
        (x, "images of 2 x 2 are too small"),
        (x.reshape(12, -1), "rows of 4 numbers are no images"),
    ):
        np.savez("lone.npz", x=samples, y=y)
        words = train("--data", "lone.npz", *options, status=2).splitlines()[-1]
        assert words == f"Error: lone.npz: {what} for the network {network}: --network dense takes any"


# --- words that people type ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["predict", "--model", "m", "a.png"],
            "the model is named first, without an option: purecnn predict MODEL",
        ),
        (["evaluate", "--model", "m"], "the model is named first, without an option: purecnn evaluate MODEL"),
        (["train", "--model", "dense"], "No such option: --model; did you mean --network?"),
        (["train", "--lr", 1], "No such option: --lr; did you mean --learning-rate?"),
        (["train", "--optimiser", "sgd"], "No such option: --optimiser; did you mean --optimizer?"),
        (["train", "--validation-split", 0.1], "did you mean --validation?"),
        (["train", "--workers", 2], "did you mean --threads?"),
        (["train", "--banana"], "No such option: --banana\n"),
        (["fit"], "No such command 'fit': it is called train here"),
        (["evalaute"], "No such command 'evalaute': did you mean 'evaluate'?"),
        (["resume"], "No such command 'resume': `purecnn train --resume RUN` goes on with a run"),
        (["banana"], "No such command 'banana'.\n"),
    ],
)
def test_options_and_commands_of_other_names(command: list[Any], words: str) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert words in result.output


def test_help_names_every_change_of_images():
    (text,) = (option.help for option in purecnn.commands["train"].params if option.name == "augment")
    assert [one.name for one in fields(Augmentation) if one.name not in text] == []
