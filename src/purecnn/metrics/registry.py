"""The registry of metrics by task and name.

Which metrics `fit` and `evaluate` were asked for, by name or as functions, and what they find.

Each metric says which task it belongs to and which direction is better.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from purecnn.backend.checks import is_integer, suggestion
from purecnn.backend.types import Array
from purecnn.losses.tasks import Task
from purecnn.metrics.classification import (
    accuracy,
    calibration_error,
    confusion_matrix,
    f1,
    log_loss,
    precision,
    recall,
    top_k_accuracy,
)
from purecnn.metrics.inputs import answers
from purecnn.metrics.multilabel import (
    label_accuracy,
    multilabel_f1,
    multilabel_precision,
    multilabel_recall,
    subset_accuracy,
)
from purecnn.metrics.regression import mean_absolute_error, mean_squared_error, r2, root_mean_squared_error
from purecnn.metrics.segmentation import (
    dice_coefficient,
    intersection_over_union,
    overlap,
    pixel_accuracy,
    pixel_confusion_matrix,
    share_right,
)

Metric = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Measure:
    """A metric as it is measured.

    Parameters
    ----------
    function : callable
        ``(y_true, y_pred)``, the samples first, to a number or an array of numbers.
    mode : {"min", "max"}, optional
        Which of its values is better; None where no one number is, or nobody has said.
    """

    function: Metric
    mode: str | None = None

    def __call__(self, y_true: Any, y_pred: Any, **weights: Any) -> Any:
        """Return its value; `weights` is a `sample_weight`, which metrics of one's own need not take."""
        return self.function(y_true, y_pred, **weights)

    def takes(self, name: str) -> bool:
        """Return whether the function takes an argument, `sample_weight` or `ignore_label`."""
        try:
            known = inspect.signature(self.function).parameters.values()
        except ValueError:  # a function that does not say
            return False
        return any(one.name == name or one.kind is one.VAR_KEYWORD for one in known)


#: Every metric by its task and its name; "top_3_accuracy", with any number, is one of classification too.
METRICS: dict[Task, dict[str, Measure]] = {
    "classification": {
        "accuracy": Measure(accuracy, "max"),
        "calibration_error": Measure(calibration_error, "min"),
        "confusion_matrix": Measure(confusion_matrix),
        "log_loss": Measure(log_loss, "min"),
        **{metric.__name__: Measure(metric, "max") for metric in (precision, recall, f1)},
        **{
            f"{metric.__name__}_{average}": Measure(partial(metric, average=average), "max")
            for metric in (precision, recall, f1)
            for average in ("macro", "micro", "weighted", "binary")
        },
    },
    "multilabel": {
        "subset_accuracy": Measure(subset_accuracy, "max"),
        "label_accuracy": Measure(label_accuracy, "max"),
        "accuracy_per_label": Measure(partial(label_accuracy, average=None)),
        **{
            name: Measure(metric, "max")
            for name, metric in (
                ("precision", multilabel_precision),
                ("recall", multilabel_recall),
                ("f1", multilabel_f1),
            )
        },
        **{
            f"{name}_{average or 'per_label'}": Measure(
                partial(metric, average=average), "max" if average else None
            )
            for name, metric in (
                ("precision", multilabel_precision),
                ("recall", multilabel_recall),
                ("f1", multilabel_f1),
            )
            for average in ("macro", "micro", "weighted", None)
        },
    },
    "regression": {
        "mean_absolute_error": Measure(mean_absolute_error, "min"),
        "mean_squared_error": Measure(mean_squared_error, "min"),
        "root_mean_squared_error": Measure(root_mean_squared_error, "min"),
        "r2": Measure(r2, "max"),
    },
    "segmentation": {
        "pixel_accuracy": Measure(pixel_accuracy, "max"),
        "mean_iou": Measure(intersection_over_union, "max"),
        "iou_per_class": Measure(partial(intersection_over_union, average=None)),
        "mean_dice": Measure(dice_coefficient, "max"),
        "dice_per_class": Measure(partial(dice_coefficient, average=None)),
        "confusion_matrix": Measure(pixel_confusion_matrix),
    },
}
#: What `evaluate` measures beside the loss, and `fit` on the validation set.
USUAL: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multilabel": ("subset_accuracy", "label_accuracy", "f1"),
    "regression": ("r2", "mean_absolute_error", "root_mean_squared_error"),
    "segmentation": ("pixel_accuracy", "mean_iou"),
}


