"""Progress: one line an epoch and, where somebody watches, a bar that is drawn anew in its place."""

from __future__ import annotations

import html
import math
import os
import sys
import threading
import time
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from purecnn.backend.cores import is_begun_by_multiprocessing
from purecnn.callbacks.base import Callback
from purecnn.callbacks.history import History

#: Seconds between two pictures of the bar, and its width in characters, at least and at most.
PAUSE = 0.1
NARROWEST, WIDEST = 5, 30
#: Columns of a terminal that does not say how many it has.
COLUMNS = 80


class PrintEpochs(Callback):
    """Print one line an epoch."""

    def begin(self, epochs: int, steps: int) -> None:
        """Keep the number of epochs."""
        self.epochs = epochs

    def epoch(self, epoch: int, history: History) -> None:
        """Print the line."""
        print(f"epoch {epoch}/{self.epochs}: {history.line()}", flush=True)


class ProgressBar(PrintEpochs):
    """Print one line an epoch and show a bar while the training lasts: what ``fit(verbose=True)`` does.

    The bar has the epoch, the steps of the whole run, the loss (a running mean over some 20 steps), the
    images a second of this epoch, and the time left if all epochs are trained. It stands in the last line of
    a terminal, below all that is printed meanwhile, or in a Jupyter notebook above it; it is drawn anew at
    most ten times a second, and goes away when the training ends, for whatever reason.

    Where the output is no terminal, only the lines are printed; likewise in any thread but the main one, and
    in a process that multiprocessing began, beside which others may print.
    What is written past `sys.stdout` and `sys.stderr` comes behind the bar, on its line: a handler of
    `logging` that was made before the fit has kept a stream of its own.

    Notes
    -----
    It needs no other package. tqdm and rich draw in a notebook by ipywidgets, if that is installed; Keras's
    ``ProgbarLogger`` prints there as in a terminal, and leaves its bar behind. In a program that shows a
    notebook's output but can't change it, such as ``jupyter console``, the bar stays as it began.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> x = [[0.0], [1.0]]
    >>> history = Network([Dense(1, 1)]).fit(x, x, loss="mse", epochs=2, callbacks=ProgressBar())
    epoch 1/2: loss ... s, ... images/s
    epoch 2/2: loss ... s, ... images/s
    """

    def begin(self, epochs: int, steps: int) -> None:
        """Draw the bar: empty, or as far as the run that is resumed."""
        super().begin(epochs, steps)
        self.start, self.loss = time.perf_counter(), math.nan
        self.first = self.done = self.fit.epoch * steps + self.fit.step
        self.total, self.drawn = epochs * steps, -math.inf
        self.place = place() if self.done < self.total else None
        self.draw()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Go on by one step."""
        if self.place is not None:
            self.done += 1
            self.loss = loss if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * loss
            self.draw()

    def epoch(self, epoch: int, history: History) -> None:
        """Print the epoch's line."""
        super().epoch(epoch, history)
        if self.done < self.total:
            self.draw()

    def end(self, history: History) -> None:
        """Take the bar away."""
        if self.place is not None:
            self.place.close()
            self.place = None

    def draw(self) -> None:
        """Draw the bar, if that is not just done."""
        now = time.perf_counter()
        if self.place is not None and now - self.drawn >= PAUSE:
            self.drawn = now
            self.place.draw(self.picture(now - self.start))

    def picture(self, seconds: float) -> Picture:
        """Return what the bar says, so many seconds after it began."""
        fit, words = self.fit, [f"{self.done}/{self.total}"]
        if self.done > self.first:
            history = fit.history
            if fit.step:
                speed = history.samples * fit.step / fit.steps / max(fit.spent, 1e-9)
            else:
                speed = history.images_per_second[-1]
            left = seconds / (self.done - self.first) * (self.total - self.done)
            words.append(f"loss {self.loss:.4f}, {speed:,.0f} images/s, {clock(left)} left")
        epoch = min(fit.epoch + 1, self.epochs)
        return Picture(f"epoch {epoch}/{self.epochs}", self.done / self.total, " ".join(words))


class Picture(NamedTuple):
    """What a bar shows.

    Attributes
    ----------
    before, after : str
        What stands on either side.
    share : float
        How much is done, 0 to 1.
    """

    before: str
    share: float
    after: str

    def line(self, columns: int, signs: str = "━─") -> str:
        """Return it as a line of so many columns at most, of two signs: what is done, and what is not.

        Examples
        --------
        >>> Picture("epoch 1/2", 0.25, "5/20 loss 0.5000").line(36, "=-")
        'epoch 1/2 ==------- 5/20 loss 0.5000'
        >>> Picture("epoch 1/2", 0.25, "5/20 loss 0.5000").line(20)
        'epoch 1/2 5/20 loss'
        """
        width = min(columns - 2 - len(self.before) - len(self.after), WIDEST)
        done = int(width * self.share)
        bar = [signs[0] * done + signs[1] * (width - done)] if width >= NARROWEST else []
        return " ".join([self.before, *bar, self.after])[:columns].rstrip()

    def markup(self) -> str:
        """Return it as HTML.

        Examples
        --------
        >>> print(Picture("epoch 1/2", 0.25, "5/20").markup())
        <span ...>epoch 1/2 <progress value="0.2500" ...></progress> 5/20</span>
        """
        style = 'style="width: 16em; vertical-align: middle"'
        bar = f'<progress value="{self.share:.4f}" aria-label="training" {style}></progress>'
        before, after = html.escape(self.before), html.escape(self.after)
        style = "font-family: monospace; font-variant-numeric: tabular-nums"
        return f'<span style="{style}">{before} {bar} {after}</span>'


