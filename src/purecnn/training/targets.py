"""Targets of training: labels, one-hot rows or values, as the loss wants them, and their strata."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import as_array, check_range, is_integer
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.losses.tasks import are_binary, form_of
from purecnn.metrics.inputs import answers, tally

#: Samples whose pixels are weighed at a time, and those that are looked at first.
PIECE, FIRST = 256, 16


@dataclass(frozen=True, eq=False)
class PixelWeights:
    """How much each pixel of label maps counts: nothing where it is ignored, else its class times its sample.

    Parameters
    ----------
    ignore_label : int, optional
        The label of pixels that do not count.
    by_label : ndarray, optional
        Of each class, ``(classes,)`` float64.
    by_sample : ndarray, optional
        Of each sample, ``(n,)`` float64.
    """

    ignore_label: int | None = None
    by_label: Array | None = None
    by_sample: Array | None = None

    def known(self, labels: Array) -> Array:
        """Return labels, 0 in place of the one to ignore, as indices."""
        found = labels.astype(np.intp)
        if self.ignore_label is not None:
            found[labels == self.ignore_label] = 0
        return found

    def of(self, labels: Array, rows: Any) -> Array:
        """Return the weights of the pixels of samples `rows` with labels ``(N, H, W)``, float64."""
        found = np.ones(labels.shape) if self.by_label is None else self.by_label[self.known(labels)]
        if self.ignore_label is not None:
            found[labels == self.ignore_label] = 0
        if self.by_sample is not None:
            found *= self.by_sample[rows][:, np.newaxis, np.newaxis]
        return found

    def totals(self, labels: Array) -> Array:
        """Return how much each sample's pixels count in all, ``(n,)`` float64."""
        return np.concatenate([self.of(labels[piece], piece).sum(axis=(1, 2)) for piece in pieces(labels)])

    def tally(self, labels: Array, classes: int) -> Array:
        """Return how much the pixels of each class count, ``(classes,)`` float64."""
        found = np.zeros(classes)
        for piece in pieces(labels):
            weights = self.of(labels[piece], piece)
            found += tally(self.known(labels[piece]).reshape(-1), classes, weights.reshape(-1))
        return found


def pieces(labels: Array) -> list[slice]:
    """Return which samples' pixels to look at at a time."""
    return [slice(first, first + PIECE) for first in range(0, len(labels), PIECE)]


