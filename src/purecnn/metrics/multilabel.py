"""Multi-label metrics.

Metrics of several labels a sample: each label is a question of its own, as scikit-learn has it.

Rows are zeros and ones here, and no one-hot rows, of which the metrics of classes take the largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.losses.tasks import are_binary
from purecnn.metrics.inputs import as_weights

#: How one number comes of a number for each label.
AVERAGES = ("macro", "micro", "weighted", None)


def as_label_rows(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Return both as rows ``(n, labels)`` of truth values, a probability above 0.5 as true; the weights."""
    t, p = as_array("y_true", y_true), as_array("y_pred", y_pred)
    if t.ndim != 2 or t.shape != p.shape:
        raise ShapeError(f"y_true and y_pred must have one shape, (n, labels), got {t.shape} and {p.shape}")
    if not are_binary(t):
        raise ValueError(f"y_true must hold zeros and ones, one a label, got {t[(t != 0) & (t != 1)][0]:g}")
    return t == 1, p > 0.5, as_weights(sample_weight, len(t))


def subset_accuracy(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Share of samples whose labels are all right. scikit-learn's ``accuracy_score`` of such rows.

    Parameters
    ----------
    y_true : array_like
        Zeros and ones ``(n, labels)``.
    y_pred : array_like
        Zeros and ones, or probabilities, of which one above 0.5 is a 1.
    sample_weight : array_like, optional
        How much each sample counts, ``(n,)``, at least 0.

    Examples
    --------
    >>> subset_accuracy([[1, 1], [0, 1]], [[0.9, 0.6], [0.2, 0.4]])
    0.5
    """
    t, p, weights = as_label_rows(y_true, y_pred, sample_weight)
    return float(np.average((t == p).all(axis=1), weights=weights))


def label_accuracy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Share of labels that are right: 1 less scikit-learn's ``hamming_loss``.

    Parameters
    ----------
    y_true, y_pred, sample_weight : array_like
        As `subset_accuracy` takes them.
    average : {"macro", None}
        The mean over the labels, or None: each label.

    Returns
    -------
    float or ndarray
        ``(labels,)`` where `average` is None.

    Examples
    --------
    >>> label_accuracy([[1, 1], [0, 1]], [[0.9, 0.6], [0.2, 0.4]])
    0.75
    """
    if average not in ("macro", None):
        raise ValueError(f"average must be 'macro' or None, got {average!r}")
    t, p, weights = as_label_rows(y_true, y_pred, sample_weight)
    each = np.average(t == p, axis=0, weights=weights)
    return each if average is None else float(each.mean())


def _of_labels(
    kind: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, average: str | None, sample_weight: Any
) -> Any:
    """Return precision, recall or f1 of each label, or their average; 0 where it is 0 / 0."""
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(map(str, AVERAGES))}, got {average!r}")
    t, p, weights = as_label_rows(y_true, y_pred, sample_weight)
    hits, predicted, true = weights @ (t & p), weights @ p, weights @ t
    if average == "micro":
        hits, predicted, true = hits.sum(), predicted.sum(), true.sum()
    part, whole = {
        "precision": (hits, predicted),
        "recall": (hits, true),
        "f1": (2 * hits, predicted + true),
    }[kind]
    each = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole != 0)
    if average is None:
        return each
    if average == "weighted":
        return float(each @ true / true.sum()) if true.any() else 0.0
    return float(each.mean())


def multilabel_precision(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Of the samples that were given a label, the share that has it; 0 for a label that none was given.

    Parameters
    ----------
    y_true, y_pred, sample_weight : array_like
        As `subset_accuracy` takes them.
    average : {"macro", "micro", "weighted", None}
        "macro": the mean over the labels; "weighted": that mean weighted by the samples that have each;
        "micro": over all labels of all samples at once; None: each label.

    Returns
    -------
    float or ndarray
        ``(labels,)`` where `average` is None.

    Examples
    --------
    >>> multilabel_precision([[1, 1], [0, 1]], [[1, 1], [1, 0]], average=None)
    array([0.5, 1. ])
    """
    return _of_labels("precision", y_true, y_pred, average, sample_weight)


def multilabel_recall(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Of the samples that have a label, the share that was given it; 0 for a label that none has.

    The parameters are those of `multilabel_precision`.

    Examples
    --------
    >>> multilabel_recall([[1, 1], [0, 1]], [[1, 1], [1, 0]], average=None)
    array([1. , 0.5])
    """
    return _of_labels("recall", y_true, y_pred, average, sample_weight)


def multilabel_f1(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
    """Harmonic mean of precision and recall of a label; 0 for one that occurs nowhere.

    The parameters are those of `multilabel_precision`.

    Examples
    --------
    >>> multilabel_f1([[1, 1], [0, 1]], [[1, 1], [1, 0]], average=None).round(3)
    array([0.667, 0.667])
    """
    return _of_labels("f1", y_true, y_pred, average, sample_weight)
