"""The live figures of the course: their numbers, by hand, and what may be chosen."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from purecnn.playground.figures.figure import Choice, Grid, Slider
from purecnn.playground.figures.neurons import boundary
from purecnn.playground.figures.table import FIGURES, reply

every_figure = pytest.mark.parametrize("name", list(FIGURES))


def drawn(name, **values):
    """Return the reply to a page."""
    return reply({"figure": name, "values": values})


def texts(told):
    """Return the words in a drawing, in their order, with minus signs that Python reads."""
    root = ElementTree.fromstring(told["svg"])
    return [
        each.text.replace("\N{MINUS SIGN}", "-") for each in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def numbers(told):
    """Return the numbers among them."""
    return [float(text) for text in texts(told) if re.fullmatch(r"-?[\d.]+(?:e[+-]\d+)?", text)]


def others(control):
    """Return values that a control may have besides that of the text: its bounds, or all words."""
    if isinstance(control, Choice):
        return [word for word in control.words if word != control.value]
    if isinstance(control, Slider):
        return [value for value in (control.low, control.high) if value != control.value]
    return [[[bound] * len(row) for row in control.value] for bound in (control.low, control.high)]


@every_figure
def test_a_figure_is_the_still_picture_until_something_is_chosen(name):
    assert drawn(name)["svg"] == str(FIGURES[name].still())


@every_figure
def test_each_choice_changes_the_drawing_and_its_words_and_none_breaks_it(name):
    first = drawn(name)
    for label, control in FIGURES[name].controls.items():
        told = [drawn(name, **{label: value}) for value in others(control)]
        assert any(one["svg"] != first["svg"] for one in told), label
        for one in told:
            assert not re.search(r"\b(?:nan|inf)\b", one["svg"]), label
            assert one["says"]
            ElementTree.fromstring(one["svg"])
    extremes = [
        {label: others(control)[end] for label, control in FIGURES[name].controls.items()} for end in (0, -1)
    ]
    for values in extremes:
        assert not re.search(r"\b(?:nan|inf)\b", drawn(name, **values)["svg"])


@every_figure
def test_what_may_not_be_chosen_is_refused(name):
    for label, control in FIGURES[name].controls.items():
        for wrong in (None, True, [[1]], "\0", float("nan"), 1e9, -1e9):
            with pytest.raises(ValueError, match=f"{re.escape(control.label)} must be "):
                drawn(name, **{label: wrong})
    with pytest.raises(ValueError, match="values must be an object with"):
        drawn(name, nothing=1)


def test_another_figure_is_refused():
    with pytest.raises(ValueError, match=r"figure must be one of neuron, .*, got 'nothing'"):
        reply({"figure": "nothing"})
    with pytest.raises(ValueError, match=r"values must be an object with .*, got 3"):
        reply({"figure": "neuron", "values": 3})


def test_a_number_out_of_bounds_is_named():
    with pytest.raises(ValueError, match=r"Row of the window must be an integer from 0 to 2, got 0\.5"):
        drawn("convolution", row=0.5)
    with pytest.raises(ValueError, match=r"Kernel must be 2 x 2 numbers, got \[\[1, 2\]\]"):
        drawn("convolution", kernel=[[1, 2]])
    for wrong in (10, -9.5):
        with pytest.raises(ValueError, match=f"Kernel must be a number from -9 to 9, got {wrong}"):
            drawn("convolution", kernel=[[1, 2], [3, wrong]])


def test_a_neuron_by_hand():
    told = drawn("neuron", first_input=-1, second_input=3, first_weight=2, second_weight=0.5, bias=-1.5)
    assert told["says"].replace("\N{MINUS SIGN}", "-") == "z = -2, and its sigmoid p = 0.119"  # 1 / (1 + e^2)
    assert "bias -1.5" in texts(told)
    assert numbers(told)[:4] == [-1, -2, 3, 1.5]


def tinted(told):
    """Return the corners of the half in which a neuron's sum is positive, as inputs."""
    found = re.findall(r'<polygon points="([^"]+)"[^>]*fill-opacity', told["svg"])
    points = [tuple(map(float, pair.split(","))) for pair in found[0].split()] if found else []
    return sorted(
        (round(x / 190 * 6.4 - 3.2 - 140 / 190 * 6.4, 1), round(3.2 - (y - 204) / 190 * 6.4, 1))
        for x, y in points
    )