def usual(task: Task) -> dict[str, Measure]:
    """Return what is measured of a task without being asked for.

    Examples
    --------
    >>> list(usual("regression"))
    ['r2', 'mean_absolute_error', 'root_mean_squared_error']
    """
    return {name: METRICS[task][name] for name in USUAL[task]}


#: Which of them says most: what a run is compared by.
MAIN: dict[Task, str] = {
    "classification": "accuracy",
    "multilabel": "subset_accuracy",
    "regression": "r2",
    "segmentation": "mean_iou",
}
#: Names that a history has already.
RESERVED = frozenset(
    (
        "epoch",
        "images_per_second",
        "loss",
        "metrics",
        "samples",
        "seconds",
        "validation_accuracy",
        "validation_loss",
        "validation_metrics",
    )
)
#: What is written in another way than its name.
WRITTEN = {"r2": "R2", "f1": "F1", "mean_iou": "mean IoU"}


def written(name: str) -> str:
    """Return a metric's name as people write it.

    Examples
    --------
    >>> written("subset_accuracy"), written("r2")
    ('subset accuracy', 'R2')
    """
    return WRITTEN.get(name, name.replace("_", " "))


def in_words(name: str, value: float) -> str:
    """Return a metric and its value as people write them.

    Examples
    --------
    >>> in_words("subset_accuracy", 0.5), in_words("r2", 0.98765)
    ('subset accuracy 50.00 %', 'R2 0.9877')
    """
    return f"{written(name)} {formatted(name, value)}"


def formatted(name: str, value: float) -> str:
    """Return a metric's value: a share of right answers in percent, an error in the unit of the values.

    Examples
    --------
    >>> formatted("accuracy", 0.5), formatted("r2", 0.98765), formatted("mean_absolute_error", 1234.5)
    ('50.00 %', '0.9877', '1234')
    """
    if name.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    return f"{value:.4g}" if name.endswith("error") else f"{value:.4f}"


def of_task(
    task: Task,
    y_true: Array,
    y_pred: Array,
    weights: Array | None = None,
    ignore_label: int | None = None,
) -> dict[str, float]:
    """Return the usual metrics of a task; NaN where outputs are no longer finite and have no error.

    Parameters
    ----------
    task : str
        Which.
    y_true, y_pred : ndarray
        Answers and outputs or probabilities, the samples first.
    weights : ndarray, optional
        Of the samples.
    ignore_label : int, optional
        The label of pixels that are not counted.
    """
    if task == "classification":
        right = answers(y_pred) == (y_true if y_true.ndim == 1 else answers(y_true))
        return {"accuracy": float(np.average(right, weights=weights))}
    if not np.isfinite(y_pred).all():
        return dict.fromkeys(usual(task), float("nan"))
    if task == "segmentation":
        found = pixel_confusion_matrix(y_true, y_pred, ignore_label=ignore_label, sample_weight=weights)
        return {"pixel_accuracy": share_right(found), "mean_iou": overlap(found, "macro", 1)}
    rows = y_pred.reshape(len(y_pred), -1)
    with np.errstate(over="ignore"):
        return {
            name: float(metric(y_true, rows, sample_weight=weights)) for name, metric in usual(task).items()
        }


