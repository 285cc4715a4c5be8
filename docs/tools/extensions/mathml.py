"""Formulas as MathML, which browsers draw by themselves: no script, and nothing to fetch but a font."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

#: A function's name, such as ln, wants room between it and a number or letter beside it; a minus sign behind
#: an equals sign wants none. To a browser, a name is one more letter, and each minus sign stands between two
#: numbers.
BEFORE = re.compile(r"(</m(?:i|n|sub|sup)>)(?=<mi>[a-z]{2,}</mi>)")
BEHIND = re.compile(r"(<mi>[a-z]{2,}</mi>)(?=<m(?:i|n|sub|sup)>)")
#: A bar over letters is a low line, which the font has and browsers stretch; the converter writes a dash.
BAR = "&#x02015;", "_"
MINUS = re.compile(r"(<mo>&#x0003D;</mo><mo)(?=>&#x02212;)")


def written(formula, **options):
    """Return a formula of TeX's as MathML, spaced as TeX would space it."""
    found = convert(formula, **options)
    for beside in (BEFORE, BEHIND):
        found = beside.sub(r'\1<mspace width="0.1667em"/>', found)
    return MINUS.sub(r'\1 form="prefix"', found.replace(*BAR))


def visit_inline(writer, node):
    """Write a formula that stands in a line."""
    writer.body.append(written(node.astext()))
    raise SkipNode


def visit_block(writer, node):
    """Write a formula that stands by itself."""
    writer.body.append(f'<div class="math">{written(node.astext(), display="block")}</div>')
    raise SkipNode


def setup(app):
    """Let `html_math_renderer = "mathml"` show formulas so."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
