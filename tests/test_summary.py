"""The summary's numbers, counted by hand, and its table."""

import pytest

from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    summary,
)


def layers() -> list[object]:
    return [
        Convolutional(kernel_size=(3, 2), depth=4),
        ReLU(),
        MaxPooling(2),
        Flatten(),
        Dense(output_size=5),
        Softmax(),
    ]


def test_numbers_by_hand() -> None:
    found = summary(Network(layers(), input_shape=(2, 8, 7)))  # type: ignore[arg-type]
    assert found.input_shape == (2, 8, 7)
    assert [(row.layer, row.output_shape, row.parameters, row.multiply_adds) for row in found.rows] == [
        ("Convolutional", (4, 6, 6), 4 * 2 * 3 * 2 + 4, 4 * 6 * 6 * 2 * 3 * 2),
        ("ReLU", (4, 6, 6), 0, 0),
        ("MaxPooling", (4, 3, 3), 0, 0),
        ("Flatten", (36,), 0, 0),
        ("Dense", (5,), 36 * 5 + 5, 36 * 5),
        ("Softmax", (5,), 0, 0),
    ]
    assert found.parameters == 52 + 185
    assert found.multiply_adds == 1728 + 180


def test_the_table_lines_up() -> None:
    lines = str(summary(layers(), (2, 8, 7))).splitlines()  # type: ignore[arg-type]
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "multiply-adds"]
    assert lines[2].split() == ["input", "2", "x", "8", "x", "7"]
    assert lines[3].split() == ["Convolutional", "4", "x", "6", "x", "6", "52", "1,728"]
    assert lines[-1].split() == ["total", "237", "1,908"]
    assert {len(line) for line in lines if line not in (lines[2],)} == {len(lines[1])}


def test_it_prints_itself_at_the_prompt() -> None:
    found = summary([Dense(2, 3)])
    assert repr(found) == str(found)


def test_a_network_without_a_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no input shape yet.*is wanted"):
        summary(layers())  # type: ignore[arg-type]


def test_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError):
        summary([Dense(2, 3)], (3,))
