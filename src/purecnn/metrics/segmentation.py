"""Segmentation metrics: pixel accuracy, intersection over union and Dice, from a confusion matrix of pixels.

`y_true` are label maps ``(n, H, W)``; `y_pred` are such maps too, or a network's outputs ``(n, classes, H,
W)``, of which the largest names a pixel's class; of a lone channel ``(n, 1, H, W)``, class 1 where it is
above 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, choice, is_integer, positive
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.metrics.inputs import as_weights, tally

#: Samples that are counted at a time.
PIECE = 64


def class_maps(outputs: npt.ArrayLike) -> Array:
    """Return the class that a network's outputs name for each pixel.

    Parameters
    ----------
    outputs : array_like
        ``(n, classes, H, W)``: the largest names the class, the first of equal ones; of a lone channel, which
        is a probability, class 1 where it is above 0.5.

    Returns
    -------
    ndarray
        Integers ``(n, H, W)``.

    Raises
    ------
    ShapeError
        If they have other axes.

    Examples
    --------
    >>> class_maps(np.array([[[[0.9, 0.2]], [[0.1, 0.8]]]]))
    array([[[0, 1]]])
    """
    array = as_array("outputs", outputs)
    if array.ndim != 4:
        raise ShapeError(f"outputs must have shape (n, classes, height, width), got {array.shape}")
    return (array[:, 0] > 0.5).astype(np.intp) if array.shape[1] == 1 else array.argmax(axis=1)


def pixel_confusion_matrix(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    classes: int | None = None,
    ignore_label: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Array:
    """How many pixels of each true class, a row, were taken for each class, a column.

    Parameters
    ----------
    y_true, y_pred : array_like
        Label maps ``(n, H, W)``; `y_pred` may be outputs ``(n, classes, H, W)``.
    classes : int, optional
        How many there are; as many as the outputs' channels (2 of a lone one), or as the largest label says,
        if left out.
    ignore_label : int, optional
        The true label of pixels that are not counted.
    sample_weight : array_like, optional
        How much the pixels of each sample count, ``(n,)``, at least 0.

    Returns
    -------
    ndarray
        ``(classes, classes)``; integers, or floats where weighted.

    Raises
    ------
    ShapeError
        If the maps are of two sizes.
    ValueError
        If a label is none of the classes.

    Examples
    --------
    >>> pixel_confusion_matrix([[[0, 1, 1, 255]]], [[[0, 1, 0, 0]]], ignore_label=255)
    array([[1, 0],
           [1, 1]])
    """
    t, p = as_array("y_true", y_true), as_array("y_pred", y_pred)
    channels = p.shape[1] if p.ndim == 4 else 0
    if t.ndim != 3 or t.shape[1:] != p.shape[-2:] or p.ndim not in (3, 4) or len(t) != len(p):
        raise ShapeError(
            f"y_true must be label maps (n, height, width), and y_pred as many of them or of outputs "
            f"(n, classes, height, width), got {t.shape} and {p.shape}"
        )
    if ignore_label is not None and not is_integer(ignore_label):
        raise TypeError(f"ignore_label must be an integer or None, got {ignore_label!r}")
    for name, labels in (("y_true", t), *([("y_pred", p)] if not channels else [])):
        if labels.dtype.kind not in "iub" and not (labels == np.floor(labels)).all():
            raise ValueError(f"{name} must hold whole numbers as labels, got {labels.dtype} with fractions")
    count = max(2, channels)
    if classes is not None:
        count = positive("classes", classes)
    elif not channels:
        kept = t if ignore_label is None else t[t != ignore_label]
        count = int(max(kept.max(initial=0), p.max())) + 1
    weights = as_weights(sample_weight, len(t))
    found = np.zeros(count * count, weights.dtype)
    for first in range(0, len(t), PIECE):
        piece = slice(first, first + PIECE)
        true, said = t[piece], class_maps(p[piece]) if channels else p[piece]
        counted = np.ones(true.shape, np.bool_) if ignore_label is None else true != ignore_label
        true, said = true[counted].astype(np.int64), said[counted].astype(np.int64)
        if true.size and (min(true.min(), said.min()) < 0 or max(true.max(), said.max()) >= count):
            low, high = min(true.min(), said.min()), max(true.max(), said.max())
            raise ValueError(f"labels must be from 0 to {count - 1}, got {low if low < 0 else high}")
        each = np.broadcast_to(weights[piece, np.newaxis, np.newaxis], counted.shape)[counted]
        found += tally(true * count + said, count * count, each).astype(found.dtype)
    return found.reshape(count, count)


def pixel_accuracy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    ignore_label: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the pixels whose class is the true one; NaN where no pixel counts.

    Parameters
    ----------
    y_true, y_pred, ignore_label, sample_weight
        As `pixel_confusion_matrix` takes them.

    Examples
    --------
    >>> pixel_accuracy([[[0, 1, 1, 255]]], [[[0, 1, 0, 0]]], ignore_label=255)
    0.6666666666666666
    """
    found = pixel_confusion_matrix(y_true, y_pred, ignore_label=ignore_label, sample_weight=sample_weight)
    return share_right(found)


