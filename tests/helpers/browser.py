"""A browser that looks at pages, and notes all that they say and ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import docs.tools.chromium
from helpers.waiting import PATIENCE


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a browser, or skip the test where there is none."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if docs.tools.chromium.CHROMIUM is None:
        pytest.skip("no Chromium was found: on Debian, apt-get install chromium")
    with docs.tools.chromium.chromium() as found:
        yield found


class Visit:
    """A page that is open, with all that its console says and all that it asks a network for."""

    def __init__(self, browser: Any, path: Any, width: int = 1200, scheme: str = "light") -> None:
        size = {"width": width, "height": 844}
        self.page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        self.page.set_default_timeout(1000 * PATIENCE)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on(
            "dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        self.page.on("request", self.note)
        self.address = f"file://{path}"
        self.page.goto(self.address)

    def note(self, request: Any) -> None:
        """Keep what is asked of a network."""
        if request.url != self.address and not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)

    def width(self) -> int:
        """Return how wide the page is, whatever the window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth")
        return found
