"""What differs between systems and Pythons, acted out on this one."""

import os
import re
import stat
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.waiting import PATIENCE
from helpers.workers import use
from purecnn import Checkpoint, Dense, Network, ReLU, Softmax, metrics, plots, save
from purecnn.backend import blas, files, memory, processes
from purecnn.backend.cores import processors
from purecnn.backend.files import remove_leftovers, write_whole
from purecnn.backend.memory import LARGE, aligned_zeros
from purecnn.backend.threads import BUFFER, ThreadPool
from purecnn.datasets import Subset
from purecnn.messages.extras import install_command
from purecnn.metrics import class_table
from purecnn.training.prefetcher import Prefetcher
from purecnn.training.rows import Rows

# Files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def windows(monkeypatch):
    """Be on Windows; returns the pauses that are made."""
    pauses = []
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    return pauses


def held(monkeypatch, times):
    """Have a file be held by another program so many times as it is replaced."""
    left, replace = [times], os.replace

    def refuse(source, target):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse)


def test_windows_waits_for_who_holds_the_file(tmp_path, monkeypatch, windows):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    held(monkeypatch, 3)
    write_whole(path, [b"new"])
    assert path.read_bytes() == b"new"
    assert windows == list(files.PAUSES[:3])


def test_windows_gives_up_in_a_second_and_leaves_the_old_file(tmp_path, monkeypatch, windows):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    held(monkeypatch, 100)
    with pytest.raises(PermissionError, match=r"Access is denied: '.*a'"):
        write_whole(path, [b"new"])
    assert sum(windows) < 1
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"old")]


def test_other_systems_wait_for_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WINDOWS", False)
    held(monkeypatch, 1)
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "a", [b"new"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there the file could not be replaced at all")
@pytest.mark.usefixtures("windows")
def test_windows_one_bit_of_a_mode_is_not_copied(tmp_path, monkeypatch):
    # a temporary file that may not be written could not be removed there
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o444)
    seen = []
    replace = os.replace

    def look(source, target):
        seen.append(os.stat(source).st_mode & stat.S_IWUSR)
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", look)
    write_whole(path, [b"new"])
    assert seen == [stat.S_IWUSR]


def test_a_disk_of_macos_is_told_to_empty_its_cache(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(files, "FULL_SYNC", 51)
    monkeypatch.setattr(
        files, "fcntl", SimpleNamespace(fcntl=lambda *given: calls.append(given[1])), raising=False
    )
    write_whole(tmp_path / "a", [b"1"])
    assert calls == [51]

    def unknown(*_):
        raise OSError(45, "Operation not supported")

    synced = []
    monkeypatch.setattr(files, "fcntl", SimpleNamespace(fcntl=unknown), raising=False)
    monkeypatch.setattr(files.os, "fsync", synced.append)
    write_whole(tmp_path / "a", [b"2"])
    assert len(synced) == (1 if files.WINDOWS else 2)  # the file, then the folder
    assert (tmp_path / "a").read_bytes() == b"2"


@pytest.mark.parametrize(
    "name", ["ä" * 120, "x" + "ä" * 120, "例" * 80, "🙂" * 60], ids=["2", "1+2", "3", "4"]
)
def test_a_temporary_name_is_whole_characters(tmp_path, monkeypatch, name):
    # macOS refuses half of one, and Windows can't even say it
    seen, replace = [], os.replace

    def look(source, target):
        seen.append(os.path.basename(source))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", look)
    write_whole(tmp_path / name, [b"1"])
    (temporary,) = seen
    assert len(temporary.encode("utf-8", "strict")) <= 255
    (tmp_path / temporary).write_bytes(b"left by a killed process")
    remove_leftovers(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_the_code_page_lacks_ends_no_command(tmp_path):
    # output that is kept in a file on Windows is written in a code page
    name = tmp_path / "犬.safetensors"
    save(Network([Dense(2, 2), Softmax()]), name)
    command = [sys.executable, "-m", "purecnn", "export", str(name), str(tmp_path / "犬.onnx")]
    known = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, env=known, capture_output=True, encoding="cp1252", check=True)
    assert r"\u72ac.onnx" in done.stdout


# Processes and threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_than_linux_fork_nobody(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    assert not processes.can_fork()


@pytest.mark.parametrize("locked", [True, False])
def test_without_a_global_lock_threads_do_as_well(monkeypatch, locked):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: locked, raising=False)
    assert processes.can_fork() == (locked and os.access("/dev/shm", os.W_OK))


