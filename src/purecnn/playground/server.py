"""The web server of the playground.

A page on one's own machine where one draws for a network, looks inside of it and watches one learn.

The server binds to this machine alone. A page may ask for what `Reader` and `Lessons` tell, and for the files
of the page, which are named here: no request names a path.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from purecnn.backend.checks import within
from purecnn.backend.cores import capacity
from purecnn.backend.threads import is_limit
from purecnn.datasets import mnist
from purecnn.errors import FileFormatError, PureCNNError
from purecnn.formats.pictures import read_picture
from purecnn.messages.extras import require_extra
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.networks.pictures import prepared
from purecnn.playground.familiarity import Familiarity
from purecnn.playground.lesson import DATA, LAYERS, OPTIMIZERS
from purecnn.playground.reader import DIGITS as DIGIT_CLASSES
from purecnn.playground.reader import Reader, decoded
from purecnn.playground.security import Application, Guard
from purecnn.playground.sessions import LessonError, Lessons
from purecnn.runs.model_path import DIGITS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


#: The page's files and their kinds.
PAGE = {
    "": ("index.html", "text/html"),
    "style.css": ("style.css", "text/css"),
    "common.js": ("common.js", "text/javascript"),
    "draw.js": ("draw.js", "text/javascript"),
    "inspect.js": ("inspect.js", "text/javascript"),
    "train.js": ("train.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
#: Pixels on a side of what a page sends as a drawing.
MOST_SIDE = 200
#: Bytes of a request that holds a picture's file, in base64; the page shrinks what is larger.
MOST_FILE = 1_000_000
#: Numbers that say where a cell is: its map, row and column, or less.
MOST_AXES = 3
#: Connections at once; more are told to come back.
MOST_CONNECTIONS = 400
#: Seconds after which a connection that has not asked for anything is closed.
MOST_SILENCE = 10


#: Seconds between looks at which lessons were left behind.
SWEEP = 10.0


Answer = Callable[[Mapping[str, Any]], Any]


def knows_digits(network: Network) -> bool:
    """Return whether a network was made for digits as MNIST prepared them: it says so."""
    return (
        network.input_shape in ((1, 28, 28), (784,))
        and network.preprocessing.preparation == "character"
        and network.preprocessing.classes == DIGIT_CLASSES
    )


def application(network: Network, hosts: list[str], name: str = "digits") -> Application:
    """Return the ASGI application that shows a network.

    Parameters
    ----------
    network : Network
        Bound to its input's shape.
    hosts : list of str
        By which it is called: ``"127.0.0.1:8000"``.
    name : str
        What the page calls the network.

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
    (images, _), (x_test, _) = mnist.load_data()
    digits = knows_digits(network)
    reader = Reader(network, Familiarity(images) if digits else None)
    lessons = Lessons()
    # As many at a time as find room: more would only wait for each other.
    pool = ThreadPoolExecutor(capacity().number, thread_name_prefix="purecnn-playground")

    def describe(_asked: Mapping[str, Any]) -> Any:
        return {
            "name": name,
            "digits": digits,
            **reader.describe(),
            "choices": {
                "data": list(DATA),
                "optimizers": list(OPTIMIZERS),
                "layers": {kind: bounds for kind, (_, bounds) in LAYERS.items()},
            },
        }

    def sample(asked: Mapping[str, Any]) -> Any:
        """The raw sample that a page holds."""
        return decoded(asked.get("sample"), int(np.prod(reader.shape)))

    def draw(asked: Mapping[str, Any]) -> Any:
        if reader.image is None:
            values = asked.get("values")
            if not isinstance(values, list) or len(values) != reader.shape[0]:
                raise ValueError(f"values must be a list of {reader.shape[0]} numbers from 0 to 255")
            if not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
                raise ValueError("values must be integers from 0 to 255")
            return {"blank": False, **reader.look(np.array(values, np.uint8))}
        side = asked.get("side")
        if isinstance(side, bool) or not isinstance(side, int) or not 8 <= side <= MOST_SIDE:
            raise ValueError(f"side must be an integer from 8 to {MOST_SIDE}, got {side!r:.40}")
        pixels = decoded(asked.get("pixels"), side * side).reshape(side, side)
        return looked(lambda: reader.prepare(pixels))

    def picture(asked: Mapping[str, Any]) -> Any:
        """A file of one's own."""
        pixels = read_picture(
            decoded(asked.get("file"), name="file").tobytes(),
            3 if reader.image and reader.image[0] == 3 else 1,
        )
        return looked(lambda: prepared(network, pixels))

    def looked(prepare: Callable[[], Any]) -> Any:
        """The answer to what is prepared, or why there is none: of a dot, say."""
        try:
            raw = prepare()
        except FileFormatError as error:
            return {"blank": True, "why": str(error)}
        return {"blank": True, "why": ""} if raw is None else {"blank": False, **reader.look(raw)}

    def example(asked: Mapping[str, Any]) -> Any:
        """A test digit, for who has no pointer to draw with."""
        number = asked.get("number")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(x_test):
            raise ValueError(f"number must be an integer from 0 to {len(x_test) - 1}, got {number!r:.40}")
        if not digits:
            raise ValueError("examples are of MNIST's digits, which this network does not take")
        return {"blank": False, **reader.look(x_test[number].reshape(reader.shape))}

    def cell(asked: Mapping[str, Any]) -> Any:
        place, layer = asked.get("place"), asked.get("layer")
        if (
            not isinstance(place, list)
            or not 1 <= len(place) <= MOST_AXES
            or not all(type(number) is int for number in place)
            or type(layer) is not int
        ):
            raise ValueError(
                f"a layer, an integer, and a place, a list of one to {MOST_AXES} integers, are wanted, got "
                f"{place!r:.40}"
            )
        return reader.cell(sample(asked), layer, place)

    def end(asked: Mapping[str, Any]) -> Any:
        lessons.end(asked.get("lesson"))
        return {}

    answers: dict[str, Answer] = {
        "network": describe,
        "draw": draw,
        "picture": picture,
        "example": example,
        "cell": cell,
        "lessons/begin": lessons.begin,
        "lessons/advance": lambda asked: lessons.advance(asked.get("lesson"), asked.get("steps")),
        "lessons/backward": lambda asked: lessons.backward(asked.get("lesson"), asked.get("sample")),
        "lessons/end": end,
    }
    routes = [
        *(routing.Route(f"/{path}", partial(show, *found), methods=["GET"]) for path, found in PAGE.items()),
        *(
            routing.Route(f"/api/{path}", endpoint(function, pool), methods=["POST"])
            for path, function in answers.items()
        ),
    ]

    @asynccontextmanager
    async def lifespan(_application: Any) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP)
                lessons.sweep()

        sweeping = asyncio.create_task(sweep())
        yield
        sweeping.cancel()
        pool.shutdown(wait=False, cancel_futures=True)

    return Guard(
        applications.Starlette(routes=routes, lifespan=lifespan), hosts, most={"/api/picture": MOST_FILE}
    )


