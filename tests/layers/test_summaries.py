"""The summary's numbers, counted by hand, and its table."""

import pytest

from purecnn import Convolutional, Dense, Flatten, MaxPooling, Network, ReLU, ShapeError, Softmax, summary


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


def test_a_network_prints_its_table_and_shows_how_to_make_it() -> None:
    network = Network(layers(), input_shape=(2, 8, 7))  # type: ignore[arg-type]
    assert str(network) == str(network.summary()) == str(summary(network))
    assert repr(network).startswith("Network([Convolutional(input_shape=None, kernel_size=(3, 2)")
    assert "output shape" in f"{network}"


def test_a_network_without_a_shape_prints_how_to_make_it() -> None:
    network = Network([ReLU(), Dense(output_size=2)])
    assert str(network) == repr(network)
    assert network.input_shape is None
    assert network.summary(3).parameters == 8
    assert str(network) == str(network.summary())


def test_what_is_frozen_is_told() -> None:
    network = Network(layers(), input_shape=(2, 8, 7))  # type: ignore[arg-type]
    network[0].trainable = network[1].trainable = False
    found = network.summary()
    assert (found.parameters, found.frozen) == (52 + 185, 52)
    assert [row.trainable for row in found.rows] == [False, False, True, True, True, True]
    lines = str(found).splitlines()
    assert lines[3].split() == ["Convolutional,", "frozen", "4", "x", "6", "x", "6", "52", "1,728"]
    assert [line.split() for line in lines[-4:]] == [
        ["-" * len(lines[1])],
        ["total", "237", "1,908"],
        ["trainable", "185"],
        ["frozen", "52"],
    ]
    assert lines[-1].index("52") + 2 == lines[3].index(" 52") + 3 == lines[-3].index("237") + 3
    network[4].trainable = False
    assert str(network.summary()).splitlines()[-2].split() == ["trainable", "0"]
