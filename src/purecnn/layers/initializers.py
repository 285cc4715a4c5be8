"""Initializers of parameters: He, Glorot, LeCun, orthogonal, zeros.

First parameters: small random numbers whose scale keeps signals alive through many layers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from purecnn.backend.blas import single_threaded
from purecnn.backend.checks import choice
from purecnn.backend.types import Array

#: From inputs and outputs of a value to the variance of a weight.
VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda inputs, outputs: 2 / inputs,
    "glorot": lambda inputs, outputs: 2 / (inputs + outputs),
    "lecun": lambda inputs, outputs: 1 / inputs,
}
SCHEMES = ("auto", *VARIANCES, *(f"{name}_uniform" for name in VARIANCES), "orthogonal", "zeros", "normal")


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
    scheme : str
        One of `SCHEMES`, whose variances are, by the inputs and outputs of a value,

        - "he": 2 / inputs (He et al. 2015, https://arxiv.org/abs/1502.01852), for what ReLU follows,
        - "glorot": 2 / (inputs + outputs) (Glorot and Bengio 2010,
          https://proceedings.mlr.press/v9/glorot10a.html),
        - "lecun": 1 / inputs (LeCun et al. 1998, https://doi.org/10.1007/3-540-49430-8_2), for SELU,

        drawn from a normal distribution, and by "he_uniform", "glorot_uniform" and "lecun_uniform" evenly
        within the square root of three times the variance; "orthogonal": rows, of one output's weights each,
        or columns if these are fewer, that are orthonormal (Saxe et al. 2013,
        https://arxiv.org/abs/1312.6120); "zeros"; "normal": N(0, 1), the original program's, biases too;
        "auto": whichever `gain` names.
    gain : {"he", "glorot", ""}
        What the activation that follows wants; where it wants nothing, "glorot" is drawn.
    rng : numpy.random.Generator
        Where the numbers come from; drawn in float64, then rounded, so both dtypes start alike.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray of `shape`
        Where nothing is said, PyTorch draws uniformly within 1 / sqrt(inputs), Keras by "glorot_uniform".
        Keras's normal schemes leave out what lies further off than two deviations, PyTorch's and these do
        not.

    Examples
    --------
    >>> draw("biases", (2,), "auto", "he", np.random.default_rng(0), np.float32)
    array([0., 0.], dtype=float32)
    """
    if scheme == "normal":
        return rng.standard_normal(shape).astype(dtype)
    if name.startswith("bias"):
        return np.zeros(shape, dtype)
    chosen = (gain or "glorot") if scheme == "auto" else scheme
    if chosen == "zeros":
        return np.zeros(shape, dtype)
    if chosen == "orthogonal":
        return orthogonal(shape, rng).astype(dtype)
    window = int(np.prod(shape[2:]))
    kind, _, is_uniform = chosen.partition("_")
    variance = VARIANCES[kind](shape[1] * window, shape[0] * window)
    if is_uniform:
        even: Array = rng.uniform(-1, 1, shape) * np.sqrt(3 * variance)
        return even.astype(dtype)
    drawn: Array = rng.standard_normal(shape) * np.sqrt(variance)
    return drawn.astype(dtype)


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return an array whose rows, first axis by all others, are orthonormal, or its columns if fewer.

    Examples
    --------
    >>> drawn = orthogonal((2, 3, 1), np.random.default_rng(0)).reshape(2, 3)
    >>> abs(drawn @ drawn.T).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = shape[0], int(np.prod(shape[1:]))
    with single_threaded(warns=False):  # else its last digits would hang on the number of threads
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1, 1)  # so that each such array is as likely
    found: Array = q if rows >= columns else q.T
    return found.reshape(shape)
