"""Initializers of parameters: He, Glorot, normal.

First parameters: small random numbers whose scale keeps signals alive through many layers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from purecnn.backend.checks import choice
from purecnn.backend.types import Array

SCHEMES = ("auto", "he", "glorot", "normal")


def check_scheme(scheme: str) -> str:
    """Return `scheme` if it is one of `SCHEMES`."""
    return choice("initialization", scheme, SCHEMES)


def draw(
    name: str, shape: tuple[int, ...], scheme: str, gain: str, rng: np.random.Generator, dtype: npt.DTypeLike
) -> Array:
    """Return the first values of one parameter.

    Parameters
    ----------
    name : str
        The parameter's name; those that begin with "bias" start at zero, except under "normal".
    shape : tuple of int
        ``(outputs, inputs, ...)``: the axes behind the second are a kernel's window.
    scheme : {"auto", "he", "glorot", "normal"}
        "he": N(0, 2 / inputs) (He et al. 2015, https://arxiv.org/abs/1502.01852); "glorot":
        N(0, 2 / (inputs + outputs)) (Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html);
        "normal": N(0, 1), the original program's, biases too; "auto": whichever `gain` names.
    gain : {"he", "glorot"}
        What the activation that follows wants.
    rng : numpy.random.Generator
        Where the numbers come from; drawn in float64, then rounded, so both dtypes start alike.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray of `shape`
        PyTorch draws uniformly within 1 / sqrt(inputs), Keras uniformly with Glorot's variance.

    Examples
    --------
    >>> draw("biases", (2,), "auto", "he", np.random.default_rng(0), np.float32)
    array([0., 0.], dtype=float32)
    """
    if scheme == "normal":
        return rng.standard_normal(shape).astype(dtype)
    if name.startswith("bias"):
        return np.zeros(shape, dtype)
    window = int(np.prod(shape[2:]))
    inputs, outputs = shape[1] * window, shape[0] * window
    chosen = gain if scheme == "auto" else scheme
    variance = 2 / inputs if chosen == "he" else 2 / (inputs + outputs)
    drawn: Array = rng.standard_normal(shape) * np.sqrt(variance)
    return drawn.astype(dtype)
