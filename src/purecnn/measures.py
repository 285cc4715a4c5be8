"""Which metrics `fit` and `evaluate` were asked for, by name or as functions, and what they find."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from purecnn.activations import Sigmoid, Softmax
from purecnn.arguments import is_integer
from purecnn.callbacks import History
from purecnn.entropies import sigmoid_binary_cross_entropy, softmax_cross_entropy
from purecnn.loss import Loss
from purecnn.metrics import (
    accuracy,
    calibration_error,
    confusion_matrix,
    f1,
    log_loss,
    precision,
    recall,
    top_k_accuracy,
)
from purecnn.scratch import Array

Metric = Callable[[Any, Any], Any]

#: Every metric by its name; "top_3_accuracy", with any number, is one too.
METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "calibration_error": calibration_error,
    "confusion_matrix": confusion_matrix,
    "log_loss": log_loss,
    **{metric.__name__: metric for metric in (precision, recall, f1)},
    **{
        f"{metric.__name__}_{average}": partial(metric, average=average)
        for metric in (precision, recall, f1)
        for average in ("macro", "micro", "weighted", "binary")
    },
}


def as_metrics(metrics: Sequence[str | Metric] | Mapping[str, str | Metric]) -> dict[str, Metric]:
    """Return metrics by their names: those of `METRICS`, and functions ``(y_true, y_pred)`` of one's own.

    Examples
    --------
    >>> list(as_metrics(["accuracy", "top_3_accuracy"]))
    ['accuracy', 'top_3_accuracy']
    """
    if isinstance(metrics, str) or not isinstance(metrics, Sequence | Mapping):
        raise TypeError(f"metrics must be a list of names and functions, got {metrics!r}")
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        pairs = [(m if isinstance(m, str) else getattr(m, "__name__", ""), m) for m in metrics]
    taken = {"epoch", "images_per_second", *(field.name for field in fields(History))}
    found: dict[str, Metric] = {}
    for name, metric in pairs:
        if not name or not isinstance(name, str):
            raise ValueError(f'{metric!r} has no name: wanted a dict, such as {{"name": function}}')
        if name in found or name in taken or name.startswith("validation_"):
            raise ValueError(f"a metric's name must be its own, got {name!r} twice or for something else")
        found[name] = _as_metric(metric)
    return found


def _as_metric(metric: Any) -> Metric:
    """Return one metric by its name, or the function given."""
    if isinstance(metric, str):
        if (top := re.fullmatch(r"top_([1-9]\d{0,5})_accuracy", metric)) is not None:
            return partial(top_k_accuracy, k=int(top[1]))
        if metric not in METRICS:
            raise ValueError(f"metrics must be of {', '.join(METRICS)}, top_3_accuracy, got {metric!r}")
        return METRICS[metric]
    if not callable(metric):
        raise TypeError(f"a metric must be a name or a function (y_true, y_pred), got {metric!r}")
    return metric  # type: ignore[no-any-return]


def as_probabilities(outputs: Array, loss: Loss) -> Array:
    """Return sample-first outputs, as probabilities where `loss` says that they are scores."""
    function = inspect.unwrap(loss.function)  # `smoothed` wraps the loss that it smooths
    if function not in (softmax_cross_entropy, sigmoid_binary_cross_entropy):
        return outputs
    behind = Softmax() if function is softmax_cross_entropy else Sigmoid()
    return np.moveaxis(behind.forward(np.moveaxis(outputs, 0, -1)), -1, 0)


def measure(metrics: Mapping[str, Metric], y_true: Array, y_pred: Array) -> dict[str, Any]:
    """Return each metric's value: a float, or a list where it is an array.

    Parameters
    ----------
    metrics : dict
        Names to functions.
    y_true : ndarray
        Labels ``(n,)`` or rows ``(n, outputs)``, which no metric can write to.
    y_pred : ndarray
        Outputs, or probabilities, the samples first.
    """
    rows = y_pred.reshape(len(y_pred), -1).view()
    truth = y_true.view()
    rows.flags.writeable = truth.flags.writeable = False
    return {name: _plain(name, metric(truth, rows)) for name, metric in metrics.items()}


def _plain(name: str, value: Any) -> Any:
    """Return a metric's value as a float or a list, which any log can hold."""
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu":
        return value.tolist()
    if is_integer(value) or (isinstance(value, float | np.floating | np.ndarray) and not np.ndim(value)):
        return float(value)
    raise TypeError(f"the metric {name} must return a number or an array of numbers, got {value!r:.100}")
