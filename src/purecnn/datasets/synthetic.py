"""Synthetic data sets: made by a seeded function, for tasks that no set at hand is for.

Digits on cluttered ground with a mask of each, made of MNIST's; and signals of five shapes.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.checks import as_array, is_number, positive
from purecnn.backend.random import as_seed
from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.messages.signatures import explained

#: The shapes of `signals`, in the order of their labels.
SHAPES = ("sine", "square", "sawtooth", "pulses", "chirp")
#: Pixels of ink from where on a pixel is the digit's, and down to where nobody can tell: those are 255.
INK, FAINT = 128, 48
#: Fragments of other digits on the ground of each image, and their side in pixels.
FRAGMENTS, SIDE = 6, 7


@explained
def cluttered_digits(
    digits: Array, labels: Array, samples: int, *, size: int = 40, seed: int = 0
) -> tuple[Array, Array]:
    """Put digits on a ground of noise and of fragments of other digits; return images and label maps.

    Each image has one or two whole digits, which may touch.

    Parameters
    ----------
    digits : ndarray
        uint8 ``(n, 28, 28)``, ink bright, as `mnist.load_data` returns them.
    labels : ndarray of int
        Which digit each is, ``(n,)``.
    samples : int
        How many images to make.
    size : int
        Height and width of an image, at least those of a digit.
    seed : int
        Decides every draw.

    Returns
    -------
    images, masks : ndarray
        uint8 ``(samples, size, size)`` each; in a mask the ground is 0, a digit d is d + 1, and pixels of its
        faint edge are 255, to be ignored (``fit(ignore_label=255)``).

    Raises
    ------
    ValueError
        If `samples` is not at least 1, an image smaller than a digit, or a label not from 0 to 253.
    ShapeError
        If the digits are no uint8 images, or the labels not as many integers.

    Examples
    --------
    >>> from purecnn.datasets import mnist
    >>> (digits, labels), _ = mnist.load_data()
    >>> images, masks = cluttered_digits(digits, labels, 3)
    >>> images.shape, bool(set(np.unique(masks)) <= {0, *(labels + 1), 255})
    ((3, 40, 40), True)
    """
    samples, size = positive("samples", samples), positive("size", size)
    digits, labels = as_array("digits", digits), as_array("labels", labels)
    if digits.dtype != np.uint8 or digits.ndim != 3 or min(digits.shape[1:]) < SIDE or not len(digits):
        raise ShapeError(
            f"digits must be uint8 (n, height, width), one or more of at least {SIDE} x {SIDE} pixels, "
            f"got {digits.dtype} of shape {digits.shape}"
        )
    if labels.shape != (len(digits),) or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels must be {len(digits)} integers, one for each digit, got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if labels.min() < 0 or labels.max() > 253:
        raise ValueError(f"labels must be from 0 to 253, got {labels.min()} to {labels.max()}")
    height, width = digits.shape[1:]
    if size < max(height, width):
        raise ValueError(f"size must be at least that of a digit, {max(height, width)}, got {size}")
    random = np.random.default_rng(as_seed(seed))
    images = random.integers(0, 64, (samples, size, size)).astype(np.uint8)
    masks = np.zeros((samples, size, size), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        for number in random.integers(0, len(digits), FRAGMENTS):
            top, left = random.integers(0, (height - SIDE + 1, width - SIDE + 1))
            down, right = random.integers(0, size - SIDE + 1, 2)
            place = np.s_[down : down + SIDE, right : right + SIDE]
            fragment = digits[number, top : top + SIDE, left : left + SIDE]
            image[place] = np.maximum(image[place], fragment)
        for number in random.integers(0, len(digits), random.integers(1, 3)):
            down, right = random.integers(0, (size - height + 1, size - width + 1))
            place, digit = np.s_[down : down + height, right : right + width], digits[number]
            image[place] = np.maximum(image[place], digit)
            mask[place][(digit >= FAINT) & (mask[place] == 0)] = 255
            mask[place][digit >= INK] = int(labels[number]) + 1
    return images, masks


@explained
def signals(samples: int, *, length: int = 128, noise: float = 0.5, seed: int = 0) -> tuple[Array, Array]:
    """Make signals of five shapes, each with a frequency, a phase and an amplitude of its own, in noise.

    Parameters
    ----------
    samples : int
        How many to make, of each shape as many as of any other.
    length : int
        Values of a signal.
    noise : float
        Standard deviation of what is added to each value; amplitudes are from 0.5 to 1.5.
    seed : int
        Decides every draw.

    Returns
    -------
    x : ndarray
        float32 ``(samples, 1, length)``.
    y : ndarray
        Which of `SHAPES` each has, int64 ``(samples,)``.

    Raises
    ------
    ValueError
        If `samples` or `length` is not at least 1, or `noise` no number of at least 0.

    Examples
    --------
    >>> x, y = signals(10, length=32)
    >>> x.shape, np.bincount(y)
    ((10, 1, 32), array([2, 2, 2, 2, 2]))
    """
    samples, length = positive("samples", samples), positive("length", length)
    if not is_number(noise) or noise < 0:
        raise ValueError(f"noise must be a number of at least 0, got {noise!r}")
    random = np.random.default_rng(as_seed(seed))
    y = random.permutation(np.arange(samples) % len(SHAPES))
    periods, begins, amplitudes = (
        random.uniform(least, most, (samples, 1)) for least, most in ((2, 6), (0, 1), (0.5, 1.5))
    )
    time = np.arange(length) / length
    # in turns: a chirp's frequency doubles on the way
    turns = begins + periods * np.where(y[:, np.newaxis] == 4, time + 0.5 * time**2, time)
    phase = turns % 1
    smooth = np.sin(2 * np.pi * turns)
    forms = [
        smooth,
        np.where(phase < 0.5, 1.0, -1.0),
        2 * phase - 1,
        np.where(phase < 0.15, 1.7, -0.3),
        smooth,
    ]
    x = amplitudes * np.choose(y[:, np.newaxis], forms)
    x += random.normal(0, noise, x.shape)
    return x[:, np.newaxis].astype(np.float32), y
