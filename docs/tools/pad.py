"""Drawing on the playground's pad, as a person with a mouse does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: A three, as points of the pad's 280 x 280.
THREE = [
    *((90, 80), (150, 60), (190, 90), (170, 130), (130, 145)),
    *((175, 160), (195, 200), (150, 230), (90, 215)),
]


def draw(page: Any, points: Sequence[Sequence[float]] = THREE, steps: int = 2) -> None:
    """Draw a line through points, in so many moves, a frame each, from each on."""
    box = page.locator("#pad").bounding_box()
    scale = box["width"] / 280
    places = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=steps)
    page.mouse.up()
