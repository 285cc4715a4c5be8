"""Logs: a line an epoch, read back to the bit, no line twice and none torn however a run ended."""

import csv
import errno
import io
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from purecnn import Callback, CSVLog, Dense, JSONLog, Network, Softmax, TensorBoard
from purecnn.backend import files
from purecnn.errors import FileFormatError, LogWarning, MissingExtraError


def samples(count=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 3)).astype(np.float32), rng.integers(0, 2, count)


def network():
    return Network([Dense(3, 2), Softmax()])


def fit(net, log, epochs=2, **options):
    """Train, log, and return the history."""
    x, y = samples()
    return net.fit(x, y, epochs=epochs, callbacks=[log], **options)


def read(log):
    """Return the lines of a log as dicts of what they say."""
    text = Path(log.path).read_text(encoding="utf-8")
    assert text.endswith("\n")
    if isinstance(log, JSONLog):
        return [json.loads(line) for line in text.splitlines()]
    return [{k: json.loads(v) for k, v in line.items()} for line in csv.DictReader(text.splitlines())]


LOGS = [pytest.param(CSVLog, id="csv"), pytest.param(JSONLog, id="json")]


@pytest.mark.parametrize("kind", LOGS)
def test_a_log_holds_the_history_to_the_bit(kind, tmp_path):
    log = kind(tmp_path / "log")
    history = fit(
        network(), log, validation_data=samples(), metrics=["accuracy", "f1_weighted", "confusion_matrix"]
    )
    found = read(log)
    assert [line.pop("epoch") for line in found] == [1, 2]
    assert [line.pop("images_per_second") for line in found] == history.images_per_second
    assert found == [{k: v[i] for k, v in history.lists().items()} for i in range(2)]
    assert list(found[0]) == [
        "loss",
        "validation_loss",
        "validation_accuracy",
        "seconds",
        "accuracy",
        "f1_weighted",
        "confusion_matrix",
        "validation_f1_weighted",
        "validation_confusion_matrix",
    ]
    assert np.shape(found[1]["confusion_matrix"]) == (2, 2)


@pytest.mark.parametrize("kind", LOGS)
def test_a_second_fit_goes_on_and_a_new_network_begins_anew(kind, tmp_path):
    log, net = kind(tmp_path / "log"), network()
    fit(net, log)
    fit(net, kind(log.path))
    assert [line["epoch"] for line in read(log)] == [1, 2, 3, 4]
    if kind is CSVLog:
        assert Path(log.path).read_text(encoding="utf-8").count("epoch") == 1
    fit(network(), log, epochs=1, metrics=["f1"])
    assert [(line["epoch"], "f1" in line) for line in read(log)] == [(1, True)]


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("torn", [0, 1, 9, -1])
def test_what_a_killed_run_wrote_too_much_is_taken_off(kind, torn, tmp_path):
    log, net = kind(tmp_path / "log"), network()
    fit(net, log)
    before = Path(log.path).read_bytes()
    fit(net, log)
    after = Path(log.path).read_bytes()
    # The checkpoint is of epoch 2; line 3 is whole, line 4 torn, or line 3 itself is.
    for content in (after[:torn] if torn < 0 else after, before + after[len(before) :][:torn]):
        Path(log.path).write_bytes(content)
        net.epochs = 2
        fit(net, kind(log.path), epochs=1)
        assert [line["epoch"] for line in read(log)] == [1, 2, 3]
        assert Path(log.path).read_bytes().startswith(before)


@pytest.mark.parametrize("kind", LOGS)
def test_even_a_torn_first_line_is_a_log(kind, tmp_path):
    log = kind(tmp_path / "log")
    fit(network(), log, epochs=1)
    whole = Path(log.path).read_bytes()
    for size in (0, 3, 10, whole.index(b"\n") + 1):
        Path(log.path).write_bytes(whole[:size])
        fit(network(), log, epochs=1)
        assert [line["epoch"] for line in read(log)] == [1]


@pytest.mark.parametrize("kind", LOGS)
def test_a_line_is_in_the_file_as_soon_as_the_epoch_is_done(kind, tmp_path):
    log, seen = kind(tmp_path / "log"), []

    class Look(Callback):
        def epoch(self, epoch, history):
            seen.append(len(read(log)))

    x, y = samples()
    network().fit(x, y, epochs=3, callbacks=[log, Look()])
    assert seen == [1, 2, 3]


FOREIGN = [b"hello", b"hello\nworld\n", b'{"a": 1}\n', b"epoch", b"x" * 10_000]
FOREIGN += [b'{"epoch": Infinity}\n', b'{"epoch": ' + b"[" * 100_000 + b"\n"]


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("kind", LOGS)
def test_another_file_is_refused_and_left_alone(kind, content, tmp_path):
    path = tmp_path / "thesis"
    path.write_bytes(content)
    if kind is CSVLog and content == b"epoch":
        return  # may be a header torn in two
    net = network()
    with pytest.raises(FileFormatError, match=rf"thesis: line 1 is none that a {kind.__name__} writes"):
        fit(net, kind(path))
    assert path.read_bytes() == content
    assert net.updates == 0


