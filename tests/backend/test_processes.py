"""Worker processes: the bits of threads, and nothing left behind whatever happens to them."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from campaigns.kill import forks
from helpers.waiting import PATIENCE
from helpers.workers import KINDS, PROCESSES, use
from purecnn import (
    SGD,
    Activation,
    Adam,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    losses,
)
from purecnn.backend import blas, processes
from purecnn.backend.processes import ProcessPool, can_fork, shared_zeros
from purecnn.backend.threads import ThreadPool
from purecnn.datasets import Subset
from purecnn.errors import WorkerError
from purecnn.layers.registry import is_own
from purecnn.losses import mse
from purecnn.training import host
from purecnn.training.host import LONG
from purecnn.training.prefetcher import Prefetcher
from purecnn.training.rows import Rows

pytestmark = pytest.mark.skipif(not can_fork(), reason="worker processes are forked on Linux alone")
both = pytest.mark.parametrize("kind", PROCESSES)


def all_children():
    """Return the processes that this one has."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="utf-8").split()


ROWS = Rows(Subset(np.zeros((4, 1)), range(4), labels=np.zeros(4)))
OTHERS = set()


@pytest.fixture(autouse=True)
def others():
    """Take note of whom a test finds: joblib's workers of other tests may be there, and end meanwhile."""
    OTHERS.clear()
    OTHERS.update(all_children())


def children():
    """Return the processes that this one has had only since the test began."""
    return [one for one in all_children() if one not in OTHERS]


def network(width=8, seed=0):
    """Return a network of this package's layers alone."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=4),
            ReLU(),
            MaxPooling(2),
            Dropout(0.25),
            Flatten(),
            Dense(output_size=width),
            ReLU(),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
    )


def data(samples=200):
    """Return images of bytes and labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (samples, 12, 12)).astype(np.uint8), rng.integers(0, 4, samples)


@pytest.mark.parametrize("make", [Adam, lambda: SGD(0.05, 0.9), lambda: SGD(0.05)])
@pytest.mark.parametrize("width", [8, 1500], ids=["short", "long"])
def test_processes_give_the_bits_of_threads(monkeypatch, make, width):
    x, y = data()
    found = []
    for kind, workers in (*itertools.product(PROCESSES, (2, 4)), ("threads", 2), ("threads", 1)):
        use(monkeypatch, kind)
        net = network(width)
        net.fit(x, y, epochs=2, batch_size=128, optimizer=make(), threads=workers)
        assert (net.parameters.size > LONG) == (width == 1500)
        found.append(net.parameters.tobytes())
    assert len(set(found)) == 1


class Look(Callback):
    """Note how many children there are in the middle of a fit."""

    def __init__(self):
        self.seen = set()

    def step(self, epoch, step, loss):
        self.seen.add(len(children()))


@both
def test_processes_work_during_a_fit_and_none_is_left_after(monkeypatch, kind):
    use(monkeypatch, kind)
    monkeypatch.setattr(blas, "SETTLE", PATIENCE)  # the runner of the tests may have threads of its own
    x, y = data()
    look = Look()
    network().fit(x, y, batch_size=128, threads=2, callbacks=[look])
    assert look.seen == {1}
    assert children() == []


@pytest.mark.parametrize("worth", [0.0, 1e9])
def test_processes_are_forked_once_a_step_shows_that_enough_is_left(monkeypatch, worth):
    monkeypatch.setattr(host, "FORK_SECONDS", worth)
    x, y = data()
    one, several, seen = network(), network(), []

    class Look(Callback):
        def step(self, epoch, step, loss):
            seen.append(len(children()))

    one.fit(x, y, epochs=2, batch_size=64, threads=1)
    several.fit(x, y, epochs=2, batch_size=64, threads=2, callbacks=[Look()])
    assert seen == [0, *([1] if worth == 0 else [0]) * (len(seen) - 1)]
    assert len(seen) > 4
    assert not children()
    np.testing.assert_array_equal(one.parameters, several.parameters)


def test_no_process_is_forked_while_others_compute(monkeypatch):
    use(monkeypatch, "fork")
    x, y = data()
    look, alone, beside = Look(), network(), network()
    alone.fit(x, y, batch_size=128, threads=2)
    with blas.single_threaded():  # as another thread's fit or predict does
        beside.fit(x, y, batch_size=128, threads=2, callbacks=[look])
    assert look.seen == {0}
    np.testing.assert_array_equal(beside.parameters, alone.parameters)


def beside(work, look):
    """Return a network that was fitted beside a thread that works until then."""
    ended, began = threading.Event(), threading.Event()

    def run():
        began.set()
        while not ended.is_set():
            work(ended)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    began.wait()
    made, (x, y) = network(), data()
    try:
        made.fit(x, y, batch_size=128, threads=2, callbacks=[look])
    finally:
        ended.set()
        thread.join()
    return made


@pytest.mark.parametrize(
    "wait",
    [
        lambda ended: ended.wait(),
        pytest.param(
            lambda ended: time.sleep(0.5),
            marks=pytest.mark.skipif(
                not Path("/proc/self/syscall").exists(), reason="the system says of no thread what it does"
            ),
        ),
    ],
    ids=["event", "sleep"],
)
def test_a_thread_that_waits_costs_no_process(monkeypatch, wait):
    use(monkeypatch, "fork")  # which Python from 3.12 on warns of
    monkeypatch.setattr(blas, "SETTLE", PATIENCE)
    look = Look()
    beside(wait, look)
    assert look.seen == {1}


def test_no_process_is_forked_while_another_thread_multiplies(monkeypatch):
    use(monkeypatch, "fork")
    matrix, look, alone = np.ones((300, 300)), Look(), network()
    alone.fit(*data(), batch_size=128, threads=2)
    made = beside(lambda ended: matrix @ matrix, look)
    assert look.seen == {0}
    np.testing.assert_array_equal(made.parameters, alone.parameters)


@pytest.mark.parametrize(
    ("company", "fits"),
    [("a thread that multiplies", 5), ("a thread that multiplies and sleeps", 8), ("threads that wait", 3)],
)
def test_fits_beside_other_threads_end(monkeypatch, company, fits):
    use(monkeypatch, "fork")
    line, is_good = forks.beside(company, fits, PATIENCE)
    assert is_good, line
    assert f"{fits} fits beside {company}: none hung" in line
    if company == "threads that wait":
        assert f" {fits} with a worker process" in line


def test_an_interrupt_ends_a_fit_beside_a_thread_that_multiplies():
    assert forks.interrupted("a thread that multiplies", 0.1, PATIENCE)


def test_every_openblas_of_the_process_has_one_thread_as_a_process_is_forked_beside_a_thread(monkeypatch):
    use(monkeypatch, "fork")
    pytest.importorskip("scipy.linalg", reason="SciPy brings an OpenBLAS of its own")
    copies = list(blas._copies())
    assert len(copies) > 1
    counts, before = [], [copy.get() for copy in copies]
    monkeypatch.setattr(blas, "SETTLE", PATIENCE)
    fork = os.fork

    def note():
        counts.extend(copy.get() for copy in copies)
        return fork()

    monkeypatch.setattr(os, "fork", note)
    try:
        for copy in copies:
            copy.put(3)
        beside(lambda ended: ended.wait(), Look())
        assert counts == [1] * len(copies)
        assert [copy.get() for copy in copies] == [3] * len(copies)
    finally:
        for copy, count in zip(copies, before, strict=True):
            copy.put(count)


def test_an_openblas_that_can_not_be_told_costs_the_process_beside_a_thread(monkeypatch):
    use(monkeypatch, "fork")
    monkeypatch.setattr(blas, "_copies", lambda: iter([None]))
    look = Look()
    beside(lambda ended: ended.wait(), look)
    assert look.seen == {0}


