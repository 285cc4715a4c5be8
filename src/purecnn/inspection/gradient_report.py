"""The report of a gradient check.

What a check of gradients finds: a row for each array, and the table of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from purecnn.errors import GradientError


@dataclass(frozen=True)
class GradientRow:
    """How far one gradient is from the differences.

    Attributes
    ----------
    name : str
        Derivative by what: "input", or a parameter, in a network with its layer before it.
    error : float
        The largest relative error found; infinite where a derivative is no number.
    how : str
        What was compared.
    """

    name: str
    error: float
    how: str


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found, a row for each gradient.

    Attributes
    ----------
    rows : tuple of GradientRow
        The input's first, then the parameters' in the order of the layers.
    tolerance : float
        The largest relative error that counts as right.

    Examples
    --------
    >>> report = GradientReport((GradientRow("weights", 2e-3, "3 projections"),), tolerance=1e-6)
    >>> report.ok, report.worst.name
    (False, 'weights')
    """

    rows: tuple[GradientRow, ...]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return self.worst.error <= self.tolerance

    @property
    def worst(self) -> GradientRow:
        """The row with the largest error."""
        return max(self.rows, key=lambda row: row.error)

    def raise_if_wrong(self) -> Self:
        """Return this report if every gradient is right.

        Raises
        ------
        GradientError
            With the table of this report, if one is wrong; it is an ``AssertionError`` too.
        """
        if not self.ok:
            raise GradientError(
                f"the derivative by {self.worst.name} is off by {self.worst.error:.1e}, "
                f"at most {self.tolerance:.0e} is wanted\n{self}"
            )
        return self

    def __str__(self) -> str:
        width = max(len("derivative by"), *(len(row.name) for row in self.rows))
        wide = max(len("compared"), *(len(row.how) for row in self.rows))
        lines = [f"{'derivative by':{width}}  relative error  {'compared':{wide}}"]
        for row in self.rows:
            verdict = "right" if row.error <= self.tolerance else "WRONG"
            lines.append(f"{row.name:{width}}  {row.error:14.1e}  {row.how:{wide}}  {verdict}")
        return "\n".join(lines)
