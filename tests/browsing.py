"""A real browser for the tests of pages: Debian's or anybody's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
ARGUMENTS = [
    "--no-sandbox",
    *("--in-process-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser():
    """Give a browser; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium, for one")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(browser, address, **how):
    """Give a page that must stay on this machine, complain of nothing and raise nothing."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    page = context.new_page()
    page.set_default_timeout(40_000)
    wrong = []
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(f"{m.type}: {m.text}"))
    page.on("pageerror", lambda error: wrong.append(f"raised: {error}"))
    page.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or wrong.append(r.url))
    page.wrong = wrong
    try:
        page.goto(address)
        yield page
        assert wrong == []
    finally:
        context.close()
