"""Formulas as MathML, which browsers draw by themselves: no script, and nothing to fetch."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def visit_inline(writer, node):
    """Write a formula that stands in a line."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def visit_block(writer, node):
    """Write a formula that stands by itself."""
    writer.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise SkipNode


def setup(app):
    """Let `html_math_renderer = "mathml"` show formulas so."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
