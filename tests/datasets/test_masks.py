"""Folders of pictures and masks: matched by name, brought to size alike, wrong ones named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from purecnn import Convolutional, Dataset, Network, Preprocessing, Softmax
from purecnn.datasets import MaskFolder
from purecnn.errors import FileFormatError
from purecnn.formats import read_mask

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def save(path: Path, pixels: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    image.save(path, **options)
    return path


def indexed(labels: Any) -> Any:
    """Return a picture with a palette."""
    image = Image.fromarray(labels)
    image.putpalette(RNG.integers(0, 256, 768).astype(np.uint8).tobytes())
    return image


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three grey pictures of 6 x 8, and their masks: grey values, a palette, 16 bits."""
    masks = RNG.integers(0, 3, (3, 6, 8)).astype(np.uint8)
    masks[:, 0, 0] = 255
    for name, mask, kept in zip("bac", masks, (masks[0], None, masks[2].astype(np.uint16)), strict=True):
        save(tmp_path / "x" / f"{name}.png", (mask * 50 + 20).astype(np.uint8))
        save(tmp_path / "y" / f"{name}.png", indexed(mask) if kept is None else kept)
    (tmp_path / "x" / ".hidden").write_text("no picture", encoding="utf-8")
    return tmp_path / "x", tmp_path / "y"


def test_pictures_and_masks_in_the_order_of_their_names(folders: tuple[Path, Path]) -> None:
    found = MaskFolder(*folders, ignore_label=255)
    assert isinstance(found, Dataset)
    assert [path.name for path in found.paths] == ["a.png", "b.png", "c.png"]
    assert [path.parent.name for path in found.mask_paths] == ["y"] * 3
    assert (found.shape, len(found), found.classes) == ((1, 6, 8), 3, ("0", "1", "2"))
    x, y = found.load()
    inside = y != 255
    assert (x[:, 0][inside] == 50 * y[inside] + 20).all()
    assert (~inside).sum() == 3
    assert np.array_equal(found.batch(np.array([2, 0])), x[[2, 0]])


def test_a_network_learns_from_it(folders: tuple[Path, Path]) -> None:
    found = MaskFolder(*folders, ignore_label=255, classes=["sky", "sea", "land"])
    layers = [Convolutional(kernel_size=1, depth=3), Softmax()]
    made = Network(layers, preprocessing=Preprocessing(classes=found.classes))
    made.fit(found, ignore_label=255, epochs=2, batch_size=2)
    alike = Network([Convolutional(kernel_size=1, depth=3), Softmax()])
    alike.fit(*found.load(), ignore_label=255, epochs=2, batch_size=2)
    assert np.array_equal(made.parameters, alike.parameters)
    assert made.task == "segmentation"
    assert made.preprocessing.preparation == "crop"
    assert made.evaluate(found, ignore_label=255) == alike.evaluate(*found.load(), ignore_label=255)


@pytest.mark.parametrize(("crop", "size"), [(True, (4, 4)), (False, (3, 4)), (True, (12, 16)), (False, 5)])
def test_both_are_brought_to_size_alike(tmp_path: Path, crop: bool, size: Any) -> None:
    halves = np.zeros((6, 8), np.uint8)
    halves[:, 4:] = 1
    save(tmp_path / "x" / "1.png", 200 * halves)
    save(tmp_path / "y" / "1.png", halves)
    x, y = MaskFolder(tmp_path / "x", tmp_path / "y", size, crop=crop).load()
    assert x.shape[2:] == y.shape[1:] == ((size, size) if isinstance(size, int) else size)
    assert np.array_equal(x[:, 0] > 100, y == 1) or size == 5  # whose middle is both
    assert set(np.unique(y)) == {0, 1}


def test_a_mask_takes_the_nearest_pixel(tmp_path: Path) -> None:
    save(tmp_path / "x" / "1.png", np.zeros((1, 4), np.uint8))
    save(tmp_path / "y" / "1.png", np.arange(4, dtype=np.uint8)[np.newaxis])
    places = tmp_path / "x", tmp_path / "y"
    assert MaskFolder(*places, (1, 3), crop=False).labels.tolist() == [[[0, 2, 3]]]
    assert MaskFolder(*places, (1, 8), crop=False).labels.tolist() == [[[0, 0, 1, 1, 2, 2, 3, 3]]]
    assert MaskFolder(*places, (1, 2)).labels.tolist() == [[[1, 2]]]


