"""The package's MNIST is the published one, and `preprocess_data` does what the original program did."""

import gzip
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from purecnn import ShapeError
from purecnn.datasets.mnist import load_data, preprocess_data
from purecnn.formats.idx import Samples

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture(scope="module")
def mnist() -> tuple[Samples, Samples]:
    return load_data()


# --- the data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHA256)
def test_checksums(name: str) -> None:
    own = resources.files("purecnn.datasets") / "files" / "mnist"
    assert hashlib.sha256(gzip.decompress((own / f"{name}.gz").read_bytes())).hexdigest() == SHA256[name]
    assert SHA256[name] in (own / "SOURCE.md").read_text(encoding="utf-8")


def test_load_data(mnist: tuple[Samples, Samples]) -> None:
    (x_train, y_train), (x_test, y_test) = mnist
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    # the counts of each digit, as published
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_load_data_gives_arrays_of_its_caller_s_own(mnist: tuple[Samples, Samples]) -> None:
    (_, y_train), _ = load_data()
    y_train[:] = 77
    assert mnist[0][1][0] == 5


def test_load_data_from_a_folder(tmp_path: Path) -> None:
    for part, label in (("train", 3), ("t10k", 4)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, *[0, 0, 0, 1] * 3, 9]))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, label]))
    (x_train, y_train), (_, y_test) = load_data(tmp_path)
    assert x_train.tolist() == [[[9]]]
    assert y_train.tolist() == [3]
    assert y_test.tolist() == [4]


def test_load_data_from_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_data(tmp_path / "absent")


# --- preprocess_data ---------------------------------------------------------------------------------------


def naive_preprocess(
    x: np.ndarray, y: np.ndarray, limit: int, classes: tuple[int, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The original's preparation, in plain loops."""
    samples = []
    for row, value in enumerate(classes):
        taken = 0
        for image, label in zip(x, y, strict=True):
            if label == value and taken < limit:
                column = np.zeros((len(classes), 1), np.float32)
                column[row] = 1
                samples.append((image.astype(np.float32)[np.newaxis] / np.float32(255), column))
                taken += 1
    order = np.random.default_rng(seed).permutation(len(samples))
    return np.stack([samples[i][0] for i in order]), np.stack([samples[i][1] for i in order])


@pytest.mark.parametrize(
    ("limit", "classes", "seed"), [(100, (0, 1), 0), (7, (1, 0), 3), (5, tuple(range(10)), 1), (1, (8,), 0)]
)
def test_like_plain_loops(
    mnist: tuple[Samples, Samples], limit: int, classes: tuple[int, ...], seed: int
) -> None:
    x, y = mnist[1][0][:1500], mnist[1][1][:1500]
    got_x, got_y = preprocess_data(x, y, limit, classes, seed)
    wanted_x, wanted_y = naive_preprocess(x, y, limit, classes, seed)
    assert got_x.shape == (limit * len(classes), 1, 28, 28)
    assert got_y.shape == (limit * len(classes), len(classes), 1)
    assert got_x.dtype == got_y.dtype == np.float32
    np.testing.assert_array_equal(got_x, wanted_x)
    np.testing.assert_array_equal(got_y, wanted_y)


def test_the_original_s_experiment(mnist: tuple[Samples, Samples]) -> None:
    x, y = preprocess_data(*mnist[0], 100)
    assert x.shape == (200, 1, 28, 28)
    assert x.max() == 1
    assert y.sum(axis=0).tolist() == [[100], [100]]
    # permuted: neither half is of one class
    assert 20 < y[:100, 0].sum() < 80
    again = preprocess_data(*mnist[0], 100)
    np.testing.assert_array_equal(x, again[0])
    assert not np.array_equal(x, preprocess_data(*mnist[0], 100, seed=1)[0])


def test_a_class_with_less_than_limit_gives_all_it_has() -> None:
    x, y = preprocess_data(np.zeros((3, 2, 2), np.uint8), np.array([4, 4, 6]), np.int64(2), classes=[4, 6])
    assert len(x) == 3
    assert y.sum(axis=0).tolist() == [[2], [1]]


IMAGES = np.zeros((4, 2, 2), np.uint8)
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("change", "error", "wanted"),
    [
        ({"limit": 0}, ValueError, "limit must be an integer of at least 1, got 0"),
        ({"limit": -5}, ValueError, "limit must be an integer of at least 1, got -5"),
        ({"limit": 2.0}, TypeError, "limit must be an integer of at least 1, got 2.0"),
        ({"limit": True}, TypeError, "limit must be an integer of at least 1, got True"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be an integer of at least 0, got None"),
        ({"classes": (0, 5)}, ValueError, "y must hold each of the classes (0, 5), got no label 5"),
        ({"classes": (0, 0)}, ValueError, "classes must name each class once, got (0, 0)"),
        ({"classes": ()}, TypeError, "classes must be integers such as (0, 1), got ()"),
        ({"classes": 2}, TypeError, "classes must be integers such as (0, 1), got 2"),
        ({"classes": "01"}, TypeError, "classes must be integers such as (0, 1), got '01'"),
        ({"x": IMAGES[0]}, ShapeError, "x must have shape (n, height, width), got (2, 2)"),
        ({"y": LABELS[:3]}, ShapeError, "y must have shape (4,), one label for each image, got (3,)"),
        (
            {"y": np.eye(2, dtype=int)[LABELS]},
            ShapeError,
            "y must have shape (4,), one label for each image, got (4, 2)",
        ),
        ({"x": IMAGES / 255}, TypeError, "x must be of type uint8, got float64"),
        ({"y": LABELS * 1.0}, TypeError, "y must be of an integer type, got float64"),
    ],
)
def test_refusals(change: dict[str, Any], error: type[Exception], wanted: str) -> None:
    arguments: dict[str, Any] = {"x": IMAGES, "y": LABELS, "limit": 2} | change
    with pytest.raises(error) as caught:
        preprocess_data(**arguments)
    assert str(caught.value) == wanted