def test_the_half_of_the_plane_in_which_a_neuron_says_yes():
    right = {"first_weight": 1, "second_weight": 0, "bias": -1}  # x > 1
    assert tinted(drawn("neuron", **right)) == [(1, -3.2), (1, 3.2), (3.2, -3.2), (3.2, 3.2)]
    corner = {"first_weight": -1, "second_weight": -1, "bias": -5}  # x + y < -5
    assert tinted(drawn("neuron", **corner)) == [(-3.2, -3.2), (-3.2, -1.8), (-1.8, -3.2)]
    assert tinted(drawn("neuron", first_weight=0, second_weight=0, bias=-1)) == []
    assert len(tinted(drawn("neuron", first_weight=0, second_weight=0, bias=1))) == 4


def test_a_convolution_by_hand():
    told = drawn(
        "convolution",
        kernel=[[0, 2], [1, 0]],
        row=0,
        column=2,
        image=np.arange(16).reshape(4, 4).clip(0, 9).tolist(),
    )
    assert told["says"] == "0 · 2 + 2 · 3 + 1 · 6 + 0 · 7 = 12"
    # rows of the map: 2 x[r, c + 1] + x[r + 1, c], where no pixel is above 9
    assert numbers(told)[-9:] == [6, 9, 12, 18, 21, 23, 27, 27, 27]
    assert [spot["chosen"] for spot in told["spots"]][5] == {"row": 1, "column": 2}


def test_poolings_by_hand():
    largest = drawn("pooling", values=[[1, 2, 0, 0], [3, 4, 0, 8], [-1, -2, 0, 0], [-3, -4, 0, -8]])
    assert largest["says"].startswith("Of each window the largest: 4, 8, \N{MINUS SIGN}1, 0.")
    back = numbers(largest)[20:36]
    assert back == [0, 0, 0, 0, 0, 1, 0, 2, 3, 0, 4, 0, 0, 0, 0, 0]
    mean = drawn(
        "pooling", values=[[1, 2, 0, 0], [3, 4, 0, 8], [-1, -2, 0, 0], [-3, -4, 0, -8]], kind="the mean"
    )
    assert mean["says"].startswith("Of each window the mean: 2.5, 2, \N{MINUS SIGN}2.5, \N{MINUS SIGN}2.")
    assert numbers(mean)[20:36] == [0.25, 0.25, 0.5, 0.5] * 2 + [0.75, 0.75, 1, 1] * 2


def test_xor_by_hand():
    assert drawn("xor")["says"] == "Of 00, 01, 10 and 11 it makes 0, 1, 1, 0: XOR"
    # both hidden neurons count the ones: h - 2 h
    told = drawn("xor", hidden_biases=[[0], [0]])
    assert (
        told["says"].replace("\N{MINUS SIGN}", "-") == "Of 00, 01, 10 and 11 it makes 0, -1, -1, -2: not XOR"
    )
    assert "this line does not" in texts(told)


def test_a_line_meets_the_border_of_a_square():
    assert boundary(np.array([0.0, 2.0]), 1.0, (0.0, 2.0)) == [(0.0, 0.5), (2.0, 0.5)]
    assert boundary(np.array([1.0, 0.0]), 1.0, (0.0, 2.0)) == [(1.0, 0.0), (1.0, 2.0)]
    assert boundary(np.array([1.0, 1.0]), 2.0, (0.0, 2.0)) == [(0.0, 2.0), (2.0, 0.0)]
    assert boundary(np.array([1.0, 1.0]), 9.0, (0.0, 2.0)) == []
    assert boundary(np.array([0.0, 0.0]), 1.0, (0.0, 2.0)) == []


