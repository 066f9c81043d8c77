"""One Append stream: groups of entries from a primary in, where this node stands out."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import grpc

from dstk.v1 import replication_pb2 as pb
from dstk_service import incoming
from dstk_service.drain import Drain
from dstk_service.observe import NULL, Observer
from dstk_service.together import together
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.adapters.peer_traces import receiving
from dstk_storage.domain.replication.ports import Append, Appended

MAX_IN_FLIGHT = 16
"""Messages of one stream that may wait for the disk; further ones stay in the transport, which slows the sender down."""

Work = asyncio.Task[Sequence[Appended]]
Begin = Callable[[Sequence[Append]], Coroutine[Any, Any, Sequence[Appended]]]
"""Handles one group of appends, as Follower.on_append says."""


class Appends:
    """Serves one stream from its first message to its end.

    Invariant: messages are begun in the order in which they came, and answered in that order. A message that was begun is
    followed through even if the stream breaks: what the domain has accepted must not be left in the middle.
    """

    def __init__(self, admit: Callable[[], Begin], drain: Drain, context: Any, observer: Observer = NULL) -> None:
        """`admit` is called once, when the first message could be read, and raises what the caller is refused with: what
        cannot be read is told first, as by calls of one message.
        """
        self._admit, self._observer = admit, observer
        self._drain = drain
        self._context = context
        self._begun: asyncio.Queue[tuple[int, Work] | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def run(self, tasks: "set[asyncio.Task[Any]]") -> None:
        """Reads messages until the caller has no more, or the server drains; returns when all are answered. What was begun
        and is not done is in `tasks`. Raises InvalidArgument, InvalidInput, and what `admit` raises.
        """
        # with the first answer, gRPC would send it once more ahead of the status when that answer is given up half-way, and
        # then neither arrives: the caller waits for ever
        await self._context.send_initial_metadata(())
        async with together() as group:
            group.create_task(self._answer())
            with self._drain.stream():
                await self._read(tasks)
            self._begun.put_nowait(None)

    async def _read(self, tasks: "set[asyncio.Task[Any]]") -> None:
        begin: Begin | None = None
        while (request := await self._context.read()) is not grpc.aio.EOF:
            incoming.check(request)
            begin = begin or self._admit()
            # tasks take their first steps in the order in which they are made: a message is applied before the next one
            appends = wire.read_appends(request)
            told = receiving(self._observer, appends)
            work = asyncio.create_task(begin(appends))
            if told is not None:
                work.add_done_callback(told)
            tasks.add(work)
            work.add_done_callback(tasks.discard)
            self._begun.put_nowait((request.id, work))
            await self._slots.acquire()

    async def _answer(self) -> None:
        while (begun := await self._begun.get()) is not None:
            number, work = begun
            response = pb.AppendResponse(id=number)
            for answer in await asyncio.shield(work):
                wire.write_appended(response.results.add(), answer)
            await self._context.write(response)
            self._slots.release()
