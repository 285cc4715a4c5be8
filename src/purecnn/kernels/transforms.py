"""Transforms of Winograd's convolution: the matrices A, B and G of one axis.

Read a kernel's row and some outputs as polynomials: their product is fixed by as many of its values as it has
coefficients. Evaluate both, multiply value by value, go back: so T outputs under a window of K cells take T +
K - 1 multiplications in place of T K. Lavin and Gray 2015, https://arxiv.org/abs/1509.09308.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from purecnn.backend.types import Array

#: Where the polynomials are evaluated, beside infinity. With 2, -2 in place of 2, -1/2 the error of 64 maps
#: is 1.2 times as large along one axis and 1.7 times along both. Barabasz et al. 2018,
#: https://arxiv.org/abs/1803.10986.
POINTS = (0, 1, -1, 2, -0.5)
#: Which of them is 1: there the value has all coefficients in it, each once.
ONE = POINTS.index(1)
#: How many values fix a product, and so how many pixels a tile has.
VALUES = len(POINTS) + 1


def evaluation(coefficients: int) -> Array:
    """Return the matrix (6, coefficients) that evaluates a polynomial at `POINTS` and at infinity."""
    at_infinity = np.eye(1, coefficients, coefficients - 1)
    return np.vstack([np.vander(np.array(POINTS, float), coefficients, increasing=True), at_infinity])


def matrices(width: int, dtype: npt.DTypeLike) -> tuple[Array, Array, Array]:
    """Return A (6, T), B (6, 6) and G (6, K) for a window of K cells, 2 to 5, and T = 7 - K outputs.

    Two polynomials are multiplied by evaluating both (A and G), multiplying value by value, and undoing the
    evaluation (B). A correlation is the transpose of such a product. Constants are moved from B to G so that
    B's entries are quarters, which floats hold exactly.

    Examples
    --------
    >>> a, b, g = matrices(3, np.float64)
    >>> d, k = np.array([3, 1, 4, 1, 5, 9]), np.array([2, 7, 1])
    >>> (a.T @ ((g @ k) * (b.T @ d))).round(9), np.correlate(d, k)
    (array([17., 31., 20., 46.]), array([17, 31, 20, 46]))
    """
    shares = np.array([*(np.prod([p - q for q in POINTS if q != p]) for p in POINTS), 1.0])
    a, g = evaluation(VALUES + 1 - width), evaluation(width) / shares[:, None]
    b = np.round(4 * np.linalg.inv(evaluation(VALUES)) * shares) / 4
    return a.astype(dtype), b.astype(dtype), g.astype(dtype)
