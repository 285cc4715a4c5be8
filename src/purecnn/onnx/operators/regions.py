"""ONNX operators: NonMaxSuppression, RoiAlign and MaxRoiPool.

Boxes in images, as detectors have them: the best of those that overlap, and what lies in each, in one size.

Formulas are those of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import ShapeError
from purecnn.kernels.cost import POWER, STEP
from purecnn.onnx.operators.registry import OperatorCall, floating, integers, operator

#: So many boxes are compared with others at a time.
TOGETHER = 128
#: Farther out lies no pixel of an image, and integers of 64 bits still have room.
MOST_PLACES = 2.0**31


def one_number(value: Array | None, name: str, default: float | None) -> float | None:
    """Return an input of one number."""
    if value is None or not value.size:
        return default
    if value.size != 1:
        raise ShapeError(f"{name} has shape {value.shape}, wanted one number")
    return float(value.reshape(-1)[0])


@operator("NonMaxSuppression", since=10)
def non_max_suppression(
    call: OperatorCall,
    boxes: Array,
    scores: Array,
    most: Array | None = None,
    overlap: Array | None = None,
    least: Array | None = None,
) -> Array:
    """The boxes of each class with the best scores, without those that overlap a better one by too much."""
    floating(boxes, scores)
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape != (scores.shape[0], scores.shape[2], 4):
        raise ShapeError(
            f"boxes have shape {boxes.shape} and scores {scores.shape}, "
            f"wanted (N, boxes, 4) and (N, classes, boxes)"
        )
    limits = integers(most, "max_output_boxes_per_class") or [0]
    if len(limits) != 1:
        raise ShapeError(f"max_output_boxes_per_class is {limits}, wanted one integer")
    limit, highest = min(limits[0], boxes.shape[1]), one_number(overlap, "iou_threshold", 0.0) or 0.0
    if not 0 <= highest <= 1:
        raise ShapeError(f"iou_threshold is {highest}, wanted from 0 to 1")
    threshold = one_number(least, "score_threshold", None)
    call.like(boxes, copies=6)
    call.claim(scores.shape, np.bool_)
    images, classes, count = scores.shape
    call.claim((count,), np.float64, copies=10, passes=8 * images * classes, slow=POWER)
    call.claim((min(TOGETHER, count), max(min(TOGETHER, count), limit, 0)), boxes.dtype, copies=9, passes=0)
    call.budget.spend(STEP * images * classes)
    corners = corners_of(boxes, bool(call.integer("center_point_box", 0)))
    found = [np.zeros((0, 3), np.int64)]
    for image, number in np.ndindex(images, classes):
        score = scores[image, number]
        places = np.arange(count) if threshold is None else np.flatnonzero(score > threshold)
        places = places[np.argsort(-score[places], kind="stable")]
        places = places[greedy(call, corners[image, places], limit, highest)]
        if len(places):
            call.claim((len(places), 3), np.int64, copies=2)
            ours = np.full(len(places), image), np.full(len(places), number), places
            found.append(np.stack(ours, axis=1))
    return np.concatenate(found)


def corners_of(boxes: Array, centred: bool) -> Array:
    """Return boxes as their low and high corners, (N, boxes, 4), whichever corners they came with."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if centred:
        half = second / 2
        return np.concatenate([first - half, first + half], axis=-1)
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)


def greedy(call: OperatorCall, boxes: Array, limit: int, highest: float) -> list[int]:
    """Return the places of boxes, best first, that overlap no better one by more than a share of both."""
    kept: list[int] = []
    for start in range(0, len(boxes) if limit > 0 else 0, TOGETHER):
        # Those of a block are compared with all that were kept at once, and then with each other.
        block = boxes[start : start + TOGETHER]
        call.budget.spend(STEP + 16 * boxes.itemsize * len(block) * (len(block) + len(kept)))
        gone = as_number(np.any(overlapping(block, boxes[kept], highest), axis=1))
        for place, others in enumerate(overlapping(block, block, highest)):
            if not gone >> place & 1:
                kept.append(start + place)
                gone |= as_number(others)
                if len(kept) == limit:
                    return kept
    return kept


