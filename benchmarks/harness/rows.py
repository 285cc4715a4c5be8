"""A measured row: the figures of both sides, the number that is judged, its bar, and how it is written."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.worker import ROOT

RESULTS = ROOT / "benchmarks" / "results"
DISTURBED = 0.05  # a round in which other programs took more of the cores than this is measured anew


@dataclass
class Row:
    """One line of the table of results."""

    name: str
    work: str
    ours: str
    peer: str = ""
    figures: list[float] = field(default_factory=list)  # the judged number, one a round
    unit: str = "x"
    bar: float | None = None
    reach: float | None = None
    less_is_better: bool = False
    same: str = ""  # how it was shown that the programs compute the same thing
    differs: bool = False
    others: list[float] = field(default_factory=list)  # share of the cores that other programs took, by round
    measured: dict[str, list[float]] = field(default_factory=dict)  # seconds or MB, by program, one a round
    programs: dict[str, dict[str, Any]] = field(default_factory=dict)  # versions and settings, by program
    missing: list[str] = field(default_factory=list)  # peers that are not installed

    @property
    def figure(self) -> float | None:
        """The median of the judged number."""
        return statistics.median(self.figures) if self.figures else None

    def reaches(self, wanted: float | None) -> bool | None:
        """Whether the figure is as good as `wanted`; None if there is nothing to judge."""
        if wanted is None or self.figure is None:
            return None
        good = self.figure <= wanted if self.less_is_better else self.figure >= wanted
        return good and not self.differs

    def as_json(self) -> dict[str, Any]:
        """Every field, with the median and the verdict."""
        return {**asdict(self), "median": self.figure, "met": self.reaches(self.bar)}

    @property
    def disturbed(self) -> float:
        """The largest share of the cores that other programs took in a round."""
        return max(self.others, default=0.0)

    def cells(self) -> list[str]:
        """The row of the table."""
        verdict = {None: "", True: "yes", False: "no"}[self.reaches(self.bar)]
        if self.differs:
            verdict = "no: the programs differ"
        elif verdict == "yes" and self.reaches(self.reach):
            verdict = "yes, and reached"
        if verdict and self.missing:
            verdict += " (not all peers)"
        if self.disturbed > DISTURBED:
            verdict = f"{verdict} (others took up to {100 * self.disturbed:.0f} % of the cores)".strip()
        peer = self.peer
        if self.missing:
            absent = f"not installed: {'; '.join(self.missing)}"
            peer = f"{peer} ({absent})" if peer else absent
        return [
            *(self.work, self.ours, peer, number(self.figures, self.unit)),
            *(
                bound(self.bar, self.unit, self.less_is_better),
                bound(self.reach, self.unit, self.less_is_better),
            ),
            verdict,
        ]


HEADINGS = ["work", "purecnn", "peer", "ratio or figure (range)", "bar", "reach for", "met"]


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(values: Sequence[float], unit: str) -> str:
    """Median and range: "1.82x (1.75 to 1.90)"."""
    if not values:
        return ""
    middle, low, high = statistics.median(values), min(values), max(values)
    spread = f" ({short(low)} to {short(high)})" if len(values) > 1 else ""
    return f"{with_unit(middle, unit)}{spread}"


def bound(value: float | None, unit: str, less: bool) -> str:
    """A bar: "1.7x", or "at most 200 MB"."""
    if value is None:
        return ""
    return ("at most " if less else "") + with_unit(value, unit)


def with_unit(value: float, unit: str) -> str:
    return f"{short(value)}{unit if unit == 'x' else ' ' + unit}"


def short(value: float) -> str:
    """Three figures or so: 0.612, 1.82, 18.2, 182, 18,234."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def duration(seconds: Sequence[float]) -> str:
    """Median and range of times, in the unit that suits: "4.52 ms (4.41 to 4.60)"."""
    middle = statistics.median(seconds)
    scale, unit = (1e6, "us") if middle < 1e-3 else (1e3, "ms") if middle < 1 else (1.0, "s")
    return number([value * scale for value in seconds], unit)


def rate(seconds: Sequence[float], count: int) -> str:
    """Median and range of so many images in those times: "250,000 images/s (...)"."""
    return number([count / value for value in seconds], "images/s")


def heading(about: dict[str, Any], module: str) -> str:
    """Date, commit, machine, versions and command in one paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    command = f"python -m {module} {about['command']}".rstrip()
    return (
        f"{about['date']}, commit {about['commit']}; {about['processor']}, {about['cores']} cores, "
        f"{' '.join(about['flags'])}; {versions}. `{command}`"
    )


def keep(about: dict[str, Any], figures: dict[str, Any], name: str = "") -> Path:
    """Write a run's figures into a file of results, named by date, commit and `name`; return its path."""
    path = RESULTS / f"{about['date']}-{about['commit']}{name and f'-{name}'}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return path


def put_between(
    begin: str, end: str, text: str, readme: Path = Path(__file__).parents[1] / "README.md"
) -> None:
    """Put a text between two markers of a readme, the benchmarks' own if none is given."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
