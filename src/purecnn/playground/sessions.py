"""Sessions: what belongs to one of many pages, found by a token.

The trainings and networks of many pages at once: each is found by a token that nobody can guess, and ends if
left behind.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from purecnn.playground.lesson import Lesson
from purecnn.playground.reader import Reader

#: Lessons at once, which keep 2 MB each between questions; seconds without a question after which one ends.
MOST_LESSONS, MOST_SECONDS = 64, 120.0
#: Networks at once, which keep some 30 MB each at the most; somebody may look at a picture for half an hour.
MOST_NETWORKS, MOST_NETWORK_SECONDS = 8, 1800.0

Held = TypeVar("Held")


class LessonError(LookupError):
    """There is no such lesson or network, or no room for another; the message says which."""


class Sessions(Generic[Held]):
    """Keeps things by their tokens.

    Parameters
    ----------
    most : int, optional
        How many there may be.
    seconds : float, optional
        How long one is kept after its last question.
    clock : callable
        Tells the seconds.

    Attributes
    ----------
    ended, full : str
        What is said where there is no such thing, and where there is no room for another.

    Examples
    --------
    >>> sessions = Sessions()
    >>> sessions.find(sessions.add("a thing"))[0]
    'a thing'
    >>> sessions.find("no such token")
    Traceback (most recent call last):
    purecnn.playground.sessions.LessonError: this has ended
    """

    ended, full = "this has ended", "there is no room for another"
    usual = MOST_LESSONS, MOST_SECONDS

    def __init__(
        self,
        most: int | None = None,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = self.usual[0] if most is None else most
        self.seconds = self.usual[1] if seconds is None else seconds
        self.clock = clock
        self.kept: dict[str, tuple[Held, threading.Lock]] = {}
        self.asked: dict[str, float] = {}
        self.lock = threading.Lock()

    def add(self, held: Held) -> str:
        """Keep a thing; return its token."""
        self.sweep()
        token = secrets.token_urlsafe(16)
        with self.lock:  # which many may ask for at once
            if len(self.kept) >= self.most:
                raise LessonError(self.full.format(self.most))
            self.kept[token], self.asked[token] = (held, threading.Lock()), self.clock()
        return token

    def find(self, token: Any) -> tuple[Held, threading.Lock]:
        """Return a thing that is still kept, and the lock that two tabs which hold one token take in turn."""
        self.sweep()
        with self.lock:
            if not isinstance(token, str) or token not in self.kept:
                raise LessonError(self.ended)
            self.asked[token] = self.clock()
            return self.kept[token]

    def end(self, token: Any) -> None:
        """End a thing, if there still is one."""
        with self.lock:
            if isinstance(token, str):
                self.kept.pop(token, None)
                self.asked.pop(token, None)

    def sweep(self) -> None:
        """End what was left behind."""
        with self.lock:
            for token in [t for t, at in self.asked.items() if self.clock() - at > self.seconds]:
                del self.kept[token], self.asked[token]


class Lessons(Sessions[Lesson]):
    """Keeps lessons by their tokens.

    Parameters
    ----------
    most, seconds, clock
        As `Sessions` takes them.

    Examples
    --------
    >>> lessons = Lessons()
    >>> lessons.advance("no such token", 1)
    Traceback (most recent call last):
    purecnn.playground.sessions.LessonError: this training has ended; start another
    """

    ended = "this training has ended; start another"
    full = "{} trainings are under way already; try again in a minute"

    def begin(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a lesson; return its token and its first state."""
        lesson = Lesson(asked)
        return {"lesson": self.add(lesson), **lesson.about(), **lesson.advance(0)}

    def advance(self, token: Any, steps: Any) -> dict[str, Any]:
        """Go on with a lesson."""
        lesson, lock = self.find(token)
        with lock:
            return lesson.advance(steps)

    def backward(self, token: Any, sample: Any) -> dict[str, Any]:
        """Return a lesson's chain rule for a sample."""
        lesson, lock = self.find(token)
        with lock:
            return lesson.backward(sample)


class Networks(Sessions[tuple[str, Reader]]):
    """Keeps networks that pages opened or trained, each with its name, by their tokens.

    Parameters
    ----------
    most, seconds, clock
        As `Sessions` takes them.
    """

    ended = "this network was put away since; open it again, or draw for the page's own"
    full = "{} networks are open already; try again later"
    usual = MOST_NETWORKS, MOST_NETWORK_SECONDS
