"""Metrics of label maps: by hand, against loops and scikit-learn, with a label to ignore and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from purecnn import ShapeError
from purecnn.metrics import (
    class_maps,
    dice_coefficient,
    intersection_over_union,
    pixel_accuracy,
    pixel_confusion_matrix,
)
from purecnn.metrics.registry import as_metrics, in_words, measure, of_task

RANDOM = np.random.default_rng(4)
TRUE = RANDOM.integers(0, 3, (70, 3, 4))
SAID = np.where(RANDOM.random(TRUE.shape) < 0.6, TRUE, RANDOM.integers(0, 3, TRUE.shape))
IGNORED = np.where(RANDOM.random(TRUE.shape) < 0.2, 255, TRUE)
WEIGHTS = RANDOM.integers(0, 4, 70)
OUTPUTS = np.moveaxis(np.eye(3)[SAID], -1, 1)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("said", [SAID, OUTPUTS, OUTPUTS.astype(np.float32)])
def test_they_are_those_of_the_pixels_that_count(said: Any, weights: Any) -> None:
    counts = np.zeros((3, 3))
    for n, i, j in np.ndindex(*TRUE.shape):
        if IGNORED[n, i, j] != 255:
            counts[TRUE[n, i, j], SAID[n, i, j]] += 1 if weights is None else weights[n]
    given = {"ignore_label": 255, "sample_weight": weights}
    np.testing.assert_array_equal(pixel_confusion_matrix(IGNORED, said, **given), counts)
    kept = IGNORED != 255
    each = None if weights is None else np.broadcast_to(weights[:, None, None], TRUE.shape)[kept]
    pair = TRUE[kept], SAID[kept]
    close = np.testing.assert_allclose
    close(pixel_accuracy(IGNORED, said, **given), theirs.accuracy_score(*pair, sample_weight=each))
    for metric, oracle in (
        (intersection_over_union, theirs.jaccard_score),
        (dice_coefficient, theirs.f1_score),
    ):
        for average in ("macro", None):
            wanted = oracle(*pair, average=average, sample_weight=each)
            close(metric(IGNORED, said, average=average, **given), wanted)


def test_classes_that_occur_nowhere_have_no_part_in_the_mean() -> None:
    t, p = np.array([[[0, 0, 2]]]), np.array([[[0, 2, 2]]])
    found = intersection_over_union(t, p, average=None, classes=4)
    np.testing.assert_array_equal(found, [0.5, np.nan, 0.5, np.nan])
    assert intersection_over_union(t, p, classes=4) == 0.5
    np.testing.assert_allclose(dice_coefficient(t, p, average=None), [2 / 3, np.nan, 2 / 3])
    nothing = np.full((1, 1, 3), 255)
    assert np.isnan(intersection_over_union(nothing, p, ignore_label=255))
    assert np.isnan(pixel_accuracy(nothing, p, ignore_label=255))


def test_one_channel_is_a_probability() -> None:
    outputs = np.array([[[[0.5, 0.6]]], [[[0.9, 0.1]]]])
    assert class_maps(outputs).tolist() == [[[0, 1]], [[1, 0]]]
    assert pixel_confusion_matrix([[[0, 0]], [[0, 0]]], outputs).tolist() == [[2, 2], [0, 0]]
    assert class_maps(OUTPUTS).tolist() == SAID.tolist()


def test_by_name() -> None:
    asked = as_metrics(["mean_iou", "iou_per_class", "Mean_Dice", "confusion_matrix"], "segmentation")
    found = measure(asked, IGNORED, OUTPUTS, WEIGHTS, 255)
    given = {"ignore_label": 255, "sample_weight": WEIGHTS}
    assert found["mean_iou"] == intersection_over_union(IGNORED, OUTPUTS, **given)
    assert found["iou_per_class"] == intersection_over_union(IGNORED, SAID, average=None, **given).tolist()
    assert found["mean_dice"] == dice_coefficient(IGNORED, OUTPUTS, **given)
    usual = of_task("segmentation", IGNORED, OUTPUTS, WEIGHTS, 255)
    accuracy = pixel_accuracy(IGNORED, SAID, **given)
    assert usual == {"pixel_accuracy": accuracy, "mean_iou": found["mean_iou"]}
    assert in_words("mean_iou", 0.5) == "mean IoU 0.5000"
    broken = of_task("segmentation", TRUE, np.full(OUTPUTS.shape, np.nan))
    assert np.isnan(list(broken.values())).all()
    with pytest.raises(ValueError, match="accuracy"):
        as_metrics("f1", "segmentation")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pixel_accuracy(TRUE, SAID[:, :2]), ShapeError, r"got \(70, 3, 4\) and \(70, 2, 4\)"),
        (lambda: pixel_accuracy(TRUE, OUTPUTS[:3]), ShapeError, r"and \(3, 3, 3, 4\)"),
        (lambda: pixel_accuracy(IGNORED, OUTPUTS), ValueError, "labels must be from 0 to 2, got 255"),
        (lambda: pixel_accuracy(TRUE, SAID - 1), ValueError, "labels must be from 0 to 2, got -1"),
        (lambda: pixel_accuracy(TRUE, SAID, ignore_label=0.5), TypeError, "integer or None, got 0.5"),
        (lambda: pixel_accuracy(TRUE / 2, SAID), ValueError, "y_true must hold whole numbers"),
        (lambda: pixel_accuracy(TRUE, SAID, sample_weight=[1, 2]), ShapeError, r"shape \(70,\), got \(2,\)"),
        (lambda: dice_coefficient(TRUE, SAID, average="micro"), ValueError, "macro, None, got 'micro'"),
        (lambda: dice_coefficient(TRUE, SAID, classes=2), ValueError, "from 0 to 1, got 2"),
        (lambda: class_maps(TRUE), ShapeError, r"\(n, classes, height, width\), got \(70, 3, 4\)"),
    ],
)
def test_other_shapes_and_labels_are_refused(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