@pytest.mark.parametrize("kind", LOGS)
def test_a_damaged_line_in_the_middle_is_named(kind, tmp_path):
    log, net = kind(tmp_path / "log"), network()
    fit(net, log)
    lines = Path(log.path).read_bytes().splitlines(keepends=True)
    Path(log.path).write_bytes(b"".join([lines[0], b"?\n", *lines[1:]]))
    with pytest.raises(FileFormatError, match="line 2 is none"):
        fit(net, log)


def test_other_columns_are_refused(tmp_path):
    log, net = CSVLog(tmp_path / "log.csv"), network()
    fit(net, log)
    before = Path(log.path).read_text(encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"has the columns 'epoch,loss,.*this run has 'epoch,loss,seconds,f1"
    ):
        fit(net, log, metrics=["f1"])
    assert Path(log.path).read_text(encoding="utf-8") == before


def test_json_has_no_nan(tmp_path):
    log = JSONLog(tmp_path / "log.jsonl")
    fit(
        network(), log, metrics={"own": lambda y, p: float("nan"), "more": lambda y, p: np.array([1, np.inf])}
    )
    assert [(line["own"], line["more"]) for line in read(log)] == [(None, [1.0, None])] * 2


@pytest.mark.parametrize("kind", [*LOGS, pytest.param(TensorBoard, id="tensorboard")])
def test_a_wrong_path_is_refused_before_training(kind, tmp_path):
    with pytest.raises(TypeError, match=r"must be the name of a f.*, got 3"):
        kind(3)
    if kind is not TensorBoard:
        net = network()
        with pytest.raises(FileNotFoundError):
            fit(net, kind(tmp_path / "missing" / "log"))
        assert net.updates == 0


class Full(Callback):
    """Have the disk be full after some epochs of a fit: a write puts half of the bytes there, then fails."""

    def __init__(self, monkeypatch, *epochs):
        self.monkeypatch, self.epochs = monkeypatch, epochs

    def step(self, epoch, step, loss):
        self.monkeypatch.undo()
        if epoch in self.epochs:
            self.monkeypatch.setattr(files, "open", torn, raising=False)


def torn(path, mode, buffering=-1):
    """Open a file on a disk that gets full."""

    class File(io.FileIO):
        def write(self, data):
            if len(data) < 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[: len(data) // 2])

    return File(path, mode)


@pytest.mark.parametrize("kind", [*LOGS, pytest.param(TensorBoard, id="tensorboard")])
def test_a_full_disk_costs_a_log_no_line_and_a_training_nothing(monkeypatch, tmp_path, kind):
    if kind is TensorBoard:
        pytest.importorskip("tensorboardX")
    log, net = kind(tmp_path / "log"), network()
    x, y = samples()
    with pytest.warns(LogWarning, match=r"No space left on device: '.*log.*it lacks epoch") as told:
        net.fit(x, y, epochs=4, callbacks=[Full(monkeypatch, 2, 3), log])
    words = [str(one.message).partition("lacks ")[2].partition(",")[0] for one in told]
    assert words == ["epoch 2", "epochs 2 to 3"]
    if kind is TensorBoard:
        steps = {step for step, tag, _ in events(tmp_path / "log") if tag == "loss"}
        assert steps == {1, 2, 3, 4}
    else:
        assert [line["epoch"] for line in read(log)] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", LOGS)
def test_a_disk_full_until_the_end_leaves_whole_lines(monkeypatch, tmp_path, kind):
    log = kind(tmp_path / "log")
    x, y = samples()
    with pytest.warns(LogWarning, match="it lacks epoch") as told:
        network().fit(x, y, epochs=3, callbacks=[Full(monkeypatch, 2, 3), log])
    monkeypatch.undo()
    assert len(told) == 3  # after both epochs, and at the end
    assert [line["epoch"] for line in read(log)] == [1]


# TensorBoard -----------------------------------------------------------------------------------------------


def events(folder):
    """Return the events of a folder's files, as (step, name, value), a purge as (step, None, None)."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted(folder.iterdir()):
        content, start = path.read_bytes(), 0
        while start < len(content):  # a TFRecord: length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", content, start)
            event = event_pb2.Event.FromString(content[start + 12 : start + 12 + length])
            start += 12 + length + 4
            if event.HasField("session_log"):
                found.append((event.step, None, None))
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return found


def test_tensorboard_gets_every_number(tmp_path):
    pytest.importorskip("tensorboardX")
    net, folder = network(), tmp_path / "run"
    history = fit(
        net, TensorBoard(folder), validation_data=samples(), metrics=["f1", "confusion_matrix"], threads=2
    )
    wanted = {"images_per_second": history.images_per_second} | {
        name: values for name, values in history.lists().items() if "confusion" not in name
    }
    found = events(folder)
    assert found[0] == (1, None, None)
    for name, values in wanted.items():
        told = [(step, value) for step, tag, value in found if tag == name]
        assert told == [(1, np.float32(values[0])), (2, np.float32(values[1]))]
    assert {tag for _, tag, _ in found} == {None, *wanted}
    fit(net, TensorBoard(folder), epochs=1)
    assert len(list(folder.iterdir())) == 2
    assert (3, None, None) in events(folder)


def test_tensorboard_missing_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r'needs tensorboardX: .*pip install "tensorboard[xX]>='):
        TensorBoard(tmp_path)
