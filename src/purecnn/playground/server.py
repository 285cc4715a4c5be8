"""The web server of the playground.

A page on one's own machine where one draws for a network, looks inside of it and watches one learn.

The server binds to this machine alone. A page may ask for what `Replies` tells, and for the files of the
page, which `page` names: no request names a path.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from purecnn.backend.checks import within
from purecnn.backend.cores import capacity
from purecnn.backend.threads import is_limit
from purecnn.messages.extras import require_extra
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.playground.exchange import MOST_FILE as MOST_OPENED
from purecnn.playground.page import PAGE, read_page
from purecnn.playground.replies import Replies
from purecnn.playground.security import Application, Guard
from purecnn.runs.model_path import DIGITS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


#: Bytes of a request that holds a picture's file, in base64; the page shrinks what is larger.
MOST_FILE = 1_000_000
#: Bytes of a request that holds a network's file, in base64.
MOST_NETWORK_FILE = 4 * (MOST_OPENED // 3) + 1_000
#: Connections at once; more are told to come back.
MOST_CONNECTIONS = 400
#: Seconds after which a connection that has not asked for anything is closed.
MOST_SILENCE = 10


#: Seconds between looks at which lessons were left behind.
SWEEP = 10.0


def application(
    network: Network, hosts: list[str], name: str = "digits", documents: str | None = None
) -> Application:
    """Return the ASGI application that shows a network.

    Parameters
    ----------
    network : Network
        Bound to its input's shape.
    hosts : list of str
        By which it is called: ``"127.0.0.1:8000"``.
    name : str
        What the page calls the network.
    documents : str, optional
        The address of the built documents, to which each layer's card leads.

    Returns
    -------
    ASGI application
        Guarded: see `guard`.

    Raises
    ------
    MissingExtraError
        If Starlette is not installed.
    """
    applications = require_extra("starlette.applications", "playground", "the playground")
    routing = require_extra("starlette.routing", "playground", "the playground")
    replies = Replies(network, name, documents=documents)
    # As many at a time as find room: more would only wait for each other.
    pool = ThreadPoolExecutor(capacity().number, thread_name_prefix="purecnn-playground")
    routes = [
        *(
            routing.Route("/" if name == "index.html" else f"/{name}", partial(show, name), methods=["GET"])
            for name in PAGE
        ),
        *(
            routing.Route(f"/api/{path}", endpoint(replies, path, pool), methods=["POST"])
            for path in replies.functions
        ),
    ]

    @asynccontextmanager
    async def lifespan(_application: Any) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP)
                replies.lessons.sweep()
                replies.networks.sweep()

        sweeping = asyncio.create_task(sweep())
        yield
        sweeping.cancel()
        pool.shutdown(wait=False, cancel_futures=True)

    return Guard(
        applications.Starlette(routes=routes, lifespan=lifespan),
        hosts,
        most={"/api/picture": MOST_FILE, "/api/networks/open": MOST_NETWORK_FILE},
    )


async def show(name: str, _request: Request) -> Response:
    """Send one of the page's files."""
    from starlette.responses import Response

    return Response(read_page(name), media_type=PAGE[name])


def endpoint(
    replies: Replies, path: str, pool: ThreadPoolExecutor
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers requests by one of the functions, which runs in a thread of the pool."""

    async def answer(request: Request) -> Response:
        from starlette.responses import Response

        body = await request.body()
        try:
            status, told = await asyncio.get_running_loop().run_in_executor(pool, replies, path, body)
        except RuntimeError as error:
            if not is_limit(error):
                raise
            told = json.dumps({"error": "no thread is to be had: the limit on processes is reached"})
            status = 503
        return Response(told, status, media_type="application/json")

    return answer


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine alone; 0 takes a free one.

    Raises
    ------
    OSError
        If the port is taken.
    """
    within("port", port, 0, 65_536)
    # The protocol is named: only then does asyncio send answers at once (TCP_NODELAY): in 6 ms, not in 52.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise OSError(
                f"port {port} of this machine is taken; name another, or 0 for any that is free"
            ) from None
        raise
    return listener


def server(network: Network, port: int, name: str = "digits", documents: str | None = None) -> Any:
    """Return a uvicorn server that shows a network to this machine, by the port on which it is called.

    Raises
    ------
    MissingExtraError
        If Starlette or uvicorn are not installed.
    """
    uvicorn = require_extra("uvicorn", "playground", "the playground")
    from purecnn.playground.timeouts import TimedProtocol  # here, since it wants uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            application(network, [f"127.0.0.1:{port}", f"localhost:{port}"], name, documents),
            http=TimedProtocol,
            ws="none",
            log_level="error",
            log_config=None,  # uvicorn's own asks standard output, which may be closed, for its colours
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=MOST_SILENCE,
            timeout_graceful_shutdown=2,
        )
    )


def serve(
    model: str | Path | None = None,
    *,
    port: int = 8642,
    ready: Callable[[str], None] = print,
    documents: str | None = None,
) -> None:
    """Show a network in a local page until it is interrupted.

    Parameters
    ----------
    model : str or Path, optional
        A model's file; the network of digits that is part of this package if left out.
    port : int
        Of 127.0.0.1; 0 takes a free one.
    ready : callable
        Told the page's address, which answers from then on.
    documents : str, optional
        The address of the built documents, to which each layer's card leads.

    Raises
    ------
    MissingExtraError
        If Starlette or uvicorn are not installed.
    OSError
        If the port is taken.
    FileFormatError
        If the model's file is none.
    ValueError
        If the documents' address is none.
    """
    require_extra("uvicorn", "playground", "the playground")
    network = load(DIGITS if model is None else model)
    with listen(port) as listener:
        port = listener.getsockname()[1]
        running = server(network, port, "digits" if model is None else Path(model).name, documents)
        ready(f"http://127.0.0.1:{port}/")
        running.run(sockets=[listener])
