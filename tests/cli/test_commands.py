"""The command line as a user meets it: what it prints, what it leaves behind, and how it refuses."""

import errno
import json
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers.command_line import stop_at, write_data
from helpers.strict_arrays import STRICT
from helpers.waiting import PATIENCE
from purecnn import Dense, Flatten, Network, Preprocessing, load, save
from purecnn.backend import arrays
from purecnn.cli import main
from purecnn.cli.app import purecnn
from purecnn.networks import ARCHITECTURES, NETWORKS
from purecnn.version import __version__


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small data set; whatever is saved lands beside it."""
    monkeypatch.chdir(tmp_path)
    return str(write_data(tmp_path / "data"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2
    return result.output


# --- train, evaluate, predict, summary ----------------------------------------------------------------------


def test_train_then_evaluate_then_predict(data: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    result = run("train", "--data", data, "--batch-size", 20, "--epochs", 8, "--learning-rate", 0.02)
    assert result.exit_code == 0, result.output
    assert "lenet: 3,475 parameters, 60 training images, seed 0" in result.output
    assert "epoch 8/8: loss " in result.output
    assert "test accuracy 100.00 % on 30 images, loss 0." in result.output
    assert f"saved to {Path('runs', 'data-lenet-0', 'model.safetensors')}" in result.output
    network = load("runs/data-lenet-0/model.safetensors")
    assert (network.input_shape, network.output_shape, network.epochs) == ((1, 16, 16), (3,), 8)

    result = run("evaluate", "--data", data)
    assert result.exit_code == 0
    assert result.stderr == f"the model is {Path('runs', 'data-lenet-0', 'model.safetensors')}\n"
    assert run("evaluate", "runs/data-lenet-0").stdout == result.stdout, "on the data of the run"
    assert "accuracy 100.00 % on 30 images, loss 0." in result.output
    assert result.output.count("100.00 %") == 4

    bar = np.full((40, 40), 255, np.uint8)
    bar[5:35, 18:22] = 0
    pillow.fromarray(bar).save("bar.png")
    result = run("predict", "runs/data-lenet-0", "bar.png")
    assert result.exit_code == 0
    assert (
        "arrays do not tell how their pictures were prepared: each IMAGE is cut and scaled" in result.stderr
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0] in {"bar.png: 0", "bar.png: 1", "bar.png: 2"}
    assert sum(float(line.split()[1]) for line in lines[1:4]) == pytest.approx(100, abs=0.1)
    named = load("runs/data-lenet-0/model.safetensors")
    named.preprocessing.classes = ("a", "upright", "across")
    save(named, "named.safetensors")
    lines = run("predict", "named.safetensors", "bar.png").stdout.splitlines()[1:]
    assert [line.index(" %") for line in lines] == [lines[0].index(" %")] * 3, (
        "the shares stand below each other"
    )


def test_a_finished_run_is_written_over_when_asked_or_by_itself(data: str) -> None:
    options = ("--data", data, "--network", "dense", "--epochs", 1, "--no-report")
    model = Path("runs", "data-dense-0", "model.safetensors")
    assert run("train", *options).exit_code == 0
    first = model.read_bytes()
    assert run("train", *options).exit_code == 0, "the same run gives the same model"
    assert model.read_bytes() == first
    told = refused("train", *options, "--epochs", 2, "--batch-size", 20)
    assert f"Error: {model.parent}: holds a finished run of other settings (epochs was 1, is 2; " in told
    assert "batch_size was 128, is 20; shards was 2, is 1): name another --output, or" in told
    assert model.read_bytes() == first
    assert run("train", *options, "--epochs", 2, "--overwrite").exit_code == 0
    assert model.read_bytes() != first
    Path(model.parent, "run.json").unlink()
    assert "(no record tells which)" in refused("train", *options, "--epochs", 2)
    assert "--overwrite has no place beside it" in refused("train", "--resume", model, "--overwrite")


def test_the_same_options_give_the_same_file(data: str) -> None:
    files = []
    for threads, output in ((1, "a"), (2, "b")):
        arguments = ("--data", data, "--network", "dense", "--epochs", 2, "--seed", 3, "--batch-size", 32)
        assert run("train", *arguments, "--threads", threads, "--output", output).exit_code == 0
        files.append(Path(output, "model.safetensors").read_bytes())
    assert files[0] == files[1]


def test_train_and_evaluate_on_a_device_and_a_record_that_says_so(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(arrays._opened, "cuda", STRICT)  # in the place of a GPU
    losses = []
    for where in ("cpu", "cuda"):
        arguments = ("--data", data, "--epochs", 2, "--batch-size", 20, "--device", where, "--output", where)
        result = run("train", *arguments)
        assert result.exit_code == 0, result.output
        record = json.loads(Path(where, "run.json").read_text())
        assert record["machines"][0].get("device") == {"cpu": None, "cuda": "strict: strict 1"}[where]
        losses.append(record["result"]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert load("cuda/model.safetensors").device is arrays.CPU
    result = run("evaluate", "cuda/model.safetensors", "--data", data, "--device", "cuda")
    assert result.exit_code == 0, result.output
    result = run("reproduce", "cuda")
    assert "device is unknown, was strict: strict 1" in result.output
    assert "other bits; wanted: accuracy within" in result.output


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purecnn.backend.cuda.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    said = refused("train", "--data", data, "--device", "cuda", "--output", "run")
    assert re.match(r"Error: device='cuda' needs cupy: .+ install \"cupy-cuda13x", said)
    assert not Path("run").exists()


@pytest.mark.parametrize("name", [*sorted(NETWORKS.keys() - ARCHITECTURES.keys()), "resnet-20"])
def test_every_network_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_data(tmp_path / "data", size=20)
    result = run("train", "--data", data, "--network", name, "--epochs", 1, "--seed", 5)
    assert result.exit_code == 0
    assert f"saved to {Path('runs', f'data-{name}-5', 'model.safetensors')}" in result.output


def test_a_terminal_gets_a_bar(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purecnn.callbacks.progress.is_terminal", lambda stream: True)
    monkeypatch.setattr("purecnn.callbacks.progress.PAUSE", 0)
    result = run("train", "--data", data, "--network", "dense", "--epochs", 2)
    assert result.exit_code == 0
    assert "━" in result.output
    assert "images/s" in result.output


def test_evaluate_says_what_is_mistaken_for_what(data: str) -> None:
    network = Network([Flatten(), Dense(output_size=3)], input_shape=(1, 16, 16))
    network.preprocessing = Preprocessing(kind="bytes", classes=("left", "middle", "right"))
    network.parameters[:] = [0] * (3 * 256) + [0, 5, 1]
    save(network, "always_middle.safetensors")
    result = run("evaluate", "always_middle.safetensors", "--data", data)
    rows = [line.replace("│", " ").split() for line in result.output.splitlines() if "│" in line]
    assert rows == [
        ["left", "10", "0", "0.00", "%", "middle", "(10)"],
        ["middle", "10", "10", "100.00", "%"],
        ["right", "10", "0", "0.00", "%", "middle", "(10)"],
    ]
    assert "accuracy 33.33 % on 30 images" in result.output

    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(np.eye(20, dtype=np.uint8) * 255).save("line.png")
    lines = run("predict", "always_middle.safetensors", "line.png").stdout.splitlines()
    assert lines == ["line.png: middle", "    left    0.0000", "  middle    5.0000", "   right    1.0000"]


def test_summary_of_a_name_and_of_a_file(data: str) -> None:
    named = run("summary").output
    assert named.splitlines()[-1].split() == ["total", "5,994", "322,560"]
    assert run("summary", "lenet").output == named
    save(NETWORKS["dense"]((1, 4, 4), 3, 0), "small.safetensors")
    assert run("summary", "small.safetensors").output.splitlines()[2].split() == [
        "input",
        "1",
        "x",
        "4",
        "x",
        "4",
    ]


def test_version_and_help() -> None:
    assert run("--version").output == f"purecnn {__version__}\n"
    assert "train" in run("-h").output


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", 0], "epochs must be an integer of at least 1, got 0"),
        (["--batch-size", -3], "batch-size must be an integer of at least 1, got -3"),
        (["--threads", 0], "threads must be an integer of at least 1, got 0"),
        (["--learning-rate", 0], "learning-rate must be "),
        (["--learning-rate", "nan"], "learning-rate must be "),
        (["--seed", -1], "seed must be from 0 to 2**64 - 1, got -1"),
        (["--data", "nowhere"], "nowhere: there is no such file or folder, and the names known are mnist, "),
        (["--data", ""], "--data must be a name, got an empty one"),
        (["--output", ""], "--output must be a name, got an empty one"),
        (["--image-size", 0], "image-size must be an integer of at least 1, got 0"),
        (["--output", "file"], "file: there is a file of this name; a folder is wanted"),
        (["--output", "file/below"], "file/below: "),
        (["--network", "resnet"], "'resnet' is not one of"),
        (["--image-size", 8], "--image-size is for folders of pictures, and "),
        (["--skip-damaged"], "--skip-damaged is for folders of pictures, and "),
        (["--epochs", "many"], "'many' is not a valid integer"),
    ],
)
def test_train_refuses(data: str, options: list[Any], words: str) -> None:
    Path("file").write_text("", encoding="utf-8")
    output = refused("train", *(["--data", data] if "--data" not in options else []), *options)
    assert words in output
    assert output.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(6) * 1_000_000, "labels go up to 5,000,000; classes numbered from 0 are wanted"),
        (np.zeros(6, int), "holds one class; two or more are wanted"),
    ],
)
def test_train_refuses_labels_that_number_no_classes(tmp_path: Path, labels: Any, words: str) -> None:
    x, path = np.zeros((6, 28, 28), np.uint8), tmp_path / "numbers.npz"
    np.savez(path, x=x, y=labels, x_test=x, y_test=labels)
    assert words in refused("train", "--data", path, "--output", tmp_path / "out")


def test_train_refuses_channels_last(tmp_path: Path) -> None:
    x, y, path = np.zeros((6, 32, 32, 3), np.uint8), np.arange(6), tmp_path / "last.npz"
    np.savez(path, x=x, y=y, x_test=x, y_test=y)
    words = refused("train", "--data", path, "--network", "dense", "--output", tmp_path / "out")
    assert "x must have its channels first, (n, channels, height, width), got (6, 32, 32, 3)" in words


def test_few_samples_of_many_classes_are_no_mistake(tmp_path: Path) -> None:
    x, y, path = np.zeros((2, 28, 28), np.uint8), np.array([0, 9]), tmp_path / "few.npz"
    np.savez(path, x=x, y=y, x_test=x, y_test=y)
    options = ["--epochs", 1, "--network", "dense", "--no-report", "--output", tmp_path / "out"]
    assert run("train", "--data", path, *options).exit_code == 0


def test_train_refuses_images_that_are_too_small(data: str, tmp_path: Path) -> None:
    small = write_data(tmp_path / "small", size=11)
    words = "images of 11 x 11 are too small for the network lenet: --network dense takes any"
    assert words in refused("train", "--data", small)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_train_refuses_a_folder_that_is_locked(data: str) -> None:  # pragma: no cover
    Path("locked").mkdir(mode=0o500)
    assert "can be written to is wanted" in refused("train", "--data", data, "--output", "locked")


def test_a_folder_that_can_not_be_written_to_is_found_before_training(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "a folder that can be written to is wanted" in refused("train", "--data", data)


def save_for_digits(path: str) -> None:
    network = NETWORKS["dense"]((1, 28, 28), 10, 0)
    network.preprocessing.preparation = "character"
    save(network, path)


def test_models_that_can_not_be_read(data: str) -> None:
    default = Path("runs", "data-lenet-0", "model.safetensors")
    words = f"{default}: there is no such file; `purecnn train --data {data}` makes it, or name the model"
    assert words in refused("evaluate", "--data", data)
    assert "none: there is no such file or folder; `purecnn train` makes a model" in refused(
        "evaluate", "none"
    )
    Path("foreign").write_bytes(b"hello")
    assert "Error: foreign: looks like a text, wanted a safetensors file" in refused("evaluate", "foreign")
    assert "Error: foreign: " in refused("summary", "foreign")
    Path("foreign").rename("foreign.safetensors")
    assert "Error: foreign.safetensors: " in refused("predict", "foreign.safetensors", "bar.png")
    assert "none: there is no such file, and the networks are lenet" in refused("summary", "none")
    Path("folder").mkdir()
    words = "folder: holds no model.safetensors; a model's file or the folder of a run is wanted"
    assert words in refused("summary", "folder")
    Path("folder", "checkpoint.safetensors").write_bytes(b"hello")
    assert "folder: this run has no model yet: `purecnn train --resume folder`" in refused(
        "evaluate", "folder"
    )
    Path("folder", "model.safetensors").write_bytes(b"hello")
    for command in (
        ["evaluate", "folder"],
        ["export", "folder", "a.onnx"],
        ["predict", "folder", "a.png"],
        ["playground", "folder"],
        ["site", "pages", "folder"],
        ["convert", "folder", "a.safetensors"],
        ["summary", "folder"],
    ):
        assert f"Error: {Path('folder', 'model.safetensors')}: " in refused(*command)
    save(NETWORKS["dense"]((1, 4, 4), 3, 0), "small.safetensors")
    assert "x must have shape (n, 1, 4, 4)" in refused("evaluate", "small.safetensors", "--data", data)


def test_pictures_that_can_not_be_read(data: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    save_for_digits("m.safetensors")
    pillow.new("L", (30, 30), 200).save("blank.png")
    Path("words.png").write_text("hello", encoding="utf-8")
    assert "Error: none.png: No such file or directory\n" in refused("predict", "m.safetensors", "none.png")
    assert "Error: blank.png: the picture is blank" in refused("predict", "m.safetensors", "blank.png")
    assert refused("predict", "m.safetensors", "words.png").count("words.png") == 1
    assert "Missing argument" in refused("predict")
    assert "Missing argument 'IMAGE...' behind the model m.safetensors" in refused("predict", "m.safetensors")
    save(NETWORKS["dense"]((2, 28, 28), 10, 0), "planes.safetensors")
    assert "samples of shape (2, 28, 28)" in refused("predict", "planes.safetensors", "blank.png")
    save(NETWORKS["dense"]((3, 28, 28), 10, 0), "colours.safetensors")
    assert "of one character (1, h, w) is wanted" in refused(
        "predict", "colours.safetensors", "blank.png", "--prepare", "character"
    )


def test_a_picture_that_can_not_be_read_does_not_keep_the_others_from_an_answer(data: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    save_for_digits("m.safetensors")
    pillow.fromarray(np.eye(20, dtype=np.uint8) * 255).save("line.png")
    Path("words.png").write_text("hello", encoding="utf-8")
    result = run("predict", "m.safetensors", "words.png", "line.png", "none.png", "line.png")
    assert result.exit_code == 2
    assert [re.sub(r"[\d.]+", "?", line) for line in result.stdout.splitlines()] == ["line?png: ?, ? %"] * 2
    first, second = result.stderr.splitlines()
    assert first.startswith("Error: words.png: not a picture that Pillow knows, wanted ")
    assert second == "Error: none.png: No such file or directory"


def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit) as caught:
        main(["summary"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r'Error: the command line needs rich: .+ install "click>=.+" "rich>=.+\n', said)


DENSE = ("--network", "dense", "--batch-size", 10, "--epochs", 3)
RUN = Path("runs", "data-dense-0")


def test_an_interruption_keeps_its_place_and_resume_goes_on_to_the_same_file(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("train", "--data", data, *DENSE, "--output", "whole")
    # Python's own handler, which a shell's background jobs do not have
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.default_int_handler)
    with monkeypatch.context() as patch:
        stop_at(patch, "step", 8, signal.SIGINT)
        result = run("train", "--data", data, *DENSE)
    assert result.exit_code == 130
    assert f"Interrupted: `purecnn train --resume {RUN}` goes on with it.\n" in result.output
    assert sorted(os.listdir(RUN)) == ["checkpoint.safetensors", "run.json"]
    assert load(RUN / "checkpoint.safetensors").updates == 8
    assert json.loads((RUN / "run.json").read_text(encoding="utf-8"))["result"] is None

    # what was trained is neither written over nor called complete
    assert f"interrupted after 8 steps: `purecnn train --resume {RUN}`" in refused(
        "train", "--data", data, *DENSE
    )
    assert "this run is not complete: `purecnn train --resume" in refused("reproduce", RUN)

    result = run("train", "--resume", RUN, "--threads", 2, "--checkpoint-every", 1)
    assert result.exit_code == 0
    assert "epoch 1/3" not in result.output
    assert "epoch 2/3: loss " in result.output
    one, two = (Path(folder, "model.safetensors").read_bytes() for folder in (RUN, "whole"))
    assert one == two
    assert sorted(os.listdir(RUN)) == ["checkpoint.safetensors", "model.safetensors", "run.json"]
    one, two = (json.loads(Path(folder, "run.json").read_text(encoding="utf-8")) for folder in (RUN, "whole"))
    for record in (one, two):
        record["result"].pop("seconds")
    assert one == two

    result = run("train", "--resume", RUN)
    assert result.exit_code == 0
    assert result.output == f"{RUN}: this run is complete; more --epochs than it has extend it\n"


def test_an_interruption_before_the_first_step(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, "begin", 1, KeyboardInterrupt())
        assert run("train", "--data", data, *DENSE).exit_code == 130
    assert os.listdir(RUN) == ["run.json"]
    assert run("train", "--resume", RUN).exit_code == 0
    assert load(RUN / "model.safetensors").epochs == 3


def test_a_checkpoint_of_no_step_and_a_damaged_one_stand_in_nobodys_way(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, "step", 1, KeyboardInterrupt())
        assert run("train", "--data", data, *DENSE).exit_code == 130
    assert load(RUN / "checkpoint.safetensors").updates == 0
    (RUN / "checkpoint.safetensors").write_text("no more", encoding="utf-8")
    assert "a safetensors file" in refused("train", "--resume", RUN)
    assert run("train", "--data", data, *DENSE).exit_code == 0


def test_what_resume_refuses(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = refused("train", "--resume", "run", "--recipe", "fast")
    assert "--resume goes on with a run as it was begun; --recipe has no place beside it" in words
    assert "run.json: there is no such file; the folder of a run" in refused("train", "--resume", "run")
    with monkeypatch.context() as patch:
        stop_at(patch, "step", 8, KeyboardInterrupt())
        run("train", "--data", data, *DENSE)
    other = write_data(Path("other"))
    assert "its run's data was " in refused("train", "--resume", RUN, "--data", other)


def test_a_disk_that_is_full_for_a_while_is_a_warning(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = os.replace, []

    def full(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:  # the record, the first checkpoint, that of the first epoch
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(*arguments)

    monkeypatch.setattr(os, "replace", full)
    result = run("train", "--data", data, *DENSE)
    assert result.exit_code == 0
    assert result.output.count("Warning: [Errno 28] No space left on device: ") == 1
    assert "the last good one is of epoch 0, and the training goes on" in result.output


def test_a_last_checkpoint_that_fails_does_not_matter_once_the_model_is_saved(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = os.replace, []

    def full(*arguments: Any) -> None:
        calls.append(arguments)
        if os.path.basename(arguments[1]) == "checkpoint.safetensors" and len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(*arguments)

    monkeypatch.setattr(os, "replace", full)
    result = run("train", "--data", data, *DENSE)
    assert result.exit_code == 0
    assert load(RUN / "model.safetensors").epochs == 3
    assert load(RUN / "checkpoint.safetensors").epochs < 3


def test_an_interruption_elsewhere_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("purecnn.cli.model.summary", interrupt)
    result = run("summary")
    assert (result.exit_code, result.output) == (130, "Interrupted.\n")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_real_process(data: str, times: int) -> None:
    options = ["--data", data, "--network", "dense", "--epochs", "1000000", "--output", "run"]
    with subprocess.Popen(
        [sys.executable, "-m", "purecnn", "train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs ignore SIGINT, and their children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        while "epoch 3/" not in process.stdout.readline():
            assert process.poll() is None
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    sentence = "Interrupted: `purecnn train --resume run` goes on with it.\n"
    # a second one may come while the sentence on the first is being said
    assert errors in (sentence, sentence + "Interrupted.\n")[:times]
    assert load("run/checkpoint.safetensors").updates >= 2


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_once_more_while_python_ends_is_no_traceback() -> None:
    program = """
