"""Visible text: escape sequences in place of the characters that a terminal obeys or that can't be seen.

Class names, records and file names come from files of others, and a terminal does what they say: it changes
colours and titles, moves back over what was printed, writes from right to left.
"""

from __future__ import annotations


def visible(text: str, lines: bool = False) -> str:
    r"""Return a text whose characters all print as themselves, the others as ``repr`` writes them.

    Those are control characters, marks of direction and of no width, spaces other than the usual one, and
    what is no character of Unicode.

    Parameters
    ----------
    text : str
        From anywhere.
    lines : bool
        Whether line ends and tabs stay, where a text has several lines.

    Examples
    --------
    >>> print(visible("caf\u00e9 \x1b[31mred\n"))
    café \x1b[31mred\n
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        letter
        if letter.isprintable() or letter in kept
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )
