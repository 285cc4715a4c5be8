"""One palette for one meaning: the colours of the playground's page are those of the reports and charts."""

import base64
import json
import re

import numpy as np
import pytest

from purecnn import Convolutional, Dense, Network, ReLU
from purecnn.formats.pictures import read_picture
from purecnn.playground.figures.svg import shade
from purecnn.playground.page import read_page
from purecnn.plots.colors import SIGNED, SURE, colored, css
from purecnn.plots.report.sections import tiles
from purecnn.plots.style import COLORS


def test_below_and_above_zero():
    light = re.search(r"light: \{zero: (.*), plus: (.*), minus: (.*)\},", read_page("common.js").decode())
    zero, plus, minus = (json.loads(part) for part in light.groups())
    assert [*minus[::-1], zero, *plus] == SIGNED.tolist()
    # a colour between two of them, as the page's `colour` mixes it
    assert (255 * colored(np.array(0.5), -1, 1, SIGNED))[:3].round().tolist() == [220, 132, 55]


def test_the_pictures_of_the_course():
    def warm(color):
        return int(color[1:3], 16) > int(color[5:], 16)

    assert [warm(shade(value, 2)) for value in (2, 0.5, -0.5, -2)] == [True, True, False, False]
    assert css(SIGNED)[0][1] == "#0c2c62"  # below zero, and the reports' too


def test_the_answers_over_the_plane():
    assert f"(2 * value - 1) * {SURE:.2f}".replace("0.", ".") in read_page("charts.js").decode()
    pytest.importorskip("plotly")
    from purecnn.plots import decision_boundary

    figure = decision_boundary(Network([Dense(2, 1)]), [[0.0, 1.0], [1.0, 0.0]], [[0], [1]])
    assert figure.data[0].colorscale == tuple(css(SIGNED, SURE))


def test_kernels_and_maps():
    pytest.importorskip("plotly")
    from purecnn.plots import feature_maps, kernels

    network = Network([Convolutional(kernel_size=3, depth=2), ReLU()], input_shape=(1, 8, 8))
    for figure in (kernels(network), feature_maps(network, np.ones((1, 1, 8, 8), np.float32), 1)):
        assert figure.data[0].colorscale == tuple(css(SIGNED))
        assert figure.data[0].zmin == -figure.data[0].zmax
    report = tiles([np.array([[-1.0, 0.5]])], "")
    pixels = read_picture(base64.b64decode(re.search('base64,([^"]+)', report)[1]), 3)
    assert pixels.tolist() == [[[12, 44, 98], [220, 132, 55]]]


def test_lines_and_marks():
    style, charts = read_page("style.css").decode(), read_page("charts.js").decode()
    for name, color, key, line, drawn in (
        ("blue", COLORS[0], "minus", "", "mean"),
        ("orange", COLORS[1], "plus", ".test", "line(tests"),
    ):
        assert f"--{name}: {color};" in style
        assert f".key.{key} {{ background: var(--{name}); }}" in style
        assert re.search(rf"\.line{re.escape(line)} {{[^}}]*var\(--{name}\)", style)
        assert re.search(rf"{re.escape(drawn)}.*'--{name}'", charts)
