"""What --data takes: names, IDX folders, folders of pictures, .npz files; and the commands around it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from purecnn import ImageFolder, load
from purecnn.cli.app import purecnn
from purecnn.datasets import mnist
from purecnn.datasets.catalog import Sets
from purecnn.datasets.data_path import named, read_data
from purecnn.datasets.sources import SOURCES, Source
from purecnn.errors import FileFormatError

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def stripes(count: int, classes: int = 3, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(count) % classes
    x = RNG.integers(0, 60, (count, size, size), dtype=np.uint8)
    for image, label in zip(x, y, strict=True):
        image[:, 5 * label : 5 * label + 3] += 150
    return x, y


def write_pictures(folder: Path, count: int, colour: bool = False) -> Path:
    x, y = stripes(count)
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        place = folder / ("left", "middle", "right")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.dstack([image] * 3) if colour else image).save(place / f"{number:03}.png")
    return folder


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(purecnn, [str(argument) for argument in arguments], prog_name="purecnn")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_folder_of_pictures_without_a_test_set(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 50)
    sets = read_data(folder)
    (x, y), (x_test, y_test) = sets
    assert x.shape == (40, 1, 16, 16)
    assert np.bincount(y_test).tolist() == [4, 3, 3]  # of 17, 17 and 16
    assert sets.classes == ("left", "middle", "right")
    assert sets.notes == (f"{folder} has no test set: 10 of its 50 images are set aside for it",)
    again = read_data(folder).test
    assert np.array_equal(again[0], x_test)
    assert np.array_equal(again[1], y_test)
    assert len(y) == 40


def test_folders_named_train_and_test(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", 30, colour=True)
    write_pictures(tmp_path / "test", 2)
    sets = read_data(tmp_path, shape=(8, 8))
    (x, _), (x_test, y_test) = sets
    assert x.shape == (30, 3, 8, 8)
    assert x_test.shape == (2, 3, 8, 8)
    assert y_test.tolist() == [0, 1]
    assert sets.classes == ("left", "middle", "right")
    assert sets.notes == ()
    (tmp_path / "test" / "left" / "broken.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"broken\.png: "):
        read_data(tmp_path)
    skipped = read_data(tmp_path, on_error="skip")
    assert len(skipped.notes) == 1
    assert skipped.notes[0].startswith(f"skipped {tmp_path / 'test' / 'left' / 'broken.png'}: ")
    grey = read_data(tmp_path, shape=(1, 4, 4), on_error="skip")
    assert grey.train[0].shape == (30, 1, 4, 4)


def test_npz_files(tmp_path: Path) -> None:
    x, y = stripes(30)
    np.savez(tmp_path / "all.npz", x=x, y=y, x_test=x[:3], y_test=y[:3])
    np.savez(tmp_path / "train.npz", x=x, y=y)
    np.savez(tmp_path / "values.npz", x=x, y=np.zeros((30, 2)))
    (found, labels), (x_test, _) = read_data(tmp_path / "all.npz")
    assert np.array_equal(found, x)
    assert np.array_equal(labels, y)
    assert np.array_equal(x_test, x[:3])
    divided = read_data(tmp_path / "train.npz")
    assert len(divided.train[0]) == 24
    assert len(divided.test[0]) == 6
    assert [y.shape for _, y in read_data(tmp_path / "values.npz")] == [(24, 2), (6, 2)]


def test_what_is_none_of_these(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        read_data("imagenet")
    assert str(caught.value).startswith(
        "imagenet: there is no such file or folder, and the names known are mnist, "
    )
    (tmp_path / "a.csv").write_text("1,2", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match=r"a\.csv: is neither a folder nor an \.npz file; one of these is"
    ):
        read_data(tmp_path / "a.csv")
    np.savez(tmp_path / "two.npz", x=np.zeros((2, 4, 4), np.uint8), y=np.arange(2))
    with pytest.raises(FileFormatError, match=r"two\.npz: holds 2 samples and no test set; at least 3 are"):
        read_data(tmp_path / "two.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="empty: holds no folders"):
        read_data(tmp_path / "empty")


def test_train_and_evaluate_on_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", 75, colour=True)
    (tmp_path / "pictures" / "left" / "broken.png").write_text("no picture", encoding="utf-8")
    options = ["--epochs", 3, "--batch-size", 20, "--threads", 1]
    refused = run("train", "--data", "pictures", *options)
    assert refused.exit_code == 2
    assert "broken.png: not a picture that Pillow knows" in refused.output
    result = run("train", "--data", "pictures", "--skip-damaged", "--image-size", 20, *options)
    assert result.exit_code == 0, result.output
    assert "skipped pictures/left/broken.png: not a picture" in result.output
    assert "pictures has no test set: 15 of its 75 images are set aside for it" in result.output
    model = "runs/pictures-lenet-0/model.safetensors"
    network = load(model)
    assert network.input_shape == (3, 20, 20)
    assert network.preprocessing.classes == ("left", "middle", "right")
    found = run("evaluate", model, "--data", "pictures", "--skip-damaged")
    assert found.exit_code == 0, found.output
    # the same 15 as in training, at the model's size, and the classes by their names
    accuracy = result.output.split("test accuracy ")[1].split(" %")[0]
    assert f"accuracy {accuracy} % on 15 images" in found.output
    assert "middle" in found.output
    # a new picture is prepared as those in the folder were
    folder = ImageFolder("pictures", size=20, channels=3, classes=("left", "middle", "right"))
    path, shares = folder.paths[40], network.predict(folder.batch([40]))[0]
    lines = run("predict", model, path).output.splitlines()
    assert lines[0] == f"{path}: {('left', 'middle', 'right')[shares.argmax()]}"
    assert [line.split()[1] for line in lines[1:]] == [f"{100 * share:.2f}" for share in shares]


def test_one_class_is_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("same.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.zeros(20, int))
    result = run("train", "--data", "same.npz")
    assert result.exit_code == 2
    assert "Error: same.npz: holds one class; two or more are wanted\n" in result.output


def test_a_name_that_is_not_here_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURECNN_DATA", str(tmp_path))
    result = run("train", "--data", "kmnist")
    assert result.exit_code == 2
    assert "`purecnn download kmnist` fetches it (21 MB), or name the folder that holds it" in result.output


def test_the_command_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURECNN_DATA", str(tmp_path / "cache"))
    assert "is not one of 'fashion-mnist', 'kmnist'" in run("download", "mnist").output
    source = SOURCES["kmnist"]
    for name in source.wanted():
        (tmp_path / name).write_bytes(b"")
    assert (
        run("download", "kmnist", "--folder", tmp_path).output == f"kmnist: {tmp_path}\n"
    )  # it is all there
    monkeypatch.setitem(
        SOURCES, "kmnist", Source("kmnist", source.classes, "http://example.invalid/", source.files)
    )
    refused = run("download", "kmnist")
    assert refused.exit_code == 2
    assert (
        "http://example.invalid/train-images-idx3-ubyte.gz: an address that begins with https://"
        in refused.output
    )


def test_mnist_is_known_by_its_labels(tmp_path: Path) -> None:
    (x, y), test = mnist.load_data()
    sets = named(Sets((x, y), test))
    assert (sets.classes, sets.preparation) == (tuple("0123456789"), "character")
    # others may be of anything
    write = np.zeros(6, np.uint8).tobytes()
    for part in ("train", "t10k"):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / f"{part}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 1]) + write
        )
        (tmp_path / "other" / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1, 0, 0, 0, 6]) + write
        )
    sets = read_data(tmp_path / "other")
    assert (sets.classes, sets.preparation) == ((), "unknown")
