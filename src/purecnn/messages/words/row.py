"""A row of the vocabulary: one thing by its names.

What the tables of words are made of.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One thing by its names.

    Parameters
    ----------
    here : str
        Its name in this package; empty where it has none.
    keras, torch : str
        Its names there, with spaces between; the first is the usual one. scikit-learn's stand among Keras's.
    note : str
        What to write, or what differs: the end of a sentence.
    """

    here: str
    keras: str = ""
    torch: str = ""
    note: str = ""

    @property
    def elsewhere(self) -> list[str]:
        """All names that are not the one here."""
        return [name for name in f"{self.keras} {self.torch}".split() if name != self.here]
