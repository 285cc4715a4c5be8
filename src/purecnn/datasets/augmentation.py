"""Augmentation: each image is shifted, turned, scaled, mirrored a little, anew in each step.

More samples than there are: each image is shifted, turned, scaled, mirrored a little, anew each step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from purecnn.backend.checks import is_integer, is_number
from purecnn.backend.memory import Workspace
from purecnn.backend.random import AUGMENTATION, COLOUR, uniforms
from purecnn.backend.types import Array, Shape
from purecnn.datasets.colour import (
    change_brightness,
    change_contrast,
    change_hue,
    change_saturation,
    check_colours,
    factors,
)
from purecnn.datasets.mixing import check_mixing
from purecnn.errors import ShapeError
from purecnn.losses.base import Loss
from purecnn.messages.signatures import explained_class

#: Which of a sample's numbers decides what: fixed, so that one setting does not change the draws of another.
DOWN, RIGHT, ANGLE, SCALE, SHEAR, FLIP, ERASE_DOWN, ERASE_RIGHT, DRAWS = range(9)
#: No image is so large, in pixels, and an index may still be added to it.
FURTHEST = 1e9
#: The settings that are at least 0 and below a number. Of mixing: shares from Beta(v, v) of a larger v are
#: 1/2 but for a ten-thousandth, and 0 where its sums overflow.
BELOW = {"shift": FURTHEST, "rotate": 180.0, "scale": 1.0, "shear": 90.0, "mixup": 1e9, "cutmix": 1e9}
#: The settings of colours, in the order of their numbers and of the changes.
COLOURS = ("brightness", "contrast", "saturation", "hue")


@explained_class
@dataclass(frozen=True)
class Augmentation:
    """How much training images may be changed, at random and anew in every step.

    An output pixel ``p`` takes the value of the image at ``c + A (p - c - t)``, between pixels the bilinear
    mean of four, beyond the border `fill`; ``c`` is the image's centre, ``t`` the shift, and ``A`` turns,
    shears and scales back. What a sample gets depends on the seed, the step and the sample's number alone.

    Targets that are images are moved alike: label maps take the nearest label, and pixels from beyond the
    border count nothing; values are treated as those of the images, with `fill` scaled as the network scales
    it. Erased squares change the images alone.

    Parameters
    ----------
    shift : float
        Largest shift in pixels, along either axis; whole pixels where nothing turns, scales or shears. So it
        is a random crop of images with a border of so many pixels.
    rotate : float
        Largest angle in degrees, to either side, below 180.
    scale : float
        The factor is drawn from ``1 - scale`` to ``1 + scale``, the same for both axes; below 1.
    shear : float
        Largest angle in degrees by which vertical lines lean, to either side, below 90.
    flip : bool
        Whether half of the images, drawn at random, are mirrored left to right. Not for digits and letters.
    erase : int
        Side in pixels of a square that is set to `fill`; its centre lies anywhere in the image, so part of
        the square may lie outside (cutout, DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552).
    fill : float
        The raw value beyond the border and in the erased square, before preprocessing: 0 is MNIST's paper.
    brightness, contrast, saturation : float
        Colour jitter, in this order: factors drawn from ``1 - v`` to ``1 + v``, v at most 1, for all values,
        for their distance from the mean of the image in grey, and for the distance of a colour from its own
        grey. Bytes stay between 0 and 255.
    hue : float
        How far colours are turned around the axis of grey, as a share of a full turn, to either side, at
        most 0.5. It comes last.
    mixup : float
        Each sample becomes ``s x + (1 - s) x'`` and its answer ``s y + (1 - s) y'``, where x' is another
        sample of its batch and s is drawn from Beta(v, v) for each batch (Zhang et al. 2018,
        https://arxiv.org/abs/1710.09412); 0.2 is usual.
    cutmix : float
        Each image takes a box of another one, and of its answer the share that the box covers, drawn as above
        (Yun et al. 2019, https://arxiv.org/abs/1905.04899); 1 is usual. With `mixup`, each batch has either.

    Notes
    -----
    PyTorch's ``RandomAffine`` takes the shift as a share of the image, and the nearest pixel unless told
    otherwise; Keras's ``RandomTranslation`` and ``RandomRotation`` take shares of the image and of a turn.
    PyTorch's ``ColorJitter`` draws the order of its changes too, and turns the hue of HSV, which changes how
    bright a colour is; its ``MixUp`` and ``CutMix`` mix whole batches, here a sample has its partner in its
    shard: the next one, in an order that is drawn anew in each epoch.

    Examples
    --------
    >>> from purecnn.backend.memory import Workspace
    >>> images = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> Augmentation(shift=1).apply(images, np.array([5]), seed=0, step=1, workspace=Workspace())
    >>> images[0, :, :, 0]
    array([[4., 5., 0.],
           [7., 8., 0.],
           [0., 0., 0.]])
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    flip: bool = False
    erase: int = 0
    fill: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name, below in BELOW.items():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < below:
                raise ValueError(f"{name} must be a number of at least 0 and below {below:g}, got {value!r}")
        for name, most in (*((name, 1.0) for name in COLOURS[:3]), ("hue", 0.5)):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most:
                raise ValueError(f"{name} must be a number from 0 to {most:g}, got {value!r}")
        if not isinstance(self.flip, bool | np.bool_):
            raise TypeError(f"flip must be True or False, got {self.flip!r}")
        if not is_integer(self.erase) or not 0 <= self.erase < FURTHEST:
            raise ValueError(
                f"erase must be an integer of at least 0 and below {FURTHEST:g}, in pixels, "
                f"got {self.erase!r}"
            )
        if not is_number(self.fill):
            raise ValueError(f"fill must be a finite number, got {self.fill!r}")
        if self.fill and not (self.shift or self.warps or self.erase):
            raise ValueError(
                f"fill is what shift, rotate, scale, shear or erase put into free places, "
                f"got fill={self.fill:g} without any of these"
            )

    @property
    def warps(self) -> bool:
        """Whether values between pixels are wanted."""
        return bool(self.rotate or self.scale or self.shear)

    @property
    def mixes(self) -> bool:
        """Whether samples and their answers are mixed."""
        return bool(self.mixup or self.cutmix)

    def configuration(self) -> dict[str, Any]:
        """Return the fields, as plain numbers."""
        return asdict(self)

    def __repr__(self) -> str:
        given = ((one.name, getattr(self, one.name)) for one in fields(self))
        words = ", ".join(f"{name}={value!r}" for name, value in given if value)
        return f"{type(self).__name__}({words})"

    def apply(
        self,
        images: Array,
        samples: Array,
        seed: int,
        step: int,
        workspace: Workspace,
        most: float | None = None,
    ) -> None:
        """Change raw images in place.

        Parameters
        ----------
        images : ndarray
            Floats ``(C, H, W, N)``, the batch last.
        samples : ndarray
            The samples' numbers in their set, ``(N,)``.
        seed, step : int
            With the samples' numbers, they decide every draw.
        workspace : Workspace
            Working memory.
        most : float, optional
            What colours are cut off at, and at 0, once they were changed; they are not, if left out.
        """
        drawn = uniforms(seed, AUGMENTATION, step, samples, DRAWS)
        self.place(images, drawn, workspace, self.fill)
        if any(getattr(self, name) for name in COLOURS):
            self.colour(images, uniforms(seed, COLOUR, step, samples, len(COLOURS)))
            if most is not None:
                np.clip(images, 0, most, out=images)
        if self.erase:
            self.wipe(images, drawn, workspace)

    def apply_to_targets(
        self,
        targets: Array,
        samples: Array,
        seed: int,
        step: int,
        workspace: Workspace,
        *,
        fill: float,
        nearest: bool = False,
    ) -> None:
        """Move targets that are images as `apply` moves the samples of the same numbers, in place.

        Nothing is erased: what a square hides is still to be answered.

        Parameters
        ----------
        targets : ndarray
            Floats ``(C, H, W, N)``, of the samples' height and width.
        samples, seed, step, workspace
            As `apply` takes them.
        fill : float
            The value beyond the border.
        nearest : bool
            Whether a pixel takes the value of the nearest one, as labels do, in place of a mean.
        """
        drawn = uniforms(seed, AUGMENTATION, step, samples, DRAWS)
        self.place(targets, drawn, workspace, fill, nearest)

    def place(
        self, images: Array, drawn: Array, workspace: Workspace, fill: float, nearest: bool = False
    ) -> None:
        """Move each pixel of images to its place: all but erasing."""
        if self.warps:
            self.warp(images, drawn, workspace, fill, nearest)
        elif self.shift or self.flip:
            self.move(images, drawn, workspace, fill)

    def colour(self, images: Array, drawn: Array) -> None:
        """Change the colours of images in place, by numbers from 0 to 1 for each setting and image."""
        changes = (change_brightness, change_contrast, change_saturation)
        for name, change, own in zip(COLOURS[:3], changes, drawn[:3], strict=True):
            if value := getattr(self, name):
                change(images, factors(own, value))
        if self.hue:
            change_hue(images, factors(drawn[3], self.hue) - 1)

    def padded(
        self,
        images: Array,
        before: tuple[int, int],
        after: tuple[int, int],
        workspace: Workspace,
        fill: float,
    ) -> Array:
        """Return a copy of the images with rows and columns of `fill` around it."""
        channels, height, width, batch = images.shape
        (top, left), (bottom, right) = before, after
        paper = workspace.array(
            "paper", (channels, top + height + bottom, left + width + right, batch), images.dtype
        )
        for edge in (np.s_[:top], np.s_[top + height :]):
            paper[:, edge] = fill
        for edge in (np.s_[:left], np.s_[left + width :]):
            paper[:, :, edge] = fill
        paper[:, top : top + height, left : left + width] = images
        return paper

    def move(self, images: Array, drawn: Array, workspace: Workspace, fill: float) -> None:
        """Shift by whole pixels, and mirror: one value for each pixel."""
        _, height, width, batch = images.shape
        # beyond its own size an image is gone anyway
        most = int(self.shift)
        reach = min(most, height), min(most, width)
        paper = self.padded(images, reach, reach, workspace, fill)
        down, right = (
            np.clip(np.floor(drawn[k] * (2 * most + 1)).astype(np.intp) - most, -far, far)
            for k, far in zip((DOWN, RIGHT), reach, strict=True)
        )
        rows = np.arange(height)[:, None] + (reach[0] - down)
        columns = np.arange(width)[:, None] - right
        if self.flip:
            columns = np.where(drawn[FLIP] < 0.5, width - 1 - columns, columns)
        columns += reach[1]
        place = workspace.array("place", (height, width, batch), np.intp)
        np.add(
            (rows * paper.shape[2] * batch)[:, None], (columns * batch + np.arange(batch))[None], out=place
        )
        for image, source in zip(images, paper, strict=True):
            np.take(source.reshape(-1), place, out=image, mode="clip")  # "raise" would copy the output

    def warp(
        self, images: Array, drawn: Array, workspace: Workspace, fill: float, nearest: bool = False
    ) -> None:
        """Turn, scale, shear, shift and mirror: four values for each pixel, weighted, or the nearest one."""
        _, height, width, batch = images.shape
        dtype = images.dtype
        paper = self.padded(images, (1, 1), (2, 2), workspace, fill)
        angle = np.radians(self.rotate) * (2 * drawn[ANGLE] - 1)
        factor = 1 / (1 + self.scale * (2 * drawn[SCALE] - 1))
        lean = np.tan(np.radians(self.shear) * (2 * drawn[SHEAR] - 1))
        cosine, sine = factor * np.cos(angle), factor * np.sin(angle)
        down, right = self.shift * (2 * drawn[DOWN] - 1), self.shift * (2 * drawn[RIGHT] - 1)
        middle = (height - 1) / 2, (width - 1) / 2
        i = np.arange(height)[:, None] - middle[0] - down
        j = np.arange(width)[:, None] - middle[1] - right
        mirror = np.where(drawn[FLIP] < 0.5, -1.0, 1.0) if self.flip else np.ones(batch)

        def coordinate(name: str, by_row: Array, by_column: Array, most: int) -> tuple[Array, Array]:
            """Return the cell of the paper and how far past it the coordinate lies."""
            at = workspace.array(name, (height, width, batch), dtype)
            np.add(by_row.astype(dtype)[:, None], by_column.astype(dtype)[None], out=at)
            np.maximum(at, 0, out=at)
            np.minimum(at, most, out=at)
            if nearest:
                at += dtype.type(0.5)
            cell = workspace.array(f"{name} cell", at.shape, np.int32)
            np.copyto(cell, at, casting="unsafe")  # towards zero, and none is below it
            at -= cell
            return cell, at

        # One row and one column of paper lie before the image, so 1 is its first pixel.
        cell, low = coordinate("down", cosine * i + (middle[0] + 1), sine * j, height + 1)
        other, across = coordinate(
            "right",
            mirror * (lean * cosine - sine) * i + (middle[1] + 1),
            mirror * (cosine + lean * sine) * j,
            width + 1,
        )
        cell *= paper.shape[2]
        cell += other
        cell *= batch
        cell += np.arange(batch, dtype=np.int32)
        place = workspace.array("place", cell.shape, np.intp)
        np.copyto(place, cell)
        if nearest:
            for image, source in zip(images, paper, strict=True):
                np.take(source.reshape(-1), place, out=image, mode="clip")
            return
        beside, under, slope = (
            workspace.array(name, cell.shape, dtype) for name in ("beside", "under", "slope")
        )
        step = paper.shape[2] * batch
        for image, source in zip(images, paper, strict=True):
            values = source.reshape(-1)

            def line(start: int, out: Array, values: Array = values) -> None:
                np.take(values[start:], place, out=out, mode="clip")
                np.take(values[start + batch :], place, out=beside, mode="clip")
                np.subtract(beside, out, out=beside)
                np.multiply(beside, across, out=beside)
                np.add(out, beside, out=out)

            line(0, image)
            line(step, under)
            np.subtract(under, image, out=slope)
            np.multiply(slope, low, out=slope)
            np.add(image, slope, out=image)

    def wipe(self, images: Array, drawn: Array, workspace: Workspace) -> None:
        """Set a square of each image to `fill`."""
        _, height, width, batch = images.shape
        hit = []
        for k, length in ((ERASE_DOWN, height), (ERASE_RIGHT, width)):
            start = np.floor(drawn[k] * length).astype(np.intp) - self.erase // 2
            cells = np.arange(length)[:, None]
            hit.append((cells >= start) & (cells < start + self.erase))
        erased = workspace.array("erased", (height, width, batch), np.bool_)
        np.logical_and(hit[0][:, None], hit[1][None], out=erased)
        np.copyto(images, images.dtype.type(self.fill), where=erased)


def as_augmentation(
    augmentation: Any, shape: Shape | None, output_shape: Shape | None = None, loss: Loss | None = None
) -> Augmentation | None:
    """Return `augmentation` if it is one, or None, and samples of `shape` are images.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it mixes answers, and the loss takes none between two classes.
    ShapeError
        If `shape` is not ``(channels, height, width)``, or the outputs are images of another height and
        width, or are mixed; or if there are no colours to change.
    """
    if augmentation is None:
        return None
    if not isinstance(augmentation, Augmentation):
        raise TypeError(f"augmentation must be an Augmentation, got {augmentation!r}")
    if shape is None or len(shape) != 3:
        raise ShapeError(f"augmentation wants images (channels, height, width), got samples of shape {shape}")
    if output_shape is not None and len(output_shape) == 3 and output_shape[1:] != shape[1:]:
        raise ShapeError(
            f"augmentation moves targets with their images, and so wants outputs of their height and width, "
            f"{shape[1]} x {shape[2]}, got {output_shape[1]} x {output_shape[2]}"
        )
    if augmentation.mixes:
        check_mixing(output_shape, loss)
    if augmentation.saturation or augmentation.hue:
        check_colours(shape)
    return augmentation
