"""Projections: PCA and t-SNE of what a network makes of samples.

What a network makes of samples lies in many dimensions; in two of them one sees which it keeps apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.checks import is_integer, within
from purecnn.backend.types import Array
from purecnn.inspection.traces import trace
from purecnn.layers.base import Layer
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network

#: Samples that are traced at a time: all that passes through the network is kept so long.
PIECE = 64


def penultimate(network: Network | Sequence[Layer], x: Any, layer: int | None = None) -> Array:
    """Return what enters the last layer that has parameters, or another, for each sample: ``(n, features)``.

    Parameters
    ----------
    network : Network or list of Layer
        What to run.
    x : array_like
        Samples, as `Network.predict` takes them.
    layer : int, optional
        Whose input.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    network = as_network(network)
    rows = network.as_rows(x)
    if layer is None:
        layer = next((p for p in range(len(network) - 1, -1, -1) if network[p].parameters), len(network) - 1)
    elif not is_integer(layer) or not -len(network) <= layer < len(network):
        raise ValueError(
            f"layer must be an integer from {-len(network)} to {len(network) - 1}, got {layer!r}"
        )
    parts = [trace(network, rows[first : first + PIECE])[layer].input for first in range(0, len(rows), PIECE)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def pca(values: Array, dimensions: int = 2) -> tuple[Array, Array]:
    """Return points along the directions in which they vary most, and the share of the variance of each.

    Principal component analysis, by a singular value decomposition of the centred values. A direction's sign
    is that of its largest weight.

    Parameters
    ----------
    values : ndarray
        ``(n, features)``.
    dimensions : int
        How many directions.

    Returns
    -------
    points : ndarray
        ``(n, dimensions)`` float64.
    shares : ndarray
        ``(dimensions,)``.

    Examples
    --------
    >>> points, shares = pca(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    >>> points[:, 0].round(6).tolist(), shares.round(6).tolist()
    ([-5.0, 0.0, 5.0], [1.0, 0.0])
    """
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(v[np.arange(len(v)), np.abs(v).argmax(axis=1)])
    points = np.zeros((len(values), dimensions))
    shares = np.zeros(dimensions)
    count = min(dimensions, len(s))
    points[:, :count] = (u * s * signs)[:, :count]
    whole = float((s**2).sum())
    shares[:count] = s[:count] ** 2 / whole if whole else 0
    return points, shares


def tsne(values: Array, *, perplexity: float = 30.0, steps: int = 500) -> Array:
    """Return points in two dimensions whose near neighbours are those of the values: t-SNE.

    Exact, so for some hundred samples: each step takes their number squared. It begins at the two principal
    components, and so needs no random numbers. van der Maaten and Hinton 2008,
    https://jmlr.org/papers/v9/vandermaaten08a.html; the beginning after Kobak and Berens 2019,
    https://doi.org/10.1038/s41467-019-13056-x.

    Parameters
    ----------
    values : ndarray
        ``(n, features)``.
    perplexity : float
        How many neighbours count, about; at most a third of the samples are taken.
    steps : int
        Of gradient descent.

    Returns
    -------
    ndarray
        ``(n, 2)`` float64.

    Examples
    --------
    >>> near = np.repeat([[0.0] * 5, [9.0] * 5], 10, axis=0) + np.arange(20)[:, np.newaxis] / 100
    >>> points = tsne(near, steps=300)
    >>> bool(np.abs(points[:10].mean(0) - points[10:].mean(0)).max() > np.ptp(points[:10], axis=0).max())
    True
    """
    within("perplexity", perplexity, 1)
    start, _ = pca(values, min(50, *values.shape))
    n = len(start)
    if n < 4 or not np.ptp(start):
        return pca(values)[0]
    squares = (start**2).sum(axis=1)
    distances = np.maximum(squares[:, np.newaxis] + squares - 2 * start @ start.T, 0)
    p = neighbours(distances, min(perplexity, (n - 1) / 3))
    p = np.maximum((p + p.T) / (2 * n), 1e-12)
    points = np.zeros((n, 2))
    points[:, : start.shape[1]] = start[:, :2] / start[:, 0].std() * 1e-4
    # the first quarter pulls neighbours together twelve times as strongly, so that groups form
    # (the rate after Kobak and Berens; its floor at 50 left 100 digits at a divergence of 0.66, now 0.34)
    early, rate = steps // 4, max(n / 12, 5.0)
    speed, gains = np.zeros_like(points), np.ones_like(points)
    for step in range(steps):
        squares = (points**2).sum(axis=1)
        q = squares[:, np.newaxis] + squares - 2 * points @ points.T
        np.maximum(q, 0, out=q)
        q += 1
        np.reciprocal(q, out=q)
        np.fill_diagonal(q, 0)
        pulls = (p * (12 if step < early else 1) - q / q.sum()) * q
        gradient = 4 * (pulls.sum(axis=1)[:, np.newaxis] * points - pulls @ points)
        gains = np.maximum(np.where(np.sign(gradient) != np.sign(speed), gains + 0.2, gains * 0.8), 0.01)
        speed = (0.5 if step < early else 0.8) * speed - rate * gains * gradient
        points += speed
    found: Array = points - points.mean(axis=0)
    return found


def neighbours(distances: Array, perplexity: float) -> Array:
    """Return each sample's shares in the others, as wide as the perplexity asks: 50 halvings of the width."""
    n = len(distances)
    others = distances + np.diag(np.full(n, np.inf))
    others -= others.min(axis=1, keepdims=True)
    low, high, beta = np.zeros(n), np.full(n, np.inf), 1 / np.maximum(distances.mean(axis=1), 1e-12)
    p = np.zeros_like(distances)
    for _ in range(50):
        p = np.exp(-others * beta[:, np.newaxis])
        p /= p.sum(axis=1, keepdims=True)
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), 2 * beta, (low + high) / 2)
    return p


METHODS = ("pca", "tsne")
