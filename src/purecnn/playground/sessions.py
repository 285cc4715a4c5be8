"""Sessions: lessons of many pages, found by tokens.

Lessons of many pages at once: each is found by a token that nobody can guess, and ends if left behind.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from purecnn.playground.lesson import Lesson

#: Lessons at once, which keep 2 MB each between questions; seconds without a question after which one ends.
MOST_LESSONS, MOST_SECONDS = 64, 120.0


class LessonError(LookupError):
    """There is no such lesson, or no room for another; the message says which."""


class Lessons:
    """Keeps lessons by their tokens.

    Parameters
    ----------
    most : int
        How many there may be.
    seconds : float
        How long one is kept after its last question.
    clock : callable
        Tells the seconds.

    Examples
    --------
    >>> lessons = Lessons()
    >>> lessons.advance("no such token", 1)
    Traceback (most recent call last):
    purecnn.playground.sessions.LessonError: this training has ended; start another
    """

    def __init__(
        self,
        most: int = MOST_LESSONS,
        seconds: float = MOST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self.seconds, self.clock = most, seconds, clock
        self.kept: dict[str, tuple[Lesson, threading.Lock]] = {}
        self.asked: dict[str, float] = {}
        self.lock = threading.Lock()

    def begin(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a lesson; return its token and its first state."""
        self.sweep()
        lesson, token = Lesson(asked), secrets.token_urlsafe(16)
        with self.lock:  # which many may ask for at once
            if len(self.kept) >= self.most:
                raise LessonError(f"{self.most} trainings are under way already; try again in a minute")
            self.kept[token], self.asked[token] = (lesson, threading.Lock()), self.clock()
        return {"lesson": token, **lesson.about(), **lesson.advance(0)}

    def advance(self, token: Any, steps: Any) -> dict[str, Any]:
        """Go on with a lesson."""
        lesson, lock = self.find(token)
        with lock:  # two tabs may hold one token
            return lesson.advance(steps)

    def backward(self, token: Any, sample: Any) -> dict[str, Any]:
        """Return a lesson's chain rule for a sample."""
        lesson, lock = self.find(token)
        with lock:
            return lesson.backward(sample)

    def find(self, token: Any) -> tuple[Lesson, threading.Lock]:
        """Return a lesson that is still under way."""
        self.sweep()
        with self.lock:
            if not isinstance(token, str) or token not in self.kept:
                raise LessonError("this training has ended; start another")
            self.asked[token] = self.clock()
            return self.kept[token]

    def end(self, token: Any) -> None:
        """End a lesson, if there still is one."""
        with self.lock:
            if isinstance(token, str):
                self.kept.pop(token, None)
                self.asked.pop(token, None)

    def sweep(self) -> None:
        """End what was left behind."""
        with self.lock:
            for token in [t for t, at in self.asked.items() if self.clock() - at > self.seconds]:
                del self.kept[token], self.asked[token]