def clock(seconds: float) -> str:
    """Return a time as a clock shows it.

    Examples
    --------
    >>> clock(5.4), clock(754), clock(3723)
    ('0:05', '12:34', '1:02:03')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


# Where a bar is drawn -------------------------------------------------------------------------------------


class Place(Protocol):
    """Where a bar is drawn."""

    def draw(self, picture: Picture) -> None:
        """Show it in place of the last one."""

    def close(self) -> None:
        """Take it away for good."""


def place() -> Place | None:
    """Return where a bar is to be drawn: a notebook or the terminal; None if there is neither."""
    if threading.current_thread() is not threading.main_thread() or is_begun_by_multiprocessing():
        return None
    if in_notebook():
        return NotebookOutput()
    return LastLine() if is_terminal(sys.stdout) else None


def in_notebook() -> bool:
    """Return whether a kernel of IPython's runs this program: then it has it imported."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get is not None and getattr(get(), "kernel", None) is not None


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal on which a line can be written anew."""
    if os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none, or closed
        return False


class NotebookOutput:
    """A cell's output that is changed in place, by IPython itself: HTML, and text where that is not shown."""

    def __init__(self) -> None:
        self.handle: Any = None

    def draw(self, picture: Picture) -> None:
        """Show it in place of the last one."""
        self.show({"text/plain": picture.line(COLUMNS), "text/html": picture.markup()})

    def close(self) -> None:
        """Leave an empty output; there is no way to remove one alone."""
        if self.handle is not None:
            self.show({"text/plain": "", "text/html": ""})

    def show(self, data: dict[str, str]) -> None:
        """Show data in the one output."""
        if self.handle is None:
            # there, since its kernel runs this
            self.handle = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)


class LastLine:
    """The last line of the terminal, above which goes whatever else is printed meanwhile.

    Until it is closed, `sys.stdout` and `sys.stderr`, as far as they are terminals, are streams that take the
    bar away first.
    """

    def __init__(self) -> None:
        self.stream, self.shown = sys.stdout, 0
        self.is_free = True
        coding = (getattr(self.stream, "encoding", None) or "").lower()
        self.signs = "━─" if coding.startswith("utf") else "=-"
        self.replaced: list[tuple[str, Above]] = []

    def draw(self, picture: Picture) -> None:
        """Write it over the last one, unless another line there has not come to its end."""
        if not self.is_free:
            return
        columns = self.columns() - 1
        line = picture.line(columns, self.signs)
        self.shown = max(self.shown, len(line))  # before it is there, for Ctrl-C may come between
        self.write(line.ljust(min(self.shown, columns)))
        if not self.replaced:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if is_terminal(stream):
                    self.replaced.append((name, Above(stream, self)))
                    setattr(sys, name, self.replaced[-1][1])

    def close(self) -> None:
        """Leave the line empty, and give the streams back."""
        try:
            self.erase(2)  # and the ^C that a terminal writes there
        finally:  # the terminal may be gone, or closed
            self.shown = 0
            for name, stream in self.replaced:
                if getattr(sys, name) is stream:
                    setattr(sys, name, stream.stream)

    def erase(self, more: int = 0) -> None:
        """Empty the line, and go to its beginning."""
        if self.shown:
            self.write(" " * min(self.shown + more, self.columns() - 1) + "\r")
            self.shown = 0

    def write(self, text: str) -> None:
        """Write from the beginning of the line."""
        self.stream.write(f"\r{text}")
        self.stream.flush()

    def columns(self) -> int:
        """Return how many columns the terminal has now."""
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or COLUMNS
        except (AttributeError, OSError, ValueError):  # no terminal of the system's; a browser asks for none
            return COLUMNS


class Above:
    """A stream to the terminal, in whose last line a bar stands: what is written takes its place.

    Parameters
    ----------
    stream : file
        The stream itself.
    line : LastLine
        Where the bar is.
    """

    def __init__(self, stream: Any, line: LastLine) -> None:
        self.stream, self.line = stream, line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> Any:
        """Write, once the bar is gone; it comes back below the end of the line."""
        self.line.erase()
        found = self.stream.write(text)
        if text:  # an emptied line is free again: of the bar of a fit within this one, say
            self.line.is_free = text.endswith("\n") or (text.endswith(" \r") and text.isspace())
        return found

    def writelines(self, lines: Any) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)
