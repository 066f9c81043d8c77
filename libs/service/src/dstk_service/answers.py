"""Bounds the bytes of answers that a process holds for its callers, and shares them fairly between connections.

An answer that nobody reads is not produced. A large answer is reserved before it is built, waits for its turn if too many bytes
are held already, and counts until the transport has taken it or it is given up (unread.py). Connections take turns, so that a
connection with many requests does not delay the others. Small answers never wait: the number of calls bounds them.
"""

import asyncio
from collections import deque
from typing import Any, Self

from dstk_service.errors import Overloaded
from dstk_service.unread import Peer, Readers

HELD_BYTES = 32 << 20
"""The most bytes of all answers that are being built or wait for their callers. The transport holds a copy of each, so a
process holds twice as much. 32 answers of 1 MiB keep a connection busy.
"""

PART_BYTES = 1 << 20
"""The size at which a part of an answer ends; it may be larger by one record."""

PART_RESERVED_BYTES = PART_BYTES + (1 << 20)

AGAIN_SECONDS = 0.5

SMALL_BYTES = 64 << 10
"""Answers up to this size need no reservation."""


class Lease:
    """The reserved bytes of one answer; `release`, or the end of a `with` block, returns them."""

    def __init__(self, answers: "Answers") -> None:
        self._answers = answers
        self.size = 0

    def resize(self, size: int) -> None:
        """Changes the reservation to the size that the answer needs."""
        more, self.size = size - self.size, size
        self._answers.count(more)

    def release(self) -> None:
        """Returns all bytes; a second call does nothing."""
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
        """The bytes of a part that can be built without waiting."""
        return PART_BYTES if self.held < self._limit else SMALL_BYTES

    async def reserve(self, size: int, peer: Peer) -> Lease:
        """Reserves `size` bytes when it is the connection's turn. Raises Overloaded if the connection does not read its
        answers: it would not read this one either.
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
            del future  # its exception refers to this frame: a cycle

    def take(self, size: int) -> Lease:
        """Counts an answer that is already built."""
        lease = Lease(self)
        lease.resize(size)
        return lease

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes can be reserved without waiting."""
        return not self._waiting and self._fits(size)

    def count(self, more: int) -> None:
        """Adds `more` to the bytes that are held; a negative number frees room for others."""
        self.held += more
        if more < 0:
            self._pass_on()

    def _pass_on(self) -> None:
        """Grants free room to waiting answers, one of each connection in turn."""
        while (peer := self._next()) is not None:
            queue = self._waiting.pop(peer)
            size, future = queue.popleft()
            if queue:
                self._waiting[peer] = queue  # behind the others
            if not future.done():  # otherwise its caller has gone
                future.set_result(self.take(size))

    def _next(self) -> Peer | None:
        waiting = self._waiting.items()
        return next((peer for peer, queue in waiting if queue[0][1].done() or self._fits(queue[0][0])), None)

    async def write(self, context: Any, data: bytes, lease: Lease | None = None) -> None:
        """Writes to a stream, then releases the room."""
        if lease is None and len(data) <= SMALL_BYTES:
            await context.write(data)
            return
        with lease or self.take(len(data)) as held:
            held.resize(len(data))
            await self._write(context, data, held)

    async def _write(self, context: Any, data: bytes, lease: Lease) -> None:
        """Writes one answer. An answer that is given up stays in the transport, and its stream counts for the connection: gRPC
        can neither take it back nor send a status before it. Its room is released.
        """
        waiting = self._readers.begin(context.peer(), lease.release)
        try:
            await context.write(data)
        finally:
            self._readers.end(waiting)

    def watch_call(self, context: Any, size: int) -> None:
        """Counts the single answer of a unary call until the transport has taken it, or it is given up."""
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
