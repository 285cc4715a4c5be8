"""The playground within a browser, where Pyodide runs this package in a worker.

`static/worker.js` begins it, and carries the page's questions.
"""

from __future__ import annotations

import math
from os import PathLike

from purecnn.networks.files import load
from purecnn.playground.replies import Replies
from purecnn.playground.sessions import Lessons, Networks


def begin(model: str | PathLike[str], name: str, least: float | None) -> Replies:
    """Return what answers the page.

    Parameters
    ----------
    model : str or PathLike
        The network's file.
    name : str
        What the page calls the network.
    least : float or None
        The least similarity of a familiar picture, found when the site was written; None of no digits.
    """
    # One page alone asks, and its memory goes with it: nothing need end because it rested.
    return Replies(load(model), name, least, Lessons(seconds=math.inf), Networks(seconds=math.inf))


def prepare(replies: Replies) -> None:
    """Compute what the first answer would wait for, once the page knows that it may ask."""
    if replies.reader.familiarity is not None:
        _ = replies.reader.familiarity.known
