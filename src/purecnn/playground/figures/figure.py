"""A live figure: a function that draws a picture, and what a reader may choose for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.checks import is_number
from purecnn.backend.types import Array
from purecnn.playground.figures.svg import Picture


@dataclass(frozen=True)
class Slider:
    """A number from `low` to `high`, in steps; a whole one if the step is."""

    label: str
    value: float
    low: float
    high: float
    step: float = 0.1

    def read(self, asked: Any) -> float:
        """Return the number that is asked for.

        Raises
        ------
        ValueError
            If it is none within the bounds.
        """
        found: float = bounded(self.label, asked, self.low, self.high, isinstance(self.step, int))
        return found

    def told(self) -> dict[str, Any]:
        """Return what a page needs to show it."""
        return {
            "kind": "slider",
            "label": self.label,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "step": self.step,
        }


@dataclass(frozen=True)
class Grid:
    """Rows of numbers, each from `low` to `high`; the function is given an array of float64."""

    label: str
    value: tuple[tuple[float, ...], ...]
    low: float = -9
    high: float = 9
    step: float = 1

    def read(self, asked: Any) -> Array:
        """Return the numbers that are asked for, of the shape that was given.

        Raises
        ------
        ValueError
            If there are more or fewer, or one is out of bounds.
        """
        rows, columns = len(self.value), len(self.value[0])
        if (
            not isinstance(asked, list)
            or len(asked) != rows
            or not all(isinstance(row, list) and len(row) == columns for row in asked)
        ):
            raise ValueError(f"{self.label} must be {rows} x {columns} numbers, got {asked!r:.40}")
        return np.array(
            [[bounded(self.label, number, self.low, self.high) for number in row] for row in asked]
        )

    def told(self) -> dict[str, Any]:
        """Return what a page needs to show it."""
        return {
            "kind": "grid",
            "label": self.label,
            "value": [list(row) for row in self.value],
            "low": self.low,
            "high": self.high,
            "step": self.step,
        }


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    label: str
    value: str
    words: tuple[str, ...]

    def read(self, asked: Any) -> str:
        """Return the word that is asked for.

        Raises
        ------
        ValueError
            If it is none of them.
        """
        if not isinstance(asked, str) or asked not in self.words:
            raise ValueError(f"{self.label} must be one of {', '.join(self.words)}, got {asked!r:.40}")
        return asked

    def told(self) -> dict[str, Any]:
        """Return what a page needs to show it."""
        return {"kind": "choice", "label": self.label, "value": self.value, "words": list(self.words)}


Control = Slider | Grid | Choice


def bounded(label: str, asked: Any, low: float, high: float, whole: bool = False) -> Any:
    """Return a number that a page sent, if it is one within its bounds."""
    right = is_number(asked) and low <= asked <= high and (not whole or asked == int(asked))
    if not right:
        kind = "an integer" if whole else "a number"
        raise ValueError(f"{label} must be {kind} from {low:g} to {high:g}, got {asked!r:.40}")
    return int(asked) if whole else float(asked)


@dataclass(frozen=True)
class Figure:
    """A picture that is drawn for what is chosen.

    Parameters
    ----------
    name : str
        That of the still picture.
    draw : callable
        Is given the chosen values by name, and returns a `Picture`.
    controls : dict of str to Slider, Grid or Choice
        What may be chosen.

    Examples
    --------
    >>> def bar(length):
    ...     paper = Picture(100, 20, f"a bar of {length}")
    ...     paper.box(0, 0, length, 20)
    ...     return paper
    >>> shown = Figure("bar", bar, {"length": Slider("length", 50, 0, 100, 1)})
    >>> shown.live({"length": 80})["says"]
    'a bar of 80'
    """

    name: str
    draw: Callable[..., Picture]
    controls: dict[str, Control]

    def still(self) -> Picture:
        """Return the picture of the numbers that the text has."""
        return self.draw(
            **{name: control.read(control.told()["value"]) for name, control in self.controls.items()}
        )

    def live(self, asked: Any) -> dict[str, Any]:
        """Return the picture of the numbers that a page sent, and what may be chosen.

        Parameters
        ----------
        asked : mapping
            Values by name; those that are left out are the text's.

        Returns
        -------
        dict
            ``svg``, the drawing; ``says``, the same in words; ``spots``, where a click chooses something;
            ``controls``.

        Raises
        ------
        ValueError
            If there is another name in it, or a value that may not be chosen.
        """
        if not isinstance(asked, Mapping) or set(asked) - set(self.controls):
            raise ValueError(f"values must be an object with {', '.join(self.controls)}, got {asked!r:.60}")
        chosen = {
            name: control.read(asked.get(name, control.told()["value"]))
            for name, control in self.controls.items()
        }
        picture = self.draw(**chosen)
        return {
            "svg": str(picture),
            "says": picture.says,
            "spots": picture.spots,
            "controls": {name: control.told() for name, control in self.controls.items()},
        }

    def drawn(self, asked: Mapping[str, Any]) -> Picture:
        """Return the picture of some values and otherwise those of the text."""
        chosen = {name: asked.get(name, control.told()["value"]) for name, control in self.controls.items()}
        return self.draw(**{name: self.controls[name].read(value) for name, value in chosen.items()})


def figure(**controls: Control) -> Callable[[Callable[..., Picture]], Figure]:
    """Make a live figure of a function that draws, under its name; the arguments are what may be chosen."""

    def made(draw: Callable[..., Picture]) -> Figure:
        return Figure(draw.__name__.replace("_", "-"), draw, controls)

    return made


def fill(layer: Any, **parameters: Any) -> None:
    """Write the parameters of a layer."""
    for name, values in parameters.items():
        layer.parameters[name][...] = values
