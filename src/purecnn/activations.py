"""The activations: what bends the straight lines of the layers between them.

In each formula x is the input, y the output, g the loss's derivative by the output.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from purecnn.arguments import within
from purecnn.erf import erf
from purecnn.layer import Layer
from purecnn.scratch import Array


class ElementWise(Layer):
    """An activation that maps each value alone; its `forward` keeps what its `backward` needs."""

    gain = "glorot"

    def buffer(self, name: str, like: Array) -> Array:
        """Return working memory of the shape, dtype and order in memory of `like`: itself, where it may."""
        return like if self.in_place else self.scratch.like(name, like)


class Identity(ElementWise):
    """Return the input: ``y = x``, ``dx = g``."""

    non_decreasing = True

    def forward(self, input: Array) -> Array:
        """Return x."""
        self.input = self.receive(input)
        return self.input

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g."""
        return self.receive_gradient(output_gradient)


class ReLU(ElementWise):
    """Cut off what is negative: ``y = max(x, 0)``, ``dx = g where y > 0, else 0`` (0 at 0, as PyTorch).

    Examples
    --------
    >>> ReLU().forward(np.array([[-1.0], [2.0]]))
    array([[0.],
           [2.]])
    """

    non_decreasing = True
    gain = "he"
    overwrites = True

    def forward(self, input: Array) -> Array:
        """Return max(x, 0)."""
        x = self.receive(input)
        self.output = np.maximum(x, 0, out=self.buffer("output", x))
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g where y > 0."""
        g = self.receive_gradient(output_gradient)
        y = self.output
        positive = np.greater(y, 0, out=self.buffer("input_gradient", y))
        return np.multiply(positive, g, out=positive)


class LeakyReLU(ElementWise):
    """Damp what is negative: ``y = max(x, slope x)``, ``dx = g (1 if x > 0 else slope)``.

    Maas et al. 2013, https://ai.stanford.edu/~amaas/papers/relu_hybrid_icml2013_final.pdf. The default slope,
    0.01, is PyTorch's; Keras's is 0.3.

    Parameters
    ----------
    slope : float
        At least 0 and below 1.
    """

    non_decreasing = True
    gain = "he"

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = within("slope", slope, 0, 1)

    def forward(self, input: Array) -> Array:
        """Return max(x, slope x)."""
        self.input = x = self.receive(input)
        y = self.buffer("output", x)
        np.multiply(x, x.dtype.type(self.slope), out=y)
        np.maximum(x, y, out=y)
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 if x > 0 else slope)."""
        g = self.receive_gradient(output_gradient)
        x = self.input
        slope = self.buffer("input_gradient", x)
        np.multiply(x > 0, x.dtype.type(1 - self.slope), out=slope)
        slope += x.dtype.type(self.slope)
        slope *= g
        return slope

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"slope": self.slope}


class ELU(ElementWise):
    """Bend what is negative: ``y = x if x > 0 else alpha (exp(x) - 1)``.

    Backward: ``dx = g (1 if x > 0 else y + alpha)``. Clevert et al. 2016, https://arxiv.org/abs/1511.07289.

    Parameters
    ----------
    alpha : float
        Where the curve ends at the left, above 0.
    """

    non_decreasing = True
    gain = "he"

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = within("alpha", alpha, 0, open_low=True)

    def forward(self, input: Array) -> Array:
        """Return x, or alpha (exp(x) - 1) where x is negative."""
        self.input = x = self.receive(input)
        self.output = y = np.minimum(x, 0, out=self.buffer("output", x))
        np.expm1(y, out=y)
        y *= x.dtype.type(self.alpha)
        y += np.maximum(x, 0, out=self.buffer("positive", x))
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 if x > 0 else y + alpha)."""
        g = self.receive_gradient(output_gradient)
        slope = np.minimum(self.output, 0, out=self.buffer("input_gradient", self.output))
        slope += slope.dtype.type(self.alpha)
        np.copyto(slope, 1, where=self.input > 0)
        return np.multiply(slope, g, out=slope)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"alpha": self.alpha}


def sigmoid(x: Array, out: Array) -> Array:
    """Write 1 / (1 + exp(-x)) to `out`; x is held where exp(-x) does not overflow."""
    np.maximum(x, 1 - np.log(np.finfo(x.dtype).max), out=out)  # one off: that logarithm may be rounded up
    np.negative(out, out=out)
    np.exp(out, out=out)
    out += 1
    return np.divide(1, out, out=out)


class Sigmoid(ElementWise):
    """Squeeze into (0, 1): ``y = 1 / (1 + exp(-x))``, ``dx = g y (1 - y)``.

    Examples
    --------
    >>> Sigmoid().forward(np.array([[-1000.0], [0.0]])).round(6)
    array([[0. ],
           [0.5]])
    """

    non_decreasing = True

    def forward(self, input: Array) -> Array:
        """Return 1 / (1 + exp(-x))."""
        x = self.receive(input)
        self.output = sigmoid(x, self.buffer("output", x))
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g y (1 - y)."""
        g = self.receive_gradient(output_gradient)
        slope = np.subtract(1, self.output, out=self.buffer("input_gradient", self.output))
        slope *= self.output
        return np.multiply(slope, g, out=slope)


