"""Mixup and CutMix: each sample of a batch takes a part of another one, and so does its answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from purecnn.backend.arrays import module_of, to_device
from purecnn.backend.random import MIXING, stream
from purecnn.backend.types import Array, Shape
from purecnn.errors import ShapeError
from purecnn.losses.base import Loss, unwrapped
from purecnn.losses.regression import hinge


@dataclass(frozen=True)
class Mixture:
    """How the samples of one batch are mixed, each with a partner.

    Attributes
    ----------
    share : float
        What is left of a sample's own answer, from 0 to 1.
    box : (slice, slice) or None
        Rows and columns that are taken from the other image; where there are none, all pixels are a mean.
    """

    share: float
    box: tuple[slice, slice] | None = None

    def mix_images(self, images: Array, partners: Array) -> None:
        """Mix images ``(C, H, W, N)`` with those at the places `partners` ``(N,)``, in place."""
        if self.box is None:
            self.mix(images, partners)
            return
        part = images[:, *self.box]
        part[...] = taken(part, partners)

    def mix(self, values: Array, partners: Array) -> None:
        """Take the mean of each sample's values ``(..., N)`` and its partner's, by their shares, in place."""
        other = taken(values, partners)
        other *= values.dtype.type(1 - self.share)
        values *= values.dtype.type(self.share)
        values += other


def taken(values: Array, places: Array) -> Array:
    """Return a copy of the samples at these places of values ``(..., N)``."""
    xp = module_of(values)
    found: Array = xp.take(values, to_device(places, xp), axis=-1)
    return found


def next_ones(bounds: list[tuple[int, int]]) -> Array:
    """Return the places of all samples' partners: the next one of its shard, of the last one the first.

    Examples
    --------
    >>> next_ones([(0, 2), (2, 5)])
    array([1, 0, 3, 4, 2])
    """
    return np.concatenate([np.roll(np.arange(first, last), -1) for first, last in bounds])


@lru_cache(maxsize=1)  # asked for by each shard of a batch, for its images and for its targets
def draw_mixture(
    mixup: float, cutmix: float, size: tuple[int, int], seed: int, step: int, batch: int = 0
) -> Mixture:
    """Return how a batch is mixed: by mixup, by CutMix, or where both are asked for by either, drawn.

    The share is drawn from Beta(a, a), once a batch, where a is `mixup` or `cutmix`. A box of CutMix covers
    ``1 - share`` of the image if all of it lies inside; its centre lies anywhere, and what counts is what it
    covers.

    Parameters
    ----------
    mixup, cutmix : float
        Of `Augmentation`, one of them above 0.
    size : (int, int)
        Height and width.
    seed, step, batch : int
        What the draws depend on: `batch` is the place of a batch in a step that takes several.

    Examples
    --------
    >>> mixture = draw_mixture(0, 1.0, (8, 8), seed=0, step=3)
    >>> rows, columns = mixture.box
    >>> 1 - mixture.share == (rows.stop - rows.start) * (columns.stop - columns.start) / 64
    True
    """
    random = stream(seed, MIXING, step, batch)
    cuts = bool(cutmix) and (not mixup or random.random() < 0.5)
    strength = cutmix if cuts else mixup
    share = float(random.beta(strength, strength))
    if not cuts:
        return Mixture(share)
    edges = []
    for length in size:
        side, centre = length * np.sqrt(1 - share), random.random() * length
        first, last = np.clip(np.round([centre - side / 2, centre + side / 2]), 0, length).astype(int)
        edges.append((int(first), int(last)))
    (top, bottom), (left, right) = edges
    covered = (bottom - top) * (right - left) / (size[0] * size[1])
    return Mixture(1 - covered, (slice(top, bottom), slice(left, right)))


def check_mixing(output_shape: Shape | None, loss: Loss | None) -> None:
    """Refuse answers that can't be mixed.

    Raises
    ------
    ShapeError
        If the outputs are images.
    ValueError
        If the loss takes no answers between two classes.
    """
    if output_shape is not None and len(output_shape) == 3:
        raise ShapeError(
            f"mixup and cutmix mix the answers of two samples, numbers in a row, got outputs that are "
            f"images, {output_shape}"
        )
    if loss is not None and unwrapped(loss) is hinge:
        raise ValueError(
            "mixup and cutmix make answers between two classes, which the hinge does not know: "
            "train with a cross-entropy"
        )
