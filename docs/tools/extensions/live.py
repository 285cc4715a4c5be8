"""Live figures in the course: still pictures that a script may replace, and beside the pages what it runs.

That is the playground's static site, written once into `_static/playground`, if Pyodide's folder is there; or
one that lies elsewhere already, where PURECNN_SITE says, as seen from the documents' first page.
"""

import os
import posixpath
from pathlib import Path

from docutils import nodes

from purecnn.playground import write_site
from purecnn.playground.figures.table import FIGURES

ROOT = Path(__file__).resolve().parents[3]
#: Where Pyodide's files lie, as for `make site`.
PYODIDE = Path(os.environ.get("PURECNN_PYODIDE", ROOT.parent / "shared" / "pyodide"))
#: Where the site lies that is written here, and where the first page lies as seen from there.
WRITTEN, PAGES = "_static/playground", "../../"
FOLDER = "course/"


def site_address():
    """Return where the site lies, as seen from the documents' first page; nothing where there is none."""
    elsewhere = os.environ.get("PURECNN_SITE", "")
    return elsewhere or (WRITTEN if (PYODIDE / "pyodide.mjs").is_file() else "")


def is_newer(manifest):
    """Return whether a written site is newer than all that it was made of."""
    sources = [path for path in (ROOT / "src").rglob("*.*") if "__pycache__" not in path.parts]
    newest = max(path.stat().st_mtime for path in (*sources, *PYODIDE.iterdir()))
    return manifest.is_file() and manifest.stat().st_mtime > newest


def write_runtime(app):
    """Write what the live figures run, or say that they stay still."""
    if app.builder.format != "html":
        return
    if not app.config.live_site:
        print(f"The figures of the course stay still: there is no Pyodide in {PYODIDE} (PURECNN_PYODIDE)")
    elif app.config.live_site == WRITTEN and not is_newer(app.outdir / WRITTEN / "site.json"):
        write_site(app.outdir / WRITTEN, pyodide=PYODIDE, documents=PAGES)


def name_pictures(app, doctree, docname):
    """Give the course's pictures that may be live a name, which the script and links find."""
    for node in doctree.findall(nodes.image):
        name = Path(node["uri"]).stem
        if docname.startswith(FOLDER) and name in FIGURES:
            node["ids"].append(f"figure-{name}")
            node["classes"].append("live-figure")


def add_script(app, pagename, templatename, context, doctree):
    """Let a page with such a picture load the script."""
    pictures = doctree.findall(nodes.image) if app.config.live_site and doctree else ()
    if any("live-figure" in node["classes"] for node in pictures):
        # which Sphinx looks for from `_static` on
        script = posixpath.relpath(f"{app.config.live_site}/figures.js", "_static")
        app.add_js_file(script, loading_method="defer")


def setup(app):
    """Add all three; pages are written anew once the site lies elsewhere."""
    app.add_config_value("live_site", site_address(), "html")
    app.connect("builder-inited", write_runtime)
    app.connect("doctree-resolved", name_pictures)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
