"""Threads: shards cut by the batch alone, sums in one tree, and a process left as it was found."""

import os
import sys
import threading
import warnings

import numpy as np
import pytest

from helpers.waiting import PATIENCE
from helpers.workers import use
from purecnn import Callback, Dense, Network, Sigmoid, Softmax
from purecnn.backend import blas
from purecnn.backend.sharding import add_tree, shard_bounds, shard_count
from purecnn.backend.threads import ThreadPool


@pytest.mark.parametrize("batch_size", [1, 7, 31, 32, 33, 64, 100, 128, 1000, 4096])
def test_shards_are_a_power_of_two_of_at_least_sixteen_samples(batch_size):
    shards = shard_count(batch_size)
    assert shards & (shards - 1) == 0
    assert shards == 1 or batch_size // shards >= 16


@pytest.mark.parametrize(("samples", "shards"), [(128, 2), (96, 2), (5, 8), (1, 4), (257, 4)])
def test_shard_bounds_cover_the_batch_once_and_none_is_empty(samples, shards):
    bounds = shard_bounds(samples, shards)
    assert [i for first, last in bounds for i in range(first, last)] == list(range(samples))
    assert all(first < last for first, last in bounds)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_add_tree_adds_neighbours_first(count):
    terms = [np.array([f"{i}"], dtype=object) for i in range(count)]

    class Name(str):
        __slots__ = ()

        def __add__(self, other):
            return Name(f"({self}+{other})")

    terms = [np.array([Name(i)], dtype=object) for i in range(count)]
    add_tree(terms)
    wanted = {
        1: "0",
        2: "(0+1)",
        3: "((0+1)+2)",
        4: "((0+1)+(2+3))",
        5: "(((0+1)+(2+3))+4)",
        8: "(((0+1)+(2+3))+((4+5)+(6+7)))",
    }
    assert terms[0][0] == wanted[count]


def test_add_tree_of_a_stretch_leaves_the_rest():
    terms = [np.ones(4), np.ones(4)]
    add_tree(terms, slice(1, 3))
    assert terms[0].tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_team_does_every_job_once(threads):
    done = []
    with ThreadPool(threads, lambda worker, job: done.append(job)) as pool:
        for _ in range(50):
            pool.run(7)
    assert sorted(done) == sorted(list(range(7)) * 50)


def test_the_caller_works_too():
    workers = set()
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def job(worker, number):
        barrier.wait()
        workers.add((worker, threading.current_thread() is threading.main_thread()))

    with ThreadPool(2, job) as pool:
        pool.run(2)
    assert workers == {(0, True), (1, False)}


@pytest.mark.parametrize("failing", [0, 3])
def test_an_exception_in_a_job_reaches_the_caller_and_the_team_goes_on(failing):
    done = []

    def job(worker, number):
        if number == failing and len(done) < 20:
            raise KeyError(number)
        done.append(number)

    with ThreadPool(3, job) as pool:
        for _ in range(3):
            with pytest.raises(KeyError, match=str(failing)):
                pool.run(4)
        done[:] = [9] * 20
        pool.run(4)
    assert sorted(done[20:]) == [0, 1, 2, 3]


def test_of_several_exceptions_the_lowest_number_is_raised():
    barrier = threading.Barrier(2, timeout=PATIENCE)

    def job(worker, number):
        barrier.wait()
        raise ValueError(str(number))

    with ThreadPool(2, job) as pool, pytest.raises(ValueError, match="0"):
        pool.run(2)


def test_no_thread_outlives_its_team():
    before = set(threading.enumerate())  # those of others may end meanwhile
    with ThreadPool(4, print):
        assert len(set(threading.enumerate()) - before) == 3
    assert set(threading.enumerate()) <= before


# The process is left as it was found -----------------------------------------------------------------------


def blas_threads():
    """Return BLAS's thread count."""
    get = blas.control().get
    return get()


needs_control = pytest.mark.skipif(not blas.can_be_told(), reason="this BLAS can't be told its thread count")


@pytest.fixture
def three_blas_threads():
    """Give BLAS three threads, so that a count not restored is seen on any machine."""
    get, put, _ = blas.control()
    before = get()
    put(3)
    yield
    put(before)


@needs_control
@pytest.mark.usefixtures("three_blas_threads")
def test_blas_has_one_thread_inside_and_what_it_had_before_outside():
    with blas.single_threaded():
        assert blas_threads() == 1
        with blas.single_threaded():
            assert blas_threads() == 1
        assert blas_threads() == 1
    assert blas_threads() == 3
    with pytest.raises(RuntimeError), blas.single_threaded():
        raise RuntimeError
    assert blas_threads() == 3


def xor(seed=0):
    """Return a small network and data."""
    rng = np.random.default_rng(seed)
    x = rng.random((200, 2))
    network = Network([Dense(2, 8), Sigmoid(), Dense(8, 2), Softmax()], seed=seed)
    return network, x, (x[:, 0] > x[:, 1]).astype(int)


class Fail(Callback):
    """Raise in the middle of a fit."""

    def step(self, epoch, step, loss):
        if step == 2:
            raise RuntimeError("in the middle")


@needs_control
@pytest.mark.usefixtures("three_blas_threads")
def test_fit_and_predict_leave_the_process_as_they_found_it():
    network, x, y = xor()
    threads, size = set(threading.enumerate()), np.getbufsize()
    network.fit(x, y, batch_size=64, threads=2)
    network.predict(x, threads=2)
    with pytest.raises(RuntimeError, match="in the middle"):
        network.fit(x, y, batch_size=64, threads=2, callbacks=[Fail()])
    assert (blas_threads(), np.getbufsize()) == (3, size)
    assert set(threading.enumerate()) <= threads


@needs_control
@pytest.mark.usefixtures("three_blas_threads")
def test_an_exception_inside_a_worker_leaves_it_too():
    class Broken(Sigmoid):
        def backward(self, output_gradient):
            raise ZeroDivisionError("inside a worker")

    _, x, y = xor()
    network = Network([Dense(2, 8), Broken(), Dense(8, 2), Softmax()])
    threads = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError, match="inside a worker"):
        network.fit(x, y, batch_size=64, threads=2)
    assert blas_threads() == 3
    assert set(threading.enumerate()) <= threads


def test_two_fits_at_once_give_the_bits_of_two_fits_in_turn():
    def run(seed, found):
        network, x, y = xor(seed)
        network.fit(x, y, epochs=20, batch_size=64, threads=2)
        found[seed] = network.parameters.tobytes()

    alone, together = {}, {}
    for seed in range(4):
        run(seed, alone)
    threads = [threading.Thread(target=run, args=(seed, together)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == together


def test_predict_from_eight_threads_at_once():
    network, x, _ = xor()
    wanted = network.predict(x, threads=1)
    lone = [network.predict(sample[np.newaxis]) for sample in x[:20]]
    failures = []

    def ask():
        for _ in range(20):
            if not np.array_equal(network.predict(x, threads=2), wanted):
                failures.append("batch")
            for sample, answer in zip(x[:20], lone, strict=True):
                if not np.array_equal(network.predict(sample[np.newaxis]), answer):
                    failures.append("lone")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_predict_gives_the_same_bits_at_any_number_of_threads():
    network, _, _ = xor()
    x = np.random.default_rng(1).random((1000, 2))
    found = [network.predict(x, threads=threads).tobytes() for threads in (1, 2, 4)]
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_after_threads_can_train():
    network, x, y = xor()
    network.fit(x, y, batch_size=64, threads=2)
    network.predict(x, threads=2)
    wanted, _, _ = xor()
    wanted.fit(x, y, epochs=2, batch_size=64, threads=2)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking beside threads, on newer Pythons
        child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            network.fit(x, y, batch_size=64, threads=2)
            os.write(writing, b"same" if np.array_equal(network.parameters, wanted.parameters) else b"differ")
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 100) == b"same"
    os.waitpid(child, 0)


# A BLAS that can't be told ---------------------------------------------------------------------------------


@pytest.fixture
def deaf_blas(monkeypatch):
    """Pretend that no BLAS is found."""
    monkeypatch.setattr(blas, "_control", None)
    monkeypatch.setattr(blas, "_looked", True)


@pytest.mark.usefixtures("deaf_blas")
def test_a_blas_that_cant_be_told_gives_one_worker_and_one_sentence(monkeypatch):
    use(monkeypatch, "threads")  # processes begin with one thread
    network, x, y = xor()
    threads = set()

    class Count(Callback):
        def step(self, epoch, step, loss):
            threads.update(threading.enumerate())

    before = set(threading.enumerate())
    with pytest.warns(UserWarning, match="one worker runs, and the same seed may not give the same bits"):
        network.fit(x, y, batch_size=64, threads=4, callbacks=[Count()])
    assert threads
    assert threads <= before


def test_blas_is_looked_for_in_threadpoolctl_when_numpys_own_is_not_found(monkeypatch):
    class Pool:
        def get_num_threads(self):
            return 5

        def set_num_threads(self, count):
            self.count = count

    class Controller:
        def select(self, user_api):
            assert user_api == "blas"
            self.lib_controllers = [Pool()]
            return self

    module = type(sys)("threadpoolctl")
    module.ThreadpoolController = Controller
    module.__spec__ = object()
    monkeypatch.setitem(sys.modules, "threadpoolctl", module)
    monkeypatch.setattr(blas, "_libraries", lambda: iter(()))
    get, put, _ = blas._find()
    assert get() == 5
    put(1)
    Controller.select = lambda self, user_api: type("None", (), {"lib_controllers": []})()
    assert blas._find() is None
