"""How many streams of answers one connection may have open at a time.

HTTP/2 has a setting for the calls of a connection, but callers learn of it late: of a burst of calls on a new connection, those
above it end with UNAVAILABLE, whatever the language. Single calls come and go; a stream stays as long as its reader likes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from dstk_service.errors import Overloaded
from dstk_service.unread import Peer

MAX_STREAMS = 256
"""Of one connection. A stream that is not read keeps about 1 MiB in the transport."""

RETRY_SECONDS = 0.2


class OpenStreams:
    """Those of a process, by connection."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._open: Counter[Peer] = Counter()

    @contextmanager
    def one(self, peer: Peer) -> Iterator[None]:
        """One more stream, while the block runs. Raises Overloaded."""
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
