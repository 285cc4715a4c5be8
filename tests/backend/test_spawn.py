"""Worker processes that are started afresh: the bits of threads, on every system, and nothing left behind."""

import errno
import io
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import spawned_jobs
from helpers.waiting import PATIENCE
from helpers.workers import HAS_PROC, use
from purecnn import (
    SGD,
    Adam,
    Augmentation,
    BatchNormalization,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    losses,
)
from purecnn.backend import blas, processes
from purecnn.backend.processes import VARIABLE, WorkerKind, asked_kind, has_lock, worker_kind
from purecnn.backend.spawn import arena, pool, process, service
from purecnn.backend.spawn.arena import PIECE, Arena, MappedArena, Span
from purecnn.backend.spawn.pool import SpawnPool
from purecnn.errors import WorkerError
from purecnn.losses import label_smoothing
from purecnn.training import fit as fit_module
from purecnn.training import host
from purecnn.training.spawn import startup
from purecnn.training.spawn.description import describe_loss, mapped_file

only_processes = pytest.mark.skipif(not has_lock(), reason="threads do as well without a global lock")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has named memory")
linux = pytest.mark.skipif(not HAS_PROC, reason="/proc says whose child a process is")


@pytest.fixture
def crews(monkeypatch):
    """Return the pools that fits make from now on."""
    made = []

    class Noted(SpawnPool):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append((self, list(self._children)))

    monkeypatch.setattr(startup, "SpawnPool", Noted)
    return made


def all_gone(crews):
    """Return whether no process of these pools is left."""
    return not any(child.runs() for _, children in crews for child in children)


def network(dtype=np.float32, seed=3):
    """Return a network with one layer of each kind that has to do with the whole batch or with chance."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=4),
            BatchNormalization(),
            ReLU(),
            Residual([Convolutional(kernel_size=3, depth=4, padding=1), Dropout(0.1)]),
            MaxPooling(2),
            Flatten(),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
        dtype=dtype,
    )


def data(samples=150):
    """Return images of bytes and labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (samples, 1, 10, 10)).astype(np.uint8), rng.integers(0, 4, samples)


def trained(x=None, y=None, made=None, **options):
    """Return the bits of a network after a fit."""
    images, labels = data()
    made = made or network()
    given = {"epochs": 2, "batch_size": 64, "threads": 2, "optimizer": Adam(0.01), **options}
    history = made.fit(images if x is None else x, labels if y is None else y, **given)
    held = [buffer for layer in made for buffer in layer.buffers.values()]
    return made.parameters.tobytes(), [array.tobytes() for array in held], history.loss


# Bits ------------------------------------------------------------------------------------------------------

TABLE = {
    "plain": {},
    "float64": {"made": lambda: network(np.float64)},
    "augmented": {"augmentation": Augmentation(shift=1, rotate=10, flip=True)},
    "smoothed": {"loss": label_smoothing("categorical_cross_entropy", 0.1)},
    "clipped": {"optimizer": lambda: Adam(0.01, clip_norm=0.1, weight_decay=0.1, decay_biases=False)},
    "plain descent": {"optimizer": lambda: SGD(0.05)},
    "penalties": {"l1": 1e-4, "l2": 1e-3},
    "weights": {"sample_weight": np.linspace(0, 1, 150)},
    "class weights": {"class_weight": "balanced"},
    "validation": {"validation_split": 0.2},
    "short last batch": {"batch_size": 100},
    "one shard more than workers": {"shards": 3},
}


@only_processes
@pytest.mark.parametrize("name", TABLE)
def test_the_bits_of_threads(monkeypatch, crews, name):
    found = []
    for kind in ("threads", "spawn"):
        use(monkeypatch, kind)
        options = {key: value() if callable(value) else value for key, value in TABLE[name].items()}
        found.append(trained(**options))
    assert found[0] == found[1]
    assert len(crews) == 1
    assert all_gone(crews)


@only_processes
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_file_is_mapped_again_and_not_copied(monkeypatch, crews, tmp_path, mode):
    x, _ = data()
    np.save(tmp_path / "x.npy", np.concatenate([x[:7], x]))
    samples = np.load(tmp_path / "x.npy", mmap_mode=mode)[7:]
    told = mapped_file(samples.reshape(len(samples), -1))
    assert (told is not None) == (mode != "c")  # what is written into a copy on write, no other process sees
    use(monkeypatch, "threads")
    wanted = trained()
    use(monkeypatch, "spawn")
    assert trained(samples) == wanted
    assert len(crews) == 1
    del samples


