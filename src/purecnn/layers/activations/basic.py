"""The classic activations: sigmoid, tanh, softmax and their like."""

from __future__ import annotations

from typing import Any

from purecnn.backend.checks import within
from purecnn.backend.types import Array
from purecnn.layers.activations.elementwise import ElementWise, sigmoid
from purecnn.layers.base import Layer


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


class Sigmoid(ElementWise):
    """Squeeze into (0, 1): ``y = 1 / (1 + exp(-x))``, ``dx = g y (1 - y)``.

    Examples
    --------
    >>> import numpy as np
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
        slope = self.xp.subtract(1, self.output, out=self.buffer("input_gradient", self.output))
        slope *= self.output
        return self.xp.multiply(slope, g, out=slope)


class HardSigmoid(ElementWise):
    """Lines in place of the sigmoid: ``y = min(max(slope x + 1 / 2, 0), 1)``.

    Backward: ``dx = slope g where |x| < 1 / (2 slope), else 0``. Howard et al. 2019,
    https://arxiv.org/abs/1905.02244; the default slope is that of PyTorch and Keras 3, Keras 2's is 0.2.

    Parameters
    ----------
    slope : float
        Above 0 and below 1.

    Examples
    --------
    >>> import numpy as np
    >>> HardSigmoid(0.2).forward(np.array([[-3.0, 1.0]]))
    array([[0. , 0.7]])
    """

    non_decreasing = True

    def __init__(self, slope: float = 1 / 6) -> None:
        super().__init__()
        self.slope = within("slope", slope, 0, 1, open_low=True)

    def configuration(self) -> dict[str, Any]:
        """Return the slope."""
        return {"slope": self.slope}

    def forward(self, input: Array) -> Array:
        """Return min(max(slope x + 1 / 2, 0), 1)."""
        self.input = x = self.receive(input)
        y = self.xp.multiply(x, x.dtype.type(self.slope), out=self.buffer("output", x))
        y += x.dtype.type(0.5)
        clipped: Array = self.xp.clip(y, 0, 1, out=y)
        return clipped

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``slope g`` where ``|x| < 1 / (2 slope)``."""
        g = self.receive_gradient(output_gradient)
        x = self.input
        slope = self.buffer("input_gradient", x)
        self.xp.multiply(self.xp.abs(x) < 0.5 / self.slope, x.dtype.type(self.slope), out=slope)
        return self.xp.multiply(slope, g, out=slope)


class Tanh(ElementWise):
    """Squeeze into (-1, 1): ``y = tanh(x)``, ``dx = g (1 - y^2)``."""

    non_decreasing = True

    def forward(self, input: Array) -> Array:
        """Return tanh(x)."""
        x = self.receive(input)
        self.output = self.xp.tanh(x, out=self.buffer("output", x))
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 - y^2)."""
        g = self.receive_gradient(output_gradient)
        slope = self.xp.multiply(self.output, self.output, out=self.buffer("input_gradient", self.output))
        self.xp.subtract(1, slope, out=slope)
        return self.xp.multiply(slope, g, out=slope)


class Softsign(ElementWise):
    """Squeeze into (-1, 1), slower than tanh: ``y = x / (1 + |x|)``, ``dx = g / (1 + |x|)^2``."""

    non_decreasing = True

    def forward(self, input: Array) -> Array:
        """Return ``x / (1 + |x|)``."""
        x = self.receive(input)
        self.size = self.xp.abs(x, out=self.buffer("size", x))
        self.size += 1
        return self.xp.divide(x, self.size, out=self.buffer("output", x))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return ``g / (1 + |x|)^2``."""
        g = self.receive_gradient(output_gradient)
        found = self.xp.divide(g, self.size, out=self.buffer("input_gradient", self.size))
        return self.xp.divide(found, self.size, out=found)


class LogSoftmax(Layer):
    """Turn scores into the logarithms of probabilities over axis 0: ``y = x - log sum exp(x)``.

    Backward ``dx = g - exp(y) (sum over classes of g)``. The largest score is taken off first, so nothing
    overflows and no probability is rounded to 0 before its logarithm is taken.

    Notes
    -----
    Logarithms of probabilities are scores whose softmax gives the probabilities, so the loss behind it is
    ``softmax_cross_entropy``: the two are PyTorch's ``LogSoftmax`` and ``NLLLoss``. That loss gives the same
    behind the scores themselves, in one step less.

    Examples
    --------
    >>> import numpy as np
    >>> LogSoftmax().forward(np.array([[100.0], [100.0], [0.0]])).round(4)
    array([[  -0.6931],
           [  -0.6931],
           [-100.6931]])
    """

    gain = "glorot"

    def forward(self, input: Array) -> Array:
        """Return x - log sum exp(x)."""
        x = self.receive(input)
        y = self.workspace.array("output", x.shape, x.dtype)
        power = self.workspace.array("power", x.shape, x.dtype)
        self.xp.subtract(x, x.max(axis=0), out=y)
        self.xp.exp(y, out=power)
        y -= self.xp.log(power.sum(axis=0))
        self.output = y
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g - exp(y) (sum of g)."""
        g, y = self.receive_gradient(output_gradient), self.output
        dx = self.xp.exp(y, out=self.workspace.array("input_gradient", y.shape, y.dtype))
        dx *= g.sum(axis=0)
        return self.xp.subtract(g, dx, out=dx)


class Softmax(Layer):
    """Turn scores into probabilities over axis 0: ``y = exp(x) / sum exp(x)``.

    Backward, the full Jacobian ``dy_i / dx_j = y_i (delta_ij - y_j)`` at work:
    ``dx = y (g - sum over classes of g y)``. The largest score is taken off first, so nothing overflows.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().forward(np.array([[1000.0], [1000.0]]))
    array([[0.5],
           [0.5]])
    """

    gain = "glorot"

    def forward(self, input: Array) -> Array:
        """Return exp(x) / sum exp(x), each column summing to one."""
        x = self.receive(input)
        y = self.workspace.array("output", x.shape, x.dtype)
        self.xp.subtract(x, x.max(axis=0), out=y)
        self.xp.exp(y, out=y)
        y /= y.sum(axis=0)
        self.output = y
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return y (g - sum of g y)."""
        g, y = self.receive_gradient(output_gradient), self.output
        dx = self.xp.multiply(g, y, out=self.workspace.array("input_gradient", y.shape, y.dtype))
        self.xp.subtract(g, dx.sum(axis=0), out=dx)
        return self.xp.multiply(dx, y, out=dx)
