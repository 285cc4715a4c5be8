"""Rectifiers: ReLU and its relatives, which let the positive side through and damp, bend or cut the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import flag, is_number, within
from purecnn.backend.types import Array, Shape
from purecnn.layers.activations.elementwise import ElementWise, sigmoid


class PReLU(ElementWise):
    """Damp what is negative by slopes a that are learnt: ``y = x if x > 0 else a x``.

    Backward: ``dx = g (1 if x > 0 else a)``, ``da = sum of g x where x <= 0``. He et al. 2015,
    https://arxiv.org/abs/1502.01852, which advises against weight decay of a; ``decay_biases=False`` spares
    it. The defaults are PyTorch's; Keras has a slope for each value, and starts at 0.

    Parameters
    ----------
    per_channel : bool
        Whether each channel, or feature, has a slope of its own; else all share one.
    initial : float
        The slopes to start from.

    Examples
    --------
    >>> layer = PReLU()
    >>> layer.bind((2,))
    (2,)
    >>> layer.draw(np.random.default_rng(0), np.float64, "")
    >>> layer.forward(np.array([[-1.0], [2.0]]))
    array([[-0.25],
           [ 2.  ]])
    """

    gain = "he"

    def __init__(self, per_channel: bool = False, initial: float = 0.25) -> None:
        super().__init__()
        self.per_channel = flag("per_channel", per_channel)
        if not is_number(initial):
            raise ValueError(f"initial must be a finite number, got {initial!r}")
        self.initial = float(initial)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shape of `slopes`: one for each channel, or one."""
        return {"slopes": (self.input_shape[0] if self.per_channel and self.input_shape else 1, 1)}

    def draw(self, rng: np.random.Generator, dtype: npt.DTypeLike, gain: str) -> None:
        """Start at `initial`."""
        super().draw(rng, dtype, gain)
        self.parameters["slopes"].fill(self.initial)

    def column(self) -> Array:
        """Return the slopes beside the input."""
        return self.parameters["slopes"].reshape(-1, *[1] * (self.input.ndim - 1))

    def forward(self, input: Array) -> Array:
        """Return x where x > 0, else a x."""
        self.input = x = self.receive(input)
        y = self.xp.multiply(x, self.column(), out=self.buffer("output", x))
        self.xp.copyto(y, x, where=x > 0)
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Write the gradient of `slopes`; return g (1 if x > 0 else a)."""
        g = self.receive_gradient(output_gradient)
        x = self.input
        part = self.xp.minimum(x, 0, out=self.buffer("part", x))
        part *= g
        sums = part.reshape(len(part), -1).sum(axis=1)
        self.gradients["slopes"][:, 0] = sums if self.per_channel else sums.sum()
        if not self.propagate:
            return None
        back = self.xp.multiply(g, self.column(), out=self.buffer("input_gradient", x))
        self.xp.copyto(back, g, where=x > 0)
        return back

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"per_channel": self.per_channel, "initial": self.initial}


class ReLU6(ElementWise):
    """Cut off what is negative or above 6: ``y = min(max(x, 0), 6)``, ``dx = g where 0 < x < 6, else 0``.

    Krizhevsky 2010, https://www.cs.toronto.edu/~kriz/conv-cifar10-aug2010.pdf.
    """

    non_decreasing = True
    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return min(max(x, 0), 6)."""
        x = self.receive(input)
        self.output = self.xp.clip(x, 0, 6, out=self.buffer("output", x))
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g where 0 < y < 6."""
        g = self.receive_gradient(output_gradient)
        y = self.output
        return self.xp.multiply((y > 0) & (y < 6), g, out=self.buffer("input_gradient", y))


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
        return self.kernel_set.leaky_relu_forward(x, self.slope, self.buffer("output", x))

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 if x > 0 else slope)."""
        g = self.receive_gradient(output_gradient)
        x = self.input
        slope = self.buffer("input_gradient", x)
        self.xp.multiply(x > 0, x.dtype.type(1 - self.slope), out=slope)
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
        # Of -0 and 0 each returns its second argument, so that -0 stays what it is.
        self.output = y = self.xp.minimum(0, x, out=self.buffer("output", x))
        self.xp.expm1(y, out=y)
        y *= x.dtype.type(self.alpha)
        y += self.xp.maximum(0, x, out=self.buffer("positive", x))
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g (1 if x > 0 else y + alpha)."""
        g = self.receive_gradient(output_gradient)
        slope = self.xp.minimum(self.output, 0, out=self.buffer("input_gradient", self.output))
        slope += slope.dtype.type(self.alpha)
        self.xp.copyto(slope, 1, where=self.input > 0)
        return self.xp.multiply(slope, g, out=slope)

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"alpha": self.alpha}


class SELU(ELU):
    """An ELU that keeps mean and variance through layers: ``y = scale (x if x > 0 else alpha (exp(x) - 1))``.

    Backward: ``dx = g scale (1 if x > 0 else alpha exp(x))``. Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515, which wants weights of variance 1 / inputs: "glorot" comes near.
    """

    gain = "glorot"
    non_decreasing = True
    #: Slope at the right, and with `alpha` what the paper solves for.
    scale = 1.0507009873554804934193349852946

    def __init__(self) -> None:
        super().__init__(alpha=1.6732632423543772848170429916717)

    def forward(self, input: Array) -> Array:
        """Return scale times the ELU."""
        y = super().forward(input)
        scaled = self.buffer("scaled", y)
        self.xp.multiply(y, y.dtype.type(self.scale), out=scaled)
        return scaled

    def backward(self, output_gradient: Array) -> Array | None:
        """Return scale times the ELU's derivative times g."""
        g = self.receive_gradient(output_gradient)
        return super().backward(g * g.dtype.type(self.scale))

    def configuration(self) -> dict[str, Any]:
        """Return the constructor's arguments: none."""
        return {}


class Softplus(ElementWise):
    """A smooth ReLU: ``y = log(1 + exp(x))``, ``dx = g sigmoid(x)``."""

    non_decreasing = True
    gain = "he"

    def forward(self, input: Array) -> Array:
        """Return ``log(1 + exp(x))``, as ``max(x, 0) + log(1 + exp(-|x|))``: no overflow."""
        self.input = x = self.receive(input)
        y = self.xp.abs(x, out=self.buffer("output", x))
        self.xp.negative(y, out=y)
        self.xp.exp(y, out=y)
        self.xp.log1p(y, out=y)
        y += self.xp.maximum(x, 0, out=self.buffer("positive", x))
        return y

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g sigmoid(x)."""
        g = self.receive_gradient(output_gradient)
        slope = sigmoid(self.input, self.buffer("input_gradient", self.input))
        return self.xp.multiply(slope, g, out=slope)


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
        self.output = self.kernel_set.relu_forward(x, self.buffer("output", x), self.workspace)
        return self.output

    def backward(self, output_gradient: Array) -> Array | None:
        """Return g where y > 0."""
        g = self.receive_gradient(output_gradient)
        y = self.output
        return self.kernel_set.relu_backward(g, y, self.buffer("input_gradient", y))
