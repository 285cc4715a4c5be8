"""Predictions on labelled samples, which tables, charts and reports are made of.

What a network says to samples whose answers are known: what tables, charts and reports are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.datasets.dataset import labels_of
from purecnn.layers.base import Layer
from purecnn.losses.base import Loss, LossFunction
from purecnn.losses.registry import to_measure
from purecnn.losses.tasks import Task, as_truth
from purecnn.metrics.inputs import answers, as_scores, checked_probabilities
from purecnn.metrics.registry import of_task
from purecnn.metrics.segmentation import class_maps
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network
from purecnn.training.rows import Rows


@dataclass(frozen=True, eq=False)
class Answers:
    """A network's answers beside the true ones.

    Attributes
    ----------
    network : Network
        Who was asked.
    rows : ndarray or Rows
        The raw samples ``(n, values)``.
    truth : ndarray
        The true classes ``(n,)``, or maps of them ``(n, H, W)``; of other tasks the labels or values wanted
        ``(n, outputs)``.
    outputs : ndarray
        The answers: a score for each class ``(n, classes)``, of a lone output p ``(1 - p, p)``; of maps of
        classes ``(n, classes, H, W)``; else probabilities or values like `truth`.
    task : {"classification", "multilabel", "regression", "segmentation"}
        The network's, or what the loss, the last layer and `truth` say while it has none.
    are_probabilities : bool
        Whether the scores are from 0 to 1 and sum to 1.
    names : tuple of str
        Of the classes, or of the outputs.
    ignore_label : int or None
        The label of pixels of maps that do not count.
    """

    network: Network
    rows: Array | Rows
    truth: Array
    outputs: Array
    task: Task
    are_probabilities: bool
    names: tuple[str, ...]
    ignore_label: int | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def are_classes(self) -> bool:
        """Whether each sample has one class."""
        return self.task == "classification"

    @property
    def are_maps(self) -> bool:
        """Whether each pixel has one class."""
        return self.task == "segmentation"

    @property
    def answers_are_images(self) -> bool:
        """Whether the network answers with images: maps of classes, or values."""
        return len(self.network.output_shape or ()) == 3

    @cached_property
    def counted(self) -> Array:
        """Which pixels of maps count, ``(n, H, W)``."""
        return (
            np.ones(self.truth.shape, np.bool_)
            if self.ignore_label is None
            else self.truth != self.ignore_label
        )

    @property
    def shape(self) -> Shape:
        """Of one sample."""
        return self.network.input_shape or ()

    @property
    def are_images(self) -> bool:
        """Whether the samples are pictures."""
        return len(self.shape) == 3

    @cached_property
    def said(self) -> Array:
        """The classes that the network names, ``(n,)`` or ``(n, H, W)``; of several labels zeros and ones."""
        if self.are_maps:
            return class_maps(self.outputs)
        found: Array = self.outputs.argmax(axis=1) if self.are_classes else self.outputs > 0.5
        return found

    @property
    def leading(self) -> Array:
        """The output of each sample that is explained, ``(n,)``: the largest one, of values the first."""
        if self.task == "regression":
            return np.zeros(len(self), np.int64)
        found: Array = self.outputs.argmax(axis=1)
        return found

    def measured(self) -> dict[str, float]:
        """Return what is measured of the task, by name."""
        return of_task(self.task, self.truth, self.outputs, ignore_label=self.ignore_label)

    def sample(self, number: int) -> Array:
        """Return a raw sample, in its shape."""
        found: Array = self.samples([number])[0]
        return found

    def samples(self, numbers: Any) -> Array:
        """Return some raw samples, in their shape."""
        found: Array = self.rows[np.asarray(numbers)].reshape(-1, *self.shape)
        return found

    def evenly_spread(self, most: int) -> Array:
        """Return the numbers of at most so many samples, evenly spread over all."""
        count = min(most, len(self))
        return np.arange(count) * len(self) // count

    def errors(self) -> Array:
        """Return how wrong each answer is, ``(n,)``: the more, the larger.

        Of classes, by how much the score of the class named is above that of the true one; of several labels,
        the sum of what each probability lacks; of values, the root of the mean square of what is between; of
        maps, the share of the pixels that count whose class is not the true one.
        """
        if self.are_maps:
            counted, axes = self.counted, (1, 2)
            wrong = ((self.said != self.truth) & counted).sum(axis=axes)
            return np.asarray(wrong / np.maximum(counted.sum(axis=axes), 1))
        if self.task == "multilabel":
            return np.asarray(np.abs(self.outputs - self.truth).sum(axis=1))
        if not self.are_classes:
            return np.asarray(np.sqrt(((self.outputs - self.truth) ** 2).mean(axis=1)))
        each = np.arange(len(self))
        return np.asarray(self.outputs[each, self.said] - self.outputs[each, self.truth])

    def worst(self, count: int) -> Array:
        """Return the numbers of the samples that are most wrong, the worst first; no right ones."""
        errors = self.errors()
        order = np.argsort(-errors, kind="stable")
        if self.task == "multilabel":
            order = order[(self.said[order] != (self.truth[order] > 0.5)).any(axis=1)]
        order = order[errors[order] > 0] if self.are_maps else order
        order = order[:count]
        return order[self.said[order] != self.truth[order]] if self.are_classes else order


def find(
    network: Network | Sequence[Layer],
    x: Any,
    y: Any = None,
    *,
    loss: str | Loss | LossFunction | None = None,
    names: Sequence[str] = (),
    threads: int | None = None,
    ignore_label: int | None = None,
) -> Answers:
    """Ask a network about samples.

    Parameters
    ----------
    network : Network or list of Layer
        Whom.
    x, y : array_like
        As `Network.fit` takes them.
    loss : str, Loss or callable
        As `Network.evaluate` takes it: it tells scores from probabilities.
    names : sequence of str
        Of the classes; those of the preprocessing, or numbers, if left out.
    threads : int, optional
        Number of worker threads.
    ignore_label : int, optional
        As `Network.evaluate` takes it.

    Raises
    ------
    ValueError, TypeError, ShapeError
        As `Network.evaluate` raises them, or if there are not as many names as classes.
    """
    network = as_network(network)
    rows = network.as_rows(x)
    targets = network.targets(labels_of(x, y), len(rows), ignore_label=ignore_label)
    chosen = network.loss(to_measure(loss), None, targets)
    task = network.task_for(chosen, targets.values)
    outputs = network.outputs(rows, threads)
    outputs = chosen.probabilities(outputs)
    outputs = outputs if task == "segmentation" else outputs.reshape(len(outputs), -1)
    truth, are_probabilities = as_truth(chosen, targets.values), False
    are_classes = task == "classification"
    if are_classes:
        truth = truth if targets.are_labels else answers(truth)
        outputs = as_scores(outputs)
        with suppress(ValueError):  # scores, without a loss that makes probabilities of them
            are_probabilities = checked_probabilities(outputs).size > 0
    given = tuple(map(str, names or network.preprocessing.classes))
    lone = task == "segmentation" and outputs.shape[1] == 1  # whose one channel tells two classes
    count = 2 if lone else outputs.shape[1]
    if given and len(given) != count and not (len(given) == 1 and count == 2):
        raise ValueError(f"names must be one for each of {count} outputs, got {len(given)}")
    if len(given) == 1 and (are_classes or lone):  # a lone output's one name is that of class 1
        given = (f"not {given[0]}", *given)
    return Answers(
        network,
        rows,
        truth.astype(np.int64 if are_classes or targets.are_maps else np.float64),
        outputs,
        task,
        are_probabilities,
        given or tuple(str(number) for number in range(count)),
        targets.ignore_label,
    )
