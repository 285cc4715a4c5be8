"""What stands between the playground and other pages: hosts, origins, sizes, rates, slow callers."""

from __future__ import annotations

import asyncio
import json

import pytest

from purecnn.playground.security import HEADERS, MOST_BYTES, WAITING, Guard

HOST = "127.0.0.1:8642"


async def echo(scope, receive, send):
    """Answer with the body."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": message["body"]})


def request(guard, *, method="POST", headers=(), parts=(b"{}",), pause=0.0, host=HOST):
    """Send one request; return status, headers and body."""
    given = {"host": host, "content-type": "application/json", **dict(headers)}
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
    }
    sent = []
    waiting = list(parts)

    async def receive():
        if pause:
            await asyncio.sleep(pause)
        if not waiting:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, sent[1]["body"]


def guarded(**limits):
    return Guard(echo, [HOST, "localhost:8642"], **limits)


def test_its_own_page_is_answered():
    for headers in ({}, {"origin": f"http://{HOST}"}, {"sec-fetch-site": "same-origin"}):
        status, told, body = request(guarded(), headers=headers, parts=[b'{"a"', b": 1}"])
        assert (status, body) == (200, b'{"a": 1}')
        assert told.items() >= HEADERS.items()
        assert told["x-own"] == "1"


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"headers": {"host": None}}, 421),
        ({"headers": {"origin": "http://evil.example"}}, 403),
        ({"headers": {"origin": "null"}}, 403),
        ({"headers": {"origin": f"https://{HOST}"}}, 403),
        ({"headers": {"origin": "http://localhost:8642"}}, 403),
        ({"headers": {"sec-fetch-site": "cross-site"}}, 403),
        ({"headers": {"sec-fetch-site": "same-site"}}, 403),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"headers": {"content-type": None}}, 415),
        ({"method": "PUT"}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"parts": [b"x" * (MOST_BYTES + 1)]}, 413),
        ({"parts": [b"x" * 60_000] * 2}, 413),
        ({"parts": []}, 400),
    ],
)
def test_others_are_refused(how, status):
    found, headers, body = request(guarded(), **how)
    assert found == status
    assert json.loads(body)["error"]
    assert headers["connection"] == "close"
    assert headers.items() >= HEADERS.items()


def test_a_slow_body_is_given_up():
    status, _, body = request(guarded(seconds=0.05), parts=[b"a", b"b", b"c"], pause=0.04)
    assert status == 408
    assert json.loads(body)["error"] == "the body did not arrive within 0.05 s"


def test_too_many_requests_are_told_to_come_back():
    guard = guarded(rate=1e-9, burst=3)
    assert [request(guard)[0] for _ in range(5)] == [200, 200, 200, 503, 503]
    assert request(guard)[1]["retry-after"] == "1"
    guard = guarded(rate=1e9, burst=3)
    assert [request(guard)[0] for _ in range(5)] == [200] * 5


def test_so_many_requests_may_wait():
    guard = guarded()
    guard.waiting = WAITING
    assert request(guard)[0] == 503


def test_who_fails_is_not_counted_as_waiting():
    async def fails(scope, receive, send):
        raise RuntimeError("no")

    guard = Guard(fails, [HOST])
    with pytest.raises(RuntimeError):
        request(guard)
    assert guard.waiting == 0


@pytest.mark.parametrize(
    ("error", "told"), [(asyncio.CancelledError(), []), (OSError("full"), ["lifespan.shutdown.failed"])]
)
def test_an_end_that_is_cut_short_tells_no_traceback_and_one_that_fails_does(error, told):
    async def ends(scope, receive, send):  # as Starlette does
        try:
            raise error
        except BaseException:
            await send({"type": "lifespan.shutdown.failed", "message": "Traceback ..."})
            raise

    seen = []

    async def send(message):
        seen.append(message["type"])

    with pytest.raises(type(error)):
        asyncio.run(Guard(ends, [HOST])({"type": "lifespan"}, None, send))
    assert seen == told


def test_sockets_are_not_accepted_and_the_lifespan_passes():
    seen = []

    async def inner(scope, receive, send):
        seen.append(scope["type"])

    guard = Guard(inner, [HOST])
    for kind in ("websocket", "lifespan"):
        asyncio.run(guard({"type": kind}, None, None))
    assert seen == ["lifespan"]


def test_after_the_body_the_caller_may_be_waited_for():
    async def waits(scope, receive, send):
        await receive()
        message = await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": message["type"].encode()})

    status, headers, body = request(Guard(waits, [HOST]))
    assert (status, body) == (200, b"http.disconnect")
    assert headers.items() >= HEADERS.items()
