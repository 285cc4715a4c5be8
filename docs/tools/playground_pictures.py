"""The pictures of the playground, taken from the running program."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
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


def taken(browser: Any, act: Callable[[Any], None], height: int) -> Image.Image:
    """Return what the page shows after somebody did something with it."""
    command = [sys.executable, "-m", "purecnn", "playground", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise RuntimeError("the playground says nothing")
        try:
            page = browser.new_page(viewport={"width": 1180, "height": height})
            page.goto(server.stdout.readline().split()[0])
            page.wait_for_selector("#layers .layer canvas")
            act(page)
            return Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        finally:
            server.terminate()