def test_descents_by_hand():
    # the distance to 5 is multiplied by 1 - 8 rate: 0, -0.6, and -1.4, which leads away
    told = drawn("descent", left=0.125, middle=0.2, right=0.3, start=4, steps=2)
    assert told["says"] == "The weight, which should be 5, at the end: 5, 4.64, 3.04"
    assert drawn("descent", right=0.3, start=4, steps=4)["says"].endswith(", away")


def test_optimizers_by_hand():
    # SGD: x (1 - rate), y (1 - 25 rate); Adagrad's first step is the rate along both
    told = drawn("optimizers", steps=1, first_rate=0.04, second_rate=0.04, third="Adagrad", third_rate=1)
    assert told["says"] == "The loss that is left: SGD 46.08, momentum 0.5 46.08, Adagrad 40.5"
    assert (
        drawn("optimizers", first_rate=0.5)["svg"].count("circle")
        < drawn("optimizers")["svg"].count("circle") - 15
    )


def test_a_backward_pass_by_hand():
    told = drawn(
        "backpropagation", inputs=[[1], [2]], hidden=[[1, 0], [0, 1]], weights=[[1, 1]], bias=0, target=0
    )
    assert told["says"] == "It says 3, 0 would be right: L = 9"
    # weights and their slopes: 6 times what each met; then each number and its slope
    hidden, last = [1, 6, 0, 12, 0, 6, 1, 12], [1, 6, 1, 12]
    assert numbers(told) == [*hidden, *last, 1, 6, 2, 6, 1, 6, 2, 6, 1, 6, 2, 6, 3, 6]
    dead = drawn("backpropagation", hidden=[[-1, 0], [0, -1]])  # ReLU lets nothing through, and no slope
    assert numbers(dead)[-14:] == [1, 0, 2, 0, -1, 0, -2, 0, 0, -4, 0, -12, -1, -4]


def test_edges_of_another_digit():
    assert drawn("edges", number=1)["says"] == "A 0, vertical edges and horizontal edges"
    told = drawn("edges", left=[[0, 0], [0, 0]])
    assert told["says"] == "A 5, a kernel's map and horizontal edges"


def test_softmax_by_hand():
    told = drawn("softmax", first=0, second=0, third=0, right=2)
    says = "Probabilities 0.333, 0.333, 0.333; loss -ln 0.333 = 1.099"
    assert told["says"].replace("\N{MINUS SIGN}", "-") == says
    assert [text for text in texts(told) if text in ("-0.667", "sum 3", "sum 0")] == [
        "-0.667",
        "sum 3",
        "sum 0",
    ]
    first = drawn("softmax")["says"].replace("\N{MINUS SIGN}", "-")
    assert first == "Probabilities 0.125, 0.25, 0.625; loss -ln 0.25 = 1.386"


def test_cross_entropies_by_hand():
    assert drawn("cross-entropy")["says"] == "The losses: 0, 0.693, 1.386, 2.079"
    told = drawn("cross-entropy", chances=[[0.1, 0.5, 1, 0.02]])
    assert told["says"] == "The losses: 2.303, 0.693, 0, 3.912"
    assert [text for text in texts(told) if text in ("0.1", "1/2", "0.02")] == ["0.1", "1/2", "0.02"]


def test_memory_by_hand():
    assert drawn("memory")["says"] == "What is marked lies batch first in 6 runs, batch last in 2 runs."
    told = drawn("memory", count=2, step=4)
    assert told["says"] == "What is marked lies batch first in 2 runs, batch last in 1 run."
    assert texts(told)[1:9] == ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]
    assert texts(told)[10:] == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]


def test_unrolling_by_hand():
    told = drawn("unrolling", width=3)
    assert told["says"] == "Of 16 pixels the copy has 24; an output row is made of 9 rows of it."
    assert numbers(told)[16:28] == [1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8]


def test_a_line_and_a_parabola_by_hand():
    assert drawn("overfitting")["says"] == (
        "At 2, where the truth is 2, the line says 2.333 and the parabola says \N{MINUS SIGN}1."
    )
    # the mean 1 and the slope 1.5; 1.5 x (x + 1)
    told = drawn("overfitting", readings=[[0, 0, 2.25]])
    assert told["says"] == "At 2, where the truth is 2, the line says 3 and the parabola says 6.75."


