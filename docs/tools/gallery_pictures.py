"""Make the pictures of the gallery by running its lines: python -m docs.tools.gallery_pictures [NAME ...]."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docs.tools.chromium import chromium, figure_shot

PAGE = Path(__file__).parents[1] / "gallery.md"
FOLDER = PAGE.parent / "gallery"
ENTRY = re.compile(r"!\[[^\]]+\]\(gallery/([\w-]+)\.png\)\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def entries() -> dict[str, str]:
    """Return the lines below each picture, which leave it as `figure`, by the picture's name."""
    return dict(ENTRY.findall(PAGE.read_text(encoding="utf-8")))


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    found = entries()
    with chromium() as browser:
        for name in sys.argv[1:] or found:
            held: dict[str, Any] = {}
            exec(compile(found[name], f"{PAGE}, {name}", "exec"), held)
            path = FOLDER / f"{name}.png"
            path.write_bytes(figure_shot(browser, held["figure"]))
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