@posix
def test_a_file_whose_name_another_one_has_by_now_is_copied(tmp_path):
    x, _ = data()
    np.save(tmp_path / "x.npy", x)
    samples = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert mapped_file(samples) is not None
    os.unlink(tmp_path / "x.npy")
    assert mapped_file(samples) is None
    np.save(tmp_path / "x.npy", x + 1)
    assert mapped_file(samples) is None


def test_a_loss_that_looks_like_one_of_this_package_is_not_taken_for_it():
    assert describe_loss(losses.LOSSES["mse"]) == ("mse", 0.0)
    twice = label_smoothing(label_smoothing("softmax_cross_entropy", 0.1), 0.2)
    with pytest.raises(TypeError, match="wanted a loss of this package, got Loss"):
        describe_loss(twice)


@only_processes
def test_numpys_errors_are_raised_as_the_caller_wants_it(monkeypatch, crews):
    use(monkeypatch, "spawn")
    with np.errstate(all="raise", under="ignore"):
        trained()
        assert len(crews) == 1
        with pytest.raises(FloatingPointError):
            trained(optimizer=SGD(1e30))
    assert all_gone(crews)
    with np.errstate(over="print"):  # nobody would see it
        trained()
    assert len(crews) == 2


@only_processes
def test_processes_take_the_place_of_threads_once_they_are_ready(monkeypatch, crews):
    trainers = []

    class Noted(host.HostTrainer):
        def __init__(self, *given):
            trainers.append(self)
            super().__init__(*given)

    class Wait(Callback):
        def step(self, epoch, step, loss):
            kinds.append(type(trainers[-1].pool).__name__)
            coming = trainers[-1].startup and trainers[-1].startup.pool
            while coming is not None and not all(child.hear() for child in coming._children):
                time.sleep(1e-3)

    use(monkeypatch, "threads")
    wanted = trained(epochs=3)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(fit_module, "HostTrainer", Noted)
    monkeypatch.setattr(host, "worker_kind", lambda: WorkerKind.SPAWN)
    kinds = []
    assert trained(epochs=3, callbacks=[Wait()]) == wanted
    assert set(kinds) == {"ThreadPool"}  # so short a fit is not worth a start
    assert crews == []
    monkeypatch.setattr(startup, "START_SECONDS", 0.0)
    monkeypatch.setattr(startup, "START_SECONDS_PER_BYTE", 0.0)
    kinds = []
    assert trained(epochs=3, callbacks=[Wait()]) == wanted
    assert kinds == ["ThreadPool"] * 2 + ["Noted"] * 7
    assert all_gone(crews)


@only_processes
def test_a_fit_that_ends_before_its_processes_are_ready_lets_them_go(monkeypatch, crews):
    monkeypatch.setattr(host, "worker_kind", lambda: WorkerKind.SPAWN)
    monkeypatch.setattr(startup, "START_SECONDS", -1.0)
    monkeypatch.delenv(VARIABLE, raising=False)
    trained(epochs=1)
    assert len(crews) == 1
    assert all_gone(crews)


@only_processes
def test_a_start_that_fails_in_the_middle_of_a_fit_leaves_it_to_threads(monkeypatch, crews):
    monkeypatch.setattr(host, "worker_kind", lambda: WorkerKind.SPAWN)
    monkeypatch.setattr(startup, "START_SECONDS", -1.0)
    monkeypatch.delenv(VARIABLE, raising=False)
    wanted = trained(epochs=1, threads=1)
    monkeypatch.setattr(startup, "MODULE", "purecnn.no_such_module")

    class Wait(Callback):
        def step(self, epoch, step, loss):
            time.sleep(0.5 if step == 2 else 0)

    assert trained(epochs=1, callbacks=[Wait()]) == wanted
    assert len(crews) == 1
    assert all_gone(crews)


@only_processes
def test_a_process_that_would_compute_otherwise_is_not_taken(monkeypatch, crews):
    told = blas.configuration()
    use(monkeypatch, "spawn")
    monkeypatch.setattr(blas, "configuration", lambda: f"{told} another kernel")
    trained()
    assert len(crews) == 1
    assert crews[0][0]._turn == 0
    assert all_gone(crews)


