"""Folders of pictures: classes in order, each picture brought to size, what is damaged named or skipped."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from purecnn import Dataset, Dense, Flatten, ImageFolder, Network, Softmax
from purecnn.datasets.data_path import read_data
from purecnn.datasets.folders import class_names, fitted
from purecnn.errors import FileFormatError
from purecnn.formats import picture_shape, read_picture

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of two, one and three grey pictures, and what is to be passed over."""
    for name, count in (("zebra", 2), ("ant", 1), ("Bee", 3)):
        for number in range(count):
            save(tmp_path / name / f"{number}.png", np.full((6, 8), 10 * count + number, np.uint8))
    (tmp_path / "README.txt").write_text("about", encoding="utf-8")
    (tmp_path / "ant" / ".hidden.png").write_text("no picture", encoding="utf-8")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_classes_and_pictures_in_the_order_of_their_names(folder: Path) -> None:
    found = ImageFolder(folder)
    assert found.classes == ("Bee", "ant", "zebra")
    assert [path.relative_to(folder).as_posix() for path in found.paths] == [
        "Bee/0.png",
        "Bee/1.png",
        "Bee/2.png",
        "ant/0.png",
        "zebra/0.png",
        "zebra/1.png",
    ]
    assert found.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert found.shape == (1, 6, 8)
    assert isinstance(found, Dataset)
    x, y = found.load()
    assert x.dtype == np.uint8
    assert x[:, 0, 0, 0].tolist() == [30, 31, 32, 10, 20, 21]
    assert y is found.labels
    assert found.batch(np.array([4, 0]))[:, 0, 3, 3].tolist() == [20, 30]


def test_a_network_learns_from_a_folder_as_from_its_arrays(tmp_path: Path) -> None:
    for name, rows in (("low", slice(4, 8)), ("high", slice(0, 4))):
        for number in range(20):
            pixels = RNG.integers(0, 60, (8, 8), dtype=np.uint8)
            pixels[rows] += 150
            save(tmp_path / name / f"{number:02}.png", pixels)
    held = ImageFolder(tmp_path)
    networks = [
        Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 8, 8)) for _ in range(2)
    ]
    networks[0].fit(held, epochs=5, batch_size=16, learning_rate=0.03, validation_split=0.2)
    networks[1].fit(*held.load(), epochs=5, batch_size=16, learning_rate=0.03, validation_split=0.2)
    assert networks[0].parameters.tobytes() == networks[1].parameters.tobytes()
    assert networks[0].evaluate(held)["accuracy"] == 1.0