def test_a_browser_has_one_thread_and_no_other_process(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert processors() == (0,)
    assert processes.worker_kind() == processes.WorkerKind.THREADS
    for kind in ("fork", "spawn"):
        use(monkeypatch, kind)
        with pytest.raises(ValueError, match=f"must be .*threads .*; got '{kind}'"):
            processes.worker_kind()


def test_a_browsers_python_installs_by_micropip(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert re.fullmatch(r"await micropip\.install\(\['plotly>=.*'\]\)", install_command("report", "plotly"))


def test_without_a_blas_nothing_need_be_told(monkeypatch):
    monkeypatch.setattr(blas, "ABSENT", True)
    monkeypatch.setattr(blas, "_looked", False)
    monkeypatch.setattr(blas, "_control", None)
    with blas.single_threaded() as told:
        assert told
    assert blas.configuration() == "none"


def small(seed=0):
    """Return a network of this package's layers, and data."""
    rng = np.random.default_rng(seed)
    x = rng.random((300, 6))
    network = Network([Dense(6, 32), ReLU(), Dense(32, 3), Softmax()], seed=seed)
    return network, x, x[:, :3].argmax(axis=1)


def test_without_fork_the_bits_are_the_same(monkeypatch):
    def trained():
        network, x, y = small()
        network.fit(x, y, epochs=2, batch_size=128, threads=2)
        return network.parameters.tobytes()

    wanted = trained()
    monkeypatch.delattr(os, "fork", raising=False)
    use(monkeypatch, "threads")
    assert trained() == wanted


def test_processors_where_no_affinity_is_known(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors() == (0, 1, 2, 3, 4, 5)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == (0,)


def test_memory_where_there_are_no_large_pages(monkeypatch):
    monkeypatch.setattr(memory, "HAS_LARGE", False)
    found = aligned_zeros(LARGE, np.float32)
    assert not found.any()
    assert found.ctypes.data % 64 == 0


def test_no_job_is_taken_twice_where_threads_run_at_once():
    # without a global lock an iterator's next may run in two threads: the lock makes it one after the other
    inside, most, lock = [0], [0], threading.Lock()

    class Slow:
        def __init__(self):
            self.at = -1

        def __next__(self):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            self.at += 1
            found = self.at
            with lock:
                inside[0] -= 1
            return found

    done = []
    with ThreadPool(4, lambda worker, number: done.append(number)) as pool:
        pool.run(4)
        pool._tickets = Slow()
        pool._count = 20
        workers = [threading.Thread(target=pool._work, args=(0,)) for _ in range(4)]
        done.clear()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert sorted(done) == list(range(20))
    assert most == [1]


def test_threads_heed_the_callers_errstate_as_forked_processes_do():
    seen, barrier = [], threading.Barrier(3)

    def look(worker, number):
        barrier.wait(PATIENCE)
        seen.append((np.geterr()["over"], np.getbufsize()))

    before = np.geterr()
    with np.errstate(over="ignore"), ThreadPool(3, look) as pool:
        pool.run(3)
    assert seen == [("ignore", BUFFER)] * 3
    assert np.geterr() == before


def test_the_thread_that_reads_ahead_heeds_the_callers_errstate():
    seen = []

    class Looks(Subset):
        def batch(self, rows):
            seen.append(np.geterr()["over"])
            return super().batch(rows)

    rows = Rows(Looks(np.zeros((4, 2)), range(4), labels=np.zeros(4)))
    seen.clear()
    with np.errstate(over="raise"):
        ahead = Prefetcher(rows, 2, np.zeros)
        ahead.places(np.array([0, 1]), np.array([2, 3]))
        ahead.close()
    assert seen == ["raise"] * 2


# BLAS ------------------------------------------------------------------------------------------------------


class Accelerate(threading.local):
    """Apple's library, as of macOS 15: each thread has a model of its own, 0 of many threads or 1 of one."""

    model, refuses = 0, False

    def BLASGetThreading(self):
        return self.model

    def BLASSetThreading(self, model):
        if self.refuses:
            return -1
        self.model = model
        return 0


@pytest.fixture
def accelerate(monkeypatch):
    library = Accelerate()
    monkeypatch.setattr(blas, "_libraries", lambda: iter([library]))
    monkeypatch.setattr(blas, "_looked", False)
    monkeypatch.setattr(blas, "_control", None)
    return library


def test_accelerate_has_one_thread_in_each_thread_that_works(accelerate):
    seen, barrier = [], threading.Barrier(3)

    def look(worker, number):
        barrier.wait(PATIENCE)  # so that every thread has one
        seen.append(accelerate.model)

    with blas.single_threaded() as told:
        assert told
        with ThreadPool(3, look) as pool:
            pool.run(3)
        assert accelerate.model == 1
    assert seen == [1, 1, 1]
    assert accelerate.model == 0


def test_accelerate_is_given_back_by_each_thread_its_own(accelerate):
    inside, out, found = threading.Event(), threading.Event(), []

    def other():
        with blas.single_threaded():
            found.append(accelerate.model)
            inside.set()
            assert out.wait(PATIENCE)
            found.append(accelerate.model)
        found.append(accelerate.model)

    thread = threading.Thread(target=other)
    with blas.single_threaded():
        thread.start()
        assert inside.wait(PATIENCE)
    assert accelerate.model == 0
    out.set()
    thread.join()
    assert found == [1, 1, 0]


def test_accelerate_of_one_thread_stays_so(accelerate):
    accelerate.model = 1
    with blas.single_threaded():
        pass
    assert accelerate.model == 1


def test_an_accelerate_that_refuses_can_not_be_told(accelerate, monkeypatch):
    monkeypatch.setattr(Accelerate, "refuses", True)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not blas.can_be_told()


def test_mkl_is_told_by_its_own_names(monkeypatch):
    library = SimpleNamespace(count=4)
    library.MKL_Get_Max_Threads = lambda: library.count
    library.MKL_Set_Num_Threads = lambda count: setattr(library, "count", count)
    monkeypatch.setattr(blas, "_libraries", lambda: iter([library]))
    monkeypatch.setattr(blas, "_looked", False)
    monkeypatch.setattr(blas, "_control", None)
    with blas.single_threaded():
        assert library.count == 1
    assert library.count == 4
    assert blas.configuration() == ""


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("numpy.libs", "libscipy_openblas64_-8fb3d286.so"),
        ("numpy.libs", "libscipy_openblas64_-63c857e738469261263c764a36be9436.dll"),
        (os.path.join("numpy", ".dylibs"), "libscipy_openblas64_.dylib"),
    ],
    ids=["linux", "windows", "macos"],
)
def test_the_library_is_found_where_numpys_wheels_have_it(tmp_path, monkeypatch, folder, name):
    (tmp_path / "numpy").mkdir()
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name).write_bytes(b"")
    (tmp_path / folder / "libgfortran.so").write_bytes(b"")
    opened = []
    monkeypatch.setattr(blas.np, "__file__", str(tmp_path / "numpy" / "__init__.py"))
    monkeypatch.setattr(blas.ctypes, "CDLL", lambda path: opened.append(path) or path)
    assert list(blas._libraries()) == opened
    assert opened[1:] == [str(tmp_path / folder / name)]


