"""Where arrays of samples meet a network: users keep the sample first, inside the batch comes last."""

from __future__ import annotations

import array as stored
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.arguments import choice, is_number
from purecnn.errors import ShapeError
from purecnn.layer import Shape, meant, seems_channels_last
from purecnn.scratch import Array
from purecnn.signatures import explained_class

#: What raw values a network was made for: not known yet, bytes from 0 to 255, or numbers as they are.
KINDS = ("any", "bytes", "numbers")
#: How a picture was made one of the samples: not known; or one of four ways, see `preparation.prepared`.
PREPARATIONS = ("unknown", "character", "object", "crop", "stretch")
#: Arrays, which may lie on disk, are checked so many bytes at a time.
PIECE = 1 << 24


@explained_class
@dataclass
class Preprocessing:
    """What happens to each raw value before the first layer: ``value * scale + shift``. Saved with the model.

    Parameters
    ----------
    scale, shift : float
        Both finite, `scale` not 0.
    kind : {"any", "bytes", "numbers"}
        Which raw values the network knows. Learnt from the first data: uint8 is "bytes", and gets
        a scale of 1/255 unless one was given; everything else is "numbers". Given here, nothing is
        learnt: the scale stays what it is, and `fit` warns of no pixels.
    classes : list of str
        Names of the outputs, in order; empty if they have none.
    preparation : {"unknown", "character", "object", "crop", "stretch"}
        How pictures were made samples, and so how another picture is made one: a handwritten character as
        MNIST's were, an object as Fashion-MNIST's, or cut, or stretched, to the samples' proportions and
        scaled, as `ImageFolder` does. Decided by the data set at training; arrays do not tell.

    Examples
    --------
    >>> Preprocessing(scale=2.0, shift=1.0).apply(np.array([[3]]), np.float32)
    array([[7.]], dtype=float32)
    """

    scale: float = 1.0
    shift: float = 0.0
    kind: str = "any"
    classes: tuple[str, ...] = ()
    preparation: str = "unknown"

    def __post_init__(self) -> None:
        if not is_number(self.scale) or self.scale == 0 or not is_number(self.shift):
            raise ValueError(
                f"scale must be a finite number other than 0 and shift a finite number, "
                f"got scale={self.scale!r}, shift={self.shift!r}"
            )
        self.kind = choice("kind", self.kind, KINDS)
        self.preparation = choice("preparation", self.preparation, PREPARATIONS)
        # what is no text can be written nowhere
        self.classes = tuple(str(name).encode("utf-8", "backslashreplace").decode() for name in self.classes)
        self._learnt: tuple[str, float] | None = None  # kind and scale before they were learnt

    @property
    def was_learnt(self) -> bool:
        """Whether the kind of raw values was taken from data, not given."""
        return self._learnt is not None

    def learn(self, x: Array, anew: bool = False) -> None:
        """Take the kind of raw values from the first data; `anew`, also where it was learnt before."""
        if anew and self._learnt:
            self.kind, self.scale = self._learnt
        if self.kind != "any":
            return
        self._learnt = self.kind, self.scale
        self.kind = "bytes" if x.dtype == np.uint8 else "numbers"
        if self.kind == "bytes" and (self.scale, self.shift) == (1.0, 0.0):
            self.scale = 1 / 255

    def check(self, x: Array) -> None:
        """Refuse raw values of another kind than the network knows.

        Raises
        ------
        TypeError
            If bytes meet a network that knows numbers, or the other way round: it would answer wrongly.
        """
        if self.kind == "bytes" and x.dtype != np.uint8:
            raise TypeError(
                f"this network knows bytes (uint8, 0 to 255) and scales them by {self.scale:.6g} itself; "
                f"got {x.dtype}: give it the uint8 images"
            )
        if self.kind == "numbers" and x.dtype == np.uint8:
            raise TypeError(
                "this network knows numbers, not bytes; got uint8: "
                "scale the images as the training data were, into floats"
            )

    def apply(self, raw: Array, dtype: npt.DTypeLike) -> Array:
        """Return ``raw * scale + shift`` in `dtype`."""
        values = raw.astype(dtype)
        self.apply_in_place(values)
        return values

    def apply_in_place(self, values: Array) -> None:
        """Scale and shift an array that holds raw values already as floats."""
        if self.scale != 1.0:
            values *= values.dtype.type(self.scale)
        if self.shift != 0.0:
            values += values.dtype.type(self.shift)

    def configuration(self) -> dict[str, Any]:
        """Return the fields, as they are saved."""
        return asdict(self)


