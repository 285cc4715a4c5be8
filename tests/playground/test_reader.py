"""What is drawn on the pad: prepared, read, doubted, and told layer by layer as `trace` has it."""

from __future__ import annotations

import base64
from contextlib import suppress

import numpy as np
import pytest

import purecnn
from helpers import drawings as drawings
from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    GlobalAveragePooling,
    Network,
    ReLU,
    Residual,
    ShapeError,
    Sigmoid,
    Softmax,
)
from purecnn.datasets import mnist
from purecnn.errors import FileFormatError
from purecnn.layers.preprocessing import Preprocessing
from purecnn.playground.familiarity import BLOCK, Familiarity, edges, features, halving, inks
from purecnn.playground.inside import MOST_NUMBERS
from purecnn.playground.reader import MOST_EXACT, Reader, decoded, encoded, walk
from purecnn.playground.replies import knows_digits, thumbnail
from purecnn.runs.model_path import DIGITS


@pytest.fixture(scope="module")
def digits():
    return purecnn.load(DIGITS)


@pytest.fixture(scope="module")
def reader(digits):
    (images, _), _ = mnist.load_data()
    return Reader(digits, Familiarity(images))


@pytest.fixture(scope="module")
def test_set():
    return mnist.load_data()[1]


def test_the_network_in_the_package_reads_digits(digits, test_set):
    assert knows_digits(digits)
    assert digits.evaluate(*test_set)["accuracy"] > 0.993
    assert DIGITS.stat().st_size < 25_000


def test_drawn_test_digits_are_read(reader, test_set):
    images, labels = test_set
    rng = np.random.default_rng(0)
    right = wrong = 0
    for number in rng.permutation(len(images))[:200]:
        told = reader.look(reader.prepare(drawings.drawn(images[number], rng)))
        right += told["sure"] and told["label"] == labels[number]
        wrong += told["sure"] and told["label"] != labels[number]
    assert right >= 190
    assert wrong <= 4


def test_scribbles_are_no_digits(reader):
    rng = np.random.default_rng(1)
    believed = 0
    for _ in range(100):
        with suppress(FileFormatError):  # one so full of ink that it is none
            believed += reader.look(reader.prepare(drawings.scribble(rng)))["sure"]
    assert believed <= 10


@pytest.mark.parametrize("pad", [np.zeros((140, 140), np.uint8), np.full((140, 140), 20, np.uint8)])
def test_a_blank_is_nothing(reader, pad):
    assert reader.prepare(pad) is None


def test_a_full_pad_is_no_digit(reader):
    with pytest.raises(FileFormatError, match="the picture is blank"):
        reader.prepare(np.full((140, 140), 255, np.uint8))


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8, 14, 30])
def test_a_dot_is_no_digit(reader, radius):
    row, column = np.mgrid[:140, :140] - 70
    dot = np.where(row**2 + column**2 <= radius**2, 255, 0).astype(np.uint8)
    with pytest.raises(FileFormatError, match="the picture shows a dot"):
        reader.prepare(dot)


def test_a_line_that_lies_is_no_digit(reader):
    pad = np.zeros((140, 140), np.uint8)
    pad[66:74, 20:120] = 255
    assert not reader.look(reader.prepare(pad))["sure"]
    assert reader.look(reader.prepare(pad.T))["name"] == "1"


def test_the_answer_is_that_of_predict(reader, digits, test_set):
    image = test_set[0][3]
    told = reader.look(image.reshape(1, 28, 28))
    np.testing.assert_allclose(told["probabilities"], digits.predict(test_set[0][3:5])[0], atol=1e-6)
    assert decoded(told["sample"], 784).tolist() == image.reshape(-1).tolist()
    assert len(told["layers"]) == len(digits.layers) == len(reader.describe()["layers"])


def test_low_probability_is_doubt(digits, test_set):
    asked = Reader(digits)
    blurred = (test_set[0][:40].mean(axis=0)).astype(np.uint8)
    told = asked.look(blurred.reshape(1, 28, 28))
    if max(told["probabilities"]) >= 0.7:
        pytest.fail("the mean of 40 digits should leave the network in doubt")
    assert not told["sure"]
    assert "its probability is " in told["why"]
    assert " %, and 70 % is wanted" in told["why"]


def test_layers_are_told_as_trace_has_them(reader, digits, test_set):
    image = test_set[0][7].reshape(1, 28, 28)
    traced = list(walk(purecnn.trace(digits, image[np.newaxis])))
    for told, one in zip(reader.look(image)["layers"], traced, strict=True):
        output = one.output[0]
        assert told["shape"] == list(output.shape)
        assert (told["low"], told["high"]) == (output.min(), output.max())
        if output.size <= MOST_EXACT:
            np.testing.assert_array_equal(told["values"], output.reshape(-1).astype(float))
            continue
        steps = decoded(told["bytes"], output.size).astype(float)
        found = told["low"] + steps * (told["high"] - told["low"]) / 255
        assert np.abs(found - output.reshape(-1)).max() <= (told["high"] - told["low"]) / 510 + 1e-6


