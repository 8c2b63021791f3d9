"""HTTP with a limit on how long a request may take to arrive."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10.0
"""Seconds in which a request has to be here, from the connection or its first byte to the end of its body."""


class PromptRequests(H11Protocol):
    """Closes connections whose request does not arrive; uvicorn itself only limits the time between two requests."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A browser may open a connection ahead of time: it is closed like one that is silent."""
        super().connection_made(transport)
        self._begin()

    def handle_events(self) -> None:
        """After every piece of data: the time begins with the first of a request and ends with its last."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0]):
            self._begin()
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._limit is None:
            self._limit = self.loop.call_later(REQUEST_S, self.transport.close)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