def test_labels_are_counted_where_indices_have_32_bits(monkeypatch):
    count = np.bincount

    def safe(labels, weights=None, minlength=0):
        assert np.can_cast(labels.dtype, np.intp, "safe"), f"Cannot cast array data from {labels.dtype}"
        return count(labels, weights, minlength)

    monkeypatch.setattr(np, "intp", np.int32)  # as a 32-bit build has it
    monkeypatch.setattr(np, "bincount", safe)
    y = np.tile(np.arange(3, dtype=np.int64), 10)
    x = np.eye(3)[y]
    network = Network([Dense(3, 3), Softmax()])
    network.fit(
        x, y, epochs=2, class_weight="balanced", validation_split=0.2, metrics=["f1", "confusion_matrix"]
    )
    assert network.evaluate(x, y, metrics=["calibration_error"])["loss"] > 0
    assert metrics.confusion_matrix(y, y).tolist() == (10 * np.eye(3)).tolist()
    assert class_table(y, y).support.tolist() == [10, 10, 10]
    assert plots.calibration(y, network.predict(x)).data


def test_a_checkpoint_fits_on_where_indices_have_32_bits(monkeypatch, tmp_path):
    x, y = np.eye(3)[[0, 1, 2]], np.array([0, 1, 2], np.int64)
    Network([Dense(3, 3), Softmax()]).fit(x, y, callbacks=[Checkpoint(tmp_path / "run")])
    monkeypatch.setattr(np, "intp", np.int32)
    assert len(Network([Dense(3, 3), Softmax()]).fit(x, y, epochs=2, resume=tmp_path / "run").loss) == 2
