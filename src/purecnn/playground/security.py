"""Security of the server: hosts, origins, sizes and times.

A server on one's own machine can be reached by any page that its browser shows; this lets in only its own.

An ASGI application around another: it asks for the host by which it is called, which a page elsewhere cannot
forge, and for the origin, and bounds what a caller may send, how often, and how slowly.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


#: Bytes of a request's body: a drawing of 200 x 200 pixels in base64 has 53,000.
MOST_BYTES = 100_000
#: Seconds that a body may take to arrive.
MOST_SECONDS = 5.0
#: Requests a second that are answered, over some time and at once, and requests that may wait.
RATE, BURST, WAITING = 600.0, 1200.0, 100


#: What every answer says: all comes from here, nothing is kept, nobody else may show it or read it.
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Refused(Exception):
    """A request that is not answered: the status and the sentence that say why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """Lets requests through to an application that come from its own page and are small enough.

    Parameters
    ----------
    application : ASGI application
        What is guarded. It is given the whole body at once.
    hosts : iterable of str
        The hosts, with the port, by which it may be called, such as ``"127.0.0.1:8000"``.
    rate, burst : float
        Requests a second that are answered over some time, and at once.
    seconds : float
        Time that a body may take to arrive.
    most : dict of int by str
        Bytes of a body, for paths that may get more than `MOST_BYTES`.
    """

    def __init__(
        self,
        application: Application,
        hosts: Iterable[str],
        *,
        rate: float = RATE,
        burst: float = BURST,
        seconds: float = MOST_SECONDS,
        most: Mapping[str, int] | None = None,
    ) -> None:
        self.application, self.hosts = application, frozenset(hosts)
        self.rate, self.burst, self.seconds, self.most = rate, burst, seconds, most or {}
        self.credit, self.seen = burst, time.monotonic()
        self.waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, partial(tell_unless_cancelled, send))
            return
        if scope["type"] != "http":
            return  # a socket is never accepted
        try:
            self.check(scope)
            body = await self.body(scope, receive)
        except Refused as refused:
            await answer(send, refused)
            return
        taken = False

        async def whole() -> Message:
            nonlocal taken
            if taken:
                return await receive()
            taken = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        self.waiting += 1
        try:
            await self.application(scope, whole, dressed)
        finally:
            self.waiting -= 1

    def check(self, scope: Scope) -> None:
        """Raise `Refused` for a request from elsewhere, or one too many."""
        now = time.monotonic()
        self.credit = min(self.burst, self.credit + (now - self.seen) * self.rate)
        self.seen = now
        if self.credit < 1 or self.waiting >= WAITING:
            raise Refused(503, "too many requests at once; try again in a second")
        self.credit -= 1
        given: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = given.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            raise Refused(421, f"this server answers to {' and '.join(sorted(self.hosts))} alone")
        origins = given.get("origin", [])
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise Refused(403, "this server answers to its own page alone")
        if given.get("sec-fetch-site", ["none"])[0] not in ("none", "same-origin"):
            raise Refused(403, "this server answers to its own page alone")
        if scope["method"] == "POST":
            kind = given.get("content-type", [""])[0].partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Refused(415, f"application/json is wanted, got {kind[:40] or 'no content type'}")
        elif scope["method"] not in ("GET", "HEAD"):
            raise Refused(405, f"GET and POST are answered, got {scope['method'][:20]}")

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body; raise `Refused` if it is too large or takes too long."""
        body, most = bytearray(), self.most.get(scope["path"], MOST_BYTES)
        end = asyncio.get_running_loop().time() + self.seconds
        while True:
            left = end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(0.001, left))
            except TimeoutError:
                raise Refused(408, f"the body did not arrive within {self.seconds:g} s") from None
            if message["type"] != "http.request":
                raise Refused(400, "the caller left")
            body += message.get("body", b"")
            if len(body) > most:
                raise Refused(413, f"a body has at most {most:,} bytes")
            if not message.get("more_body", False):
                return bytes(body)


async def answer(send: Send, refused: Refused) -> None:
    """Send a refusal, and end the connection: whatever else comes on it is not wanted."""
    body = json.dumps({"error": str(refused)}).encode()
    headers = {**HEADERS, "content-type": "application/json", "connection": "close"}
    if refused.status == 503:
        headers["retry-after"] = "1"
    headers["content-length"] = str(len(body))
    start = {"type": "http.response.start", "status": refused.status}
    await send({**start, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
    await send({"type": "http.response.body", "body": body})


async def tell_unless_cancelled(send: Send, message: Message) -> None:
    """Pass on what an application says of its life, but no traceback where Ctrl-C was pressed twice."""
    if message["type"] == "lifespan.shutdown.failed" and isinstance(sys.exception(), asyncio.CancelledError):
        return
    await send(message)
