"""Scale and shift: the trained factors and summands that end a normalization."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, is_number
from purecnn.backend.types import Array, Shape
from purecnn.layers.base import Layer


class Affine(Layer):
    """A normalization that ends in ``y = gamma xhat + beta``, where it is `affine`.

    Whoever derives from it calls `set_affine` in its constructor, and says in `affine_shape` how many of both
    there are.
    """

    affine: bool
    initial_gamma: float

    def set_affine(self, affine: bool, initial_gamma: float) -> None:
        """Check and keep whether there are factors and summands, and where the factors begin.

        Raises
        ------
        TypeError
            If `affine` is no bool.
        ValueError
            If `initial_gamma` is no finite number, or there is no gamma to begin anywhere.
        """
        if not is_number(initial_gamma):
            raise ValueError(f"initial_gamma must be a finite number, got {initial_gamma!r}")
        self.affine, self.initial_gamma = flag("affine", affine), float(initial_gamma)
        if not self.affine and self.initial_gamma != 1:
            raise ValueError(
                f"initial_gamma is where gamma begins, with affine=False there is none, got {initial_gamma}"
            )

    @property
    def affine_shape(self) -> Shape:
        """The shape of `gamma` and of `beta`: one of each for each channel, or feature."""
        return (self.input_shape[0] if self.input_shape else 0,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `gamma` and `beta`."""
        return {"gamma": self.affine_shape, "beta": self.affine_shape} if self.affine else {}

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Set gamma to `initial_gamma` and beta to 0; nothing is random."""
        for (name, shape), value in zip(
            self.parameter_shapes().items(), (self.initial_gamma, 0), strict=False
        ):
            self.parameters[name] = np.full(shape, value, dtype)
            self.gradients[name] = np.zeros(shape, dtype)

    def receive(self, input: Array) -> Array:
        """Check and cast an input; begin with gamma and beta at a first one, since nothing is random."""
        if not self.execution.run_by_engine and self.lacks_parameters():
            shape, dtype = np.shape(input)[:-1], np.asarray(input).dtype
            if shape:
                self.bind(shape)
                double = dtype == np.float64
                self.draw(np.random.default_rng(0), np.float64 if double else np.float32, "")
        return super().receive(input)

    def multiply_adds(self) -> int:
        """Return one for each value."""
        return math.prod(self.input_shape or (0,))
