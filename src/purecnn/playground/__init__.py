"""The playground: a page on one's own machine to draw for a network and watch one learn.

`server` answers the page, `security` lets in only its own, `reader` reads drawings, `lesson` is a small
network that somebody trains on the page, `sessions` keeps many of them. The page lies in `static`.

Imports `runs` and what lies below. Begin with `server`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.playground.server import application as application
    from purecnn.playground.server import serve as serve
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "server": "application serve",
        },
    )
