"""Preprocessing that a network keeps: the scale of its inputs, and how pictures are prepared for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import choice, is_number
from purecnn.backend.types import Array
from purecnn.messages.signatures import explained_class

#: What raw values a network was made for: not known yet, bytes from 0 to 255, or numbers as they are.
KINDS = ("any", "bytes", "numbers")
#: How a picture was made one of the samples: not known; or one of four ways, see `pictures.prepared`.
PREPARATIONS = ("unknown", "character", "object", "crop", "stretch")


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