def test_a_worker_that_can_not_multiply_is_replaced_by_a_thread(monkeypatch):
    use(monkeypatch, "fork")
    here = os.getpid()
    monkeypatch.setattr(processes, "READY", 0.1)
    monkeypatch.setattr(processes, "multiply", lambda: os.getpid() == here or time.sleep(PATIENCE))
    look, made, alone = Look(), network(), network()
    made.fit(*data(), batch_size=128, threads=2, callbacks=[look])
    assert look.seen == {0}
    assert children() == []
    monkeypatch.undo()
    alone.fit(*data(), batch_size=128, threads=2)
    np.testing.assert_array_equal(made.parameters, alone.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_train_side_by_side(monkeypatch, kind):
    use(monkeypatch, kind)
    x, y = data()
    alone = network()
    alone.fit(x, y, epochs=2, batch_size=128, threads=1)
    made, options = [network() for _ in range(4)], {"epochs": 2, "batch_size": 128, "threads": 2}
    threads = [threading.Thread(target=one.fit, args=(x, y), kwargs=options, daemon=True) for one in made]
    for thread in threads:
        thread.start()
    for one, thread in zip(made, threads, strict=True):
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a worker waits for a lock that was held as it was forked"
        np.testing.assert_array_equal(one.parameters, alone.parameters)


@both
def test_what_a_process_forked_later_writes_is_its_own(monkeypatch, kind):
    use(monkeypatch, kind)
    x, y = data()
    made = network()
    made.fit(x, y, batch_size=128, threads=2)
    held = [made.parameters, *made.optimizer.state.values()]
    before = [array.copy() for array in held]
    child = os.fork()
    if not child:
        for array in held:
            array[...] = 7
        os._exit(0)
    os.waitpid(child, 0)
    for array, was in zip(held, before, strict=True):
        np.testing.assert_array_equal(array, was)


@both
def test_what_a_user_wrote_runs_in_threads(monkeypatch, kind):
    use(monkeypatch, kind)

    class Mine(ReLU):
        pass

    x, y = data()
    look = Look()
    Network([Flatten(), Dense(output_size=4), Mine(), Dense(output_size=4), Softmax()]).fit(
        x, y, batch_size=128, threads=2, callbacks=[look]
    )
    assert look.seen == {0}
    network().fit(
        x,
        y,
        batch_size=128,
        threads=2,
        loss=losses.categorical_cross_entropy,
        loss_prime=lambda y, p: losses.categorical_cross_entropy_prime(y, p),
        callbacks=[look],
    )
    assert look.seen == {0}
    assert all(map(is_own, (ReLU(), Adam(), mse)))
    assert not any(map(is_own, (Mine(), lambda y, p: 0.0, Activation(np.sin, np.cos))))


@both
def test_a_callback_may_read_and_write_the_parameters_between_steps(monkeypatch, kind):
    use(monkeypatch, kind)

    class Zero(Callback):
        def step(self, epoch, step, loss):
            net.parameters.fill(0)
            seen.append(loss)

    x, y = data()
    net, seen = network(), []
    net.fit(x, y, epochs=2, batch_size=128, threads=2, callbacks=[Zero()])
    assert seen[1:] == pytest.approx([np.log(4)] * 3)  # of all alike outputs
    assert not net.parameters.any()


def test_an_exception_in_a_worker_is_raised_here_and_the_crew_goes_on():
    broken = shared_zeros(1, np.int64)
    done = shared_zeros(4, np.int64)

    def job(worker, number):
        if broken[0] and number == 1:
            raise KeyError("job 1")
        done[number] += 1

    crew = ProcessPool(2, job)
    try:
        broken[0] = 1
        with pytest.raises(KeyError, match="job 1"):
            crew.run(4)
        broken[0] = 0
        done.fill(0)
        crew.run(4)
        assert done.tolist() == [1, 1, 1, 1]
    finally:
        crew.close()
    assert children() == []


def test_a_failure_that_happens_in_the_worker_alone_is_told():
    here = os.getpid()

    def job(worker, number):
        if os.getpid() != here:
            raise MemoryError("no room")

    crew = ProcessPool(2, job)
    try:
        with pytest.raises(WorkerError, match="failed where its caller does not: MemoryError: no room"):
            crew.run(2)
    finally:
        crew.close()


def test_an_exception_of_the_callers_own_part_leaves_the_crew_usable():
    here = os.getpid()
    broken = shared_zeros(1, np.int64)

    def job(worker, number):
        if broken[0] and os.getpid() == here:
            raise ValueError("here")

    crew = ProcessPool(3, job)
    try:
        broken[0] = 1
        with pytest.raises(ValueError, match="here"):
            crew.run(3)
        broken[0] = 0
        crew.run(3)
    finally:
        crew.close()


def test_a_killed_worker_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setattr(processes, "ALIVE", 0.05)
    here = os.getpid()

    def job(worker, number):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)

    crew = ProcessPool(2, job)
    with pytest.raises(WorkerError, match=r"worker process \d+ ended with status -9"):
        crew.run(2)
    crew.close()
    assert children() == []


