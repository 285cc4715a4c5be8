"""Classification metrics, as scikit-learn computes them.

How good predictions are, in the numbers that people compare: arrays are sample-first, as in scikit-learn.

Wherever a metric wants classes, `y_true` and `y_pred` may each be one of these:

=====================================  ===============================================================
shape and kind                         taken as
=====================================  ===============================================================
``(n,)`` or ``(n, 1)``, integers       labels from 0
``(n, classes)``                       one-hot rows, probabilities or scores: the largest names the class
``(n, 1)``, floats                     a network's lone output: class 1 above 0.5, else class 0
``(n,)``, floats from 0 to 1           the same
=====================================  ===============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, overload

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import choice, positive
from purecnn.backend.types import Array
from purecnn.metrics.inputs import (
    as_known,
    as_rows,
    as_scores,
    as_weights,
    checked_probabilities,
    tally,
    true_among,
)

Average = Literal["macro", "micro", "weighted", "binary"]
#: How one number comes of a number for each class.
AVERAGES = (*get_args(Average), None)
Like = TypeVar("Like")


def accuracy(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Share of samples whose class is the true one. scikit-learn's ``accuracy_score``.

    Parameters
    ----------
    y_true, y_pred : array_like
        Labels or rows, as this module's table has them.
    sample_weight : array_like, optional
        How much each sample counts, ``(n,)``, at least 0.

    Examples
    --------
    >>> accuracy([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    0.6666666666666666
    """
    t, p, _, weights = as_known(y_true, y_pred, None, sample_weight)
    return float(weights[t == p].sum() / weights.sum())


