"""Timeouts of connections.

A protocol with limits to time: who asks for nothing, or takes no answer, must not keep a place for ever.

uvicorn would wait for both.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds that the head of a request may take to arrive.
MOST_SECONDS = 10.0
#: Seconds that an answer may take to be taken, once it does not leave at once.
MOST_SENDING = 10.0


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP, with limits to the time that the head of a request, and its answer, take."""

    seconds = MOST_SECONDS
    sending = MOST_SENDING

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.waiting: asyncio.TimerHandle | None = self.loop.call_later(self.seconds, transport.close)
        self.unsent_since: float | None = None
        self.looking: asyncio.TimerHandle | None = None
        self.look()

    def look(self) -> None:
        """Look now and then whether answers leave; end the connection where they have not for too long.

        Also after the last answer was written: closing would wait until it is taken.
        """
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self.unsent_since = None
        elif self.unsent_since is None:
            self.unsent_since = now
        elif now - self.unsent_since >= self.sending:
            self.transport.abort()
            return
        self.looking = self.loop.call_later(self.sending / 4, self.look)

    def data_received(self, data: bytes) -> None:
        """Take what came; while no request is under way, its head is still to be complete in time."""
        super().data_received(data)
        under_way: Any = self.cycle is not None and not self.cycle.response_complete
        if under_way:
            self.stop_waiting()
        elif self.waiting is None:
            self.waiting = self.loop.call_later(self.seconds, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.stop_waiting()
        if self.looking is not None:
            self.looking.cancel()
        super().connection_lost(exc)

    def stop_waiting(self) -> None:
        """Let the request take its time."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None
