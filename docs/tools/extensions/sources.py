"""Links that leave the documents, which lead to files on GitHub, lead here to pages with their source."""

import os
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.viewcode import OUTPUT_DIRNAME
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS, SOURCES = ROOT / "docs", ROOT / "src"


class OutwardLinks(SphinxTransform):
    """Lead a link to a module to viewcode's page of it, to another file to a copy, to a folder nowhere.

    A link whose text is a function or class of its module, such as `kernels.pad` for kernels.py, leads to the
    place where it is defined.
    """

    default_priority = 500

    def apply(self):
        """Take the place of what MyST makes of such links."""
        page = Path(self.env.doc2path(self.env.docname))
        for node in list(self.document.findall(is_link)):
            suffix = ".md" if node["refdomain"] == "doc" else ""
            file = Path(os.path.normpath(page.parent / (node["reftarget"] + suffix)))
            if DOCUMENTS in file.parents or not file.exists():
                continue
            if file.is_dir():
                node.replace_self(node.children)
            elif file.suffix == ".py" and SOURCES in file.parents:
                uri = self.place(".".join(file.relative_to(SOURCES).with_suffix("").parts), node.astext())
                node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))
            elif suffix:
                path = os.path.relpath(file, page.parent)
                node.replace_self(addnodes.download_reference("", "", *node.children, reftarget=path))

    def place(self, module, text):
        """Have viewcode write a module's page, and return where in it a link of this text leads."""
        held = self.env.__dict__.setdefault("_viewcode_modules", {})
        if module not in held:
            analyzer = ModuleAnalyzer.for_module(module)
            analyzer.find_tags()
            held[module] = analyzer.code, analyzer.tags, {}, module
        _, tags, used, _ = held[module]
        path = f"{OUTPUT_DIRNAME}/{module.replace('.', '/')}"
        uri = self.env._app.builder.get_relative_uri(self.env.docname, path)
        name = text.removeprefix(f"{module.rpartition('.')[2]}.")
        if name not in tags:
            return uri
        used.setdefault(name, self.env.docname)
        return f"{uri}#{name}"


def is_link(node):
    """Return whether MyST made this node of a link."""
    links = addnodes.pending_xref | addnodes.download_reference
    return isinstance(node, links) and node.get("reftype") == "myst"


def setup(app):
    """Add the links."""
    app.add_transform(OutwardLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
