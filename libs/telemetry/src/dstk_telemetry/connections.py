"""HTTP connections to which callers can do no harm: bounds on their number, on their time, and on what one of them may ask.

uvicorn limits neither the time until a request is complete nor the time that a caller takes to read its answer, and refuses the
newest request when there are too many connections: 64 callers that send nothing would hide a service from its load balancer.
"""

import asyncio
import itertools

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 64
"""Connections that are open at the same time. A further one displaces another."""

CONNECTION_SECONDS = 10.0
"""Seconds for a request and its answer, from the first to the last byte. Prometheus allows as many for a scrape."""

HEADER_BYTES = 16 * 1024
"""The longest header of a request; a longer one is answered with 400."""

SEND_BYTES = 64 * 1024
"""What the system holds of an answer for a caller that does not read. It keeps this after the end of a connection, so that
without a bound there could be more of it than MOST_CONNECTIONS.
"""

ONE_REQUEST = ("connection", "close")
"""A header of every answer: a connection carries one request, so that its deadline covers all that it does."""


class BoundedConnection(H11Protocol):
    """A connection that is cut off after CONNECTION_SECONDS, or when another one takes its place.

    A new connection takes the place of the oldest that has not sent a whole request, or else of the oldest: a probe is answered
    while others hold as many connections as they can.
    """

    _numbers = itertools.count()

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= MOST_CONNECTIONS:
            self._displace()
        super().connection_made(transport)
        self.number = next(self._numbers)
        self._deadline = self.loop.call_later(CONNECTION_SECONDS, transport.abort)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    @override
    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks for it, uvicorn never keeps one
        """Keeps the connection of a caller that has sent its request and nothing more."""
        return self.cycle is not None

    @override
    def shutdown(self) -> None:
        """Cuts the connection off: the service has ended, and a caller that does not read must not delay it."""
        self.transport.abort()

    def _displace(self) -> None:
        mine = [each for each in self.connections if isinstance(each, BoundedConnection)]
        oldest = min(mine, key=lambda each: (each.cycle is not None, each.number))
        self.connections.remove(oldest)  # it has lost its place, although it is lost only in the loop's next turn
        oldest.transport.abort()
