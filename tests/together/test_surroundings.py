"""Poor surroundings: no thread, no home, a full or closed output; and what is saved can be loaded."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from helpers.waiting import PATIENCE
from helpers.workers import use
from purecnn import (
    Adam,
    Callback,
    Checkpoint,
    Dense,
    Flatten,
    Network,
    ReLU,
    Reshape,
    Softmax,
    datasets,
    load,
    save,
)
from purecnn.backend.threads import ThreadPool
from purecnn.callbacks.resume import SavedRun
from purecnn.datasets import Subset
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.layers import serialization
from purecnn.networks import files
from purecnn.runs import record as record_module
from purecnn.runs.record import read_record, write_record
from purecnn.training import prefetcher
from purecnn.training.prefetcher import Prefetcher
from purecnn.training.rows import Rows


def network(seed=0):
    return Network([Dense(4, 8), ReLU(), Dense(8, 3), Softmax()], seed=seed)


def data(samples=192):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 4)), rng.integers(0, 3, samples)


# No thread -------------------------------------------------------------------------------------------------


def let_start(monkeypatch, count):
    """Let so many threads start, and no more."""
    left, start = [count], threading.Thread.start

    def limited(thread):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.mark.parametrize("count", [0, 1])
def test_a_team_does_with_the_threads_that_start(monkeypatch, count):
    let_start(monkeypatch, count)
    done, threads = [], set()

    def job(worker, number):
        done.append(number)
        threads.add(worker)

    with ThreadPool(4, job) as pool:
        for _ in range(3):
            pool.run(9)
    assert sorted(done) == sorted([*range(9)] * 3)
    assert threads <= {*range(count + 1)}


def test_a_thread_that_fails_otherwise_is_no_limit(monkeypatch):
    def fail(thread):
        raise RuntimeError("something else")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="something else"):
        ThreadPool(2, lambda worker, number: None)


def test_training_and_answers_without_a_thread_or_a_process_have_the_same_bits(monkeypatch):
    x, y = data()
    wanted = network()
    wanted.fit(x, y, epochs=2, batch_size=64, threads=2)
    answers = wanted.predict(np.repeat(x, 3, axis=0), threads=2)
    let_start(monkeypatch, 0)
    use(monkeypatch, "threads")
    made = network()
    made.fit(x, y, epochs=2, batch_size=64, threads=2)
    np.testing.assert_array_equal(made.parameters, wanted.parameters)
    np.testing.assert_array_equal(made.predict(np.repeat(x, 3, axis=0), threads=2), answers)


def test_data_are_read_without_a_thread(monkeypatch):
    values = np.arange(10)[:, None] * 11

    def refuse(self, *given):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(prefetcher.ThreadPoolExecutor, "submit", refuse)
    ahead = Prefetcher(Rows(Subset(values, range(10), labels=np.zeros(10))), 2, np.zeros)
    for taken, following in (((7, 3), (9, 1)), ((9, 1), (0, 2)), ((0, 2), ())):
        found = ahead.buffer[ahead.places(np.array(taken), np.array(following))]
        assert found.ravel().tolist() == [11 * number for number in taken]
    ahead.close()


# No home, no output ----------------------------------------------------------------------------------------


def test_without_a_home_the_cache_is_one_sentence(monkeypatch):
    for name in ("HOME", "PURECNN_DATA", "XDG_CACHE_HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)

    def homeless(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(FileNotFoundError, match=r"this user has no home; name a folder, or set PURECNN_DATA"):
        datasets.load("fashion-mnist")
    assert len(datasets.load("mnist").train[0])


def command(*words, **how):
    return subprocess.run(
        [sys.executable, "-m", "purecnn", *words],
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
        **how,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_onto_a_full_disk_is_one_sentence(words):
    pytest.importorskip("click")
    with open("/dev/full", "w", encoding="utf-8") as full:
        found = command(*words, stdout=full)
    assert (found.returncode, found.stderr) == (2, "Error: No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the output")
def test_the_playground_with_its_output_closed_tells_its_address():
    pytest.importorskip("uvicorn")
    pytest.importorskip("click")
    words = [sys.executable, "-m", "purecnn", "playground", "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words],
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        try:
            assert process.stderr.readline().startswith("http://127.0.0.1:")
            first = [os.readlink(f"/proc/{process.pid}/fd/1")] if sys.platform == "linux" else []
            assert first in ([], ["/dev/null"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


# What is saved can be loaded, what no one saves is refused -------------------------------------------------


def changed(source, target, **texts):
    """Write a model's file with other texts."""
    arrays, found = read_safetensors(source)
    write_safetensors(target, arrays, {**found, **texts})