@dataclass
class Targets:
    """What a network shall answer: integer labels ``(n,)``, maps of them ``(n, H, W)``, or values.

    Parameters
    ----------
    values : ndarray
        One of the three; labels as `numpy.intp`, maps as uint8 or int32, values sample first ``(n,
        outputs)``, floats ``(n,)`` as values ``(n, 1)``.
    weights : ndarray, optional
        How much each sample counts, ``(n,)`` float64, of maps all its pixels together; all alike if left out.
    pixels : PixelWeights, optional
        How much the pixels of maps count; all alike if left out.
    """

    values: Array
    weights: Array | None = None
    pixels: PixelWeights | None = None

    def __post_init__(self) -> None:
        if self.values.ndim == 1 and self.values.dtype.kind == "f":
            self.values = self.values[:, np.newaxis]  # values of one output: as integers they would be others
        if self.are_labels:  # which are indices, on a device too, and not of every kind of integer
            self.values = self.values.astype(np.intp, copy=False)

    @classmethod
    def check(
        cls,
        y: Any,
        samples: int,
        output_shape: Shape,
        dtype: npt.DTypeLike = np.float64,
        *,
        ignore_label: int | None = None,
        task: str | None = None,
    ) -> Targets:
        """Return the targets of `samples` samples, first axis, for a network with outputs of a shape.

        With one output they are ``(n,)`` or ``(n, 1)``; with more, integer labels ``(n,)``, also in a
        column ``(n, 1)``, or values ``(n, outputs)``. The values of a sample may have the outputs' shape or
        lie in a row; of outputs in a row they may have any shape, an image's say. With images as outputs they
        may be label maps, as `label_maps` has it; not where `task` is another than "segmentation".

        Raises
        ------
        ValueError
            If their number differs from that of the samples, a label lies outside the outputs, or a value
            outside the range of `dtype`, the network's.
        ShapeError
            If they are neither labels nor a value for each output.
        """
        outputs = math.prod(output_shape)
        array = as_array("y", y)
        if array.ndim == 0 or len(array) != samples:
            raise ValueError(
                f"x and y must have as many samples, got {samples} in x and y of shape {array.shape}"
            )
        if task in (None, "segmentation"):
            found = label_maps(array, output_shape, ignore_label)
            if found is not None:
                return cls(found)
        if ignore_label is not None:
            raise ValueError(
                f"ignore_label wants label maps as y, integers (n, height, width) for a network whose "
                f"outputs are images, got {array.dtype} of shape {array.shape}"
            )
        if array.shape[1:] == (1,) and array.dtype.kind in "iu" and outputs > 1:
            array = array[:, 0]  # labels in a column, as Keras has them
        if array.ndim == 1 and array.dtype.kind in "iu" and outputs > 1:
            if len(output_shape) == 3:
                raise ShapeError(
                    f"y must be an image or a map of labels a sample, for outputs {output_shape}, got labels "
                    f"of shape {array.shape}: for one class a sample put Flatten() before the last layers"
                )
            low, high = int(array.min()), int(array.max())
            if low < 0 or high >= outputs:
                raise ValueError(
                    f"labels must be from 0 to {outputs - 1}, one less than the network's {outputs} outputs; "
                    f"got {low if low < 0 else high}"
                )
            return cls(array)
        if array.size != samples * outputs:
            kinds = "integer label maps" if len(output_shape) == 3 else "integer labels"
            shape = (samples, *output_shape[1:]) if len(output_shape) == 3 else (samples,)
            raise ShapeError(
                f"y must be {kinds} of shape {shape} or values of shape ({samples}, {outputs}), "
                f"got {array.dtype} of shape {array.shape}"
            )
        check_axes(array.shape, output_shape)
        check_range("y", array, dtype)
        return cls(array.reshape(samples, outputs))

    @property
    def are_labels(self) -> bool:
        """Whether they are integer labels."""
        return self.values.ndim == 1

    @property
    def are_maps(self) -> bool:
        """Whether they are maps of integer labels."""
        return self.values.ndim == 3

    @property
    def ignore_label(self) -> int | None:
        """The label of pixels that do not count."""
        return None if self.pixels is None else self.pixels.ignore_label

    @property
    def sample_weight(self) -> Array | None:
        """How much each sample counts in metrics, ``(n,)``, whatever its pixels; None where all are alike."""
        if not self.are_maps:
            return self.weights
        return None if self.pixels is None else self.pixels.by_sample

    def batch(self, rows: Any, dtype: npt.DTypeLike) -> Array:
        """Return the targets of `rows`: labels ``(N,)``, maps ``(H, W, N)`` or columns ``(outputs, N)``.

        Pixels to ignore, whose weights are 0, have the label 0.
        """
        taken: Array = self.values[rows]
        if self.are_maps:
            pixels = self.pixels or PixelWeights()
            return np.ascontiguousarray(pixels.known(taken).transpose(1, 2, 0))
        return taken if self.are_labels else taken.T.astype(dtype)

    def weight(self, rows: Any) -> float:
        """Return how much the samples `rows` count in all: their number, where all count alike."""
        return float(len(rows) if self.weights is None else np.add.reduce(self.weights[rows]))

    def weighting(self, rows: Any) -> dict[str, Array]:
        """Return what a loss gets besides its two arguments: nothing where all samples count alike."""
        if self.pixels is not None:
            weights = self.pixels.of(self.values[rows], rows)
            return {"sample_weight": np.ascontiguousarray(weights.transpose(1, 2, 0))}
        return {} if self.weights is None else {"sample_weight": self.weights[rows]}

    def moved(
        self, rows: Any, output: Array, move: Callable[..., None]
    ) -> tuple[Array, dict[str, Array], float]:
        """Return targets of `rows` that are images, moved as their samples, and what a loss gets beside them.

        Parameters
        ----------
        rows : ndarray of int
            The samples' numbers.
        output : ndarray
            The network's, ``(C, H, W, N)``.
        move : callable
            Moves floats ``(C, H, W, N)`` in place: of label maps to the nearest pixel, with -1 from beyond
            the border, where it is told so by ``labels=True``.

        Returns
        -------
        target : ndarray
            Label maps ``(H, W, N)`` or values ``(C, H, W, N)``.
        weights : dict
            As `weighting` returns it.
        kept : float
            The share of what counts that is still in the images.
        """
        if not self.are_maps:
            columns = self.batch(rows, output.dtype)
            values = np.ascontiguousarray(columns).reshape(output.shape)
            move(values, labels=False)
            return values, self.weighting(rows), 1.0
        taken, pixels = self.values[rows], self.pixels or PixelWeights()
        labels = np.array(taken.transpose(1, 2, 0), np.float32, order="C")[np.newaxis]
        if pixels.ignore_label is not None:
            labels[0][taken.transpose(1, 2, 0) == pixels.ignore_label] = -1
        move(labels, labels=True)
        found = labels[0].astype(np.intp)
        inside = replace(pixels, ignore_label=-1).of(found.transpose(2, 0, 1), rows).transpose(1, 2, 0)
        before = pixels.of(taken, rows).sum()
        np.maximum(found, 0, out=found)
        share = float(inside.sum() / before) if before else 0.0
        return found, {"sample_weight": np.ascontiguousarray(inside)}, share

    def decisive(self) -> list[Array]:
        """Return the arrays that say how much samples and pixels count, for a digest."""
        found = [self.weights]
        if self.pixels is not None:
            ignored = self.pixels.ignore_label
            found += [self.pixels.by_label, None if ignored is None else np.array([ignored], np.int64)]
        return [array for array in found if array is not None]

    def classes(self) -> Array:
        """Return the class of each sample: its label, or its largest value, or whether it is above 0.5."""
        if self.are_labels:
            return self.values
        return answers(self.values)