def share_right(found: Array) -> float:
    """Return the share of what a confusion matrix counts that lies on its diagonal; NaN of nothing."""
    whole = found.sum()
    return float(np.trace(found) / whole) if whole else float("nan")


def overlap(found: Array, average: str | None, weight: int) -> Any:
    """Return ``weight hits / ((weight - 2) hits + true + said)`` of each class, or the mean of the classes.

    1 is the weight for the intersection over the union, whose formula is ``hits / (true + said - hits)``, 2
    that for Dice.
    """
    if average is not None:
        average = choice("average", average, ["macro"], also=", None")
    hits, sizes = np.diagonal(found), found.sum(axis=0) + found.sum(axis=1)
    whole = sizes + (weight - 2) * hits
    each = np.full(len(found), np.nan)
    np.divide(weight * hits, whole, out=each, where=whole > 0)
    if average is None:
        return each
    known = each[~np.isnan(each)]
    return float(known.mean()) if known.size else float("nan")


def intersection_over_union(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    ignore_label: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Pixels of a class that were found, over those that have it or were taken for it. The Jaccard index.

    ``hits / (true + predicted - hits)`` over all pixels of all samples at once, as the PASCAL VOC challenge
    counts (Everingham et al. 2010, https://doi.org/10.1007/s11263-009-0275-4).

    Parameters
    ----------
    y_true, y_pred, classes, ignore_label, sample_weight
        As `pixel_confusion_matrix` takes them.
    average : {"macro", None}
        "macro": the mean over the classes that occur in `y_true` or `y_pred` ("mean IoU"); None: an array,
        NaN for a class that occurs in neither.

    Returns
    -------
    float or ndarray
        From 0 to 1.

    Notes
    -----
    torchmetrics' ``MeanIoU`` takes the mean of each sample first unless told otherwise; Keras's ``MeanIoU``
    is this one.

    Examples
    --------
    >>> intersection_over_union([[[0, 1, 1, 1]]], [[[0, 1, 0, 1]]], average=None).round(3)
    array([0.5  , 0.667])
    """
    given = {"classes": classes, "ignore_label": ignore_label, "sample_weight": sample_weight}
    return overlap(pixel_confusion_matrix(y_true, y_pred, **given), average, 1)  # type: ignore[arg-type]


def dice_coefficient(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    ignore_label: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Twice the pixels of a class that were found, over those that have it and those taken for it: its F1.

    ``2 hits / (true + predicted)`` over all pixels of all samples at once. Dice 1945,
    https://doi.org/10.2307/1932409.

    Parameters
    ----------
    y_true, y_pred, average, classes, ignore_label, sample_weight
        As `intersection_over_union` takes them.

    Returns
    -------
    float or ndarray
        From 0 to 1.

    Examples
    --------
    >>> dice_coefficient([[[0, 1, 1, 1]]], [[[0, 1, 0, 1]]], average=None).round(3)
    array([0.667, 0.8  ])
    """
    given = {"classes": classes, "ignore_label": ignore_label, "sample_weight": sample_weight}
    return overlap(pixel_confusion_matrix(y_true, y_pred, **given), average, 2)  # type: ignore[arg-type]