def test_masks_of_other_numbers(tmp_path: Path) -> None:
    mask = np.array([[0, 255], [128, 0]], np.uint8)
    save(tmp_path / "x" / "1.jpg", mask)
    save(tmp_path / "y" / "1.png", mask)
    places = tmp_path / "x", tmp_path / "y"
    found = MaskFolder(*places, values={0: 0, 255: 1, 128: -1}, ignore_label=-1)
    assert found.labels.tolist() == [[[0, 1], [-1, 0]]]
    with pytest.raises(FileFormatError, match=r"1.png: has the value 128, wanted one of 0, 255"):
        MaskFolder(*places, values={0: 0, 255: 1})
    with pytest.raises(
        FileFormatError, match="has the label 255, wanted one from 0 to 1, or 128, to be ignored"
    ):
        MaskFolder(*places, classes=["a", "b"], ignore_label=128)
    with pytest.raises(ValueError, match="0 to 65535, got -1"):
        MaskFolder(*places, values={-1: 0})
    with pytest.raises(ValueError, match=r"integers of 32 bits, got 0\.5"):
        MaskFolder(*places, ignore_label=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="channels must be 1 for grey or 3 for colour, got 2"):
        MaskFolder(*places, channels=2)


def test_what_does_not_belong_together_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, masks = folders
    small = save(masks / "d.png", np.zeros((6, 7), np.uint8))
    with pytest.raises(
        FileFormatError, match=r"d.png: has no picture; one of the same name is wanted in .*x"
    ):
        MaskFolder(*folders)
    save(pictures / "d.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(FileFormatError, match=r"y.d.png: has 6 x 7 pixels, and its picture .*x.d.png 6 x 8"):
        MaskFolder(*folders)
    small.unlink()
    with pytest.raises(FileFormatError, match=r"x.d.png: has no mask; one of the same name is wanted in .*y"):
        MaskFolder(*folders)
    save(pictures / "d.jpg", np.zeros((6, 8), np.uint8))
    with pytest.raises(FileFormatError, match=r"d.png: has the name of d.jpg; one of each name is wanted"):
        MaskFolder(*folders)
    (pictures / "d.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        MaskFolder(pictures, tmp_path / "z")
    (tmp_path / "z").mkdir()
    with pytest.raises(FileFormatError, match="z: holds no picture"):
        MaskFolder(pictures, tmp_path / "z")
    (tmp_path / "z" / "more").mkdir()
    with pytest.raises(FileFormatError, match="more: is no picture by its name"):
        MaskFolder(pictures, tmp_path / "z")


def test_a_mask_is_read_as_the_numbers_in_its_file(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [7, 255, 3]], np.uint8)
    for kind in ("png", "bmp", "tiff"):
        assert read_mask(save(tmp_path / f"grey.{kind}", labels)).tolist() == labels.tolist()
    for kind in ("png", "bmp"):
        assert read_mask(save(tmp_path / f"palette.{kind}", indexed(labels))).tolist() == labels.tolist()
    assert read_mask(save(tmp_path / "one.png", labels > 1)).tolist() == (labels > 1).astype(int).tolist()
    deep = read_mask(save(tmp_path / "deep.png", labels.astype(np.uint16) + 300))
    assert (deep.dtype, deep.tolist()) == (np.uint16, (labels.astype(int) + 300).tolist())
    assert read_mask(b"P2 2 1 65535 7 65535").tolist() == [[7, 65535]]
    for data, words in (
        (b"P5 2 1 9 \x01\x02", "P5 of values up to 9 is no mask of grey values"),
        (b"P6 1 1 255 abc", "P6 of values up to 255 is no mask"),
        (b"P4 1 1 \x80", "P4 of values up to 1 is no mask"),
    ):
        with pytest.raises(FileFormatError, match=words):
            read_mask(data)
    with pytest.raises(FileFormatError, match="JPEG may change the numbers, and a mask has one exact number"):
        read_mask(save(tmp_path / "grey.jpg", labels))
    with pytest.raises(FileFormatError, match="GIF may change the numbers"):
        read_mask(save(tmp_path / "grey.gif", labels))
    with pytest.raises(
        FileFormatError, match=r"colour.png: .*its pixels are RGB, and a mask has one exact number"
    ):
        read_mask(save(tmp_path / "colour.png", np.zeros((2, 2, 3), np.uint8)))
