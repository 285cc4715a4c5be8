"""Losses of label maps: each pixel is a sample, those to ignore count nothing, and PyTorch says the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.torch_numbers import cases, close, load, part
from purecnn import ShapeError
from purecnn.losses import LOSSES, dice, dice_prime, label_smoothing
from purecnn.losses.base import columns
from purecnn.training.weights import weighted_targets

#: Losses over classes, and what they are of probabilities or of scores.
OF_CLASSES = (
    "categorical_cross_entropy",
    "softmax_cross_entropy",
    "kl_divergence",
    "categorical_focal_cross_entropy",
)
PER_ELEMENT = (
    "mse",
    "mean_absolute_error",
    "huber",
    "log_cosh",
    "hinge",
    "binary_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "binary_focal_cross_entropy",
)


def counted(labels: Any, shape: Any, dtype: Any = np.float64, **counts: Any) -> tuple[Any, dict[str, Any]]:
    """Return labels ``(H, W, N)`` and what a loss is told of their weights, as training has both."""
    found = weighted_targets(np.moveaxis(labels, -1, 0), labels.shape[-1], shape, dtype, **counts)
    return found.batch(slice(None), dtype), found.weighting(slice(None))


@pytest.mark.parametrize("case", cases("segmentation"))
@pytest.mark.parametrize("one_hot", [False, True])
def test_cross_entropies_of_maps_are_pytorchs(case: dict[str, Any], one_hot: bool) -> None:
    data, z = part("segmentation", case["name"]), load("segmentation")["logits"]
    weights = case["class_weight"] and dict(enumerate(case["class_weight"]))
    y, counts = counted(data["labels"], z.shape[:3], ignore_label=case["ignore_label"], class_weight=weights)
    loss = label_smoothing("categorical_cross_entropy", case["smoothing"])
    y = columns(y, z) if one_hot else y
    assert loss.joint is not None
    value, gradient = loss.joint(y, z, **counts)
    close(value, data["loss"])
    close(gradient, data["gradient"])
    of_scores = label_smoothing("softmax_cross_entropy", case["smoothing"])
    close(of_scores.function(y, z, **counts), data["loss"])
    close(of_scores.prime(y, z, **counts), data["gradient"])
    p = np.exp(z) / np.exp(z).sum(axis=0)
    close(loss.function(y, p, **counts), data["loss"])
    inward = loss.prime(y, p, **counts)
    close(p * (inward - (inward * p).sum(axis=0)), data["gradient"], rtol=1e-7, atol=1e-9)


def test_one_channel_is_pytorchs_binary_cross_entropy() -> None:
    data = part("segmentation", "binary")
    z = data["logits"]
    y, counts = counted(data["labels"], z.shape[:3], ignore_label=255)
    for name in ("sigmoid_binary_cross_entropy", "binary_cross_entropy"):
        loss = LOSSES[name]
        if loss.joint is not None:
            value, gradient = loss.joint(y, z, **counts)
        else:
            value, gradient = loss.function(y, z, **counts), loss.prime(y, z, **counts)
        close(value, data["loss"])
        close(gradient, data["gradient"])


@pytest.mark.parametrize("name", [*OF_CLASSES, *PER_ELEMENT])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_of_maps_is_that_of_their_pixels(name: str, dtype: Any) -> None:
    rng, loss = np.random.default_rng(3), LOSSES[name]
    labels, weights = rng.integers(0, 3, (4, 2, 5)), rng.random((4, 2, 5))
    p = rng.dirichlet(np.ones(3), (4, 2, 5)).transpose(3, 0, 1, 2).astype(dtype)
    pixels = np.ascontiguousarray(p).reshape(3, -1)
    y, flat = columns(labels, p), columns(labels.reshape(-1), pixels)
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    for given in ({}, {"sample_weight": weights}):
        alike = {key: value.reshape(-1) for key, value in given.items()}
        close(loss.function(y, p, **given), loss.function(flat, pixels, **alike), tolerance)
        slope = loss.prime(y, p, **given)
        assert slope.dtype == dtype
        close(slope, loss.prime(flat, pixels, **alike).reshape(p.shape), tolerance)
        if loss.joint is not None:
            value, slope = loss.joint(y, p, **given)
            wanted, flat_slope = loss.joint(flat, pixels, **alike)
            close(value, wanted, tolerance)
            close(slope, flat_slope.reshape(p.shape), tolerance)


def test_labels_of_maps_by_hand() -> None:
    z = np.log(np.array([[[[0.5, 0.25]]], [[[0.5, 0.75]]]]))  # two samples of one pixel, two classes
    joint = LOSSES["categorical_cross_entropy"].joint
    assert joint is not None
    value, gradient = joint(np.array([[[0, 0]]]), z, sample_weight=np.array([[[1.0, 3.0]]]))
    close(value, (np.log(2) + 3 * np.log(4)) / 4)
    close(gradient[:, 0, 0], [[-0.125, -0.5625], [0.125, 0.5625]])
    value, gradient = joint(np.array([[[0, 1]]]), z, sample_weight=np.zeros((1, 1, 2)))
    assert value == 0
    assert not gradient.any()
    lone = columns(np.array([[[0, 1]]]), np.zeros((1, 1, 1, 2), np.float32))
    assert lone.dtype == np.float32
    assert lone.tolist() == [[[[0.0, 1.0]]]]


def test_labels_and_weights_of_other_maps_are_refused() -> None:
    z = np.zeros((3, 4, 5, 2))
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got 3"):
        columns(np.full((4, 5, 2), 3), z)
    with pytest.raises(ValueError, match="labels must be from 0 to 1, got 2"):
        columns(np.full((4, 5, 2), 2), z[:1])
    with pytest.raises(ShapeError, match=r"got int64 of shape \(5, 4, 2\)"):
        columns(np.zeros((5, 4, 2), np.int64), z)
    with pytest.raises(ShapeError, match=r"shape \(2,\), got \(5, 4, 2\)"):
        LOSSES["mse"].function(z, z, sample_weight=np.ones((5, 4, 2)))


def dice_by_loops(y: Any, p: Any, weights: Any, smooth: float) -> float:
    """Return the Dice loss by loops over numbers; weights of pixels ``(H, W, N)``."""
    classes, height, width, batch = p.shape
    total, whole = 0.0, 0.0
    for n in range(batch):
        most = weights[..., n].max() or 1.0
        each = 0.0
        for k in range(classes):
            both = either = smooth
            for i in range(height):
                for j in range(width):
                    w = weights[i, j, n] / most
                    both += 2 * w * y[k, i, j, n] * p[k, i, j, n]
                    either += w * (y[k, i, j, n] + p[k, i, j, n])
            each += (1 - both / either) / classes
        total += weights[..., n].sum() * each
        whole += weights[..., n].sum()
    return total / whole


@pytest.mark.parametrize("smooth", [0.5, 1.0])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_dice_is_that_of_loops_and_its_derivative_that_of_differences(
    smooth: float, classes: int, weighted: bool
) -> None:
    rng = np.random.default_rng(6)
    y = rng.integers(0, max(2, classes), (3, 2, 4))
    p = rng.random((classes, 3, 2, 4)) * 0.9 + 0.05
    weights = rng.integers(0, 3, (3, 2, 4)).astype(float) if weighted else np.ones((3, 2, 4))
    weights[..., 1] *= 0 if weighted else 1
    given = {"smooth": smooth, **({"sample_weight": weights} if weighted else {})}
    assert dice(y, p, **given) == pytest.approx(dice_by_loops(columns(y, p), p, weights, smooth), rel=1e-12)
    slope = dice_prime(y, p, **given)
    for place in np.ndindex(*p.shape):
        step = np.zeros_like(p)
        step[place] = 1e-6
        difference = (dice(y, p + step, **given) - dice(y, p - step, **given)) / 2e-6
        assert slope[place] == pytest.approx(difference, abs=1e-8)


def test_dice_counts_a_sample_of_weight_2_twice_and_no_class_that_is_nowhere() -> None:
    rng = np.random.default_rng(7)
    y, p = rng.integers(0, 2, (3, 2, 2)), rng.random((2, 3, 2, 2))
    twice = np.array([0, 1, 1])
    for weights in (np.array([1.0, 2.0]), np.broadcast_to([1.0, 2.0], (3, 2, 2))):
        assert dice(y, p, sample_weight=weights) == pytest.approx(dice(y[..., twice], p[..., twice]))
    assert dice(y, columns(y, p)) == 0
    empty = np.zeros((2, 3, 2, 2))
    assert dice(empty, empty, smooth=0) == 0
    assert not dice_prime(empty, empty, smooth=0).any()
    assert dice(np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]]), smooth=0) == pytest.approx(1 / 3)
    with pytest.raises(ShapeError, match=r"shape \(2,\), got \(3,\)"):
        dice(y, p, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="smooth must be a number at least 0, got -1"):
        dice(y, p, smooth=-1)
