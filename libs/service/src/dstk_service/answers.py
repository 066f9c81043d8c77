"""How many bytes of answers a process holds that their callers have not taken yet, and whose turn it is.

What nobody reads is not produced. An answer that may be large is reserved before it is built, waits for its turn when too much
is held already, and counts until the transport has taken it, or it is given up (unread.py). Connections take turns, so that
one that asks for much does not keep the others waiting. Small answers never wait: the number of calls bounds them.
"""

import asyncio
from collections import deque
from typing import Any, Self

from dstk_service.errors import Overloaded
from dstk_service.unread import Peer, Readers

HELD_BYTES = 32 << 20
"""Of all answers together that are being built or wait for their callers. The transport has a copy of each, so a process holds
twice as much. 32 answers of 1 MiB keep a connection busy.
"""

PART_BYTES = 1 << 20
"""An answer in several parts begins the next one when a part has so many bytes; it may have more by one record."""

PART_RESERVED_BYTES = PART_BYTES + (1 << 20)

AGAIN_SECONDS = 0.5

SMALL_BYTES = 64 << 10
"""Answers up to here need no room."""


class Lease:
    """Bytes of one answer, given back at the end of a `with` block or by `release`."""

    def __init__(self, answers: "Answers") -> None:
        self._answers = answers
        self.size = 0

    def resize(self, size: int) -> None:
        """Another size turns out to be needed."""
        more, self.size = size - self.size, size
        self._answers.count(more)

    def release(self) -> None:
        """Gives everything back; a second time does nothing."""
        self.resize(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Answers:
    """The budget of one process.

    Invariant: `held` exceeds the limit only by answers that were not reserved, or by one that alone is larger.
    """

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self.held = 0
        self._limit = limit
        self._waiting: dict[Peer, deque[tuple[int, asyncio.Future[Lease]]]] = {}
        self._readers = Readers(lambda: bool(self._waiting), self._turn_away)
        self._loop = asyncio.get_running_loop()

    @property
    def room(self) -> int:
        """Bytes that a part may have that is built without waiting."""
        return PART_BYTES if self.held < self._limit else SMALL_BYTES

    async def reserve(self, size: int, peer: Peer) -> Lease:
        """Room for an answer of at most so many bytes, in the connection's turn. Raises Overloaded when the
        connection turns out to take nothing: what it still waits for would not be read either.
        """
        if self.has_room(size):
            return self.take(size)
        future: asyncio.Future[Lease] = self._loop.create_future()
        self._waiting.setdefault(peer, deque()).append((size, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().release()
            raise
        finally:
            del future  # an exception of its own names this frame

    def take(self, size: int) -> Lease:
        """Counts an answer that is there already."""
        lease = Lease(self)
        lease.resize(size)
        return lease

    def has_room(self, size: int) -> bool:
        """Whether room for so much is to be had without waiting."""
        return not self._waiting and self._fits(size)

    def count(self, more: int) -> None:
        """So many bytes more are held; less than 0: others may have them."""
        self.held += more
        if more < 0:
            self._pass_on()

    def _pass_on(self) -> None:
        """Gives free room to those who wait, one of each connection in turn."""
        while (peer := self._next()) is not None:
            queue = self._waiting.pop(peer)
            size, future = queue.popleft()
            if queue:
                self._waiting[peer] = queue  # behind the others
            if not future.done():  # else its caller has gone
                future.set_result(self.take(size))

    def _next(self) -> Peer | None:
        waiting = self._waiting.items()
        return next((peer for peer, queue in waiting if queue[0][1].done() or self._fits(queue[0][0])), None)

    async def write(self, context: Any, data: bytes, lease: Lease | None = None) -> None:
        """Writes to a stream, and gives the room back."""
        if lease is None and len(data) <= SMALL_BYTES:
            await context.write(data)
            return
        with lease or self.take(len(data)) as held:
            held.resize(len(data))
            await self._write(context, data, held)

    async def _write(self, context: Any, data: bytes, lease: Lease) -> None:
        """An answer that is given up stays with the transport, as one of the streams that a connection may have: gRPC can
        neither take it back nor send a status in front of it. Its room is for others then.
        """
        waiting = self._readers.begin(context.peer(), lease.release)
        try:
            await context.write(data)
        finally:
            self._readers.end(waiting)

    def watch_call(self, context: Any, size: int) -> None:
        """Counts the only answer of a call, from now until the transport has taken it, or it is given up."""
        lease = self.take(size)
        waiting = self._readers.begin(context.peer(), lease.release)

        def done(_: object) -> None:
            self._readers.end(waiting)
            lease.release()

        context.add_done_callback(done)

    def _turn_away(self, peer: Peer) -> None:
        for _, future in self._waiting.pop(peer, ()):
            if not future.done():
                future.set_exception(_unread())
        self._pass_on()

    def _fits(self, size: int) -> bool:
        return not self.held or self.held + size <= self._limit


def _unread() -> Overloaded:
    return Overloaded("the answers on this connection are not read", AGAIN_SECONDS)
