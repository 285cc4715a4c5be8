"""Scale and shift: the trained factors and summands that end a normalization."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array, Shape
from purecnn.layers.base import Layer


class Affine(Layer):
    """A normalization that ends in ``y = gamma xhat + beta``, where it is `affine`.

    Whoever derives from it sets `affine` in its constructor, and says in `affine_shape` how many of both
    there are.
    """

    output_is_free = True
    overwrites = True
    affine: bool

    @property
    def affine_shape(self) -> Shape:
        """The shape of `gamma` and of `beta`: one of each for each channel, or feature."""
        return (self.input_shape[0] if self.input_shape else 0,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `gamma` and `beta`."""
        return {"gamma": self.affine_shape, "beta": self.affine_shape} if self.affine else {}

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Set gamma to 1 and beta to 0; nothing is random."""
        for (name, shape), value in zip(self.parameter_shapes().items(), (1, 0), strict=False):
            self.parameters[name] = np.full(shape, value, dtype)
            self.gradients[name] = np.zeros(shape, dtype)

    def receive(self, input: Array) -> Array:
        """Check and cast an input; begin with gamma 1 and beta 0 at a first one, since nothing is random."""
        if not self.execution.run_by_engine and self.lacks_parameters():
            shape, dtype = np.shape(input)[:-1], np.asarray(input).dtype
            if shape:
                self.bind(shape)
                double = dtype == np.float64
                self.draw(np.random.default_rng(0), np.float64 if double else np.float32, "")
        return super().receive(input)
