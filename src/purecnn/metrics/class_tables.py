"""Precision, recall and F1 of each class, as a table.

One number for a whole set hides which classes a network can't tell: a row for each says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from purecnn.backend.types import Array
from purecnn.escapes import visible
from purecnn.messages.signatures import explained
from purecnn.metrics.classification import accuracy, f1, precision, recall
from purecnn.metrics.inputs import as_known, tally


@dataclass(frozen=True, repr=False)
class ClassTable:
    """Precision, recall and f1 of each class; prints as a table.

    Attributes
    ----------
    names : tuple of str
        Of the classes.
    precision, recall, f1 : ndarray
        ``(classes,)``.
    support : ndarray
        How many true samples each class has, or what they weigh.
    averages : dict
        "macro" and "weighted" to their three numbers.
    accuracy : float
        Of all samples.
    """

    names: tuple[str, ...]
    precision: Array
    recall: Array
    f1: Array
    support: Array
    averages: dict[str, tuple[float, float, float]]
    accuracy: float

    def __str__(self) -> str:
        count = "d" if self.support.dtype.kind == "i" else ".1f"
        total = format(self.support.sum(), count)
        of_classes = zip(self.names, self.precision, self.recall, self.f1, self.support, strict=True)
        lines = [("class", "precision", "recall", "f1", "samples")]
        lines += [
            (visible(a), f"{b:.4f}", f"{c:.4f}", f"{d:.4f}", format(e, count)) for a, b, c, d, e in of_classes
        ]
        lines.append(("accuracy", "", "", f"{self.accuracy:.4f}", total))
        for name, (b, c, d) in self.averages.items():
            lines.append((name, f"{b:.4f}", f"{c:.4f}", f"{d:.4f}", total))
        widths = [max(len(line[column]) for line in lines) for column in range(5)]
        rows = [
            "  ".join(
                [f"{line[0]:<{widths[0]}}", *(f"{x:>{w}}" for x, w in zip(line[1:], widths[1:], strict=True))]
            )
            for line in lines
        ]
        rule = "-" * len(rows[0])
        return "\n".join([rows[0], rule, *rows[1:-3], rule, *rows[-3:]])

    __repr__ = __str__


@explained
def class_table(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    names: Sequence[str] = (),
    classes: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    zero_division: float = 0.0,
) -> ClassTable:
    """Return precision, recall, f1 and samples of each class. scikit-learn's ``classification_report``.

    Parameters
    ----------
    y_true, y_pred : array_like
        Labels or rows.
    names : sequence of str
        Of the classes, in order; their numbers if left out.
    classes, sample_weight, zero_division
        As in `precision`.

    Examples
    --------
    >>> class_table([0, 1, 1, 2], [0, 1, 0, 0], names=["ant", "bee", "cow"])
    class     precision  recall      f1  samples
    --------------------------------------------
    ant          0.3333  1.0000  0.5000        1
    bee          1.0000  0.5000  0.6667        2
    cow          0.0000  0.0000  0.0000        1
    --------------------------------------------
    accuracy                     0.5000        4
    macro        0.4444  0.5000  0.3889        4
    weighted     0.5833  0.5000  0.4583        4
    """
    t, _, count, weights = as_known(y_true, y_pred, classes or len(names) or None, sample_weight)
    if len(names) not in (0, count):
        raise ValueError(f"names must be one for each of {count} classes, got {len(names)}")

    def each(average: Any) -> Any:
        return [
            metric(
                y_true,
                y_pred,
                average=average,
                classes=count,
                sample_weight=sample_weight,
                zero_division=zero_division,
            )
            for metric in (precision, recall, f1)
        ]

    p, r, harmonic = each(None)
    return ClassTable(
        names=tuple(map(str, names or range(count))),
        precision=p,
        recall=r,
        f1=harmonic,
        support=tally(t, count, weights),
        averages={average: tuple(each(average)) for average in ("macro", "weighted")},
        accuracy=accuracy(y_true, y_pred, sample_weight=sample_weight),
    )