def as_metrics(
    metrics: str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric], task: Task = "classification"
) -> dict[str, Measure]:
    """Return metrics by their names: those of a task, and functions ``(y_true, y_pred)`` of one's own.

    One alone needs no list, and a name may have any case.

    Raises
    ------
    ValueError
        If one is not of the task, or a name is not its own.
    TypeError
        If they are no list of names and functions.

    Examples
    --------
    >>> list(as_metrics(["accuracy", "top_3_accuracy"])), as_metrics("R2", "regression")["r2"].mode
    (['accuracy', 'top_3_accuracy'], 'max')
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Sequence | Mapping):
        raise TypeError(f"metrics must be a name, a function or a list of them, got {metrics!r}")
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        pairs = [(m.lower() if isinstance(m, str) else getattr(m, "__name__", ""), m) for m in metrics]
    found: dict[str, Measure] = {}
    for name, metric in pairs:
        if not name or not isinstance(name, str):
            raise ValueError(f'{metric!r} has no name: wanted a dict, such as {{"name": function}}')
        if name in found or name in RESERVED or name.startswith("validation_"):
            raise ValueError(f"the metric name {name!r} is already taken: choose another")
        word = metric.lower() if isinstance(metric, str) else metric
        if name in USUAL[task] and word not in (name, METRICS[task][name]):
            raise ValueError(
                f"the metric name {name!r} is already taken by {task}: choose another for {metric!r}"
            )
        found[name] = _as_measure(metric, task)
    return found


def _as_measure(metric: Any, task: Task) -> Measure:
    """Return one metric by its name, or the function given."""
    if isinstance(metric, str):
        word = metric.lower()
        top = re.fullmatch(r"top_([1-9]\d{0,5})_accuracy", word)
        if top is not None and task == "classification":
            return Measure(partial(top_k_accuracy, k=int(top[1])), "max")
        if word not in METRICS[task]:
            others = [other for other in METRICS if word in METRICS[other]]
            names = [*METRICS[task], *(["top_5_accuracy"] if task == "classification" else [])]
            of = f", which is of {' and '.join(others or ['classification'])}" if others or top else ""
            of = of or suggestion(word, names)
            raise ValueError(f"metrics of {task} must be of {', '.join(names)}, got {metric!r}{of}")
        return METRICS[task][word]
    if not callable(metric):
        raise TypeError(f"a metric must be a name or a function (y_true, y_pred), got {metric!r}")
    return metric if isinstance(metric, Measure) else Measure(metric)


def measure(
    metrics: Mapping[str, Measure],
    y_true: Array,
    y_pred: Array,
    sample_weight: Array | None = None,
    ignore_label: int | None = None,
) -> dict[str, Any]:
    """Return each metric's value: a float, or a list where it is an array.

    Parameters
    ----------
    metrics : dict
        Names to functions.
    y_true : ndarray
        Labels ``(n,)``, label maps ``(n, H, W)`` or rows ``(n, outputs)``, which no metric can write to.
    y_pred : ndarray
        Outputs, or probabilities, the samples first: beside label maps ``(n, classes, H, W)``, else in rows.
    sample_weight : ndarray, optional
        ``(n,)``, for metrics that take it.
    ignore_label : int, optional
        The label of pixels that are not counted, for metrics that take it.

    Raises
    ------
    ValueError
        If there are weights, and a metric takes none.
    """
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    for name, metric in metrics.items():
        if weights and not metric.takes("sample_weight"):
            raise ValueError(f"sample_weight wants metrics that take it, got {name}, which does not")
    rows = (y_pred if y_true.ndim == 3 else y_pred.reshape(len(y_pred), -1)).view()
    truth = y_true.view()
    rows.flags.writeable = truth.flags.writeable = False
    found = {}
    for name, metric in metrics.items():
        ignores = ignore_label is not None and metric.takes("ignore_label")
        ignored = {"ignore_label": ignore_label} if ignores else {}
        found[name] = _plain(name, metric(truth, rows, **weights, **ignored))
    return found


def _plain(name: str, value: Any) -> Any:
    """Return a metric's value as a float or a list, which any log can hold."""
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu":
        return value.tolist()
    if is_integer(value) or (isinstance(value, float | np.floating | np.ndarray) and not np.ndim(value)):
        return float(value)
    raise TypeError(f"the metric {name} must return a number or an array of numbers, got {value!r:.100}")
