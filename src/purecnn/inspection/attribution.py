"""Saliency and Grad-CAM: which pixels of a picture an answer hangs on.

Which pixels of a picture an answer hangs on: derivatives that `trace` keeps, drawn as pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.inspection.traces import Trace, trace
from purecnn.layers.base import Layer
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.metrics.inputs import answers
from purecnn.networks.functional import as_network
from purecnn.networks.network import Network


def saliency_maps(passed: Trace) -> Array:
    """Return for each sample how much its score changes with each pixel: ``|ds/dx|``, the largest channel's.

    Simonyan, Vedaldi and Zisserman 2013, https://arxiv.org/abs/1312.6034.

    Parameters
    ----------
    passed : Trace
        Of pictures, with derivatives: ``trace(network, x, outputs=...)``.

    Returns
    -------
    ndarray
        ``(n, height, width)``, at least 0.
    """
    gradient = passed[0].input_gradient
    if gradient is None or gradient.ndim != 4:
        raise ValueError(
            "a trace of pictures with their derivatives is wanted: trace(network, x, outputs=...)"
        )
    found: Array = np.abs(gradient).max(axis=1)
    return found


def last_maps(passed: Trace) -> int | None:
    """Return the place of the layer whose maps Grad-CAM weighs, None if there are none.

    It is the last one of a convolution, an activation or normalization behind it included.
    """
    convolutions = [
        place
        for place, one in enumerate(passed)
        if any(isinstance(layer, Convolutional) for layer in (one.layer, *one.layer.parts()))
        and one.output.ndim == 4
    ]
    if not convolutions:
        return None
    place = convolutions[-1]
    while place + 1 < len(passed) and passed[place + 1].output.shape == passed[place].output.shape:
        place += 1
    return place


def grad_cam_maps(passed: Trace, layer: int | None = None, sign: Array | None = None) -> Array:
    """Return for each sample where a layer's maps speak for its score, from 0 to 1, as large as the picture.

    ``max(0, sum over maps k of w[k] A[k])``, where ``w[k]`` is the mean of the score's derivative by map k.
    Selvaraju et al. 2016, https://arxiv.org/abs/1610.02391.

    Parameters
    ----------
    passed : Trace
        Of pictures, with derivatives: ``trace(network, x, outputs=...)``.
    layer : int, optional
        Whose maps; those of the last convolution and its activation if left out.
    sign : ndarray, optional
        ``(n,)``: -1 where the score speaks against the class.

    Returns
    -------
    ndarray
        ``(n, height, width)``.

    Raises
    ------
    ValueError
        If there are no such maps.
    """
    place = last_maps(passed) if layer is None else layer
    if place is None or passed[place].output.ndim != 4 or passed.input.ndim != 4:
        raise ValueError("Grad-CAM wants a convolution's feature maps, (maps, height, width); there are none")
    gradient = passed[place].output_gradient
    if gradient is None:
        gradient = passed[place + 1].input_gradient if place + 1 < len(passed) else None
    if gradient is None:
        raise ValueError("a trace with derivatives is wanted: trace(network, x, outputs=...)")
    weights = gradient.mean(axis=(2, 3), keepdims=True)
    if sign is not None:
        weights = weights * sign[:, np.newaxis, np.newaxis, np.newaxis]
    found = np.maximum((weights * passed[place].output).sum(axis=1), 0)
    peaks = found.max(axis=(1, 2), keepdims=True)
    return stretch(found / np.where(peaks > 0, peaks, 1), passed.input.shape[2:])


def stretch(pictures: Array, size: tuple[int, ...]) -> Array:
    """Return pictures ``(n, h, w)`` in another size, by linear interpolation between the pixels' centres.

    Examples
    --------
    >>> stretch(np.array([[[0.0, 1.0]]]), (1, 4))
    array([[[0.  , 0.25, 0.75, 1.  ]]])
    """
    for axis, length in enumerate(size, 1):
        count = pictures.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, count - 1)
        share = (place - low).reshape([-1 if n == axis else 1 for n in range(3)])
        pictures = pictures.take(low, axis) * (1 - share) + pictures.take(high, axis) * share
    return pictures


def explained(
    network: Network | Sequence[Layer], x: Any, outputs: Any = None
) -> tuple[Trace, Array, Array, Array]:
    """Return a trace with the derivatives of the answers, the pictures, the classes, and their signs.

    The classes are those that the network names, or `outputs`; of several labels the most probable one, of
    values the first output. The sign is -1 where a lone output speaks against its class, which is class 0.
    """
    network = as_network(network)
    rows = network.as_rows(x)
    shape = network.input_shape or ()
    if len(shape) != 3:
        raise ShapeError(f"pictures, samples of (channels, height, width), are wanted; got {shape}")
    if network.task == "segmentation":
        raise ValueError(
            "one answer for each picture is explained, got a network that has one for each pixel"
        )
    lone = network.output_shape == (1,) and network.task in ("classification", None)
    if outputs is not None:
        chosen = np.asarray(outputs)
    elif network.task == "regression":
        chosen = np.zeros(len(rows), np.int64)
    elif network.task == "multilabel":
        chosen = network.outputs(rows).reshape(len(rows), -1).argmax(axis=1)
    else:
        chosen = answers(network.outputs(rows))
    signs = np.where((chosen == 0) & lone, -1, 1)
    passed = trace(network, rows, outputs=np.zeros_like(chosen) if lone else chosen)
    return passed, rows[:].reshape(-1, *shape), chosen, signs
