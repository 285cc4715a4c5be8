"""Take the pictures of the playground from the running program: python docs/screenshots.py [FOLDER].

Wants the extra `playground`, Playwright and a Chromium; FOLDER is this one if left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

OPTIONS = ["--no-sandbox", "--in-process-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
#: A three, as points of the pad's 280 x 280.
THREE = [
    (88, 82),
    (120, 60),
    (165, 62),
    (190, 92),
    (172, 126),
    (132, 142),
    (178, 158),
    (196, 198),
    (158, 230),
]
THREE += [(104, 224), (86, 204)]


def draw(page: Page) -> None:
    """Draw the three."""
    box = page.locator("#pad").bounding_box() or {}
    places = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["width"] / 280) for x, y in THREE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1500)


def inspect(page: Page) -> None:
    """Draw the three, and ask of what a cell of the second convolution was made."""
    draw(page)
    canvas = page.locator("#layers canvas").nth(4)
    canvas.evaluate("canvas => scrollTo(0, canvas.getBoundingClientRect().top + scrollY - 150)")
    canvas.click(position={"x": 40, "y": 35})
    page.wait_for_timeout(800)


def train(page: Page) -> None:
    """Train on the spiral until it is learnt, and walk a step of the chain rule."""
    page.click("#tab-train")
    page.check("input[value=spiral]", force=True)
    page.click("#begin")
    page.wait_for_selector("#run:not([disabled])")
    page.click("#run")
    page.wait_for_timeout(9000)
    page.click("#run")
    page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 0)")


def main() -> None:
    """Serve, look, and keep what is seen."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    command = [sys.executable, "-m", "purecnn", "playground", "--port", "0", "--no-browser"]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        browser = driver.chromium.launch(executable_path=chromium, args=OPTIONS)
        for name, act, height in (("draw", draw, 1000), ("cell", inspect, 800), ("train", train, 860)):
            page = browser.new_page(viewport={"width": 1180, "height": height})
            page.goto(address)
            page.wait_for_selector("#layers .layer canvas")
            act(page)
            path = folder / f"playground-{name}.png"
            page.screenshot(path=path)
            print(path)
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
