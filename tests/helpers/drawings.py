"""What people draw, made by numbers: digits larger, smaller, thicker and off centre, and what is no digit."""

from __future__ import annotations

import numpy as np

from purecnn.datasets.resampling import resample

SIDE = 140


def drawn(digit, rng):
    """Return a digit of 28 x 28 on a pad of SIDE x SIDE: scaled, thickened and shifted at random."""
    size = int(28 * rng.uniform(2.0, 4.6))
    pad = np.zeros((SIDE, SIDE), np.float32)
    free = SIDE - size
    top, left = np.clip(free // 2 + rng.integers(-30, 31, 2), 0, free)
    pad[top : top + size, left : left + size] = resample(digit.astype(np.float32), size, size)
    for _ in range(rng.integers(0, 4)):
        around = np.pad(pad, 1)
        pad = np.max([around[i : i + SIDE, j : j + SIDE] for i in range(3) for j in range(3)], axis=0)
    return np.clip(pad, 0, 255).astype(np.uint8)


def stroke(pad, rng, steps, bend, width=4):
    """Draw a line that bends at random."""
    place, way = rng.uniform(30, SIDE - 30, 2), rng.normal(size=2)
    for _ in range(steps):
        way = 0.9 * way + bend * rng.normal(size=2)
        place = np.clip(place + 1.5 * way, 8, SIDE - 9)
        y, x = place.astype(int)
        pad[y - width : y + width, x - width : x + width] = 255


def scribble(rng):
    """Return a pad with many strokes across each other, a grid, or noise."""
    pad = np.zeros((SIDE, SIDE), np.uint8)
    kind = rng.integers(0, 4)
    if kind == 0:
        stroke(pad, rng, 500, 0.8)
    elif kind == 1:
        for _ in range(6):
            stroke(pad, rng, 60, 0.3)
    elif kind == 2:
        for line in rng.integers(15, SIDE - 15, 4):
            pad[line - 2 : line + 2, 10:-10] = 255
        for line in rng.integers(15, SIDE - 15, 4):
            pad[10:-10, line - 2 : line + 2] = 255
    else:
        pad[rng.random(pad.shape) < 0.15] = 255
    return pad