def test_colour_grey_and_transparent_pictures(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    path = save(tmp_path / "a" / "1.png", colours)
    assert np.array_equal(read_picture(path, 3), colours)
    assert np.array_equal(read_picture(path, None), colours)
    assert read_picture(path).shape == (5, 4)
    grey = save(tmp_path / "a" / "2.png", colours[:, :, 0])
    assert np.array_equal(read_picture(grey, 3), np.repeat(colours[:, :, :1], 3, axis=2))
    assert np.array_equal(read_picture(grey, None), colours[:, :, 0])
    alpha = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
    clear = save(tmp_path / "a" / "3.png", np.dstack([colours, alpha]))
    share = alpha[:, :, None] / 255
    np.testing.assert_allclose(read_picture(clear, 3), colours * share + 255 * (1 - share), atol=0.51)
    wide = save(tmp_path / "a" / "4.png", (colours[:, :, 0].astype(np.uint16) * 257))
    assert np.array_equal(read_picture(wide, 3)[:, :, 2], colours[:, :, 0])
    found = ImageFolder(tmp_path)
    assert found.shape == (3, 5, 4)
    assert np.array_equal(found.batch(np.array([0]))[0], np.moveaxis(colours, 2, 0))
    assert ImageFolder(tmp_path, channels=1).load()[0].shape == (4, 1, 5, 4)


def test_jpeg_is_read(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.JPG", np.full((8, 8, 3), (200, 100, 50), np.uint8), quality=95)
    image = ImageFolder(tmp_path).load()[0][0]
    assert np.abs(image.astype(int) - np.array([200, 100, 50])[:, None, None]).max() <= 3


def area_mean(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average cells that tile the picture evenly, in plain loops."""
    down, across = plane.shape[0] // height, plane.shape[1] // width
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            result[i, j] = plane[i * down : (i + 1) * down, j * across : (j + 1) * across].mean()
    return result


def test_pictures_are_cropped_around_the_middle_or_stretched() -> None:
    pixels = RNG.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    cropped, stretched = fitted(pixels, 4, 4, True), fitted(pixels, 4, 4, False)
    for c in range(3):
        np.testing.assert_allclose(cropped[c], area_mean(pixels[:, 2:10, c], 4, 4), atol=0.501)
        np.testing.assert_allclose(stretched[c], area_mean(pixels[:, :, c], 4, 4), atol=0.501)
    # taller than wanted: rows go
    tall = fitted(pixels.transpose(1, 0, 2), 4, 4, True)
    np.testing.assert_allclose(tall[1], area_mean(pixels[:, 2:10, 1].T, 4, 4), atol=0.501)
    assert fitted(pixels, 8, 12, True).tobytes() == np.ascontiguousarray(np.moveaxis(pixels, 2, 0)).tobytes()
    assert (
        fitted(pixels[:1, :1], 3, 2, True).tolist()
        == np.tile(pixels[0, 0][:, None, None], (1, 3, 2)).tolist()
    )
    # a line of pixels has nothing to crop across
    assert fitted(pixels[:1], 2, 2, True).shape == (3, 2, 2)


@pytest.mark.parametrize(("size", "shape"), [(4, (1, 4, 4)), ((2, 3), (1, 2, 3)), (None, (1, 6, 8))])
def test_sizes(size: object, shape: tuple[int, ...], folder: Path) -> None:
    save(folder / "zebra" / "2.png", np.full((20, 20), 9, np.uint8))
    assert ImageFolder(folder, size).load()[0].shape == (7, *shape)  # type: ignore[arg-type]


def test_a_damaged_picture_is_named_by_whatever_reads_it(folder: Path) -> None:
    broken = folder / "zebra" / "1.png"
    broken.write_bytes(broken.read_bytes()[:-25])
    held = ImageFolder(folder)
    with pytest.raises(FileFormatError) as caught:
        held.load()
    assert str(caught.value).startswith(f"{broken}: ")
    network = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 6, 8))
    with pytest.raises(FileFormatError, match=r"1\.png: "):
        network.fit(held, batch_size=2)
    # the first one is read at once, for its size
    (folder / "Bee" / "0.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"0\.png: not a picture that Pillow knows"):
        ImageFolder(folder)


def test_damaged_pictures_are_skipped_and_named(folder: Path) -> None:
    for number in range(3, 10):
        (folder / "Bee" / f"{number}.png").write_text("no picture", encoding="utf-8")
    (folder / "zebra" / "notes.txt").write_text("notes", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"^skipped 8 of 14 files: ") as caught:
        held = ImageFolder(folder, on_error="skip")
    words = str(caught[0].message)
    assert words.endswith(" and 3 more")
    assert len(held) == 6
    assert len(held.skipped) == 8
    assert any(str(folder / "Bee" / "9.png") in words for words in held.skipped)
    assert any("notes.txt: is no picture by its name" in words for words in held.skipped)
    assert held.load()[0].shape == (6, 1, 6, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in (folder / "Bee").glob("[3-9].png"):
            path.unlink()
        (folder / "zebra" / "notes.txt").unlink()
        ImageFolder(folder, on_error="skip")


def test_links_that_lead_nowhere_are_damaged_pictures(folder: Path) -> None:
    (folder / "Bee" / "gone.png").symlink_to("nowhere.png")
    (folder / "Bee" / "round.png").symlink_to("round.png")
    with pytest.raises(
        FileFormatError, match=r"gone\.png: is a link that leads nowhere; a picture is wanted"
    ):
        ImageFolder(folder)
    with pytest.warns(UserWarning, match=r"^skipped 2 of \d+ files: .*gone\.png.*round\.png"):
        held = ImageFolder(folder, on_error="skip")
    assert held.load()[0].shape[0] == len(held)


def test_a_file_of_another_type_or_a_folder_in_a_class_is_refused(folder: Path) -> None:
    (folder / "ant" / "notes.txt").write_text("notes", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match=r"ant/notes\.txt: is no picture by its name; one that ends in \.bmp"
    ):
        ImageFolder(folder)
    (folder / "ant" / "notes.txt").unlink()
    (folder / "ant" / "more.png").mkdir()
    with pytest.raises(FileFormatError, match=r"ant/more\.png: is no picture by its name"):
        ImageFolder(folder)


def test_empty_classes_and_folders(folder: Path, tmp_path: Path) -> None:
    (folder / "ant" / "0.png").unlink()
    with pytest.raises(FileFormatError) as caught:
        ImageFolder(folder)
    assert str(caught.value) == f"{folder / 'ant'}: holds no picture; each class wants at least one"
    (tmp_path / "other" / ".git").mkdir(parents=True)
    with pytest.raises(
        FileFormatError, match="other: holds no folders; one folder of pictures for each class"
    ):
        ImageFolder(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="absent: there is no such folder; one that holds a folder a"):
        ImageFolder(tmp_path / "absent")
    (tmp_path / "void" / "a").mkdir(parents=True)
    with pytest.raises(FileFormatError, match=r"void: holds no picture that can be read$"):
        ImageFolder(tmp_path / "void", classes=["a"])


def test_another_folder_decides_the_classes(folder: Path) -> None:
    assert class_names(folder, ["zebra", "Bee", "ant", "owl", ".cache"]) == (
        "zebra",
        "Bee",
        "ant",
        "owl",
        ".cache",
    )
    held = ImageFolder(folder, classes=["zebra", "owl", "Bee", "ant"])
    assert held.labels.tolist() == [0, 0, 2, 2, 2, 3]
    with pytest.raises(FileFormatError) as caught:
        ImageFolder(folder, classes=["zebra", "Bee"])
    assert str(caught.value) == f"{folder / 'ant'}: is no class that is known; one of zebra, Bee is wanted"
    for twice in (
        ["zebra", "owl", "Bee", "ant", "owl"],
        ["zebra", "owl", "Bee", "ant", "caf\xe9", "cafe\u0301"],
    ):
        with pytest.raises(
            ValueError, match=r"^classes must name each class once, got zebra, owl, Bee, ant, "
        ):
            ImageFolder(folder, classes=twice)


def test_arguments(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^channels must be 1 for grey or 3 for colour, got 2$"):
        ImageFolder(folder, channels=2)
    with pytest.raises(ValueError, match=r"^on_error must be one of raise, skip, got 'ignore'$"):
        ImageFolder(folder, on_error="ignore")
    with pytest.raises(ValueError, match=r"^size must be at least 1, got 0$"):
        ImageFolder(folder, 0)


def test_colour_and_size_are_decided_by_all_files(tmp_path: Path) -> None:
    """Two classes that differ in colour alone, and whose first picture is grey and larger than the others."""
    for name, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        for number in range(3):
            save(tmp_path / name / f"{number}.png", np.full((6, 8, 3), colour, np.uint8))
    save(tmp_path / "blue" / "0.png", np.full((40, 30), 9, np.uint8))
    held = ImageFolder(tmp_path)
    assert (held.shape, held.sizes) == ((3, 6, 8), {(6, 8), (40, 30)})
    assert held.load()[0][1:, 2].max(axis=(1, 2)).tolist() == [200, 200, 0, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ImageFolder(tmp_path, on_error="skip").shape == (3, 6, 8)
    # the test set has colours, the training set none: both are read in colour
    for number in range(3):
        save(tmp_path / "sets" / "train" / "a" / f"{number}.png", np.full((4, 5), 7, np.uint8))
        save(tmp_path / "sets" / "test" / "a" / f"{number}.png", np.full((9, 9, 3), (1, 2, 3), np.uint8))
    sets = read_data(tmp_path / "sets")
    assert sets.train[0].shape == sets.test[0].shape == (3, 3, 4, 5)
    assert sets.notes == (
        f"{tmp_path / 'sets'} holds pictures of several sizes: all are brought to 4 x 5, their median",
    )


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "gif", "bmp", "webp", "ppm", "pgm"])
def test_a_header_tells_the_shape_that_reading_gives(kind: str, turned: bool, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (5, 9, 3), dtype=np.uint8)
    options = {"exif": b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}
    if kind in ("png", "jpg", "webp") and turned:
        path = save(tmp_path / f"a.{kind}", pixels, **options)
    elif kind == "tif" and turned:
        path = save(tmp_path / "a.tif", pixels, tiffinfo={274: 6})
    else:
        path = save(tmp_path / f"a.{kind}", pixels[:, :, 0] if kind == "pgm" else pixels)
    read = read_picture(path, None)
    assert picture_shape(path) == (3 if read.ndim == 3 else 1, *read.shape[:2])


def test_a_header_that_begins_late_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", RNG.integers(0, 256, (5, 9, 3), dtype=np.uint8))
    data = path.read_bytes()
    text = b"\xff\xfe" + (60_000).to_bytes(2, "big") + bytes(59_998)
    path.write_bytes(data[:2] + 5 * text + data[2:])
    assert picture_shape(path) == (3, 5, 9)
    path.write_bytes(data[:2] + 5 * text)
    with pytest.raises(FileFormatError, match=r"a\.jpg: "):
        picture_shape(path)


def test_what_systems_leave_in_folders_is_passed_over(folder: Path) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"):
        (folder / "ant" / name).write_bytes(b"something")
    (folder / "__MACOSX" / "ant").mkdir(parents=True)
    (folder / "__MACOSX" / "ant" / "._0.png").write_bytes(b"something")
    held = ImageFolder(folder)
    assert held.classes == ("Bee", "ant", "zebra")
    assert len(held) == 6


def test_names_in_both_forms_of_unicode_are_one(tmp_path: Path) -> None:
    composed, decomposed = "caf\xe9", "cafe\u0301"
    for place, name in (("train", composed), ("train", "tea"), ("test", decomposed), ("test", "tea")):
        for number in range(2):
            save(tmp_path / place / name / f"{number}.png", np.full((3, 3), number, np.uint8))
    sets = read_data(tmp_path)
    assert sets.classes == (composed, "tea")
    assert sets.test[1].tolist() == [0, 0, 1, 1]
    assert ImageFolder(tmp_path / "test", classes=[decomposed, "tea"]).classes == (composed, "tea")
    # where a disk has folders of both, they are one class
    save(tmp_path / "train" / decomposed / "2.png", np.full((3, 3), 2, np.uint8))
    if len(list((tmp_path / "train").iterdir())) == 3:
        assert ImageFolder(tmp_path / "train").labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"tea"):
        place = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
        for number in range(2):
            save(place / f"{number}.png", np.full((3, 3), number, np.uint8))
    held = ImageFolder(tmp_path)
    assert held.classes == (r"caf\xe9", "tea")
    assert held.load()[0].shape == (4, 1, 3, 3)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("training", "val"), ("Train", "Validation")])
def test_a_training_and_a_test_set_are_no_classes(train: str, test: str, tmp_path: Path) -> None:
    for place in (train, test):
        for name in ("a", "b"):
            save(tmp_path / place / name / "0.png", np.full((3, 3), 9, np.uint8))
    with pytest.raises(FileFormatError, match="holds a training and a test set; ImageFolder") as caught:
        ImageFolder(tmp_path)
    assert repr(str(tmp_path / train)) in str(caught.value)
    sets = read_data(tmp_path)
    assert (sets.classes, len(sets.train[0]), len(sets.test[0])) == (("a", "b"), 2, 2)
    # classes of these names stay classes
    for place in (train, test):
        save(tmp_path / "classes" / place / "0.png", np.full((3, 3), 9, np.uint8))
    assert ImageFolder(tmp_path / "classes").classes == tuple(sorted((train, test)))