def test_workers_go_when_their_parent_is_killed(tmp_path):
    program = textwrap.dedent(
        """
        import sys, time, os, numpy as np
        from purecnn.backend import processes as processes_module
        processes_module.ALIVE = 0.05
        team = processes_module.ProcessPool(3, lambda worker, number: None)
        team.run(3)
        print(*team._children, flush=True)
        time.sleep(10_000)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + PATIENCE
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def alive(pid):
    """Return whether a process runs, and is not merely waiting to be fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@both
def test_an_interrupt_reaches_the_parent_alone(monkeypatch, kind):
    use(monkeypatch, kind)
    program = textwrap.dedent(
        """
        import os, signal, numpy as np
        from purecnn import Dense, Network, Softmax
        from purecnn import Callback

        class Interrupt(Callback):
            def step(self, epoch, step, loss):
                if step == 3:
                    os.killpg(0, signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        net = Network([Dense(2, 3), Softmax()])
        try:
            net.fit(np.ones((640, 2)), np.zeros(640, int), batch_size=64, threads=2, callbacks=[Interrupt()])
        except KeyboardInterrupt:
            print("interrupted after", net.updates)
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
    )
    assert found.stdout == "interrupted after 3\n"
    assert found.stderr == ""


@pytest.mark.parametrize("thread", ["main", "other"])
@pytest.mark.parametrize("when", ["before", "after_in_parent", "after_in_child"])
def test_an_interrupt_in_what_python_calls_around_a_fork_is_not_lost(monkeypatch, when, thread):
    use(monkeypatch, "fork")
    program = textwrap.dedent(
        """
        import os, signal, sys, threading, time, numpy as np
        from purecnn import Dense, Network, Softmax

        def fit():
            done.append(net.fit(np.ones((640, 2)), np.zeros(640, int), batch_size=64, threads=2))

        def press():
            os.kill(os.getpid(), signal.SIGINT)

        def fit_beside():
            threading.Thread(target=fit).start()
            wait()

        def wait():
            while not done:
                time.sleep(1e-3)

        done, (when, thread) = [], sys.argv[1:]
        net = Network([Dense(2, 3), Softmax()])
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        os.register_at_fork(**{when: press})
        try:
            fit() if thread == "main" else fit_beside()
        except KeyboardInterrupt:
            print("interrupted")
        if thread == "other":
            wait()
        print(len(done), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        try:
            print(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            print("no child left")
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", program, when, thread], capture_output=True, text=True, timeout=PATIENCE
    )
    told = "" if when == "after_in_child" else "interrupted\n"
    ended = 0 if told and thread == "main" else 1
    assert found.stdout == f"{told}{ended} True\nno child left\n"
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: ProcessPool(2, print), lambda pool: pool._done),
        (lambda: ProcessPool(2, print), lambda pool: pool._go[0]),
        (lambda: ThreadPool(2, print), lambda pool: pool._workers[0]),
        (lambda: Prefetcher(ROWS, 2, np.zeros), lambda reader: reader._reader),
    ],
)
def test_an_interrupt_in_what_python_calls_as_an_object_ends_is_not_lost(make, part):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        pool = make()
        end = weakref.ref(part(pool), lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            pool.close()
        assert end() is None
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@both
def test_a_second_interrupt_ends_a_fit_whose_worker_is_stopped(tmp_path, monkeypatch, kind):
    use(monkeypatch, kind)
    program = textwrap.dedent(
        f"""
        import os, signal, threading, time, numpy as np
        from purecnn import Checkpoint, Dense, Network, Softmax
        from purecnn import Callback
        from purecnn.training import fit, host

        def ask(children):
            os.kill(getattr(children[0], "number", children[0]), signal.SIGSTOP)
            for _ in range(2):
                time.sleep(0.5)
                os.kill(os.getpid(), signal.SIGINT)

        class Stop(Callback):
            def step(self, epoch, step, loss):
                if step == 3:
                    threading.Thread(target=ask, args=(crews[0]._children,), daemon=True).start()
                    time.sleep(0.2)

        class Trainer(host.HostTrainer):
            def gather_workers(self):
                crews.append(super().gather_workers())
                return crews[0]

        crews, fit.HostTrainer = [], Trainer
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        net = Network([Dense(2, 3), Softmax()])
        try:
            net.fit(np.ones((6400, 2)), np.zeros(6400, int), batch_size=64, threads=2,
                    callbacks=[Stop(), Checkpoint({str(tmp_path / "c")!r}, every=1000)])
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE)
    assert (found.stdout, found.stderr) == ("interrupted\n", "")


def test_a_worker_in_a_long_job_does_not_keep_a_crew_from_closing(monkeypatch):
    here, began = os.getpid(), shared_zeros(1, np.int64)
    monkeypatch.setattr(processes, "LEAVE", 0.05)

    def job(worker, number):
        if os.getpid() != here:
            began[0] = 1
            time.sleep(PATIENCE)
        while not began[0]:
            time.sleep(1e-3)
        signal.raise_signal(signal.SIGALRM)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    crew = ProcessPool(2, job)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            crew.run(2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        crew.close()
    assert children() == []


def test_shared_memory_is_zero_and_keeps_its_dtype_and_shape():
    array = shared_zeros((2, 3), np.float32)
    assert (array.shape, array.dtype, array.any()) == ((2, 3), np.dtype(np.float32), np.False_)
    assert shared_zeros(0, np.float64).shape == (0,)


def test_a_failure_beside_the_callers_own_is_not_told_by_the_next_run():
    broken, done = shared_zeros(1, np.int64), shared_zeros(2, np.int64)

    def job(worker, number):
        if broken[0]:
            raise KeyError(number)
        done[number] += 1

    crew = ProcessPool(2, job)
    try:
        broken[0] = 1
        with pytest.raises(KeyError, match="0"):
            crew.run(2)
        broken[0] = 0
        crew.run(2)
        assert done.tolist() == [1, 1]
    finally:
        crew.close()


@both
def test_an_array_that_the_last_callback_puts_into_a_layer_stays(monkeypatch, kind):
    use(monkeypatch, kind)
    x, y = data()
    net = network()

    def put(fit):
        net.layers[-2].parameters["biases"] = np.full((4, 1), 7.0, np.float32)

    net.fit(x, y, batch_size=128, threads=2, callbacks=[put])
    assert (net.layers[-2].parameters["biases"] == 7).all()
    assert (net.parameters[-4:] == 7).all()


@both
def test_an_array_that_does_not_fit_is_refused_and_nothing_stays_behind(monkeypatch, kind):
    use(monkeypatch, kind)
    x, y = data()
    net = network()

    def put(fit):
        net.layers[-2].parameters["biases"] = np.zeros((3, 1), np.float32)

    with pytest.raises(ShapeError) as refused:
        net.fit(x, y, batch_size=128, threads=2, callbacks=[put])
    # The error, which is still held, holds the fit's frames; BLAS has its threads back all the same.
    assert refused.tb is not None
    assert blas._everywhere.users == 0
    assert (net.parameters[-4:] == net.layers[-2].parameters["biases"].ravel()).all()


@both
def test_workers_that_nobody_is_told_the_end_of(monkeypatch, kind):
    use(monkeypatch, kind)
    x, y = data()
    ignored = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        network().fit(x, y, batch_size=128, threads=2)
    finally:
        signal.signal(signal.SIGCHLD, ignored)
    assert children() == []


def test_a_killed_worker_that_nobody_is_told_of(monkeypatch):
    monkeypatch.setattr(processes, "ALIVE", 0.05)
    here, ignored = os.getpid(), signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def job(worker, number):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)

    crew = ProcessPool(2, job)
    try:
        with pytest.raises(WorkerError, match=r"worker process \d+ ended in the middle"):
            crew.run(2)
        crew.close()
    finally:
        signal.signal(signal.SIGCHLD, ignored)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_fit_worked_with_goes_at_its_end_without_the_collector(monkeypatch, threads, kind):
    use(monkeypatch, kind)

    class Look(Callback):
        def begin(self, epochs, steps):
            for held in gc.get_objects():
                if isinstance(held, host.HostTrainer):
                    found.append(weakref.ref(held))

    x, y = data()
    net, found = network(), []
    gc.collect()
    gc.disable()
    try:
        net.fit(x, y, batch_size=128, threads=threads, callbacks=[Look()])
        assert found
        assert all(held() is None for held in found)
    finally:
        gc.enable()
