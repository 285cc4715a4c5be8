"""The reference from lists of names, and the way from a name in a text to what the reference says of it."""

import functools
import inspect
from collections import defaultdict
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
    known = {name for name in dir(base) if not name.startswith("_")} - TOLD
    # what scikit-learn gives is told by scikit-learn
    own = {name for kind in thing.__mro__ if kind.__module__.startswith("purecnn") for name in vars(kind)}
    others = {name for kind in thing.__mro__ if kind.__module__.startswith("sklearn") for name in vars(kind)}
    known |= {name for name in others - own if not name.startswith("_")}
    known |= {name for name in own if name.startswith("set_") and name.endswith("_request")}
    lines = [f"   :inherited-members: {', '.join([base.__name__, *STOPS])}"]
    return lines + ([f"   :exclude-members: {', '.join(sorted(known))}"] if known else [])


def border(package):
    """Return the public names of a package but for the modules in it, as dotted names below `purecnn`."""
    module = found(package)
    return [f"{package}.{name}" for name in module.__all__ if not inspect.ismodule(getattr(module, name))]


class Names(SphinxDirective):
    """A table of a package's public names, each with its first sentence; then all about each.

    ``:of:`` keeps those defined in a module below the package, ``:but:`` the others; names that stand
    in the content are told in its place.
    """

    optional_arguments = 1
    has_content = True
    option_spec = {"of": str, "but": str}  # noqa: RUF012 - as docutils has it

    def run(self):
        """Write what autosummary and autodoc read."""
        names = [line.strip() for line in self.content if line.strip()]
        if self.arguments:
            names = [name for name in border(self.arguments[0]) if self.is_wanted(found(name))]
        lines = [".. autosummary::", "   :nosignatures:", "", *(f"   ~purecnn.{name}" for name in names), ""]
        for name in names:
            thing = found(name)
            lines += [f".. auto{kind(thing)}:: purecnn.{name}", *options(thing), ""]
        place = self.env.doc2path(self.env.docname), self.lineno
        return self.parse_text_to_nodes(StringList(lines, items=[place] * len(lines)))

    def is_wanted(self, thing):
        """Return whether a thing is of the modules that the options name."""
        module = getattr(thing, "__module__", "")
        below = f"purecnn.{self.arguments[0]}."
        wanted, others = (self.options.get(name) for name in ("of", "but"))
        return (not wanted or module.startswith(below + wanted)) and (
            not others or not module.startswith(below + others)
        )


@functools.cache
def endings(env):
    """Return the full names of all things by each end of them: once, after all pages are read."""
    found = defaultdict(list)
    for full in env.domains["py"].objects:
        parts = full.split(".")
        for first in range(1, len(parts)):
            found[".".join(parts[first:])].append(full)
    return dict(found)


def target(env, text):
    """Return the page and the anchor that explain a name as texts write it, or None.

    The last parts are enough, as in ``Dense`` or ``Network.fit``, where they are one thing's alone.
    """
    objects = env.domains["py"].objects
    name = text.removesuffix("()").removeprefix("purecnn.")
    entry = objects.get(f"purecnn.{name}")
    if entry is None:
        ends = endings(env).get(name, [])
        if not ends and "." in name:  # what is called by its module is in the border of the package
            last = name.split(".")[-1]
            ends = [full for full in endings(env).get(last, []) if full.count(".") == 2]
        # autodoc also knows a thing by the module that defines it
        fewest = min((full.count(".") for full in ends), default=0)
        public = [full for full in ends if full.count(".") == fewest]
        entry = objects[public[0]] if len(public) == 1 else None
    return None if entry is None else (entry.docname, entry.node_id)


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
