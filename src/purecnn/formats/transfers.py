"""A progress bar for the transfer of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from purecnn.escapes import visible


@contextmanager
def transfer_bar(name: str, size: int) -> Iterator[Callable[[int, int], None]]:
    """Show how far the transfer of a file is; yields what is to be told the bytes so far and in all.

    It is drawn beside a program's output, on the standard error stream, and only where that is a terminal.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(visible(name), total=size)
        yield lambda done, total: bar.update(task, completed=done, total=total)
