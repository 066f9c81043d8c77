"""Limits the streams of answers that one connection may have open at a time.

HTTP/2 has a setting for the calls of a connection, but callers learn it late: on a new connection, calls above the limit end
with UNAVAILABLE, in every language. Unary calls are short; a stream stays open as long as its reader likes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from dstk_service.errors import Overloaded
from dstk_service.unread import Peer

MAX_STREAMS = 256
"""The most streams of one connection. A stream that is not read keeps about 1 MiB in the transport."""

RETRY_SECONDS = 0.2


class OpenStreams:
    """The open streams of a process, by connection."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._open: Counter[Peer] = Counter()

    @contextmanager
    def one(self, peer: Peer) -> Iterator[None]:
        """Counts one more stream while the block runs. Raises Overloaded at the limit."""
        if self._open[peer] >= self._most:
            raise Overloaded(
                f"{self._most} streams of this connection are open, which is the most it may have", RETRY_SECONDS
            )
        self._open[peer] += 1
        try:
            yield
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]
