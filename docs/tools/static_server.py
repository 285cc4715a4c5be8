"""The playground's static site, shown by a server that knows nothing of it: for tests and measurements."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from purecnn.playground.site import POLICY

#: Where Pyodide's files lie.
PYODIDE = Path(os.environ.get("PURECNN_PYODIDE") or Path(__file__).parents[2].parent / "shared" / "pyodide")


class Handler(SimpleHTTPRequestHandler):
    """Sends files, with the policy that the page names, which then holds for its worker too."""

    def end_headers(self) -> None:
        """Add the policy."""
        self.send_header("content-security-policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def shown(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, below a path of its own as a project's pages are; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
        finally:
            server.shutdown()
            thread.join()
