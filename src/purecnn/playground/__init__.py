"""The playground: a page on one's own machine to draw for a network and watch one learn.

`replies` answers the page's questions: `reader` reads drawings, `lesson` is a small network that somebody
trains on the page, `sessions` keeps many of them. They are carried by `server`, where `security` lets in only
its own page, or, in a `site` without a server, by a worker in the reader's browser (`in_browser`), which
Pyodide runs (`runtime`). The page's files lie in `static`.

Imports `runs` and what lies below. Begin with `replies`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.playground.server import application as application
    from purecnn.playground.server import serve as serve
    from purecnn.playground.site import write_site as write_site
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "server": "application serve",
            "site": "write_site",
        },
    )
