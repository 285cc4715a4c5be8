"""Activations that let the input through a gate of its own: ``y = x gate(x)``.

They dip below zero before they rise, so no maximum may be taken before them. In each formula x is the input,
y the output, g the loss's derivative by the output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.backend.checks import choice
from purecnn.backend.types import Array
from purecnn.kernels.erf import erf
from purecnn.layers.activations.elementwise import ElementWise, sigmoid


class SiLU(ElementWise):
    """The input through its own gate: ``y = x s``, ``dx = g s (1 + x (1 - s))``, s = sigmoid(x).

    Elfwing et al. 2018, https://arxiv.org/abs/1702.03118; also called swish.
    """

    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return x sigmoid(x)."""
        self.input = x = self.receive(input)
        self.gate = sigmoid(x, self.buffer("gate", x))
        return self.xp.multiply(x, self.gate, out=self.buffer("output", x))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g s (1 + x (1 - s))."""
        g = self.receive_gradient(output_gradient)
        slope = self.xp.subtract(1, self.gate, out=self.buffer("input_gradient", self.gate))
        slope *= self.input
        slope += 1
        slope *= self.gate
        return self.xp.multiply(slope, g, out=slope)


class GELU(ElementWise):
    """The input times the chance that a normal number lies below it: ``y = x P``, ``dx = g (P + x p)``.

    ``P(x) = (1 + erf(x / sqrt 2)) / 2`` and ``p(x) = exp(-x^2 / 2) / sqrt(2 pi)``; with
    ``approximate="tanh"``, ``P = (1 + tanh u) / 2`` with ``u = sqrt(2 / pi) (x + 0.044715 x^3)``.
    Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415. The default is the exact form, as in PyTorch
    and Keras.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Which form.
    """

    gain = "he"

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = choice("approximate", approximate, ("none", "tanh"))

    def forward(self, input: Array) -> Array:
        """Return x P(x)."""
        self.input = x = self.receive(input)
        kind, square = x.dtype.type, x * x
        if self.approximate == "tanh":
            root = kind(np.sqrt(2 / np.pi))
            square = self.xp.minimum(square, kind(1e6))  # far beyond where the tanh is 1: no infinity times 0
            below = (1 + self.xp.tanh(root * x * (1 + kind(0.044715) * square))) * kind(0.5)
            density = 2 * below * (1 - below) * root * (1 + kind(3 * 0.044715) * square)
        else:
            below = (1 + erf(x * kind(np.sqrt(0.5)))) * kind(0.5)
            density = self.xp.exp(square * kind(-0.5)) * kind(1 / np.sqrt(2 * np.pi))
        self.slope: Array = below + x * density
        output: Array = x * below
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (P + x p)."""
        g = self.receive_gradient(output_gradient)
        input_gradient: Array = g * self.slope
        return input_gradient

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"approximate": self.approximate}


class Mish(ElementWise):
    """The input through a smooth gate: ``y = x t``, t = tanh(softplus(x)).

    Backward: ``dx = g (t + x (1 - t^2) sigmoid(x))``. Misra 2019, https://arxiv.org/abs/1908.08681.
    """

    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return x tanh(log(1 + exp(x)))."""
        self.input = x = self.receive(input)
        self.gate = self.xp.tanh(self.xp.log1p(self.xp.exp(-self.xp.abs(x))) + self.xp.maximum(x, 0))
        output: Array = self.xp.multiply(x, self.gate, out=self.buffer("output", x))
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (t + x (1 - t^2) sigmoid(x))."""
        g = self.receive_gradient(output_gradient)
        x, gate = self.input, self.gate
        slope = sigmoid(x, self.buffer("input_gradient", x))
        slope *= x
        slope *= 1 - gate * gate
        slope += gate
        return self.xp.multiply(slope, g, out=slope)


class HardSwish(ElementWise):
    """Lines in place of the SiLU's gate: ``y = x h``, ``dx = g (h + x / 6 where |x| < 3)``.

    ``h = min(max(x / 6 + 1 / 2, 0), 1)``. Howard et al. 2019, https://arxiv.org/abs/1905.02244.
    """

    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return x h(x)."""
        self.input = x = self.receive(input)
        gate = self.xp.multiply(x, x.dtype.type(1 / 6), out=self.buffer("gate", x))
        gate += x.dtype.type(0.5)
        self.gate = self.xp.clip(gate, 0, 1, out=gate)
        output: Array = self.xp.multiply(x, gate, out=self.buffer("output", x))
        return output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``g (h + x / 6 where |x| < 3)``."""
        g = self.receive_gradient(output_gradient)
        x = self.input
        slope = self.xp.clip(x, -3, 3, out=self.buffer("input_gradient", x))
        self.xp.multiply(slope, self.xp.abs(x) < 3, out=slope)
        slope *= x.dtype.type(1 / 6)
        slope += self.gate
        return self.xp.multiply(slope, g, out=slope)
