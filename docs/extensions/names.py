"""The reference from lists of names, and the way from a name in a text to what the reference says of it."""

import inspect
from importlib import import_module

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from purecnn import Callback, Layer, Optimizer

#: Classes that say for all that derive from them what their methods do; but these are each one's own.
BASES = (Callback, Layer, Optimizer)
TOLD = {"forward", "backward", "change"}
#: Classes whose members need no telling.
STOPS = ("ElementWise", "BaseException", "Protocol", "Sequence")


def found(name):
    """Return what a dotted name below `purecnn` is."""
    thing = import_module("purecnn")
    for part in name.split("."):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            thing = import_module(f"{thing.__name__}.{part}")
    return thing


def kind(thing):
    """Return which of autodoc's directives documents a thing."""
    if inspect.ismodule(thing):
        return "module"
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, Exception) else "class"
    return "function" if callable(thing) else "data"


def options(thing):
    """Return autodoc's options for a thing: a kind of layer, say, tells what no other layer has."""
    if not inspect.isclass(thing):
        return []
    base = next((base for base in BASES if issubclass(thing, base) and thing is not base), object)
    known = sorted({name for name in dir(base) if not name.startswith("_")} - TOLD)
    lines = [f"   :inherited-members: {', '.join([base.__name__, *STOPS])}"]
    return lines + ([f"   :exclude-members: {', '.join(known)}"] if known else [])


class Names(SphinxDirective):
    """A table of names, one a line below `purecnn`, each with its first sentence; then all about each."""

    has_content = True

    def run(self):
        """Write what autosummary and autodoc read."""
        names = [line.strip() for line in self.content if line.strip()]
        lines = [".. autosummary::", "   :nosignatures:", "", *(f"   ~purecnn.{name}" for name in names), ""]
        for name in names:
            thing = found(name)
            lines += [f".. auto{kind(thing)}:: purecnn.{name}", *options(thing), ""]
        place = self.env.doc2path(self.env.docname), self.lineno
        return self.parse_text_to_nodes(StringList(lines, items=[place] * len(lines)))


def target(env, text):
    """Return the page and the anchor that explain a name as texts write it, or None."""
    objects = env.domains["py"].objects
    parts = text.removesuffix("()").removeprefix("purecnn.").split(".")
    # losses.smoothed is exported as smoothed, Network.fit as it is, and metrics.f1 below its module
    for first in range(len(parts)):
        entry = objects.get(".".join(["purecnn", *parts[first:]]))
        if entry is not None and (first == 0 or len(parts) - first == 1):
            return entry.docname, entry.node_id
    return None


def link_names(app, doctree, docname):
    """Make links of the names that stand in a text as code."""
    for node in list(doctree.findall(nodes.literal)):
        inside = node.parent
        while inside is not None and not isinstance(inside, nodes.reference | nodes.title):
            inside = inside.parent
        place = target(app.env, node.astext()) if inside is None else None
        if place is not None:
            link = make_refnode(app.builder, docname, *place, [node.deepcopy()])
            node.parent.replace(node, link)


def link_words(app, env, node, contnode):
    """Resolve what docstrings put between single backticks; it may be an argument, which has no place."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    place = target(env, node["reftarget"])
    return contnode if place is None else make_refnode(app.builder, node["refdoc"], *place, [contnode])


def setup(app):
    """Add the directive and both kinds of links."""
    app.add_directive("names", Names)
    app.connect("doctree-resolved", link_names)
    app.connect("missing-reference", link_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
