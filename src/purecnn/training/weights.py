"""Weights of samples, classes and pixels: how much each sample counts in the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, is_integer, is_number
from purecnn.backend.types import Array, Shape
from purecnn.losses.tasks import form_of
from purecnn.metrics.inputs import tally
from purecnn.training.targets import PixelWeights, Targets


def weighted_targets(
    y: Any,
    samples: int,
    output_shape: Shape,
    dtype: npt.DTypeLike,
    *,
    task: str | None = None,
    names: Sequence[str] = (),
    sample_weight: Any = None,
    class_weight: Any = None,
    ignore_label: int | None = None,
    are_batch: bool = False,
) -> Targets:
    """Return the targets of so many samples, with what each counts.

    A whole set in which nothing counts is refused, for there would be nothing to learn and no mean to
    measure. A batch of a set may be such a one: a step on it changes nothing.

    Parameters
    ----------
    y, samples, output_shape, dtype, task, ignore_label
        As `Targets.check` takes them.
    names : sequence of str
        Of the classes, as the preprocessing has them.
    sample_weight, class_weight
        As `sample_weights` takes them.
    are_batch : bool
        Whether they are one batch, in place of a set.

    Raises
    ------
    ValueError, TypeError, ShapeError
        As these raise them, or if there are not as many names as outputs, or as channels of images, or if
        nothing counts in a set.
    """
    are_images = len(output_shape) == 3
    outputs = math.prod(output_shape[:1] if are_images else output_shape)
    if len(names) not in (0, outputs):
        raise ValueError(
            f"preprocessing must name no classes or one for each of {outputs} "
            f"{'channels' if are_images else 'outputs'}, got {len(names)}"
        )
    found = Targets.check(y, samples, output_shape, dtype, ignore_label=ignore_label, task=task)
    weigh(found, outputs, sample_weight, class_weight, ignore_label)
    if not are_batch and found.weights is not None and not found.weights.any():
        raise ValueError(
            f"the weights of the {'pixels' if found.are_maps else 'samples'} of a set must not all be 0: "
            f"there would be nothing to learn or to measure"
        )
    return found


def weigh(
    targets: Targets,
    outputs: int,
    sample_weight: Any = None,
    class_weight: Any = None,
    ignore_label: int | None = None,
) -> None:
    """Put into targets how much each sample counts; of label maps how much each pixel does.

    A pixel counts as its class times its sample, and not at all where it has the label to ignore. The mean of
    a loss over pixels is ``sum(w l) / sum(w)``, over all of a batch at once: with labels and class weights as
    PyTorch's ``CrossEntropyLoss(weight=..., ignore_index=...)`` has it.

    Parameters
    ----------
    targets : Targets
        To be changed.
    outputs : int
        How many classes the outputs have.
    sample_weight, class_weight
        As `sample_weights` takes them; "balanced" counts pixels.
    ignore_label : int, optional
        The label of pixels that do not count, none of the classes.

    Raises
    ------
    ValueError, TypeError
        As `sample_weights` raises them.
    """
    if not targets.are_maps:
        targets.weights = sample_weights(targets, outputs, sample_weight, class_weight)
        return
    by_sample = sample_weights(targets, outputs, sample_weight)
    if by_sample is None and class_weight is None and ignore_label is None:
        return
    pixels, classes = PixelWeights(ignore_label, None, by_sample), max(outputs, 2)
    if is_balanced(class_weight):
        pixels = replace(pixels, by_label=balanced(pixels.tally(targets.values, classes)))
    elif class_weight is not None:
        pixels = replace(pixels, by_label=of_classes(class_weight, classes))
    targets.pixels, targets.weights = pixels, pixels.totals(targets.values)


def sample_weights(
    targets: Targets, outputs: int, sample_weight: Any = None, class_weight: Any = None
) -> Array | None:
    """Return each sample's weight times its class's, ``(n,)`` float64; None where neither was given.

    Parameters
    ----------
    targets : Targets
        Of the samples, which `class_weight` wants to be classes: labels, or rows of zeros and one 1.
    outputs : int
        Of the network: one for each class, or a lone one for classes 0 and 1.
    sample_weight : array_like, optional
        ``(n,)``, at least 0 each.
    class_weight : dict or "balanced", optional
        From labels to weights of at least 0; a class left out weighs 1. "balanced" gives each class that
        occurs the same share: ``sum of weights / (classes * sum of the class's weights)``, as scikit-learn.

    Raises
    ------
    ValueError
        If a weight is negative, or there is none for each sample; if a label is no class.
    TypeError
        If they are no numbers, or `class_weight` is no dict.

    Examples
    --------
    >>> sample_weights(Targets(np.array([0, 0, 0, 1])), 2, class_weight="balanced").round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    >>> sample_weights(Targets(np.array([0, 1])), 2, [1, 2], {1: 10}).tolist()
    [1.0, 20.0]
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(targets.values))
    if sample_weight is not None:
        weights = as_array("sample_weight", sample_weight).astype(np.float64)
        if weights.shape != (len(targets.values),):
            raise ValueError(
                f"sample_weight must have one weight a sample, shape ({len(targets.values)},), "
                f"got {weights.shape}"
            )
        if weights.min() < 0:
            raise ValueError(f"sample_weight must be at least 0, got {weights.min():g}")
    if class_weight is not None:
        classes = max(outputs, 2)
        labels = check_classes(targets)
        if is_balanced(class_weight):
            each = balanced(tally(labels, classes, weights))
        else:
            each = of_classes(class_weight, classes)
        weights = weights * each[labels]
    return weights


def check_classes(targets: Targets) -> Array:
    """Return the class of each sample, if the targets are classes."""
    if form_of(targets.values) not in ("labels", "binary", "one-hot"):
        raise ValueError(
            "class_weight wants classes as targets, labels or rows of zeros and a single 1; "
            "for other values give sample_weight"
        )
    return targets.classes()


def is_balanced(class_weight: Any) -> bool:
    """Return whether all classes are to count alike."""
    return isinstance(class_weight, str) and class_weight.lower() == "balanced"


def balanced(counts: Array) -> Array:
    """Return a weight for each class with which all that occur count alike, from how much each has."""
    occurring = counts > 0
    each = np.ones(len(counts))
    each[occurring] = counts.sum() / (np.count_nonzero(occurring) * counts[occurring])
    return each


def of_classes(class_weight: Any, classes: int) -> Array:
    """Return a weight for each class from a dict of labels and weights."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f'class_weight must be a dict of labels and weights or "balanced", got {class_weight!r}'
        )
    each = np.ones(classes)
    for label, weight in class_weight.items():
        if not is_integer(label) or not 0 <= label < classes:
            raise ValueError(f"class_weight must name labels from 0 to {classes - 1}, got {label!r}")
        if not is_number(weight) or weight < 0:
            raise ValueError(f"class_weight must give numbers of at least 0, got {weight!r} for {label}")
        each[label] = weight
    return each
