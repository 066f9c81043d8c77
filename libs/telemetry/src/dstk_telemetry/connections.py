"""HTTP connections to which callers can do no harm: bounds on their number, on their time, and on what one of them may ask.

uvicorn limits neither the time until a request is complete nor the time that a caller takes to read its answer, and refuses the
newest request when there are too many connections: 64 callers that send nothing would hide a service from its load balancer.
"""

import asyncio
import itertools
from typing import ClassVar

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 64
"""Connections of BoundedConnection that are open at the same time. A further one displaces another."""

CONNECTION_SECONDS = 10.0
"""Seconds for a request and its answer, from the first to the last byte. Prometheus allows as many for a scrape."""

MOST_LASTING = 2_048
"""Connections of LastingConnection that are open at the same time."""

REQUEST_SECONDS = 10.0
"""Seconds until a request on a LastingConnection is complete."""

STALLED_SECONDS = 30.0
"""Seconds for which the reader of a LastingConnection may leave its answer unread."""

HEADER_BYTES = 16 * 1024
"""The longest header of a request; a longer one is answered with 400."""

SEND_BYTES = 64 * 1024
"""What the system holds of an answer for a caller that does not read. It keeps this after the end of a connection, so that
without a bound there could be more of it than MOST_CONNECTIONS.
"""

ONE_REQUEST = ("connection", "close")
"""A header of every answer: a connection carries one request, so that its deadline covers all that it does."""


class CuttableConnection(H11Protocol):
    """A connection that is cut off when another one takes its place.

    A new connection takes the place of the oldest that is not busy, or else of the oldest: a probe is answered while others
    hold as many connections as they can.
    """

    most: ClassVar[int]
    """Connections that are open at the same time."""

    _numbers = itertools.count()

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.most:
            self._displace()
        super().connection_made(transport)
        self.number = next(self._numbers)

    @override
    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks for it, uvicorn never keeps one
        """Keeps the connection of a caller that has sent its request and nothing more."""
        return self.cycle is not None

    @override
    def shutdown(self) -> None:
        """Cuts the connection off: the service has ended, and a caller that does not read must not delay it."""
        self.transport.abort()

    @property
    def is_busy(self) -> bool:
        """Whether a whole request has arrived."""
        return self.cycle is not None

    def _displace(self) -> None:
        mine = [each for each in self.connections if isinstance(each, CuttableConnection)]
        oldest = min(mine, key=lambda each: (each.is_busy, each.number))
        self.connections.remove(oldest)  # it has lost its place, although it is lost only in the loop's next turn
        oldest.transport.abort()


class BoundedConnection(CuttableConnection):
    """Is cut off after CONNECTION_SECONDS, whatever its caller does."""

    most = MOST_CONNECTIONS

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(CONNECTION_SECONDS, transport.abort)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)


class LastingConnection(CuttableConnection):
    """Carries many requests, and answers without end. It is cut off when a request is not complete within REQUEST_SECONDS, and
    when its caller does not read for STALLED_SECONDS.
    """

    most = MOST_LASTING

    @property
    @override
    def is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._request: asyncio.TimerHandle | None = self.loop.call_later(REQUEST_SECONDS, transport.abort)
        self._stall: asyncio.TimerHandle | None = None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_request()
        self._cancel_stall()
        super().connection_lost(exc)

    @override
    def eof_received(self) -> bool:  # type: ignore[override]
        """Ends the connection: browsers end their side only when they leave."""
        return False

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._cancel_request()
        elif self._request is None:
            self._request = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stall()

    def _cancel_request(self) -> None:
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