@pytest.mark.parametrize(
    ("layer", "place"),
    [(0, [3, 10, 12]), (1, [2, 5, 6]), (2, [0, 1, 1]), (4, [13, 2, 9]), (11, [100]), (12, [4])],
)
def test_a_cell_adds_up(reader, test_set, layer, place):
    image = test_set[0][11].reshape(1, 28, 28)
    told = reader.cell(image, layer, place)
    if told["products"] is None:
        assert told["winner"] is not None
        row, column = told["winner"]
        assert told["window"][row * told["shape"][1] + column] == told["output"]
        return
    products = np.array(told["window"]) * np.array(told["weights"])
    np.testing.assert_allclose(told["products"], products, rtol=1e-5, atol=1e-7)
    assert sum(told["products"]) + told["bias"] == pytest.approx(told["output"], abs=1e-4)


def test_a_cell_tells_where_it_looks_and_what_a_softmax_divides(reader, test_set):
    image = test_set[0][11].reshape(1, 28, 28)
    told = reader.cell(image, 4, [13, 2, 9])
    assert told["fields"][0] == [3, [[0, 8], [2, 5], [9, 12]]]
    assert told["fields"][-1] == [-1, [[0, 1], [4, 14], [18, 28]]]
    told = reader.cell(image, 11, [100])
    assert (told["copied"], told["input"], told["origin"]) == (True, [14, 3, 3], [11, 0, 1])
    told = reader.cell(image, 13, [6])
    assert told["powers"] == pytest.approx(sum(told["exponentials"]))
    assert told["exponentials"][6] / told["powers"] == pytest.approx(told["output"], rel=1e-5)
    assert max(told["exponentials"]) == 1


def test_a_trace_is_kept_for_the_same_sample_of_the_same_weights():
    network = Network([Dense(2), Softmax()], input_shape=(64,))
    asked, raw = Reader(network), np.arange(64, dtype=np.uint8)
    kept = asked.trace(raw)
    assert asked.trace(raw.copy()) is kept
    assert asked.trace(raw[::-1]) is not kept
    kept = asked.trace(raw)
    network.fit(np.arange(256, dtype=np.uint8).reshape(4, 64), [0, 1, 0, 1], epochs=1)
    assert asked.trace(raw) is not kept


def test_what_an_answer_gives_and_means_is_told(digits):
    def told(*last, task):
        network = Network([Flatten(), Dense(3), *last], input_shape=(1, 8, 8), task=task)
        network[1].parameters["weights"][...] = 0
        network[1].parameters["biases"][...] = [[5], [-5], [5]]
        asked = Reader(network)
        return asked.describe()["answers"].split(":")[0], asked.look(np.zeros(64, np.uint8))["yes"]

    assert told(Softmax(), task="classification") == ("The probability of each class", [0])
    assert told(task="classification") == ("The score of each class", [0])
    assert told(Sigmoid(), task="multilabel") == ("Each label’s own probability", [0, 2])
    assert told(task="multilabel") == ("Each label’s own score", [0, 2])
    assert told(task="regression") == ("The values that it gives, in the units that it learnt", [])


def test_a_picture_is_told_small_beside_what_was_made_of_it():
    pixels = np.arange(300 * 30, dtype=np.uint32).reshape(300, 30).astype(np.uint8)
    small = thumbnail(pixels)
    assert (small["size"], small["shape"]) == ([300, 30], [112, 11, 1])
    assert decoded(small["pixels"]).size == 112 * 11
    colours = np.random.default_rng(0).integers(0, 256, (2, 3, 3)).astype(np.uint8)
    small = thumbnail(colours)  # one that is small already
    assert decoded(small["pixels"]).tolist() == colours.reshape(-1).tolist()


def test_what_the_first_layer_is_given_is_told(digits, test_set):
    given = Reader(digits).describe()["given"]
    assert given == {"shape": [1, 28, 28], "words": "each value from 0 to 255, divided by 255"}
    told = Reader(digits).look(test_set[0][3].reshape(1, 28, 28))["given"]
    assert (told["low"], told["high"]) == (0, 1)
    other = Network([Dense(2)], input_shape=(3,), preprocessing=Preprocessing(0.5, -1, "bytes"))
    told = Reader(other)
    assert told.describe()["given"]["words"] == "each value from 0 to 255, times 0.5, minus 1"
    assert told.look(np.array([0, 2, 4], np.uint8))["given"]["values"] == [-1, 0, 1]


