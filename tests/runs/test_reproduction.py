"""A run's record is enough to do the run again; what differs is said, and how much of it is allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers.command_line import write_data
from purecnn import reproduce
from purecnn.backend import digests as digests_module
from purecnn.backend import environment
from purecnn.backend.arrays import CPU
from purecnn.cli.app import purecnn
from purecnn.datasets import mnist
from purecnn.errors import FileFormatError
from purecnn.runs import Reproduction, Run
from purecnn.runs.record import MAX_RECORD, digests, read_record
from purecnn.runs.workers import workers_of


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run."""
    place = tmp_path_factory.mktemp("runs")
    data = write_data(place / "data")
    options = ("--network", "dense", "--epochs", 2, "--batch-size", 32, "--seed", 7)
    assert run("train", "--data", data, *options, "--output", place / "run").exit_code == 0
    return place / "run"


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Any:
    """Copies of that folder whose record is another."""

    def copy(change: Any) -> Path:
        record = read_record(folder)
        change(record)
        (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
        return tmp_path

    return copy


def test_the_record_holds_what_it_takes_to_repeat_the_run(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    data = folder.parent / "data"
    assert record["arguments"] == {
        "name": "dense",
        "recipe": {
            "network": "dense",
            "epochs": 2,
            "batch_size": 32,
            "learning_rate": 0.01,
            "beta1": 0.9,
            "beta2": 0.999,
            "weight_decay": 0.0,
            "smoothing": 0.0,
            "augmentation": None,
            "data": "mnist",
            "optimizer": "adam",
            "validation": None,
            "patience": None,
            "class_weight": None,
            "accumulate": 1,
            "average": 0.0,
        },
        "seed": 7,
        "data": str(data),
        "image_size": None,
        "skip_damaged": False,
        "task": None,
        "shards": 2,
        "extended": [],
    }
    assert record["machines"] == [environment.machine()]
    (workers,) = record["workers"]
    assert workers == workers_of(32, None, CPU, None)._asdict()
    assert record["commit"] == environment.commit()
    assert record["data"] == digests(mnist.load_data(str(data)))
    result = record["result"]
    assert (result["epochs"], len(result["loss"]), len(result["seconds"])) == (2, 2, 2)
    assert 0 <= result["test_accuracy"] <= 1
    from purecnn import load

    assert result["parameters"] == digests_module.digest(load(folder / "model.safetensors").parameters)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_run_is_reproduced_to_the_bit(folder: Path, threads: int) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = run("reproduce", folder, "--threads", threads)
    assert result.exit_code == 0
    assert result.output.endswith("reproduced: the same bits\n")
    assert "epoch 2/2: loss " in result.output
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_bits_on_the_same_machine_are_a_failure(changed: Any) -> None:
    place = changed(lambda record: record["result"].update(parameters="0" * 64))
    result = run("reproduce", place)
    assert result.exit_code == 1
    assert "were 0000000000000000... (SHA-256)" in result.output
    assert (
        "not reproduced: other bits, though processor features, NumPy and BLAS are the same" in result.output
    )
    place = changed(lambda record: record["result"]["loss"].reverse())
    assert run("reproduce", place).exit_code == 1


def elsewhere(record: dict[str, Any]) -> None:
    """Let the run have been done on another machine."""
    record["machines"][0].update(numpy="1.26.4", features=["MMX"], python="3.11.0")
    record["commit"] = "0" * 40
    record["result"]["parameters"] = "0" * 64


def test_other_bits_on_another_machine_are_measured_by_accuracy_and_loss(changed: Any) -> None:
    result = run("reproduce", changed(elsewhere))
    assert result.exit_code == 0
    for words in (
        f"numpy is {np.__version__}, was 1.26.4\n",
        ", was MMX\n",
        f"commit is {environment.commit()}, was {'0' * 40}\n",
        "\nreproduced: other bits; wanted: accuracy within 0.5 points or 2 images, loss of the last epoch ",
    ):
        assert words in result.output


@pytest.mark.parametrize(
    ("accuracy", "loss", "succeeds"),
    [
        (0.0, 1.0, True),
        (2.0, 1.0, True),
        (3.0, 1.0, False),
        (0.0, 1.1, True),
        (0.0, 1.13, False),
        (0.0, 0.8, False),
    ],
)
def test_the_tolerance(changed: Any, accuracy: float, loss: float, succeeds: bool) -> None:
    """30 images to test on: 2 of them are more than half a percentage point."""

    def change(record: dict[str, Any]) -> None:
        elsewhere(record)
        result = record["result"]
        result["test_accuracy"] += (-1 if result["test_accuracy"] > 0.5 else 1) * accuracy / 30
        result["loss"][-1] *= loss

    found = reproduce(changed(change))
    assert (found.succeeded, found.exact, found.demanded) == (succeeds, False, False)
    assert ("not reproduced" in str(found)) is not succeeds


def test_what_is_demanded_and_what_is_not() -> None:
    result = {"test_accuracy": 0.5, "loss": [1.0], "parameters": "0" * 64}
    for exact, demanded, within, succeeds in (
        (True, True, True, True),
        (True, False, False, True),
        (False, True, True, False),
        (False, False, True, True),
        (False, False, False, False),
    ):
        assert Reproduction(exact, demanded, within, [], result, result).succeeded is succeeds


def test_other_data_are_refused_before_the_training(folder: Path, tmp_path: Path) -> None:
    result = run("reproduce", folder, "--data", write_data(tmp_path / "data"))
    assert result.exit_code == 2
    assert "the data to train are not those of the run, whose SHA-256 is " in result.output


def test_data_that_moved_are_found_where_one_says(folder: Path, changed: Any) -> None:
    place = changed(lambda record: record["arguments"].update(data="/nowhere"))
    assert run("reproduce", place).exit_code == 2
    result = run("reproduce", place, "--data", folder.parent / "data")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "reproduced: the same bits")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.update(version=2), "its version is 2, wanted 1"),
        (lambda record: record.pop("machines"), "no record of a run: its machines is missing or damaged"),
        (lambda record: record.update(arguments=[]), "its arguments is missing or damaged"),
        (lambda record: record["arguments"].pop("recipe"), "its arguments make no run: 'recipe'"),
        (lambda record: record["arguments"]["recipe"].update(more=1), "make no run: .*'more'"),
        (
            lambda record: record["arguments"]["recipe"].update(network="vgg"),
            "network 'vgg', wanted one of lenet",
        ),
        (lambda record: record.update(machines=["mine"]), "its machine 0 is 'mine', wanted an object"),
        *(
            (lambda record, given=given: record.update(workers=given), "wanted a number and a reason")
            for given in (3, [2], [{"number": 2}], [{"number": "2", "reason": "two"}])
        ),
        (lambda record: record["data"].update(test=3), "its data 'test' are 3, wanted a SHA-256"),
        (lambda record: record.update(commit=3), "its commit is 3, wanted a text"),
        (lambda record: record.update(version=10**300), "its version is 1000"),
        (lambda record: record["arguments"].update(seed=-1), "make no run: seed must be from 0"),
        (lambda record: record["arguments"].update(seed=None), "make no run: seed must be an integer, got N"),
        (lambda record: record["arguments"].update(data=3), "make no run: data must be a string, got 3"),
        (lambda record: record["arguments"].update(image_size=0), "make no run: image_size must be"),
        (lambda record: record["arguments"].update(skip_damaged=1), "make no run: skip_damaged must be True"),
        (lambda record: record["arguments"]["recipe"].update(epochs=0), "make no run: epochs must be"),
        (lambda record: record["arguments"]["recipe"].update(batch_size="8"), "make no run: batch_size must"),
        (lambda record: record["arguments"]["recipe"].update(network=["a"]), "make no run: network must be"),
        (lambda record: record["arguments"]["recipe"].update(augmentation=3), "make no run: augmentation mu"),
        (lambda record: record["arguments"]["recipe"].update(learning_rate=-1), "make no run: learning_rate"),
        (lambda record: record["arguments"]["recipe"].update(smoothing=2), "make no run: "),
        (
            lambda record: record["arguments"].update(a="x" * 9999, **{"b" * 9999: 1}),
            r"make no run: .{,500}$",
        ),
        (lambda record: record.update(result=[]), "its result is damaged"),
        (lambda record: record["result"].update(loss=[]), "its result has no losses"),
        (lambda record: record["result"].update(loss=["x"]), "its result has no losses"),
        (lambda record: record["result"].update(parameters=3), "its result is damaged"),
    ],
)
def test_damaged_records_are_refused(changed: Any, change: Any, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        reproduce(changed(change))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "run.json: no JSON: "),
        (b"[" * 100_000, "run.json: no JSON: "),
        (b"\xff", "run.json: no JSON: "),
        (b"[]", "no record of a run: its version is missing"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(FileFormatError, match=words):
        Run.recorded(tmp_path)


def test_a_huge_record_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "run.json", "wb") as file:
        file.truncate(MAX_RECORD + 1)
    with pytest.raises(FileFormatError, match=r"256000001 bytes, wanted a run.s record of at most 256000000"):
        read_record(tmp_path)


