"""The one activation that learns: what it lets through of the negative side is a parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from purecnn.activations import ElementWise
from purecnn.arguments import flag, is_number
from purecnn.layer import Shape
from purecnn.scratch import Array


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
        return self.parameters["slopes"].reshape(-1, *[1] * len(self.input_shape or ()))

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
