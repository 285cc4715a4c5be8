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


class Window:
    """A page that is kept open, with all that its console says and all that it asks a network for.

    One for all tests of a file: a context of its own for each look starts three processes, a second of the
    processor.
    """

    def __init__(self, browser: Any, **how: Any) -> None:
        self.page = browser.new_page(**how)
        self.page.set_default_timeout(1000 * PATIENCE)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.address, self.opens = "", False
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"raised: {error}"))
        self.page.on(
            "dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        self.page.on("request", self.note)
        self.page.on("framenavigated", self.begin)

    def note(self, request: Any) -> None:
        """Keep what is asked of a network."""
        if request.url != self.address and not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)

    def begin(self, frame: Any) -> None:
        """Forget what the page before has said and asked, once it has gone."""
        if self.opens and frame == self.page.main_frame:
            self.opens = False
            self.said.clear()
            self.asked.clear()

    def open(
        self, address: str, width: int = 1200, height: int = 844, scheme: str = "light", still: bool = True
    ) -> Any:
        """Open an address as if nothing had been open; return the page."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.mouse.up()
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size({"width": width, "height": height})
        motion = "reduce" if still else "no-preference"
        self.page.emulate_media(media="screen", color_scheme=scheme, reduced_motion=motion)
        self.address, self.opens = address, True
        self.page.goto(address)
        return self.page

    def width(self) -> int:
        """Return how wide the page is, whatever the window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth")
        return found
