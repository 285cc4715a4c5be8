"""Pictures at the command line: by which model, of which folders, and what is printed and written of them."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from purecnn import Dense, Flatten, Network, Preprocessing, Sigmoid, Softmax, load, save
from purecnn.cli.app import purecnn
from purecnn.cli.predictions import pictures_in
from purecnn.datasets import mnist
from purecnn.runs.model_path import default_folder, is_model

pillow = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(name: str, level: int) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    pillow.new("L", (4, 4), level).save(name)
    return name


def brightness(task: str, *classes: str, last: type = Softmax) -> str:
    """Save a network whose second output says how bright a picture is, and whose first how dark."""
    network = Network([Flatten(), Dense(output_size=2), last()], input_shape=(1, 4, 4), task=task)
    network.parameters[:] = [-1] * 16 + [1] * 16 + [8, -8]
    network.preprocessing = Preprocessing(kind="bytes", scale=1 / 255, classes=classes, preparation="crop")
    save(network, f"{task}.safetensors")
    return f"{task}.safetensors"


def test_without_a_model_the_network_in_the_package_answers_and_says_so() -> None:
    images, labels = mnist.load_data()[1]
    for number in range(3):
        pillow.fromarray(images[number]).resize((56, 56)).save(f"{number}.png")
    result = run("predict", "0.png", "1.png", "2.png")
    assert result.stderr == (
        "the model is the network of digits in this package, since nothing is trained here yet\n"
    )
    assert [line.partition(",")[0] for line in result.stdout.splitlines()] == [
        f"{number}.png: {labels[number]}" for number in range(3)
    ]
    result = run("evaluate", "--threads", 1)
    assert "in this package" in result.stderr
    assert "accuracy 99." in result.stdout

    model = default_folder("lenet", "mnist", 0) / "model.safetensors"
    model.parent.mkdir(parents=True)
    Path(brightness("classification", last=Softmax)).rename(model)
    result = run("predict", "0.png", "--prepare", "crop")
    assert (result.exit_code, result.stderr) == (0, f"the model is {model}\n")


def test_what_is_taken_for_a_model() -> None:
    write("pictures/a.png", 1)
    for name in ("run", "begun", "old"):
        Path(name).mkdir()
    Path("run", "model.safetensors").touch()
    Path("begun", "checkpoint.safetensors").touch()
    Path("old", "run.json").touch()
    Path("plain").touch()
    models = ["run", "begun", "old", "m.safetensors", "other.keras", "other.onnx", "no-such-run"]
    assert all(map(is_model, models))
    assert not any(map(is_model, ["pictures", "pictures/a.png", "missing.jpg", "plain", "photo.JPEG"]))
    said = run("predict", "no-such-run", "pictures").output
    assert said.startswith(
        "Error: no-such-run: there is no such file or folder; `purecnn train` makes a model"
    )


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        ("mnist", "mnist-fast-3"),
        ("./mnist", "mnist-fast-3"),
        ("a/Cats & Dogs/", "Cats-Dogs-fast-3"),
        ("x/../set.v2.npz", "set.v2-fast-3"),
        ("Tiere/Füchse", "Füchse-fast-3"),
        ("caf\udce9", "caf-fast-3"),
        ("...", "data-fast-3"),
        ("/", "data-fast-3"),
    ],
)
def test_a_run_is_called_after_its_data(data: str, folder: str) -> None:
    assert default_folder("fast", data, 3) == Path("runs", folder)


def test_folders_are_looked_through_in_order() -> None:
    names = ["in/b/2.png", "in/a.PNG", "in/b/10.jpg"]
    for name in (*names, "in/.hidden.png", "in/.git/x.png", "in/__MACOSX/._a.png"):
        write(name, 0)
    Path("in/notes.txt").touch()
    Path("in/b/Thumbs.db").touch()
    assert pictures_in(["x.png", "in"]) == [
        "x.png",
        *(str(Path(n)) for n in ("in/a.PNG", "in/b/10.jpg", "in/b/2.png")),
    ]
    Path("empty").mkdir()
    result = run("predict", brightness("classification"), "empty")
    assert result.exit_code == 2
    assert "Error: empty: holds no picture by its name; one that ends in .bmp, " in result.stderr


def test_a_line_for_each_picture_and_every_output_of_a_lone_one() -> None:
    model = brightness("classification", "dark", "bright")
    for name, level in (("in/black.png", 0), ("in/white.png", 255)):
        write(name, level)
    assert run("predict", model, "in").output == (
        "in/black.png: dark, 100.00 %\nin/white.png: bright, 100.00 %\n"
    )
    assert run("predict", model, "in/white.png").output == (
        f"in/white.png: bright\n    dark   0.00 %\n  bright 100.00 %  {'#' * 40}\n"
    )


def test_csv_and_json() -> None:
    model = brightness("classification", "dark, black", "bright")
    for name, level in (("in/a,b.png", 0), ("in/white.png", 255)):
        write(name, level)
    Path("in/words.png").write_text("hello", encoding="utf-8")
    result = run("predict", model, "in", "--output", "out.csv")
    assert result.exit_code == 2, "one can't be read"
    assert result.stdout == "out.csv: 2 of 3 pictures\n"
    with open("out.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "class", "dark, black", "bright"]
    assert [row[:2] for row in rows] == [["in/a,b.png", "dark, black"], ["in/white.png", "bright"]]
    assert [round(float(row[3])) for row in rows] == [0, 1]
    assert run("predict", model, "in/white.png", "--format", "csv").output.splitlines()[0] == ",".join(
        ["file", "class", '"dark, black"', "bright"]
    )

    assert run("predict", model, "in/white.png", "--output", "OUT.JSON").exit_code == 0
    rows = json.loads(Path("OUT.JSON").read_text(encoding="utf-8"))
    assert [row["class"] for row in rows] == ["bright"]
    assert rows[0]["outputs"]["bright"] == pytest.approx(1, abs=1e-5)
    assert json.loads(run("predict", model, "in/white.png", "--format", "json").stdout) == rows


def test_several_labels_and_values() -> None:
    for name, level in (("in/black.png", 0), ("in/grey.png", 128), ("in/white.png", 255)):
        write(name, level)
    model = brightness("multilabel", "dark", "bright", last=Sigmoid)
    assert run("predict", model, "in").output == (
        "in/black.png: dark\nin/grey.png: bright\nin/white.png: bright\n"
    )
    assert "labels" in run("predict", model, "in", "--format", "csv").output.splitlines()[0]
    assert json.loads(run("predict", model, "in", "--format", "json").stdout)[0]["labels"] == ["dark"]
    network = Network([Flatten(), Dense(output_size=1)], input_shape=(1, 4, 4), task="regression")
    network.parameters[:] = [2 / 16] * 16 + [0.5]
    network.preprocessing = Preprocessing(kind="bytes", scale=1 / 255, preparation="crop")
    save(network, "level.safetensors")
    assert run("predict", "level.safetensors", "in").output == (
        "in/black.png: 0.5\nin/grey.png: 1.50392\nin/white.png: 2.5\n"
    )
    assert run("predict", "level.safetensors", "in", "--format", "csv").output.startswith(
        "file,0\nin/black.png,0.5\n"
    )
    assert "class" not in run("predict", "level.safetensors", "in", "--format", "json").output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--output", "out.txt"], "the file to write must end in .csv or .json, got out.txt"),
        (["--output", "out.csv", "--format", "json"], "the file to write must end in .json, got out.csv"),
        (["--output", "out.csv", "--format", "text"], "--output writes csv or json, got --format text"),
        (["--output", ""], "--output must be a name, got an empty one"),
        (["--format", "xml"], "'xml' is not one of 'text', 'csv', 'json'"),
    ],
)
def test_what_is_refused(options: list[str], words: str) -> None:
    write("white.png", 255)
    result = run("predict", brightness("classification"), "white.png", *options)
    assert result.exit_code == 2
    assert words in result.output
    assert not list(Path().glob("out*"))


def test_none_of_several_labels() -> None:
    model = brightness("multilabel", "dark", "bright", last=Sigmoid)
    network = load(model)
    network.parameters[-2:] = -100
    save(network, model)
    assert run("predict", model, write("grey.png", 128)).output.startswith(
        "grey.png: no label\n    dark   0.00 %"
    )
    assert (
        run("predict", model, "grey.png", "--format", "csv").output.splitlines()[1].startswith("grey.png,,")
    )