def test_of_a_large_window_the_largest_products_are_told():
    network = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 40, 40))
    raw = np.random.default_rng(0).integers(0, 256, (1, 40, 40)).astype(np.uint8)
    told = Reader(network).cell(raw, 1, [2])
    assert told["size"] == 1600
    assert len(told["numbers"]) == len(told["products"]) == MOST_NUMBERS
    sizes = np.abs(told["products"])
    assert (np.diff(sizes) <= 0).all()
    weights = network[1].parameters["weights"][2]
    np.testing.assert_allclose(told["weights"], weights[told["numbers"]])


@pytest.mark.parametrize(
    ("layer", "place", "words"),
    [
        (99, [0], "layer must be from 0 to 13, got 99"),
        (-1, [0], "layer must be from 0 to 13"),
        (True, [0], "layer must be from 0 to 13"),
        (10**4000, [0], r"got 1\d{39}$"),
        (0, [0, 0], "a place in one of them, from 0, is wanted"),
        (0, [8, 0, 0], "a place in one of them"),
        (12, [10], "a place in one of them"),
    ],
)
def test_what_is_no_cell_is_refused(reader, layer, place, words):
    with pytest.raises(ValueError, match=words):
        reader.cell(np.zeros((1, 28, 28), np.uint8), layer, place)


def test_other_networks_can_be_looked_into():
    coloured = Network([Convolutional(kernel_size=3, depth=2), Flatten(), Dense(output_size=3), Softmax()])
    coloured.bind((3, 12, 10))
    reader = Reader(coloured)
    assert reader.image == (3, 12, 10)
    pad = np.zeros((140, 140), np.uint8)
    pad[40:90, 30:60] = 255
    raw = reader.prepare(pad)
    assert raw.shape == (3, 12, 10)
    assert reader.look(raw)["why"] in ("",) or "is wanted" in reader.look(raw)["why"]

    vector = Network([Dense(5, 2), ReLU()])
    reader = Reader(vector)
    assert reader.image is None
    with pytest.raises(ShapeError, match="no image: numbers are wanted"):
        reader.prepare(pad)
    told = reader.look(np.arange(5, dtype=np.uint8))
    assert told["probabilities"] is None
    assert len(told["outputs"]) == 2

    square = Reader(Network([Dense(64, 1), Sigmoid()]))
    assert square.image == (1, 8, 8)
    told = square.look(square.prepare(pad))
    assert sum(told["probabilities"]) == pytest.approx(1)
    assert square.describe()["classes"] == ["0", "1"]


def test_a_network_of_floats_is_given_floats():
    network = Network([Dense(64, 2), Softmax()])
    network.fit(np.random.default_rng(0).random((40, 64)), np.arange(40) % 2)
    assert network.preprocessing.kind == "numbers"
    raw = np.full(64, 255, np.uint8)
    np.testing.assert_allclose(
        Reader(network).look(raw)["probabilities"], network.predict(np.ones((1, 64)))[0], atol=1e-6
    )


def test_layers_inside_of_others_are_told():
    block = Residual([Convolutional(kernel_size=3, depth=1, padding=1)])
    network = Network([block, Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 8, 8))
    told = Reader(network).describe()["layers"]
    assert [layer["name"] for layer in told] == ["0.0", "0", "1", "2", "3"]
    assert told[0]["arguments"] == "kernel size 3 × 3, padding 1 × 1"
    assert told[0]["kernels"]["shape"] == [1, 1, 3, 3]
    joined = [{"branches": [[0], []], "join": 1, "merge": "add"}, 2, 3, 4]
    assert Reader(network).describe()["graph"] == joined


def test_a_network_without_a_shape_is_refused():
    with pytest.raises(ValueError, match="no input shape yet"):
        Reader(Network([Dense(output_size=2)]))


@pytest.mark.parametrize("shape", [(2, 20), (1, 64), (2, 8, 8), (4, 8, 8)])
def test_a_network_whose_samples_no_page_can_ask_for_is_refused(shape):
    with pytest.raises(ValueError, match=rf"a vector of numbers are wanted, got samples of \({shape[0]}, "):
        Reader(Network([Flatten(), Dense(output_size=2)], input_shape=shape))


def test_names_of_classes_are_told(digits):
    network = Network([Dense(64, 2), Softmax()])
    network.preprocessing.classes = ("<b>cat</b>", "dog")
    told = Reader(network).look(np.zeros(64, np.uint8))
    assert told["name"] in ("<b>cat</b>", "dog")
    assert not knows_digits(network)


