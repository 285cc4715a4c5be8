"""A connection that asks for nothing, or byte by byte, must not be kept for ever; uvicorn would wait."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds that the head of a request may take to arrive.
MOST_SECONDS = 10.0


class Patient(H11Protocol):
    """uvicorn's HTTP, with a limit to the time that the head of a request takes."""

    seconds = MOST_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.waiting: asyncio.TimerHandle | None = self.loop.call_later(self.seconds, transport.close)

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
        super().connection_lost(exc)

    def stop_waiting(self) -> None:
        """Let the request take its time."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None