import atexit, signal
from purecnn.cli import entry
from purecnn.cli import model as model_module

def interrupt(*_):
    raise KeyboardInterrupt

model_module.summary = interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(signal.raise_signal, signal.SIGINT)
entry.main(["summary"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(data: str) -> None:
    options = ("--data", data, "--network", "dense", "--learning-rate", 1e30)
    output = refused("train", *options, "--batch-size", 60)
    assert "at step 2: try a smaller learning rate than " in output
    assert f"; the last good checkpoint, epoch 1, is {RUN / 'checkpoint.safetensors'}" in output
    assert load(RUN / "checkpoint.safetensors").epochs == 1
    output = refused("train", *options, "--batch-size", 1000, "--epochs", 1, "--output", "last")
    assert "the loss on the test set is nan: try a smaller learning rate than 1e+30" in output
    assert sorted(os.listdir("last")) == ["checkpoint.safetensors", "run.json"]
    output = refused("train", *options, "--batch-size", 10, "--output", "other")
    assert "the last good checkpoint, epoch 0, is other/checkpoint.safetensors" in output
    assert sorted(os.listdir("other")) == ["checkpoint.safetensors", "run.json"]


# --- the program as it is started ---------------------------------------------------------------------------


def test_python_dash_m(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["purecnn", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("purecnn", run_name="__main__")
    assert not caught.value.code
    assert capsys.readouterr().out == f"purecnn {__version__}\n"


def test_a_reader_that_goes_away_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("purecnn.cli.model.summary", broken)
    result = run("summary")
    assert (result.exit_code, result.output) == (1, "")


def test_a_reader_that_goes_away_from_a_real_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "purecnn", "summary"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=PATIENCE)
    assert b"Traceback" not in errors