def test_a_machine_that_took_over_is_recorded_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Run.recorded(folder)
    sets = asked.read()
    with pytest.raises(ZeroDivisionError):
        asked.train(tmp_path, asked.build(sets), sets, callbacks=[lambda fit: 1 / 0])  # type: ignore[list-item]
    there = {**environment.machine(), "processor": "another"}
    monkeypatch.setattr("purecnn.backend.environment.machine", lambda *_: there)
    asked.train(tmp_path, asked.build(sets), sets, resume=True)
    machines = read_record(tmp_path)["machines"]
    assert [machine["processor"] == "another" for machine in machines] == [False, True]


# --- provenance ---------------------------------------------------------------------------------------------


def test_the_digest_is_of_values_and_not_of_their_layout() -> None:
    array = np.arange(6.0).reshape(2, 3)
    same = (np.asfortranarray(array), array[::-1][::-1], array.astype(">f8"))
    assert {digests_module.digest(one) for one in same} == {digests_module.digest(array)}
    others = (array.astype("f4"), array.T, array + 1, array.reshape(3, 2), array.ravel())
    assert len({digests_module.digest(one) for one in (array, *others)}) == 6
    assert digests_module.digest(array, array) != digests_module.digest(array)
    assert len(digests_module.digest(np.zeros(()))) == 64