# BLAS that can't be told -----------------------------------------------------------------------------------


@only_processes
@pytest.mark.parametrize("options", [{}, {"threads": 1}, {"batch_size": 1, "optimizer": lambda: SGD(0.01)}])
def test_where_blas_can_not_be_told_all_work_goes_to_processes_that_begin_with_one_thread(
    monkeypatch, crews, options
):
    x, y = data(40)
    made = [Network([Flatten(), Dense(output_size=8), ReLU(), Dense(output_size=4), Softmax()]) for _ in "ab"]
    given = {"epochs": 1, "batch_size": 32, **options}
    use(monkeypatch, "spawn")
    make = given.pop("optimizer", Adam)
    wanted = trained(x, y, made[0], optimizer=make(), **given)
    crews.clear()
    monkeypatch.setattr(blas, "control", lambda: None)
    assert trained(x, y, made[1], optimizer=make(), **given) == wanted
    ((_, children),) = crews
    assert len(children) == min(given.get("threads", 2), 1 if given["batch_size"] == 1 else 2)
    monkeypatch.setattr(startup, "MODULE", "purecnn.no_such_module")
    with pytest.warns(UserWarning, match="can't be told its thread count"):
        trained(x, y, optimizer=make(), **given)


def test_a_worker_is_told_one_thread_before_numpy_is_there():
    told = process.environment()
    assert {name: told[name] for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    assert told["VECLIB_MAXIMUM_THREADS"] == "1"


# Which kind ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "version", "lock", "threads", "gpu", "wanted"),
    [
        ("linux", (3, 11), True, False, False, "fork"),
        ("linux", (3, 11), True, True, False, "fork"),
        ("linux", (3, 12), True, False, False, "fork"),
        ("linux", (3, 12), True, True, False, "spawn"),
        ("linux", (3, 11), True, False, True, "spawn"),
        ("linux", (3, 14), False, False, False, "threads"),
        ("darwin", (3, 11), True, False, False, "spawn"),
        ("win32", (3, 13), True, False, False, "spawn"),
        ("win32", (3, 14), False, False, False, "threads"),
    ],
)
def test_the_kind_of_workers_follows_from_the_system(
    monkeypatch, platform, version, lock, threads, gpu, wanted
):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: lock, raising=False)
    monkeypatch.setattr(processes, "others", lambda: {1: None} if threads else {})
    monkeypatch.setattr(processes, "drives_gpu", lambda: gpu)
    assert worker_kind() == wanted


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kind_that_is_none_is_refused_at_any_number_of_threads(monkeypatch, threads):
    use(monkeypatch, "green")
    with pytest.raises(ValueError, match="PURECNN_WORKERS must be one of fork, spawn, threads, got 'green'"):
        trained(threads=threads)


def test_the_kind_of_workers_that_is_asked_for(monkeypatch):
    for kind in ("spawn", "threads"):
        use(monkeypatch, kind)
        assert worker_kind() == asked_kind() == kind
    use(monkeypatch, "processes")
    with pytest.raises(ValueError, match=r"PURECNN_WORKERS must be one of fork, spawn, threads, got 'proc"):
        trained()
    use(monkeypatch, "fork")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ValueError, match=r"PURECNN_WORKERS must be spawn or threads where .* got 'fork'"):
        worker_kind()


@linux
def test_a_driver_of_a_gpu_is_seen(monkeypatch, tmp_path):
    assert not processes.drives_gpu()
    path = tmp_path / "libcuda.so.1"
    path.write_bytes(bytes(4096))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
        assert processes.drives_gpu()


# Memory ----------------------------------------------------------------------------------------------------


def test_arrays_of_an_arena_lie_apart_and_begin_where_a_line_of_the_cache_does():
    memory = Arena()
    shapes = [3, (2, 5), 0, (PIECE, 2), (), 7, PIECE]
    arrays = [memory.zeros(shape, kind) for shape in shapes for kind in (np.float32, np.int64, np.bool_)]
    for number, array in enumerate(arrays):
        assert not array.any()
        assert array.ctypes.data % 64 == 0
        assert memory.number(array) == number or not array.size
        array[...] = number + 1
    for number, array in enumerate(arrays):
        assert (array == np.array(number + 1, array.dtype)).all()
    assert memory.put(np.arange(5)) == len(arrays)
    memory.close()
    assert (arrays[0] == 1).all()  # the memory stays as long as its arrays do


