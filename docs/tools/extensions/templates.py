"""One template for all docstrings, compiled once.

numpydoc compiles it for each of 2,200 of them: a seventh of a build's time.
"""

from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx


def setup(app):
    """Let numpydoc keep the environment that its template is compiled in: its loaders are all alike."""
    kept = []

    def environment(loader):
        kept[:] = kept or [SandboxedEnvironment(loader=loader)]
        return kept[0]

    docscrape_sphinx.SandboxedEnvironment = environment
    return {"parallel_read_safe": True, "parallel_write_safe": True}
