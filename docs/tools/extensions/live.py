"""Live figures in the course, links to the playground's page, and beside the documents what both need.

A live figure is a still picture that a script may replace. What both need is the playground's static site,
written once into `_static/playground` if Pyodide's folder is there; or one that lies elsewhere, where
PURECNN_SITE says, as seen from the documents' first page.
"""

import os
import posixpath
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from purecnn.playground import write_site
from purecnn.playground.figures.table import FIGURES

ROOT = Path(__file__).resolve().parents[3]
#: Where Pyodide's files lie, as for `make site`.
PYODIDE = Path(os.environ.get("PURECNN_PYODIDE", ROOT.parent / "shared" / "pyodide"))
#: Where the site lies that is written here, and where the first page lies as seen from there.
WRITTEN, PAGES = "_static/playground", "../../"
FOLDER = "course/"
#: The document that tells of the playground, and the tabs of the page, with which its addresses begin.
TOLD, TABS = "playground", ("draw", "train")


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


class PageLinks(SphinxTransform):
    """Lead a link to `playground.md#train?...` to the page itself, opened there, where there is one.

    Without a page it leads to the document, as on GitHub.
    """

    default_priority = 400  # before other links that leave the documents are led elsewhere

    def apply(self):
        """Take the place of what MyST makes of such links."""
        site, here = self.config.live_site, posixpath.dirname(self.env.docname)
        for node in list(self.document.findall(addnodes.pending_xref)):
            opened = node.get("reftargetid") or ""
            if node.get("reftarget") != TOLD or opened.partition("?")[0] not in TABS:
                continue
            if site:
                uri = posixpath.relpath(f"{site}/index.html", here or ".")
                place = {"refuri": f"{uri}#{opened}", "internal": True}
                node.replace_self(nodes.reference("", "", *node.children, **place))
            else:
                node["reftargetid"] = None


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
    """Add all of it; pages are read and written anew once the site lies elsewhere."""
    app.add_config_value("live_site", site_address(), "env")
    app.add_transform(PageLinks)
    app.connect("builder-inited", write_runtime)
    app.connect("doctree-resolved", name_pictures)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