def test_an_arena_that_is_handed_over_wants_the_same_arrays_asked_for():
    handed = MappedArena([], [], [Span(0, 0, (3,), "<f4")])
    with pytest.raises(ValueError, match=r"arrays that its caller made: number 0 is .*, got \(\(4,\), '<f4'"):
        handed.zeros(4, np.float32)
    with pytest.raises(ValueError, match="number 0 is None"):
        MappedArena([], [], []).zeros(4, np.float32)


def full(*_):
    """Act as a disk or a memory that is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


@only_processes
@pytest.mark.parametrize("left", [0, 1, 3])
def test_where_memory_is_full_threads_do_the_work(monkeypatch, crews, left):
    use(monkeypatch, "threads")
    wanted = trained()
    use(monkeypatch, "spawn")
    plain, room = arena.new_piece, [left]

    def piece(size):
        room[0] -= 1
        return plain(size) if room[0] >= 0 else full()

    monkeypatch.setattr(arena, "new_piece", piece)
    monkeypatch.setattr(arena, "PIECE", 4096)
    assert trained() == wanted
    assert crews == []


@posix
@pytest.mark.parametrize("way", ["memory", "object", "file"])
def test_memory_has_no_name_whatever_the_system_makes_it_of(monkeypatch, crews, tmp_path, way):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if way != "memory":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    if way == "file":
        monkeypatch.setitem(sys.modules, "_posixshmem", None)
        monkeypatch.delattr(os, "posix_fallocate", raising=False)  # as on macOS
    shared = Path("/dev/shm")

    def ours():
        return list(shared.glob("purecnn-*")) if shared.exists() else []

    seen = []

    class Look(Callback):
        def step(self, epoch, step, loss):
            seen.append([*ours(), *tmp_path.iterdir()])

    use(monkeypatch, "threads")
    wanted = trained()
    use(monkeypatch, "spawn")
    assert trained(callbacks=[Look()]) == wanted
    assert seen == [[]] * 6
    assert len(crews) == int(has_lock())


@posix
@pytest.mark.parametrize("way", ["memory", "file"])
def test_a_full_memory_is_found_out_before_it_is_written_to(monkeypatch, way):
    if way == "file":
        monkeypatch.setattr(arena, "nameless_file", lambda: (os.open("/dev/full", os.O_RDWR), True))
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    if way == "file" and not os.path.exists("/dev/full"):
        pytest.skip("this system has no file that is always full")
    memory = Arena()
    assert memory.zeros(3, np.float32).tolist() == [0, 0, 0]
    assert not memory.is_whole
    with pytest.raises(OSError, match="no shared memory is left for 12 bytes"):
        memory.put(np.zeros(3, np.float32))


# Faults ----------------------------------------------------------------------------------------------------


@pytest.fixture
def crew(monkeypatch):
    """Return what makes a pool over two arrays, with these."""
    monkeypatch.setattr(process, "PROGRAM", spawned_jobs.PROGRAM)
    made = []

    def make(size, ready=True, module="helpers.spawned_jobs", caller_works=True, **work):
        memory = Arena()
        done, flag = memory.zeros(size * 2, np.int64), memory.zeros(2, np.int64)
        workers = SpawnPool(
            size,
            lambda worker, number: spawned_jobs.count(done, flag, worker, number),
            memory,
            module,
            work,
            caller_works=caller_works,
        )
        made.append((workers, list(workers._children)))
        if ready:
            workers.wait_until_ready()
        return workers, done, flag

    yield make
    for workers, _ in made:
        workers.close()
    assert all_gone(made)


def test_jobs_are_shared_out_and_sleepers_are_woken_up(crew):
    workers, done, _ = crew(3)
    for _ in range(200):
        workers.run(6)
    assert done.tolist() == [200] * 6
    time.sleep(0.05)  # by now all sleep
    workers.run(2)
    workers.run(1)
    workers.run(5)
    assert done.tolist() == [203, 202, 201, 201, 201, 200]


def test_a_caller_that_does_no_job_itself(crew):
    workers, done, flag = crew(2, caller_works=False)
    assert len(workers._children) == 2
    workers.run(4)
    assert done.tolist() == [1] * 4
    flag[0] = 1
    with pytest.raises(KeyError, match="job 1"):
        workers.run(2)
    flag[0] = 0
    workers.run(1)
    assert done[0] == 3


def test_an_exception_in_a_worker_is_raised_here_and_the_crew_goes_on(crew):
    workers, done, flag = crew(2)
    flag[0] = 1
    with pytest.raises(KeyError, match="job 1"):
        workers.run(4)
    flag[0], done[:] = 0, 0
    workers.run(4)
    assert done.tolist() == [1] * 4


def test_a_failure_that_happens_in_the_worker_alone_is_told(crew):
    workers, _, flag = crew(2)
    flag[0] = 2
    with pytest.raises(WorkerError, match="failed where its caller does not: MemoryError: no room"):
        workers.run(2)


def test_an_exception_of_the_callers_own_part_leaves_the_crew_usable(crew):
    workers, done, flag = crew(3)
    flag[0] = 5
    with pytest.raises(ValueError, match="here"):
        workers.run(3)
    flag[0], done[:] = 0, 0
    workers.run(3)
    assert done.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("moment", ["at work", "asleep", "unseen"])
def test_a_killed_worker_is_told_in_one_sentence(crew, monkeypatch, moment):
    monkeypatch.setattr(processes, "ALIVE", 0.2)
    workers, _, flag = crew(2)
    if moment == "at work":
        flag[0] = 3
    else:
        workers._children[0]._process.kill()
        workers._children[0]._process.wait()
    if moment == "unseen":  # a process that was forked meanwhile keeps the socket open
        monkeypatch.setattr(SpawnPool, "_wake", lambda self, worker: None)
        workers._lines.unregister(workers._children[0].socket)
    ending = "1" if sys.platform == "win32" else "-9"
    with pytest.raises(WorkerError, match=rf"worker process \d+ ended with status {ending} in the middle"):
        workers.run(2)


def test_a_worker_in_a_long_job_does_not_keep_a_crew_from_closing(crew):
    workers, _, flag = crew(2)
    flag[0] = 4

    def close():
        while not flag[1]:
            time.sleep(1e-3)
        workers._children[0]._process.kill()

    thread = threading.Thread(target=close)
    thread.start()
    with pytest.raises(WorkerError, match="in the middle of its work"):
        workers.run(2)
    thread.join()


def test_a_worker_that_can_not_begin_says_why(crew, monkeypatch):
    workers, _, _ = crew(2, ready=False, refuses=True)
    with pytest.raises(OSError, match=r"worker process \d+ could not begin: ValueError: I can't"):
        workers.wait_until_ready()
    workers, _, _ = crew(2, ready=False, module="helpers.no_such_module")
    with pytest.raises(OSError, match=r"worker process \d+ could not begin: it ended"):
        workers.wait_until_ready()
    monkeypatch.setattr(pool, "READY", -1.0)
    workers, _, _ = crew(2, ready=False)
    with pytest.raises(TimeoutError, match="a worker process is not ready -1 s after its start"):
        workers.wait_until_ready()


def test_a_crew_that_can_not_be_had_leaves_nobody_behind(crew, monkeypatch):
    plain, made = subprocess.Popen, []

    def once(*given, **named):
        if made:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        made.append(plain(*given, **named))
        return made[0]

    monkeypatch.setattr(subprocess, "Popen", once)
    with pytest.raises(BlockingIOError):
        crew(3)
    assert made[0].poll() is not None


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("frozen", True)])
def test_a_program_that_is_no_python_starts_nobody(monkeypatch, crews, name, value):
    use(monkeypatch, "threads")
    wanted = trained()
    use(monkeypatch, "spawn")
    monkeypatch.setattr(sys, name, value, raising=False)
    monkeypatch.delattr(sys, "_base_executable", raising=False)
    assert trained() == wanted
    assert crews == []


@posix
@only_processes
def test_workers_go_when_their_parent_is_killed(tmp_path):
    program = textwrap.dedent(
        """
        import os, sys, time, numpy as np
        from purecnn import Callback, Dense, Network, Softmax
        from purecnn.training.spawn import startup

        class Noted(startup.SpawnPool):
            def wait_until_ready(self):
                super().wait_until_ready()
                print(*(child.number for child in self._children), flush=True)

        class Stop(Callback):
            def step(self, epoch, step, loss):
                time.sleep(10_000)

        startup.SpawnPool = Noted
        net = Network([Dense(2, 3), Softmax()])
        net.fit(np.ones((640, 2)), np.zeros(640, int), batch_size=64, threads=3, shards=3, callbacks=[Stop()])
        """
    )
    shared = Path("/dev/shm")
    before = set(shared.glob("*")) if shared.exists() else set()
    known = {**os.environ, VARIABLE: "spawn", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=known
    ) as parent:
        numbers = [int(number) for number in parent.stdout.readline().split()]
        parent.kill()
    assert len(numbers) == 2
    until = time.monotonic() + PATIENCE
    while any(map(is_there, numbers)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(is_there, numbers))
    assert list(tmp_path.iterdir()) == []
    left = set(shared.glob("purecnn*")) if shared.exists() else set()
    assert left <= before


def is_there(number):
    """Return whether a process is there, and is not merely waiting to be fetched."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{number}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