def as_number(flags: Array) -> int:
    """Return flags as the bits of a number, which Python joins at once."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def overlapping(boxes: Array, others: Array, highest: float) -> Array:
    """Return whether boxes and others have more than a share of both in common, (boxes, others)."""
    sides = []
    for axis in range(2):
        low, high = (np.ascontiguousarray(boxes[:, axis + 2 * end, None]) for end in range(2))
        theirs = [np.ascontiguousarray(others[:, axis + 2 * end]) for end in range(2)]
        sides.append(np.minimum(high, theirs[1]) - np.maximum(low, theirs[0]))
    own, theirs_too = ((one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (boxes, others))
    shared = sides[0] * sides[1]
    share = shared / (own[:, None] + theirs_too - shared)
    # A box turned inside out, as center_point_box may have some, has no side in common with any.
    found: Array = (sides[0] > 0) & (sides[1] > 0) & (share > highest)
    return found


@operator("RoiAlign", since=10)
def roi_align(call: OperatorCall, x: Array, rois: Array, batch_indices: Array) -> Array:
    """The pixels of each region in a grid of its own, each the mean, or largest, of samples in its cell."""
    floating(x, rois)
    height, width = call.integer("output_height", 1), call.integer("output_width", 1)
    ratio, largest = call.integer("sampling_ratio", 0), call.choice("mode", "avg", "avg", "max") == "max"
    default = "half_pixel" if call.version >= 16 else "output_half_pixel"
    half = call.choice("coordinate_transformation_mode", default, "half_pixel", "output_half_pixel")
    count = len(rois) if rois.ndim else 0
    if x.ndim != 4 or 0 in x.shape[2:] or rois.shape != (count, 4) or batch_indices.shape != (count,):
        raise ShapeError(
            f"shapes are {x.shape}, {rois.shape} and {batch_indices.shape}, "
            f"wanted (N, C, H, W), (R, 4) and (R,)"
        )
    if height < 1 or width < 1 or ratio < 0 or not np.isfinite(rois).all():
        raise ShapeError(
            f"output_height is {height}, output_width {width} and sampling_ratio {ratio}, wanted at least "
            f"1, 1 and 0, and finite regions"
        )
    images = integers(batch_indices, "batch_indices") or []
    if not all(0 <= image < len(x) for image in images):
        raise ShapeError(f"batch_indices are {images[:8]}, wanted places of {len(x)} images")
    kind = np.dtype(np.float32 if x.dtype == np.float16 else x.dtype)
    found = np.zeros(call.claim((count, x.shape[1], height, width), x.dtype), x.dtype)
    call.claim(rois.shape, kind, copies=8)
    ends = rois.astype(kind) * kind.type(call.number("spatial_scale", 1.0)) - kind.type(
        0.5 if half == "half_pixel" else 0
    )
    starts, sizes = ends[:, 1::-1], (ends[:, 2:] - ends[:, :2])[:, ::-1]  # rows before columns
    if half != "half_pixel":
        sizes = np.maximum(sizes, 1)
    cells = sizes / np.array([height, width], kind)
    samples = np.full(cells.shape, float(ratio)) if ratio else np.ceil(cells).astype(np.float64)
    call.budget.spend(STEP * count)
    before = call.budget.making
    for image, start, cell, grid, result in zip(
        images, starts, cells, np.maximum(samples, 0), found, strict=True
    ):
        call.budget.making = before  # what the last region made is gone
        lines = [
            line(
                call,
                float(start[axis]),
                float(cell[axis]),
                int(grid[axis]),
                (height, width)[axis],
                size,
                kind,
            )
            for axis, size in enumerate(x.shape[2:])
        ]
        if not grid.all():
            continue
        joined, (rows, columns) = largest_of if largest else mean_of, lines
        result[...] = joined(call, x[image].astype(kind, copy=False), rows, columns, (height, width))
    return found


#: Along an axis: which two pixels each sample lies between, and their shares, (samples, 2) each.
Line = tuple[Array, Array]


def line(
    call: OperatorCall,
    start: float,
    cell: float,
    samples: int,
    cells: int,
    length: int,
    kind: np.dtype[np.generic],
) -> Line:
    """Return between which pixels the samples of a region's cells lie, so many in each cell."""
    call.claim((cells * samples, 2), np.float64, copies=16)
    each = start + cell * (np.arange(cells * samples) + 0.5) / max(samples, 1)
    inside = (each >= -1) & (each <= length)
    places = np.clip(each, 0, length - 1)
    below = np.minimum(places.astype(np.int64), length - 1)
    rest = places - below
    pixels = np.stack([below, np.minimum(below + 1, length - 1)], axis=1)
    return pixels, (np.stack([1 - rest, rest], axis=1) * inside[:, None]).astype(kind)