def test_the_machine_says_what_decides_bits() -> None:
    """Other processors, as OpenBLAS and NumPy let themselves be told."""
    program = "from purecnn.backend.environment import machine; import json; print(json.dumps(machine()))"
    here = environment.machine()
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"},
    )
    there = json.loads(found.stdout)
    if "OpenBLAS" in here["blas"] and "x86_64" in here["features"] and "X86_V3" in here["features"]:
        assert "Haswell" in there["blas"]
    assert {**there, "blas": here["blas"]} == here
    assert environment.decides_bits(here, here) == []
    assert environment.decides_bits(here, {**here, "cores": 99, "python": "3"}) == []
    assert environment.decides_bits(here, {**here, "numpy": "3"}) == [f"numpy is 3, was {np.__version__}"]


def test_another_blas_is_named_as_numpy_was_built_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purecnn.backend.blas._libraries", lambda: iter(()))
    monkeypatch.setattr(
        "purecnn.backend.environment.Path.read_text", lambda *_, **__: (_ for _ in ()).throw(OSError())
    )
    config = {"Build Dependencies": {"blas": {"name": "mkl", "version": "2025"}}}
    monkeypatch.setattr(np, "show_config", lambda mode: config)
    found = environment.machine()
    assert found["blas"] == "mkl 2025"
    assert len(found["features"]) == 1
    assert found["processor"]


def test_the_commit_is_that_of_the_packages_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        options = ["-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *options, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    monkeypatch.setattr("purecnn.backend.environment.__file__", str(tmp_path / "provenance.py"))
    assert environment.commit() is None
    git("init")
    (tmp_path / "other").write_text("", encoding="utf-8")
    (tmp_path / "__init__.py").write_text("", encoding="utf-8")
    git("add", "other")
    git("commit", "-m", "a")
    assert environment.commit() is None  # somebody else's checkout
    git("add", ".")
    git("commit", "-m", "b")
    head = git("rev-parse", "HEAD")
    assert environment.commit() == head
    (tmp_path / "other").write_text("changed", encoding="utf-8")
    assert environment.commit() == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert environment.commit() is None
