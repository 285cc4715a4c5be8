"""The list of all pages beside each page, made of the pages' titles alone.

Sphinx copies for each page the contents of all others, with every name of the reference, and then drops what
is no title. Here that is dropped once; the lists stay the same, in a small part of the time.
"""

from functools import cache

from sphinx import addnodes


def titles(toc):
    """Return a copy of a page's contents with its title, and below it only the lists of other pages."""
    made = toc.deepcopy()
    for title in made.children:
        if len(title) > 1:
            below = list(title[1].findall(addnodes.toctree))
            if below:
                title[1][:] = below
            else:
                title.pop(1)
    return made


@cache
def all_titles(env):
    """Return the titles of all pages: once, after all pages are read."""
    return {page: titles(toc) for page, toc in env.tocs.items()}


def hand_over(app, pagename, templatename, context, doctree):
    """Let the theme's list of all pages be made of titles, where it wants no more than titles."""
    whole = context.get("toctree")
    if whole is None:
        return

    def toctree(**options):
        if not options.get("titles_only"):
            return whole(**options)
        tocs = app.env.tocs
        app.env.tocs = all_titles(app.env)
        try:
            return whole(**options)
        finally:
            app.env.tocs = tocs

    context["toctree"] = toctree


def setup(app):
    """Come before the theme, which asks for the list at the usual priority."""
    app.connect("html-page-context", hand_over, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
