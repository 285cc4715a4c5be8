"""Tables for a notebook or a page: plain HTML, every word of it escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from purecnn.escapes import visible


def html_table(
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    left: int = 1,
    totals: int = 0,
    caption: str = "",
) -> str:
    """Return a table in HTML.

    Parameters
    ----------
    head : sequence
        The columns' names.
    rows : sequence of sequence
        What stands below them.
    left : int
        Columns of words, which stand to the left; those behind them, of numbers, to the right.
    totals : int
        Rows at the end that sum up.
    caption : str
        What the table shows.

    Examples
    --------
    >>> "&lt;ant&gt;" in html_table(["class", "samples"], [["<ant>", 2]])
    True
    """

    def line(cells: Sequence[object]) -> str:
        found = []
        for place, cell in enumerate(cells):
            side = "left" if place < left else "right"
            # spaces in front tell of what is inside another; a table would swallow them
            text = html.escape(visible(str(cell), lines=True)).replace("  ", "&nbsp;&nbsp;")
            found.append(
                f'<td style="text-align:{side}">{text}</td>'
                if place
                else f'<th scope="row" style="text-align:{side};font-weight:normal">{text}</th>'
            )
        return f"<tr>{''.join(found)}</tr>"

    sides = ["left" if place < left else "right" for place in range(len(head))]
    heads = "".join(
        f'<th scope="col" style="text-align:{side}">{html.escape(visible(str(cell), lines=True))}</th>'
        for side, cell in zip(sides, head, strict=True)
    )
    body, foot = list(rows[: len(rows) - totals]), list(rows[len(rows) - totals :])
    return "\n".join(
        [
            "<table>",
            *([f"<caption>{html.escape(visible(caption))}</caption>"] if caption else []),
            f"<thead><tr>{heads}</tr></thead>",
            *["<tbody>", *map(line, body), "</tbody>"],
            *(["<tfoot>", *map(line, foot), "</tfoot>"] if foot else []),
            "</table>",
        ]
    )
