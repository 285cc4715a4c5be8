"""Make the pictures in README.md from what the programs write: python -m docs.tools.readme_pictures."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from docs.tools import playground_pictures as playground
from docs.tools.chromium import chromium, settled

ROOT = Path(__file__).parents[2]


def xor(browser: Any, folder: Path) -> Image.Image:
    """Return the page that examples/xor.py writes."""
    path = folder / "xor.html"
    run(str(ROOT / "examples/xor.py"), "--page", str(path))
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    settled(page, path, "#figure canvas")
    return shot(page)


def report(browser: Any, folder: Path) -> Image.Image:
    """Return the report of purecnn train: its beginning, beside what each layer makes of it in the dark."""
    run("-m", "purecnn", "train", "--output", str(folder / "lenet-0"))
    sides = []
    for scheme, place in (("light", "body"), ("dark", "#maps")):
        page = browser.new_page(viewport={"width": 860, "height": 1040}, color_scheme=scheme)
        settled(page, folder / "lenet-0" / "report.html", "#chart-time .main-svg")
        page.evaluate("place => document.querySelector(place).scrollIntoView({behavior: 'instant'})", place)
        page.wait_for_timeout(300)
        sides.append(shot(page))
    both = Image.new("RGB", (sum(side.width for side in sides), sides[0].height))
    for side, left in zip(sides, (0, sides[0].width), strict=True):
        both.paste(side, (left, 0))
    return both


def shot(page: Any) -> Image.Image:
    """Return what a page shows."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def run(*arguments: str) -> None:
    """Run Python."""
    subprocess.run([sys.executable, *arguments], check=True)


PICTURES: dict[str, Callable[[Any, Path], Image.Image]] = {
    "xor": xor,
    "report": report,
    "playground-draw": lambda browser, _: playground.taken(browser, playground.three, 1000),
    "playground-cell": lambda browser, _: playground.taken(browser, playground.inspect, 800),
    "playground-train": lambda browser, _: playground.taken(browser, playground.train, 860),
    "playground-draw-views": lambda browser, _: playground.views(browser, playground.three),
    "playground-train-views": lambda browser, _: playground.views(browser, playground.train),
}


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for name in sys.argv[1:] or PICTURES:
            path = ROOT / "docs" / f"{name}.png"
            PICTURES[name](browser, Path(folder)).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