def unchecked_array(name: str, values: Any) -> Array:
    """Return `values` as an array of whatever they hold, if they are one and no source of batches.

    Raises
    ------
    TypeError
        If they have to be asked for one by one, as a generator or a loader of batches.
    ValueError
        If they are ragged.
    """
    is_array = isinstance(values, Sequence | memoryview | stored.array) or hasattr(values, "__array__")
    is_iterable = hasattr(values, "__iter__") or hasattr(values, "__getitem__")
    if is_iterable and not is_array and not hasattr(values, "__array_interface__"):
        raise TypeError(
            f"{name} must be an array, or a Dataset: an object with labels, __len__ and batch(rows); "
            f"got a {type(values).__name__}"
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must hold samples of one shape; got a ragged list") from None


def as_array(name: str, values: Any) -> Array:
    """Return `values` as an array of real, finite numbers.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there are none, if they are ragged, or if one is NaN or infinite.
    """
    array = unchecked_array(name, values)
    text = array.flat[0] if array.dtype.kind in "USO" and array.size else None
    if name.startswith("y") and isinstance(text, str | bytes):
        raise TypeError(
            f"{name} must hold real numbers, got text such as {str(text)!r:.40}: names, y = np.unique(y, "
            "return_inverse=True) numbers the classes, Preprocessing(classes=names) keeps their names, and "
            "CNNClassifier does both"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one sample, got shape {array.shape}")
    if array.dtype.kind == "f":
        check_finite(name, array)
    return array


def check_finite(name: str, array: Array) -> None:
    """Raise `ValueError` if a value is NaN or infinite, and say where; never more than a piece is copied."""
    if array.ndim == 0 or array.nbytes <= PIECE:
        finite = np.isfinite(array)
        if not finite.all():
            place = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"{name} must be finite, got {array[place]} at {place}")
        return
    length = max(1, PIECE * len(array) // array.nbytes)
    for start in range(0, len(array), length):
        piece = array[start : start + length]
        if not np.isfinite(piece).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(piece))[0])
            raise ValueError(f"{name} must be finite, got {piece[place]} at {(start + place[0], *place[1:])}")


def as_batch(x: Array, shape: Shape, name: str = "x") -> Array:
    """Return samples as rows ``(n, values)``: the first axis counts them, whatever its length.

    ==============================  =============================================================
    samples of shape                come as
    ==============================  =============================================================
    ``(features,)``                 ``(n, features)``, or columns ``(n, features, 1)``
    ``(1, height, width)``          ``(n, 1, height, width)``, ``(n, height, width)``, or flat
    any other, of two axes or more  ``(n, *shape)``, or flat
    ==============================  =============================================================

    Flat rows are ``(n, values)``. The number of axes says which it is. A lone sample is a batch of one:
    ``x[np.newaxis]``.

    Raises
    ------
    ShapeError
        If `x` is none of these.
    """
    values = int(np.prod(shape))
    forms = [shape, (values,)] if len(shape) > 1 else [shape, (*shape, 1)]
    if len(shape) == 3 and shape[0] == 1:
        forms.insert(1, shape[1:])
    if x.ndim and x.shape[1:] in forms:
        return x.reshape(len(x), values)
    wanted = [f"({', '.join(('n', *map(str, form)))})" for form in dict.fromkeys(forms)]
    hint = ""
    if x.shape in forms:
        hint = f": a lone sample is a batch of one, {name}[np.newaxis]"
    elif len(shape) == 3 and x.shape[1:] == (*shape[1:], shape[0]):
        hint = f": its channels are last, {name}.transpose(0, 3, 1, 2) moves them"
    listed = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if wanted[1:] else wanted[0]
    raise ShapeError(f"{name} must have shape {listed}, the samples first, got {x.shape}{hint}")


def refuse_channels_last(name: str, shape: Shape) -> None:
    """Refuse a batch of images whose channels seem to be last, as Keras has them.

    Raises
    ------
    ShapeError
        See `layer.seems_channels_last`.
    """
    if seems_channels_last(shape[1:]):
        raise ShapeError(
            f"{name} must have its channels first, (n, channels, height, width), got {shape}: "
            f"{name}.transpose(0, 3, 1, 2) moves them, and {meant('input_shape', shape[1:])}"
        )


