"""Warning of pixels in a wrong scale: found before a first training, for as they are they train badly.

uint8 is scaled by the network itself. The same pixels as floats or wider integers are numbers like any
others, which are taken as they are, and cost some per cent of the accuracy without a word. Zeros and ones as
uint8 are divided by 255 as pixels are, and cost much more.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import numpy as np

from purecnn.backend.types import Array, Shape
from purecnn.errors import PreprocessingWarning
from purecnn.layers.base import Layer
from purecnn.layers.dense import Dense
from purecnn.layers.normalization.batch import BatchNormalization
from purecnn.layers.normalization.group import SampleNormalization
from purecnn.layers.preprocessing import Preprocessing
from purecnn.layers.ranges import keeps_scale
from purecnn.layers.spatial.convolution import Convolutional
from purecnn.layers.spatial.transposed import TransposedConvolutional
from purecnn.training.rows import Rows

#: Samples that are looked at, evenly spread: few outside of memory, since they are read for this.
SAMPLES, READ = 1024, 16
#: Images whose values go beyond this are not scaled; scikit-learn's digits end here.
SMALL = 16
#: The largest values of pixels of 8, 10, 12, 14 and 16 bits; with a sign they go half as far.
DEPTHS = (255, 1023, 4095, 16383, 65535)


def warn_of_pixels(
    rows: Array | Rows, shape: Shape, preprocessing: Preprocessing, layers: Iterable[Layer]
) -> None:
    """Warn once if the first data of a training are pixels that nothing scales.

    Images are if none of their values is below 0 and the largest is above 16. Rows are if all are whole
    numbers from 0 to exactly 255 or 65535, and as many as a square image has, grey or in colour. Integers on
    both sides of 0 are if they would be once the least is taken from them, and any is beyond 16 on either
    side. Of uint8 the warning is that none is above 16, such as zeros and ones, which the network divides by
    255 all the same; they are not read for it where they lie outside of memory.
    Nothing is said where the `Preprocessing` was given a scale, a shift or its kind; or where a batch
    normalization comes before the first activation, since then the scale does not matter.

    Parameters
    ----------
    rows : ndarray or Rows
        ``(n, values)``.
    shape : tuple of int
        Of one sample.
    preprocessing : Preprocessing
        What it has learnt of them.
    layers : iterable of Layer
        The network's.
    """
    usual = 1 / 255 if preprocessing.kind == "bytes" else 1.0
    given = not preprocessing.was_learnt or (preprocessing.scale, preprocessing.shift) != (usual, 0.0)
    if given or scale_is_free(layers) or (preprocessing.kind == "bytes" and isinstance(rows, Rows)):
        return
    count = min(len(rows), READ if isinstance(rows, Rows) else SAMPLES)
    values = rows[np.linspace(0, len(rows) - 1, count).astype(np.intp)]
    if preprocessing.kind == "bytes":
        if 0 < values.max() <= SMALL:
            warnings.warn(
                f"x holds uint8 from {values.min()} to {values.max()}, which the network divides by 255 as "
                f'pixels, and so train badly: give them as floats, or give it Preprocessing(kind="bytes"), '
                f"which takes them as they are",
                PreprocessingWarning,
                stacklevel=4,
            )
        return
    least, most = float(values.min()), float(values.max())
    furthest = max(most, -least)
    signed = least < 0 and rows.dtype.kind == "i" and furthest > SMALL
    if (least < 0 and not signed) or not are_pixels(
        values.astype(np.float64) - least if signed else values, shape
    ):
        return
    depths = [(depth + 1) // 2 for depth in DEPTHS] if signed else DEPTHS
    largest = next((depth for depth in depths if furthest <= depth), furthest)
    whole = "give them as uint8, which the network scales itself, or " if largest == depths[0] else ""
    warnings.warn(
        f"x holds pixels from {min(least, 0):g} to {most:g} as {rows.dtype}, which are taken as they are and "
        f"train badly: {whole}divide them by {largest:g}, or give the network "
        f"Preprocessing(scale=1 / {largest:g})",
        PreprocessingWarning,
        stacklevel=4,
    )


def are_pixels(values: Array, shape: Shape) -> bool:
    """Return whether samples ``(n, values)`` of at least 0 are pixels that are not scaled.

    Examples
    --------
    >>> are_pixels(np.full((1, 64), 255.0), (1, 8, 8)), are_pixels(np.full((1, 64), 0.5), (1, 8, 8))
    (True, False)
    >>> are_pixels(np.array([[0.0, 255.0]]), (2,))
    False
    """
    most = values.max()
    if len(shape) in (2, 3) and min(shape[-2:]) > 1:
        return bool(most > SMALL)
    if len(shape) != 1 or most not in (DEPTHS[0], DEPTHS[-1]) or values.min() != 0:
        return False
    sides = (math.isqrt(shape[0] // channels) for channels in (1, 3))
    square = any(
        side >= 8 and side**2 * channels == shape[0] for side, channels in zip(sides, (1, 3), strict=True)
    )
    return square and bool((values % 1 == 0).all())


def scale_is_free(layers: Iterable[Layer]) -> bool:
    """Return whether a normalization, or a layer of one's own, comes before the scale matters.

    Examples
    --------
    >>> from purecnn import ReLU
    >>> scale_is_free([Dense(2, 3), BatchNormalization(), ReLU()]), scale_is_free([Dense(2, 3), ReLU()])
    (True, False)
    """
    for layer in layers:
        if isinstance(layer, BatchNormalization | SampleNormalization) or not type(
            layer
        ).__module__.startswith("purecnn."):
            return True
        if not isinstance(layer, Convolutional | Dense | TransposedConvolutional) and not keeps_scale(layer):
            return False
    return False
