"""A new picture is prepared as those were that a network learnt from."""

from pathlib import Path

import numpy as np
import pytest

from purecnn import (
    Dense,
    Flatten,
    ImageFolder,
    Network,
    Preprocessing,
    Reshape,
    ShapeError,
    Softmax,
    datasets,
    load,
    save,
)
from purecnn.datasets import prepare_object
from purecnn.datasets.data_path import read_data
from purecnn.datasets.sources import SOURCES
from purecnn.errors import FileFormatError
from purecnn.networks.pictures import image_shape, prepared
from purecnn.runs import RECIPES, Run

Image = pytest.importorskip("PIL.Image")


def made_for(shape: tuple[int, ...], preparation: str = "unknown") -> Network:
    inputs = int(np.prod(shape))
    network = Network([Reshape(shape, (inputs,)), Dense(inputs, 2)])
    network.preprocessing.preparation = preparation
    return network


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (made_for((1, 28, 20)), (1, 28, 20)),
        (made_for((3, 28, 28)), (3, 28, 28)),
        (made_for((64,)), (1, 8, 8)),
        (made_for((49,)), None),
        (made_for((65,)), None),
        (Network([Flatten()]), None),
    ],
)
def test_what_images_a_network_takes(network: Network, shape: tuple[int, int, int] | None) -> None:
    assert image_shape(network) == shape


def test_a_character_is_fitted_and_another_picture_scaled(tmp_path: Path) -> None:
    path = tmp_path / "bar.png"
    paper = np.full((16, 16), 255, np.uint8)
    paper[2:6, 4:6] = 0
    Image.fromarray(paper).save(path)
    # by hand: 4 rows of 2 pixels fill 5 of 8 rows, bright on black, with the centre of mass at pixel 4
    digit = prepared(made_for((1, 8, 8), "character"), path)
    assert digit.shape == (1, 8, 8)
    assert np.flatnonzero(digit[0].any(axis=1)).tolist() == [2, 3, 4, 5, 6]
    assert digit.max() == 255
    assert np.array_equal(prepared(made_for((64,), "character"), path), digit.reshape(64))
    # by hand: pairs of rows and columns are averaged
    small = np.full((8, 8), 255)
    small[1:3, 2] = 0
    for preparation in ("unknown", "crop", "stretch"):
        picture = prepared(made_for((1, 8, 8), preparation), path)
        assert np.array_equal(picture, small[np.newaxis])
        assert np.array_equal(prepared(made_for((3, 8, 8), preparation), path), np.stack([small] * 3))
    assert np.array_equal(prepared(made_for((1, 8, 8), "crop"), path, "character"), digit)
    assert np.array_equal(prepared(made_for((1, 8, 8), "character"), path, "crop"), picture)
    # by hand: 4 rows of 2 pixels fill all 8 rows, bright on black, in the middle
    thing = prepared(made_for((1, 8, 8), "object"), path)
    assert np.array_equal(thing[0], np.pad(np.full((8, 4), 255), ((0, 0), (2, 2))))
    # the name of a file, its content and its pixels are prepared alike
    assert np.array_equal(prepared(made_for((1, 8, 8), "object"), path.read_bytes()), thing)
    assert np.array_equal(prepared(made_for((1, 8, 8), "object"), paper), thing)
    wide = np.pad(paper, ((0, 0), (4, 4)))  # whose black sides are cut off
    Image.fromarray(wide).save(path)
    assert np.array_equal(prepared(made_for((1, 8, 8), "crop"), path), picture)
    assert prepared(made_for((1, 8, 8), "stretch"), path)[0, :, 0].max() == 0


def test_an_object_keeps_its_greys_whatever_its_background() -> None:
    grey = np.full((30, 40), 20, np.uint8)
    grey[5:15, 10:30] = 120
    bright = prepare_object(255 - grey, 8, 8)
    assert np.array_equal(prepare_object(grey, 8, 8), bright)
    assert np.flatnonzero(bright.any(axis=1)).tolist() == [2, 3, 4, 5]
    assert set(bright[2:6].ravel().tolist()) == {round(100 * 255 / 235)}
    # one that is prepared already stays as it is
    assert np.array_equal(prepare_object(bright, 8, 8), bright)
    with pytest.raises(ValueError, match="the picture is blank: nothing in it stands out from its corners"):
        prepare_object(np.full((9, 9), 200, np.uint8), 8, 8)


def test_what_a_data_set_says_of_its_pictures_is_saved_with_what_learns_from_it(tmp_path: Path) -> None:
    for name, grey in (("dark", 20), ("light", 230)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (32, 28), (grey, grey, number)).save(tmp_path / "set" / name / f"{number}.png")
    network = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(3, 28, 32))
    network.fit(ImageFolder(tmp_path / "set", crop=False))
    assert network.preprocessing.preparation == "stretch"
    save(network, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").preprocessing.preparation == "stretch"
    sets = read_data(tmp_path / "set")
    assert sets.preparation == "crop"
    run = Run("tiny", RECIPES["tiny"], data=str(tmp_path / "set"))
    assert run.build(sets).preprocessing.preparation == "crop"
    assert datasets.load("mnist").preparation == "character"
    assert {SOURCES[name].preparation for name in ("fashion-mnist", "kmnist")} == {"object"}
    for wrong in ("centred", 3, None, ["crop"]):
        with pytest.raises(ValueError, match="preparation must be one of unknown, character, object, crop"):
            Preprocessing(preparation=wrong)  # type: ignore[arg-type]


def test_what_can_not_be_prepared_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (30, 30), 200).save(path)
    with pytest.raises(FileFormatError, match=r"blank\.png: the picture is blank"):
        prepared(made_for((1, 28, 28), "character"), path)
    assert np.all(prepared(made_for((1, 28, 28)), path, "crop") == 200)
    with pytest.raises(ShapeError, match=r"samples of shape \(2,\); for pictures \(1, height, width\) or "):
        prepared(made_for((2,)), path)
    with pytest.raises(ShapeError, match=r"samples of shape \(3, 8, 8\); of one character \(1, h, w\)"):
        prepared(made_for((3, 8, 8)), path, "character")