def label_maps(array: Array, output_shape: Shape, ignore_label: int | None = None) -> Array | None:
    """Return targets as label maps ``(n, H, W)``, uint8 where that will do, else int32; None if they are not.

    ==============================================================  =========================================
    targets for outputs ``(classes, H, W)``                         label maps
    ==============================================================  =========================================
    integers ``(n, H, W)`` or ``(n, 1, H, W)``, several classes     from 0 to ``classes - 1``, or to ignore
    zeros and ones of any type, as many, for a lone channel         as they are; a label to ignore beside them
    zeros and ones ``(n, classes, H, W)``, a single 1 a pixel       where the 1 is
    ==============================================================  =========================================

    Raises
    ------
    ValueError
        If a label is none of the classes, or `ignore_label` is one of them.
    ShapeError
        If maps are of another size than the outputs.

    Examples
    --------
    >>> label_maps(np.array([[[0, 2], [1, 255]]]), (3, 2, 2), ignore_label=255)
    array([[[  0,   2],
            [  1, 255]]], dtype=uint8)
    """
    if len(output_shape) != 3:
        return None
    channels, *size = output_shape
    classes = max(2, channels)
    if ignore_label is not None:
        if not is_integer(ignore_label) or not -(2**31) <= ignore_label < 2**31:
            raise ValueError(f"ignore_label must be an integer of 32 bits, got {ignore_label!r:.100}")
        if 0 <= ignore_label < classes:
            raise ValueError(
                f"ignore_label must be none of the classes, 0 to {classes - 1}, got {ignore_label}: "
                f"for a class that shall count nothing give class_weight={{{ignore_label}: 0}}"
            )
    if channels > 1 and array.shape[1:] == output_shape:
        one_hot = all(are_binary(some) and (some.sum(axis=1) == 1).all() for some in (array[:FIRST], array))
        return array.argmax(axis=1).astype(stored_as(classes, None)) if one_hot else None
    shape = array.shape[2:] if array.ndim == 4 and array.shape[1] == 1 else array.shape[1:]
    if len(shape) != 2 or (channels > 1 and array.dtype.kind not in "iub"):
        return None
    if list(shape) != size:
        if channels > 1 and array[0].size != math.prod(output_shape):
            raise ShapeError(
                f"label maps must have the height and width of the outputs, {size[0]} x {size[1]}, "
                f"got {shape[0]} x {shape[1]}"
            )
        return None
    if channels == 1 and ignore_label is None and not (are_binary(array[:FIRST]) and are_binary(array)):
        return None
    counts: Any = True if ignore_label is None else array != ignore_label
    least, most = (end(array, where=counts, initial=0) for end in (np.min, np.max))
    if least < 0 or most >= classes or not (array.dtype.kind != "f" or (array == np.floor(array)).all()):
        worst = least if least < 0 else most
        raise ValueError(
            f"labels of maps must be whole numbers from 0 to {classes - 1}"
            + ("" if ignore_label is None else f", or {ignore_label}, to be ignored")
            + f", got {worst:g}"
            + (": ignore_label=255 leaves those pixels out" if worst == 255 and ignore_label is None else "")
        )
    return array.reshape(len(array), *size).astype(stored_as(classes, ignore_label))


def stored_as(classes: int, ignore_label: int | None) -> type[np.integer[Any]]:
    """Return the type that maps of so many classes are kept in, the same on every system.

    Examples
    --------
    >>> stored_as(21, 255).__name__, stored_as(21, -100).__name__
    ('uint8', 'int32')
    """
    fits = classes <= 256 and (ignore_label is None or 0 <= ignore_label < 256)
    return np.uint8 if fits else np.int32


def check_axes(shape: Shape, output_shape: Shape) -> None:
    """Refuse targets of as many values as the outputs whose axes are others: a reshape would mix them.

    Raises
    ------
    ShapeError
        If both are maps, and of different shapes.

    Examples
    --------
    >>> check_axes((9, 2, 4, 5), (2, 4, 5)), check_axes((9, 40), (2, 4, 5)), check_axes((9, 4, 10), (40,))
    (None, None, None)
    >>> check_axes((9, 4, 5, 2), (2, 4, 5))
    Traceback (most recent call last):
    purecnn.errors.ShapeError: y must have shape (n, 2, 4, 5) or (n, 40), the samples first, got \
(9, 4, 5, 2): \
its channels are last, y.transpose(0, 3, 1, 2) moves them
    """
    given, wanted = (tuple(size for size in sizes if size > 1) for sizes in (shape[1:], output_shape))
    if given == wanted or min(len(given), len(wanted)) < 2:
        return
    last = len(output_shape) == 3 and shape[1:] == (*output_shape[1:], output_shape[0])
    raise ShapeError(
        f"y must have shape (n, {', '.join(map(str, output_shape))}) or (n, {math.prod(output_shape)}), the "
        f"samples first, got {shape}"
        + (": its channels are last, y.transpose(0, 3, 1, 2) moves them" if last else "")
    )


def strata(targets: Targets) -> Array:
    """Return the class of each target: labels, or columns of zeros and ones; one class if they are values."""
    if form_of(targets.values) in ("label maps", "shares", "values"):
        return np.zeros(len(targets.values), np.intp)
    return targets.classes()