@pytest.mark.parametrize("name", ["epochs", "updates"])
def test_counts_that_no_training_has_are_refused(tmp_path, name):
    good, bad = tmp_path / "good", tmp_path / "bad"
    made = network()
    save(made, good)
    for count in (2**62, 2**63 - 1, 2**63, 10**30, -1):
        changed(good, bad, **{name: str(count)})
        with pytest.raises(FileFormatError, match=f"its {name} are {count}, wanted from 0 to below"):
            load(bad)
        setattr(made, name, count)
        with pytest.raises(ValueError, match=f"can't be saved: its {name} are {count}"):
            save(made, tmp_path / "never")
        setattr(made, name, 0)
    changed(good, bad, **{name: str(2**62 - 1)})
    x, y = data()
    load(bad).fit(x, y, batch_size=64, threads=2)


@pytest.mark.parametrize("place", [("epochs",), ("optimizer", "steps")])
def test_counts_of_a_checkpoint_that_no_training_has_are_refused(tmp_path, place):
    x, y = data()
    kept = tmp_path / "kept"
    network().fit(x, y, optimizer=Adam(0.01), callbacks=[Checkpoint(kept)])
    SavedRun(kept)
    arrays, texts = read_safetensors(kept)
    state = json.loads(texts[serialization.CHECKPOINT])
    inner = state
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = 2**63
    texts.pop("file_sha256")
    write_safetensors(kept, arrays, {**texts, serialization.CHECKPOINT: json.dumps(state)}, sealed=True)
    with pytest.raises(FileFormatError, match=f"{2**63}, wanted from 0 to below"):
        SavedRun(kept)


def test_a_record_of_many_epochs_is_read_again(tmp_path):
    numbers = np.random.default_rng(0).random(40_000).tolist()
    record = {
        "version": record_module.VERSION,
        "arguments": {},
        "machines": [],
        "workers": [],
        "data": {},
        "commit": None,
        "result": {"loss": numbers, "seconds": numbers},
    }
    write_record(tmp_path, record)
    assert (tmp_path / record_module.RECORD).stat().st_size > 1_500_000
    assert read_record(tmp_path) == record


def test_a_shape_that_no_file_holds_is_refused_as_it_is_saved(tmp_path):
    made = Network([Reshape((4,), (1,) * 40 + (4,)), Flatten(), Dense(output_size=2)], input_shape=(4,))
    with pytest.raises(ValueError, match=r"can't be saved: the output of Reshape.*wanted 1 to 32 axes"):
        save(made, tmp_path / "model")


def test_an_empty_array_of_bytes_with_a_long_axis_is_read_again(tmp_path):
    empty = np.zeros((0, 2**61), np.uint8)
    write_safetensors(tmp_path / "a", {"empty": empty})
    assert read_safetensors(tmp_path / "a")[0]["empty"].shape == empty.shape


def test_an_interrupted_run_of_a_network_above_the_usual_bound_is_not_written_over(tmp_path, monkeypatch):
    runs = pytest.importorskip("purecnn.runs.folder")
    x, y = data()

    class Stop(Callback):
        def step(self, epoch, step, loss):
            self.fit.stop("enough")

    network().fit(x, y, callbacks=[Stop(), Checkpoint(tmp_path / runs.CHECKPOINT, every=1)])
    monkeypatch.setitem(files.load.__wrapped__.__kwdefaults__, "max_bytes", 1)
    with pytest.raises(FileFormatError, match="max_bytes"):
        load(tmp_path / runs.CHECKPOINT)
    with pytest.raises(ValueError, match="holds a run that was interrupted after 1 steps"):
        runs.check_interrupted(tmp_path)
