"""A new picture is prepared as those were that a network learnt from."""

from pathlib import Path

import numpy as np
import pytest

from purecnn import Dense, Flatten, Network, Reshape
from purecnn.errors import FileFormatError, ShapeError
from purecnn.preparation import image_shape, knows_characters, prepared

Image = pytest.importorskip("PIL.Image")


def made_for(shape: tuple[int, ...], *classes: str) -> Network:
    inputs = int(np.prod(shape))
    network = Network([Reshape(shape, (inputs,)), Dense(inputs, 2)])
    network.preprocessing.classes = classes
    return network


@pytest.mark.parametrize(
    ("network", "shape", "characters"),
    [
        (made_for((1, 28, 28)), (1, 28, 28), True),
        (made_for((1, 28, 28), "7", "Q"), (1, 28, 28), True),
        (made_for((1, 28, 28), "shirt", "Q"), (1, 28, 28), False),
        (made_for((1, 28, 20)), (1, 28, 20), False),
        (made_for((3, 28, 28)), (3, 28, 28), False),
        (made_for((64,)), (1, 8, 8), True),
        (made_for((49,)), None, False),
        (made_for((65,)), None, False),
        (Network([Flatten()]), None, False),
    ],
)
def test_what_a_network_was_made_for(
    network: Network, shape: tuple[int, int, int] | None, characters: bool
) -> None:
    assert image_shape(network) == shape
    assert knows_characters(network) is characters


def test_a_character_is_fitted_and_another_picture_scaled(tmp_path: Path) -> None:
    path = tmp_path / "bar.png"
    paper = np.full((16, 16), 255, np.uint8)
    paper[2:6, 4:6] = 0
    Image.fromarray(paper).save(path)
    # by hand: 4 rows of 2 pixels fill 5 of 8 rows, bright on black, with the centre of mass at pixel 4
    digit = prepared(made_for((1, 8, 8)), path)
    assert digit.shape == (1, 8, 8)
    assert np.flatnonzero(digit[0].any(axis=1)).tolist() == [2, 3, 4, 5, 6]
    assert digit.max() == 255
    assert np.array_equal(prepared(made_for((64,)), path), digit.reshape(64))
    # by hand: pairs of rows and columns are averaged
    small = np.full((8, 8), 255)
    small[1:3, 2] = 0
    picture = prepared(made_for((1, 8, 8), "cat", "dog"), path)
    assert np.array_equal(picture, small[np.newaxis])
    assert np.array_equal(prepared(made_for((3, 8, 8)), path), np.stack([small] * 3))
    assert np.array_equal(prepared(made_for((1, 8, 8), "cat", "dog"), path, "character"), digit)
    assert np.array_equal(prepared(made_for((1, 8, 8)), path, "picture"), picture)
    wide = np.pad(paper, ((0, 0), (4, 4)))  # whose black sides are cut off
    Image.fromarray(wide).save(path)
    assert np.array_equal(prepared(made_for((1, 8, 8)), path, "picture"), picture)


def test_what_can_not_be_prepared_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "blank.png"
    Image.new("L", (30, 30), 200).save(path)
    with pytest.raises(FileFormatError, match=r"blank\.png: the picture is blank"):
        prepared(made_for((1, 28, 28)), path)
    assert np.all(prepared(made_for((1, 28, 28)), path, "picture") == 200)
    with pytest.raises(ShapeError, match=r"samples of shape \(2,\); for pictures \(1, height, width\) or "):
        prepared(made_for((2,)), path)
    with pytest.raises(ShapeError, match=r"samples of shape \(3, 8, 8\); for characters \(1, n, n\)"):
        prepared(made_for((3, 8, 8)), path, "character")
