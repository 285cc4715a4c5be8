"""A Chromium to look at pages with, driven by Playwright: for the pictures, the notebook and the tests."""

from __future__ import annotations

import shutil
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