def test_sizes_of_weights_multiply_from_layer_to_layer():
    for activation in ("ReLU", "none"):  # twice the weights make twice the output, thirty times over
        told = drawn("initialization", activation=activation)["says"]
        twice, once, _, half = (float(size) for size in re.findall(r" ([\d.e+-]+)[,.](?:\s|$)", told))
        assert twice / once == pytest.approx(2**30, rel=0.1)
        assert once / half == pytest.approx(2**30, rel=0.1)
    # around a half, wherever the weights began
    assert "He's 0.5" in drawn("initialization", activation="Sigmoid")["says"]


def test_a_batch_normalization_by_hand():
    told = drawn("normalization", values=[[0, 0, 4, 4]], gamma=1.5, beta=2)
    assert told["says"] == "Mean 2 and variance 4 become 0.5, 0.5, 3.5, 3.5"
    assert "\N{GREEK SMALL LETTER GAMMA} = 1.5, \N{GREEK SMALL LETTER BETA} = 2" in texts(told)


def test_a_way_around_by_hand():
    told = drawn("residual", x=2, weight=-0.5)
    assert told["says"] == "2 becomes 1; the slope 1 becomes 0.5"
    assert numbers(told) == [2, 0.5, -1, 1, 2, 1, 1, 1, 2, -0.5]


def test_saliency_of_another_digit():
    assert drawn("saliency")["says"] == "A 7, which the network takes for a 7: where its score of 7 hangs on"
    told = drawn("saliency", number=2, asked="3")  # a one
    assert told["says"] == "A 1, which the network takes for a 1: where its score of 3 hangs on"
    assert texts(told) == ["a 1", "saliency of 3", "Grad-CAM of 3"]


def test_controls_tell_a_page_what_it_needs():
    assert Slider("a", 1, 0, 2, 1).told() == {
        "kind": "slider",
        "label": "a",
        "value": 1,
        "low": 0,
        "high": 2,
        "step": 1,
    }
    assert Grid("a", ((1,),), 0, 2).told() == {
        "kind": "grid",
        "label": "a",
        "value": [[1]],
        "low": 0,
        "high": 2,
        "step": 1,
    }
    assert Choice("a", "b", ("b", "c")).told() == {
        "kind": "choice",
        "label": "a",
        "value": "b",
        "words": ["b", "c"],
    }


def test_networks_of_larger_images_have_more_work_and_the_same_parameters():
    told = drawn("sizes")["says"]
    assert (
        "XOR 9 and 6; dense 101,770 and 101,632; LeNet-5 61,706 and 416,520; LeNet 5,994 and 322,560; "
        in told
    )
    assert "VGG-Small 4,660,106 and " in told
    assert "ResNet-20 269,722 and 40,739,456;" in told  # the last layer's are 64 * 10
    work = 4 * (40_739_456 - 640) + 640
    assert f"ResNet-20 269,722 and {work:,};" in drawn("sizes", side="64")["says"]
    more = 64 * 90
    found = drawn("sizes", classes="100")["says"]
    assert f"ResNet-20 {269_722 + more + 90:,} and {40_739_456 + more:,};" in found


@pytest.mark.parametrize("side", ["16", "32", "64"])
@pytest.mark.parametrize("classes", ["10", "100", "1000"])
def test_names_of_networks_stand_apart(side, classes):
    boxes = []
    root = ElementTree.fromstring(drawn("sizes", side=side, classes=classes)["svg"])
    for each in root.iter("{http://www.w3.org/2000/svg}text"):
        x, y, size = (float(each.get(name, 14)) for name in ("x", "y", "font-size"))
        width = 0.56 * size * len(each.text)  # of letters of middling width
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[each.get("text-anchor", "start")]
        boxes.append((each.text, left, y - 0.7 * size, left + width, y))
    assert len(boxes) > 10 + 16
    for place, (name, left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= 470, name
        for other, left2, top2, right2, bottom2 in boxes[:place]:
            apart = right < left2 or right2 < left or bottom < top2 or bottom2 < top
            assert apart, f"{name} stands on {other}"
