"""Output of the commands: every word that they print goes through here, and is made visible.

So nothing that a file of somebody else's chose, a class's name or a setting of a run, steers the terminal.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from purecnn.errors import CheckpointWarning
from purecnn.escapes import visible


def echo(words: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text of one or more lines."""
    click.echo(visible(str(words), lines=True), err=err, nl=nl)


class Terminal(Console):
    """A console that prints texts as they are: no markup, no colours of its own, nothing hidden in them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, be it printed itself or a cell of a table."""
        return super().render_str(visible(text, lines=True), **options)


@contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Print warnings without the place in the code that they come from."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: echo(f"Warning: {visible(str(message))}", err=True)
        yield


@contextmanager
def checkpoint_warnings() -> Iterator[None]:
    """Print warnings likewise, and each one of a checkpoint, also what was said before."""
    with warnings_as_sentences():
        warnings.simplefilter("always", CheckpointWarning)
        yield
