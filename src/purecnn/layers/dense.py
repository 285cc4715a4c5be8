"""The fully connected layer: every output is a weighted sum of all inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, positive
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.layers.base import Layer
from purecnn.layers.initializers import check_scheme

Constructor = TypeVar("Constructor", bound=Callable[..., None])


def lone_output_size(constructor: Constructor) -> Constructor:
    """Return a constructor that takes a single number, given by its place, for the output's size."""

    @wraps(constructor)
    def made(layer: Any, *sizes: Any, **named: Any) -> None:
        if len(sizes) == 1 and "output_size" not in named:
            (named["output_size"],) = sizes
            sizes = ()
        constructor(layer, *sizes, **named)

    return made  # type: ignore[return-value]


class Dense(Layer):
    """Map ``(inputs, N)`` to ``(outputs, N)`` by ``y = weights @ x + biases``.

    ``Dense(10)`` has 10 outputs, ``Dense(784, 10)`` also says how many inputs.

    Parameters
    ----------
    input_size : int, optional
        Values in one sample; taken from the network when left out.
    output_size : int
        Values out.
    bias : bool
        Whether `biases` are added; without them there are none: ``y = weights @ x``. Keras's ``use_bias``.
    initialization : str
        How `weights` ``(outputs, inputs)`` and `biases` ``(outputs, 1)`` are first drawn: "he", "glorot" or
        "lecun", normal as they stand and uniform as "he_uniform" and so on, "orthogonal", "zeros" or
        "normal"; "auto" is "he" where ReLU or its like follows, else "glorot".
    rng : numpy.random.Generator or int, optional
        Draw the parameters now, from this; otherwise the network draws them from its seed.
    dtype : dtype
        Of parameters drawn now: float32 or float64.

    Notes
    -----
    Backward: ``dW = g @ x.T``, ``db = g.sum(1)``, ``dx = weights.T @ g``. PyTorch's ``Linear`` and Keras's
    ``Dense`` carry the batch first and compute ``x @ weights.T``.

    Examples
    --------
    >>> layer = Dense(2, 3, rng=0)
    >>> layer.forward(np.array([[0.0], [1.0]])).shape
    (3, 1)
    """

    sample_axes = 1
    output_is_free = True

    @lone_output_size
    def __init__(
        self,
        input_size: int | None = None,
        output_size: int | None = None,
        *,
        bias: bool = True,
        initialization: str = "auto",
        rng: np.random.Generator | int | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if output_size is None:
            raise TypeError("Dense needs output_size, the number of its outputs; got none")
        self.input_size = None if input_size is None else positive("input_size", input_size)
        self.output_size = positive("output_size", output_size)
        self.bias = flag("bias", bias)
        self.initialization = check_scheme(initialization)
        if self.input_size is not None:
            self.bind((self.input_size,))
        self.draw_now(rng, dtype)

    def infer(self, input_shape: Shape) -> Shape:
        """Return ``(outputs,)``."""
        if len(input_shape) != 1:
            raise ShapeError(
                f"{self} wants vectors, one axis a sample; got samples of shape {input_shape}: "
                f"put Flatten() before it"
            )
        if self.input_size not in (None, input_shape[0]):
            raise ShapeError(f"{self} wants {self.input_size} inputs, got {input_shape[0]}")
        return (self.output_size,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of `weights` and, where there are any, `biases`."""
        shapes: dict[str, Shape] = {
            "weights": (self.output_size, self.input_shape[0] if self.input_shape else 0)
        }
        return {**shapes, "biases": (self.output_size, 1)} if self.bias else shapes

    def forward(self, input: Array) -> Array:
        """Return ``weights @ input + biases``, shape ``(outputs, N)``."""
        self.input = self.receive(input)
        return self.kernel_set.dense_forward(
            self.input, self.parameters["weights"], self.parameters.get("biases"), self.workspace
        )

    def backward(self, output_gradient: Array) -> Array | None:
        """Write dW = g @ x.T and db = sum of g over the batch; return weights.T @ g."""
        return self.kernel_set.dense_backward(
            self.receive_gradient(output_gradient),
            self.input,
            self.parameters["weights"],
            self.gradients["weights"],
            self.gradients.get("biases"),
            self.workspace,
            self.propagate,
        )

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "input_size": self.input_size,
            "output_size": self.output_size,
            "bias": self.bias,
            "initialization": self.initialization,
        }

    def multiply_adds(self) -> int:
        """Return inputs times outputs."""
        return self.output_size * (self.input_shape[0] if self.input_shape else 0)