class Tanh(ElementWise):
    """Squeeze into (-1, 1): ``y = tanh(x)``, ``dx = g (1 - y^2)``."""

    non_decreasing = True

    def forward(self, input: Array) -> Array:
        """Return tanh(x)."""
        x = self.receive(input)
        self.output = np.tanh(x, out=self.buffer("output", x))
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 - y^2)."""
        g = self.receive_gradient(output_gradient)
        slope = np.multiply(self.output, self.output, out=self.buffer("input_gradient", self.output))
        np.subtract(1, slope, out=slope)
        return np.multiply(slope, g, out=slope)


class Softplus(ElementWise):
    """A smooth ReLU: ``y = log(1 + exp(x))``, ``dx = g sigmoid(x)``."""

    non_decreasing = True
    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)): no overflow."""
        self.input = x = self.receive(input)
        y = np.abs(x, out=self.buffer("output", x))
        np.negative(y, out=y)
        np.exp(y, out=y)
        np.log1p(y, out=y)
        y += np.maximum(x, 0, out=self.buffer("positive", x))
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g sigmoid(x)."""
        g = self.receive_gradient(output_gradient)
        slope = sigmoid(self.input, self.buffer("input_gradient", self.input))
        return np.multiply(slope, g, out=slope)


class SiLU(ElementWise):
    """The input through its own gate: ``y = x s``, ``dx = g s (1 + x (1 - s))``, s = sigmoid(x).

    Elfwing et al. 2018, https://arxiv.org/abs/1702.03118; also called swish.
    """

    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return x sigmoid(x)."""
        self.input = x = self.receive(input)
        self.gate = sigmoid(x, self.buffer("gate", x))
        return np.multiply(x, self.gate, out=self.buffer("output", x))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g s (1 + x (1 - s))."""
        g = self.receive_gradient(output_gradient)
        slope = np.subtract(1, self.gate, out=self.buffer("input_gradient", self.gate))
        slope *= self.input
        slope += 1
        slope *= self.gate
        return np.multiply(slope, g, out=slope)


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
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')
        self.approximate = approximate

    def forward(self, input: Array) -> Array:
        """Return x P(x)."""
        self.input = x = self.receive(input)
        kind, square = x.dtype.type, x * x
        if self.approximate == "tanh":
            root = kind(np.sqrt(2 / np.pi))
            below = (1 + np.tanh(root * x * (1 + kind(0.044715) * square))) * kind(0.5)
            density = 2 * below * (1 - below) * root * (1 + kind(3 * 0.044715) * square)
        else:
            below = (1 + erf(x * kind(np.sqrt(0.5)))) * kind(0.5)
            density = np.exp(square * kind(-0.5)) * kind(1 / np.sqrt(2 * np.pi))
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


class Softmax(Layer):
    """Turn scores into probabilities over axis 0: ``y = exp(x) / sum exp(x)``.

    Backward, the full Jacobian ``dy_i / dx_j = y_i (delta_ij - y_j)`` at work:
    ``dx = y (g - sum over classes of g y)``. The largest score is taken off first, so nothing overflows.

    Examples
    --------
    >>> Softmax().forward(np.array([[1000.0], [1000.0]]))
    array([[0.5],
           [0.5]])
    """

    gain = "glorot"

    def forward(self, input: Array) -> Array:
        """Return exp(x) / sum exp(x), each column summing to one."""
        x = self.receive(input)
        y = self.scratch.array("output", x.shape, x.dtype)
        np.subtract(x, x.max(axis=0), out=y)
        np.exp(y, out=y)
        y /= y.sum(axis=0)
        self.output = y
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return y (g - sum of g y)."""
        g, y = self.receive_gradient(output_gradient), self.output
        dx = np.multiply(g, y, out=self.scratch.array("input_gradient", y.shape, y.dtype))
        np.subtract(g, dx.sum(axis=0), out=dx)
        return np.multiply(dx, y, out=dx)
