"""How Sphinx makes the pages in build/docs: `make docs`."""

import gc
import sys
from pathlib import Path

import purecnn

# pages are trees of nodes that live long: looking for unused ones again and again takes a tenth of the time
gc.set_threshold(100_000, 20, 100)
sys.path.insert(0, str(Path(__file__).parent / "tools" / "extensions"))

project = "purecnn"
author = copyright = "purecnn developers"
release = purecnn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
    "live",
    "mathml",
    "names",
    "navigation",
    "sources",
    "templates",
]
exclude_patterns = ["tools"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
copybutton_prompt_text = "$ "

autodoc_default_options = {"members": True, "member-order": "bysource"}
# each docstring says what its arguments are, shapes included
autodoc_typehints = "none"
autosummary_generate = False
numpydoc_show_class_members = False
add_module_names = False
# what docstrings put between single backticks
default_role = "py:obj"

html_theme = "furo"
html_title = f"purecnn {release}"
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_static_path = ["tools/static"]
html_css_files = ["figures.css", "formulas.css"]
html_js_files = [("sidebar.js", {"defer": "defer"})]
html_favicon = "../src/purecnn/playground/static/icon.svg"
