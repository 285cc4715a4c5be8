"""Live figures in the course: still pictures that a script may replace, and beside the pages what it runs.

That is the playground's static site, written once into `_static/playground`, if Pyodide's folder is there.
"""

import os
from pathlib import Path

from docutils import nodes

from purecnn.playground import write_site
from purecnn.playground.figures.table import FIGURES

ROOT = Path(__file__).resolve().parents[3]
#: Where Pyodide's files lie, as for `make site`.
PYODIDE = Path(os.environ.get("PURECNN_PYODIDE", ROOT.parent / "shared" / "pyodide"))
FOLDER = "course/"
#: Where the site lies in the built pages, and where these lie seen from there.
SITE, PAGES = Path("_static", "playground"), "../../"


def is_newer(manifest):
    """Return whether a written site is newer than all that it was made of."""
    made_of = (*(ROOT / "src").rglob("*"), *PYODIDE.iterdir())
    return manifest.is_file() and manifest.stat().st_mtime > max(path.stat().st_mtime for path in made_of)


def write_runtime(app):
    """Write what the live figures run, or say that they stay still."""
    app.live_figures = app.builder.format == "html" and (PYODIDE / "pyodide.mjs").is_file()
    if app.builder.format == "html" and not app.live_figures:
        print(f"The figures of the course stay still: there is no Pyodide in {PYODIDE} (PURECNN_PYODIDE)")
    if app.live_figures and not is_newer(app.outdir / SITE / "site.json"):
        write_site(app.outdir / SITE, pyodide=PYODIDE)


def name_pictures(app, doctree, docname):
    """Give the course's pictures that may be live a name that the script finds, and links too."""
    for node in doctree.findall(nodes.image):
        name = Path(node["uri"]).stem
        if docname.startswith(FOLDER) and name in FIGURES:
            node["ids"].append(f"figure-{name}")
            node["classes"].append("live-figure")


def add_script(app, pagename, templatename, context, doctree):
    """Let a page with such a picture load the script."""
    if (
        app.live_figures
        and doctree
        and any("live-figure" in node["classes"] for node in doctree.findall(nodes.image))
    ):
        app.add_js_file("playground/figures.js", loading_method="defer")


def setup(app):
    """Add all three."""
    app.connect("builder-inited", write_runtime)
    app.connect("doctree-resolved", name_pictures)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
