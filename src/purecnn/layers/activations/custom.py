"""`Activation`: an activation of your own functions.

What every activation is: a function of one number, applied to each value of an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from purecnn.backend.types import Array
from purecnn.layers.base import Layer

Function = Callable[[Array], Array]


class Activation(Layer):
    """An activation of one's own, from a function and its derivative, as the original program has it.

    ``y = activation(x)``; backward ``dx = g * activation_prime(x)``.

    Parameters
    ----------
    activation : callable
        Maps an array to one of the same shape, value by value.
    activation_prime : callable
        Its derivative, at the same input.

    Examples
    --------
    >>> import numpy as np
    >>> Activation(np.sin, np.cos).forward(np.zeros((3, 1))).shape
    (3, 1)
    """

    gain = "glorot"

    def __init__(self, activation: Function, activation_prime: Function) -> None:
        super().__init__()
        self.activation, self.activation_prime = activation, activation_prime

    def forward(self, input: Array) -> Array:
        """Return ``activation(input)``."""
        self.input = self.receive(input)
        return self.activation(self.input)

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``output_gradient * activation_prime(input)``."""
        return self.receive_gradient(output_gradient) * self.activation_prime(self.input)

    def configuration(self) -> dict[str, Any]:
        """Return the two functions: such a layer can be printed, and saved as a class of its own."""
        return {"activation": self.activation, "activation_prime": self.activation_prime}