def mean_of(call: OperatorCall, image: Array, rows: Line, columns: Line, sizes: tuple[int, int]) -> Array:
    """Return the mean of the samples in each cell: a matrix of the rows, the pixels, one of the columns."""
    low = [int(pixels.min()) for pixels, _ in (rows, columns)]
    high = [int(pixels.max()) + 1 for pixels, _ in (rows, columns)]
    matrices = []
    for (pixels, shares), first, last, size in zip((rows, columns), low, high, sizes, strict=True):
        call.claim((size, last - first), np.float64, copies=2)
        samples, width = len(pixels) // size, last - first
        at = np.arange(size).repeat(samples)[:, None] * width + pixels - first
        matrix = np.bincount(at.reshape(-1), shares.reshape(-1) / samples, size * width)
        matrices.append(matrix.reshape(size, width).astype(image.dtype))
    part = image[:, low[0] : high[0], low[1] : high[1]]
    channels, height, width = call.claim(part.shape, image.dtype)
    call.claim((channels, height, sizes[1]), image.dtype, copies=2)
    call.claim((channels, *sizes), image.dtype)
    call.budget.multiply(part.size * sizes[1] + channels * height * sizes[0] * sizes[1], image.dtype)
    narrow = part.reshape(channels * height, width) @ matrices[1].T
    turned = narrow.reshape(channels, height, sizes[1]).swapaxes(1, 2).reshape(channels * sizes[1], height)
    found: Array = (turned @ matrices[0].T).reshape(channels, sizes[1], sizes[0]).swapaxes(1, 2)
    return found


def largest_of(call: OperatorCall, image: Array, rows: Line, columns: Line, sizes: tuple[int, int]) -> Array:
    """Return the largest of what each pixel gives to a sample, of all samples in each cell."""
    shape = (len(image), len(rows[0]), len(columns[0]))
    call.claim(shape, image.dtype, copies=4, passes=32)
    found = np.full(shape, -np.inf, image.dtype)
    for row in range(2):
        for column in range(2):
            part = image[:, rows[0][:, row, None], columns[0][:, column]]
            part *= rows[1][:, row, None] * columns[1][:, column]
            np.maximum(found, part, out=found)
    high, wide = sizes
    best: Array = found.reshape(len(image), high, shape[1] // high, wide, shape[2] // wide).max(axis=(2, 4))
    return best


@operator("MaxRoiPool")
def max_region_pool(call: OperatorCall, x: Array, rois: Array) -> Array:
    """The largest pixel in each cell of a grid over each region, whose borders are those of pixels."""
    floating(x, rois)
    grid = call.integers("pooled_shape")
    count = len(rois) if rois.ndim else 0
    if x.ndim != 4 or rois.shape != (count, 5) or len(grid) != 2 or min(grid) < 1:
        raise ShapeError(
            f"shapes are {x.shape} and {rois.shape} and pooled_shape is {grid}, wanted (N, C, H, W), (R, 5) "
            f"and two sizes of at least 1"
        )
    found = np.zeros(call.claim((count, x.shape[1], *grid), x.dtype), x.dtype)
    call.claim(rois.shape, np.float64, copies=6)
    images = rois[:, 0]
    places = rois[:, 1:].astype(np.float64) * call.number("spatial_scale", 1.0)
    if not (np.abs(places) < MOST_PLACES).all() or not ((images >= 0) & (images < len(x))).all():
        raise ShapeError(f"regions are {rois[:2].tolist()}, wanted places below 2**31 of {len(x)} images")
    ends = np.trunc(places + np.copysign(0.5, places)).astype(np.int64)
    call.claim((2, sum(grid)), np.int64, copies=8)
    call.claim((x.shape[1], x.shape[2] + 1, x.shape[3]), x.dtype, passes=4 * count)
    call.claim((x.shape[1], grid[0], x.shape[3] + 1), x.dtype, copies=2, passes=4 * count * (1 + grid[0]))
    call.claim((x.shape[1], *grid), x.dtype, copies=2)
    call.budget.spend(2 * STEP * count)
    for image, (left, top, right, bottom), result in zip(images.astype(int), ends, found, strict=True):
        part, inside = x[image], np.ones((), np.bool_)
        for axis, (first, last) in enumerate(((top, bottom), (left, right)), 1):
            cell = max(last - first + 1, 1) / grid[axis - 1]
            steps, length = np.arange(grid[axis - 1]), x.shape[axis + 1]
            low = np.clip(np.floor(steps * cell).astype(np.int64) + first, 0, length)
            high = np.clip(np.ceil((steps + 1) * cell).astype(np.int64) + first, 0, length)
            around = [(0, int(axis == place)) for place in range(3)]  # since an end may be that of the axis
            padded = np.pad(part, around, constant_values=-np.inf)
            part = np.maximum.reduceat(padded, np.stack([low, high], axis=1).reshape(-1), axis)
            part = part[:, ::2] if axis == 1 else part[:, :, ::2]
            inside = inside[..., None] & (low < high)
        result[...] = np.where(inside, part, 0)
    return found
