"""The outcome of the models' campaign as Markdown: counts by kind, then a line for each model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

#: What is counted, in the order in which one needs the other, and what a table calls it.
COUNTED = {
    "answered": "onnxruntime runs",
    "opens": "opens",
    "runs": "`run` right",
    "predicts": "`predict` right",
}
COUNTED |= {"network": "`network` right", "trains": "its gradient right"}
TITLES = {
    "package": "packages of the index",
    "light": "the standard's light models",
    "torch": "exports of torch",
    "keras": "exports of Keras",
}

Outcome = Mapping[str, Any]


def counts(outcomes: Sequence[Outcome]) -> str:
    """Return how many models of each kind came how far."""
    lines = [f"| models | files | {' | '.join(COUNTED.values())} |", f"|---|---|{'---|' * len(COUNTED)}"]
    for kind, title in (*TITLES.items(), ("", "all")):
        those = [one for one in outcomes if kind in ("", one["kind"])]
        if those:
            far = [str(sum(one.get(what) is True for one in those)) for what in COUNTED]
            lines.append(f"| {title} | {len(those)} | {' | '.join(far)} |")
    return "\n".join(lines)


def missing(outcomes: Sequence[Outcome]) -> str:
    """Return which operators are missing, each with the number of files that want it."""
    wanted = Counter(name for one in outcomes for name in one.get("missing", ()))
    told = [
        f"`{name}` {count}" for name, count in sorted(wanted.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return ", ".join(told) or "none"


def reason(outcome: Outcome) -> str:
    """Return the first thing that does not work, and why."""
    if outcome.get("missing"):
        return f"operators not known: {', '.join(outcome['missing'])}"
    for what, title in COUNTED.items():
        if outcome.get(what) is not True:
            return f"{title}: {outcome.get(what, 'not tried')}"
    return ""


def lines(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each model that does not come all the way."""
    found = ["| model | how far | what is in the way |", "|---|---|---|"]
    for one in outcomes:
        why = reason(one)
        if why:
            far = [title for what, title in COUNTED.items() if one.get(what) is True]
            found.append(f"| {told(one['name'])} | {far[-1] if far else 'not at all'} | {told(why)} |")
    return "\n".join(found)


def told(words: str) -> str:
    """Return words as a table can hold them."""
    return words.replace("|", "\\|").replace("\n", " ")[:240]