def top_k_accuracy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    k: int = 2,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of samples whose true class is among the `k` with the largest scores.

    Equal scores rank the lower label first, as ``argmax`` does, so that ``k=1`` is `accuracy`; scikit-learn's
    ``top_k_accuracy_score`` ranks the higher one first.

    Parameters
    ----------
    y_true : array_like
        Labels or rows.
    y_pred : array_like
        Scores or probabilities ``(n, classes)``.
    k : int
        From 1 to the number of classes.
    sample_weight : array_like, optional
        How much each sample counts.

    Examples
    --------
    >>> top_k_accuracy([0, 2], [[0.3, 0.6, 0.1], [0.3, 0.6, 0.1]], k=2)
    0.5
    """
    p = as_scores(y_pred)
    if positive("k", k) > p.shape[1]:
        raise ValueError(f"k must be from 1 to the number of classes, {p.shape[1]}, got {k}")
    t = true_among(y_true, p)
    weights, own = as_weights(sample_weight, len(t)), p[np.arange(len(t)), t][:, np.newaxis]
    before = (p > own) | ((p == own) & (np.arange(p.shape[1]) < t[:, np.newaxis]))
    return float(weights[before.sum(axis=1) < k].sum() / weights.sum())


def confusion_matrix(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    normalize: str | None = None,
) -> Array:
    """How many samples of each true class, a row, were taken for each class, a column.

    Parameters
    ----------
    y_true, y_pred : array_like
        Labels or rows.
    classes : int, optional
        How many there are; as many as the rows' columns, or as the largest label says, if left out.
        (scikit-learn leaves classes out that occur nowhere.)
    sample_weight : array_like, optional
        How much each sample counts.
    normalize : {"true", "pred", "all"}, optional
        Divide by the sum of each row, of each column, or of all; an empty row or column stays 0.

    Returns
    -------
    ndarray
        ``(classes, classes)``; integers, or floats where weighted or normalized.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1, 1], [0, 1, 1, 0])
    array([[1, 0],
           [1, 2]])
    """
    t, p, count, weights = as_known(y_true, y_pred, classes, sample_weight)
    found = tally(t * count + p, count * count, weights).reshape(count, count)
    if normalize is None:
        return found
    axes: dict[str, int | None] = {"true": 1, "pred": 0, "all": None}
    if normalize not in axes:
        raise ValueError(f"normalize must be one of {', '.join(axes)} or None, got {normalize!r}")
    return _ratio(found, np.broadcast_to(found.sum(axis=axes[normalize], keepdims=True), found.shape), 0.0)


def _ratio(part: Array, whole: Array, zero_division: float) -> Array:
    """Return ``part / whole``, and `zero_division` where the whole is 0."""
    quotient = np.full(np.shape(whole), float(zero_division))
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def _of_classes(
    kind: str,
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    average: str | None,
    classes: int | None,
    sample_weight: npt.ArrayLike | None,
    zero_division: float,
) -> Any:
    """Return precision, recall or f1 of each class, or their average."""
    if average is not None:
        average = choice("average", average, [name for name in AVERAGES if name], also=", None")
    if not isinstance(zero_division, int | float) or not (zero_division in (0, 1) or np.isnan(zero_division)):
        raise ValueError(f"zero_division must be 0, 1 or nan, got {zero_division!r}")
    t, p, count, weights = as_known(y_true, y_pred, classes, sample_weight)
    if average == "binary" and count != 2:
        raise ValueError(f'average="binary" wants 2 classes, got {count}: try "macro"')
    hits = tally(t[t == p], count, weights[t == p])
    said, true = tally(p, count, weights), tally(t, count, weights)
    part, whole = {"precision": (hits, said), "recall": (hits, true), "f1": (2 * hits, said + true)}[kind]
    if average == "micro":
        return float(_ratio(part.sum(), whole.sum(), zero_division))
    found = _ratio(part, whole, zero_division)
    if average is None:
        return found
    if average == "binary":
        return float(found[1])
    occurs = np.zeros(count, bool)
    occurs[t] = occurs[p] = True
    share = true if average == "weighted" else np.ones(count)
    counted = occurs & ~np.isnan(found)
    return float(_ratio((found * share)[counted].sum(), share[counted].sum(), np.nan))


def _typed_as(_model: Like) -> Callable[[Any], Like]:
    """Return a decorator that gives a function the types of another one, of each way to call it."""
    return lambda function: function


@overload
def precision(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: Average = "macro",
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> float: ...


@overload
def precision(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: None,
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> npt.NDArray[np.float64]: ...


def precision(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> Any:
    """Of the samples taken for a class, the share that is of it: ``hits / predicted``.

    Parameters
    ----------
    y_true, y_pred : array_like
        Labels or rows.
    average : {"macro", "micro", "weighted", "binary", None}
        "macro": the mean over the classes that occur in `y_true` or `y_pred`; "weighted": that mean weighted
        by the true samples of each; "micro": hits of all classes over predictions of all; "binary": class 1
        of two alone (scikit-learn's default); None: each class.
    classes : int, optional
        How many there are, as in `confusion_matrix`.
    sample_weight : array_like, optional
        How much each sample counts.
    zero_division : {0, 1, nan}
        What a class gets that was never predicted, where the share is 0 / 0. Averages leave a nan out.
        scikit-learn warns beside; nothing does here.

    Returns
    -------
    float or ndarray
        ``(classes,)`` where `average` is None.

    Examples
    --------
    >>> precision([0, 1, 1, 2], [0, 1, 0, 0], average=None).round(3)
    array([0.333, 1.   , 0.   ])
    >>> round(precision([0, 1, 1, 2], [0, 1, 0, 0]), 3)
    0.444
    """
    return _of_classes("precision", y_true, y_pred, average, classes, sample_weight, zero_division)


@_typed_as(precision)
def recall(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> Any:
    """Of the samples of a class, the share that was taken for it: ``hits / true``.

    The parameters are those of `precision`; here `zero_division` is what a class gets that has no sample.

    Examples
    --------
    >>> recall([0, 1, 1, 2], [0, 1, 0, 0], average=None)
    array([1. , 0.5, 0. ])
    """
    return _of_classes("recall", y_true, y_pred, average, classes, sample_weight, zero_division)


@_typed_as(precision)
def f1(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> Any:
    """Harmonic mean of precision and recall of a class: ``2 hits / (predicted + true)``.

    The parameters are those of `precision`; here `zero_division` is what a class gets that occurs nowhere. An
    average is that of the classes' f1, as in scikit-learn, not the f1 of the averages.

    Examples
    --------
    >>> f1([0, 1, 1, 2], [0, 1, 0, 0], average=None).round(3)
    array([0.5  , 0.667, 0.   ])
    """
    return _of_classes("f1", y_true, y_pred, average, classes, sample_weight, zero_division)


def log_loss(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean of ``-log p`` of the true class; the categorical cross-entropy, in nats.

    Parameters
    ----------
    y_true : array_like
        Labels, or rows ``(n, classes)`` that share a sample out: then ``-sum over classes of y log p``.
    y_pred : array_like
        Probabilities ``(n, classes)``, or those of class 1, ``(n,)`` or ``(n, 1)``; kept off 0 and 1 by their
        dtype's epsilon, as in scikit-learn.
    sample_weight : array_like, optional
        How much each sample counts.

    Examples
    --------
    >>> round(log_loss([0, 1], [[0.5, 0.5], [0.25, 0.75]]), 6)
    0.490415
    """
    p, y = checked_probabilities(y_pred), as_rows("y_true", y_true)
    margin = np.finfo(p.dtype).eps
    logs = np.log(np.clip(p, margin, 1 - margin).astype(np.float64))
    if y.dtype.kind == "f" and y.shape == p.shape and p.shape[1] > 1:
        each = -(y * logs).sum(axis=1)
    else:
        t = true_among(y_true, p)
        each = -logs[np.arange(len(t)), t]
    return float(np.average(each, weights=as_weights(sample_weight, len(each))))


def calibration_error(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    bins: int = 15,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Expected calibration error: how far confidence is from accuracy, over bins of confidence.

    ``sum over bins b of |b| / n  |accuracy(b) - confidence(b)|``, where a sample's confidence is its largest
    probability and bin b takes those above ``b / bins`` up to ``(b + 1) / bins``. Guo et al. 2017,
    https://arxiv.org/abs/1706.04599, where there are 15 bins.

    Parameters
    ----------
    y_true : array_like
        Labels or rows.
    y_pred : array_like
        Probabilities ``(n, classes)``, or those of class 1.
    bins : int
        How many, of equal width.
    sample_weight : array_like, optional
        How much each sample counts.

    Examples
    --------
    Both are 80 % sure, and one is right:

    >>> round(calibration_error([0, 0], [[0.8, 0.2], [0.2, 0.8]]), 6)
    0.3
    """
    p = checked_probabilities(y_pred).astype(np.float64)
    t, count = true_among(y_true, p), positive("bins", bins)
    weights = as_weights(sample_weight, len(t)).astype(np.float64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == t
    place = np.searchsorted(np.arange(1, count) / count, confidence, side="left")
    gaps = tally(place, count, weights * (right - confidence))
    return float(np.abs(gaps).sum() / weights.sum())
