"""The pictures of the playground, taken from the running program."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from docs.tools.pad import draw


def three(page: Any) -> None:
    """Draw a three."""
    draw(page, steps=8)
    page.wait_for_timeout(1500)


def inspect(page: Any) -> None:
    """Draw the three, and ask of what a cell of the second convolution was made."""
    three(page)
    canvas = page.locator("#layers .pickable").nth(4)
    canvas.evaluate("canvas => scrollTo(0, canvas.getBoundingClientRect().top + scrollY - 150)")
    canvas.click(position={"x": 40, "y": 35})
    page.wait_for_timeout(800)


def train(page: Any) -> None:
    """Train on the spiral until it is learnt."""
    page.click("#tab-train")
    page.wait_for_selector("#run:not([disabled])")
    page.check("input[value=spiral]", force=True)
    page.wait_for_selector("#run:not([disabled])")
    page.click("#run")
    page.wait_for_timeout(9000)
    page.click("#run")
    page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 0)")


#: Widths and heights of windows, of a desk and of a telephone, in which the page is looked at.
WINDOWS = ((1280, 1000), (390, 1000))


def taken(browser: Any, act: Callable[[Any], None], height: int) -> Image.Image:
    """Return what the page shows after somebody did something with it."""
    with served() as address:
        return shown(browser, address, act, {"width": 1180, "height": height})


def views(browser: Any, act: Callable[[Any], None]) -> Image.Image:
    """Return what the page shows in windows of a desk and of a telephone, in the light and in the dark."""
    with served() as address:
        every = [
            shown(browser, address, act, {"width": width, "height": height}, scheme)
            for width, height in WINDOWS
            for scheme in ("light", "dark")
        ]
    gap = 20
    size = sum(one.width for one in every) + gap * (len(every) - 1), every[0].height
    together = Image.new("RGB", size, "#888")
    left = 0
    for one in every:
        together.paste(one, (left, 0))
        left += one.width + gap
    together.thumbnail((2000, 1000))
    return together


@contextmanager
def served() -> Iterator[str]:
    """Run the playground, and yield its address."""
    command = [sys.executable, "-m", "purecnn", "playground", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise RuntimeError("the playground says nothing")
        try:
            yield server.stdout.readline().split()[0]
        finally:
            server.terminate()


def shown(
    browser: Any, address: str, act: Callable[[Any], None], window: dict[str, int], scheme: str = "light"
) -> Image.Image:
    """Return what a page shows after somebody did something with it."""
    page = browser.new_page(viewport=window, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector("#layers .layer canvas")
    act(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture
