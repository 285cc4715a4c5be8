"""A Chromium to look at pages with, driven by Playwright: for the pictures, the notebook and the tests."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: As root, which has no sandbox; without a graphics card, whose own process may fail to begin. SwiftShader
#: draws WebGL alone: putting frames together by it took the browser's process three times as long.
OPTIONS = [
    *("--no-sandbox", "--hide-scrollbars"),
    *("--in-process-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    "--disable-gpu-compositing",
]
#: Of the picture of a chart: its width in pixels, and its colours.
WIDTH, COLORS = 760, 128


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise FileNotFoundError("no Chromium was found: on Debian, apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


def settled(page: Any, path: Path, ready: str) -> None:
    """Open a page, and wait until what `ready` selects is drawn."""
    page.goto(f"file://{path.resolve()}")
    page.wait_for_selector(ready)
    page.wait_for_timeout(800)


def figure_shot(browser: Any, figure: Any) -> bytes:
    """Return a chart of Plotly's as a small PNG: with its title, without what could be moved."""
    from purecnn.plots import write_page

    title, height = figure.layout.title.text or "", int(figure.layout.height or 520)
    top = figure.layout.margin.t or 14
    with tempfile.TemporaryDirectory() as folder:
        path = write_page(figure, Path(folder, "figure.html"), share=True)
        page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
        settled(page, path, "#figure .main-svg")
    page.add_style_tag(content="header { display: none } body { background: #fff !important }")
    page.evaluate(
        "([title, height, top]) => Plotly.relayout('figure', {'title.text': title, height,"
        " 'margin.t': top, sliders: [], updatemenus: []})",
        [title, height, top],
    )
    page.wait_for_timeout(500)
    shot = small(page.screenshot())
    page.close()
    return shot


def small(shot: bytes, colors: int = COLORS) -> bytes:
    """Return a picture of a page as a PNG of few colours, which is a third as large."""
    from PIL import Image

    kept = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(
        kept, "PNG", optimize=True
    )
    return kept.getvalue()
