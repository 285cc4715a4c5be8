"""Data outside of memory: the same bits as from memory, read ahead by a thread, and never all at once."""

import threading
import time
import tracemalloc

import numpy as np
import pytest

from helpers.waiting import PATIENCE
from purecnn import (
    Augmentation,
    Convolutional,
    Dataset,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
)
from purecnn.backend.checks import PIECE, as_array
from purecnn.datasets import Subset
from purecnn.training.prefetcher import Prefetcher
from purecnn.training.rows import Rows


class Listed:
    """A data set that reads its samples from arrays, and keeps count of how it was asked."""

    def __init__(self, x, y):
        self.x, self.labels = x, y
        self.asked, self.threads = [], set()

    def __len__(self):
        return len(self.x)

    def batch(self, rows):
        self.asked.append(list(rows))
        self.threads.add(threading.current_thread().name)
        return self.x[rows]


def digits(samples, size=12):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, samples)
    images = rng.integers(0, 60, (samples, size, size))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 3] += 150
    return images.astype(np.uint8), labels


def small(dtype=np.float32):
    layers = [Convolutional(kernel_size=3, depth=4), ReLU(), MaxPooling(2), Flatten(), Dense(output_size=4)]
    return Network([*layers, Softmax()], dtype=dtype)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [16, 100, 500])
def test_same_bits_as_from_memory(batch_size, threads):
    x, y = digits(230)
    memory, outside, change = small(), small(), Augmentation(shift=2, rotate=10, erase=3)
    shared = {"epochs": 2, "batch_size": batch_size, "augmentation": change}
    kept = memory.fit(x, y, **shared, threads=1, validation_data=(x[:50], y[:50]))
    held = (Listed(x[:50], y[:50]), y[:50])
    found = outside.fit(Listed(x, y), **shared, threads=threads, validation_data=held)
    assert outside.parameters.tobytes() == memory.parameters.tobytes()
    assert found.loss == kept.loss
    assert found.validation_loss == kept.validation_loss
    assert np.array_equal(outside.predict(Listed(x, y)), memory.predict(x))
    assert outside.evaluate(Listed(x, y)) == memory.evaluate(x, y)


def test_same_bits_from_files_on_disk(tmp_path):
    x, y = digits(230)
    np.save(tmp_path / "x.npy", x)
    x.tofile(tmp_path / "x.raw")
    maps = (
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        np.memmap(tmp_path / "x.raw", np.uint8, "r", 0, x.shape),
    )
    wanted = small()
    wanted.fit(x, y, batch_size=100)
    for array in maps:
        for threads in (1, 2):
            network = small()
            network.fit(array, y, batch_size=100, threads=threads)
            assert network.parameters.tobytes() == wanted.parameters.tobytes()


def test_validation_split_and_order_are_those_of_memory():
    x, y = digits(100)
    memory, outside, listed = small(), small(), Listed(x, y)
    memory.fit(x, y, epochs=2, batch_size=20, validation_split=0.2)
    outside.fit(listed, epochs=2, batch_size=20, validation_split=0.2)
    assert outside.parameters.tobytes() == memory.parameters.tobytes()


def test_a_thread_reads_ahead_and_every_sample_once_an_epoch():
    x, y = digits(100)
    listed = Listed(x, y)
    small().fit(listed, batch_size=32, threads=1)
    first, *batches = listed.asked
    assert first == [0]  # the shape of a sample
    assert [len(rows) for rows in batches] == [32, 32, 32, 4]
    assert sorted(row for rows in batches for row in rows) == list(range(100))
    assert {name.split("_")[0] for name in listed.threads} == {"MainThread", "purecnn-reader"}


def test_what_is_read_ahead_are_the_samples_that_were_named_though_their_array_changes():
    may_read = threading.Event()

    class Slow(Listed):
        def batch(self, rows):
            if threading.current_thread() is not threading.main_thread():
                assert may_read.wait(PATIENCE)
            return super().batch(rows)

    x, y = digits(8)
    ahead = Prefetcher(Rows(Slow(x, y)), 2, np.zeros)
    following = np.array([2, 3])
    ahead.places(np.array([0, 1]), following)
    following[:] = 6, 7
    may_read.set()
    places = ahead.places(np.array([2, 3]), np.array([], np.int64))
    assert (ahead.buffer[places] == x[[2, 3]].reshape(2, -1)).all()
    ahead.close()


def test_the_next_batch_is_read_while_this_one_is_at_work():
    reading, done = threading.Event(), threading.Event()

    class Slow(Listed):
        def batch(self, rows):
            if list(rows) == [3, 4]:
                reading.set()
                assert done.wait(PATIENCE)
            return super().batch(rows)

    x = np.arange(10)[:, None]
    ahead = Prefetcher(Rows(Slow(x, x)), 2, np.zeros)
    places = ahead.places(np.array([1, 2]), np.array([3, 4]))
    assert reading.wait(PATIENCE)
    assert ahead.buffer[places].ravel().tolist() == [1, 2]
    done.set()
    assert ahead.buffer[ahead.places(np.array([3, 4]), np.array([]))].ravel().tolist() == [3, 4]
    ahead.close()


def test_what_was_read_ahead_in_vain_does_no_harm():
    class Bad(Listed):
        def batch(self, rows):
            if 9 in rows:
                raise OSError("sample 9 can't be read")
            return super().batch(rows)

    x = np.arange(10)[:, None]
    ahead = Prefetcher(Rows(Bad(x, x)), 2, np.zeros)
    ahead.places(np.array([1, 2]), np.array([9, 4]))
    assert ahead.buffer[ahead.places(np.array([5, 6]), np.array([9, 7]))].ravel().tolist() == [5, 6]
    with pytest.raises(OSError, match="sample 9 can't be read"):
        ahead.places(np.array([9, 7]), np.array([1, 2]))
    assert ahead.buffer[ahead.places(np.array([1, 2]), np.array([]))].ravel().tolist() == [1, 2]
    ahead.close()


def test_what_is_still_read_in_vain_is_waited_for():
    """It is written into the same memory as what is asked for in its place."""

    class Late(Prefetcher):
        def _read(self, rows, half):
            if list(rows) == [3, 4]:
                time.sleep(0.1)
            super()._read(rows, half)

    x = np.arange(10)[:, None]
    ahead = Late(Rows(Listed(x, x)), 2, np.zeros)
    ahead.places(np.array([1, 2]), np.array([3, 4]))
    places = ahead.places(np.array([5, 6]), np.array([]))
    ahead.close()
    assert ahead.buffer[places].ravel().tolist() == [5, 6]


def test_a_sample_that_can_t_be_read_ends_training_before_its_step():
    class Bad(Listed):
        def batch(self, rows):
            if len(self.asked) == 3:
                raise OSError("the disk is gone")
            return super().batch(rows)

    x, y = digits(100)
    network, same = small(), small()
    with pytest.raises(OSError, match="the disk is gone"):
        network.fit(Bad(x, y), batch_size=32, threads=2)
    assert network.updates == 2
    assert not any(thread.name.startswith("purecnn-reader") for thread in threading.enumerate())
    same.fit(x, y, batch_size=32)
    assert same.updates == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_training_from_disk_takes_no_more_memory_than_its_batches(tmp_path, dtype):
    """A set of 64 MiB and more; all that is allocated at once stays below a quarter of the smaller one."""
    shape, path = (16_384, 1, 64, 64), tmp_path / "x.raw"
    with path.open("wb") as file:
        file.truncate(int(np.prod(shape)) * np.dtype(dtype).itemsize)  # a hole: it takes no room on the disk
    x, y = np.memmap(path, dtype, "r", 0, shape), np.arange(shape[0]) % 2
    network = Network([Flatten(), Dense(output_size=2), Softmax()])
    PIECES = PIECE if dtype == np.float32 else 0
    tracemalloc.start()
    network.fit(x, y, batch_size=256, threads=1, shuffle=False, validation_split=0.01)
    network.evaluate(x, y, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20 + PIECES // 4  # the check of floats holds one byte for each float of a piece
    assert x.nbytes >= 64 * 2**20


def test_floats_are_checked_piece_by_piece(monkeypatch):
    monkeypatch.setattr("purecnn.backend.checks.PIECE", 64)
    values = np.zeros((40, 3))
    values[33, 1] = np.nan
    with pytest.raises(ValueError, match=r"^x must be finite, got nan at \(33, 1\)$"):
        as_array("x", values)
    values[33, 1], values[0, 2] = 0, np.inf
    with pytest.raises(ValueError, match=r"^x must be finite, got inf at \(0, 2\)$"):
        as_array("x", values)
    values[0, 2] = 0
    assert as_array("x", values) is values


def test_what_counts_as_a_data_set():
    x, y = digits(4)
    assert isinstance(Listed(x, y), Dataset)
    assert isinstance(Subset(x, [1, 2], y[:2]), Dataset)
    assert not isinstance(x, Dataset)
    assert not isinstance([1, 2], Dataset)


def test_a_subset_of_a_subset():
    x, y = digits(10)
    inner = Subset(Subset(x, [8, 6, 4, 2], y[[8, 6, 4, 2]]), [3, 1])
    assert inner.labels.tolist() == y[[2, 6]].tolist()
    assert np.array_equal(inner.batch(np.array([1, 0])), x[[6, 2]])
    assert len(inner) == 2


class Wrong(Listed):
    """Answer the first question, of one sample, rightly, and the others by a function."""

    def __init__(self, answer):
        super().__init__(*digits(8))
        self.answer = answer

    def batch(self, rows):
        return super().batch(rows) if len(rows) == 1 else self.answer(self.x[rows])


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            lambda x: x[1:],
            ShapeError,
            "Wrong.batch must return 4 samples for as many numbers, got an array of shape (3, 12, 12)",
        ),
        (
            lambda x: x[:, 1:],
            ShapeError,
            "Wrong.batch must return samples alike at every call, uint8 of shape (12, 12); "
            "got uint8 samples of shape (11, 12)",
        ),
        (
            lambda x: x / 255,
            ShapeError,
            "Wrong.batch must return samples alike at every call, uint8 of shape (12, 12); "
            "got float64 samples of shape (12, 12)",
        ),
        (
            lambda x: x + np.nan,
            ValueError,
            "the batch of Wrong must be finite, got nan at (0, 0, 0)",
        ),
        (
            lambda x: 5,
            ShapeError,
            "Wrong.batch must return 4 samples for as many numbers, got an array of shape ()",
        ),
    ],
)
def test_refusals_of_batches(answer, error, words):
    with pytest.raises(error) as caught:
        small().fit(Wrong(answer), batch_size=4, threads=1)
    assert str(caught.value) == words


def test_refusals_of_sets():
    x, y = digits(8)
    with pytest.raises(ValueError, match=r"^x must hold at least one sample, got Listed of none$"):
        small().fit(Listed(x[:0], y[:0]))
    with pytest.raises(
        TypeError, match=r"^y is missing: only a Dataset that has labels may leave it out; x is "
    ):
        small().fit(x)
    with pytest.raises(TypeError, match=r"^y is missing: only a Dataset"):
        small().evaluate(x)
    with pytest.raises(
        ValueError, match=r"^x and y must have as many samples, got 8 in x and y of shape \(5,\)"
    ):
        small().fit(Listed(x, y[:5]))
    network = small()
    network.fit(x, y)
    with pytest.raises(TypeError, match="this network knows bytes"):
        network.predict(Listed(x / 255, y))
    with pytest.raises(ShapeError, match=r"x must have shape .*, got \(1, 5, 5\)"):
        network.predict(Listed(x[:, :5, :5], y))