async def show(file: str, kind: str, _request: Request) -> Response:
    """Send one of the page's files."""
    from starlette.responses import Response

    return Response((files("purecnn.playground") / "static" / file).read_bytes(), media_type=kind)


def endpoint(function: Answer, pool: ThreadPoolExecutor) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a request by a function of its JSON, which runs in a thread of the pool."""

    async def answer(request: Request) -> Response:
        from starlette.responses import Response

        def reply(told: Any, status: int = 200) -> Response:
            # allow_nan: what is no JSON must not leave here unseen
            return Response(json.dumps(told, allow_nan=False), status, media_type="application/json")

        try:
            asked = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            return reply({"error": "the body must be JSON"}, 400)
        if not isinstance(asked, dict):
            return reply({"error": f"the body must be an object, got {type(asked).__name__}"}, 400)
        try:
            return reply(await asyncio.get_running_loop().run_in_executor(pool, function, asked))
        except LessonError as error:
            return reply({"error": str(error)}, 404)
        except (PureCNNError, ValueError, TypeError) as error:
            return reply({"error": str(error)}, 422)
        except RuntimeError as error:
            if not is_limit(error):
                raise
            return reply({"error": "no thread is to be had: the limit on processes is reached"}, 503)

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


def server(network: Network, port: int, name: str = "digits") -> Any:
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
            application(network, [f"127.0.0.1:{port}", f"localhost:{port}"], name),
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


def serve(model: str | Path | None = None, *, port: int = 8642, ready: Callable[[str], None] = print) -> None:
    """Show a network in a local page until it is interrupted.

    Parameters
    ----------
    model : str or Path, optional
        A model's file; the network of digits that is part of this package if left out.
    port : int
        Of 127.0.0.1; 0 takes a free one.
    ready : callable
        Told the page's address, which answers from then on.

    Raises
    ------
    MissingExtraError
        If Starlette or uvicorn are not installed.
    OSError
        If the port is taken.
    FileFormatError
        If the model's file is none.
    """
    require_extra("uvicorn", "playground", "the playground")
    network = load(DIGITS if model is None else model)
    with listen(port) as listener:
        port = listener.getsockname()[1]
        running = server(network, port, "digits" if model is None else Path(model).name)
        ready(f"http://127.0.0.1:{port}/")
        running.run(sockets=[listener])
