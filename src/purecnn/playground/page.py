"""The files of the page, by name."""

from __future__ import annotations

from importlib.resources import files

#: What lies in ``static``, and of what kind each file is.
PAGE = {
    "index.html": "text/html",
    "style.css": "text/css",
    "answer.js": "text/javascript",
    "carrier.js": "text/javascript",
    "chain.js": "text/javascript",
    "charts.js": "text/javascript",
    "python.js": "text/javascript",
    "common.js": "text/javascript",
    "draw.js": "text/javascript",
    "graph.js": "text/javascript",
    "inspect.js": "text/javascript",
    "layers.js": "text/javascript",
    "maps.js": "text/javascript",
    "networks.js": "text/javascript",
    "plan.js": "text/javascript",
    "train.js": "text/javascript",
    "windows.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
#: What a site has beside these: the worker that runs Python within a browser, where there is no server, and
#: the script of the course's live figures.
SITE = ("worker.js", "figures.js")


def read_page(name: str) -> bytes:
    """Return one of the page's files."""
    return (files("purecnn.playground") / "static" / name).read_bytes()