def infer_shape(x: Array, wants_images: bool) -> Shape:
    """Return the shape of one sample of a sample-first batch, for a network that was given none.

    Raises
    ------
    ShapeError
        If images are wanted and `x` has flat rows: their height and width can't be known; or if it seems to
        have its channels last.
    """
    shape = x.shape[1:]
    refuse_channels_last("x", x.shape)
    if wants_images and len(shape) == 2:
        return (1, *shape)
    if wants_images and len(shape) != 3:
        raise ShapeError(
            f"images must have shape (n, height, width) or (n, channels, height, width), got {x.shape}; "
            f"for flat rows give the network its input_shape=(channels, height, width)"
        )
    if len(shape) == 2 and shape[1] == 1:
        return shape[:1]
    if not shape:
        raise ShapeError(f"x must be a batch, the samples on the first axis; got shape {x.shape}")
    return shape


@dataclass
class Targets:
    """What a network shall answer: integer labels ``(n,)``, or values sample first ``(n, outputs)``.

    Parameters
    ----------
    values : ndarray
        One of the two; labels as `numpy.intp`, floats ``(n,)`` as values ``(n, 1)``.
    weights : ndarray, optional
        How much each sample counts, ``(n,)`` float64; all alike if left out.
    """

    values: Array
    weights: Array | None = None

    def __post_init__(self) -> None:
        if self.values.ndim == 1 and self.values.dtype.kind == "f":
            self.values = self.values[:, np.newaxis]  # values of one output: as integers they would be others
        if self.are_labels:  # which are indices, on a device too, and not of every kind of integer
            self.values = self.values.astype(np.intp, copy=False)

    @classmethod
    def check(cls, y: Any, samples: int, outputs: int) -> Targets:
        """Return the targets of `samples` samples, first axis, for a network with `outputs` outputs.

        With one output they are ``(n,)`` or ``(n, 1)``; with more, integer labels ``(n,)``, also in a
        column ``(n, 1)``, or values ``(n, outputs)``. The values of a sample may have any shape: a column, or
        an image.

        Raises
        ------
        ValueError
            If their number differs from that of the samples, or a label lies outside the outputs.
        ShapeError
            If they are neither labels nor `outputs` values a sample.
        """
        array = as_array("y", y)
        if array.ndim == 0 or len(array) != samples:
            raise ValueError(
                f"x and y must have as many samples, got {samples} in x and y of shape {array.shape}"
            )
        if array.shape[1:] == (1,) and array.dtype.kind in "iu" and outputs > 1:
            array = array[:, 0]  # labels in a column, as Keras has them
        if array.ndim == 1 and array.dtype.kind in "iu" and outputs > 1:
            low, high = int(array.min()), int(array.max())
            if low < 0 or high >= outputs:
                raise ValueError(
                    f"labels must be from 0 to {outputs - 1}, one less than the network's {outputs} outputs; "
                    f"got {low if low < 0 else high}"
                )
            return cls(array)
        if array.size != samples * outputs:
            raise ShapeError(
                f"y must be integer labels of shape ({samples},) or values of shape ({samples}, {outputs}), "
                f"got {array.dtype} of shape {array.shape}"
            )
        return cls(array.reshape(samples, outputs))

    @property
    def are_labels(self) -> bool:
        """Whether they are integer labels."""
        return self.values.ndim == 1

    def batch(self, rows: Any, dtype: npt.DTypeLike) -> Array:
        """Return the targets of `rows`: labels ``(N,)`` or columns ``(outputs, N)``."""
        taken: Array = self.values[rows]
        return taken if self.are_labels else taken.T.astype(dtype)

    def weight(self, rows: Any) -> float:
        """Return how much the samples `rows` count in all: their number, where all count alike."""
        return float(len(rows) if self.weights is None else np.add.reduce(self.weights[rows]))

    def weighting(self, rows: Any) -> dict[str, Array]:
        """Return what a loss gets besides its two arguments: nothing where all samples count alike."""
        return {} if self.weights is None else {"sample_weight": self.weights[rows]}

    def classes(self) -> Array:
        """Return the class of each sample: its label, or its largest value, or whether it is above 0.5."""
        if self.are_labels:
            return self.values
        return answers(self.values)


def answers(outputs: Array) -> Array:
    """Return the class that each row of outputs names: the largest, or for a lone output, above 0.5."""
    outputs = outputs.reshape(len(outputs), -1)
    return (outputs[:, 0] > 0.5).astype(np.intp) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
