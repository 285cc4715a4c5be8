"""Pictures beside masks and images: what is drawn is what is true and what the network says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from purecnn import (
    Convolutional,
    Dense,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Sigmoid,
    Softmax,
    UpSampling,
    write_report,
)
from purecnn.inspection import find
from purecnn.inspection.attribution import explained
from purecnn.metrics import class_maps, intersection_over_union
from purecnn.plots import image_answers, mistakes
from purecnn.plots.answer_images import class_colors, three
from purecnn.plots.confusions import verdict

pytest.importorskip("plotly")
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (12, 1, 8, 6), dtype=np.uint8)
MASKS = np.digitize(X[:, 0], [90, 180])
IGNORED = MASKS.copy()
IGNORED[:, 0] = 255


def network(*last: Layer, classes: int = 3) -> Network:
    inner = [MaxPooling(2), UpSampling(2)]
    return Network(
        [
            Convolutional(kernel_size=3, depth=4, padding=1),
            ReLU(),
            *inner,
            Convolutional(kernel_size=1, depth=classes),
            *last,
        ],
        input_shape=(1, 8, 6),
    )


def test_answers_of_maps_are_those_of_predict() -> None:
    made = network(Softmax())
    made.fit(X, IGNORED, ignore_label=255)
    found = find(made, X, IGNORED, ignore_label=255, names=["a", "b", "c"])
    said = class_maps(made.predict(X))
    assert np.array_equal(found.said, said)
    assert found.measured() == {
        key: value for key, value in made.evaluate(X, IGNORED, ignore_label=255).items() if key != "loss"
    }
    wrong = (said != IGNORED)[:, 1:].mean(axis=(1, 2))
    np.testing.assert_allclose(found.errors(), wrong)
    assert found.worst(3).tolist() == np.argsort(-wrong, kind="stable")[:3].tolist()
    assert verdict(found, 2) == f"{100 * (1 - wrong[2]):.1f} % of 42 pixels are right"
    picture, true, answer = three(found, 5)
    np.testing.assert_allclose(picture, X[5, 0] / 255)
    colors = class_colors(3)
    assert (true[0] == 0.5).all()
    assert np.array_equal(true[1:], colors[MASKS[5, 1:]])
    assert np.array_equal(answer, colors[said[5]])
    assert len({tuple(color) for color in class_colors(40).round(6)}) == 40


@pytest.mark.parametrize("ended", [False, True])
def test_one_channel_tells_two_classes(ended: bool) -> None:
    made = network(*([Sigmoid()] if ended else []), classes=1)
    made.fit(X, MASKS > 1)
    found = find(made, X, MASKS > 1, names=["tumour"])
    assert found.names == ("not tumour", "tumour")
    scores = made.predict(X)[:, 0]
    assert np.array_equal(found.said, scores > (0.5 if ended else 0))


def test_images_of_values_are_shown_in_the_range_of_the_true_ones() -> None:
    made = network(Sigmoid(), classes=1)
    y = X / np.float32(255)
    made.fit(X, y, loss="mse")
    found = find(made, X, y)
    assert found.answers_are_images
    low, high = y[3].min(), y[3].max()
    _, true, answer = three(found, 3)
    np.testing.assert_allclose(true, (y[3, 0] - low) / (high - low), atol=1e-6)
    np.testing.assert_allclose(answer, np.clip((made.predict(X)[3, 0] - low) / (high - low), 0, 1), atol=1e-5)
    assert verdict(found, 3).startswith("root of the mean squared error 0.")


@pytest.mark.parametrize("kind", ["masks", "values"])
def test_the_figure_has_three_pictures_a_row(kind: str) -> None:
    masks = kind == "masks"
    made = network(Softmax()) if masks else network(Sigmoid(), classes=1)
    y, options = (IGNORED, {"ignore_label": 255}) if masks else (X / 255.0, {})
    figure = image_answers(made, X, y, count=4, title="<b>", **options)
    images = [trace for trace in figure.data if trace.type == "image"]
    assert len(images) == 12
    found = find(made, X, y, **options)
    for place, trace in enumerate(images):
        wanted = three(found, 3 * (place // 3))[place % 3]
        wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, axis=2)
        assert np.array_equal(trace.z, np.round(255 * wanted).astype(np.uint8))
    assert [trace.name for trace in figure.data[12:]] == (["0", "1", "2"] if masks else [])
    assert len(mistakes(found, count=2).data) == 2


def test_what_has_no_images_is_refused() -> None:
    made = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 8, 6))
    with pytest.raises(ShapeError, match=r"answers that are images, .* got \(3,\)"):
        image_answers(made, X, np.arange(12) % 3)
    maps = network(Softmax())
    maps.fit(X, MASKS)
    with pytest.raises(ValueError, match="one answer for each picture is explained"):
        explained(maps, X)


def report(tmp_path: Path, *given: Any, **options: Any) -> str:
    return write_report(*given, tmp_path / "report.html", **options).read_text(encoding="utf-8")


def test_a_report_on_masks(tmp_path: Path) -> None:
    made = network(Softmax())
    history = made.fit(X, IGNORED, ignore_label=255, validation_data=(X, IGNORED), epochs=2)
    page = report(tmp_path, made, X, IGNORED, ignore_label=255, history=history, names=["<i>", "sea", "land"])
    for words in (
        "mean IoU",
        "Masks",
        "What it takes for what",
        "Class by class",
        "The worst answers",
        "504",
    ):
        assert words in page, words
    assert "<i>" not in page.split("<main")[1].replace("<i style", "")
    each = intersection_over_union(IGNORED, made.predict(X), average=None, ignore_label=255)
    for value in each[~np.isnan(each)]:
        assert f"{value:.4f}" in page
    for name in re.findall(r'<section id="([\w-]+)"', page):
        assert f'href="#{name}"' in page


def test_a_report_on_values(tmp_path: Path) -> None:
    made = network(Sigmoid(), classes=1)
    y = X / np.float32(255)
    made.fit(X, y, loss="binary_cross_entropy")
    page = report(tmp_path, made, X, y, loss="binary_cross_entropy")
    for words in ("Wanted and answered", "The worst answers", "root of the mean squared error"):
        assert words in page, words
    right = network(Softmax())
    right.fit(X, MASKS)
    page = report(tmp_path, right, X, class_maps(right.predict(X)))
    assert "There is none: every pixel that counts is right." in page