def test_numbers_that_stand_for_answers_have_their_names(digits):
    def names(*layers, classes=(), **how):
        network = Network(list(layers), input_shape=(1, 8, 8), **how)
        network.preprocessing.classes = classes
        return [layer["names"] for layer in Reader(network).describe()["layers"]]

    pets = ("cat", "dog", "cow")
    last = [list(pets)] * 2
    assert names(Flatten(), Dense(4), ReLU(), Dense(3), Softmax(), classes=pets) == [None] * 3 + last
    assert names(Convolutional(kernel_size=3, depth=3), GlobalAveragePooling(), Softmax(), classes=pets) == [
        None,
        *last,
    ]
    assert names(Flatten(), Dense(1), Sigmoid(), classes=pets[:2]) == [None, ["dog"], ["dog"]]
    assert names(Flatten(), Dense(2), task="regression") == [None, None]
    assert names(Flatten(), Dense(2), task="regression", classes=("x", "y")) == [None, ["x", "y"]]
    told = Reader(digits).describe()["layers"]
    assert [layer["names"] and layer["names"][9] for layer in told[-3:]] == [None, "9", "9"]


@pytest.mark.parametrize(
    ("text", "words"),
    [(5, "text in base64, got int"), ("ä", "got other characters"), ("AAAA", "must be 4 bytes, got 3")],
)
def test_what_is_no_drawing_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        decoded(text, 4)


def test_constant_arrays_can_be_told():
    told = encoded(np.full((2, 20, 20), 3.0))
    assert (told["low"], told["high"]) == (3, 3)
    assert set(base64.b64decode(told["bytes"])) == {0}


# Familiarity ----------------------------------------------------------------------------------------------


def test_inks_by_hand():
    image = np.zeros((1, 4, 4), np.float32)
    image[0, 1, 1] = 64
    # (1, 2, 1)/4 in both directions, then the mean of each two by two: (3, 1) x (3, 1) of 64
    np.testing.assert_allclose(inks(image)[0], [9, 3, 3, 1])
    np.testing.assert_allclose(halving(28).sum(axis=1)[1:-1], 1)


def test_edges_by_hand():
    image = np.zeros((1, 4, 8), np.float32)
    image[0, :, 2] = 3
    # Across, the derivative is 3 before the line and -3 behind it, in four rows: 8 times 9. Down, it is 3 and
    # -3 at the line's ends: 2 times 9. Between the two directions each has half of its square.
    squares = [72, 36 + 9, 18, 36 + 9]
    flat = edges(image)[0].reshape(4, 2)
    np.testing.assert_allclose(flat[:, 0], np.sqrt(squares), rtol=1e-6)
    np.testing.assert_allclose(flat[:, 1], 0, atol=1e-6)


def test_similarity_is_that_of_the_nearest_by_loops():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 8, 4)).astype(np.uint8)
    known, asked = Familiarity(images), rng.integers(0, 256, (8, 4)).astype(np.uint8)

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / (np.sqrt(sum(a**2)) * np.sqrt(sum(b**2)))

    best = 0.0
    for image in images[:25]:
        one, two = (np.array([picture], np.float32) for picture in (image, asked))
        found = [cosine(f(one)[0].astype(float), f(two)[0].astype(float)) for f in (inks, edges)]
        best = max(best, sum(found) / 2)
    assert known.of(asked) == pytest.approx(best, rel=1e-5)
    assert known.of(images[3]) == pytest.approx(1, rel=1e-5)
    assert known.of(np.zeros((8, 4), np.uint8)) == 0


def test_edges_and_features_are_those_of_each_picture_alone():
    images = mnist.load_data()[0][0][: BLOCK + 3]
    rows = features(images)
    for number in (0, BLOCK - 1, BLOCK, BLOCK + 2):
        image = images[number].astype(float)
        np.testing.assert_allclose(rows[number], features(images[number : number + 1])[0], atol=1e-7)
        padded = np.pad(image, 1)
        down, across = padded[2:, 1:-1] - padded[:-2, 1:-1], padded[1:-1, 2:] - padded[1:-1, :-2]
        wanted = [
            np.sqrt(np.square(across * np.cos(t) + down * np.sin(t))[r : r + 4, c : c + 4].sum())
            for t in np.pi * np.arange(4) / 4
            for r in range(0, 28, 4)
            for c in range(0, 28, 4)
        ]
        np.testing.assert_allclose(edges(image[np.newaxis])[0], wanted, rtol=1e-6, atol=1e-3)


def test_familiarity_refuses_other_shapes():
    with pytest.raises(ShapeError, match="at least 20 and sides that are multiples of 4, got"):
        Familiarity(np.zeros((5, 28, 28), np.uint8))
    known = Familiarity(np.ones((20, 4, 4), np.uint8))
    with pytest.raises(ShapeError, match=r"shape \(4, 4\), got \(4, 6\)"):
        known.of(np.ones((4, 6), np.uint8))
    assert "it is unlike all that the network learnt from: " in known.doubt(np.eye(4, dtype=np.uint8))
