"""The task of a network: classification, several labels a sample, regression, or segmentation.

Decided once, from the loss, the last layer and the targets, so that nothing takes numbers for classes.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from purecnn.backend.types import Array
from purecnn.layers.activations.basic import Softmax
from purecnn.layers.base import Layer
from purecnn.losses.base import Loss, unwrapped
from purecnn.losses.regression import hinge

Task = Literal["classification", "multilabel", "regression", "segmentation"]
#: Every task by its name.
TASKS: tuple[Task, ...] = get_args(Task)
#: What targets may look like, in words.
FORMS = {
    "labels": "integer labels",
    "binary": "zeros and ones",
    "one-hot": "one-hot rows",
    "multi-hot": "rows of zeros and ones that are not one-hot",
    "shares": "shares that sum to 1",
    "values": "values",
    "label maps": "label maps",
}
#: The forms of the targets of each task.
TAKES = {
    "classification": ("labels", "binary", "one-hot", "shares"),
    "multilabel": ("binary", "one-hot", "multi-hot"),
    "regression": ("binary", "one-hot", "multi-hot", "shares", "values"),
    "segmentation": ("label maps",),
}
#: How far the sum of shares may lie from 1: they may come from half floats or from percents.
NEAR = 0.01
#: Samples that are looked at first: values are seldom zeros and ones up to there.
FIRST = 256


def as_task(task: object) -> Task | None:
    """Return a task, or None where it is not known yet.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> as_task("regression")
    'regression'
    """
    if task is None:
        return None
    for known in TASKS:
        if isinstance(task, str) and task == known:
            return known
    raise ValueError(f"task must be one of {', '.join(TASKS)} or None, got {task!r:.100}")


def are_binary(values: Array) -> bool:
    """Return whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def form_of(y: Array) -> str:
    """Return what targets look like, one of `FORMS`.

    Parameters
    ----------
    y : ndarray
        Labels ``(n,)``, maps of labels ``(n, H, W)``, or rows ``(n, outputs)``; floats ``(n,)`` are rows of
        one.

    Examples
    --------
    >>> [form_of(np.array(y)) for y in ([0, 2], [[0.0, 1.0]], [[1, 1], [0, 1]], [[0.25, 0.75]], [[3.5]])]
    ['labels', 'one-hot', 'multi-hot', 'shares', 'values']
    """
    if y.ndim == 3:
        return "label maps"
    if y.ndim == 1:
        if y.dtype.kind != "f":
            return "labels"
        y = y[:, np.newaxis]
    lone = y.shape[1] == 1
    if are_binary(y[:FIRST]) and are_binary(y):
        if lone:
            return "binary"
        return "one-hot" if (y.sum(axis=1) == 1).all() else "multi-hot"
    for rows in (y[:FIRST], y):
        if rows.min() < 0 or rows.max() > 1 or not (lone or (np.abs(rows.sum(axis=1) - 1) < NEAR).all()):
            return "values"
    return "shares"


def form_for(loss: Loss, y: Array) -> str:
    """Return what targets look like to a loss: the hinge reads zeros and ones from their signs."""
    return form_of(as_truth(loss, y))


def as_truth(loss: Loss, y: Array) -> Array:
    """Return targets as metrics take them: as zeros and ones where a hinge loss reads their signs."""
    return (y > 0).astype(np.float64) if y.ndim == 2 and unwrapped(loss) is hinge else y


def decide(loss: Loss, last: Layer, y: Array) -> Task:
    """Return the task that a loss, a network's last layer and targets say.

    ==============================================================  ======================================
    targets                                                         task
    ==============================================================  ======================================
    integer labels ``(n,)`` for several outputs                     classification
    zeros and ones for a lone output                                classification, of two classes
    label maps ``(n, H, W)``, of a lone channel zeros and ones      segmentation
    one-hot rows                                                    classification
    other rows of zeros and ones                                    multilabel
    shares that sum to 1 (of a lone output: from 0 to 1), with a    classification
    cross-entropy or behind a Softmax
    all else                                                        regression
    ==============================================================  ======================================

    Whatever the loss: the mean squared error too learns classes from one-hot rows. With "hinge" the signs of
    the targets are the zeros and ones.

    Parameters
    ----------
    loss : Loss
        What is lowered.
    last : Layer
        The network's last layer that does not pass on what it is given.
    y : ndarray
        Labels ``(n,)``, or rows ``(n, outputs)``.

    Raises
    ------
    ValueError
        If no task has all three.
    """
    form = form_for(loss, y)
    task: Task = "regression"
    if form in ("labels", "binary", "one-hot"):
        task = "classification"
    elif form == "label maps":
        task = "segmentation"
    elif form == "multi-hot":
        task = "multilabel"
    elif form == "shares" and (loss.targets != "values" or isinstance(last, Softmax)):
        task = "classification"
    check_task(task, loss, last, form)
    return task


def check_last(task: Task, last: Layer) -> None:
    """Refuse a last layer that does not belong to a task."""
    if task == "multilabel" and isinstance(last, Softmax):
        raise ValueError(
            "several labels a sample want Sigmoid as the last layer, got Softmax, whose classes shut each "
            "other out"
        )


def check_task(task: Task, loss: Loss, last: Layer, form: str, known: bool = False) -> None:
    """Refuse a loss, a last layer or targets that a task does not have.

    Parameters
    ----------
    task : str
        One of `TASKS`.
    loss : Loss
        What is lowered.
    last : Layer
        The network's last layer that does not pass on what it is given.
    form : str
        Of the targets, one of `FORMS`.
    known : bool
        Whether the network had this task before it saw these targets.

    Raises
    ------
    ValueError
        If one of them does not belong to the task.
    """
    other = (
        f"; the network's task is {task}, and setting it to None lets the next fit decide" if known else ""
    )
    if loss.targets == "classes" and form not in (*TAKES["classification"], *TAKES["segmentation"]):
        raise ValueError(
            f"a cross-entropy over classes wants integer labels, one-hot rows or shares that sum to 1 as y, "
            f"got {FORMS[form]}: several labels a sample want Sigmoid with 'binary_cross_entropy', values "
            f"want 'mse'{other}"
        )
    if form not in TAKES[task]:
        *wanted, last_form = [FORMS[name] for name in TAKES[task]]
        listed = f"{', '.join(wanted)} or {last_form}" if wanted else last_form
        raise ValueError(f"{task} wants {listed} as y, got {FORMS[form]}{other}")
    check_last(task, last)
    if task == "multilabel" and loss.targets == "classes":
        raise ValueError(
            f"several labels a sample want Sigmoid with 'binary_cross_entropy', got "
            f"{unwrapped(loss).__name__}, of which the classes shut each other out{other}"
        )
    if task == "regression" and (loss.targets == "classes" or unwrapped(loss) is hinge):
        raise ValueError(
            f"regression wants a loss of values, such as 'mse', got {unwrapped(loss).__name__}, which is one "
            f"of classes{other}"
        )