@only_processes
def test_a_program_without_a_guard_around_its_main_part_runs_once(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, numpy as np
            from purecnn import Callback, Dense, Network, Softmax

            print("begin", __name__, flush=True)
            net = Network([Dense(2, 3), Softmax()])
            net.fit(np.ones((640, 2)), np.zeros(640, int), batch_size=64, threads=2)
            print("end", "purecnn.training.spawn.startup" in sys.modules, flush=True)
            """
        ),
        encoding="utf-8",
    )
    # what lies beside the program is not imported by a worker either
    (tmp_path / "selectors_of_mine.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    known = {**os.environ, VARIABLE: "spawn"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=known, timeout=PATIENCE
    )
    assert (done.stdout.split(), done.stderr) == (["begin", "__main__", "end", "True"], "")


@only_processes
def test_an_exception_of_a_callback_ends_the_workers(monkeypatch, crews):
    use(monkeypatch, "spawn")

    class Fails(Callback):
        def step(self, epoch, step, loss):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        trained(callbacks=[Fails()])
    assert len(crews) == 1
    assert all_gone(crews)


@posix
@only_processes
def test_an_interrupt_while_workers_start_ends_them(monkeypatch):
    use(monkeypatch, "spawn")
    seen = []

    class Interrupted(SpawnPool):
        def wait_until_ready(self):
            seen.extend(self._children)
            signal.raise_signal(signal.SIGINT)
            super().wait_until_ready()

    monkeypatch.setattr(startup, "SpawnPool", Interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            trained()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 1
    assert not seen[0].runs()


# Windows, acted out ----------------------------------------------------------------------------------------


def test_windows_has_memory_by_name(monkeypatch):
    known = {}

    def named(_file, size, tagname):
        return known.setdefault(tagname, bytearray(size))

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(arena.mmap, "mmap", named)
    memory = Arena()
    array = memory.zeros(5, np.int32)
    array[:] = range(5)
    (name,) = memory.handles()
    assert name.startswith("purecnn-")
    assert len(name) == len("purecnn-") + 32
    handed = MappedArena(memory.handles(), memory.sizes(), memory.spans)
    assert handed.zeros(5, np.int32).tolist() == [0, 1, 2, 3, 4]
    memory.close()


def test_windows_describes_the_socket_to_a_worker_without_a_console(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "_base_executable", "base.exe", raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 8, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 2, raising=False)
    seen = {}

    class Pipe(io.BytesIO):
        def close(self):
            seen["told"] = self.getvalue()
            super().close()

    def popen(words, **named):
        seen.update(named, words=words)
        return SimpleNamespace(pid=77, stdin=Pipe())

    monkeypatch.setattr(subprocess, "Popen", popen)
    process.start(process.command("some.module"), SimpleNamespace(share=lambda pid: b"socket of %d" % pid))
    assert seen["words"][0] == "base.exe"
    assert (seen["creationflags"], seen["stdin"]) == (10, subprocess.PIPE)
    assert seen["env"]["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(seen["told"])))
    here, there = socket.socketpair()
    with here, there:
        set_options = []
        shared = SimpleNamespace(family=socket.AF_INET, setsockopt=lambda *given: set_options.append(given))
        monkeypatch.setattr(
            socket, "fromshare", lambda text: shared if text == b"socket of 77" else None, raising=False
        )
        assert service.own_line() is shared
        assert set_options == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        # the greeting comes without files
        text = json.dumps({"worker": 1}).encode()
        here.sendall(len(text).to_bytes(4, "little") + text)
        assert service.receive(there) == ({"worker": 1}, [])
